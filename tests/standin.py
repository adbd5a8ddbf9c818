"""A deterministic stand-in for a model: it answers by rule, from the picture or not, so every step around a model can be tried without weights.

It is also an outsider's model: `load` is what an entry point of the group `vesalius.models` names.
"""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Iterator, Sequence

import numpy as np

from vesalius.domain.exchange import Answer, Outcome, Question
from vesalius.domain.study import Study
from vesalius.errors import InvalidValue
from vesalius.formats.pixels import render
from vesalius.metrics.text import is_yes_no_question, read_outcome
from vesalius.models.base import GREEDY, ModelCard, Sampling, Task

CARD = ModelCard(
    name="standin",
    summary="answers by rule; for tests",
    tasks=(Task.VQA,),
    licence="Apache-2.0",
    modalities=("CR", "DX", "CT", "MR"),
    body_parts=("HEAD", "CHEST", "ABDOMEN"),
    languages=("en",),
    context=2048,
    image_tokens=4,
    parameters=0,
    source="tests",
    revision="1",
    limits=("It knows nothing.",),
)


TURNED = (" ruled out", " free of", " absent", " absence", " without ", " no ", " exclude", " normal", " lack", " not ", "n't", "devoid")


@dataclasses.dataclass(frozen=True)
class Seen:
    """An encoded study: the bright share of the picture."""

    brightness: float
    texture: float
    image_tokens: int = 4


class StandIn:
    """Answers by rule.

    seeing: yes when the picture has structure, and the opposite for "ruled out", "free of", "absent", "no ..." questions.
    blind: always "yes". fickle: by a hash of the wording. mute: nothing readable. wordy: a sentence.
    """

    def __init__(self, manner: str = "seeing", *, longest: int = 10_000) -> None:
        self.card = CARD
        self.manner, self.longest = manner, longest
        self.calls: list[int] = []
        self.encoded = 0
        self.identity = {"name": "standin", "revision": "1", "manner": manner}

    def encode(self, study: Study) -> Seen:
        self.encoded += 1
        shown = render(study.image).astype(float)
        return Seen(float(shown.mean() / 255), float(shown.std() / 255))

    def answer(self, encoded: Seen, questions: Sequence[Question], sampling: Sampling | Sequence[Sampling] = GREEDY) -> list[Answer]:
        ways = [sampling] * len(questions) if isinstance(sampling, Sampling) else sampling
        return self.ask([(encoded, q, s) for q, s in zip(questions, ways, strict=True)])

    def ask(self, asks: Sequence[tuple[Seen, Question, Sampling]]) -> list[Answer]:
        self.calls.append(len(asks))
        return [self._one(*ask) for ask in asks]

    def score(self, encoded: Seen, question: Question, options: Sequence[str]) -> np.ndarray:
        return np.log(np.full(len(options), 1 / len(options)))

    def stream(self, encoded: Seen, question: Question, sampling: Sampling = GREEDY) -> Iterator[str]:
        yield self.ask([(encoded, question, sampling)])[0].text

    def saliency(self, study: Study, question: Question, answer: Answer, *, method: str = "occlusion") -> tuple[np.ndarray, str]:
        if "fail" in question.text:
            raise RuntimeError("the drawing went wrong")
        y, x = np.mgrid[0 : study.image.rows, 0 : study.image.cols]
        high, wide = study.image.rows, study.image.cols
        spot = np.exp(-(((y - 0.4 * high) / (0.14 * high)) ** 2) - ((x - 0.36 * wide) / (0.12 * wide)) ** 2)
        return spot.astype(np.float32), "a drawn spot"

    def _one(self, seen: Seen, question: Question, sampling: Sampling) -> Answer:
        text = question.text
        if len(text) > self.longest:
            raise InvalidValue(f"the question has {len(text)} characters, the model holds {self.longest}", remedy="shorten it")
        if self.manner == "mute":
            return Answer("", Outcome.UNPARSED)
        if self.manner == "wordy":
            said = "There is a small rounded lesion in the right lobe of the liver, and the spleen is of normal size and shape."
            return Answer(said, read_outcome(said), confidence=0.4)
        if not is_yes_no_question(text) and self.manner == "seeing":
            return Answer("liver" if seen.texture > 0.05 else "nothing", Outcome.TEXT, confidence=0.93)
        p_yes = self._p_yes(seen, text)
        said = "yes" if p_yes >= 0.5 else "no"
        return Answer(said, read_outcome(said), confidence=max(p_yes, 1 - p_yes), p_yes=p_yes, logprob=float(np.log(max(p_yes, 1 - p_yes))), tokens=1)

    def _p_yes(self, seen: Seen, text: str) -> float:
        if self.manner == "blind":
            return 0.97
        if self.manner == "fickle":
            return 0.2 + 0.6 * (hashlib.sha256(text.encode()).digest()[0] / 255)
        there = 0.96 if seen.texture > 0.05 else 0.06
        lower = f" {text.lower()} "
        turned = any(word in lower for word in TURNED)
        return 1 - there if turned else there


def load() -> StandIn:
    """What an entry point names."""
    return StandIn()


def load_blind() -> StandIn:
    """A model that says yes to everything."""
    return StandIn("blind")


def load_broken() -> StandIn:
    """A model with a mistake in it."""
    raise ZeroDivisionError("a mistake of the model's")


def load_stopped() -> StandIn:
    """A model whose loading is stopped from the keyboard."""
    raise KeyboardInterrupt
