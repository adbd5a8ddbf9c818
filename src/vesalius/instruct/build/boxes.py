"""Boxes as text: "[x0, y0, x1, y1]", each a share of the image's width or height with three decimals, from the upper left corner; several one after another.

In: regions in pixels and the size of their image. Out: text; and regions again, to within half a thousandth of a side.
The same shares follow the answers that `instruct.generate` writes.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

from vesalius.domain.finding import Region
from vesalius.errors import DataMissing, InvalidValue

CONVENTION = "Write boxes as [x0, y0, x1, y1] in shares of width and height from the upper left corner."
NONE = "none"
_BOX = re.compile(r"\[(\d\.\d{3}), (\d\.\d{3}), (\d\.\d{3}), (\d\.\d{3})\]")


def write(regions: Iterable[Region], width: int, height: int) -> str:
    """The boxes as text, from left to right; "none" without any.

    Raises:
        InvalidValue: a box reaches over the edge, or is so thin that its two ends are written alike.
    """
    found = []
    for region in sorted(regions, key=lambda r: (r.x0, r.y0, r.x1, r.y1)):
        if region.x1 > width or region.y1 > height:
            raise InvalidValue(f"a box reaches to {region.x1:g}, {region.y1:g} in an image of {width} x {height}", remedy="cut it at the edge")
        text = ", ".join(f"{v / s:.3f}" for v, s in zip((region.x0, region.y0, region.x1, region.y1), (width, height) * 2, strict=True))
        x0, y0, x1, y1 = text.split(", ")
        if x0 == x1 or y0 == y1:
            raise InvalidValue("a box is too thin to be written with three decimals", remedy="leave it out")
        found.append(f"[{text}]")
    return " ".join(found) or NONE


def read(text: str, width: int, height: int) -> tuple[Region, ...]:
    """The boxes of a text that `write` wrote, in its order.

    Raises:
        InvalidValue: the text holds anything else, or a box whose ends are exchanged or outside the image.
    """
    rest = _BOX.sub("", text)
    if rest.strip() not in ("", NONE) or (rest.strip() == NONE and rest != text) or not text.strip():
        raise InvalidValue(f"{text[:60]!r} is no list of boxes", remedy=CONVENTION)
    shares = [[float(share) for share in match.groups()] for match in _BOX.finditer(text)]
    if any(share > 1 for box in shares for share in box):
        raise InvalidValue(f"{text[:60]!r} leaves the image", remedy=CONVENTION)
    return tuple(Region(x0 * width, y0 * height, x1 * width, y1 * height) for x0, y0, x1, y1 in shares)


def inside(region: Region, width: int, height: int) -> Region | None:
    """The part inside the image; None when nothing is."""
    x1, y1 = min(region.x1, float(width)), min(region.y1, float(height))
    return Region(region.x0, region.y0, x1, y1) if x1 > region.x0 and y1 > region.y0 else None


def size(path: Path) -> tuple[int, int]:
    """Width and height of a picture, from its header alone. Raises: DataMissing."""
    from PIL import Image as Picture  # the other families need no Pillow

    try:
        with Picture.open(path) as picture:
            return picture.size
    except (OSError, SyntaxError, ValueError, Picture.DecompressionBombError) as error:
        raise DataMissing(f"{path}: cannot be read as a picture", remedy="run 'vesalius data check ROOT' to see what is missing") from error
