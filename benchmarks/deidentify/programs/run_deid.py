"""deid. default: `replace_identifiers` with its own recipe. best: a recipe written by its documentation: shifted dates, hashed numbers, mapped UIDs, the
standard's lists removed, private attributes removed; pixels cleaned where its filters know the device."""

import hashlib
import sys
import tempfile
from pathlib import Path

import _common
import pydicom
from deid.config import DeidRecipe
from deid.dicom import DicomCleaner, replace_identifiers
from deid.logger import bot

bot.level = 0


def _recipe(lists):
    lines = ["FORMAT dicom", "%header", "ADD PatientIdentityRemoved YES", "ADD DeidentificationMethod deid"]
    lines += ["REPLACE PatientID var:number", "REPLACE PatientName var:number"]
    lines += [
        f"REPLACE {name} deid_func:pydicom_uuid"
        for name in ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID", "MediaStorageSOPInstanceUID", "FrameOfReferenceUID", "ReferencedSOPInstanceUID")
    ]
    lines += ["JITTER select:VR:DA var:days", "JITTER select:VR:DT var:days", "REMOVE PatientBirthDate"]
    chosen = [name for name in dict.fromkeys([*lists["removed"], *lists["descriptors"], *lists["devices"]]) if name not in lists["characteristics"]]
    lines += [f"REMOVE {name}" for name in chosen if not name.endswith(("Date", "DateTime", "UID")) and name not in ("PatientID", "PatientName")]
    path = Path(tempfile.mkdtemp()) / "deid.dicom"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return DeidRecipe(deid=str(path))


def make(mode, lists):
    recipe = _recipe(lists) if mode == "best" else None
    cleaner = DicomCleaner(output_folder=tempfile.mkdtemp()) if mode == "best" else None

    def work(path, out):
        if mode == "default":
            (dataset,) = replace_identifiers(dicom_files=[str(path)], save=False)
            return dataset.save_as(out)
        number = str(pydicom.dcmread(path, stop_before_pixels=True).get("PatientID", ""))
        digest = hashlib.sha256(b"salt" + number.encode()).hexdigest()
        ids = {str(path): {"number": digest[:16], "days": -(365 + int(digest[:4], 16) % 900)}}
        (dataset,) = replace_identifiers(dicom_files=[str(path)], ids=ids, deid=recipe, save=False, remove_private=True)
        dataset.save_as(out)
        if cleaner.detect(str(path)).get("flagged") and any(one.get("coordinates") for one in cleaner.results["results"]):
            print("coordinates for", path.name, file=sys.stderr)
        return None

    return work


_common.run(make)
