"""Reading shards: checked, shuffled without chance, from any place, with one record, or a few row groups, in memory.

In: a folder of shards. Out: records in an order that the seed and the epoch alone decide: shards are permuted, then records within windows of `buffer` places.
The order does not depend on what kind of file they are in.
Every place is computed, none is drawn while reading, so a stream starts anywhere at once, and workers that share it give together what one would.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from vesalius.data.shards import archive, index, table
from vesalius.data.shards.archive import Entry
from vesalius.data.shards.index import Index, Shard, ShardError
from vesalius.data.shards.record import Record
from vesalius.data.shards.table import Cell, Groups
from vesalius.errors import InvalidValue

BUFFER = 4096


class Shards:
    """A finished folder of shards.

    Args:
        path: the folder.
        check: compare the SHA-256 of each shard when it is first read; an archive of the right size and form is the least that is asked.

    Raises:
        ShardError: there is no finished index.
    """

    def __init__(self, path: str | Path, *, check: bool = True) -> None:
        self.path = Path(path)
        self.index: Index = index.read(self.path)
        self._check, self._checked = check, set[str]()

    def __len__(self) -> int:
        return self.index.records

    def stream(
        self, *, seed: int | None = None, epoch: int = 0, start: int = 0, buffer: int = BUFFER, share: tuple[int, int] = (0, 1)
    ) -> Iterator[tuple[int, Record]]:
        """Places and records of one epoch.

        Args:
            seed: decides the order, with the epoch; None keeps the order of writing.
            epoch: another epoch, another order.
            start: the place to begin at: one more than the last place that was used.
            buffer: records are permuted within windows of so many places; larger mixes better and costs seeks, not memory for pictures.
            share: (i, n): only the places that leave i when divided by n. The n streams together are the one of (0, 1), whatever n is.

        Raises:
            ShardError: a shard is damaged; raised when it is reached. InvalidValue: numbers out of range.
        """
        mine, of = share
        if start < 0 or buffer < 1 or epoch < 0 or not 0 <= mine < of or (seed is not None and seed < 0):
            raise InvalidValue(
                f"start, epoch and seed must be at least 0, buffer at least 1 and share (i, n) with i < n (got {start}, {epoch}, {seed}, {buffer}, {share})"
            )
        return self._stream(seed, epoch, start, buffer, mine, of)

    def _stream(self, seed: int | None, epoch: int, start: int, buffer: int, mine: int, of: int) -> Iterator[tuple[int, Record]]:
        shards = self._order(seed, epoch)
        ends = np.cumsum([shard.records for shard in shards], dtype=np.int64)
        tables: dict[str, tuple[Entry, ...] | tuple[Cell, ...]] = {}
        groups = Groups()
        for window in range(start // buffer, -(-len(self) // buffer)):
            low, high = window * buffer, min((window + 1) * buffer, len(self))
            inside = np.arange(high - low) if seed is None else _rng(seed, epoch, window + 1).permutation(high - low)
            first, last = (int(np.searchsorted(ends, place, side="right")) for place in (low, high - 1))
            needed = {shard.name for shard in shards[first : last + 1]}
            tables = {name: table for name, table in tables.items() if name in needed}  # a window reads each archive once, however many it has
            for place in range(max(low, start), high):
                if place % of == mine:
                    at = low + int(inside[place - low])
                    which = int(np.searchsorted(ends, at, side="right"))
                    shard = shards[which]
                    if shard.name not in tables:
                        tables[shard.name] = self._table(shard)
                    yield place, build(self.path / shard.name, tables[shard.name][at - int(ends[which]) + shard.records], groups)

    def _order(self, seed: int | None, epoch: int) -> tuple[Shard, ...]:
        shards = self.index.shards
        return shards if seed is None else tuple(shards[i] for i in _rng(seed, epoch, 0).permutation(len(shards)))

    def _table(self, shard: Shard) -> tuple[Entry, ...] | tuple[Cell, ...]:
        found = places(self.path / shard.name, shard, digest=self._check and shard.name not in self._checked)
        self._checked.add(shard.name)
        return found


def places(path: Path, shard: Shard, *, digest: bool = True) -> tuple[Entry, ...] | tuple[Cell, ...]:
    """Where the records of a shard of either kind are. Raises: ShardError, MissingExtra."""
    return table.entries(path, shard, digest=digest) if shard.is_table else archive.entries(path, shard, digest=digest)


def _rng(seed: int, epoch: int, what: int) -> np.random.Generator:
    return np.random.default_rng([seed, epoch, what])


def build(path: Path, entry: Entry | Cell, groups: Groups) -> Record:
    """A record of a shard of either kind. Raises: ShardError."""
    image, text = groups.parts(path, entry) if isinstance(entry, Cell) else archive.parts(path, entry)
    return Record(entry.key, facts(text, f"{path}: record {entry.key}"), image, entry.suffix)


def facts(text: bytes, where: str) -> dict[str, Any]:
    """The facts of a record. Raises: ShardError."""
    try:
        found = json.loads(text)
    except ValueError as error:
        raise ShardError(f"{where} holds facts that are not JSON", remedy="make the shards again") from error
    if not isinstance(found, dict):
        raise ShardError(f"{where} holds facts that are no mapping", remedy="make the shards again")
    return found
