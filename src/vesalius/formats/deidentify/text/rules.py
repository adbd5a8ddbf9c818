"""Identifiers that have a form or a label: numbers, phones, addresses, hospitals, ages. One row for each rule.

In: folded text. Out: finds. The rows stand in `rules.toml`; capitals and small letters are alike to them but for groups that say `(?-i:...)`.
"""

from __future__ import annotations

import functools
import importlib.resources
import re
import tomllib
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from vesalius.formats.deidentify.text import lexicon
from vesalius.formats.deidentify.text.fold import Views
from vesalius.formats.deidentify.text.lexicon import words as listed
from vesalius.formats.deidentify.text.spans import Find

_NAMED = ("city and state", "town behind a street", "Romance street")
_WAYS = "rue via calle avenida rua piazza paseo camino carrera boulevard de del della di du des dos da la las los"


class Row(NamedTuple):
    """One rule, as `rules.toml` has it."""

    kind: str
    name: str
    pattern: str
    rank: int
    raw: bool = False
    need: str = ""


@functools.cache
def rows() -> tuple[Row, ...]:
    """All rules in the order of the file."""
    data = tomllib.loads(importlib.resources.files(__package__).joinpath("rules.toml").read_text(encoding="utf-8"))
    return tuple(Row(**{**row, "pattern": _whole(row["pattern"], data["parts"])}) for row in data["rule"])


def _whole(pattern: str, parts: Mapping[str, str]) -> str:
    """A pattern without line ends and with its parts in place."""
    while (name := re.search(r"<<([a-z ]+)>>", pattern)) is not None:
        pattern = pattern.replace(name[0], parts[name[1]])
    return "".join(pattern.splitlines())


@functools.cache
def _compiled() -> tuple[tuple[Row, re.Pattern[str]], ...]:
    return tuple((row, re.compile(row.pattern, re.IGNORECASE)) for row in rows())


def find(views: Views) -> Iterator[Find]:
    """What the rows find in a text."""
    for row, pattern in _compiled():
        text = views.plain if row.raw else views.loose
        if row.need and not any(sign in text for sign in row.need):
            continue
        for match in pattern.finditer(text):
            group = next((name for name in ("v", "w", "x") if match.groupdict().get(name)), None)
            start, end = match.span(group) if group else match.span()
            if row.kind == "place":
                start, end = _proper(text, start, end)
            if start < end and not (row.name in _NAMED and _nameless(text[start:end])):
                yield Find(start, end, row.kind, row.name, row.rank)


def _nameless(text: str) -> bool:
    """Whether nothing before the first comma is a name; the word before it (`Rue`) is none."""
    words = re.findall(r"[A-Za-z][\w'-]*", text.partition(",")[0])
    return all(lexicon.known(word) or set(word.lower()) == {"x"} or word.lower() in _WAYS.split() for word in words)


def _proper(text: str, start: int, end: int) -> tuple[int, int]:
    """The part of a place's name that names it: `The Mercy General` without `The` and `General`; nothing of `Outpatient` or `Emergency Department`."""
    words = [word.span() for word in re.finditer(r"[A-Za-z][\w'-]*", text[start:end])]
    first = last = -1
    for at in range(len(words) - 1, -1, -1):
        low, high = start + words[at][0], start + words[at][1]
        word = text[low:high]
        if first >= 0 and re.search(r"[.;:\n]\s", text[high : start + words[at + 1][0] + 1]) and word.lower() not in listed("leading"):
            break
        if _names(word):
            first, last = at, max(last, at)
        elif word.lower() in listed("leading") and first == at + 1:
            first = at
        elif (
            word.lower() not in listed("generic")
            and word.lower() not in listed("leading")
            and not (first >= 0 and word[0].isupper() and word.lower() in listed("placeable"))
        ):
            break
    return (start + words[first][0], start + words[last][1]) if last >= 0 else (start, start)


def _names(word: str) -> bool:
    small = word.lower()
    return (
        word[0].isupper()
        and small not in listed("generic")
        and small not in listed("leading")
        and (small in listed("placeable") or not lexicon.known(word))
        and set(small) != {"x"}
    )
