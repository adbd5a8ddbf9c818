"""Image objects drawn for the corpus, and what is written into them.

In: a random generator, clean real pictures when there are some. Out: datasets with pixels, and items for strings, markers and all that must stay untouched.
"""

from __future__ import annotations

import random
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, JPEG2000Lossless, JPEGLSLossless, RLELossless

from deidentify import draw
from deidentify.items import File
from deidentify.people import Person

_CLASSES = {
    "CR": "1.2.840.10008.5.1.4.1.1.1",
    "DX": "1.2.840.10008.5.1.4.1.1.1.1",
    "CT": "1.2.840.10008.5.1.4.1.1.2",
    "MR": "1.2.840.10008.5.1.4.1.1.4",
    "US": "1.2.840.10008.5.1.4.1.1.6.1",
    "NM": "1.2.840.10008.5.1.4.1.1.20",
}
_PARTS = {"CR": "CHEST", "DX": "CHEST", "CT": "ABDOMEN", "MR": "HEAD", "US": "LIVER", "NM": "BONE"}
_SIDES = {"CR": (640, 768, 896), "DX": (640, 768, 1024), "CT": (512,), "MR": (320, 384), "US": (480, 600), "NM": (256,)}
_OFTEN = {"CR": 0.7, "DX": 0.7, "US": 0.85}
REST = 0.02  # of the picture, outside of strings and a margin of 12 pixels around them
MARGIN = 12


class Pictures:
    """Makes image objects and remembers the drawn ones until they are planted."""

    def __init__(self, clean: list[NDArray[np.uint8]], folder: Path) -> None:
        self.clean, self.folder = clean, folder
        self._open: dict[int, tuple[Dataset, draw.Picture]] = {}

    def drawn(self, rng: random.Random, modality: str) -> Dataset:
        """An image object whose pixels are written by `plant`."""
        picture = draw.ground(modality, _PARTS[modality], rng, self.clean, rng.choice(_SIDES[modality]))
        ds = Dataset()
        ds.file_meta = FileMetaDataset()
        ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        ds.SOPClassUID, ds.Modality, ds.BodyPartExamined = _CLASSES[modality], modality, _PARTS[modality]
        ds.ImageType, ds.Manufacturer, ds.ManufacturerModelName, ds.SoftwareVersions = ["ORIGINAL", "PRIMARY"], "ACME Imaging", f"{modality}-Explorer", "4.2.1"
        ds.Rows, ds.Columns = picture.shape
        if modality in ("CT", "MR"):
            ds.PixelSpacing, ds.SliceThickness = ["0.7", "0.7"], "3"
            ds.ImagePositionPatient, ds.ImageOrientationPatient = ["-120", "-110", "42.5"], ["1", "0", "0", "0", "1", "0"]
            ds.PatientPosition = "HFS"
        ds.WindowCenter, ds.WindowWidth = ("40", "400") if modality == "CT" else ("1800", "3600")
        if modality == "CT":
            ds.RescaleIntercept, ds.RescaleSlope = "-1024", "1"
        self._open[id(ds)] = (ds, picture)
        return ds

    def plant(self, file: File, who: Person, rng: random.Random) -> None:
        """Write strings into a drawn picture and store it; note what must stay untouched in any."""
        kept = self._open.pop(id(file.dataset), None)
        if kept is None:
            if "PixelData" in file.dataset and file.dataset.Modality != "US":  # the ultrasounds that pydicom ships have writing of their own
                file.note("clean pictures untouched", "untouched", ("pixels",), 0)
            return
        picture = kept[1]
        written = self._strings(file, picture, who, rng)
        self._store(file.dataset, picture, rng)
        value, category = (REST, "rest of written pictures untouched") if written else (0, "clean pictures untouched")
        boxes = [(w.row, w.column, *w.letters.shape) for w in written]
        file.note(category, "untouched", ("pixels",), value, boxes=boxes)

    def _strings(self, file: File, picture: draw.Picture, who: Person, rng: random.Random) -> list[draw.Written]:
        modality = str(file.dataset.Modality)
        taken, found = np.zeros(picture.shape, bool), []
        if modality in ("CR", "DX") and rng.random() < 0.4:
            marker = draw.write(picture, taken, rng.choice(("R", "L", "R", "PORTABLE")), rng, contrast=12.0, angle=0, size=32)
            if marker is not None:
                self._note(file, "side markers stay", "stays", marker)
        if rng.random() < _OFTEN.get(modality, 0.15):
            for _ in range(rng.randint(1, 3)):
                one = draw.write(
                    picture, taken, _words(who, rng), rng, contrast=rng.choice(draw.CONTRASTS), angle=rng.choice(draw.ANGLES), size=rng.choice(draw.SIZES)
                )
                if one is not None:
                    found.append(one)
                    self._note(file, "burned-in strings", "covered", one)
        return found

    def _note(self, file: File, category: str, action: str, one: draw.Written) -> None:
        name = draw.keep(one, self.folder, f"{file.name.replace('/', '-')}-{len(file.items):04d}")
        file.note(category, action, ("pixels",), name, row=one.row, column=one.column, contrast=one.contrast, angle=one.angle, size=one.size)

    @staticmethod
    def _store(ds: Dataset, picture: draw.Picture, rng: random.Random) -> None:
        grey = np.clip(np.rint(picture), 0, 255)
        ds.SamplesPerPixel, ds.PhotometricInterpretation, ds.PixelRepresentation = 1, "MONOCHROME2", 0
        deep = ds.Modality in ("CT", "MR") or (ds.Modality == "DX" and rng.random() < 0.7)
        ds.BitsAllocated, ds.BitsStored = (16, 12) if deep else (8, 8)
        ds.HighBit = ds.BitsStored - 1
        pixels = (grey * 16).astype(np.uint16) if deep else grey.astype(np.uint8)
        if ds.Modality in ("CR", "DX") and rng.random() < 0.25:
            ds.PhotometricInterpretation, pixels = "MONOCHROME1", (2**ds.BitsStored - 1 - pixels).astype(pixels.dtype)
        if ds.Modality == "US":
            ds.SamplesPerPixel, ds.PhotometricInterpretation, ds.PlanarConfiguration = 3, "RGB", 0
            pixels = np.repeat(pixels[..., None], 3, -1)
        raw = pixels.tobytes()
        ds.PixelData = raw + b"\0" * (len(raw) % 2)
        ds["PixelData"].VR = "OW" if deep else "OB"
        packing = rng.choice((None, None, None, RLELossless, JPEG2000Lossless, JPEGLSLossless))
        if packing is not None and not (packing == JPEGLSLossless and ds.SamplesPerPixel == 3):
            ds.SOPInstanceUID = ds.get("SOPInstanceUID") or "1.2.3"
            ds.compress(packing, generate_instance_uid=False)


def _words(who: Person, rng: random.Random) -> str:
    kinds = (
        f"{who.family.upper()}, {who.given.upper()}",
        f"{who.family}, {who.given} {who.born:%d.%m.%Y}",
        f"DOB: {who.born:%m/%d/%Y}",
        f"MRN {who.number}",
        f"ID: {who.number}",
        f"{who.hospital.upper()} {who.hospital_kind.upper()}",
        f"{who.family} {who.sex} {who.born.year}",
    )
    return rng.choice(kinds)
