"""A picture as two 64-bit fingerprints and a small grey copy: what copies of it are found by, and compared by.

In: a picture file. Out: a 96 x 96 grey copy, and hashes of its low frequencies (pHash; Zauner 2010), of the whole and of the picture without its rim.
The second hash is there for cropped copies: a crop of 2 % moves the hash of the whole by up to 14 bits, but brings it near that of the rimless one.
"""

from __future__ import annotations

import functools
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image as Picture

from vesalius.errors import UnreadableStudy

SIDE = 96  # pixels of the grey copy
RIM = 0.02  # share of each side that the second hash leaves out
_COARSE = 32  # the hash looks at so many pixels a side
_LOW = 8  # and keeps so many frequencies a side
_BITS = 1 << np.arange(64, dtype=np.uint64)

Grey = NDArray[np.float32]


def grey(path: Path) -> Grey:
    """The picture as (96, 96) float32 grey levels 0-255, its proportions given up.

    Raises:
        UnreadableStudy: the file is no picture, is truncated or absurdly large.
    """
    try:
        with Picture.open(path) as picture:
            picture.draft("L", (4 * SIDE, 4 * SIDE))  # a JPEG is then decoded at a fraction of its size
            if picture.mode.startswith("I;16") or picture.mode in ("I", "F"):
                levels = np.asarray(picture, np.float32)
                low, high = float(levels.min()), float(levels.max())
                plain = Picture.fromarray(((levels - low) * (255 / max(high - low, 1))).astype(np.uint8))
            else:
                plain = picture.convert("L")
    except (OSError, SyntaxError, ValueError, Picture.DecompressionBombError) as error:
        raise UnreadableStudy(
            path, f"cannot be compared ({type(error).__name__})", remedy="run 'vesalius data check ROOT' and obtain the file again"
        ) from error
    how = Picture.Resampling.BOX if min(plain.size) >= SIDE else Picture.Resampling.BICUBIC
    return np.asarray(plain.resize((SIDE, SIDE), how), np.float32)


def fingerprints(copy: Grey) -> tuple[np.uint64, np.uint64]:
    """The hashes of the whole picture and of the picture without its rim.

    Args:
        copy: of `grey`.
    """
    basis, whole, rimless = _tables()
    return _hash(whole @ copy @ whole.T, basis), _hash(rimless @ copy @ rimless.T, basis)


def _hash(coarse: NDArray[np.floating], basis: Grey) -> np.uint64:
    low = (basis @ coarse @ basis.T).ravel()
    return np.uint64(_BITS[low > np.median(low[1:])].sum())


@functools.cache
def _tables() -> tuple[Grey, Grey, Grey]:
    """The first rows of the cosine transform, and the two ways to bring 96 pixels to 32."""
    k, n = np.arange(_LOW)[:, None], np.arange(_COARSE)[None, :]
    basis = np.cos(np.pi * (2 * n + 1) * k / (2 * _COARSE)).astype(np.float32)
    return basis, _pooled(0.0), _pooled(RIM)


def _pooled(rim: float) -> Grey:
    """(32, 96): each row averages the pixels of its 32nd of the picture without the rim, those at its ends in part."""
    edges = SIDE * (rim + (1 - 2 * rim) * np.arange(_COARSE + 1) / _COARSE)
    left, right = np.maximum(edges[:-1, None], np.arange(SIDE)), np.minimum(edges[1:, None], np.arange(1, SIDE + 1))
    share = np.clip(right - left, 0, None)
    pooled: Grey = (share / share.sum(axis=1, keepdims=True)).astype(np.float32)
    return pooled
