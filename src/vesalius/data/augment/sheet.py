"""A picture sheet: each operation that an image admits at the low end, the middle and the high end of its range, beside the image as it is.

In: an `Image`, boxes. Out: an RGB picture with the values written above each cell; boxes are drawn where they have moved to.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image as Picture
from PIL import ImageDraw, ImageFont

from vesalius.data.augment.policy import Lost, MedicalAugmentation, Use
from vesalius.data.augment.ranges import OPERATIONS, Range, against_meaning
from vesalius.data.augment.sample import Box, Sample
from vesalius.domain.finding import Region
from vesalius.errors import InvalidValue
from vesalius.formats.pixels import render, robust_window

if TYPE_CHECKING:
    from vesalius.domain.study import Image

LEVELS = ("low", "mid", "high")
_LINE, _GAP = 20, 8  # pixels: height of a line of text, space between cells
_BACK, _INK, _MARK = (24, 24, 28), (225, 225, 225), (255, 196, 0)


def levels(name: str, admissible: Range) -> tuple[float, float, float]:
    """Three values: a range that starts or ends at the neutral value by thirds of the way from it, else its low end, half its high end, and its high end."""
    operation = OPERATIONS[name]
    low, high, neutral = (operation.scale.to(v) for v in (admissible.low, admissible.high, operation.neutral))
    if low < neutral < high:
        places = (low, neutral + (high - neutral) / 2, high)
    else:
        far = low if abs(low - neutral) > abs(high - neutral) else high
        places = tuple(neutral + (far - neutral) * share for share in (1 / 3, 2 / 3, 1.0))  # type: ignore[assignment]
    one, two, three = (operation.scale.back(p) for p in places)
    return one, two, three


def shown_at(image: Image, name: str, value: float, boxes: Sequence[Box] = (), seed: int = 0) -> Sample:
    """A sample with one operation at one value. A crop is as deep as in a sample with marks, a shift the same across and down."""
    admissible = OPERATIONS[name].admitted(image)
    unit = admissible.unit if admissible is not None else None
    policy = MedicalAugmentation((Use(name, 1.0, value, value, unit, (image.modality,)),), name="sheet", lost=Lost.DROP, visible=0.25, seen=0.0)
    marked = tuple(boxes) or (Box("", _whole(image)),)
    made = policy.apply(Sample(image, boxes=marked), item="sheet", epoch=0, seed=seed)
    return made if boxes else dataclasses.replace(made, boxes=())


def draw(image: Image, boxes: Sequence[Box] = (), *, cell: int = 240, seed: int = 0) -> Picture.Image:
    """The sheet: a row for each operation, its name and unit on the left.

    Args:
        cell: pixels of a cell's longer side, 64 to 1024.

    Raises:
        InvalidValue: a cell outside these, or an image that admits no operation (ECG, segmentations).
    """
    if not 64 <= cell <= 1024:
        raise InvalidValue(f"a cell must have 64 to 1024 pixels (got {cell})")
    never = against_meaning(image)
    rows = [(name, r) for name, each in OPERATIONS.items() if name not in never and (r := each.admitted(image)) is not None]
    if not rows:
        raise InvalidValue(f"nothing is augmented on {image.modality}", remedy="state what the picture shows, as with --modality CR")
    image = image.frame(image.frames // 2)
    if not image.voi and not image.is_colour:  # one window for all cells, or each would show itself to best effect
        found = robust_window(image.pixels.astype(np.float32, copy=False), image.pad)
        image = dataclasses.replace(image, voi=(found,) if found else ())
    first = _cell(Sample(image, boxes=tuple(boxes)), cell)
    wide, high, label = first.width, first.height, 150
    sheet = Picture.new("RGB", (label + 4 * (wide + _GAP), len(rows) * (high + _LINE + _GAP) + _GAP), _BACK)
    pen, font = ImageDraw.Draw(sheet), ImageFont.load_default(13)
    for index, (name, admissible) in enumerate(rows):
        top = _GAP + index * (high + _LINE + _GAP)
        for line, text in enumerate((OPERATIONS[name].title, admissible.unit, f"{admissible.low:g} to {admissible.high:g}")):
            pen.text((_GAP, top + _LINE + 18 * line), text, fill=_INK, font=font)
        cells = [("as it is", first)]
        for level, value in zip(LEVELS, levels(name, admissible), strict=True):
            made = shown_at(image, name, value, boxes, seed)
            done = made.record.done if made.record else ()
            told = ", ".join(f"{v:.3g}" for v in done[0].value) if done else f"{value:.3g}: nothing to see"
            cells.append((f"{level}: {told}", _cell(made, cell)))
        for column, (text, picture) in enumerate(cells):
            left = label + column * (wide + _GAP)
            pen.text((left, top), text, fill=_INK, font=font)
            sheet.paste(picture, (left, top + _LINE))
    return sheet


def _whole(image: Image) -> Region:
    return Region(0.0, 0.0, float(image.cols), float(image.rows))


def _cell(sample: Sample, cell: int) -> Picture.Image:
    shown = render(sample.image)
    scale = cell / max(shown.shape[:2])
    size = (max(1, round(shown.shape[1] * scale)), max(1, round(shown.shape[0] * scale)))
    picture = (
        Picture.fromarray(np.ascontiguousarray(shown)).convert("RGB").resize(size, Picture.Resampling.LANCZOS if scale < 1 else Picture.Resampling.NEAREST)
    )
    pen = ImageDraw.Draw(picture)
    for box in sample.boxes:
        r = box.region.scaled(scale, scale)
        pen.rectangle((r.x0, r.y0, r.x1 - 1, r.y1 - 1), outline=_MARK, width=2)
    return picture
