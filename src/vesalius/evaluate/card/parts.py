"""What a card's sections are made of: a table, a block (a picture with its table), a section; and how a number stands in a cell.

In: intervals. Out: plain values for the template.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from vesalius.evaluate.card.runs import Run


@dataclasses.dataclass(frozen=True)
class Table:
    """A table beside a picture; its first column names the rows."""

    caption: str
    head: Sequence[str]
    rows: Sequence[Sequence[str]]


@dataclasses.dataclass(frozen=True)
class Block:
    """A picture (SVG text) with its table, beside it or, where that is wide, below it."""

    title: str
    picture: str
    table: Table

    @property
    def wide(self) -> bool:
        """Whether the table is too wide to stand beside the picture."""
        return len(self.table.head) > 4


@dataclasses.dataclass(frozen=True)
class Section:
    """A question about a run, how to read the answer, and the answer."""

    key: str
    title: str
    lead: str
    blocks: tuple[Block, ...]


def suites(run: Run, study: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """(suite, results) of a study; none when it was not made."""
    yield from ((run.studies.get(study) or {}).get("suites") or {}).items()


def cell(interval: Mapping[str, Any] | None, *, percent: bool = True, signed: bool = False) -> str:
    """A number with its interval for a cell: "62.1 (55.0 to 68.9)"; a dash when it was not measured."""
    if interval is None or interval.get("value") is None:
        return "–"
    scale, digits = (100, 1) if percent else (1, 3)
    sign = "+" if signed else ""
    low, high = interval.get("low"), interval.get("high")
    ends = "" if low is None or high is None else f" ({low * scale:{sign}.{digits}f} to {high * scale:{sign}.{digits}f})"
    return f"{interval['value'] * scale:{sign}.{digits}f}{ends}"
