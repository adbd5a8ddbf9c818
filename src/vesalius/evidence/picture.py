"""The pictures on the evidence page: an image as an eye sees it, and the same with where the answer comes from laid over it.

In: an `Image`, a map in [0, 1], a box in pixels. Out: Pillow pictures that fill the box, in the proportions of the patient, not of the grid.
"""

from __future__ import annotations

import numpy as np
import PIL.Image
from numpy.typing import NDArray
from PIL import ImageFilter

from vesalius.domain.study import Image
from vesalius.formats.pixels import render

GROUND = (16, 20, 24)
HEAT = (255, 176, 0)
RIM = (255, 244, 214)
GRAPHIC = (86, 200, 255)
_LEVELS = ((0.5, HEAT, 5), (0.8, RIM, 7))  # of the peak; colour and thickness of the contour
_HIGHEST = 0.5  # opacity of the heat at its peak: the image stays readable below


def proportions(image: Image) -> float:
    """Height over width as in the patient: rows and columns times their spacing, when it is known."""
    down, across = image.spacing or (1.0, 1.0)
    return float(np.clip(image.rows * down / (image.cols * across), 0.2, 5.0))


def fitted(image: Image, box: tuple[int, int]) -> tuple[PIL.Image.Image, tuple[int, int, int, int]]:
    """The first frame inside a dark box (width, height), and where it lies in it (left, top, right, bottom)."""
    width, height = box
    ratio = proportions(image)
    wide, high = (width, max(1, round(width * ratio))) if width * ratio <= height else (max(1, round(height / ratio)), height)
    shown = PIL.Image.fromarray(render(image)).convert("RGB").resize((wide, high), PIL.Image.Resampling.BICUBIC)
    ground = PIL.Image.new("RGB", box, GROUND)
    left, top = (width - wide) // 2, (height - high) // 2
    ground.paste(shown, (left, top))
    return ground, (left, top, left + wide, top + high)


def with_heat(image: Image, heat: NDArray[np.float32], box: tuple[int, int]) -> PIL.Image.Image:
    """The fitted image in grey, with the map as amber light and contours at half and at four fifths of its peak.

    Args:
        heat: (rows, cols) in [0, 1]; of any size, it is stretched over the image.
    """
    ground, (left, top, right, bottom) = fitted(image, box)
    size = (right - left, bottom - top)
    spread = _stretched(heat, size)
    inner = ground.crop((left, top, right, bottom)).convert("L").convert("RGB")
    opacity = PIL.Image.fromarray(np.rint(spread**1.5 * _HIGHEST * 255).astype(np.uint8))
    inner.paste(HEAT, (0, 0), opacity)
    for level, colour, thickness in _LEVELS:
        inner.paste(colour, (0, 0), _contour(spread >= level, thickness))
    ground.paste(inner, (left, top))
    return ground


def with_graphics(picture: PIL.Image.Image, image: Image, place: tuple[int, int, int, int]) -> PIL.Image.Image:
    """The fitted image with the outlines of the graphics that its file carries; the model does not see them."""
    left, top, right, bottom = place
    for overlay in image.overlays:
        mask = overlay.mask if overlay.mask.ndim == 2 else overlay.mask[0]
        stretched = PIL.Image.fromarray(mask.astype(np.uint8) * 255).resize((right - left, bottom - top), PIL.Image.Resampling.BICUBIC)
        picture.paste(GRAPHIC, (left, top), _contour(np.asarray(stretched) >= 128, 5))
    return picture


def _stretched(heat: NDArray[np.float32], size: tuple[int, int]) -> NDArray[np.float32]:
    clean = np.nan_to_num(np.clip(heat, 0, 1)).astype(np.float32)
    peak = float(clean.max())
    scaled = clean / peak if peak > 0 else clean
    wide = np.asarray(PIL.Image.fromarray(scaled).resize(size, PIL.Image.Resampling.BICUBIC), dtype=np.float32)
    return np.clip(wide, np.float32(0), np.float32(1))


def _contour(inside: NDArray[np.bool_], thickness: int) -> PIL.Image.Image:
    mask = PIL.Image.fromarray(inside.astype(np.uint8) * 255)
    rim = np.asarray(mask) & ~np.asarray(mask.filter(ImageFilter.MinFilter(thickness)))
    return PIL.Image.fromarray(rim).filter(ImageFilter.GaussianBlur(0.8))
