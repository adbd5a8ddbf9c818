"""De-identified files are as valid as their sources: `dciodvfy` (dicom3tools, David Clunie; Debian package dicom3tools) before and after."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest
from pydicom.data import get_testdata_file

from vesalius.formats import header
from vesalius.formats.deidentify import Cleaners, Key, Profile, deidentify
from vesalius.formats.deidentify.text.cleaner import TextCleaner

KEY = Key(bytes(range(32)))
PLANS = {
    "basic": Profile(),
    "research": Profile(
        retain_longitudinal_modified_dates=True,
        retain_patient_characteristics=True,
        retain_safe_private=True,
        clean_descriptors=True,
        clean_structured_content=True,
    ),
}
# of every kind of object that pydicom ships; two truncated ones are left out, for of what is cut off nothing can be said
FILES = (
    "CT_small.dcm", "MR_small.dcm", "JPEG2000.dcm", "JPGExtended.dcm", "SC_rgb_rle.dcm", "SC_rgb_jpeg_dcmtk.dcm", "examples_overlay.dcm",
    "examples_palette.dcm", "examples_ybr_color.dcm", "image_dfl.dcm", "liver_1frame.dcm", "reportsi.dcm", "rtdose.dcm", "rtplan.dcm", "rtstruct.dcm",
    "test-SR.dcm", "waveform_ecg.dcm", "priv_SQ.dcm", "no_meta_group_length.dcm",
)  # fmt: skip
_PLACE = re.compile(r"</[^>]*>|\([^)]*\)|\[[^\]]*\]|<[^>]*>|=[^-]*|\d[\d.]*")
pytestmark = pytest.mark.skipif(shutil.which("dciodvfy") is None, reason="dciodvfy is not installed (Debian package dicom3tools)")


def errors(path):
    """Kinds of errors, without values and places."""
    said = subprocess.run(["dciodvfy", str(path)], capture_output=True, text=True, errors="replace", check=False, timeout=120)
    if said.returncode < 0:
        return {"dciodvfy stops at its own assertion"}  # 32-bit doses, before as after
    return {" ".join(_PLACE.sub("", line).split()) for line in (said.stderr + said.stdout).splitlines() if line.startswith("Error")}


@pytest.mark.parametrize("plan", PLANS)
@pytest.mark.parametrize("name", FILES)
def test_no_kind_of_error_is_new(name, plan, tmp_path):
    path = get_testdata_file(name, download=False)
    cleaners = Cleaners(text=TextCleaner(KEY, identity="1", names=[], shift_days=-400).as_tag_cleaner())
    with header.quiet():
        clean, _ = deidentify(header.open_dataset(Path(path)), PLANS[plan], KEY, cleaners=cleaners)
        clean.save_as(tmp_path / "clean.dcm", enforce_file_format=True)
    assert errors(tmp_path / "clean.dcm") <= errors(path)


def test_an_error_is_seen(tmp_path):
    path = get_testdata_file("CT_small.dcm")
    broken = header.open_dataset(Path(path))
    del broken.Modality
    broken.save_as(tmp_path / "broken.dcm", enforce_file_format=True)
    assert errors(tmp_path / "broken.dcm") - errors(path)
