"""What is asked and said: `Question`, `Rewording`, `Answer` with its `Outcome`, and `Exchange`, a question about an image with its gold answer.

In: text. Out: nouns. `Outcome.UNPARSED` is neither right nor wrong; it has its own column everywhere.
"""

from __future__ import annotations

import dataclasses
import enum
import math
from collections.abc import Mapping

from vesalius.errors import InvalidValue


class Outcome(enum.StrEnum):
    """How an answer reads."""

    YES = "yes"
    NO = "no"
    TEXT = "text"
    UNDETERMINED = "undetermined"  # the model says that it cannot be determined
    UNPARSED = "unparsed"

    def negated(self) -> Outcome:
        """YES <-> NO; the rest stays."""
        return {Outcome.YES: Outcome.NO, Outcome.NO: Outcome.YES}.get(self, self)


@dataclasses.dataclass(frozen=True)
class Question:
    """A question in words, with the options to choose from when it names them."""

    text: str
    options: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not self.text.strip():
            raise InvalidValue("a question must have text", remedy="ask something")
        if len(self.text) > 2000:
            raise InvalidValue(f"a question must have at most 2,000 characters (got {len(self.text)})", remedy="shorten it")


@dataclasses.dataclass(frozen=True)
class Rewording:
    """The same question in other words.

    Args:
        text: the wording.
        family: lexical, syntax, formality, negation, abbreviation, telegraphic, typo, human.
        polarity: +1 when the same answer is right, -1 when the opposite yes/no is.
        rule: name of the rule that made it.
    """

    text: str
    family: str
    polarity: int
    rule: str

    def __post_init__(self) -> None:
        if self.polarity not in (1, -1):
            raise InvalidValue(f"polarity must be +1 or -1 (got {self.polarity})")


@dataclasses.dataclass(frozen=True)
class Answer:
    """What a model said.

    Args:
        text: as generated, stripped.
        outcome: how it reads (`metrics.text.read_outcome` decides it by stated rules).
        confidence: probability of this answer in [0, 1] under the model; None when the model gives none.
        p_yes: probability of yes among {yes, no}; None for open questions.
        logprob: sum of token log-probabilities of `text`; None when unknown.
        tokens: number of generated tokens.
    """

    text: str
    outcome: Outcome
    confidence: float | None = None
    p_yes: float | None = None
    logprob: float | None = None
    tokens: int = 0

    def __post_init__(self) -> None:
        for name in ("confidence", "p_yes"):
            value = getattr(self, name)
            if value is not None and not (math.isfinite(value) and 0 <= value <= 1):
                raise InvalidValue(f"{name} must lie in [0, 1] (got {value})")


class Split(enum.StrEnum):
    """Where an exchange may be used. TEST is read once, at the end."""

    TRAIN = "train"
    DEVELOPMENT = "development"
    TEST = "test"


@dataclasses.dataclass(frozen=True)
class Exchange:
    """A question about one image, with its gold answer: the unit of training and of evaluation.

    Args:
        id: unique within the data set.
        image: path of the image relative to the data root.
        question: what is asked.
        gold: the reference answer as the data set writes it.
        closed: the data set's own type (yes/no or choice); None when it has none.
        cluster: patient, else image: what intervals resample and splits keep together.
        split: where it may be used.
        pair: links rewordings of one question ("vqa-rad:123"); None when alone.
        phrase: "freeform", "para", "template", "inversion", ... as the data set says.
        tags: further facts (modality, body part, content type, group).
    """

    id: str
    image: str
    question: Question
    gold: str
    closed: bool | None
    cluster: str
    split: Split
    pair: str | None = None
    phrase: str | None = None
    tags: Mapping[str, str] = dataclasses.field(default_factory=dict)
