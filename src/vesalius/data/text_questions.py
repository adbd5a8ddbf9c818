"""Questions about text alone: what sets without pictures hold, since an `Exchange` is a question about an image.

In: the readers of such sets. Out: `TextQuestion`s. `exchanges` of these sets gives none, as that of a set of reports does: no study of pictures can meet a
question that has none by mistake, and no path of an image has to be made up.
"""

from __future__ import annotations

import abc
import dataclasses
from collections.abc import Mapping
from pathlib import Path

from vesalius.data import base
from vesalius.domain.exchange import Exchange, Split
from vesalius.errors import InvalidValue


@dataclasses.dataclass(frozen=True)
class TextQuestion:
    """A question about a passage, or about medicine at large.

    Args:
        id: unique within the set.
        question: what is asked. passage: what it is asked about; "" when about nothing in particular.
        options: what there is to choose from, in the stored order; empty when free.
        golds: right answers as written, each as good as the other; empty when the passage does not answer it.
        cluster: what is kept together by splits and resampled by intervals: a report, an article, a question.
        tags: further facts; never needed to ask.
    """

    id: str
    question: str
    passage: str
    options: tuple[str, ...]
    golds: tuple[str, ...]
    cluster: str
    split: Split
    tags: Mapping[str, str] = dataclasses.field(default_factory=dict)

    def __post_init__(self) -> None:
        if not self.question.strip():
            raise InvalidValue("a question must have text", remedy="ask something")

    @property
    def answerable(self) -> bool:
        """False when the set says that the passage does not answer it."""
        return bool(self.golds)


class TextOnly(base.Published, abc.ABC):
    """A set of questions about text: its protocols count text questions, and it has no exchange."""

    @abc.abstractmethod
    def questions(self, root: Path, split: Split, protocol: str | None = None) -> tuple[TextQuestion, ...]:
        """The questions of one part, in a fixed order.

        Raises:
            DataMissing: files are absent. DataFormatError: a file does not hold this set. UnknownName: no such protocol.
        """

    def exchanges(self, root: Path, split: Split, protocol: str | None = None) -> tuple[Exchange, ...]:
        """None: nothing here is about a picture. The files are read all the same, so that a damaged copy is noticed. Raises: as `questions`."""
        self.questions(root, split, protocol)
        return ()

    def size(self, root: Path, split: Split, protocol: str | None = None) -> int:
        """How many questions a part has. Raises: as `questions`."""
        return len(self.questions(root, split, protocol))
