"""Frames of a dataset as grey pictures in which letters can be seen, whatever the depth, colour space or polarity.

In: a dataset, one frame at a time. Out: uint8 [rows, cols] sheets. One sheet cannot show everything: of deep images one shows the usual range and one each
value against its surroundings; of colour images one shows brightness and one colour.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from vesalius.errors import UnreadableStudy
from vesalius.formats import bounds, codecs, header, palette, pixels
from vesalius.formats.decode import Claim, Stored, decode, read_claim
from vesalius.formats.isolated import Isolated

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

Grey = NDArray[np.uint8]

NOWHERE = Path("image")
"""Stands for the file in messages: a dataset does not know its own."""

_LUMA = np.array((0.299, 0.587, 0.114), np.float32)
_COLOURFUL = 12  # levels between channels from which hue may carry letters
_SPREAD = 40.0  # grey levels of one local standard deviation
_BAND = 2**23  # values of a band
_BIG_ENDIAN = "1.2.840.10008.1.2.2"


def claim_of(dataset: Dataset) -> Claim:
    """What the header claims of the pixels, all frames held to the bounds. Raises: UnreadableStudy: malformed, absurd, or without meta information."""
    if getattr(dataset, "file_meta", None) is None:
        raise UnreadableStudy(NOWHERE, "does not say in which transfer syntax its pixels are encoded", remedy="give it its file meta information")
    claim = read_claim(dataset, NOWHERE)
    bounds.check_image(NOWHERE, rows=claim.rows, cols=claim.cols, frames=claim.frames, samples=claim.samples, kept=claim.frames)
    return claim


def stored_frame(dataset: Dataset, claim: Claim, index: int, gdcm: Isolated) -> Stored:
    """One frame, decoded within bounds; colour as RGB. Raises: as `formats.decode.decode`."""
    size = claim.rows * claim.cols * claim.samples
    data = dataset[claim.keyword].value or b""
    if claim.allocated == 1 and claim.frames > 1 and size % 8 and not codecs.DECODERS.get(claim.syntax, ("other",)) and 8 * len(data) >= size * claim.frames:
        # frames of single bits begin in the middle of a byte, which pydicom does not undo for one frame alone
        first = index * size
        bits = np.unpackbits(np.frombuffer(data[first // 8 : (first + size + 7) // 8], np.uint8), bitorder="little")[first % 8 :][:size]
        return Stored(bits.reshape(1, claim.rows, claim.cols), claim.photometric)
    return decode(dataset, NOWHERE, claim, range(index, index + 1), gdcm)


def sheets(dataset: Dataset, claim: Claim, stored: Stored) -> tuple[Grey, ...]:
    """The grey pictures of the first frame in `stored`.

    Returns:
        Two sheets of a deep or coloured frame, one of any other.

    Raises:
        UnreadableStudy: a palette that is missing or malformed.
    """
    if stored.photometric == "PALETTE COLOR":
        return _colour(palette.palette_to_rgb(stored.values[:1], dataset, NOWHERE, claim.syntax != _BIG_ENDIAN)[0])
    frame = stored.values[0]
    if frame.ndim == 3 and frame.shape[-1] == 3:
        return _colour(pixels.to_rgb(frame, claim.stored))
    if frame.ndim == 3:  # more samples than colours: each is looked at
        return tuple(sheet for k in range(frame.shape[-1]) for sheet in _grey(dataset, frame[..., k], inverted=False))
    return _grey(dataset, frame, inverted=stored.photometric == "MONOCHROME1")


def _colour(rgb: NDArray[np.uint8]) -> tuple[Grey, ...]:
    bright = np.rint(rgb @ _LUMA).astype(np.uint8)
    red, blue = rgb[..., 0].astype(np.int16), rgb[..., 2].astype(np.int16)
    if int(np.ptp(rgb, axis=-1).max(initial=0)) < _COLOURFUL:
        return (bright,)
    return bright, ((red - blue) // 2 + 128).astype(np.uint8)


def _grey(dataset: Dataset, frame: NDArray[Any], *, inverted: bool) -> tuple[Grey, ...]:
    values = np.nan_to_num(frame.astype(np.float32), nan=0.0, posinf=0.0, neginf=0.0)
    if inverted:
        values = values.max(initial=0) - values
    low, high = float(values.min(initial=0)), float(values.max(initial=0))
    if frame.dtype.itemsize == 1 and high - low >= 64:
        return (values.astype(np.uint8),) if low >= 0 else ((values - low).astype(np.uint8),)
    window = pixels.robust_window(values, header.number(dataset, "PixelPaddingValue"))
    if window is None:
        return (np.zeros(frame.shape, np.uint8),)
    bottom = window.center - window.width / 2
    usual = np.clip((values - bottom) / window.width * 255, 0, 255).astype(np.uint8)
    return usual, local(values)


def local(values: NDArray[np.float32]) -> Grey:
    """Each value against its surroundings: less the mean of about 1/40 of the picture around it, over the standard deviation there.

    Shows faint letters on any ground, in shadow and in saturation. Args: values [rows, cols]; large pictures are worked on in bands.
    """
    radius = max(6, min(values.shape) // 80)
    edge, rows = 3 * radius + 2, values.shape[0]
    height = max(4 * edge, _BAND // max(1, values.shape[1]))
    shown = np.empty(values.shape, np.uint8)
    for top in range(0, rows, height):
        start, end = max(0, top - edge), min(rows, top + height + edge)
        band = _against(values[start:end], radius)
        shown[top : top + height] = band[top - start : top - start + height]
    return shown


def _against(values: NDArray[np.float32], radius: int) -> Grey:
    apart = values - _box(values, radius)
    spread = np.sqrt(_box(apart * apart, 2 * radius))
    floor = max(1e-6, 0.02 * float(spread.mean()))
    return np.clip(128 + _SPREAD * apart / (spread + floor), 0, 255).astype(np.uint8)


def _box(values: NDArray[np.float32], radius: int) -> NDArray[np.float32]:
    """Mean over a square of 2 radius + 1, the border repeated: two running sums."""
    for axis in (0, 1):
        padded = np.pad(values, [(radius + 1, radius) if a == axis else (0, 0) for a in (0, 1)], mode="edge")
        total = np.cumsum(padded, axis=axis, dtype=np.float64)
        step = 2 * radius + 1
        upper, lower = (total[step:], total[:-step]) if axis == 0 else (total[:, step:], total[:, :-step])
        values = ((upper - lower) / step).astype(np.float32)
    return values
