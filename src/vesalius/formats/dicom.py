"""A DICOM object becomes an `Image` with the facts of its header, and its place in a study.

In: a path. Out: `Loaded`: the image, whose it is (by digest), which study and series it belongs to, and where it stands in the series.
Objects without pixels (reports, plans, waveforms, indexes) are refused in words.
"""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from vesalius.domain.study import Image, Intensity, LookupTable, Modality, Patient, Window
from vesalius.errors import InvalidValue, UnreadableStudy
from vesalius.formats import codecs, geometry, header, overlays, patient, pixels
from vesalius.formats.decode import Claim, Frames, Stored, choose_frames, decode, pixel_keyword, read_claim
from vesalius.formats.geometry import Groups
from vesalius.formats.isolated import Isolated
from vesalius.formats.palette import palette_to_rgb

if TYPE_CHECKING:
    from pydicom.dataset import Dataset


@dataclasses.dataclass(frozen=True)
class Place:
    """Where an object belongs: all that is needed to sort files into studies, read without the pixels."""

    path: Path
    identity: str | None
    study: str | None
    series: str | None
    series_number: int | None
    instance: int | None
    modality: str


@dataclasses.dataclass(frozen=True, eq=False)
class Loaded:
    """An image with its place and its patient."""

    image: Image
    place: Place
    patient: Patient
    deidentified: bool


def read_place(path: Path) -> Place:
    """The place of an object, from its header.

    Raises:
        UnreadableStudy: malformed. NotAnImage: an object of a kind that has no pixels.
    """
    dataset = header.open_dataset(path, pixels=False)
    with header.quiet():
        _require_image(dataset, path)
        return _place(dataset, path)


def load(path: Path, *, frames: Frames = "choose", gdcm: Isolated | None = None) -> Loaded:
    """Read one object.

    Args:
        path: the file.
        frames: "choose" keeps the middle frame of a multi-frame object, "all" keeps them, a number keeps that one (from 0).
        gdcm: a decoding process to share between files; None starts one when it is needed and ends it.

    Returns:
        The image with its place.

    Raises:
        UnreadableStudy: truncated, damaged, absurd, or in an encoding nobody here reads; NotAnImage: without pixels.
        MissingExtra: the decoder is not installed.
        InvalidValue: no such frame.
    """
    dataset = header.open_dataset(path)
    with header.quiet(), contextlib.ExitStack() as stack:
        _require_image(dataset, path)
        if pixel_keyword(dataset) is None:
            raise UnreadableStudy(path, "has an image header but no pixels", remedy="it was truncated or stripped: copy or export it again")
        claim = read_claim(dataset, path)
        keep = choose_frames(frames, claim.frames, path)
        image = _image(dataset, path, claim, keep, gdcm or stack.enter_context(Isolated()))
        return Loaded(image, _place(dataset, path), patient.read_patient(dataset), header.text(dataset, "PatientIdentityRemoved") == "YES")


_KINDS = {
    "SR": "a structured report",
    "PR": "a presentation state",
    "KO": "a key object selection",
    "RTPLAN": "a radiotherapy plan",
    "RTSTRUCT": "a radiotherapy structure set",
    "RTRECORD": "a radiotherapy record",
    "REG": "a registration",
    "DOC": "a document",
}


def _require_image(dataset: Dataset, path: Path) -> None:
    """Refuse what is no image, saying what it is."""
    remedy = "give a file with pixels"
    if len(dataset) == 0:
        raise UnreadableStudy(path, "holds no DICOM elements", remedy="it is truncated or not DICOM: give an image")
    storage = header.text(dataset.file_meta, "MediaStorageSOPClassUID") or header.text(dataset, "SOPClassUID") or ""
    if "DirectoryRecordSequence" in dataset or storage == "1.2.840.10008.1.3.10":
        raise header.NotAnImage(path, "is a DICOMDIR, an index of files", remedy="give the folder that holds it, or one of the files")
    if pixel_keyword(dataset) is not None or any(keyword in dataset for keyword in ("Rows", "BitsAllocated", "PhotometricInterpretation")):
        return
    if "WaveformSequence" in dataset:
        raise header.NotAnImage(path, "is a waveform, it has no pixels", remedy=remedy)
    if "EncapsulatedDocument" in dataset:
        raise header.NotAnImage(path, "is a document inside DICOM, it has no pixels", remedy=remedy)
    if "RedPaletteColorLookupTableDescriptor" in dataset:
        raise header.NotAnImage(path, "is a colour palette, it has no pixels", remedy=remedy)
    modality = header.text(dataset, "Modality") or ""
    kind = _KINDS.get(modality)
    raise header.NotAnImage(path, f"is {kind}, it has no pixels" if kind else "is DICOM without pixel data", remedy=remedy)


def _place(dataset: Dataset, path: Path) -> Place:
    number, instance = header.number(dataset, "SeriesNumber"), header.number(dataset, "InstanceNumber")
    return Place(
        path=path,
        identity=patient.identity(dataset),
        study=header.text(dataset, "StudyInstanceUID"),
        series=header.text(dataset, "SeriesInstanceUID"),
        series_number=None if number is None else int(number),
        instance=None if instance is None else int(instance),
        modality=header.text(dataset, "Modality") or "OT",
    )


def _image(dataset: Dataset, path: Path, claim: Claim, keep: Sequence[int], gdcm: Isolated) -> Image:
    groups = Groups(dataset)
    modality = _modality(dataset)
    stored = decode(dataset, path, claim, keep, gdcm)
    values, intensity, transform = _values(dataset, path, claim, keep, groups, modality, stored)
    plane = geometry.agreed(lambda k: geometry.orientation(groups, k), keep)
    return Image(
        pixels=values,
        intensity=intensity,
        modality=modality,
        body_part=geometry.body_part(dataset, groups, keep[0]),
        spacing=geometry.agreed(lambda k: geometry.spacing(dataset, groups, k), keep),
        orientation=plane,
        position=geometry.position(groups, keep[0]),
        slice_thickness=geometry.agreed(lambda k: geometry.thickness(groups, k), keep),
        voi=() if intensity in (Intensity.COLOUR, Intensity.BINARY) else _voi(path, groups, keep[0], claim),
        inverted=claim.photometric == "MONOCHROME1",
        overlays=overlays.read_overlays(dataset, path, claim, keep),
        view=geometry.view(dataset, plane),
        laterality=geometry.laterality(dataset, groups, keep[0]),
        burned_in={"YES": True, "NO": False}.get(header.text(dataset, "BurnedInAnnotation") or ""),
        source=path.name,
        uid=header.text(dataset, "SOPInstanceUID"),
        transfer_syntax=claim.syntax,
        lossy=_lossy(dataset, claim),
        pad=_pad(dataset, transform, intensity),
    )


def _modality(dataset: Dataset) -> Modality:
    stated = header.text(dataset, "Modality")
    return Modality(stated) if stated in set(Modality) else Modality.OT


def _values(
    dataset: Dataset, path: Path, claim: Claim, keep: Sequence[int], groups: Groups, modality: Modality, stored: Stored
) -> tuple[NDArray[np.float32] | NDArray[np.uint8], Intensity, pixels.ModalityTransform]:
    """Modality values and what they mean."""
    nothing = pixels.ModalityTransform()
    if stored.photometric == "PALETTE COLOR":
        return palette_to_rgb(stored.values, dataset, path, _little_endian(claim)), Intensity.COLOUR, nothing
    if claim.samples == 3 and stored.photometric in ("RGB", "YBR_RCT", "YBR_ICT"):
        return pixels.to_rgb(stored.values, claim.stored), Intensity.COLOUR, nothing
    if claim.samples != 1 or not stored.photometric.startswith("MONOCHROME"):
        what = f"has the colour space {stored.photometric or 'unknown'} with {claim.samples} sample(s), which is not read"
        raise UnreadableStudy(path, what, remedy="convert it to RGB or MONOCHROME2")
    if claim.stored == 1:
        return stored.values.astype(np.float32), Intensity.BINARY, nothing
    little = _little_endian(claim)
    values = np.empty(stored.values.shape, np.float32)
    transform = nothing
    for at, frame in enumerate(keep):
        holder = next(iter(groups.holders("PixelValueTransformationSequence", frame)))
        transform = _dose(dataset, path) or pixels.read_transform(holder, path, little)
        with np.errstate(over="ignore"):  # checked below
            values[at] = transform(stored.values[at])
    return _finite(values, path), _intensity(dataset, modality, transform), transform


def _dose(dataset: Dataset, path: Path) -> pixels.ModalityTransform | None:
    """Radiotherapy dose has a scaling of its own (3004,000E); its unit is gray when the header says so."""
    scaling = header.decisive(dataset, "DoseGridScaling", path)
    if not scaling:
        return None
    unit = "GY" if header.text(dataset, "DoseUnits") == "GY" else None
    return pixels.ModalityTransform(slope=scaling, unit=unit, stated=True)


def _finite(values: NDArray[np.float32], path: Path) -> NDArray[np.float32]:
    """Values that are numbers: NaN and infinities, "no value" in float images, become the smallest value there is."""
    good = np.isfinite(values)
    if good.all():
        return values
    if not good.any():
        raise UnreadableStudy(path, "has no finite pixel value", remedy="correct the rescale values of the header or export it again")
    return np.where(good, values, values[good].min()).astype(np.float32)


_UNITS = frozenset({"OD", "MGML", "Z_EFF", "ED", "EDW", "HU_MOD", "PCT", "GY"})  # PS3.3 C.11.1.1.2, and gray


def _intensity(dataset: Dataset, modality: Modality, transform: pixels.ModalityTransform) -> Intensity:
    """What a value means, by Rescale Type; a CT that names none is in Hounsfield units (C.8.2.1.1.2) unless it is a localizer."""
    unit = (transform.unit or "").upper()
    if unit == "HU":
        return Intensity.HOUNSFIELD
    if unit in _UNITS:
        return Intensity.QUANTITATIVE
    if not unit and transform.stated and modality is Modality.CT and "LOCALIZER" not in str(header.value(dataset, "ImageType") or "").upper():
        return Intensity.HOUNSFIELD
    if modality is Modality.PT and transform.stated and header.text(dataset, "Units") not in (None, "CNTS", "NONE", "PROPCNTS", "PROPCPS"):
        return Intensity.QUANTITATIVE
    return Intensity.RELATIVE


def _little_endian(claim: Claim) -> bool:
    return claim.syntax != "1.2.840.10008.1.2.2"


def _voi(path: Path, groups: Groups, frame: int, claim: Claim) -> tuple[Window | LookupTable, ...]:
    """Tables before windows, as pydicom and workstations prefer; a malformed one is left out, it is only a proposal for display."""
    found: list[Window | LookupTable] = []
    for holder in groups.holders("FrameVOILUTSequence", frame):
        for item in header.items(holder, "VOILUTSequence"):
            try:
                found.append(pixels.read_table(item, path, _little_endian(claim)))
            except (UnreadableStudy, InvalidValue) as error:
                header.LOG.debug("VOI table left out: %s", error)
        function = (header.text(holder, "VOILUTFunction") or "LINEAR").upper()
        texts = header.value(holder, "WindowCenterWidthExplanation")
        explanations = [texts] if isinstance(texts, str) else [str(t) for t in texts or ()]
        pairs = zip(header.numbers(holder, "WindowCenter") or (), header.numbers(holder, "WindowWidth") or (), strict=False)
        for index, (center, width) in enumerate(pairs):
            explanation = explanations[index].strip() if index < len(explanations) else None
            try:
                found.append(Window(center, width, function, explanation or None))
            except InvalidValue as error:
                header.LOG.debug("window left out: %s", error)
        if found:
            break
    return tuple(found)


def _lossy(dataset: Dataset, claim: Claim) -> bool | None:
    """Lossy Image Compression (0028,2110), or an encoding that always is."""
    return codecs.is_lossy(claim.syntax) or {"01": True, "00": False}.get(header.text(dataset, "LossyImageCompression") or "")


def _pad(dataset: Dataset, transform: pixels.ModalityTransform, intensity: Intensity) -> float | None:
    padding = header.number(dataset, "PixelPaddingValue")
    if padding is None or intensity in (Intensity.COLOUR, Intensity.BINARY):
        return None
    return float(np.float32(transform(np.array([padding]))[0]))
