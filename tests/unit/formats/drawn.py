"""Small DICOM files drawn for tests: a sound one by default, with any element changed, added or taken away."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.uid import ExplicitVRLittleEndian

RAMP = np.arange(20, dtype=np.uint16).reshape(4, 5) * 50


def dataset(pixels: np.ndarray | None = RAMP, *, syntax: str = ExplicitVRLittleEndian, frames: list[bytes] | None = None, **elements: object) -> Dataset:
    """A grey or RGB image object; `frames` are compressed frames to encapsulate; an element given as None is left out."""
    ds = Dataset()
    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = syntax
    ds.file_meta.MediaStorageSOPClassUID = ds.SOPClassUID = "1.2.840.10008.5.1.4.1.1.7"
    ds.file_meta.MediaStorageSOPInstanceUID = ds.SOPInstanceUID = "1.2.3.4"
    ds.StudyInstanceUID, ds.SeriesInstanceUID, ds.SeriesNumber, ds.InstanceNumber = "1.2.3", "1.2.3.1", 1, 1
    ds.PatientID, ds.Modality = "P1", "MR"
    if pixels is not None:
        colour = pixels.ndim >= 3 and pixels.shape[-1] == 3
        ds.SamplesPerPixel = 3 if colour else 1
        ds.PhotometricInterpretation = "RGB" if colour else "MONOCHROME2"
        if colour:
            ds.PlanarConfiguration = 0
        shape = pixels.shape[:-1] if colour else pixels.shape
        ds.Rows, ds.Columns = shape[-2:]
        if len(shape) == 3:
            ds.NumberOfFrames = shape[0]
        ds.BitsAllocated = ds.BitsStored = pixels.dtype.itemsize * 8
        ds.HighBit = ds.BitsStored - 1
        ds.PixelRepresentation = int(pixels.dtype.kind == "i")
        ds.PixelData = pixels.tobytes() + b"\0" * (pixels.nbytes % 2)
        ds["PixelData"].VR = "OW" if pixels.dtype.itemsize > 1 else "OB"
    if frames is not None:
        ds.PixelData = encapsulate(frames)
        ds["PixelData"].VR = "OB"
        ds["PixelData"].is_undefined_length = True
    for keyword, value in elements.items():
        if value is None:
            ds.pop(keyword, None)
        else:
            setattr(ds, keyword, value)
    return ds


def write(path: Path, pixels: np.ndarray | None = RAMP, **elements: object) -> Path:
    """The same, written to a file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    dataset(pixels, **elements).save_as(path, enforce_file_format=True)
    return path


def item(**elements: object) -> Dataset:
    """A sequence item."""
    ds = Dataset()
    for keyword, value in elements.items():
        setattr(ds, keyword, value)
    return ds
