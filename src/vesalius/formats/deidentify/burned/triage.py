"""Which images are read for burned-in text: those whose header makes it likely, and those whose pixels look as if there were letters.

In: a dataset. Out: `Triage`: read it or not, refuse it or not, and why. The header alone never clears an image: one that it calls unlikely still goes through
the cheap pass over its pixels, and Burned In Annotation NO is not believed.
Facts by object and header: PS3.3 C.7.6.1 (Burned In Annotation, Image Type, Recognizable Visual Features), C.8.5.5 (ultrasound regions), C.8.6.1
(Conversion Type).
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from vesalius.formats import header
from vesalius.formats.decode import pixel_keyword
from vesalius.formats.deidentify.burned import views
from vesalius.formats.deidentify.burned.letters import LIMIT, likelihood
from vesalius.formats.isolated import Isolated

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

__all__ = ["LIMIT", "Triage", "face", "likelihood", "triage"]

_SECONDARY = "1.2.840.10008.5.1.4.1.1.7"  # and its multi-frame kinds below it
_UNLIKELY = frozenset({"CT", "MR", "PT", "NM", "SEG", "RTDOSE", "RTIMAGE"})  # rarely written on: the pixels decide
_WORDS_OF_IMAGE_TYPE = ("SECONDARY", "LOCALIZER", "SCREEN", "SCREENSHOT", "SCREEN SAVE", "REPORT", "CSA REPORT", "DISPLAY", "PASTED", "CAPTURE")
_SCANNED = {"SD": "a scanned document", "SI": "a scanned image", "DF": "a digitized film", "DV": "a digitized video", "DRW": "a drawing"}
# makers of film digitizers, frame grabbers and workstations whose objects are pictures of a screen or of a film
_VENDORS = ("VIDAR", "LUMISYS", "HOWTEK", "PACSGEAR", "TERARECON", "VITAL IMAGES", "VOXAR", "VIATRONIX", "ICAD", "R2 TECHNOLOGY", "DIGITIZER", "GRABBER")
_HEAD = ("HEAD", "BRAIN", "SKULL", "FACE", "SINUS", "ORBIT", "HEADNECK", "CAROTID", "NECK", "PITUITARY", "IAC", "MAXILLA", "MANDIBLE", "TMJ")


@dataclasses.dataclass(frozen=True)
class Triage:
    """What to do with an image.

    Attributes:
        read: whether to look for text in it.
        refuse: why the image is not to be given away at all unless somebody decides otherwise; None: it may.
        reasons: why it is read, and what else to know about it, in words.
    """

    read: bool
    refuse: str | None
    reasons: tuple[str, ...]


def triage(dataset: Dataset, *, pixels: bool = True, limit: float = LIMIT) -> Triage:
    """Judge one image object.

    Args:
        dataset: as `pydicom.dcmread` gives it.
        pixels: False judges by the header alone; then an image that it calls unlikely is not read.
        limit: likelihood of text from which an image is read, from 0 to 1; docs/burned_in.md says what each misses and costs.

    Returns:
        The judgement; an object without pixels is neither read nor refused.

    Raises:
        UnreadableStudy, MissingExtra: the pixels cannot be decoded.
    """
    with header.quiet():
        if pixel_keyword(dataset) is None:
            return Triage(False, None, ("has no pixels",))
        reasons = _likely(dataset)
        read = bool(reasons)
        if not read and pixels and (strongest := _strongest(dataset, limit)) >= limit:
            read = True
            reasons.append(f"its pixels look written on ({strongest:.2f} of 1)")
        if face(dataset):
            reasons.append("shows a head: a face may be recognised in it")
        return Triage(read, _refusal(dataset), tuple(reasons))


def face(dataset: Dataset) -> bool:
    """Whether an image may be part of a volume from which a face can be drawn: CT, MR or PET of the head."""
    part = " ".join((header.text(dataset, name) or "").upper() for name in ("BodyPartExamined", "StudyDescription", "SeriesDescription", "ProtocolName"))
    return header.text(dataset, "Modality") in ("CT", "MR", "PT") and any(word in part for word in _HEAD)


def _strongest(dataset: Dataset, enough: float) -> float:
    """The highest likelihood of any frame and sheet; it stops at the first that is enough."""
    claim = views.claim_of(dataset)
    strongest = 0.0
    with Isolated() as gdcm:
        for index in range(claim.frames):
            for sheet in views.sheets(dataset, claim, views.stored_frame(dataset, claim, index, gdcm)):
                strongest = max(strongest, likelihood(sheet))
                if strongest >= enough:
                    return strongest
    return strongest


def _refusal(dataset: Dataset) -> str | None:
    kind = header.text(dataset, "SOPClassUID") or header.text(getattr(dataset, "file_meta", dataset), "MediaStorageSOPClassUID") or ""
    if kind == _SECONDARY or kind.startswith(_SECONDARY + "."):
        return "is a secondary capture, a picture of a screen or of a paper"
    scanned = _SCANNED.get((header.text(dataset, "ConversionType") or "").upper())
    return f"is {scanned}" if scanned in (_SCANNED["SD"], _SCANNED["DRW"]) else None


def _likely(dataset: Dataset) -> list[str]:
    """What in the header makes text likely."""
    reasons = []
    modality = (header.text(dataset, "Modality") or "").upper()
    if modality not in _UNLIKELY:
        reasons.append(f"modality {modality or 'unknown'} is often written on")
    if (refusal := _refusal(dataset)) is not None:
        reasons.append(refusal)
    if (header.text(dataset, "BurnedInAnnotation") or "").upper() == "YES":
        reasons.append("its header says that text is burned in")
    if (conversion := (header.text(dataset, "ConversionType") or "").upper()) and refusal is None:
        reasons.append(f"is {_SCANNED[conversion]}" if conversion in _SCANNED else "was converted by a workstation")
    if words := sorted(set(_image_type(dataset)) & set(_WORDS_OF_IMAGE_TYPE)):
        reasons.append("image type " + ", ".join(words))
    if header.items(dataset, "SequenceOfUltrasoundRegions"):
        reasons.append("has ultrasound regions, so there is something outside of them")
    maker = " ".join((header.text(dataset, name) or "").upper() for name in ("Manufacturer", "ManufacturerModelName", "SecondaryCaptureDeviceManufacturer"))
    if any(vendor in maker for vendor in _VENDORS):
        reasons.append("made by a digitizer, frame grabber or workstation")
    if modality in _UNLIKELY and (header.number(dataset, "SamplesPerPixel") or 1) > 1:
        reasons.append("is in colour, which its scanner does not make")
    return reasons


def _image_type(dataset: Dataset) -> list[str]:
    value = header.value(dataset, "ImageType")
    return [str(value).upper()] if isinstance(value, str) else [str(part).upper() for part in value or ()]
