"""Looking at every byte of a folder of shards.

In: a folder. Out: a `Verdict` with every damaged shard, not only the first; keys that two shards share; files that belong to no shard.
"""

from __future__ import annotations

import dataclasses
import hashlib
from array import array
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from vesalius.data.shards import archive, index
from vesalius.data.shards.archive import Entry
from vesalius.data.shards.index import Index, Shard
from vesalius.data.shards.read import build, facts, places
from vesalius.data.shards.table import Cell, Groups
from vesalius.errors import UserError

_OURS = ("index.json", "shards.jsonl", "plan.json")


@dataclasses.dataclass(frozen=True)
class Verdict:
    """What was found; `problems` are sentences."""

    index: Index
    problems: tuple[str, ...]

    @property
    def ok(self) -> bool:
        """Whether everything is as it was written."""
        return not self.problems

    def to_json(self) -> dict[str, Any]:
        """A plain mapping for `json.dump`."""
        whole = {"records": self.index.records, "shards": len(self.index.shards), "bytes": self.index.bytes}
        return {"ok": self.ok, **whole, "about": dict(self.index.about), "provenance": dict(self.index.provenance), "problems": list(self.problems)}


def verify(folder: Path, *, progress: Callable[[int, int, str], None] | None = None) -> Verdict:
    """Look at every shard: its size, hash, members, keys, and that all facts are JSON.

    Args:
        progress: called with (done, total, what).

    Raises:
        ShardError: there is no finished index to compare with.
    """
    whole = index.read(folder)
    problems: list[str] = []
    keys = array("Q")
    for i, shard in enumerate(whole.shards):
        if progress is not None:
            progress(i, len(whole.shards), "shards verified")
        try:
            keys.extend(_keys(folder / shard.name, shard))
        except UserError as error:
            problems.append(str(error))
    doubled = len(keys) - len(np.unique(np.frombuffer(keys, np.uint64)))
    problems += [f"{doubled} records have a key that another shard has too"] * bool(doubled)
    known = {*_OURS, *(shard.name for shard in whole.shards)}
    problems += [f"{path} belongs to no shard" for path in sorted(folder.iterdir()) if path.name not in known]
    return Verdict(whole, tuple(problems))


def _keys(path: Path, shard: Shard) -> list[int]:
    """The first 64 bits of each key's hash: the keys of a million records in 8 MB."""
    found: Sequence[Entry | Cell] = places(path, shard)
    groups = Groups()
    with path.open("rb") as stream:
        for entry in found:
            if isinstance(entry, Entry):
                facts(archive.part(stream, entry.facts, path), f"{path}: record {entry.key}")
            else:
                build(path, entry, groups)
    return [int.from_bytes(hashlib.blake2b(entry.key.encode(), digest_size=8).digest()) for entry in found]
