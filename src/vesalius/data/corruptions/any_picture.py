"""Faults that any picture can have: blur, rotation, a crop, fewer pixels, JPEG.

In: an `Image`, one parameter, randomness. Out: an `Image` of the same shape. Those that move what is shown drop the facts of the header that no longer
hold (orientation, position, graphics) and say so in their table.
"""

from __future__ import annotations

import io
import math
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image as Picture

from vesalius.data.corruptions.display import Values, by_frame, on_display
from vesalius.domain.study import Image

FIELD = 350.0  # mm along the longer side, where spacing is unknown
_MOVED: dict[str, Any] = {"orientation": None, "position": None, "overlays": ()}


def blur(image: Image, sd: float, random: np.random.Generator) -> Image:  # noqa: ARG001
    """A Gaussian point spread of `sd` mm (focal spot, motion of the scanner, a soft kernel), in pixels by the spacing, else by a field of 350 mm."""
    down, across = image.spacing or (FIELD / max(image.rows, image.cols),) * 2

    def smooth(shown: Values) -> Values:
        return _along(_along(shown, sd / down, 1), sd / across, 2)

    return on_display(image, smooth)


def _along(values: Values, sd: float, axis: int) -> Values:
    """Convolved with a sampled Gaussian of `sd` pixels along one axis, the border's value going on beyond it."""
    reach = math.ceil(4 * sd)
    weights = np.exp(-0.5 * (np.arange(-reach, reach + 1) / sd) ** 2)
    weights /= weights.sum()
    border = [(0, 0)] * values.ndim
    border[axis] = (reach, reach)
    wide, size, made = np.pad(values, border, mode="edge"), values.shape[axis], np.zeros_like(values)
    for place, weight in enumerate(weights):
        made += weight * wide[(slice(None),) * axis + (slice(place, place + size),)]
    return made


def rotation(image: Image, degrees: float, random: np.random.Generator) -> Image:
    """Turned about its middle, to the left or to the right; corners that come into view are black."""
    angle = degrees if random.random() < 0.5 else -degrees

    def turn(plane: NDArray[np.float32]) -> NDArray[Any]:
        return np.asarray(Picture.fromarray(plane).rotate(angle, Picture.Resampling.BICUBIC, fillcolor=0.0))

    return on_display(image, lambda shown: by_frame(shown, turn), pad=None, **_MOVED)


def crop(image: Image, share: float, random: np.random.Generator) -> Image:
    """`share` of each side cut off, at a random place, and the rest enlarged to the old shape; pixels become smaller in the body."""
    y, x = random.random(2)
    high, wide = image.rows * (1 - share), image.cols * (1 - share)
    top, left = y * (image.rows - high), x * (image.cols - wide)
    box = (left, top, left + wide, top + high)

    def enlarge(plane: NDArray[np.float32]) -> NDArray[Any]:
        return np.asarray(Picture.fromarray(plane).resize((image.cols, image.rows), Picture.Resampling.BICUBIC, box=box))

    spacing = None if image.spacing is None else (image.spacing[0] * (1 - share), image.spacing[1] * (1 - share))
    return on_display(image, lambda shown: by_frame(shown, enlarge), pad=None, spacing=spacing, **_MOVED)


def resolution(image: Image, share: float, random: np.random.Generator) -> Image:  # noqa: ARG001
    """Reduced to `share` of its pixels along each side (means of areas) and enlarged again (bicubic)."""
    small = (max(1, round(image.cols * share)), max(1, round(image.rows * share)))

    def coarse(plane: NDArray[np.float32]) -> NDArray[Any]:
        less = Picture.fromarray(plane).resize(small, Picture.Resampling.BOX)
        return np.asarray(less.resize((image.cols, image.rows), Picture.Resampling.BICUBIC))

    return on_display(image, lambda shown: by_frame(shown, coarse), pad=None)


def jpeg(image: Image, quality: float, random: np.random.Generator) -> Image:  # noqa: ARG001
    """What is shown, as JPEG of a quality (1 to 95, Pillow's) and back; what the window cut off is lost."""

    def squeeze(shown: Values) -> Values:
        eight = np.rint(np.clip(shown, 0, 1) * 255).astype(np.uint8)
        return np.stack([_through(frame, int(quality)) for frame in eight]) / 255

    return on_display(image, squeeze, lossy=True)


def _through(frame: NDArray[np.uint8], quality: int) -> NDArray[np.float64]:
    file = io.BytesIO()
    Picture.fromarray(frame).save(file, "JPEG", quality=quality)
    with Picture.open(file) as picture:
        return np.asarray(picture, dtype=np.float64)
