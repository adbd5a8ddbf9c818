"""Options: read strictly, conflicts refused, and each row resolved as its columns say."""

from __future__ import annotations

from pathlib import Path

import pytest

from vesalius.errors import ConfigError
from vesalius.formats.deidentify import Profile
from vesalius.formats.deidentify.profile import CODES
from vesalius.formats.deidentify.table import OPTIONS, Rule, table


def test_a_profile_is_read_from_toml(tmp_path: Path) -> None:
    path = tmp_path / "p.toml"
    path.write_text("retain_uids = true\nretain_longitudinal_modified_dates = true\n")
    assert Profile.read(path).options == ("retain_uids", "retain_longitudinal_modified_dates")


@pytest.mark.parametrize(("text", "says"), [("retain_uid = true", "did you mean 'retain_uids'"), ("retain_uids = 1", "is not bool"), ("retain_uids", "TOML")])
def test_a_wrong_profile_is_refused(tmp_path: Path, text: str, says: str) -> None:
    path = tmp_path / "p.toml"
    path.write_text(text)
    with pytest.raises(ConfigError, match=says):
        Profile.read(path)


def test_full_and_modified_dates_exclude_each_other() -> None:
    with pytest.raises(ConfigError, match="exclude each other"):
        Profile(retain_longitudinal_full_dates=True, retain_longitudinal_modified_dates=True)


def test_every_option_has_its_own_code() -> None:
    assert tuple(CODES) == OPTIONS
    assert len({code for code, _ in CODES.values()}) == len(OPTIONS)


def test_compound_actions_become_what_is_valid_for_every_type() -> None:
    found = {row.action: Profile().resolve(row).action for row in table().rows.values()}
    assert found == {"D": "D", "Z": "Z", "X": "X", "U": "U", "Z/D": "D", "X/D": "D", "X/Z/D": "D", "X/Z": "Z", "X/Z/U*": "U*"}


def test_an_option_that_keeps_comes_before_one_that_cleans() -> None:
    allergies = table().rows["00102110"]
    assert Profile(clean_descriptors=True, retain_patient_characteristics=True).resolve(allergies).reason == "retain_patient_characteristics C"
    both = Rule("00180000", "made up", "X", {"clean_descriptors": "C", "retain_uids": "C", "retain_device_identity": "K"})
    assert Profile(clean_descriptors=True, retain_uids=True, retain_device_identity=True).resolve(both).reason == "retain_device_identity K"
    assert Profile(clean_descriptors=True).resolve(both).reason == "clean_descriptors C"
    assert Profile(retain_institution_identity=True).resolve(table().rows["00181000"]).reason == "basic X/Z/D"
