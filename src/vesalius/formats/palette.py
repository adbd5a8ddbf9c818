"""Palette colour: indices to RGB through the three tables of a header, plain or segmented (PS3.3 C.7.6.3.1.5, C.7.6.3.1.6, C.7.9).

In: stored indices and a dataset. Out: 8-bit RGB. Segmented tables are expanded here, to 65,536 entries and not one more: a few bytes could ask for billions.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from vesalius.errors import UnreadableStudy
from vesalius.formats import header

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

_MOST = 65_536
_DEPTH = 4  # indirect segments that repeat indirect segments


def palette_to_rgb(stored: NDArray[Any], dataset: Dataset, path: Path, little_endian: bool) -> NDArray[np.uint8]:
    """Indices (frames, rows, cols) to RGB (frames, rows, cols, 3).

    Raises:
        UnreadableStudy: the palette is missing or malformed.
    """
    tables, first, bits = [], 0, 8
    for colour in ("Red", "Green", "Blue"):
        descriptor = header.numbers(dataset, f"{colour}PaletteColorLookupTableDescriptor", 3)
        if descriptor is None or descriptor[2] not in (8, 16):
            raise _broken(path, "its descriptor is missing or malformed")
        count, first, bits = int(descriptor[0]) % _MOST or _MOST, int(descriptor[1]), int(descriptor[2])
        tables.append(_read(dataset, path, colour, count, bits, little_endian))
    shortest = min(t.size for t in tables)
    table = np.stack([t[:shortest] for t in tables], axis=-1)
    # some writers name 16 bits and store 8: a palette that never exceeds 255 of 65,535 would be black
    shift = 8 if bits == 16 and int(table.max()) > 255 else 0
    index = np.clip(stored.astype(np.int64) - first, 0, shortest - 1)
    coloured: NDArray[np.uint8] = (table >> shift).astype(np.uint8)[index]
    return coloured


def _broken(path: Path, why: str) -> UnreadableStudy:
    return UnreadableStudy(path, f"its colour palette cannot be applied ({why})", remedy="export it again")


def _read(dataset: Dataset, path: Path, colour: str, count: int, bits: int, little_endian: bool) -> NDArray[np.uint16]:
    data = header.value(dataset, f"{colour}PaletteColorLookupTableData")
    segmented = header.value(dataset, f"Segmented{colour}PaletteColorLookupTableData")
    word = "<u2" if little_endian else ">u2"
    if isinstance(data, bytes):
        # eight-bit entries may be stored one to a byte or one to a word
        values = np.frombuffer(data[:count], "u1") if len(data) < 2 * count else np.frombuffer(data[: 2 * count], word)
        if values.size < count:
            raise _broken(path, f"it has {values.size} of {count} entries")
        return values.astype(np.uint16)
    if isinstance(segmented, bytes):
        kind = np.dtype("u1" if bits == 8 else word)
        words = np.frombuffer(segmented[: len(segmented) // kind.itemsize * kind.itemsize], kind).tolist()
        entries: list[int] = []
        try:
            _expand(words, 0, None, entries, kind, depth=0)
        except (IndexError, ValueError) as error:
            raise _broken(path, header.short(error)) from error
        return np.asarray(entries, np.uint16)
    raise _broken(path, "it has no data")


def _expand(words: Sequence[int], at: int, segments: int | None, entries: list[int], kind: np.dtype[Any], *, depth: int) -> None:
    """Append the entries of `segments` segments (None: all) that begin at word `at`: discrete, linear, or indirect (a repetition of earlier ones)."""
    done = 0
    while at + 1 < len(words) and done != segments:
        code, length = words[at], words[at + 1]
        at += 2
        if code == 0:
            entries.extend(words[at : at + length])
            at += length
        elif code == 1:
            if not entries:
                raise ValueError("it begins with a linear segment")
            low, high = entries[-1], words[at]
            entries.extend(int(x) for x in np.around(np.linspace(low + (high - low) / max(length, 1), high, length)))
            at += 1
        elif code == 2 and depth < _DEPTH and entries:
            start, at = _offset(words, at, kind)
            _expand(words, start, length, entries, kind, depth=depth + 1)
        else:
            raise ValueError(f"segment type {code} is not allowed here")
        if len(entries) > _MOST:
            raise ValueError("it expands beyond 65,536 entries")
        done += 1


def _offset(words: Sequence[int], at: int, kind: np.dtype[Any]) -> tuple[int, int]:
    """The byte offset of an indirect segment, as a word index, and the word after it (C.7.9.2.3: least significant 16 bits first)."""
    if kind.itemsize == 2:
        return (words[at] | words[at + 1] << 16) // 2, at + 2
    low, high = (words[at] | words[at + 1] << 8), (words[at + 2] | words[at + 3] << 8)
    return low | high << 16, at + 4
