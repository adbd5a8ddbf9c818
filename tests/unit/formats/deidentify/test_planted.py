"""Whatever is planted where the table, a private block, an unknown tag or a repeating group governs, none of it is in the written bytes."""

from __future__ import annotations

import datetime
import io
import json
from importlib import resources
from typing import Any

import pydicom
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian

from tests.unit.formats.deidentify.made import KEY, image
from tests.unit.formats.deidentify.test_walk_table import vr_of
from vesalius.formats.deidentify import Profile, deidentify

ROWS = json.loads(resources.files("vesalius.formats.deidentify").joinpath("e1_1.json").read_text())["rows"]
TAGS = [int(tag, 16) for tag in ROWS if "x" not in tag and tag != "private" and int(tag, 16) >> 16 > 4]
LEAVES = [(tag, vr) for tag in TAGS if (vr := vr_of(tag)) not in ("SQ", "TM", "AS", "US", "DS", "IS", "CS", "AT")]
CONTAINERS = [tag for tag in TAGS if vr_of(tag) == "SQ"] + [0x00081115, 0x0040A168, 0x52009230, 0x00091080]
HIDDEN = [(0x00090010, "LO"), (0x00091001, "LO"), (0x00091002, "UN"), (0x60000022, "LO"), (0x60003000, "OW"), (0x50003000, "OW"), (0x50040022, "LO")]
UNKNOWN = [(0x00089998, "LO"), (0x00189996, "UT"), (0x00280010, "LO"), (0x00081140, "OB"), (0x0040A160, "UT")]

words = st.text("BCDFGHJKLMNPQRSTVWXZ", min_size=9, max_size=14)
dates = st.dates(min_value=datetime.date(1931, 1, 1), max_value=datetime.date(2023, 12, 31)).map(lambda d: d.strftime("%Y%m%d"))


def value_of(vr: str, word: str, date: str) -> tuple[Any, str]:
    """A value for the VR and the text in it that must not be seen again."""
    if vr in ("DA", "DT"):
        return date, date
    if vr == "UI":
        digits = "9" + "".join(str(ord(c) % 10) for c in word) + date
        return f"1.2.826.{digits}", digits
    if vr in ("OB", "OW", "UN", "OF", "OD", "OV", "OL"):
        return (word * 8).encode()[:64], word
    return (f"http://{word}" if vr == "UR" else f"{word} x"[:16]), word


@st.composite
def trees(draw: st.DrawFn, depth: int = 4) -> tuple[Dataset, set[str]]:
    ds, secrets = Dataset(), set()
    for tag, vr in draw(st.lists(st.sampled_from(LEAVES + HIDDEN + UNKNOWN), min_size=1, max_size=6, unique_by=lambda x: x[0])):
        value, secret = value_of(vr, draw(words), draw(dates))
        ds.add_new(tag, vr, value)
        secrets.add(secret)
    if depth:
        for tag in draw(st.lists(st.sampled_from(CONTAINERS), max_size=2, unique=True)):
            inner = [draw(trees(depth=depth - 1)) for _ in range(draw(st.integers(1, 2)))]
            ds.add_new(tag, "SQ", Sequence([item for item, _ in inner]))
            secrets = secrets.union(*(found for _, found in inner))
    return ds, secrets


PROFILES = [Profile(replace_encapsulated_document=True), Profile(replace_encapsulated_document=True, retain_longitudinal_modified_dates=True)]


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("profile", PROFILES, ids=["basic", "modified dates"])
@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, ImplicitVRLittleEndian], ids=["explicit", "implicit"])
@settings(max_examples=60, deadline=None, derandomize=True, phases=[Phase.explicit, Phase.generate], suppress_health_check=list(HealthCheck))
@given(tree=trees())
def test_nothing_planted_is_in_the_written_bytes(tree: tuple[Dataset, set[str]], syntax: str, profile: Profile) -> None:
    planted, secrets = tree
    ds = image()
    ds.update(planted)
    ds.file_meta.TransferSyntaxUID = syntax
    ds.set_original_encoding(syntax == ImplicitVRLittleEndian, True)
    stream = io.BytesIO()
    ds.save_as(stream, implicit_vr=syntax == ImplicitVRLittleEndian, little_endian=True, enforce_file_format=False)
    before = stream.getvalue()
    secrets = {secret for secret in secrets if secret.encode() in before}
    assert secrets, "the source holds what was planted"
    clean, records = deidentify(pydicom.dcmread(io.BytesIO(before), force=True), profile, KEY)
    stream = io.BytesIO()
    clean.save_as(stream, enforce_file_format=True)
    after = stream.getvalue()
    assert not [secret for secret in secrets if secret.encode() in after]
    assert not [secret for secret in secrets if secret in repr(records)]
    assert pydicom.dcmread(io.BytesIO(after)).PixelData == ds.PixelData
