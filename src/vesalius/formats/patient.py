"""The little of a person that a model may know, from a DICOM header; identity is compared by digest and never kept in clear.

In: a parsed dataset. Out: `Patient` (sex, age in years, a one-way key) and the digest by which files of different people are told apart.
The digest hides an identifier from a glance; someone who can list all identifiers can still try each, so it is no replacement for de-identification.
"""

from __future__ import annotations

import datetime
import hashlib
import re
from typing import TYPE_CHECKING

from vesalius.domain.study import Patient, Sex
from vesalius.formats import header

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

_DAYS = {"D": 1.0, "W": 7.0, "M": 365.2425 / 12, "Y": 365.2425}
_YEAR = 365.2425


def read_patient(dataset: Dataset) -> Patient:
    """Sex (0010,0040), age (0010,1010 or from dates), key."""
    sex = header.text(dataset, "PatientSex")
    return Patient(sex=Sex(sex) if sex in set(Sex) else None, age_years=read_age(dataset), key=patient_key(dataset))


def patient_key(dataset: Dataset) -> str | None:
    """The first 16 hexadecimal digits of SHA-256 over Patient ID and its issuer; None when the header has no Patient ID."""
    identifier = header.text(dataset, "PatientID")
    if identifier is None:
        return None
    return _digest(identifier, header.text(dataset, "IssuerOfPatientID") or "")


def identity(dataset: Dataset) -> str | None:
    """What tells people apart: the key, else a digest of name and birth date; None when the header names nobody."""
    key = patient_key(dataset)
    if key is not None:
        return key
    name, birth = header.text(dataset, "PatientName"), header.text(dataset, "PatientBirthDate")
    return _digest("without identifier", name or "", birth or "") if name or birth else None


def _digest(*parts: str) -> str:
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:16]


def read_age(dataset: Dataset) -> float | None:
    """Age in years at the examination: Patient's Age (VR AS, PS3.5 6.2: nnnD, nnnW, nnnM, nnnY), else from birth and study dates; None outside 0..130."""
    stated = re.fullmatch(r"(\d{1,3})([DWMY])", header.text(dataset, "PatientAge") or "")
    if stated:
        number, unit = int(stated[1]), stated[2]
        years = float(number) if unit == "Y" else number * _DAYS[unit] / _YEAR
    else:
        birth = _date(header.text(dataset, "PatientBirthDate"))
        then = next((d for k in ("StudyDate", "AcquisitionDate", "SeriesDate", "ContentDate") if (d := _date(header.text(dataset, k)))), None)
        if birth is None or then is None:
            return None
        years = round((then - birth).days / _YEAR, 2)
    return years if 0 <= years <= 130 else None


def _date(text: str | None) -> datetime.date | None:
    match = re.fullmatch(r"(\d{4})[.\-]?(\d{2})[.\-]?(\d{2})", text or "")
    try:
        return datetime.date(*(int(x) for x in match.groups())) if match else None
    except ValueError:
        return None
