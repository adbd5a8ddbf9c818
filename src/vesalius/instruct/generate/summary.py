"""What became of a run, counted from its files: made, repaired, asked again, left out and why; tokens and money.

In: `items.jsonl`, `left_out.jsonl`. Out: a `Summary`.
"""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

from vesalius.instruct.generate import lines

ROW, NOT_APPLICABLE = "row", "not applicable"


@dataclasses.dataclass(frozen=True)
class Tally:
    """Counts of one task.

    Args:
        asked: items that a writer was asked for. made: that can be used; of these `clean` came at once and as asked. repaired: repair -> items made with it.
        asked_again: kind of the first failure -> items made or left out. left_out: kind -> items. not_applicable: items that lack what the task needs.
        suspicious: made from texts that give orders.
    """

    asked: int
    made: int
    clean: int
    repaired: Mapping[str, int]
    asked_again: Mapping[str, int]
    left_out: Mapping[str, int]
    not_applicable: int
    suspicious: int


@dataclasses.dataclass(frozen=True)
class Summary:
    """Counts of a folder.

    Args:
        tasks: by name. held: reason -> rows that nothing was asked about. requests, input_tokens, output_tokens: ever paid for in this folder.
        asked_now, seconds_now: requests and wall seconds of this session alone.
    """

    tasks: Mapping[str, Tally]
    held: Mapping[str, int]
    requests: int
    input_tokens: int
    output_tokens: int
    cost: float
    currency: str
    asked_now: int = 0
    seconds_now: float = 0.0

    @property
    def made(self) -> int:
        """Items that can be used."""
        return sum(tally.made for tally in self.tasks.values())

    @property
    def asked(self) -> int:
        """Items that a writer was asked for."""
        return sum(tally.asked for tally in self.tasks.values())


def summarise(items: Path, left_out: Path, *, requests: int, tokens: tuple[int, int], cost: float, currency: str) -> Summary:
    """Count two files. Raises: OutputError."""
    counts: dict[str, dict[str, Counter[str]]] = {}
    held: Counter[str] = Counter()
    for row in lines.rows(items):
        seen = counts.setdefault(row["task"], _empty())
        meta = row["meta"]
        seen["n"]["made"] += 1
        seen["n"]["clean"] += not meta["repairs"] and meta["asked_again"] is None
        seen["n"]["suspicious"] += bool(meta["suspicious"])
        seen["repaired"].update(meta["repairs"])
        _again(seen, meta)
    for row in lines.rows(left_out):
        if row["kind"] == ROW:
            held[row["why"]] += 1
            continue
        seen = counts.setdefault(row["task"], _empty())
        if row["kind"] == NOT_APPLICABLE:
            seen["n"]["not_applicable"] += 1
        else:
            seen["left_out"][row["kind"]] += 1
            _again(seen, row["meta"])
    tallies = {name: _tally(seen) for name, seen in counts.items()}
    return Summary(tallies, dict(held), requests, *tokens, round(cost, 6), currency)


def _empty() -> dict[str, Counter[str]]:
    return {name: Counter() for name in ("n", "repaired", "asked_again", "left_out")}


def _again(seen: Mapping[str, Counter[str]], meta: Mapping[str, Mapping[str, str] | None]) -> None:
    if (why := meta["asked_again"]) is not None:
        seen["asked_again"][why["kind"]] += 1


def _tally(seen: Mapping[str, Counter[str]]) -> Tally:
    n, left = seen["n"], seen["left_out"]
    return Tally(
        asked=n["made"] + left.total(),
        made=n["made"],
        clean=n["clean"],
        repaired=dict(seen["repaired"]),
        asked_again=dict(seen["asked_again"]),
        left_out=dict(left),
        not_applicable=n["not_applicable"],
        suspicious=n["suspicious"],
    )
