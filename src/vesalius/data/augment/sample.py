"""What is augmented: a `Sample`, an image with what is asked, said and marked of it; and the `Record` of what was done to it.

In: an image, texts, labels, boxes, points, masks. Out: nouns valid by construction. Coordinates are those of pixel edges: pixel (row r, column c) covers
x from c to c + 1 and y from r to r + 1, so its middle is (c + 0.5, r + 0.5).
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vesalius.domain.finding import Region
from vesalius.domain.study import Image
from vesalius.errors import InvalidValue

LARGEST = 2**26  # values of one image; an operation holds several copies of them in double precision
_MOST = 1e12  # beyond it, one more is no longer another number
_INSIDE = 0.5  # share of a box that must lie on the picture, else its coordinates belong to another size


@dataclasses.dataclass(frozen=True)
class Box:
    """A marked region and its name; x1 and y1 are exclusive."""

    name: str
    region: Region


@dataclasses.dataclass(frozen=True)
class Point:
    """A marked place and its name, in pixels."""

    name: str
    x: float
    y: float


@dataclasses.dataclass(frozen=True)
class Done:
    """An operation that was carried out. `value` is in `unit`; a shift has its two parts, across and down, both to the right and down positive."""

    operation: str
    value: tuple[float, ...]
    unit: str


@dataclasses.dataclass(frozen=True)
class Refusal:
    """An operation that was drawn and not carried out."""

    operation: str
    reason: str


@dataclasses.dataclass(frozen=True)
class Fate:
    """What became of a mark that left the picture in part. `visible`: share of it on the picture; `kept`: whether it is still in the sample."""

    kind: str
    name: str
    visible: float
    kept: bool


@dataclasses.dataclass(frozen=True)
class Record:
    """What one `apply` did, and of what it was drawn: with the policy it says how to make the same pixels again."""

    policy: str
    item: str
    epoch: int
    seed: int
    done: tuple[Done, ...] = ()
    refused: tuple[Refusal, ...] = ()
    marks: tuple[Fate, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """An object of plain types."""
        return dataclasses.asdict(self)


@dataclasses.dataclass(frozen=True, eq=False)
class Sample:
    """An image with all that must stay true of it.

    Args:
        question, answer, report: texts; "" where there is none. No operation changes a text: what would make it wrong is refused.
        labels: names of findings that hold for the image.
        boxes, points: marks, in pixels; they hold for every frame.
        masks: name to (rows, cols) boolean.
        lettered: whether letters or side markers are drawn into the pixels; None when nobody looked.
        record: what the last `apply` did.

    Raises:
        InvalidValue: more than 2^26 values, values that are no numbers or beyond 10^12, a mask of another size, a point outside, or a box outside by half.
    """

    image: Image
    question: str = ""
    answer: str = ""
    report: str = ""
    labels: tuple[str, ...] = ()
    boxes: tuple[Box, ...] = ()
    points: tuple[Point, ...] = ()
    masks: Mapping[str, NDArray[np.bool_]] = dataclasses.field(default_factory=dict)
    lettered: bool | None = None
    record: Record | None = None

    def __post_init__(self) -> None:
        rows, cols, size = self.image.rows, self.image.cols, self.image.pixels.size
        if size > LARGEST:
            raise InvalidValue(f"an image to be augmented may have {LARGEST:,} values (got {size:,})", remedy="take fewer frames, or a smaller picture")
        if not self.image.is_colour and not (np.abs(self.image.pixels) <= _MOST).all():  # false for what is no number
            raise InvalidValue(
                f"the pixels hold values that are no numbers, or beyond {_MOST:g}", remedy="read the image with vesalius.formats, or replace them"
            )
        for box in self.boxes:
            _check_box(box, rows, cols)
        for point in self.points:
            if not (math.isfinite(point.x) and math.isfinite(point.y) and 0 <= point.x <= cols and 0 <= point.y <= rows):
                raise InvalidValue(f"the point {point.name!r} ({point.x:g}, {point.y:g}) lies outside {cols} x {rows} pixels")
        for name, mask in self.masks.items():
            if mask.shape != (rows, cols) or mask.dtype != np.bool_:
                raise InvalidValue(f"the mask {name!r} must be ({rows}, {cols}) of bool (got {mask.shape} of {mask.dtype})", remedy="draw it on the picture")

    @property
    def marked(self) -> bool:
        """Whether anything is marked."""
        return bool(self.boxes or self.points or self.masks)


def _check_box(box: Box, rows: int, cols: int) -> None:
    r = box.region
    inside = max(0.0, min(r.x1, cols) - r.x0) * max(0.0, min(r.y1, rows) - r.y0)
    if inside < _INSIDE * r.area:
        raise InvalidValue(
            f"the box {box.name!r} ({r.x0:g}, {r.y0:g}, {r.x1:g}, {r.y1:g}) lies outside {cols} x {rows} pixels by half or more",
            remedy="give its coordinates at the size of this picture",
        )
