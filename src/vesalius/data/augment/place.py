"""Where everything goes: one affine map for rotation, scale, shift, crop and mirror together, and pixels, masks, boxes, points and header facts moved by it.

In: an `Image` and amounts. Out: an `Affine` in coordinates of pixel edges, and what it moves. Pixels are interpolated once (bicubic, kept within their old
range); boxes are the bounds of their turned corners within the picture; spacing, orientation and position are those of the new grid.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image as Picture

from vesalius.data.augment.sample import Box, Fate, Point, Sample
from vesalius.data.corruptions.display import display_of
from vesalius.domain.finding import Region
from vesalius.domain.study import Image, Intensity, Overlay

AIR = -1000.0  # HU
_LEAST = 1e-6  # pixels; a narrower rest of a box is none
Corners = NDArray[np.float64]  # [n, 2]: x, y


@dataclasses.dataclass(frozen=True)
class Affine:
    """(x, y) -> (a x + b y + c, d x + e y + f)."""

    a: float = 1.0
    b: float = 0.0
    c: float = 0.0
    d: float = 0.0
    e: float = 1.0
    f: float = 0.0

    def __call__(self, points: Corners) -> Corners:
        """[n, 2] moved."""
        return np.asarray(points @ np.array([[self.a, self.d], [self.b, self.e]]) + (self.c, self.f))

    def then(self, other: Affine) -> Affine:
        """This map, then the other."""
        o, s = other, self
        return Affine(
            o.a * s.a + o.b * s.d, o.a * s.b + o.b * s.e, o.a * s.c + o.b * s.f + o.c,
            o.d * s.a + o.e * s.d, o.d * s.b + o.e * s.e, o.d * s.c + o.e * s.f + o.f,
        )  # fmt: skip

    def inverse(self) -> Affine:
        """The way back."""
        det = self.a * self.e - self.b * self.d
        a, b, d, e = self.e / det, -self.b / det, -self.d / det, self.a / det
        return Affine(a, b, -(a * self.c + b * self.f), d, e, -(d * self.c + e * self.f))

    @property
    def mirrors(self) -> bool:
        """Whether left and right are exchanged."""
        return self.a * self.e - self.b * self.d < 0


@dataclasses.dataclass(frozen=True)
class Amounts:
    """How much of each.

    Args:
        rotation: degrees, to the left as seen. scale: factor of what is shown. across, down: pixels. crop: share of each side cut off.
        x, y: place of the crop, 0 to 1. mirror: left and right exchanged.
    """

    rotation: float = 0.0
    scale: float = 1.0
    across: float = 0.0
    down: float = 0.0
    crop: float = 0.0
    x: float = 0.5
    y: float = 0.5
    mirror: bool = False

    @property
    def nothing(self) -> bool:
        """Whether nothing moves."""
        return (self.rotation, self.scale, self.across, self.down, self.crop, self.mirror) == (0, 1, 0, 0, 0, False)

    def lessened(self, share: float) -> Amounts:
        """A share of them."""
        return dataclasses.replace(
            self,
            rotation=self.rotation * share,
            scale=self.scale**share,
            across=self.across * share,
            down=self.down * share,
            crop=self.crop * share,
        )


def affine(image: Image, amounts: Amounts) -> Affine:
    """The map of an image for these amounts: about its middle, in millimetres where spacing is known, so that a turned circle stays a circle."""
    down, across = image.spacing or (1.0, 1.0)
    x, y, angle = image.cols / 2, image.rows / 2, math.radians(amounts.rotation)
    s, c = math.sin(angle) * amounts.scale, math.cos(angle) * amounts.scale
    sign, ratio = (-1.0 if amounts.mirror else 1.0), down / across
    turned = Affine(sign * c, sign * s * ratio, 0.0, -s / ratio, c, 0.0)
    middle = Affine(c=-x, f=-y).then(turned).then(Affine(c=x + amounts.across, f=y + amounts.down))
    zoom = 1 / (1 - amounts.crop)
    cut = Affine(zoom, 0.0, -zoom * amounts.x * amounts.crop * image.cols, 0.0, zoom, -zoom * amounts.y * amounts.crop * image.rows)
    return middle.then(cut)


def move_marks(sample: Sample, where: Affine, least: float) -> tuple[Sample, list[Fate]]:
    """Boxes, points and masks moved, the picture not yet. Those of which less than `least` is visible are left out; fates tell of all that lost a part."""
    boxes, cut = move_boxes(sample, where, least)
    points, away = move_points(sample, where)
    masks, gone = move_masks(sample, where, least)
    return dataclasses.replace(sample, boxes=boxes, points=points, masks=masks), [*cut, *away, *gone]


def seen(corners: Corners, rows: int, cols: int) -> tuple[Corners, float]:
    """A convex polygon cut to the picture, and the share of its area that is left."""
    whole, cut = _area(corners), corners
    for axis, limit, keep_low in ((0, 0.0, False), (0, float(cols), True), (1, 0.0, False), (1, float(rows), True)):
        cut = _cut(cut, axis, limit, keep_low)
    return cut, _area(cut) / whole if whole > 0 else 0.0


def _cut(corners: Corners, axis: int, limit: float, keep_low: bool) -> Corners:
    """The part of a convex polygon on one side of a line."""
    kept: list[NDArray[np.float64]] = []
    inside = corners[:, axis] <= limit if keep_low else corners[:, axis] >= limit
    for i in range(len(corners)):
        a, b = corners[i - 1], corners[i]
        if inside[i - 1] != inside[i]:
            kept.append(a + (b - a) * (limit - a[axis]) / (b[axis] - a[axis]))
        if inside[i]:
            kept.append(b)
    return np.array(kept).reshape(-1, 2)


def _area(corners: Corners) -> float:
    x, y = corners[:, 0], corners[:, 1]
    return float(abs(x @ np.roll(y, -1) - y @ np.roll(x, -1)) / 2) if len(corners) > 2 else 0.0


def corners_of(x0: float, y0: float, x1: float, y1: float) -> Corners:
    """Of a box, around it."""
    return np.array([(x0, y0), (x1, y0), (x1, y1), (x0, y1)], dtype=np.float64)


def picture_share(image: Image, where: Affine) -> float:
    """How much of the old picture is on the new one."""
    return seen(where(corners_of(0, 0, image.cols, image.rows)), image.rows, image.cols)[1]


def move_boxes(sample: Sample, where: Affine, least: float) -> tuple[tuple[Box, ...], list[Fate]]:
    """Boxes moved; one of which less than `least` is visible is left out. Fates tell of all that lost a part."""
    rows, cols, kept, fates = sample.image.rows, sample.image.cols, [], []
    for box in sample.boxes:
        r = box.region
        old = corners_of(r.x0, r.y0, min(r.x1, cols), min(r.y1, rows))
        cut, share = seen(where(old), rows, cols)
        region = _bounds(cut, rows, cols) if share >= least else None
        if share < 1 - 1e-9:
            fates.append(Fate("box", box.name, share, region is not None))
        if region is not None:
            kept.append(Box(box.name, region))
    return tuple(kept), fates


def _bounds(cut: Corners, rows: int, cols: int) -> Region | None:
    if not len(cut):
        return None
    x0, y0 = (float(v) for v in np.maximum(cut.min(0), 0))
    x1, y1 = (float(v) for v in np.minimum(cut.max(0), (cols, rows)))
    return Region(x0, y0, x1, y1) if x1 - x0 > _LEAST and y1 - y0 > _LEAST else None


def move_points(sample: Sample, where: Affine) -> tuple[tuple[Point, ...], list[Fate]]:
    """Points moved; those outside the picture are left out."""
    kept, fates = [], []
    for point in sample.points:
        x, y = (float(v) for v in where(np.array([(point.x, point.y)]))[0])
        if 0 <= x <= sample.image.cols and 0 <= y <= sample.image.rows:
            kept.append(Point(point.name, x, y))
        else:
            fates.append(Fate("point", point.name, 0.0, kept=False))
    return tuple(kept), fates


def move_masks(sample: Sample, where: Affine, least: float) -> tuple[dict[str, NDArray[np.bool_]], list[Fate]]:
    """Masks moved; one of which less than `least` is visible is left out, an empty one stays."""
    kept, fates = {}, []
    for name, mask in sample.masks.items():
        y, x = np.nonzero(mask)
        share = 1.0
        if len(x):
            at = where(np.stack([x + 0.5, y + 0.5], axis=1))
            share = float(np.mean((at >= 0).all(1) & (at[:, 0] <= mask.shape[1]) & (at[:, 1] <= mask.shape[0])))
        if share >= least:
            kept[name] = move_mask(mask, where)
        if share < 1:
            fates.append(Fate("mask", name, share, kept=share >= least))
    return kept, fates


def move_mask(mask: NDArray[np.bool_], where: Affine) -> NDArray[np.bool_]:
    """A mask (rows, cols) moved: a pixel is in it when more than half of it is."""
    return np.asarray(_plane((mask * np.uint8(255)).astype(np.uint8), where, 0, Picture.Resampling.BILINEAR) > 127)


def _plane(plane: NDArray[Any], where: Affine, fill: Any, how: Picture.Resampling) -> NDArray[Any]:  # noqa: ANN401 - a grey value or a colour
    back = where.inverse()
    coefficients = (back.a, back.b, back.c, back.d, back.e, back.f)
    picture = Picture.fromarray(np.ascontiguousarray(plane))
    return np.asarray(picture.transform(picture.size, Picture.Transform.AFFINE, coefficients, how, fillcolor=fill))


def move_image(image: Image, where: Affine) -> Image:
    """An image moved. What comes into view from outside is padding where the header has it, air for Hounsfield units, else what is shown black."""
    facts: dict[str, Any] = {"uid": None, "overlays": tuple(_overlay(o, where) for o in image.overlays), **_geometry(image, where)}
    if image.is_colour:
        frames = [np.minimum(_plane(frame, where, (0, 0, 0), Picture.Resampling.BICUBIC), frame.max((0, 1))) for frame in image.pixels]
        return dataclasses.replace(image, pixels=np.stack(frames), **facts)
    display = display_of(image)
    black = float(display.pixels(np.zeros(1))[0])
    if image.intensity is Intensity.HOUNSFIELD:
        black = min(black, AIR)
    pixels = np.stack(list(_frames(image, where, black)))
    return dataclasses.replace(image, pixels=pixels, voi=image.voi if display.window is None else (display.window,), **facts)


def _frames(image: Image, where: Affine, black: float) -> Iterator[NDArray[np.float32]]:
    pad = None if image.pad is None else np.float32(image.pad)
    for frame in image.pixels:
        padding = None if pad is None else frame == pad
        # padding is no measurement: interpolated with its neighbours it would become one
        plain = frame if padding is None or not padding.any() else np.where(padding, np.float32(black), frame)
        if image.intensity is Intensity.BINARY:
            yield (_plane(plain.astype(np.float32), where, black, Picture.Resampling.BILINEAR) >= 0.5).astype(np.float32)
            continue
        moved = _plane(plain, where, black, Picture.Resampling.BICUBIC)
        moved = np.clip(moved, min(float(plain.min()), black), max(float(plain.max()), black)).astype(np.float32)
        if pad is not None and padding is not None:
            body = move_mask(~padding, where)
            moved = np.where(body, moved, pad)
        yield moved


def _overlay(overlay: Overlay, where: Affine) -> Overlay:
    planes = overlay.mask if overlay.mask.ndim == 3 else overlay.mask[None]
    moved = np.stack([move_mask(plane, where) for plane in planes])
    return dataclasses.replace(overlay, mask=moved if overlay.mask.ndim == 3 else moved[0])


def _geometry(image: Image, where: Affine) -> dict[str, Any]:
    """Spacing, orientation and position of the new grid; a mirrored body has no place in the patient."""
    if image.spacing is None:
        return {"orientation": None, "position": None}
    down, across = image.spacing
    back = where.inverse()
    spacing = (math.hypot(back.b * across, back.e * down), math.hypot(back.a * across, back.d * down))
    if image.orientation is None or where.mirrors:
        return {"spacing": spacing, "orientation": None, "position": None}
    row, column = np.array(image.orientation[:3]) * across, np.array(image.orientation[3:]) * down
    first = back(np.array([(0.5, 0.5)]))[0] - 0.5
    turned = ((row * back.a + column * back.d) / spacing[1], (row * back.b + column * back.e) / spacing[0])
    position = None if image.position is None else tuple(float(v) for v in np.array(image.position) + row * first[0] + column * first[1])
    return {"spacing": spacing, "orientation": tuple(float(v) for v in np.concatenate(turned)), "position": position}
