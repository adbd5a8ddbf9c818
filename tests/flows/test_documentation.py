"""The help texts in the documentation are the ones that the commands print."""

import re
from pathlib import Path

import pytest

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "cli.md").read_text(encoding="utf-8")
BLOCKS = dict(re.findall(r"^## `vesalius ?([a-z ]*)`\n\n```text\n(.*?)\n```$", PAGE, re.MULTILINE | re.DOTALL))


def test_the_page_has_every_command():
    assert {"", "ask", "models", "data", "train", "evaluate"} <= BLOCKS.keys()


@pytest.mark.parametrize("command", sorted(BLOCKS))
def test_help_is_as_printed(vesalius, monkeypatch, command):
    monkeypatch.setenv("COLUMNS", "80")
    assert vesalius(*command.split(), "--help").out.rstrip() == BLOCKS[command]


def test_every_key_of_the_json_is_explained(vesalius, dicom):
    said = vesalius("ask", dicom("CT_small.dcm"), "Is there a fracture?", "--model", "standin", "--json")
    documented = set(re.findall(r"`([a-z]+)`", PAGE.partition("## What `ask --json` prints")[2].partition("The answer of a referred")[0]))
    assert said.json.keys() <= documented
