"""What is seen: `Finding` with its certainty, `Region` in pixels, `Report` in sections.

In: labels, boxes, text. Out: nouns valid by construction; a label nobody gave is None, never "absent".
"""

from __future__ import annotations

import dataclasses
import enum
import math
from collections.abc import Mapping

from vesalius.errors import InvalidValue


class Certainty(enum.StrEnum):
    """CheXpert's four states; a finding that nobody mentioned is UNMENTIONED, which is not ABSENT."""

    PRESENT = "present"
    ABSENT = "absent"
    UNCERTAIN = "uncertain"
    UNMENTIONED = "unmentioned"


@dataclasses.dataclass(frozen=True)
class Region:
    """An axis-aligned box in pixel coordinates, x to the right, y down; x1 and y1 are exclusive."""

    x0: float
    y0: float
    x1: float
    y1: float

    def __post_init__(self) -> None:
        for low, high, axis in ((self.x0, self.x1, "x"), (self.y0, self.y1, "y")):
            if not (math.isfinite(low) and math.isfinite(high) and high > low):
                raise InvalidValue(f"{axis}1 must exceed {axis}0 (got {low:g}, {high:g})", remedy="give the smaller coordinate first")
        if self.x0 < 0 or self.y0 < 0:
            raise InvalidValue(f"a region starts inside the image (got x0={self.x0:g}, y0={self.y0:g})")

    @property
    def area(self) -> float:
        """Square pixels."""
        return (self.x1 - self.x0) * (self.y1 - self.y0)

    def scaled(self, sx: float, sy: float) -> Region:
        """The same box on an image resized by sx, sy."""
        return Region(self.x0 * sx, self.y0 * sy, self.x1 * sx, self.y1 * sy)


@dataclasses.dataclass(frozen=True)
class Finding:
    """One observation by its CheXpert or NIH name."""

    name: str
    certainty: Certainty
    regions: tuple[Region, ...] = ()


@dataclasses.dataclass(frozen=True)
class Report:
    """Report text by section name ("findings", "impression", ...)."""

    sections: Mapping[str, str]
    findings: tuple[Finding, ...] = ()
