"""Where the cheap pass sees letters: parts of a picture to look at closely, and single lines to read.

In: the maps of `letters`. Out: corners of parts, or boxes [4, 2] as (x, y) in pixels of the picture.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from vesalius.formats.deidentify.burned import letters, shapes
from vesalius.formats.deidentify.burned.shapes import Polygon

Maps = list[tuple[int, NDArray[np.float32]]]

PART = 448
"""Side of a part that is looked at closely, in pixels."""

_OVERLAP = 64
_LEAST, _MOST = 3, 400  # cells of a line
_LONG = 1.8  # length of a line over its height
_LEVELS = (letters.TEXT, 0.85)  # the second tells lines apart that run together at the first
_AT_MOST = 60  # lines of a picture; more are no text but a texture


def parts(maps: Maps, shape: tuple[int, ...], found: Sequence[Polygon]) -> Iterator[tuple[int, int]]:
    """Top and left of the parts with suspicious cells that no box covers.

    Args:
        maps: of the picture. shape: (rows, cols). found: boxes known already.
    """
    import cv2

    if max(shape) <= PART:  # it has been looked at as closely
        return
    heat = np.zeros((-(-shape[0] // letters.CELL), -(-shape[1] // letters.CELL)), np.float32)
    for factor, cells in maps:
        spread = np.repeat(np.repeat(cells, factor, axis=0), factor, axis=1)[: heat.shape[0], : heat.shape[1]]
        heat[: spread.shape[0], : spread.shape[1]] = np.maximum(heat[: spread.shape[0], : spread.shape[1]], spread)
    known = np.zeros(heat.shape, np.uint8)
    for polygon in found:
        cv2.fillPoly(known, [np.rint(polygon / letters.CELL).astype(np.int32)], 1)
    hot = (heat >= letters.TEXT) & (cv2.dilate(known, np.ones((3, 3), np.uint8)) == 0)
    step = PART - _OVERLAP
    for top in range(0, max(1, shape[0] - _OVERLAP), step):
        for left in range(0, max(1, shape[1] - _OVERLAP), step):
            inside = hot[top // letters.CELL : (top + PART) // letters.CELL, left // letters.CELL : (left + PART) // letters.CELL]
            if np.count_nonzero(inside) > 1:
                yield top, left


def words(maps: Maps) -> list[Polygon]:
    """Boxes around connected suspicious cells that lie in a line, the largest first."""
    found = [box for factor, heat in maps for level in _LEVELS for box in _lines(heat >= level, letters.CELL * factor)]
    return sorted(found, key=shapes.area, reverse=True)[:_AT_MOST]


def _lines(hot: NDArray[np.bool_], cell: int) -> Iterator[Polygon]:
    import cv2

    number, labels, facts, _ = cv2.connectedComponentsWithStats(hot.astype(np.uint8), connectivity=8)
    for label in range(1, number):
        left, top, width, height, count = (int(fact) for fact in facts[label])
        if not _LEAST <= count <= _MOST:
            continue
        ys, xs = np.nonzero(labels[top : top + height, left : left + width] == label)
        corners = np.concatenate([np.stack((xs + left + dx, ys + top + dy), axis=1) for dx in (0, 1) for dy in (0, 1)])
        box = shapes.around(corners * float(cell))
        long, short = shapes.sides(box)
        if long >= _LONG * short:
            yield box
