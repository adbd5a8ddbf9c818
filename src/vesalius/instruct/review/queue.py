"""The queue: a sample of items drawn by a seed, in proportion to their strata or so many of each, with what a reader must see.

In: a file of JSON lines as `filters.items` reads them. Out: `Queue`, kept as one JSON file. Whether an item is drawn depends on the seed and its id alone,
not on its place in the file. Memory holds the sample, not the file.
"""

from __future__ import annotations

import dataclasses
import hashlib
import heapq
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from vesalius.data.splits import unit_hash
from vesalius.errors import InvalidValue, UserError
from vesalius.instruct.filters import items
from vesalius.instruct.filters.items import Facts, InputError, Record, Unread
from vesalius.instruct.filters.sources import Sources
from vesalius.instruct.generate import lines as files
from vesalius.provenance import sha256_file

NAME = "queue.json"
READING, ADJUDICATION = "reading", "adjudication"
FIELDS = ("task", "source")
MOST = 5000  # items of a queue: more is no sample that people read
VERDICTS = ("right", "partly", "wrong", "unsafe")


class ReviewError(UserError):
    """A queue, or answers to it, cannot be used."""


@dataclasses.dataclass(frozen=True)
class Entry:
    """One item of a queue. sha256: over what the reader sees. earlier: verdicts and comments of earlier readers, without their names."""

    id: str
    stratum: str
    sha256: str
    images: tuple[str, ...]
    task: str
    turns: tuple[tuple[str, str], ...]
    made_from: str = ""
    earlier: tuple[tuple[str, str], ...] = ()


@dataclasses.dataclass(frozen=True)
class Queue:
    """A drawn sample.

    Args:
        id: hash over the items and how they were drawn. role: reading, or adjudication of the queue `parent`.
        strata: name -> items in the file, items drawn. lots: each stratum is accepted or not for itself; else the file as a whole.
    """

    id: str
    role: str
    parent: str
    seed: int
    by: tuple[str, ...]
    lots: bool
    strata: dict[str, tuple[int, int]]
    input_sha256: str
    entries: tuple[Entry, ...]


def draw(path: Path, *, n: int | None = 100, each: int | None = None, by: Sequence[str] = ("task",), seed: int = 0, source: Sources | None = None) -> Queue:
    """Draw a sample.

    Args:
        n: items in all, shared out over the strata by their size (largest remainder). each: instead, so many of every stratum, then lots of their own.
        by: fields whose values make the strata; none: one stratum. source: shows what the items were made from.

    Raises:
        InvalidValue: bad numbers or fields. InputError: the file cannot be read, holds a line that is no item, or one id twice.
    """
    how_many = each if each is not None else n
    if how_many is None or not 0 < how_many <= MOST or not set(by) <= set(FIELDS):
        raise InvalidValue(
            f"a queue has 1 to {MOST:,} items, by {' and '.join(FIELDS)} (got {how_many} by {', '.join(by)})", remedy="change --n, --each or --by"
        )
    sizes: dict[str, int] = {}
    kept: dict[str, list[tuple[float, str, int, Record]]] = {}
    with items.opened(path) as stream:
        for number, line, too_long in items.lines(stream):
            record = items.read(number, line, too_long=too_long)
            if isinstance(record, Unread):
                raise InputError(f"{path}: line {number} is no item ({record.reason})", remedy="run vesalius instruct filter on it first")
            stratum = " / ".join(getattr(record, field) or "(none)" for field in by) or "all"
            sizes[stratum] = sizes.get(stratum, 0) + 1
            heap = kept.setdefault(stratum, [])
            heapq.heappush(heap, (-unit_hash(record.id, salt=f"review {seed}"), record.id, number, record))
            if len(heap) > how_many:
                heapq.heappop(heap)
    if not sizes:
        raise InputError(f"{path}: holds no item", remedy="give a file of JSON lines with id and turns")
    wanted = {name: min(each, size) for name, size in sizes.items()} if each is not None else _shares(sizes, min(how_many, sum(sizes.values())))
    entries = [_entry(record, name, source) for name in sorted(sizes) for *_, record in sorted(kept[name], key=lambda e: -e[0])[: wanted[name]]]
    if len({entry.id for entry in entries}) < len(entries):
        raise InputError(f"{path}: has an id twice", remedy="run vesalius instruct filter on it first")
    entries.sort(key=lambda entry: unit_hash(entry.id, salt=f"order {seed}"))
    strata = {name: (sizes[name], wanted[name]) for name in sorted(sizes)}
    return made(READING, "", seed, tuple(by), each is not None, strata, sha256_file(path), entries)


def made(
    role: str, parent: str, seed: int, by: tuple[str, ...], lots: bool, strata: dict[str, tuple[int, int]], sha256: str, entries: Sequence[Entry]
) -> Queue:
    """A queue with its id."""
    body = json.dumps([role, parent, seed, by, lots, strata, sha256, [[e.id, e.sha256] for e in entries]], sort_keys=True)
    return Queue(hashlib.sha256(body.encode()).hexdigest()[:16], role, parent, seed, by, lots, strata, sha256, tuple(entries))


def write(queue: Queue, folder: Path) -> Path:
    """Keep a queue. Raises: OutputError: it cannot be written; ReviewError: the folder holds another queue."""
    place = folder / NAME
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise files.unwritable(folder, error) from error
    if place.exists() and read(folder).id != queue.id:
        raise ReviewError(f"{folder} holds another queue", remedy="give --out a new folder")
    files.write_text(place, json.dumps({"format": 1, **dataclasses.asdict(queue)}, ensure_ascii=False, indent=1) + "\n")
    return place


def read(folder: Path) -> Queue:
    """The queue of a folder.

    Raises:
        ReviewError: there is none, or it is damaged.
    """
    place = folder / NAME
    try:
        row = json.loads(place.read_text(encoding="utf-8"))
        entries = [_read_entry(entry) for entry in row["entries"]]
        strata = {name: (int(a), int(b)) for name, (a, b) in row["strata"].items()}
        found = made(row["role"], row["parent"], row["seed"], tuple(row["by"]), row["lots"], strata, row["input_sha256"], entries)
    except OSError as error:
        raise ReviewError(f"{folder}: holds no queue", remedy="name the folder that vesalius instruct review export wrote") from error
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise ReviewError(f"{place}: is damaged", remedy="export again with the same seed") from error
    if found.id != row.get("id"):
        raise ReviewError(f"{place}: was changed by hand", remedy="export again with the same seed")
    return found


def seal(images: Sequence[str], turns: Sequence[tuple[str, str]]) -> str:
    """Hash over what a reader sees."""
    return hashlib.sha256(json.dumps([list(images), [list(turn) for turn in turns]], ensure_ascii=False).encode()).hexdigest()


def _entry(record: Record, stratum: str, source: Sources | None) -> Entry:
    turns = tuple((turn.question, turn.answer) for turn in record.turns)
    facts: Facts | None = record.facts or (source.of(record) if source is not None else None)
    return Entry(record.id, stratum, seal(record.images, turns), record.images, record.task, turns, facts.text if facts and source is not None else "")


def _read_entry(row: dict[str, Any]) -> Entry:
    pairs = {key: tuple((str(a), str(b)) for a, b in row[key]) for key in ("turns", "earlier")}
    entry = Entry(**{**row, **pairs, "images": tuple(row["images"])})
    if seal(entry.images, entry.turns) != entry.sha256:
        raise ValueError("an item was changed")
    return entry


def _shares(sizes: dict[str, int], n: int) -> dict[str, int]:
    """The n items shared out over strata in proportion to their sizes: largest remainder, ties by name."""
    total = sum(sizes.values())
    exact = {name: n * size / total for name, size in sizes.items()}
    shares = {name: int(value) for name, value in exact.items()}
    for name in sorted(sizes, key=lambda s: (shares[s] - exact[s], s))[: n - sum(shares.values())]:
        shares[name] += 1
    return shares
