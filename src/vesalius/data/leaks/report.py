"""What a leak check found: findings with severity, counts and examples, and the whole as JSON or lines.

In: facts of the finders. Out: a `LeakReport`; it leaks when a finding is grave or serious.
"""

from __future__ import annotations

import dataclasses
import enum
from collections.abc import Mapping
from typing import Any

EXAMPLES = 5  # of each finding; the counts are of all


class Severity(enum.StrEnum):
    """How bad a finding is, the worst first."""

    GRAVE = "grave"  # answers of test questions can be learned by heart
    SERIOUS = "serious"  # pictures or patients of the test are in training
    NOTE = "note"  # to be known before two sets, or two parts that are not a test, are used together


@dataclasses.dataclass(frozen=True)
class Finding:
    """One thing that two parts share.

    Args:
        kind: "patient", "image", "near image", "question", "origin", "licence" or "unchecked".
        where: the two parts, "vqa-rad official: train, test".
        count: how many items of the second part are concerned; of: how many it has.
        text: one sentence.
        numbers: further counts by name.
        examples: a few of the items, in a fixed order.
    """

    kind: str
    severity: Severity
    where: str
    count: int
    of: int
    text: str
    numbers: Mapping[str, int] = dataclasses.field(default_factory=dict)
    examples: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """A plain mapping for `json.dump`."""
        return {**dataclasses.asdict(self), "severity": str(self.severity), "numbers": dict(self.numbers), "examples": list(self.examples)}


@dataclasses.dataclass(frozen=True)
class LeakReport:
    """All findings, the worst first.

    Args:
        sets: names of the sets that were looked at.
        images: number of pictures compared; pairs: how many of them were found alike.
    """

    sets: tuple[str, ...]
    images: int
    pairs: int
    findings: tuple[Finding, ...]

    @property
    def leaks(self) -> bool:
        """Whether a finding is grave or serious."""
        return any(f.severity is not Severity.NOTE for f in self.findings)

    def of(self, name: str) -> tuple[Finding, ...]:
        """The findings about one set: its own, and those that it shares with another."""
        return tuple(f for f in self.findings if name in f.where.replace(":", " ").replace(",", " ").split())

    def to_json(self) -> dict[str, Any]:
        """A plain mapping for `json.dump`."""
        found = [f.to_json() for f in self.findings]
        return {"sets": list(self.sets), "images": self.images, "pairs": self.pairs, "leaks": self.leaks, "findings": found}


def ordered(findings: list[Finding]) -> tuple[Finding, ...]:
    """The worst first, else in the order found."""
    rank = {severity: i for i, severity in enumerate(Severity)}
    return tuple(sorted(findings, key=lambda f: rank[f.severity]))
