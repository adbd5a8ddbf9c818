"""Rows in columns."""

import os

import pytest

from vesalius.cli import table


def test_columns_align():
    lines = table.columns(("NAME", "SIZE"), [("a", "1"), ("longer", "22")]).splitlines()
    assert lines == ["NAME    SIZE", "a       1", "longer  22"]


def test_no_rows():
    assert table.columns(("NAME", "SIZE"), []) == "NAME  SIZE"


@pytest.mark.parametrize(("terminal", "cut"), [(True, True), (False, False)])
def test_only_a_terminal_cuts(monkeypatch, terminal, cut):
    monkeypatch.setattr(table.sys.stdout, "isatty", lambda: terminal, raising=False)
    monkeypatch.setattr(table.shutil, "get_terminal_size", lambda: os.terminal_size((20, 5)))
    line = table.columns(("NAME",), [("x" * 50,)]).splitlines()[1]
    assert line == ("x" * 19 + "…" if cut else "x" * 50)


def test_facts_take_a_line_for_each_entry():
    assert table.facts([("name", "a"), ("limits", ("one", "two")), ("none", ())]).splitlines() == ["name    a", "limits  one", "        two", "none    -"]
