"""DICOM PS3.15 Table E.1-1: what the Basic Profile does with each attribute, and what each option does instead; Table E.3.10-1: safe private attributes.

In: nothing; `e1_1.json`, which `generate` made, and `safe_private.json`, copied by hand and checked by its counts.
Out: `Table.rule(tag)` and `safe_private()`. The edition is `Table.edition`.
"""

from __future__ import annotations

import dataclasses
import functools
import json
from collections.abc import Mapping
from importlib import resources
from types import MappingProxyType
from typing import Any

ACTIONS = ("D", "Z", "X", "K", "C", "U", "Z/D", "X/Z", "X/D", "X/Z/D", "X/Z/U*")
"""Codes of Table E.1-1a: dummy, zero length, remove, keep, clean, new UID, and the compounds that depend on the attribute's type."""

OPTIONS = (
    "retain_safe_private",
    "retain_uids",
    "retain_device_identity",
    "retain_institution_identity",
    "retain_patient_characteristics",
    "retain_longitudinal_full_dates",
    "retain_longitudinal_modified_dates",
    "clean_descriptors",
    "clean_structured_content",
    "clean_graphics",
)
"""The option columns of the table, in its order."""


@dataclasses.dataclass(frozen=True)
class Rule:
    """One row: the tag or pattern, the name, the Basic Profile's action, and the actions of the options that have one."""

    tag: str
    name: str
    action: str
    options: Mapping[str, str]


@dataclasses.dataclass(frozen=True)
class Table:
    """Every row by tag; repeating groups and private attributes are rows of their own."""

    edition: str
    rows: Mapping[str, Rule]
    patterns: tuple[Rule, ...]

    def rule(self, tag: int) -> Rule | None:
        """The row that governs a tag (as the 32-bit number `ggggeeee`); None when the table does not name it."""
        text = f"{tag:08X}"
        if (tag >> 16) % 2:
            return self.rows["private"]
        exact = self.rows.get(text)
        if exact is not None:
            return exact
        return next((row for row in self.patterns if all(p in ("x", t) for p, t in zip(row.tag, text, strict=True))), None)


def _read(name: str) -> Any:  # noqa: ANN401 - JSON
    return json.loads(resources.files(__package__).joinpath(name).read_text(encoding="utf-8"))


@functools.cache
def table() -> Table:
    """The table that ships with the package."""
    data = _read("e1_1.json")
    rows = {tag: Rule(tag, row["name"], row["action"], MappingProxyType(row.get("options", {}))) for tag, row in data["rows"].items()}
    return Table(data["edition"], MappingProxyType(rows), tuple(row for tag, row in rows.items() if "x" in tag))


@functools.cache
def safe_private() -> frozenset[tuple[str, int, int]]:
    """(private creator, group, element within the block) of every attribute that Table E.3.10-1 calls safe."""
    found = set()
    for creator, groups in _read("safe_private.json")["creators"].items():
        for group, elements in groups.items():
            for piece in elements.split():
                first, _, last = piece.partition("-")
                found |= {(creator, int(group, 16), element) for element in range(int(first, 16), int(last or first, 16) + 1)}
    return frozenset(found)
