"""What a model is to the rest of the package: protocols, sampling, the static card. No torch here.

In: a `Study` and questions. Out: `Answer`s. Everything that asks a model several times goes `encode` once, then `answer` many.
"""

from __future__ import annotations

import dataclasses
import enum
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from vesalius.errors import InvalidValue

if TYPE_CHECKING:  # numpy is half of the time that `vesalius models` takes
    import numpy as np
    from numpy.typing import NDArray

    from vesalius.domain.exchange import Answer, Question
    from vesalius.domain.study import Study


class Task(enum.StrEnum):
    """What a model can be asked for."""

    VQA = "vqa"
    REPORT = "report"
    FINDINGS = "findings"
    GROUNDING = "grounding"
    EMBEDDING = "embedding"


@dataclasses.dataclass(frozen=True)
class ModelCard:
    """Static facts of a model: nothing here needs torch or the weights.

    Args:
        tasks: what it can do.
        modalities, body_parts, languages: its declared scope; outside it, the gate refers.
        context: tokens the language model can hold. image_tokens: tokens an image takes.
        parameters: number of parameters.
        limits: sentences that say what it cannot do.
        weights: how they are had, in two or three words.
        measured: what this package measured of it, a sentence each, with interval and n; the pages of results hold the rest.
    """

    name: str
    summary: str
    tasks: tuple[Task, ...]
    licence: str
    modalities: tuple[str, ...]
    body_parts: tuple[str, ...]
    languages: tuple[str, ...]
    context: int
    image_tokens: int
    parameters: int
    source: str
    revision: str
    limits: tuple[str, ...] = ()
    weights: str = "to be downloaded"
    measured: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True)
class Sampling:
    """How answers are drawn. temperature 0 is greedy; the same seed gives the same samples whatever the batch."""

    temperature: float = 0.0
    max_new_tokens: int = 16
    seed: int = 0

    def __post_init__(self) -> None:
        if self.temperature < 0 or self.max_new_tokens < 1:
            raise InvalidValue(f"temperature must be >= 0 and max_new_tokens >= 1 (got {self.temperature}, {self.max_new_tokens})")


GREEDY = Sampling()


@runtime_checkable
class Encoded(Protocol):
    """An image made ready once: tower, projector and the prefix's key/value cache."""

    image_tokens: int


@runtime_checkable
class GenerativeModel(Protocol):
    """Answers questions about a study in words."""

    card: ModelCard

    def encode(self, study: Study) -> Any:  # noqa: ANN401 - each family has its own Encoded
        """Make a study ready, once."""
        ...

    def answer(self, encoded: Any, questions: Sequence[Question], sampling: Sampling | Sequence[Sampling] = GREEDY) -> list[Answer]:  # noqa: ANN401
        """Answers to questions about one encoded image, in their order."""
        ...

    def ask(self, asks: Sequence[tuple[Any, Question, Sampling]]) -> list[Answer]:
        """Questions about any number of encoded images (the study, its controls) in as few passes as possible, in their order."""
        ...

    def score(self, encoded: Any, question: Question, options: Sequence[str]) -> NDArray[np.float64]:  # noqa: ANN401
        """Log-probabilities (natural) of each option as the whole answer; shape (options,)."""
        ...

    def stream(self, encoded: Any, question: Question, sampling: Sampling = GREEDY) -> Iterator[str]:  # noqa: ANN401
        """An answer in pieces, as it comes."""
        ...


@runtime_checkable
class LooksAt(Protocol):
    """A model that can say where an answer came from."""

    def saliency(self, study: Study, question: Question, answer: Answer, *, method: str = "occlusion") -> tuple[NDArray[np.float32], str]:
        """A map (rows, cols) in [0, 1] over the image, and the name of the method that made it."""
        ...


@runtime_checkable
class EmbeddingModel(Protocol):
    """Puts images and texts into one space."""

    card: ModelCard

    def embed_images(self, studies: Sequence[Study]) -> NDArray[np.float32]:
        """[studies, width], of unit length."""
        ...

    def embed_texts(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """[texts, width], of unit length."""
        ...


def card_json(card: ModelCard) -> Mapping[str, Any]:
    """The card as a plain mapping."""
    return dataclasses.asdict(card)
