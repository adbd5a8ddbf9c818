"""What goes into the engine and comes out: an image made ready, one thing to ask of it, what came of that; and where an ask stands on its way.

In: keys and values, a question, how to draw. Out: plain records that a family file reads as `Answer`s.
"""

from __future__ import annotations

import dataclasses
import math

import numpy as np
from torch import Tensor

from vesalius.models.base import GREEDY, Sampling


@dataclasses.dataclass(frozen=True, eq=False)
class EncodedImage:
    """An image made ready.

    Args:
        keys, values: of the prefix, [layers, kv_heads, P, D].
        memory: the tower's features [1, N, D], for the readout.
        image_tokens: tokens of the prefix that are the image.
    """

    keys: Tensor
    values: Tensor
    memory: Tensor
    image_tokens: int

    @property
    def length(self) -> int:
        """P: tokens of the prefix, words included."""
        return int(self.keys.shape[2])


@dataclasses.dataclass(frozen=True)
class Ask:
    """One thing to ask of one image."""

    image: EncodedImage
    question: str
    sampling: Sampling = GREEDY


@dataclasses.dataclass(frozen=True)
class Record:
    """What came of one ask.

    Args:
        text: the answer, stripped.
        ids: generated tokens without the stop token.
        logprobs: natural log-probability of each generated token under the model at temperature 1, the stop token's last when `stopped`.
        stopped: the model ended the answer itself.
        p_yes: probability of yes among {yes, no} for the first token.
        yes_no: probability of the first token being either; near 0 when the question is not a yes/no question to the model.
    """

    text: str
    ids: tuple[int, ...]
    logprobs: tuple[float, ...]
    stopped: bool
    p_yes: float
    yes_no: float

    @property
    def logprob(self) -> float:
        """Natural log-probability of exactly this answer, its end included."""
        return float(sum(self.logprobs))

    @property
    def confidence(self) -> float:
        """Probability of exactly this answer, exp(logprob): right for short answers, tiny for long ones."""
        return min(1.0, math.exp(self.logprob))

    @property
    def mean_confidence(self) -> float:
        """Geometric mean of the token probabilities: comparable between answers of different length."""
        return min(1.0, math.exp(self.logprob / max(1, len(self.logprobs))))


@dataclasses.dataclass(eq=False)
class Row:
    """One ask on its way.

    `state` is the row of the current hidden states where it stands; `view` the row of the current logits: that state as its image lets it speak.
    `base` is the position of its first answer token.
    """

    ask: Ask
    state: int
    view: int
    base: int
    random: np.random.Generator
    ids: list[int] = dataclasses.field(default_factory=list)
    logprobs: list[float] = dataclasses.field(default_factory=list)
    stopped: bool = False
    first: tuple[float, float] = (0.5, 0.0)

    @property
    def done(self) -> bool:
        """Whether nothing more is to be said."""
        return self.stopped or len(self.ids) >= self.ask.sampling.max_new_tokens


@dataclasses.dataclass(eq=False)
class States:
    """Where asks stand after a pass: final-normed states [n, width], and what each one's question was made of words [n, width] when the readout listens."""

    hidden: Tensor
    words: Tensor | None
