"""What the header says after the pixels were cleaned, and what it says of where an ultrasound picture ends.

In: a dataset. Out: a copy that shares nothing which is changed, and its new statements: (0028,0301), (0028,0302), the code 113101 in (0012,0064)
(PS3.15 E.3.1 Clean Pixel Data, PS3.16 CID 7050).
"""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from vesalius.formats import header
from vesalius.formats.decode import Claim
from vesalius.formats.deidentify.burned import comments
from vesalius.formats.deidentify.burned.canvas import replace

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

_CODE = "113101"
_MEANING = "Clean Pixel Data Option"
_OVERLAYS = range(0x6000, 0x6020, 2)


def copy_of(dataset: Dataset) -> Dataset:
    """A dataset with the same elements: adding, replacing and removing them leaves the source alone."""
    from pydicom.dataset import Dataset

    clean = Dataset()
    for tag in list(dataset.keys()):
        element = dataset.get_item(tag)
        if element is not None:
            clean[tag] = element
    implicit, little = dataset.original_encoding
    if implicit is not None and little is not None:
        clean.set_original_encoding(implicit, little, dataset.original_character_set)
    if getattr(dataset, "file_meta", None) is not None:
        clean.file_meta = copy.deepcopy(dataset.file_meta)
        clean.preamble = getattr(dataset, "preamble", None) or b"\0" * 128
    return clean


def state(clean: Dataset, *, left: bool, face: bool) -> None:
    """Say what was done: Burned In Annotation NO and the code of the option; YES and no code when a doubtful box was left."""
    replace(clean, "BurnedInAnnotation", "YES" if left else "NO")
    if face and header.text(clean, "RecognizableVisualFeatures") is None:
        replace(clean, "RecognizableVisualFeatures", "YES")
    codes = [item for item in header.items(clean, "DeidentificationMethodCodeSequence") if header.text(item, "CodeValue") != _CODE]
    if not left:
        from pydicom.dataset import Dataset

        item = Dataset()
        item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = _CODE, "DCM", _MEANING
        codes.append(item)
    if codes:
        from pydicom.sequence import Sequence

        replace(clean, "DeidentificationMethodCodeSequence", Sequence([copy.deepcopy(item) for item in codes]))
    else:
        clean.pop("DeidentificationMethodCodeSequence", None)


def drop_embedded_overlays(clean: Dataset) -> None:
    """Remove the description of overlay planes that stood in unused bits of the pixels (retired in 2004)."""
    for group in _OVERLAYS:
        if (group, 0x3000) not in clean:
            for tag in [t for t in clean.keys() if t.group == group]:  # noqa: SIM118 - iterating a dataset converts its elements
                del clean[tag]


def blank_comments(clean: Dataset) -> bool:
    """Blank what hides in compressed pixels that are kept as they are; True when something did."""
    element = clean["PixelData"]
    blanked = comments.blank(element.value)
    if blanked == element.value:
        return False
    replace(clean, "PixelData", blanked, vr=element.VR)
    clean["PixelData"].is_undefined_length = True
    return True


def outside_regions(dataset: Dataset, claim: Claim) -> NDArray[np.bool_] | None:
    """The pixels outside of all regions of (0018,6011); None when the header names none that lies in the image (PS3.3 C.8.5.5.1)."""
    outside = np.ones((claim.rows, claim.cols), bool)
    for item in header.items(dataset, "SequenceOfUltrasoundRegions"):
        names = ("RegionLocationMinX0", "RegionLocationMinY0", "RegionLocationMaxX1", "RegionLocationMaxY1")
        corners = [header.number(item, name) for name in names]
        if None not in corners:
            x0, y0, x1, y1 = (max(0, int(value or 0)) for value in corners)
            outside[y0 : y1 + 1, x0 : x1 + 1] = False
    return None if outside.all() else outside
