"""Which frames of a multi-frame image have to be read: the first, and every one that shows something new that may be letters.

In: the sheets of one frame after the other. Out: yes or no. A frame is left out only when each cell of it that looks like letters is filled already in all
frames, or is, pixel by pixel, what it was in a frame that has been read.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from vesalius.formats.deidentify.burned import letters

Grey = NDArray[np.uint8]
Mask = NDArray[np.bool_]


class Watch:
    """Compares frames with those that were read; it holds the sheets of the last one read.

    Args:
        limit: likelihood from which a cell looks like letters; 0 wants every frame read that differs.
    """

    def __init__(self, limit: float = letters.LIMIT) -> None:
        self._last: tuple[Grey, ...] = ()
        self._limit = limit

    def has_read(self, sheets: Sequence[Grey]) -> None:
        """Remember a frame that went through the reader."""
        self._last = tuple(sheets)

    def is_new(self, sheets: Sequence[Grey], filled: Mask) -> bool:
        """Whether a frame must be read.

        Args:
            sheets: of the frame, uint8 [rows, cols] each. filled: [rows, cols], what will be filled in all frames.
        """
        if len(sheets) != len(self._last):
            return True
        return any(_shows_new(now, before, filled, self._limit) for now, before in zip(sheets, self._last, strict=True))


def _shows_new(now: Grey, before: Grey, filled: Mask, limit: float) -> bool:
    changed = now != before
    changed &= ~filled
    if not changed.any():
        return False
    for factor, heat in letters.maps(now):
        cells = _in_cells(changed, letters.CELL * factor, heat.shape)
        if bool((cells & (heat >= limit)).any()):
            return True
    return False


def _in_cells(mask: Mask, side: int, shape: tuple[int, ...]) -> Mask:
    """Whether any pixel of each cell is in the mask."""
    tall = np.zeros((shape[0] * side, shape[1] * side), bool)
    rows, cols = min(mask.shape[0], tall.shape[0]), min(mask.shape[1], tall.shape[1])
    tall[:rows, :cols] = mask[:rows, :cols]
    return np.asarray(tall.reshape(shape[0], side, shape[1], side).any(axis=(1, 3)))
