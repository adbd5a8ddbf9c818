"""Training pictures as a policy of `data.augment` varies them: so many variants of each, one an epoch, the same in whatever process and after a resume.

In: a policy, a seed, training examples, a data root. Out: samples and pixels by (image, number), and what a cache must know of them. A variant is a function
of the picture, the policy, the seed, its number and all that is asked of the picture: nothing is drawn from a generator that a run would have to keep.
"""

from __future__ import annotations

import dataclasses
import hashlib
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import MappingProxyType
from typing import Any

from torch import Tensor

from vesalius.data import base
from vesalius.data.augment import Box, MedicalAugmentation, Sample
from vesalius.domain.finding import Region
from vesalius.domain.study import Image
from vesalius.errors import InvalidValue
from vesalius.formats import read
from vesalius.formats.pixels import render
from vesalius.models import efficientnet
from vesalius.train.examples import BLANK, Example


@dataclasses.dataclass(frozen=True)
class Subject:
    """What must stay true of one picture: everything that is asked and marked of it, whoever asks.

    Args:
        questions, answers: joined by line ends. boxes: name, and corners as shares of width and height.
    """

    questions: str
    answers: str
    boxes: tuple[tuple[str, tuple[float, float, float, float]], ...] = ()
    modality: str = ""
    body_part: str = ""

    def sample(self, image: Image) -> Sample:
        """As `data.augment` takes it. No label is stated, so that no policy mirrors it."""
        marks = tuple(Box(name, _region(image, *corners)) for name, corners in self.boxes)
        return Sample(image, question=self.questions, answer=self.answers, boxes=marks)


def _region(image: Image, x0: float, y0: float, x1: float, y1: float) -> Region:
    return Region(x0 * image.cols, y0 * image.rows, x1 * image.cols, y1 * image.rows)


def subjects(examples: Iterable[Example]) -> dict[str, Subject]:
    """Image to all that the examples ask of it; blank pictures show nothing and are left out."""
    gathered: dict[str, list[Example]] = defaultdict(list)
    for example in examples:
        if not example.image.startswith(BLANK):
            gathered[example.image].append(example)
    return {image: _subject(rows) for image, rows in sorted(gathered.items())}


def _subject(rows: Sequence[Example]) -> Subject:
    return Subject(
        "\n".join(sorted({e.question for e in rows})),
        "\n".join(sorted({e.answer for e in rows})),
        tuple(sorted({box for e in rows for box in e.boxes})),
        min((e.modality for e in rows if e.modality), default=""),
        min((e.body_part for e in rows if e.body_part), default=""),
    )


@dataclasses.dataclass(frozen=True, eq=False)
class Variants:
    """Variants of training pictures.

    Args:
        views: of each picture; epoch e shows number 1 + e modulo `views`. Number 0 is the picture as it is.
        subjects: the pictures that are varied; every other one has number 0 alone.
    """

    policy: MedicalAugmentation
    views: int
    seed: int
    root: Path
    subjects: Mapping[str, Subject]

    def number(self, image: str, epoch: int) -> int:
        """Which variant of an image an epoch shows."""
        return 1 + epoch % self.views if image in self.subjects else 0

    def sample(self, image: str, number: int) -> Sample:
        """A picture, its texts and marks as variant `number` >= 1 has them.

        Raises:
            DataMissing, UnreadableStudy: the file. InvalidValue: it cannot be varied, such as for its size; the message names it.
        """
        subject = self.subjects[image]
        held = read(base.image_path(self.root, image), modality=subject.modality or None, body_part=subject.body_part or None).image
        try:
            return self.policy.apply(subject.sample(held), item=image, epoch=number - 1, seed=self.seed)
        except InvalidValue as error:
            raise InvalidValue(f"{image} cannot be augmented: {error.what}", remedy=f"{error.remedy}, or leave [augment] out of the recipe") from error

    def pixels(self, wanted: Sequence[tuple[str, int]], *, workers: int | None = None) -> list[Tensor]:
        """Variants (image, number) as the tower gets them before they are normalised: [3, S, S] uint8 each.

        Args:
            workers: threads; None takes as many as there are processors. The pixels do not depend on it.
        """
        with ThreadPoolExecutor(workers) as pool:
            return list(pool.map(self._prepared, wanted))

    def each(self) -> Iterator[tuple[str, list[Tensor]]]:
        """Every picture that is varied, with all its variants."""
        for image in self.subjects:
            yield image, self.pixels([(image, number) for number in range(1, self.views + 1)])

    def _prepared(self, each: tuple[str, int]) -> Tensor:
        return efficientnet.square(render(self.sample(*each).image))

    def key(self, image: str, number: int) -> tuple[object, ...]:
        """What a cache must know of a variant beside the picture's content; () for number 0."""
        return ("augment", self.policy.digest, self.seed, number - 1, dataclasses.astuple(self.subjects[image])) if number else ()

    @property
    def fingerprint(self) -> str:
        """SHA-256 of all that decides any variant, but the pictures' content."""
        held = {image: dataclasses.astuple(subject) for image, subject in self.subjects.items()}
        return hashlib.sha256(repr((self.policy.digest, self.views, self.seed, held)).encode()).hexdigest()

    def to_json(self) -> dict[str, Any]:
        """What the record of a run says of it."""
        policy = dataclasses.asdict(self.policy)
        return {"policy": self.policy.name, "digest": self.policy.digest, "views": self.views, "pictures": len(self.subjects), "settings": policy}


def of_examples(policy: MedicalAugmentation, views: int, seed: int, root: Path, training: Iterable[Example], held_out: Collection[Example]) -> Variants:
    """Variants of the pictures that are trained on and not held out."""
    held = {e.image for e in held_out}
    return Variants(policy, views, seed, root, MappingProxyType({name: s for name, s in subjects(training).items() if name not in held}))
