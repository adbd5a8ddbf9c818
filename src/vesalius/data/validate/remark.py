"""What a check has to say: `Remark`s with their evidence, and `Checked`, all that came of one case.

In: hits of the rules. Out: immutable nouns that become JSON. A remark is never an exception: nothing is dropped and nothing is corrected.
"""

from __future__ import annotations

import dataclasses
import enum
from collections.abc import Mapping
from typing import Any

_LONGEST = 80  # characters of a value: evidence points to a place, it is no copy of the report


class Severity(enum.StrEnum):
    """How sure and how grave: an ERROR is a fact that cannot be so, a WARNING needs a look, a NOTE is worth knowing."""

    NOTE = "note"
    WARNING = "warning"
    ERROR = "error"


_RANK = {Severity.ERROR: 0, Severity.WARNING: 1, Severity.NOTE: 2}


@dataclasses.dataclass(frozen=True)
class Evidence:
    """One thing that was looked at.

    Args:
        source: "report", "header", "pixels", "labels" or "case".
        name: the section, the DICOM keyword, the measure or the finding.
        value: what stands there, cut to 80 characters; None when it is absent.
        span: first and last-plus-one character in the report as it was given.
    """

    source: str
    name: str
    value: str | float | None = None
    span: tuple[int, int] | None = None

    def __post_init__(self) -> None:
        if isinstance(self.value, str) and len(self.value) > _LONGEST:
            object.__setattr__(self, "value", self.value[: _LONGEST - 1] + "…")

    def to_json(self) -> dict[str, Any]:
        """A plain mapping; what is absent is left out."""
        found = {"source": self.source, "name": self.name, "value": self.value, "span": None if self.span is None else list(self.span)}
        return {key: value for key, value in found.items() if value is not None}


@dataclasses.dataclass(frozen=True)
class Hit:
    """What a rule's function gives: the remark without the rule and the case, which the table knows."""

    severity: Severity
    message: str
    evidence: tuple[Evidence, ...]


@dataclasses.dataclass(frozen=True)
class Remark:
    """One thing that does not fit.

    Args:
        rule: its name in the table, "report.side".
        message: one sentence, without values that could name a person.
        where: the case's id.
    """

    rule: str
    severity: Severity
    message: str
    evidence: tuple[Evidence, ...]
    where: str

    def to_json(self) -> dict[str, Any]:
        """A plain mapping for `json.dump`."""
        evidence = [e.to_json() for e in self.evidence]
        return {"rule": self.rule, "severity": str(self.severity), "message": self.message, "where": self.where, "evidence": evidence}


@dataclasses.dataclass(frozen=True)
class Checked:
    """All that came of one case.

    Args:
        remarks: errors first, then in the order of the table, then of the text.
        applied: names of the rules that ran, in the order of the table.
        left_out: rule -> the facts that it lacked; such a rule has found nothing out.
    """

    case: str
    remarks: tuple[Remark, ...]
    applied: tuple[str, ...]
    left_out: Mapping[str, tuple[str, ...]]

    @property
    def worst(self) -> Severity | None:
        """The gravest severity; None without a remark."""
        return min((r.severity for r in self.remarks), key=lambda s: _RANK[s], default=None)

    def to_json(self) -> dict[str, Any]:
        """A plain mapping for `json.dump`."""
        left_out = {name: list(lacked) for name, lacked in self.left_out.items()}
        return {"case": self.case, "remarks": [r.to_json() for r in self.remarks], "applied": list(self.applied), "not_applied": left_out}


def ordered(remarks: list[Remark]) -> tuple[Remark, ...]:
    """Errors first; among equals as they came, which is the order of the table."""
    return tuple(sorted(remarks, key=lambda r: _RANK[r.severity]))
