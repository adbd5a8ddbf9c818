"""How large an image may claim to be: every header is held to these bounds before a byte of pixels is allocated.

In: the numbers of a header or of a codestream. Out: nothing, or `UnreadableStudy` that names the numbers.
A file of a few kilobytes can claim terabytes (a decompression bomb); the claim is refused, not tried.
"""

from __future__ import annotations

import math
from pathlib import Path

from vesalius.errors import UnreadableStudy

MAX_FRAME_VALUES = 2**28
"""Rows x columns x samples of one frame: four times a 16-bit 8k x 8k film."""

MAX_FILE_VALUES = 2**29
"""Values of all frames kept of one file: 2 GiB as float32, a CT of 2,048 slices."""

MAX_STUDY_VALUES = 2**30
"""Values of all images kept of one study: 4 GiB as float32."""

MAX_FILE_BYTES = 2**32
"""Bytes of a file, before and after inflating a deflated one: pydicom holds them in memory."""

MAX_FILES = 20_000
"""Files below a directory that is read as one study."""


def check_image(path: str | Path, *, rows: int, cols: int, frames: int, samples: int, kept: int) -> None:
    """Refuse absurd dimensions.

    Args:
        path: the file, for the message.
        rows, cols, frames, samples: as the header claims.
        kept: number of frames that will be decoded.

    Raises:
        UnreadableStudy: not positive, or beyond `MAX_FRAME_VALUES` or `MAX_FILE_VALUES`.
    """
    if min(rows, cols, frames, samples) < 1:
        raise UnreadableStudy(path, f"claims {rows} x {cols} pixels in {frames} frames of {samples} samples", remedy="export it again, the header is damaged")
    claim = f"claims {cols} x {rows} pixels, {frames} frame(s), {samples} sample(s): {rows * cols * samples * kept:,} values"
    if rows * cols * samples > MAX_FRAME_VALUES:
        raise UnreadableStudy(path, f"{claim}; one frame may hold {MAX_FRAME_VALUES:,}", remedy="give a smaller image, or one whose header is right")
    if rows * cols * samples * kept > MAX_FILE_VALUES:
        raise UnreadableStudy(path, f"{claim}; one file may hold {MAX_FILE_VALUES:,}", remedy="choose one frame with frames=K")


def check_volume(path: str | Path, shape: tuple[int, ...], already: int) -> int:
    """Values held so far with an image of this shape added.

    Raises:
        UnreadableStudy: beyond `MAX_STUDY_VALUES`.
    """
    total = already + math.prod(shape)
    if total > MAX_STUDY_VALUES:
        raise UnreadableStudy(
            path, f"the study holds more than {MAX_STUDY_VALUES:,} pixel values up to this file", remedy="give the folder of one series, or fewer files"
        )
    return total
