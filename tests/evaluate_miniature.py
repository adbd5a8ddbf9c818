"""A data root in the layout of the published sets, a few images large, and a deterministic model that looks at them: for tests of evaluation."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image as Picture

from vesalius.domain.exchange import Answer, Outcome, Question
from vesalius.domain.study import Study
from vesalius.metrics.text import is_yes_no_question, read_outcome
from vesalius.models.base import GREEDY, ModelCard, Sampling, Task

IMAGES = 24
CARD = ModelCard(
    name="fake",
    summary="answers by the brightness of an image",
    tasks=(Task.VQA,),
    licence="Apache-2.0",
    modalities=("CT", "MR", "CR"),
    body_parts=("CHEST", "HEAD", "ABDOMEN"),
    languages=("en",),
    context=100,
    image_tokens=1,
    parameters=1,
    source="tests",
    revision="1",
)


def bright(number: int) -> bool:
    """Whether image `number` was drawn bright."""
    return number % 2 == 0


def draw(path: Path, number: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(number)
    base = 170 if bright(number) else 60
    pixels = np.clip(base + rng.normal(0, 25, (40, 48)), 0, 255).astype(np.uint8)
    Picture.fromarray(pixels).save(path)


def slake(root: Path, images: int = IMAGES) -> Path:
    """A SLAKE of `images` pictures; the last third is its test part. Bright images have the finding, dark ones do not."""
    rows: dict[str, list[dict[str, Any]]] = {"train": [], "validate": []}
    for number in range(images):
        name = f"xmlab{number}/source.jpg"
        draw(root / "slake" / "imgs" / name, number)
        asked = [
            ("Is there evidence of a pleural effusion?", "Yes" if bright(number) else "No", "CLOSED", "Abnormality"),
            ("Is the heart enlarged?", "No" if bright(number) else "Yes", "CLOSED", "Abnormality"),
            ("Which organ is shown?", "Lung" if bright(number) else "Heart", "OPEN", "Organ"),
        ]
        part = rows["validate" if number >= images * 2 // 3 else "train"]
        for question, answer, kind, content in asked:
            part.append(
                {
                    "img_name": name,
                    "qid": number * 10 + len(part),
                    "q_lang": "en",
                    "question": question,
                    "answer": answer,
                    "answer_type": kind,
                    "content_type": content,
                    "base_type": "vqa",
                    "location": "Lung",
                    "modality": "X-Ray",
                }
            )
    for number, row in enumerate([*rows["train"], *rows["validate"]]):
        row["qid"] = number
    for part, content in rows.items():
        (root / "slake" / f"{part}.json").write_text(json.dumps(content))
    return root


@dataclasses.dataclass
class Seen:
    """What the fake made of an image."""

    key: str
    brightness: float
    flat: bool
    image_tokens: int = 1


class FakeModel:
    """Says yes to bright images, and no to anything flat; notes every question with the picture it was asked of.

    Args:
        wrong: share of asks that get the opposite answer, chosen by a hash of question and image.
        without_image: whether it can be asked with no image.
    """

    card = CARD

    def __init__(self, *, wrong: float = 0.0, without_image: bool = False, broken: float | None = None, revision: str = "1") -> None:
        self.wrong, self.broken = wrong, broken
        self.card = dataclasses.replace(CARD, revision=revision)
        self.identity = {"name": "fake", "weights": "0"}
        self.asked: list[tuple[str, str]] = []
        self.encoded = 0
        self.stop_after: int | None = None
        if without_image:
            self.encode_nothing = lambda: Seen("nothing", 0.0, flat=True)

    def encode(self, study: Study) -> Seen:
        self.encoded += 1
        if self.stop_after is not None and self.encoded > self.stop_after:
            raise KeyboardInterrupt
        pixels = study.image.pixels
        return Seen(hashlib.sha256(pixels.tobytes()).hexdigest()[:12], float(pixels.mean()), bool(pixels.std() == 0))

    def ask(self, asks: Sequence[tuple[Seen, Question, Sampling]]) -> list[Answer]:
        return [self._one(encoded, question) for encoded, question, _ in asks]

    def answer(self, encoded: Seen, questions: Sequence[Question], sampling: Sampling | Sequence[Sampling] = GREEDY) -> list[Answer]:
        return self.ask([(encoded, question, GREEDY) for question in questions])

    def score(self, encoded: Seen, question: Question, options: Sequence[str]) -> np.ndarray:
        return np.zeros(len(options))

    def stream(self, encoded: Seen, question: Question, sampling: Sampling = GREEDY):
        yield self._one(encoded, question).text

    def _one(self, seen: Seen, question: Question) -> Answer:
        self.asked.append((seen.key, question.text))
        chance = int(hashlib.sha256(f"{seen.key}/{question.text}".encode()).hexdigest()[:8], 16) / 2**32
        is_bright = not seen.flat and seen.brightness > 115
        opposite = any(word in question.text.lower() for word in ("heart", "cardiac", "cardiomegaly")) != any(
            phrase in question.text.lower() for phrase in ("ruled out", "excluded", "free of", "absen", "rule out", "exclude")
        )
        yes = (is_bright != opposite) != (chance < self.wrong)
        if is_yes_no_question(question.text):
            p = 0.6 + 0.39 * chance if yes else 0.4 - 0.39 * chance
            text = "Yes" if yes else "No"
            return Answer(text, Outcome.YES if yes else Outcome.NO, confidence=self.broken if self.broken is not None else max(p, 1 - p), p_yes=p, logprob=-0.1)
        text = "Lung" if is_bright != (chance < self.wrong) else "Heart"
        return Answer(text, read_outcome(text), confidence=0.5 + 0.4 * chance, logprob=-0.5, tokens=1)
