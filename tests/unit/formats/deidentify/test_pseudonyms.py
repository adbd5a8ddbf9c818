"""Pseudonyms: deterministic, keyed, recognised by their own key; and a key that shows itself nowhere."""

from __future__ import annotations

import os
import pickle
import stat
import uuid
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.formats.deidentify.made import KEY, OTHER
from vesalius.errors import UserError
from vesalius.formats.deidentify import Key
from vesalius.formats.deidentify.pseudonyms import SHIFT_DAYS


def test_a_new_key_file_is_its_owners_alone(tmp_path: Path) -> None:
    old = os.umask(0)
    try:
        key = Key.create(tmp_path / "k")
    finally:
        os.umask(old)
    assert stat.S_IMODE((tmp_path / "k").stat().st_mode) == 0o600
    assert Key.read(tmp_path / "k").id == key.id
    assert Key.create(tmp_path / "other").id != key.id


def test_a_key_is_never_overwritten(tmp_path: Path) -> None:
    key = Key.create(tmp_path / "k")
    with pytest.raises(UserError, match="exists already"):
        Key.create(tmp_path / "k")
    assert Key.read(tmp_path / "k").id == key.id


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o601])
def test_a_key_that_others_can_reach_is_refused(tmp_path: Path, mode: int) -> None:
    Key.create(tmp_path / "k")
    (tmp_path / "k").chmod(mode)
    with pytest.raises(UserError, match="chmod 600"):
        Key.read(tmp_path / "k")


@pytest.mark.parametrize("text", ["", "5e" * 32, "vesalius-pseudonym-key-1 " + "5e" * 31, "vesalius-pseudonym-key-1 " + "5g" * 32, "\xff\xfe"])
def test_what_is_no_key_file_is_refused_without_showing_it(tmp_path: Path, text: str) -> None:
    path = tmp_path / "k"
    path.write_text(text, encoding="latin-1")
    path.chmod(0o600)
    with pytest.raises(UserError, match="is not a key file") as caught:
        Key.read(path)
    assert "5e5e" not in str(caught.value)
    with pytest.raises(UserError, match="cannot be read"):
        Key.read(tmp_path / "none")
    with pytest.raises(UserError, match="another length"):
        Key(b"short")


def test_the_secret_is_in_no_repr_and_no_pickle() -> None:
    secret = bytes(range(32))
    shown = repr(KEY) + str(KEY) + f"{KEY!r}" + KEY.id
    assert secret.hex()[:8] not in shown
    assert repr(secret)[2:10] not in shown
    with pytest.raises(TypeError, match="not pickled"):
        pickle.dumps(KEY)


@given(st.from_regex(r"[0-2](\.(0|[1-9][0-9]{0,7})){1,8}", fullmatch=True))
def test_a_uid_becomes_a_valid_one_that_only_its_key_recognises(uid: str) -> None:
    new = KEY.uid(uid)
    if uid.startswith("1.2.840.10008."):
        assert new == uid
        return
    assert new.startswith("2.25.")
    assert len(new) <= 64
    assert uuid.UUID(int=int(new[5:])).version == 8
    assert uuid.UUID(int=int(new[5:])).variant == uuid.RFC_4122
    assert KEY.uid(uid + "\0") == new
    assert KEY.uid(new) == new
    assert OTHER.uid(uid) != new
    assert OTHER.uid(new) != new


def test_values_of_this_key_do_not_change_between_versions() -> None:
    assert KEY.id == "e71fdeccb4df"
    assert KEY.uid("1.2.826.99.1") == "2.25.78060410890630214237366387955326451052"
    assert KEY.patient("MRN-778899") == "PS4EVSXE3EQWNJFKMCKWTMT5H"
    assert KEY.shift("MRN-778899") == -2269


@given(st.text(min_size=1, max_size=30))
def test_a_patient_has_one_pseudonym_and_one_shift(identity: str) -> None:
    name, days = KEY.patient(identity), KEY.shift(identity)
    assert name == KEY.patient(identity) == KEY.patient(name)
    assert KEY.made_patient(name)
    assert not OTHER.made_patient(name)
    assert len(name) == 25
    assert -SHIFT_DAYS[1] <= days <= -SHIFT_DAYS[0]


def test_patients_differ_and_shifts_fill_their_range() -> None:
    people = [f"patient {n}" for n in range(4000)]
    assert len({KEY.patient(p) for p in people}) == 4000
    shifts = [-KEY.shift(p) for p in people]
    assert min(shifts) < 375
    assert max(shifts) > 3640
    assert len(set(shifts)) > 2000


def test_records_of_one_value_differ_by_tag_and_key() -> None:
    assert len({KEY.record(1, b"x"), KEY.record(2, b"x"), KEY.record(1, b"y"), OTHER.record(1, b"x")}) == 4


def test_foreign_look_alikes_are_not_taken_for_own() -> None:
    for text in ("2.25.", "2.25.x", "2.25.１２", "2.25." + "9" * 39, "2.25." + "0" * 20, "P" * 25, "P" + "A" * 24, "P" + "1" * 24):
        assert not KEY.made_patient(text)
        assert KEY.uid(text) != text
