"""Pictures with letters, and readers that know where they are, for tests of burned-in text."""

from __future__ import annotations

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from vesalius.formats.deidentify.burned.reading import Box

BOX = np.array([[8, 4], [24, 4], [24, 12], [8, 12]], float)
"""Corners (x, y) of the text that `Fixed` finds."""


def box(x0: float, y0: float, x1: float, y1: float, text: str = "DOE JOHN", score: float = 0.99) -> Box:
    return Box(np.array([[x0, y0], [x1, y0], [x1, y1], [x0, y1]], float), text, score)


class Fixed:
    """Finds its boxes while there is more than one grey level in them; counts how often it was asked."""

    def __init__(self, *boxes: Box) -> None:
        self.boxes, self.seen = boxes, 0

    def read(self, grey: np.ndarray) -> tuple[Box, ...]:
        assert grey.dtype == np.uint8
        assert grey.ndim == 2
        self.seen += 1
        return tuple(b for b in self.boxes if np.ptp(grey[self._inside(b)]) > 0)

    @staticmethod
    def _inside(b: Box) -> tuple[slice, slice]:
        (x0, y0), (x1, y1) = b.polygon.min(axis=0).astype(int), b.polygon.max(axis=0).astype(int)
        return np.s_[max(0, y0) : y1, max(0, x0) : x1]


def letters(
    text: str, *, rows: int = 128, cols: int = 256, at: tuple[int, int] = (20, 40), size: int = 20, ground: float = 60, level: float = 200, noise: float = 2
) -> np.ndarray:
    """A grey picture [rows, cols] uint8 with a text at (x, y)."""
    sheet = Image.new("L", (cols, rows))
    ImageDraw.Draw(sheet).text(at, text, fill=255, font=ImageFont.load_default(size))
    mask = np.asarray(sheet, float) / 255
    picture = ground + np.random.default_rng(0).normal(0, noise, (rows, cols)) + (level - ground) * mask
    return np.clip(np.rint(picture), 0, 255).astype(np.uint8)
