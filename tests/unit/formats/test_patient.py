"""Sex, age and key of a patient; never a name."""

from __future__ import annotations

import hashlib

import pytest

from tests.unit.formats.drawn import dataset
from vesalius.domain.study import Sex
from vesalius.formats.patient import identity, patient_key, read_age, read_patient


@pytest.mark.parametrize(
    ("age", "years"),
    [("045Y", 45), ("000Y", 0), ("006M", 0.5), ("052W", 364 / 365.2425), ("010D", 10 / 365.2425), ("45", None), ("045X", None), ("999Y", None), ("", None)],
)
def test_age_string(age: str, years: float | None) -> None:
    assert read_age(dataset(PatientAge=age)) == (None if years is None else pytest.approx(years))


def test_age_from_dates() -> None:
    assert read_age(dataset(PatientBirthDate="19600704", StudyDate="20000704")) == 40
    assert read_age(dataset(PatientBirthDate="1960.07.04", SeriesDate="20000704")) == 40
    assert read_age(dataset(PatientBirthDate="19600704")) is None
    assert read_age(dataset(PatientBirthDate="20010101", StudyDate="20000101")) is None
    assert read_age(dataset(PatientBirthDate="19601399", StudyDate="20000101")) is None
    assert read_age(dataset(PatientAge="030Y", PatientBirthDate="19600704", StudyDate="20000704")) == 30


def test_sex() -> None:
    assert read_patient(dataset(PatientSex="F")).sex is Sex.FEMALE
    assert read_patient(dataset(PatientSex="")).sex is None
    assert read_patient(dataset(PatientSex="X")).sex is None


def test_the_key_is_a_digest_of_identifier_and_issuer() -> None:
    key = patient_key(dataset(PatientID="12345", IssuerOfPatientID="BASEL"))
    assert key == hashlib.sha256(b"12345\0BASEL").hexdigest()[:16]
    assert key != patient_key(dataset(PatientID="12345"))
    assert patient_key(dataset(PatientID=" 12345 ")) == patient_key(dataset(PatientID="12345"))
    assert patient_key(dataset(PatientID=None)) is None


def test_without_identifier_people_are_told_apart_but_get_no_key() -> None:
    one, other = dataset(PatientID="", PatientName="A^B"), dataset(PatientID="", PatientName="A^C")
    assert identity(one) != identity(other)
    assert read_patient(one).key is None
    assert identity(dataset(PatientID="")) is None
    assert "A^B" not in repr(read_patient(one))
