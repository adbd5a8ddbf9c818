"""From stored values to modality values, from modality values to what an eye sees.

In: decoded arrays and the header's tables, or an `Image`. Out: float32 in modality units, 8-bit RGB, or an 8-bit picture (`render`).
Formulas: modality LUT and rescale PS3.3 C.11.1, VOI LUT and windows C.11.2, colour C.7.6.3.1.2.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from vesalius.domain.study import Image, Intensity, LookupTable, Window
from vesalius.errors import InvalidValue, UnreadableStudy
from vesalius.formats import header

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

_LOW, _HIGH = 0.5, 99.5  # percentiles shown when a header names no window
_SAMPLE = 1_000_000  # percentiles of larger frames are taken from every k-th value


@dataclasses.dataclass(frozen=True, eq=False)
class ModalityTransform:
    """Stored value to modality value: a table when there is one, else slope and intercept; `unit` is the header's Rescale or Modality LUT Type."""

    slope: float = 1.0
    intercept: float = 0.0
    table: LookupTable | None = None
    unit: str | None = None
    stated: bool = False

    def __call__(self, stored: NDArray[Any]) -> NDArray[np.float64]:
        """Apply to stored values of any shape."""
        if self.table is not None:
            return look_up(stored, self.table).astype(np.float64)
        return stored.astype(np.float64) * self.slope + self.intercept


def read_transform(dataset: Dataset, path: Path, little_endian: bool) -> ModalityTransform:
    """The modality LUT or rescale of a dataset, or of one pixel value transformation item.

    Raises:
        UnreadableStudy: slope or intercept is not a finite number, or the slope is zero, or the table is malformed.
    """
    tables = header.items(dataset, "ModalityLUTSequence")
    if tables:
        return ModalityTransform(table=read_table(tables[0], path, little_endian), unit=header.text(tables[0], "ModalityLUTType"), stated=True)
    slope, intercept = header.decisive(dataset, "RescaleSlope", path), header.decisive(dataset, "RescaleIntercept", path)
    if slope == 0:
        raise UnreadableStudy(path, "the rescale slope in the header is 0, which makes every pixel equal", remedy="correct the header or export it again")
    stated = slope is not None or intercept is not None
    return ModalityTransform(1.0 if slope is None else slope, intercept or 0.0, None, header.text(dataset, "RescaleType"), stated)


def read_table(item: Dataset, path: Path, little_endian: bool) -> LookupTable:
    """A Modality or VOI LUT item (PS3.3 C.11.1.1.1, C.11.2.1.1); its data may be words, bytes or packed words.

    Raises:
        UnreadableStudy: descriptor or data is missing or of the wrong length.
    """
    descriptor = header.numbers(item, "LUTDescriptor", 3)
    data = header.value(item, "LUTData")
    if descriptor is None or data is None:
        raise UnreadableStudy(path, "a lookup table in the header is incomplete", remedy="export it again")
    count, first, bits = int(descriptor[0]) % 65536 or 65536, int(descriptor[1]), int(descriptor[2])
    if isinstance(data, bytes):
        kind = np.dtype("u1") if len(data) < 2 * count else np.dtype("<u2" if little_endian else ">u2")
        values = np.frombuffer(data[: len(data) // kind.itemsize * kind.itemsize], kind).astype(np.uint16)
    else:
        values = np.atleast_1d(np.asarray(data)).astype(np.uint16)
    if values.size < count or not 1 <= bits <= 16:
        raise UnreadableStudy(path, f"a lookup table has {values.size} of {count} entries of {bits} bits", remedy="export it again")
    return LookupTable(first, values[:count], bits, header.text(item, "LUTExplanation"))


def look_up(values: NDArray[Any], table: LookupTable) -> NDArray[np.uint16]:
    """Table output for each value; below the first entry the first, beyond the last the last."""
    index = np.clip(np.rint(values).astype(np.int64) - table.first, 0, table.values.size - 1)
    found: NDArray[np.uint16] = table.values[index]
    return found


def to_rgb(stored: NDArray[Any], bits: int) -> NDArray[np.uint8]:
    """Colour values of any depth to their eight most significant bits.

    Args:
        stored: (..., 3) unsigned.
        bits: bits stored per sample.
    """
    return stored.astype(np.uint8) if bits <= 8 else (stored >> (bits - 8)).astype(np.uint8)


def render(image: Image, frame: int = 0, voi: int | Window | LookupTable | None = 0) -> NDArray[np.uint8]:
    """One frame as an eye would see it: bright is high, whatever the photometric interpretation.

    Args:
        image: any image.
        frame: which frame.
        voi: index into `image.voi`, a window or table of one's own, or None for robust percentiles. Without any VOI in the header, index 0 means percentiles.

    Returns:
        (rows, cols) or (rows, cols, 3) uint8.

    Raises:
        InvalidValue: no such frame or no such VOI.
    """
    if not 0 <= frame < image.frames:
        raise InvalidValue(f"frame {frame} does not exist: the image has frames 0 to {image.frames - 1}", remedy="choose one of them")
    if image.is_colour:
        return np.array(image.pixels[frame], np.uint8)
    values = image.pixels[frame].astype(np.float64)
    shown = np.clip(values, 0, 1) if image.intensity is Intensity.BINARY else _present(values, _resolve(image, values, voi))
    return np.rint((1 - shown if image.inverted else shown) * 255).astype(np.uint8)


def _resolve(image: Image, values: NDArray[np.float64], voi: int | Window | LookupTable | None) -> Window | LookupTable | None:
    if isinstance(voi, int):
        if 0 <= voi < len(image.voi):
            return image.voi[voi]
        if image.voi or voi != 0:
            raise InvalidValue(f"VOI {voi} does not exist: the image has {len(image.voi)}", remedy="choose one of them, or None for percentiles")
        voi = None
    return robust_window(values, image.pad) if voi is None else voi


def robust_window(values: NDArray[np.floating[Any]], pad: float | None = None) -> Window | None:
    """The window from the 0.5th to the 99.5th percentile of the values that are not padding; None when all are equal."""
    flat = values.ravel()
    flat = flat[flat != pad] if pad is not None else flat
    flat = flat[:: max(1, flat.size // _SAMPLE)]
    if flat.size == 0:
        return None
    low, high = (float(x) for x in np.percentile(flat, (_LOW, _HIGH)))
    if high <= low:  # a small bright object on an even ground
        low, high = float(flat.min()), float(flat.max())
    return Window((low + high) / 2, high - low, "LINEAR_EXACT") if high > low else None


def _present(values: NDArray[np.float64], voi: Window | LookupTable | None) -> NDArray[np.float64]:
    """Modality values to 0..1."""
    if voi is None:
        return np.zeros_like(values)
    if isinstance(voi, LookupTable):
        return np.asarray(np.clip(look_up(values, voi) / (2**voi.bits - 1), 0, 1))
    if voi.function == "SIGMOID":
        return np.asarray(1 / (1 + np.exp(np.clip(-4 * (values - voi.center) / voi.width, -700, 700))))
    if voi.function == "LINEAR_EXACT":
        return np.asarray(np.clip((values - voi.center) / voi.width + 0.5, 0, 1))
    if voi.width == 1:  # C.11.2.1.2.1: a threshold
        return np.asarray(values > voi.center - 0.5, np.float64)
    return np.asarray(np.clip((values - (voi.center - 0.5)) / (voi.width - 1) + 0.5, 0, 1))
