"""The shipped table is complete, every row is of a known kind, and the generator reads what others publish."""

from __future__ import annotations

import pytest

from vesalius.formats.deidentify import generate
from vesalius.formats.deidentify.table import ACTIONS, OPTIONS, safe_private, table


def test_the_table_has_every_row_of_the_edition() -> None:
    rows = table().rows
    assert table().edition == "2026d"
    assert len(rows) == 657
    counts = {action: sum(row.action == action for row in rows.values()) for action in ACTIONS}
    assert counts == {"D": 93, "Z": 42, "X": 417, "K": 0, "C": 0, "U": 55, "Z/D": 6, "X/Z": 11, "X/D": 23, "X/Z/D": 8, "X/Z/U*": 2}
    columns = {name: sum(name in row.options for row in rows.values()) for name in OPTIONS}
    assert list(columns.values()) == [1, 60, 59, 10, 19, 169, 169, 141, 4, 4]


def test_rows_that_everyone_knows_are_right() -> None:
    expected = {0x00100010: "Z", 0x00100020: "Z/D", 0x00080018: "U", 0x00081140: "X/Z/U*", 0x00080050: "Z", 0x0040A730: "D", 0x00101010: "X"}
    assert {tag: table().rule(tag).action for tag in expected} == expected  # type: ignore[union-attr]
    assert table().rule(0x00280010) is None


@pytest.mark.parametrize(("tag", "name"), [(0x50123000, "Curve Data"), (0x60FE3000, "Overlay Data"), (0x60024000, "Overlay Comments"), (0x00090010, "Private")])
def test_repeating_and_odd_groups_have_their_row(tag: int, name: str) -> None:
    rule = table().rule(tag)
    assert rule is not None
    assert rule.name.startswith(name)
    assert rule.action == "X"


def test_the_safe_private_list_has_every_row_of_the_edition() -> None:
    safe = safe_private()
    assert len(safe) == 479
    assert len({creator for creator, _, _ in safe}) == 20
    assert {("Philips PET Private Group", 0x7053, 0x09), ("SIEMENS MR HEADER", 0x0019, 0x0C), ("GEMS_PARM_01", 0x0043, 0x39)} <= safe
    assert ("Philips Imaging DD 001", 0x2001, 0x52) not in safe
    assert ("Philips Imaging DD 001", 0x2001, 0x5C) not in safe


FLAT = [
    {"name": "Accession Number", "tag": "(0008,0050)", "basicProfile": "Z"},
    {"name": "Curve Data", "tag": "(50XX,XXXX)", "basicProfile": "X", "cleanGraphOpt": "C"},
    {"name": "Private Attributes", "tag": "(gggg,eeee) where gggg is odd", "basicProfile": "X", "rtnSafePrivOpt": "C"},
]
RULES = {
    "rules": [
        {"tag": "00080050", "name": "Accession Number", "basic": "Z", "options": {}},
        {"tag": "50xxxxxx", "name": "Curve Data", "basic": "X", "options": {"clean_graphics": "C"}},
        {"tag": "PRIVATE", "name": "Private Attributes", "basic": "X", "options": {"retain_safe_private": "C"}},
    ]
}


def test_two_layouts_of_a_source_give_the_same_rows() -> None:
    assert generate.rows(FLAT) == generate.rows(RULES)
    assert generate.compare(generate.rows(FLAT), generate.rows(RULES)) == []


def test_differences_between_sources_are_named() -> None:
    changed = generate.rows(RULES)
    changed["00080050"]["action"] = "X"
    del changed["private"]
    assert generate.compare(generate.rows(FLAT), changed) == [
        "00080050 Accession Number: Z {} against X {}",
        "private Private Attributes: only in the first",
    ]


@pytest.mark.parametrize("source", [[], {}, [{"a": 1}]])
def test_a_source_of_another_layout_is_refused(source: object) -> None:
    with pytest.raises(ValueError, match="layout"):
        generate.rows(source)
