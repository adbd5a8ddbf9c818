"""Surrogates: keyed, recognised, telling nothing."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.formats.deidentify.made import KEY, OTHER
from vesalius.formats.deidentify.text.surrogates import Surrogates

_OWN = Surrogates(KEY, "4711")


@given(st.text(min_size=1, max_size=30))
def test_a_surrogate_name_is_known_to_its_key_alone(name: str) -> None:
    made = _OWN.name(name)
    assert len(made) == 11
    assert _OWN.made_name(made)
    assert Surrogates(KEY, "another patient").made_name(made.upper())
    assert not Surrogates(OTHER, "4711").made_name(made)


@given(st.text(alphabet="ABC123-", min_size=1, max_size=20))
def test_a_surrogate_number_is_known_to_its_key(value: str) -> None:
    made = _OWN.number(value)
    assert _OWN.made_number(made) or made == KEY.patient("4711")


def test_case_accents_and_signs_make_no_other_name() -> None:
    assert _OWN.name("Müller").lower() == _OWN.name("MU\u0308LLER").lower()
    assert _OWN.name("O'BRIEN").isupper()
    assert _OWN.name("obrien") == _OWN.name("O'Brien").lower()


@pytest.mark.parametrize("kind", ["phone", "ip", "ssn", "email", "url", "uid", "number", "device", "address", "place", "initials", "age"])
def test_every_surrogate_is_recognised(kind: str) -> None:
    made = _OWN.other(kind, "1.2.3.4.5.6.7.8")
    for text in (made, f"see {made}.", f"({made}),"):
        at = text.index(made)
        assert any(start <= at and at + len(made) <= end for start, end in _OWN.zones(text)), text


def test_a_mark_that_another_made_is_none() -> None:
    assert _OWN.zones(_OWN.marked("03/12/2015"))
    assert not _OWN.zones(Surrogates(OTHER).marked("03/12/2015"))
    assert not _OWN.zones("[03/12/2015 abcd]")


def test_names_of_a_million_people_are_not_taken_for_ours() -> None:
    words = [f"{a}{b}{c}" for a in ("bodi", "garu", "lomi", "tani", "vasu") for b in ("rano", "kita", "zuma", "bila") for c in ("nov", "tas", "gir", "das")]
    assert not [word for word in words if _OWN.made_name(word)]
