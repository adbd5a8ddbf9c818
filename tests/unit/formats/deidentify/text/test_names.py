"""The second finder: without a network or a log line, and a clear word when it is not installed."""

from __future__ import annotations

import builtins
import logging
import socket
import warnings
from typing import Any

import pytest

from tests.unit.formats.deidentify.made import KEY
from vesalius.errors import MissingExtra
from vesalius.formats.deidentify.text import PresidioFinder, TextCleaner
from vesalius.formats.deidentify.text import names as module


def test_presidio_finds_a_name_that_no_rule_finds_without_network_or_warning(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    pytest.importorskip("presidio_analyzer", reason="needs the extra deidentify")

    def refuse(*_: Any, **__: Any) -> None:
        raise AssertionError("the network was asked")

    monkeypatch.setattr(socket, "create_connection", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    with warnings.catch_warnings(), caplog.at_level(logging.DEBUG):
        warnings.simplefilter("error")
        finder = PresidioFinder()
        cleaner = TextCleaner(KEY, finder=finder)
        text = "Yesterday we talked to Elizabeth about the Swan-Ganz catheter and the Kerley B lines, which are new."
        cleaned = cleaner.clean(text)
    assert "Elizabeth" not in cleaned.text
    assert "Swan-Ganz catheter and the Kerley B lines" in cleaned.text
    assert cleaned.finders == ("rules", finder.name)
    assert cleaner.clean(cleaned.text).text == cleaned.text
    assert "Elizabeth" not in caplog.text


def test_without_the_extra_one_sentence_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def without(name: str, *rest: Any, **more: Any) -> Any:
        if name.partition(".")[0] in ("presidio_analyzer", "spacy"):
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
        return real(name, *rest, **more)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(MissingExtra, match="finding names by a language model"):
        PresidioFinder()


def test_a_long_text_is_read_in_pieces_that_lose_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LIMIT", 10)
    for text in ("", "a" * 35, "word " * 9, "a\nbb ccc\ndddd" * 5):
        pieces = list(module._pieces(text))
        assert "".join(piece for _, piece in pieces) == text
        assert all(len(piece) <= 10 and text[at:].startswith(piece) for at, piece in pieces)
