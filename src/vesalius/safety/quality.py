"""What can be measured of a rendered picture before anybody believes an answer about it: size, exposure, contrast, noise, colour.

In: the picture as the model is shown it, uint8. Out: `Quality`, plain facts; which of them are too bad is decided in `scope`.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vesalius.errors import InvalidValue

_COLOURED = 30  # levels between the largest and the smallest channel, above JPEG's chroma noise on grey pictures


@dataclasses.dataclass(frozen=True)
class Quality:
    """Facts of a picture; grey values run 0..255.

    Args:
        rows, cols: pixels.
        mean: mean grey value. dark_end, bright_end: 1st and 99th percentile.
        clipped_low, clipped_high: share of pixels at 0 and at 255.
        levels: number of grey values that occur.
        smoothness: correlation of neighbouring pixels: near 1 in anatomy, near 0 in noise; None when the picture is constant.
        coloured: share of pixels whose channels differ by more than 30.
    """

    rows: int
    cols: int
    mean: float
    dark_end: float
    bright_end: float
    clipped_low: float
    clipped_high: float
    levels: int
    smoothness: float | None
    coloured: float

    @property
    def contrast(self) -> float:
        """99th less 1st percentile, grey values."""
        return self.bright_end - self.dark_end

    @property
    def side(self) -> int:
        """The shorter side, pixels."""
        return min(self.rows, self.cols)


def image_quality(rendered: NDArray[Any]) -> Quality:
    """Measure a rendered picture.

    Args:
        rendered: (rows, cols) or (rows, cols, 3), uint8.

    Raises:
        InvalidValue: another shape or type, or no pixels.
    """
    picture = np.asarray(rendered)
    grey_shape = picture.ndim == 2
    if picture.dtype != np.uint8 or not (grey_shape or (picture.ndim == 3 and picture.shape[2] == 3)) or 0 in picture.shape:
        raise InvalidValue(f"a rendered picture is (rows, cols) or (rows, cols, 3) uint8 (got {picture.shape} {picture.dtype})", remedy="render it first")
    # Rec. 601 luma, as every viewer shows it.
    grey = picture if grey_shape else np.rint(picture @ np.array([0.299, 0.587, 0.114])).astype(np.uint8)
    histogram = np.bincount(grey.ravel(), minlength=256) / grey.size
    reached = np.cumsum(histogram)
    spread = 0.0 if grey_shape else float((np.ptp(picture, axis=2) > _COLOURED).mean())
    return Quality(
        rows=int(grey.shape[0]),
        cols=int(grey.shape[1]),
        mean=float(histogram @ np.arange(256)),
        dark_end=float(np.searchsorted(reached, 0.01)),
        bright_end=float(np.searchsorted(reached, 0.99 - 1e-12)),
        clipped_low=float(histogram[0]),
        clipped_high=float(histogram[255]),
        levels=int((histogram > 0).sum()),
        smoothness=_smoothness(grey),
        coloured=spread,
    )


def _smoothness(grey: NDArray[np.uint8]) -> float | None:
    """Mean lag-1 autocorrelation along rows and columns."""
    values = grey.astype(np.float32)
    values -= values.mean()
    variance = float((values**2).mean())
    if variance == 0:
        return None
    along = [float((a * b).mean()) for a, b in ((values[:, 1:], values[:, :-1]), (values[1:], values[:-1])) if a.size]
    return float(np.clip(np.mean(along) / variance, -1, 1)) if along else None
