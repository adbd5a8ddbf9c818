"""Whether two pictures are the same one: correlation of their detail, after a search over small shifts and scales.

In: two grey copies. Out: a number up to 1. The slow grey of a chest film is alike in all chests; without it (a Gaussian of 4 pixels is taken away) two films of
one patient reach 0.8 and copies of one picture 0.9 and more, also when resized, recompressed, brightened or cropped by 2 %.
"""

from __future__ import annotations

import functools

import numpy as np

from vesalius.data.leaks.prints import SIDE, Grey

SAME = 0.90  # copies under every change that was tried are above; two patients reached 0.81
_SCALES = (0.96, 0.98, 1.0, 1.02, 1.04)
_MARGIN, _SHIFT, _BLUR = 8, 2, 4.0  # pixels
_HOPELESS = 0.35  # at the best scale but without shift; to shift them all costs ten times as much


def likeness(first: Grey, second: Grey) -> float:
    """Correlation of detail in [-1, 1] at the best shift (2 pixels) and scale (4 %); 1 for equal copies, 0 where one of two has no detail.

    Pairs that stay below 0.35 at every scale are not shifted.

    Args:
        first, second: of `prints.grey`.
    """
    if np.array_equal(first, second):
        return 1.0
    blur, shrink = _tables()
    here = _unit(_detail(first, blur)[_MARGIN:-_MARGIN, _MARGIN:-_MARGIN])
    scaled = [_detail(np.asarray(table @ second @ table.T, np.float32), blur) for table in shrink]
    unmoved = max(float((here * _unit(there[_MARGIN:-_MARGIN, _MARGIN:-_MARGIN])).sum()) for there in scaled)
    return unmoved if unmoved < _HOPELESS else max(_best(here, there) for there in scaled)


def _best(here: Grey, there: Grey) -> float:
    edge, size = _MARGIN - _SHIFT, SIDE - 2 * _MARGIN
    windows = np.lib.stride_tricks.sliding_window_view(there[edge:-edge, edge:-edge], (size, size))
    means = windows.mean(axis=(2, 3))
    spread = np.sqrt(np.maximum((windows**2).mean(axis=(2, 3)) - means**2, 1e-12)) * size
    return float((np.einsum("abij,ij->ab", windows, here) / spread).max())  # `here` has mean zero, so the window's mean drops out


def _detail(copy: Grey, blur: Grey) -> Grey:
    return np.asarray(copy - blur @ copy @ blur.T, np.float32)


def _unit(window: Grey) -> Grey:
    centred = window - window.mean()
    length = float(np.sqrt((centred**2).sum()))
    return np.asarray(centred / length if length > 1e-3 else np.zeros_like(centred), np.float32)


@functools.cache
def _tables() -> tuple[Grey, tuple[Grey, ...]]:
    """The blur and the scalings as (96, 96) matrices for rows and columns."""
    at = np.arange(SIDE)
    weights = np.exp(-(((at[:, None] - at[None, :]) / _BLUR) ** 2) / 2)
    blur: Grey = (weights / weights.sum(axis=1, keepdims=True)).astype(np.float32)
    return blur, tuple(_scaling(s) for s in _SCALES)


def _scaling(scale: float) -> Grey:
    """Linear interpolation about the middle; what lies outside repeats the border."""
    place = np.clip((np.arange(SIDE) + 0.5 - SIDE / 2) / scale + SIDE / 2 - 0.5, 0, SIDE - 1)
    low = np.minimum(place.astype(int), SIDE - 2)
    table = np.zeros((SIDE, SIDE), np.float32)
    table[np.arange(SIDE), low] = 1 - (place - low)
    table[np.arange(SIDE), low + 1] += place - low
    return table
