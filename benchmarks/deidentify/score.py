"""Right actions of one program: each item checked on the program's output.

In: the corpus, and where the program put each file. Out: one `Judged` for each item. A file that the program did not give out has no right action, for it is
of no use; but nothing of it was given away either, so leaks are counted apart.
"""

from __future__ import annotations

import dataclasses
import datetime
import math
import re
import warnings
import zlib
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
from numpy.typing import NDArray
from PIL import Image
from scipy.ndimage import maximum_filter, minimum_filter

from deidentify.items import Item, plain
from deidentify.pictures import MARGIN

_LETTER, _OVERLAY = 0.5, 0.9  # share of a letter's pixels that must be altered; share of an overlay's drawn bits that must be cleared
_STAYS = 0.9
_AROUND = 2  # pixels: a letter's surroundings


@dataclasses.dataclass(frozen=True)
class Judged:
    """An item, whether it came out right, and whether the file is there."""

    item: Item
    right: bool
    given: bool


class Output:
    """One output file, read when asked for."""

    def __init__(self, path: Path | None) -> None:
        self.path = path
        self.raw = path.read_bytes() if path is not None and path.is_file() else None
        self.dataset: Any = None
        if self.raw is not None and path is not None and path.suffix != ".txt":
            try:
                self.dataset = pydicom.dcmread(path, force=True)
            except Exception:  # noqa: BLE001 - whatever a program wrote
                self.dataset = None

    @property
    def given(self) -> bool:
        return self.raw is not None

    def uid(self, keyword: str) -> str:
        try:
            return str(self.dataset.get(keyword) or "")
        except Exception:  # noqa: BLE001
            return ""

    def at(self, path: Sequence[Any]) -> Any:
        """The value at a path; None when there is none."""
        try:
            here = self.dataset.file_meta if path[0] == "meta" else self.dataset
            for step in path[1:] if path[0] == "meta" else path:
                here = here[step] if isinstance(step, int) else here[int(step, 16)].value
        except Exception:  # noqa: BLE001 - no such element, item or value
            return None
        return here

    def words(self, path: Sequence[Any]) -> str:
        """What can be read at a path."""
        if path[0] == "text":
            return (self.raw or b"").decode("utf-8", "replace")
        if path[0] == "preamble":
            return _text(getattr(self.dataset, "preamble", None))
        if path[0] == "bytes":
            return _text(self._unpacked())
        return _text(self.at(path))

    def _unpacked(self) -> bytes:
        raw = self.raw or b""
        if self.dataset is not None and str(getattr(self.dataset.file_meta, "TransferSyntaxUID", "")) == "1.2.840.10008.1.2.1.99":
            start = raw.find(b"DICM") + 16 + int(self.dataset.file_meta.get("FileMetaInformationGroupLength", 0))
            return raw + zlib.decompressobj(-zlib.MAX_WBITS).decompress(raw[start:])
        return raw


def _text(value: Any) -> str:
    """All of a value as text, items of sequences too."""
    if value is None:
        return ""
    if isinstance(value, bytes):
        return value.decode("latin-1")
    if isinstance(value, pydicom.Sequence):
        return " ".join(_text(element.value) for item in value for element in item.iterall())
    if isinstance(value, pydicom.multival.MultiValue | list | tuple):
        return "\\".join(_text(one) for one in value)
    return str(value)


def holds(text: str, word: str) -> bool:
    """Whether a word stands in a text, in any case; a short one only by itself."""
    text, word = text.casefold(), word.casefold()
    if len(word) > 4:
        return word in text or word.replace("-", "") in text
    return re.search(rf"(?<![a-z0-9]){re.escape(word)}(?![a-z0-9])", text) is not None


class Judge:
    """Judges one program."""

    def __init__(self, corpus: Path, items: Sequence[Item], given: Mapping[str, Path | None]) -> None:
        warnings.simplefilter("ignore")
        self.corpus, self.items = corpus, items
        self.outputs = {name: Output(given.get(name)) for name in {item.file for item in items}}
        self.shifts = self._shifts()
        self.owners: defaultdict[str, set[int]] = defaultdict(set)
        for item in items:
            if item.action == "same":
                self.owners[_text(self.outputs[item.file].at(item.path))].add(item.patient)
        self.altered: dict[str, NDArray[np.bool_] | None] = {}

    def all(self) -> list[Judged]:
        """Every item in order."""
        return [
            Judged(item, self.outputs[item.file].given and self._right(item, self.outputs[item.file]), self.outputs[item.file].given) for item in self.items
        ]

    def _right(self, item: Item, output: Output) -> bool:
        return bool(getattr(self, f"_{item.action}")(item, output))

    def _gone(self, item: Item, output: Output) -> bool:
        if output.dataset is None and item.path[0] not in ("text", "bytes"):
            return False
        text = output.words(item.path)
        return not any(holds(text, word) for word in item.value)

    def _kept(self, item: Item, output: Output) -> bool:
        if item.detail.get("words"):
            text = output.words(item.path)
            return all(holds(text, word) for word in item.value)
        found = output.at(item.path)
        if found is None or ((creator := item.detail.get("creator")) is not None and not self._made_by(output, item, creator)):
            return False
        return _equal(plain(_decoded(found, item.value)), item.value)

    @staticmethod
    def _made_by(output: Output, item: Item, creator: str) -> bool:
        tag = int(item.path[0], 16)
        return _text(output.at((f"{tag >> 16:04X}{tag >> 8 & 0xFF:04X}",))).strip() == creator

    def _moved(self, item: Item, output: Output) -> bool:
        days = _days(output.at(item.path), item.value)
        return days not in (None, 0) and days == self.shifts.get(item.patient)

    def _shifts(self) -> dict[int, int]:
        """By how many days most dates of each patient were moved."""
        found: defaultdict[int, Counter[int]] = defaultdict(Counter)
        for item in self.items:
            if item.action == "moved" and (days := _days(self.outputs[item.file].at(item.path), item.value)) is not None:
                found[item.patient][days] += 1
        return {patient: counts.most_common(1)[0][0] for patient, counts in found.items()}

    def _new(self, item: Item, output: Output) -> bool:
        return output.dataset is not None and _text(output.at(item.path)) != item.value

    def _linked(self, item: Item, output: Output) -> bool:
        wanted = self.outputs[item.value].uid(item.detail["of"])
        return wanted != "" and _text(output.at(item.path)) == wanted

    def _same(self, item: Item, output: Output) -> bool:
        found = _text(output.at(item.path))
        others = {_text(self.outputs[i.file].at(i.path)) for i in self.items if i.action == "same" and i.patient == item.patient and self.outputs[i.file].given}
        return found not in ("", item.value) and others == {found} and self.owners[found] == {item.patient}

    def _claims(self, item: Item, output: Output) -> bool:
        found = output.at(item.path)
        if item.path[0] == "00120064":
            codes = [str(one.get("CodeValue", "")) for one in output.at(("00120064",)) or ()]
            return item.value[0] in codes
        return bool(_text(found)) and (item.value == [""] or _text(found) in item.value)

    def _blank(self, item: Item, output: Output) -> bool:
        found = output.at(item.path)
        if output.dataset is None or not isinstance(found, bytes) or not found:
            return output.dataset is not None
        if item.detail.get("whole"):
            return found.hex()[: len(item.value)] != item.value
        plane = np.asarray(Image.open(self.corpus / "letters" / item.value), bool)
        now = np.unpackbits(np.frombuffer(found, np.uint8), bitorder="little")[: plane.size]
        return now.size < plane.size or float((now.reshape(plane.shape)[plane] == 0).mean()) >= _OVERLAY

    def _covered(self, item: Item, output: Output) -> bool:
        """Every letter altered, or nothing left to tell it from what is around it: letters of the very value that a box was filled with do not change."""
        altered, letters = self._letters(item, output)
        if altered is None:
            return False
        gone = altered if (even := self._even(item, output, letters.shape)) is None else altered | even
        return all(float(gone[letters == number].mean()) >= _LETTER for number in np.unique(letters[letters > 0]))

    def _stays(self, item: Item, output: Output) -> bool:
        altered, letters = self._letters(item, output)
        return altered is not None and float(altered[letters > 0].mean()) <= 1 - _STAYS

    def _letters(self, item: Item, output: Output) -> tuple[NDArray[np.bool_] | None, NDArray[np.uint8]]:
        letters = np.asarray(Image.open(self.corpus / "letters" / item.value))
        altered = self._altered(item.file, output)
        r, c = item.detail["row"], item.detail["column"]
        return None if altered is None else altered[r : r + letters.shape[0], c : c + letters.shape[1]], letters

    def _even(self, item: Item, output: Output, size: tuple[int, ...]) -> NDArray[np.bool_] | None:
        """Pixels around which all are of one value, in the output, in every frame and colour."""
        picture = self._picture(output.dataset)
        if picture is None:
            return None
        r, c = item.detail["row"], item.detail["column"]
        even = np.ones(picture.shape[1:3], bool)
        for frame in picture:
            for sheet in np.moveaxis(frame.astype(np.float32), -1, 0):
                even &= maximum_filter(sheet, 2 * _AROUND + 1) == minimum_filter(sheet, 2 * _AROUND + 1)
        return even[r : r + size[0], c : c + size[1]]

    def _untouched(self, item: Item, output: Output) -> bool:
        altered = self._altered(item.file, output)
        if altered is None:
            return False
        rest = altered.copy()
        for r, c, rows, columns in item.detail.get("boxes", ()):
            rest[max(0, r - MARGIN) : r + rows + MARGIN, max(0, c - MARGIN) : c + columns + MARGIN] = False
        return float(rest.mean()) <= item.value

    def _sound(self, item: Item, output: Output) -> bool:
        ds = output.dataset
        if ds is None or not getattr(ds, "file_meta", None) or output.uid("SOPInstanceUID") in ("", "None"):
            return False
        same = str(ds.file_meta.get("MediaStorageSOPInstanceUID")) == output.uid("SOPInstanceUID")
        return same and ("PixelData" not in Output(self.corpus / "source" / item.file).dataset or self._altered(item.file, output) is not None)

    def _altered(self, name: str, output: Output) -> NDArray[np.bool_] | None:
        """Which pixels differ from the source in any frame or colour [rows, columns]; None when they cannot be compared."""
        if name not in self.altered:
            source = Output(self.corpus / "source" / name)
            if (size := _same_bytes(source.dataset, output.dataset)) is not None:
                self.altered[name] = np.zeros(size, bool)
            else:
                before, after = self._picture(source.dataset), self._picture(output.dataset)
                same = before is not None and after is not None and before.shape == after.shape
                self.altered[name] = (before != after).any((0, 3)) if same else None
        return self.altered[name]

    @staticmethod
    def _picture(ds: Any) -> NDArray[Any] | None:
        """All frames [frames, rows, columns, colours]; colours as RGB."""
        try:
            return ds.pixel_array.reshape(int(ds.get("NumberOfFrames") or 1), int(ds.Rows), int(ds.Columns), -1)
        except Exception:  # noqa: BLE001 - whatever a program wrote
            return None


def _same_bytes(one: Any, other: Any) -> tuple[int, int] | None:
    """Rows and columns when two pictures are the same byte by byte and described alike, so that nothing needs to be decoded."""
    described = ("Rows", "Columns", "BitsAllocated", "BitsStored", "PixelRepresentation", "SamplesPerPixel", "PhotometricInterpretation", "NumberOfFrames")
    try:
        alike = all(str(one.get(name, "")) == str(other.get(name, "")) for name in described)
        alike = alike and one.file_meta.TransferSyntaxUID == other.file_meta.TransferSyntaxUID and one.PixelData == other.PixelData
        return (int(one.Rows), int(one.Columns)) if alike else None
    except Exception:  # noqa: BLE001 - not a picture
        return None


def _decoded(found: Any, wanted: Any) -> Any:
    """Bytes of an unknown private attribute as text or numbers, if that is what they were."""
    if not isinstance(found, bytes):
        return found
    many = isinstance(wanted, list)
    for kind in ("<f8", "<f4"):
        size = np.dtype(kind).itemsize * (len(wanted) if many else 1)
        if len(found) == size and "." in str(wanted):
            numbers = np.frombuffer(found, kind).tolist()
            if _equal([str(n) for n in numbers] if many else str(numbers[0]), wanted):
                return numbers if many else numbers[0]
    parts = found.decode("latin-1").strip(" \0").split("\\")
    return parts if many else parts[0]


def _equal(one: Any, other: Any) -> bool:
    if isinstance(one, list) or isinstance(other, list):
        return isinstance(one, list) and isinstance(other, list) and len(one) == len(other) and all(map(_equal, one, other))
    try:
        return math.isclose(float(one), float(other), rel_tol=1e-5)
    except ValueError:
        return str(one).strip() == str(other).strip()


def _days(value: Any, true: str) -> int | None:
    text = re.sub(r"[.-]", "", _text(value)[:10])[:8]
    try:
        now, before = (datetime.datetime.strptime(one, "%Y%m%d").date() for one in (text, true))  # noqa: DTZ007 - days only
    except ValueError:
        return None
    return (now - before).days
