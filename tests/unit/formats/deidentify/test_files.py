"""Real files: all that ship inside pydicom, and a film whose header names a made-up patient."""

from __future__ import annotations

import io
import re
from pathlib import Path

import pydicom
import pydicom.data
import pytest
from pydicom.dataset import Dataset

from tests.unit.formats.deidentify.made import KEY
from vesalius.errors import UserError
from vesalius.formats.deidentify import Profile, deidentify

ROOT = Path(pydicom.data.__file__).parent
FILES = sorted(p for p in ROOT.rglob("*") if p.is_file() and p.suffix not in (".py", ".pyc"))
WITHOUT_CLASS = {"empty_charset_LEI.dcm", "nested_priv_SQ.dcm"}  # they name no SOP class: no tool can write them as a file of the standard
PROFILES = {
    "basic": Profile(),
    "much kept": Profile(retain_longitudinal_modified_dates=True, retain_safe_private=True, retain_patient_characteristics=True, retain_device_identity=True),
}


def written(ds: Dataset, name: str) -> bytes:
    stream = io.BytesIO()
    ds.save_as(stream, enforce_file_format="TransferSyntaxUID" in ds.file_meta and name not in WITHOUT_CLASS)
    return stream.getvalue()


def pixels(ds: Dataset) -> list[bytes]:
    return [ds[name].value for name in ("PixelData", "FloatPixelData", "DoubleFloatPixelData") if name in ds]


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("profile", PROFILES.values(), ids=PROFILES)
def test_every_file_goes_through_and_keeps_its_pixels(profile: Profile) -> None:
    through, directories = 0, 0
    for path in FILES:
        ds = pydicom.dcmread(path, force=True)
        if "DirectoryRecordSequence" in ds:
            with pytest.raises(UserError, match="DICOMDIR"):
                deidentify(ds, profile, KEY)
            directories += 1
            continue
        clean, _ = deidentify(ds, profile, KEY)
        data = written(clean, path.name)
        back = pydicom.dcmread(io.BytesIO(data), force=True)
        assert pixels(back) == pixels(ds), path
        assert [e.tag for e in back] == [e.tag for e in clean], path
        again, _ = deidentify(back, profile, KEY)
        assert written(again, path.name) == data, path
        through += 1
    assert (through, directories) == (len(FILES) - directories, directories)
    assert through >= 190
    assert directories >= 5


@pytest.mark.filterwarnings("ignore")
def test_names_and_numbers_of_the_shipped_files_are_gone() -> None:
    checked = 0
    for path in FILES:
        ds = pydicom.dcmread(path, force=True)
        number = str(ds.get("PatientID") or "")
        uids = [str(ds.get(k) or "") for k in ("SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID")]
        secrets = [s.encode() for s in ([number] if len(number) > 5 else []) + uids if s and not s.startswith("1.2.840.10008.")]
        if "DirectoryRecordSequence" in ds or not secrets:
            continue
        clean, _ = deidentify(ds, Profile(), KEY)
        data = written(clean, path.name)
        for secret in secrets:
            assert not re.search(rb"(?<![0-9.])" + re.escape(secret) + rb"(?![0-9.])", data), path
        checked += 1
    assert checked > 150


@pytest.mark.data
def test_no_identifier_of_the_film_survives(data_root: Path) -> None:
    path = data_root / "phi_dicom" / "0_ORIGINAL_compressed.dcm"
    if not path.is_file():
        pytest.skip("needs phi_dicom in the data root")
    ds = pydicom.dcmread(path)
    secrets = {"DAVIDSON", "DOUGLAS", "292821506", "19760616", "20130713", "20130714E864535", "HUGHES", "KATHLEEN", "BROWN", "Scott Community", "POSDA"}
    secrets |= {"Michael Manor", "Green Inlet", "87009668", "20120224", str(ds.SOPInstanceUID), str(ds.StudyInstanceUID), str(ds.SeriesInstanceUID)}
    raw = path.read_bytes()
    assert all(secret.encode().lower() in raw.lower() for secret in secrets)
    for profile in PROFILES.values():
        clean, records = deidentify(ds, profile, KEY)
        data = written(clean, path.name)
        header = data[: data.index(ds.PixelData)].lower()
        assert not [secret for secret in secrets if secret.encode().lower() in header]
        assert not [secret for secret in secrets if secret.lower() in repr(records).lower()]
        assert clean.PixelData == ds.PixelData
