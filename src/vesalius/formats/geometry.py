"""Where the pixels lie in the body: spacing, orientation, position, thickness, view, laterality, from a DICOM header and its functional groups.

In: a parsed dataset and frame numbers. Out: facts for `Image`; what the header does not say, or what differs between the frames kept, is None.
Functional groups PS3.3 C.7.6.16; plane C.7.6.2; ultrasound regions C.8.5.5.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, TypeVar

import numpy as np

from vesalius.domain.study import Laterality
from vesalius.formats import header

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

T = TypeVar("T")
Orientation = tuple[float, float, float, float, float, float]

_PLANES = ("SAGITTAL", "CORONAL", "AXIAL")
_CLEARLY = 0.8  # cosine of 37 degrees between a slice's normal and a body axis; beyond it the slice is oblique


class Groups:
    """The functional groups of an enhanced object: `find` gives the item that holds for a frame, the frame's own before the shared one."""

    def __init__(self, dataset: Dataset) -> None:
        self._dataset = dataset
        self._shared = header.items(dataset, "SharedFunctionalGroupsSequence")[:1]
        self._frames = header.items(dataset, "PerFrameFunctionalGroupsSequence")

    def find(self, keyword: str, frame: int) -> Dataset | None:
        """The first item of a functional group for a frame, or None."""
        for group in (*self._frames[frame : frame + 1], *self._shared):
            found = header.items(group, keyword)
            if found:
                return found[0]
        return None

    def holders(self, keyword: str, frame: int) -> Iterator[Dataset]:
        """Where a fact may stand: the functional group of a frame, then the dataset itself."""
        found = self.find(keyword, frame)
        if found is not None:
            yield found
        yield self._dataset


def agreed(read: Callable[[int], T | None], keep: Sequence[int]) -> T | None:
    """A fact that holds for every frame kept; None when they differ."""
    first = read(keep[0])
    return first if first is not None and all(read(k) == first for k in keep[1:]) else None


def spacing(dataset: Dataset, groups: Groups, frame: int) -> tuple[float, float] | None:
    """Millimetres between rows and between columns: in the patient, else at the detector, else of the scanned film, else of the one ultrasound region."""
    for holder in groups.holders("PixelMeasuresSequence", frame):
        for keyword in ("PixelSpacing", "ImagerPixelSpacing", "NominalScannedPixelSpacing"):
            found = header.numbers(holder, keyword, 2)
            if found and min(found) > 0:
                return found[0], found[1]
    regions = {
        (header.number(r, "PhysicalDeltaY"), header.number(r, "PhysicalDeltaX"))
        for r in header.items(dataset, "SequenceOfUltrasoundRegions")
        if header.number(r, "PhysicalUnitsXDirection") == 3 == header.number(r, "PhysicalUnitsYDirection")  # 3: centimetres
    }
    if len(regions) == 1:
        down, across = regions.pop()
        if down and across:
            return abs(down) * 10, abs(across) * 10
    return None


def orientation(groups: Groups, frame: int) -> Orientation | None:
    """Direction cosines of a row and of a column; None unless both have length one and are perpendicular."""
    for holder in groups.holders("PlaneOrientationSequence", frame):
        found = header.numbers(holder, "ImageOrientationPatient", 6)
        if found is None:
            continue
        row, column = np.array(found[:3]), np.array(found[3:])
        if abs(np.linalg.norm(row) - 1) < 0.01 and abs(np.linalg.norm(column) - 1) < 0.01 and abs(row @ column) < 0.01:
            return found[0], found[1], found[2], found[3], found[4], found[5]
    return None


def position(groups: Groups, frame: int) -> tuple[float, float, float] | None:
    """Millimetres of the first pixel in patient coordinates."""
    for holder in groups.holders("PlanePositionSequence", frame):
        found = header.numbers(holder, "ImagePositionPatient", 3)
        if found:
            return found[0], found[1], found[2]
    return None


def thickness(groups: Groups, frame: int) -> float | None:
    """Slice thickness in millimetres."""
    for holder in groups.holders("PixelMeasuresSequence", frame):
        found = header.number(holder, "SliceThickness")
        if found and found > 0:
            return found
    return None


def view(dataset: Dataset, plane: Orientation | None) -> str | None:
    """View Position (PA, AP, LL, MLO, ...), else the view code's meaning, else the slice's plane (AXIAL, SAGITTAL, CORONAL, OBLIQUE)."""
    stated = plain(header.text(dataset, "ViewPosition"))
    if stated:
        return stated
    codes = header.items(dataset, "ViewCodeSequence")
    meaning = plain(header.text(codes[0], "CodeMeaning")) if codes else None
    return meaning or (plane_name(plane) if plane else None)


def plane_name(plane: Orientation) -> str:
    """AXIAL, SAGITTAL or CORONAL when the slice's normal is within 37 degrees of a body axis, else OBLIQUE."""
    normal = np.abs(np.cross(plane[:3], plane[3:]))
    axis = int(np.argmax(normal))
    return _PLANES[axis] if normal[axis] >= _CLEARLY else "OBLIQUE"


def laterality(dataset: Dataset, groups: Groups, frame: int) -> Laterality | None:
    """Image Laterality, else Laterality, else that of the frame's anatomy."""
    anatomy = groups.find("FrameAnatomySequence", frame)
    stated = [header.text(dataset, "ImageLaterality"), header.text(dataset, "Laterality")]
    if anatomy is not None:
        stated.append(header.text(anatomy, "FrameLaterality"))
    return next((Laterality(s) for s in stated if s in set(Laterality)), None)


def body_part(dataset: Dataset, groups: Groups, frame: int) -> str | None:
    """Body Part Examined, else the meaning of the anatomic region's code; upper case."""
    stated = plain(header.text(dataset, "BodyPartExamined"))
    if stated:
        return stated
    for holder in groups.holders("FrameAnatomySequence", frame):
        codes = header.items(holder, "AnatomicRegionSequence")
        meaning = plain(header.text(codes[0], "CodeMeaning")) if codes else None
        if meaning:
            return meaning
    return None


def plain(text: str | None) -> str | None:
    """A term in upper case; None when it is empty or not a plain word or two (a free text may hold anything, a name too)."""
    term = (text or "").strip().upper()
    return term if re.fullmatch(r"[A-Z0-9][A-Z0-9 _,()/-]{0,63}", term) else None
