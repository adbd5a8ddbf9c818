"""One application of a policy to one sample: what is drawn, done, refused and lost.

In: a policy, a `Sample`, item, epoch, seed. Out: a `Sample` with its `Record`. All that moves is one map and one interpolation; what changes values follows
in the order of acquisition.
"""

from __future__ import annotations

import dataclasses
import hashlib
from typing import TYPE_CHECKING

import numpy as np

from vesalius.data.augment import place
from vesalius.data.augment.pixels import CHANGES, done_for
from vesalius.data.augment.ranges import OPERATIONS, SHIFT_LIMIT, UNMARKED_CROP, Range
from vesalius.data.augment.sample import Done, Fate, Record, Refusal, Sample
from vesalius.data.augment.words import FLIP

if TYPE_CHECKING:
    from vesalius.data.augment.policy import MedicalAugmentation

_HALVINGS = 4
_TOO_MUCH = "too much would leave the picture"


def chance(seed: int, epoch: int, item: str, operation: str) -> np.random.Generator:
    """The generator of one operation on one item in one epoch."""
    digest = hashlib.sha256(f"{seed} {epoch} {operation} {item}".encode()).digest()
    return np.random.default_rng(np.frombuffer(digest, dtype="<u4"))


def drawn(name: str, bounds: tuple[float, float], strength: float, share: float) -> float:
    """The value at a share (0 to 1) of the way from end to end of a range, drawn towards the neutral value where strength is below 1."""
    operation = OPERATIONS[name]
    low, high, neutral = (operation.scale.to(v) for v in (*bounds, operation.neutral))
    value = low + share * (high - low)
    return operation.scale.back(neutral + strength * (value - neutral))


class Turn:
    """One application; `taken` is its result.

    Args:
        drop: whether marks that leave the picture are left out; else the movement is lessened.
    """

    def __init__(self, policy: MedicalAugmentation, sample: Sample, item: str, epoch: int, seed: int, *, drop: bool) -> None:
        self._policy, self._sample, self._drop = policy, sample, drop
        self._item, self._epoch, self._seed = item, epoch, seed
        self._blocked = policy.blocked(sample)
        self._done: list[Done] = []
        self._refused: list[Refusal] = []
        self._marks: list[Fate] = []

    def taken(self) -> Sample:
        """The sample after all of it."""
        made = self._changed(self._moved())
        record = Record(self._policy.name, self._item, self._epoch, self._seed, tuple(self._done), tuple(self._refused), tuple(self._marks))
        return dataclasses.replace(made, record=record)

    def _draw(self, name: str, *, values: int = 1) -> tuple[list[float], Range, np.random.Generator] | None:
        """Values of an operation with the rest of its randomness; None when it is not its turn, makes no sense, is refused or changes nothing."""
        admissible, use, strength = OPERATIONS[name].admitted(self._sample.image), self._policy.use(name, self._sample), self._policy.strength
        if admissible is None or use is None or strength == 0:
            return None
        random = chance(self._seed, self._epoch, self._item, name)
        if random.random() >= use.probability:
            return None
        if name in self._blocked:
            self._refused.append(Refusal(name, self._blocked[name]))
            return None
        found = [drawn(name, use.within(admissible), strength, random.random()) for _ in range(values)]
        return None if set(found) == {OPERATIONS[name].neutral} else (found, admissible, random)

    def _moved(self) -> Sample:
        full, units = self._amounts()
        for halved in range(_HALVINGS + 2):
            share = 0.5**halved if halved <= _HALVINGS else 0.0
            amounts = full.lessened(share)
            if amounts.nothing:
                break
            where = place.affine(self._sample.image, amounts)
            if share and place.picture_share(self._sample.image, where) < self._policy.seen:
                continue
            marks, fates = place.move_marks(self._sample, where, self._policy.visible)
            if share and not self._drop and not all(f.kept for f in fates):
                continue
            self._tell(units, amounts, share)
            self._marks += fates
            return dataclasses.replace(marks, image=place.move_image(self._sample.image, where))
        self._refused += [Refusal(name, _TOO_MUCH) for name in units]
        return self._sample

    def _tell(self, units: dict[str, str], amounts: place.Amounts, share: float) -> None:
        down, across = self._sample.image.spacing if units.get("shift") == "mm" and self._sample.image.spacing else (1.0, 1.0)
        shift = (amounts.across * across, amounts.down * down)
        values = {"rotation": (amounts.rotation,), "scale": (amounts.scale,), "shift": shift, "crop": (amounts.crop,), FLIP: (1.0,)}
        for name, unit in units.items():
            if share or name == FLIP:
                self._done.append(Done(name, values[name], unit))
            else:
                self._refused.append(Refusal(name, _TOO_MUCH))
        if 0 < share < 1:
            self._refused.append(Refusal("movement", f"lessened to {share:g} of what was drawn: {_TOO_MUCH}"))

    def _amounts(self) -> tuple[place.Amounts, dict[str, str]]:
        """What is drawn of all that moves, and the unit of each part of it."""
        found: dict[str, float | bool] = {}
        units: dict[str, str] = {}
        for name in ("rotation", "scale", "shift", "crop"):
            got = self._draw(name, values=2 if name == "shift" else 1)
            if got is None:
                continue
            values, admissible, random = got
            units[name] = admissible.unit
            if name == "shift":
                found["across"], found["down"] = self._pixels(values, admissible.unit)
            elif name == "crop":
                found["x"], found["y"] = (float(v) for v in random.random(2))
                found["crop"] = values[0] if self._sample.marked else min(values[0], UNMARKED_CROP)
            else:
                found[name] = values[0]
        if self._flip():
            units[FLIP] = "left and right"
            found["mirror"] = True
        return place.Amounts(**found), units  # type: ignore[arg-type]  # the one bool is `mirror`

    def _pixels(self, values: list[float], unit: str) -> tuple[float, float]:
        """A shift in pixels across and down, at most `SHIFT_LIMIT` of each side."""
        image = self._sample.image
        down, across = image.spacing if unit == "mm" and image.spacing else (1.0, 1.0)
        x, y = SHIFT_LIMIT * image.cols, SHIFT_LIMIT * image.rows
        return max(-x, min(x, values[0] / across)), max(-y, min(y, values[1] / down))

    def _flip(self) -> bool:
        flip = self._policy.flip
        if flip is None or self._policy.strength == 0 or chance(self._seed, self._epoch, self._item, FLIP).random() >= flip.probability:
            return False
        if FLIP in self._blocked:
            self._refused.append(Refusal(FLIP, self._blocked[FLIP]))
        return FLIP not in self._blocked

    def _changed(self, sample: Sample) -> Sample:
        image = sample.image
        for name, make in CHANGES.items():
            got = self._draw(name)
            if got is None:
                continue
            [asked], admissible, random = got
            value = done_for(name, image, asked, admissible.unit)
            if value is None:
                continue
            image = make(image, value, admissible.unit, random)
            self._done.append(Done(name, (value,), admissible.unit))
        return sample if image is sample.image else dataclasses.replace(sample, image=image)
