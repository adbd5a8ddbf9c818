"""What is said beside a result, and what is kept from being said."""

import logging
import os
import warnings

import pytest

from vesalius.cli import console


@pytest.fixture
def terminal(monkeypatch):
    monkeypatch.setattr(console, "_terminal", lambda: True)
    monkeypatch.setattr(console.shutil, "get_terminal_size", lambda: os.terminal_size((40, 5)))


def test_steps_in_a_file_are_lines(capsys):
    with console.Steps() as steps:
        steps("reading")
        steps("asking")
    assert capsys.readouterr() == ("", "  reading ...\n  asking ...\n")


def test_steps_in_a_terminal_end_with_their_seconds(capsys, terminal):
    with console.Steps() as steps:
        steps("reading")
    err = capsys.readouterr().err
    assert err.startswith("  reading ...\r  reading  0.0 s")
    assert err.count("\n") == 1


def test_silent(capsys):
    with console.Steps(silent=True) as steps:
        steps("reading")
        steps.share(1, 2, "asking")
    assert capsys.readouterr() == ("", "")


def test_a_share_is_shown_now_and_then(capsys):
    steps = console.Steps()
    for done in range(100):
        steps.share(done, 1000, "asking")
    steps.share(0, 1, "scoring")
    lines = capsys.readouterr().err.splitlines()
    assert lines == ["  asking 0 of 1,000", "  scoring"]


def test_a_share_in_a_terminal_redraws(capsys, terminal):
    with console.Steps() as steps:
        steps.share(5, 10, "asking")
    err = capsys.readouterr().err
    assert "\r  asking 5 of 10, " in err
    assert err.count("\n") == 1


def test_libraries_are_silent_we_are_not_and_all_is_put_back(capsys):
    before = list(logging.getLogger().handlers), list(logging.getLogger("vesalius").handlers), logging.getLogger("vesalius").propagate
    with console.quiet_libraries():
        warnings.warn("from a library", DeprecationWarning, stacklevel=1)
        logging.getLogger("somebody").warning("from a library")
        logging.getLogger("vesalius.formats").warning("a file was left out")
        logging.getLogger("vesalius.formats").info("a detail")
    assert capsys.readouterr().err == "vesalius: a file was left out\n"
    after = list(logging.getLogger().handlers), list(logging.getLogger("vesalius").handlers), logging.getLogger("vesalius").propagate
    assert before == after
