"""The corpus: patients with one to three studies each, made from the files that ship with pydicom and from drawn or real pictures, with everything planted.

In: a folder, a number of studies, a seed. Out: `source/` with DICOM files and reports, `letters/`, `items.jsonl`; the same seed gives the same bytes.
"""

from __future__ import annotations

import dataclasses
import datetime
import json
import os
import random
import sys
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
from numpy.typing import NDArray
from pydicom.data import get_testdata_file
from pydicom.dataset import Dataset

from deidentify import items, objects, reports
from deidentify.headers import Planter
from deidentify.items import File, Item
from deidentify.people import Person, person, serial
from deidentify.pictures import Pictures

_ROOT = "1.2.826.0.1.3680043.9.7777"
KINDS = {"film": 42, "ct": 12, "mr": 18, "us": 8, "sr": 5, "rt": 4, "seg": 2, "ecg": 2, "nm": 3, "capture": 4}
"""Kinds of studies and how many of a hundred are of each."""
BASES = {
    "ct": ("CT_small.dcm", "J2K_pixelrep_mismatch.dcm", "693_J2KI.dcm", "drawn CT"),
    "mr": (
        "MR_small.dcm",
        "MR_small_RLE.dcm",
        "MR_small_jp2klossless.dcm",
        "MR_small_jpeg_ls_lossless.dcm",
        "MR_small_bigendian.dcm",
        "MR_small_implicit.dcm",
        "MR_small_padded.dcm",
        "examples_overlay.dcm",
        "drawn MR",
        "drawn MR",
    ),
    "us": ("examples_rgb_color.dcm", "examples_palette.dcm", "examples_jpeg2k.dcm", "drawn US", "drawn US", "drawn US"),
    "nm": ("JPEG2000.dcm", "drawn NM"),
    "capture": ("SC_rgb_rle.dcm", "SC_rgb_jpeg_gdcm.dcm", "SC_rgb_gdcm_KY.dcm", "SC_rgb_rle_2frame.dcm", "image_dfl.dcm"),
    "seg": ("liver_1frame.dcm",),
    "ecg": ("waveform_ecg.dcm",),
}


@dataclasses.dataclass
class Study:
    """One study in the making."""

    number: int
    patient: int
    who: Person
    day: datetime.date
    accession: str
    uid: str
    frame: str
    rng: random.Random
    files: list[File] = dataclasses.field(default_factory=list)

    @property
    def folder(self) -> str:
        return f"p{self.patient:04d}/s{self.number:04d}"


def uid(rng: random.Random) -> str:
    return f"{_ROOT}.{rng.randrange(10**8)}.{rng.randrange(10**14)}"


def shipped(name: str) -> Dataset:
    """A file that ships with pydicom."""
    path = get_testdata_file(name, download=False)
    if path is None:
        raise SystemExit(f"pydicom's {name} is missing")
    return pydicom.dcmread(str(path))


def clean_films() -> list[NDArray[np.uint8]]:
    """Real pictures on which a person saw no letter, from the data root; none without it."""
    root = os.environ.get("VESALIUS_DATA")
    if not root or not (Path(root) / "nih_cxr").is_dir():
        return []
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
    from burned_in import clean

    return [picture for picture in clean(Path(root)) if min(picture.shape) >= 200]


def make(folder: Path, studies: int, seed: int) -> list[Item]:
    """Make the corpus in an empty or absent folder."""
    (folder / "source").mkdir(parents=True)
    warnings.simplefilter("ignore")
    rng = random.Random(f"{seed} people")
    pictures = Pictures(clean_films(), folder / "letters")
    found: list[Item] = []
    number = patient = 0
    while number < studies:
        patient += 1
        who = person(rng)
        day = who.first
        for _ in range(rng.choice((1, 2, 2, 3))):
            if number == studies:
                break
            number += 1
            one = random.Random(f"{seed} study {number}")
            study = Study(number, patient, who, day, serial(one), uid(one), uid(one), one)
            kind = one.choices(list(KINDS), list(KINDS.values()))[0] if number > len(KINDS) else list(KINDS)[number - 1]
            found += _study(study, kind, pictures, folder / "source")
            day += datetime.timedelta(days=rng.randrange(2, 500))
    items.save(found, folder / "items.jsonl")
    about = {"studies": studies, "patients": patient, "seed": seed, "real pictures": len(pictures.clean), "items": len(found)}
    (folder / "about.json").write_text(json.dumps(about), encoding="utf-8")
    return found


def _study(study: Study, kind: str, pictures: Pictures, source: Path) -> list[Item]:
    rng = study.rng
    datasets = _datasets(study, pictures, kind)
    series = uid(rng)
    for number, dataset in enumerate(datasets, 1):
        file = File(dataset, f"{study.folder}/{number:02d}.dcm", study.patient)
        study.files.append(file)
        objects.identity(file, study, uid(rng), series if dataset.Modality != "SR" else uid(rng), number)
        Planter(file, study.who, study.day, rng, study.accession).everything(study.who.age(study.day))
        pictures.plant(file, study.who, rng)
        objects.hide(file, study.who, rng, pictures.folder)
    objects.link(study.files, rng)
    for file in study.files:
        if file.dataset.Modality == "SR":
            objects.report(file, study, next(f for f in study.files if f is not file) if len(study.files) > 1 else file)
    found = [item for file in study.files for item in file.items]
    for file in study.files:
        objects.save(file, source / file.name)
    if rng.random() < 0.6:
        found += reports.write(study, source)
    return found


def _datasets(study: Study, pictures: Pictures, kind: str) -> list[Dataset]:
    rng = study.rng
    if kind == "film":
        return [pictures.drawn(rng, one) for one in rng.sample(("CR", "DX", "DX"), rng.randint(1, 2))]
    if kind == "sr":
        return [pictures.drawn(rng, "DX"), shipped(rng.choice(("test-SR.dcm", "reportsi.dcm")))]
    if kind == "rt":
        return [shipped("rtplan.dcm"), shipped(rng.choice(("rtdose.dcm", "rtdose_rle.dcm")))]
    name = rng.choice(BASES[kind])
    found = [
        pictures.drawn(rng, name.removeprefix("drawn ")) if name.startswith("drawn ") else shipped(name)
        for _ in range(rng.randint(1, 3) if kind in ("ct", "mr") else 1)
    ]
    for number, dataset in enumerate(found):
        if dataset.get("ImagePositionPatient"):
            x, y, z = dataset.ImagePositionPatient
            dataset.ImagePositionPatient = [x, y, round(float(z) + 5.0 * number, 3)]
        if kind == "capture" and not dataset.get("Modality"):
            dataset.Modality = "OT"
    return found


def about(folder: Path) -> dict[str, Any]:
    """What was made."""
    told: dict[str, Any] = json.loads((folder / "about.json").read_text(encoding="utf-8"))
    return told
