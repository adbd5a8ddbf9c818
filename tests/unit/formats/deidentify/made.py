"""Small datasets with planted values, for the tests of de-identification."""

from __future__ import annotations

import io
from typing import Any

import pydicom
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.sequence import Sequence
from pydicom.uid import ExplicitVRLittleEndian, SecondaryCaptureImageStorage

from vesalius.formats.deidentify import Key

KEY = Key(bytes(range(32)))
OTHER = Key(bytes(range(1, 33)))
PLANTED = "QUVORNX"  # no word of the standard holds it
_VALUES = {
    "DA": "20240229",
    "TM": "121314.5",
    "DT": "20240229121314.5+0100",
    "AS": "041Y",
    "UI": "1.2.826.99.1234567",
    "UR": f"http://{PLANTED}.example",
    "PN": f"{PLANTED}^ANNA",
    "DS": "17.25",
    "IS": "17",
    "AT": 0x00100010,
    "CS": PLANTED,
    "AE": PLANTED,
}


def planted(vr: str) -> Any:
    if vr == "SQ":
        item = Dataset()
        item.CodeValue, item.ReferencedSOPInstanceUID, item.TextValue = "C1", _VALUES["UI"], PLANTED
        return Sequence([item])
    if vr in ("OB", "OW", "UN", "OD", "OF", "OL", "OV"):
        return PLANTED.encode() + b"!"
    if vr in ("US", "SS", "UL", "SL", "UV", "SV"):
        return 17
    if vr in ("FL", "FD"):
        return 17.25
    return _VALUES.get(vr, f"{PLANTED} text")


def image(**values: Any) -> Dataset:
    """A 2 x 2 image of a named patient with an own UID, as read from a file."""
    ds = Dataset()
    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    ds.file_meta.SourceApplicationEntityTitle = PLANTED
    ds.file_meta.PrivateInformationCreatorUID, ds.file_meta.PrivateInformation = "1.2.3.4", PLANTED.encode() + b"!"
    ds.SOPClassUID, ds.SOPInstanceUID = SecondaryCaptureImageStorage, "1.2.826.99.1"
    ds.file_meta.MediaStorageSOPClassUID, ds.file_meta.MediaStorageSOPInstanceUID = ds.SOPClassUID, ds.SOPInstanceUID
    ds.StudyInstanceUID, ds.SeriesInstanceUID = "1.2.826.99.2", "1.2.826.99.3"
    ds.PatientName, ds.PatientID, ds.PatientBirthDate = f"{PLANTED}^ANNA", "MRN-778899", "19500617"
    ds.StudyDate, ds.StudyTime, ds.Modality = "20240229", "101112", "OT"
    ds.Rows = ds.Columns = 2
    ds.BitsAllocated = ds.BitsStored = 8
    ds.HighBit, ds.PixelRepresentation, ds.SamplesPerPixel, ds.PhotometricInterpretation = 7, 0, 1, "MONOCHROME2"
    ds.PixelData = b"\1\2\3\4"
    for name, value in values.items():
        setattr(ds, name, value)
    return reread(ds)


def written(ds: Dataset) -> bytes:
    stream = io.BytesIO()
    if "preamble" not in vars(ds) or ds.preamble is None:
        ds.preamble = b"P" * 128
    ds.save_as(stream, enforce_file_format=True)
    return stream.getvalue()


def reread(ds: Dataset) -> Dataset:
    return pydicom.dcmread(io.BytesIO(written(ds)))


def nested(leaf: DataElement, depth: int) -> Dataset:
    """A dataset whose sequence, which the table does not name, holds itself `depth` times around a leaf."""
    ds = Dataset()
    ds.add(leaf)
    for _ in range(depth):
        outer = Dataset()
        outer.ConceptCodeSequence = Sequence([ds])
        ds = outer
    return ds


def innermost(ds: Dataset, depth: int) -> Dataset:
    for _ in range(depth):
        (ds,) = ds.ConceptCodeSequence
    return ds
