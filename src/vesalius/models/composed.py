"""A composition as a model of this package: studies in, answers out, everything through the engine.

In: a composition with its weights, a prompt, and how a family prepares a picture. Out: a `GenerativeModel`; a family adds what is its own.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vesalius.domain.exchange import Answer, Outcome, Question
from vesalius.domain.study import Study
from vesalius.metrics.text import read_outcome
from vesalius.models import looking
from vesalius.models.base import GREEDY, ModelCard, Sampling
from vesalius.models.composition import Composition, Prompt
from vesalius.models.engine import Ask, EncodedImage, Engine, Record


class Composed:
    """A `GenerativeModel`, but for `pixels`.

    Args:
        card: of the model. composition: with all weights in place. prompt: tokenizer and template. about: what `identity` reports of the weights.
    """

    pads = True  # whether a picture is padded to a square, not stretched

    def __init__(self, card: ModelCard, composition: Composition, prompt: Prompt, about: Mapping[str, Any] | None = None) -> None:
        self.card = card
        self.engine = Engine(composition, prompt)
        self.composition, self.prompt = composition, prompt
        self.identity = {"name": card.name, "revision": card.revision, "prompt": prompt.digest(), **(about or {})}
        self._device = next(composition.parameters()).device

    def pixels(self, study: Study) -> Tensor:
        """The key image of a study as the tower's input [1, 3, S, S]."""
        raise NotImplementedError

    def encode(self, study: Study) -> EncodedImage:
        """Tower, projector and the prompt's head, once."""
        return self.engine.encode(self.pixels(study))[0]

    def answer(self, encoded: EncodedImage, questions: Sequence[Question], sampling: Sampling | Sequence[Sampling] = GREEDY) -> list[Answer]:
        """Answers in the order of the questions."""
        return [as_answer(r) for r in self.engine.answer(encoded, [q.text for q in questions], sampling)]

    def ask(self, asks: Sequence[tuple[EncodedImage, Question, Sampling]]) -> list[Answer]:
        """Answers about several encoded images in as few passes as possible."""
        return [as_answer(r) for r in self.engine.ask([Ask(image, question.text, sampling) for image, question, sampling in asks])]

    def score(self, encoded: EncodedImage, question: Question, options: Sequence[str]) -> NDArray[np.float64]:
        """Natural log-probability of each option as the whole answer."""
        return self.engine.score(encoded, question.text, options)

    def stream(self, encoded: EncodedImage, question: Question, sampling: Sampling = GREEDY) -> Iterator[str]:
        """The answer in pieces."""
        return self.engine.stream(encoded, question.text, sampling)

    def saliency(self, study: Study, question: Question, answer: Answer, *, method: str = "occlusion") -> tuple[NDArray[np.float32], str]:
        """Where an answer comes from.

        Args:
            method: a key of `looking.METHODS`.

        Returns:
            A map of the displayed image's shape in [0, 1], and the method's name.

        Raises:
            InvalidValue: no such method, one that this model does not allow, or an image whose tokens form no grid.
        """
        look = looking.method(method)
        pixels = self.pixels(study)
        with torch.no_grad():
            memory = self.composition.see(pixels)
        grid, name = look(self.score_of(question.text, answer.text, pixels), memory)
        return self.to_image(grid, study.image.rows, study.image.cols), name

    def score_of(self, question: str, answer: str, pixels: Tensor) -> looking.AnswerScore:
        """How probable an answer is by the memory of its image, for `saliency`."""
        return looking.AnswerScore(self.composition, self.prompt, question, answer, pixels)

    def to_image(self, grid: Tensor, rows: int, cols: int) -> NDArray[np.float32]:
        """A grid of the image's cells over the picture as it was displayed."""
        return looking.to_image(grid, rows, cols, padded=self.pads)


def as_answer(record: Record) -> Answer:
    """What the engine recorded as an `Answer`; P(yes) where the answer is yes or no, or might have been."""
    outcome = read_outcome(record.text)
    closed = outcome in (Outcome.YES, Outcome.NO)
    return Answer(
        record.text,
        outcome,
        confidence=record.confidence,
        p_yes=record.p_yes if closed or record.yes_no >= 0.5 else None,
        logprob=record.logprob,
        tokens=len(record.ids),
    )
