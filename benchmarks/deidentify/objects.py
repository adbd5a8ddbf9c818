"""What is planted beside attributes: UIDs and references, meta information, preamble, icons, curves, overlays, padding, and the content of reports.

In: files in the making. Out: the same, with items noted, and written to disk.
"""

from __future__ import annotations

import random
from collections.abc import Sequence as Many
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.sequence import Sequence
from pydicom.uid import ExplicitVRLittleEndian

from deidentify import draw
from deidentify.items import File, way
from deidentify.people import Person, Teller, family

if TYPE_CHECKING:
    from deidentify.corpus import Study

_BYTES = "meta information, icons, curves and other bytes"
_SAID = (
    "{Kerley} B {lines} are {present}. Discussed with Dr. <other> on <date>.",
    "{Hampton} {hump} on the {left}; patient <name>, MRN <mrn>.",
    "No {pneumothorax}. <name> was called at <phone>.",
    "{Swan-Ganz} {catheter} {unchanged} since <date> at <hospital>.",
)


def identity(file: File, study: Study, instance: str, series: str, number: int) -> None:
    """The UIDs of a file, and what must become of them."""
    ds = file.dataset
    for said in ("PatientIdentityRemoved", "DeidentificationMethod", "DeidentificationMethodCodeSequence", "LongitudinalTemporalInformationModified"):
        ds.pop(said, None)
    ds.StudyInstanceUID, ds.SeriesInstanceUID, ds.SOPInstanceUID = study.uid, series, instance
    ds.InstanceNumber = str(number)
    names = ["StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID"]
    if ds.Modality in ("CT", "MR", "RTDOSE", "RTPLAN"):
        ds.FrameOfReferenceUID = study.frame
        names.append("FrameOfReferenceUID")
    for name in names:
        file.note("UIDs", "new", way(name), str(ds[name].value))
    first = study.files[0]
    if first is not file:
        file.note("UIDs linked", "linked", way("StudyInstanceUID"), first.name, of="StudyInstanceUID")
        if "FrameOfReferenceUID" in names and "FrameOfReferenceUID" in first.dataset:
            file.note("UIDs linked", "linked", way("FrameOfReferenceUID"), first.name, of="FrameOfReferenceUID")


def link(files: Many[File], rng: random.Random) -> None:
    """References between the files of a study."""
    for file in files[1:]:
        other = rng.choice([f for f in files if f is not file])
        keyword = "ReferencedRTPlanSequence" if file.dataset.Modality == "RTDOSE" else "ReferencedImageSequence"
        _refer(file, keyword, other)


def _refer(file: File, keyword: str, other: File) -> None:
    setattr(file.dataset, keyword, Sequence([_reference(other)]))
    path = way(keyword, 0, "ReferencedSOPInstanceUID")
    file.note("UIDs", "new", path, str(other.dataset.SOPInstanceUID))
    file.note("UIDs linked", "linked", path, other.name, of="SOPInstanceUID")
    file.note("UIDs linked", "kept", way(keyword, 0, "ReferencedSOPClassUID"), str(other.dataset.SOPClassUID))


def _reference(other: File) -> Dataset:
    item = Dataset()
    item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = other.dataset.SOPClassUID, other.dataset.SOPInstanceUID
    return item


def hide(file: File, who: Person, rng: random.Random, folder: Path) -> None:
    """Names where nobody looks for them."""
    ds = file.dataset
    meta = ds.file_meta if hasattr(ds, "file_meta") else FileMetaDataset()
    ds.file_meta = meta
    meta.SourceApplicationEntityTitle = who.hospital[:12].upper()
    file.note(_BYTES, "gone", ("meta", *way("00020016")), [who.hospital[:12].upper()])
    if rng.random() < 0.3:
        meta.PrivateInformationCreatorUID, meta.PrivateInformation = "1.2.826.0.1.79.1", _even(who.name)
        file.note(_BYTES, "gone", ("meta", *way("00020102")), [who.family])
    if rng.random() < 0.4:
        ds.preamble = who.name.encode().ljust(128, b"\0")[:128]
        file.note(_BYTES, "gone", ("preamble",), [who.family, who.given])
    if rng.random() < 0.3:
        ds.add_new(0x50000022, "LO", f"curve of {who.family}")
        ds.add_new(0x50003000, "OW", _even(who.name))
        file.note(_BYTES, "gone", ("50000022",), [who.family])
        file.note(_BYTES, "gone", ("50003000",), [who.family])
    if rng.random() < 0.3:
        ds.DataSetTrailingPadding = _even(who.name)
        file.note(_BYTES, "gone", way("DataSetTrailingPadding"), [who.family])
    if rng.random() < 0.2:
        signed = Dataset()
        signed.CertificateOfSigner, signed.MACIDNumber = _even(f"CN={who.name}"), 1
        ds.DigitalSignaturesSequence = Sequence([signed])
        file.note(_BYTES, "gone", way("DigitalSignaturesSequence", 0, "CertificateOfSigner"), [who.family])
    if "PixelData" in ds and rng.random() < 0.4:
        _icon(file, who)
    if "PixelData" in ds and int(ds.get("NumberOfFrames") or 1) == 1 and int(ds.Columns) >= 60 and rng.random() < 0.35:
        _overlay(file, who, folder)


def _even(text: str) -> bytes:
    raw = text.encode()
    return raw + b" " * (len(raw) % 2)


def _icon(file: File, who: Person) -> None:
    packed, plane = draw.bits(who.family, 64, 64)
    icon = Dataset()
    icon.Rows, icon.Columns, icon.SamplesPerPixel, icon.PhotometricInterpretation = 64, 64, 1, "MONOCHROME2"
    icon.BitsAllocated, icon.BitsStored, icon.HighBit, icon.PixelRepresentation = 8, 8, 7, 0
    icon.PixelData = (plane * np.uint8(255)).tobytes()
    icon["PixelData"].VR = "OB"
    file.dataset.IconImageSequence = Sequence([icon])
    file.note(_BYTES, "blank", way("IconImageSequence", 0, "PixelData"), (plane * np.uint8(255)).tobytes().hex()[:4096], whole=True)
    del packed


def _overlay(file: File, who: Person, folder: Path) -> None:
    ds = file.dataset
    group = 0x6000 if (0x6000, 0x3000) not in ds else 0x6002
    rows, columns = int(ds.Rows), int(ds.Columns)
    packed, plane = draw.bits(f"{who.family} {who.number}", rows, columns)
    for element, vr, value in (
        (0x10, "US", rows),
        (0x11, "US", columns),
        (0x40, "CS", "G"),
        (0x50, "SS", [1, 1]),
        (0x100, "US", 1),
        (0x102, "US", 0),
        (0x22, "LO", f"text {who.family}"),
    ):
        ds.add_new(group << 16 | element, vr, value)
    ds.add_new(group << 16 | 0x3000, "OW", packed)
    name = f"{file.name.replace('/', '-')}-overlay.png"
    folder.mkdir(exist_ok=True)
    Image.fromarray(plane).save(folder / name)
    file.note("overlays", "blank", (f"{group:04X}3000",), name)
    file.note("overlays", "gone", (f"{group:04X}0022",), [who.family])


def _code(value: str, scheme: str, meaning: str) -> Sequence:
    code = Dataset()
    code.CodeValue, code.CodingSchemeDesignator, code.CodeMeaning = value, scheme, meaning
    return Sequence([code])


def _content(kind: str, name: tuple[str, str, str]) -> Dataset:
    item = Dataset()
    item.RelationshipType, item.ValueType, item.ConceptNameCodeSequence = "CONTAINS", kind, _code(*name)
    return item


def report(file: File, study: Study, image: File) -> None:
    """The content of a structured report: people, sentences, a code, a measurement, a date, a reference."""
    rng, who = study.rng, study.who
    teller = Teller(rng, who, study.day, study.accession)
    content: list[Dataset] = []

    def place(item: Dataset, *below: str | int) -> tuple[object, ...]:
        content.append(item)
        return way("ContentSequence", len(content) - 1, *below)

    person = _content("PNAME", ("121008", "DCM", "Person Observer Name"))
    last = family(rng)
    person.PersonName = f"{last}^Robin"
    file.note("content of structured reports", "gone", place(person, "PersonName"), [last])
    for template in rng.sample(_SAID, 2):
        told, item = teller.tell(template), _content("TEXT", ("121071", "DCM", "Finding"))
        item.TextValue = told.text
        path = place(item, "TextValue")
        file.note("content of structured reports", "gone", path, list(told.secret))
        file.note("content of structured reports kept", "kept", path, list(told.kept), words=True)
        file.note("content of structured reports kept", "kept", (*path[:2], *way("ConceptNameCodeSequence", 0, "CodeMeaning")), "Finding")
    finding = _content("CODE", ("121071", "DCM", "Finding"))
    finding.ConceptCodeSequence = _code("36118008", "SCT", "Pneumothorax")
    file.note("content of structured reports kept", "kept", place(finding, "ConceptCodeSequence", 0, "CodeValue"), "36118008")
    measured, amount = _content("NUM", ("410668003", "SCT", "Length")), Dataset()
    amount.NumericValue, amount.MeasurementUnitsCodeSequence = f"{rng.randrange(3, 90)}.5", _code("mm", "UCUM", "millimeter")
    measured.MeasuredValueSequence = Sequence([amount])
    file.note("content of structured reports kept", "kept", place(measured, "MeasuredValueSequence", 0, "NumericValue"), str(amount.NumericValue))
    when = _content("DATE", ("111060", "DCM", "Study Date"))
    when.Date = study.day.strftime("%Y%m%d")
    path = place(when, "Date")
    file.note("content of structured reports", "gone", path, [when.Date])
    file.note("intervals between dates", "moved", path, str(when.Date))
    shown = _content("IMAGE", ("121191", "DCM", "Referenced Segment"))
    shown.ReferencedSOPSequence = Sequence([_reference(image)])
    path = place(shown, "ReferencedSOPSequence", 0, "ReferencedSOPInstanceUID")
    file.note("UIDs linked", "linked", path, image.name, of="SOPInstanceUID")
    file.dataset.ContentSequence = Sequence(content)


def save(file: File, path: Path) -> None:
    """Write a file in its own encoding."""
    ds = file.dataset
    path.parent.mkdir(parents=True, exist_ok=True)
    ds.file_meta.MediaStorageSOPClassUID, ds.file_meta.MediaStorageSOPInstanceUID = ds.SOPClassUID, ds.SOPInstanceUID
    if "TransferSyntaxUID" not in ds.file_meta:
        ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    if getattr(ds, "preamble", None) is None:
        ds.preamble = b"\0" * 128
    ds.save_as(path, enforce_file_format=True)
