"""Which options of DICOM PS3.15 Annex E apply, and what that makes of an attribute's row.

In: a TOML file or keyword arguments. Out: a frozen `Profile`; `Profile.resolve(rule)` gives one action and the reason for it.

Compound actions depend on an attribute's type in the IOD, which is not looked up. The choice is the one that is valid for every type: a code with D
becomes D (a dummy is allowed where a value is required, and reveals nothing), X/Z becomes Z, X/Z/U* becomes U* (the items stay, UIDs are replaced).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path

from vesalius import config
from vesalius.errors import ConfigError
from vesalius.formats.deidentify.table import OPTIONS, Rule

_COMPOUND = {"Z/D": "D", "X/D": "D", "X/Z/D": "D", "X/Z": "Z", "X/Z/U*": "U*"}

CODES = {
    "retain_safe_private": ("113111", "Retain Safe Private Option"),
    "retain_uids": ("113110", "Retain UIDs Option"),
    "retain_device_identity": ("113109", "Retain Device Identity Option"),
    "retain_institution_identity": ("113112", "Retain Institution Identity Option"),
    "retain_patient_characteristics": ("113108", "Retain Patient Characteristics Option"),
    "retain_longitudinal_full_dates": ("113106", "Retain Longitudinal Temporal Information Full Dates Option"),
    "retain_longitudinal_modified_dates": ("113107", "Retain Longitudinal Temporal Information Modified Dates Option"),
    "clean_descriptors": ("113105", "Clean Descriptors Option"),
    "clean_structured_content": ("113104", "Clean Structured Content Option"),
    "clean_graphics": ("113103", "Clean Graphics Option"),
}
"""Code value and meaning of each option in PS3.16 CID 7050, coding scheme DCM."""


@dataclasses.dataclass(frozen=True)
class Resolved:
    """One of D, Z, X, K, C, U, U*; the option that decided (None: the Basic Profile), and the text for the record."""

    action: str
    option: str | None
    reason: str


@dataclasses.dataclass(frozen=True)
class Profile:
    """The Basic Profile with options, each off unless set; the names are the columns of Table E.1-1.

    Attributes:
        retain_safe_private: keep private attributes that the standard or the file's own header calls safe.
        retain_uids: keep UIDs; else they become keyed ones.
        retain_device_identity: keep serial numbers, station names and the like.
        retain_institution_identity: keep the institution's name, address and departments.
        retain_patient_characteristics: keep sex, age, size, weight and the like; an age above 89 years becomes 90.
        retain_longitudinal_full_dates: keep dates and times.
        retain_longitudinal_modified_dates: shift dates by whole days, differently for each patient; keep times.
        clean_descriptors: clean descriptions and comments instead of removing them; needs a text cleaner.
        clean_structured_content: clean the content of reports instead of replacing it; needs a text cleaner.
        clean_graphics: clean overlays and annotations instead of removing them; needs a text cleaner and an overlay cleaner.
        replace_encapsulated_document: replace an embedded document (PDF, CDA, STL) by a dummy; else the file is refused.

    Raises:
        ConfigError: two options that exclude each other.
    """

    retain_safe_private: bool = False
    retain_uids: bool = False
    retain_device_identity: bool = False
    retain_institution_identity: bool = False
    retain_patient_characteristics: bool = False
    retain_longitudinal_full_dates: bool = False
    retain_longitudinal_modified_dates: bool = False
    clean_descriptors: bool = False
    clean_structured_content: bool = False
    clean_graphics: bool = False
    replace_encapsulated_document: bool = False

    def __post_init__(self) -> None:
        if self.retain_longitudinal_full_dates and self.retain_longitudinal_modified_dates:
            raise ConfigError(
                "retain_longitudinal_full_dates and retain_longitudinal_modified_dates exclude each other (PS3.15 E.3.6)", remedy="set one of the two"
            )

    @classmethod
    def read(cls, path: str | Path, *, overrides: Sequence[str] = ()) -> Profile:
        """A profile from a TOML file: one line `option = true` for each.

        Raises:
            ConfigError: not readable, an unknown option, not true or false, or a conflict.
        """
        return config.read(path, cls, overrides=overrides)

    @property
    def options(self) -> tuple[str, ...]:
        """The options of the standard that are on, in the table's order."""
        return tuple(name for name in OPTIONS if getattr(self, name))

    def resolve(self, rule: Rule) -> Resolved:
        """What this profile does with a row: an option that keeps comes first, then one that cleans, then the Basic Profile."""
        active = [(name, rule.options[name]) for name in self.options if name in rule.options]
        for wanted in ("K", "C"):
            for name, action in active:
                if action == wanted:
                    return Resolved(action, name, f"{name} {action}")
        return self.basic(rule)

    @staticmethod
    def basic(rule: Rule) -> Resolved:
        """What the Basic Profile does with a row."""
        return Resolved(_COMPOUND.get(rule.action, rule.action), None, f"basic {rule.action}")
