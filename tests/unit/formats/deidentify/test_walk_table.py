"""Every row of Table E.1-1 is acted on as its columns say, at the top and five sequences deep."""

from __future__ import annotations

import json
from importlib import resources

import pytest
from pydicom.datadict import dictionary_VR
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset

from tests.unit.formats.deidentify.made import KEY, PLANTED, innermost, nested, planted
from vesalius.formats.deidentify import Cleaners, Profile, deidentify
from vesalius.formats.deidentify.profile import CODES

ROWS = json.loads(resources.files("vesalius.formats.deidentify").joinpath("e1_1.json").read_text())["rows"]
EXACT = {int(tag, 16): row for tag, row in ROWS.items() if "x" not in tag and tag != "private"}
EMPTY_FOR = {"D": "D", "Z/D": "D", "X/D": "D", "X/Z/D": "D", "X/Z": "Z"}
CLEANERS = Cleaners(text=lambda _, text: text.replace(PLANTED, "clean"), overlay=lambda ds, group: bytes(len(ds[group, 0x3000].value)))


def vr_of(tag: int) -> str:
    try:
        return dictionary_VR(tag).split(" or ")[0]
    except KeyError:
        return "SQ" if ROWS[f"{tag:08X}"]["name"].endswith("Sequence") else "DT" if "DateTime" in ROWS[f"{tag:08X}"]["name"] else "LO"


def acted(tag: int, profile: Profile, depth: int, cleaners: Cleaners | None = None) -> tuple[DataElement, DataElement | None, list[str]]:
    value = "+0100" if tag == 0x00080201 else planted(vr_of(tag))
    source = nested(DataElement(tag, vr_of(tag), value), depth)
    clean, records = deidentify(source, profile, KEY, cleaners=cleaners)
    before, after = innermost(source, depth)[tag], innermost(clean, depth).get(tag)
    return before, after, [r.action for r in records if r.path.endswith(f"({tag >> 16:04X},{tag & 0xFFFF:04X})")]


def check_basic(action: str, before: DataElement, after: DataElement | None) -> None:
    if action == "X":
        assert after is None
        return
    assert after is not None
    if action == "X/Z/U*":
        assert after.VR == "SQ"
        assert after.value[0].ReferencedSOPInstanceUID == KEY.uid(before.value[0].ReferencedSOPInstanceUID)
        assert PLANTED not in str(after)
    elif before.tag in (0x00100010, 0x00100020):
        assert KEY.made_patient(str(after.value))
    elif action == "U" or (before.VR == "UI" and action == "D"):
        assert after.value == KEY.uid(before.value)
    elif EMPTY_FOR.get(action, action) == "Z":
        assert not after.value
    else:
        assert after.value
        assert after.value != before.value
        assert PLANTED not in str(after)
        assert after.VR == before.VR


@pytest.mark.parametrize("depth", [0, 5])
def test_the_basic_profile_acts_on_every_row(depth: int) -> None:
    profile = Profile(replace_encapsulated_document=True)
    for tag, row in EXACT.items():
        if depth == 0 and tag in (0x00120062, 0x00120063, 0x00120064, 0x00280303):
            continue
        before, after, actions = acted(tag, profile, depth)
        check_basic(row["action"], before, after)
        assert len(actions) == 1, (row, actions)
        assert actions[0] in row["action"].split("/"), (row, actions)


@pytest.mark.parametrize("option", [o for o in CODES if o not in ("retain_safe_private", "clean_graphics", "retain_longitudinal_modified_dates")])
def test_an_option_acts_on_its_rows_and_on_no_other(option: str) -> None:
    profile = Profile(**{option: True, "replace_encapsulated_document": True})
    for tag, row in EXACT.items():
        before, after, actions = acted(tag, profile, 0, CLEANERS)
        wanted = row.get("options", {}).get(option)
        if wanted is None or (before.VR == "OB" and wanted == "C"):  # bytes are not cleaned: the Basic Profile has the word
            check_basic(row["action"], before, after)
            continue
        assert after is not None, row
        assert actions[0] == wanted
        if before.VR == "SQ":
            assert len(after.value) == 1
        elif wanted == "K":
            assert after == before
        elif before.VR != "PN":
            assert after.value == str(before.value).replace(PLANTED, "clean")


def test_modified_dates_are_shifted_on_every_row() -> None:
    profile = Profile(retain_longitudinal_modified_dates=True)
    seen = set()
    for tag, row in EXACT.items():
        if "retain_longitudinal_modified_dates" not in row.get("options", {}):
            continue
        before, after, actions = acted(tag, profile, 5)
        if before.VR == "OB":  # a time in bytes is not shifted: the Basic Profile has the word
            check_basic(row["action"], before, after)
            continue
        assert after is not None
        assert actions == ["C"]
        seen.add(before.VR)
        if before.VR in ("DA", "DT"):
            assert after.value != before.value
            assert after.value[8:] == before.value[8:]
            assert int(after.value[:4]) < 2024
        else:
            assert after.value == before.value
    assert seen == {"DA", "DT", "TM", "SH"}


def test_device_texts_without_a_cleaner_follow_the_basic_profile() -> None:
    for tag, row in EXACT.items():
        if row.get("options", {}).get("retain_device_identity") == "C":
            before, after, _ = acted(tag, Profile(retain_device_identity=True), 0)
            check_basic(row["action"], before, after)


def groups() -> Dataset:
    ds = Dataset()
    for group in (0x5000, 0x501E):
        ds.add_new((group, 0x0005), "US", 1)
        ds.add_new((group, 0x0022), "LO", PLANTED)
        ds.add_new((group, 0x3000), "OW", PLANTED.encode() + b"!")
    for group in (0x6000, 0x601E):
        ds.add_new((group, 0x0010), "US", 8)
        ds.add_new((group, 0x0022), "LO", PLANTED)
        ds.add_new((group, 0x1500), "LO", PLANTED)
        ds.add_new((group, 0x3000), "OW", PLANTED.encode() + b"!")
        ds.add_new((group, 0x4000), "LT", PLANTED)
    ds.add_new((0x6002, 0x0102), "US", 12)
    return ds


def test_curves_and_overlays_go_as_whole_groups() -> None:
    clean, records = deidentify(groups(), Profile(), KEY)
    assert not [tag for tag in clean.keys() if 0x5000 <= tag.group < 0x7000]  # noqa: SIM118 - the elements are not asked for
    assert len(records) == len(groups())
    assert {r.action for r in records} == {"X"}


def test_clean_graphics_keeps_overlays_that_the_cleaner_cleaned() -> None:
    clean, _ = deidentify(groups(), Profile(clean_graphics=True), KEY, cleaners=CLEANERS)
    assert clean[0x6000, 0x3000].value == bytes(8)
    assert clean[0x601E, 0x1500].value == "clean"
    assert (0x6002, 0x0102) not in clean
    assert not [tag for tag in clean.keys() if 0x5000 <= tag.group < 0x6000]  # noqa: SIM118
    for refuses in (lambda ds, group: None, lambda ds, group: 1 / 0):
        clean, _ = deidentify(groups(), Profile(clean_graphics=True), KEY, cleaners=Cleaners(text=CLEANERS.text, overlay=refuses))
        assert not [tag for tag in clean.keys() if 0x6000 <= tag.group < 0x7000]  # noqa: SIM118
