"""Answers by choosing: what makes a model of images and texts in one space a `GenerativeModel`, without a word of its own.

In: an encoded image, a question with options ("yes" and "no" where it asks that and names none). Out: the option whose text, behind the question's words,
lies nearest to the image; probabilities are among the options. A question with nothing to choose from gets "cannot be determined".
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from vesalius.domain.exchange import Answer, Outcome, Question
from vesalius.domain.study import Study
from vesalius.errors import InvalidValue
from vesalius.metrics.text import is_yes_no_question, read_outcome
from vesalius.models import looking
from vesalius.models.base import GREEDY, Sampling
from vesalius.models.draw import randomness

SILENT = "cannot be determined"
CLOSED = ("yes", "no")
SENTENCE = "{question} {option}"
"""What is compared with an image."""


@dataclasses.dataclass(frozen=True, eq=False)
class EncodedStudy:
    """An image as a vector [width] of unit length, and how many patches it was made of."""

    vector: NDArray[np.float32]
    image_tokens: int


class Ranking:
    """Answers of an `EmbeddingModel`. A subclass puts images and texts into one space.

    Attributes:
        scale: what cosines are multiplied with. patches: how many an image is made of, a square number.
    """

    scale: float
    patches: int

    def pixels(self, study: Study) -> Tensor:
        """The key image of a study as the tower's input [3, S, S]."""
        raise NotImplementedError

    def see(self, pixels: Tensor) -> Tensor:
        """[B, 3, S, S] -> vectors [B, width] of unit length, float32, with gradients where they are wanted."""
        raise NotImplementedError

    def embed_images(self, studies: Sequence[Study]) -> NDArray[np.float32]:
        """Key images as vectors [studies, width] of unit length."""
        raise NotImplementedError

    def embed_texts(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Vectors [texts, width] of unit length."""
        raise NotImplementedError

    def to_image(self, grid: Tensor, rows: int, cols: int) -> NDArray[np.float32]:
        """A grid of patches over the picture as it was displayed."""
        return looking.to_image(grid, rows, cols, padded=False)

    def encode(self, study: Study) -> EncodedStudy:
        """The key image, once, for any number of questions."""
        return EncodedStudy(self.embed_images([study])[0], self.patches)

    def score(self, encoded: EncodedStudy, question: Question, options: Sequence[str]) -> NDArray[np.float64]:
        """Natural log-probability of each option among the options, each read after the question's words; shape (options,).

        Raises:
            InvalidValue: no options, or an empty one.
        """
        return self.ranked([SENTENCE.format(question=question.text, option=option) for option in filled(options)], encoded.vector)

    def ranked(self, sentences: Sequence[str], image: NDArray[np.float32]) -> NDArray[np.float64]:
        """Log-softmax of scaled cosines."""
        logits = self.scale * (self.embed_texts(sentences).astype(np.float64) @ image.astype(np.float64))
        shifted = logits - logits.max()
        return np.asarray(shifted - np.log(np.exp(shifted).sum()))

    def answer(self, encoded: EncodedStudy, questions: Sequence[Question], sampling: Sampling | Sequence[Sampling] = GREEDY) -> list[Answer]:
        """The likeliest option of each question, or one drawn at a temperature, in their order.

        Raises:
            InvalidValue: as many samplings as questions not given, or an empty option.
        """
        ways = [sampling] * len(questions) if isinstance(sampling, Sampling) else list(sampling)
        if len(ways) != len(questions):
            raise InvalidValue(f"{len(questions)} questions need as many samplings (got {len(ways)})", remedy="give one for each, or one for all")
        return self.ask([(encoded, question, way) for question, way in zip(questions, ways, strict=True)])

    def ask(self, asks: Sequence[tuple[EncodedStudy, Question, Sampling]]) -> list[Answer]:
        """Answers about several encoded images, in their order."""
        known: dict[tuple[int, Question], NDArray[np.float64]] = {}
        out = []
        for image, question, way in asks:
            options = choices(question)
            if options and (id(image), question) not in known:
                known[id(image), question] = self.score(image, question, options)
            out.append(_chosen(options, known[id(image), question], question, way) if options else Answer(SILENT, Outcome.UNDETERMINED))
        return out

    def stream(self, encoded: EncodedStudy, question: Question, sampling: Sampling = GREEDY) -> Iterator[str]:
        """The answer, in one piece."""
        yield self.ask([(encoded, question, sampling)])[0].text

    def saliency(self, study: Study, question: Question, answer: Answer, *, method: str = "occlusion") -> tuple[NDArray[np.float32], str]:
        """Where a choice comes from: patches of the picture hidden behind the mean patch, or gradient x pixels summed over each patch.

        Args, Returns: as `Composed.saliency`.

        Raises:
            InvalidValue: a question with nothing to choose from, or a way of looking that this model does not allow.
        """
        look, options = looking.method(method), choices(question)
        if answer.text not in options:
            raise InvalidValue(f"{answer.text!r} is none of what can be chosen here", remedy="ask a yes/no question, or name options")
        texts = torch.from_numpy(self.embed_texts([f"{question.text} {option}" for option in filled(options)]))
        pixels = self.pixels(study)[None]
        score = _ChoiceScore(self, texts, options.index(answer.text), pixels.shape[-1])
        grid, name = look(score, score.cut(pixels.float()))
        return self.to_image(grid, study.image.rows, study.image.cols), name.replace("image tokens", "patches")


class _ChoiceScore:
    """How probable a choice is, as a function of the picture's patches [B, N, 3 patch^2]."""

    def __init__(self, model: Ranking, texts: Tensor, at: int, size: int) -> None:
        self.model, self.texts, self.at, self.size = model, texts, at, size
        self.patch = size // round(model.patches**0.5)

    def cut(self, pixels: Tensor) -> Tensor:
        """[B, 3, S, S] -> [B, N, 3 patch^2]."""
        return functional.unfold(pixels, self.patch, stride=self.patch).transpose(1, 2)

    def __call__(self, memory: Tensor) -> Tensor:
        """Natural log-probabilities [B]."""
        side = self.size // self.patch * self.patch
        pixels = functional.fold(memory.transpose(1, 2), (side, side), self.patch, stride=self.patch)
        pixels = functional.pad(pixels, (0, self.size - side, 0, self.size - side))  # a rim that no patch covers is not seen
        logits = self.model.scale * self.model.see(pixels) @ self.texts.to(pixels.device).T
        return logits.log_softmax(-1)[:, self.at]


def choices(question: Question) -> tuple[str, ...]:
    """What a question can be answered with; nothing where it is open."""
    return question.options or (CLOSED if is_yes_no_question(question.text) else ())


def filled(options: Sequence[str]) -> Sequence[str]:
    """The options, if there are any and each has some text.

    Raises:
        InvalidValue: else.
    """
    if not options or not all(o.strip() for o in options):
        raise InvalidValue("options to choose from are missing or empty", remedy="name at least one, each with some text")
    return options


def _chosen(options: Sequence[str], scores: NDArray[np.float64], question: Question, way: Sampling) -> Answer:
    outcomes, shares = [read_outcome(o) for o in options], np.exp(scores)
    at = int(scores.argmax())
    if way.temperature:
        steps = np.cumsum(np.exp((scores - scores.max()) / way.temperature))
        at = min(int(np.searchsorted(steps, randomness(way.seed, question.text).random() * steps[-1], side="right")), len(options) - 1)
    yes, no = (float(sum(p for p, o in zip(shares, outcomes, strict=True) if o is kind)) for kind in (Outcome.YES, Outcome.NO))
    closed = outcomes[at] in (Outcome.YES, Outcome.NO) and Outcome.YES in outcomes and Outcome.NO in outcomes
    p_yes = yes / (yes + no) if closed else None
    return Answer(options[at], outcomes[at], confidence=min(1.0, float(shares[at])), p_yes=p_yes, logprob=float(scores[at]), tokens=1)
