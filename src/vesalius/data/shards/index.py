"""The index of a folder of shards: which files there are, how many records each holds, and the SHA-256 of each.

In: `shards.jsonl` (a line for each finished shard, written as they are finished) and `index.json` (written last: totals, origin, licence, provenance).
Out: an `Index`. A folder without `index.json` is unfinished and is not read.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import re
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

from vesalius.errors import UserError

SCHEMA = 1
LINES, WHOLE = "shards.jsonl", "index.json"
_NAME = re.compile(r"shard-\d{6,}\.(?:tar|parquet)")
_AGAIN = "make the shards again with 'vesalius data shard'"


class ShardError(UserError):
    """Shards are damaged, unfinished or not ours; the message names the file."""


@dataclasses.dataclass(frozen=True)
class Shard:
    """One file.

    Args:
        records: how many it holds; first: the place of its first record in the whole.
        keys: SHA-256 over its keys, each with a line end.
    """

    name: str
    records: int
    first: int
    bytes: int
    sha256: str
    keys: str

    @property
    def is_table(self) -> bool:
        """Whether it is Parquet; else it is a tar."""
        return self.name.endswith(".parquet")


@dataclasses.dataclass(frozen=True)
class Index:
    """What a folder of shards holds.

    Args:
        about: what the writer was told: set, part, protocol, licence, attribution, train_allowed, ...
        provenance: versions, command and time of the writer.
    """

    shards: tuple[Shard, ...]
    records: int
    bytes: int
    about: Mapping[str, Any]
    provenance: Mapping[str, Any]


def digest_of(keys: list[str]) -> str:
    """SHA-256 over keys, each with a line end."""
    return hashlib.sha256("".join(f"{key}\n" for key in keys).encode()).hexdigest()


def read(folder: Path) -> Index:
    """The index of a finished folder.

    Raises:
        ShardError: there is none, it is unfinished, of another version, or the two files disagree.
    """
    if not folder.is_dir():
        raise ShardError(f"{folder} is not a folder of shards", remedy="give the folder that 'vesalius data shard' has written")
    if not (folder / WHOLE).is_file():
        what = "holds unfinished shards" if (folder / LINES).is_file() else "holds no shards"
        raise ShardError(f"{folder} {what}: it has no {WHOLE}", remedy="run 'vesalius data shard' with the same words again; it goes on where it was stopped")
    whole = _json(folder / WHOLE)
    if whole.get("schema") != SCHEMA:
        raise ShardError(f"{folder / WHOLE} is of schema {whole.get('schema')!r}, known is {SCHEMA}", remedy=_AGAIN)
    shards = finished(folder)
    totals = {"records": sum(s.records for s in shards), "bytes": sum(s.bytes for s in shards), "shards": len(shards), "lines": _sha(folder / LINES)}
    wrong = [key for key, value in totals.items() if whole.get(key) != value]
    if wrong:
        raise ShardError(f"{folder / LINES} and {WHOLE} disagree about {', '.join(wrong)}", remedy=_AGAIN)
    facts = [whole.get(key) for key in ("about", "provenance")]
    about, provenance = (MappingProxyType(f) if isinstance(f, dict) else MappingProxyType({}) for f in facts)
    return Index(shards, totals["records"], totals["bytes"], about, provenance)  # type: ignore[arg-type]


def finished(folder: Path) -> tuple[Shard, ...]:
    """The shards whose lines are written whole; a last line that a killed writer left torn is not one.

    Raises:
        ShardError: a line is no shard, or they do not follow on one another.
    """
    try:
        lines = (folder / LINES).read_bytes().split(b"\n")[:-1]
    except FileNotFoundError:
        return ()
    except OSError as error:
        raise ShardError(f"{folder / LINES} cannot be read ({error.strerror})", remedy=_AGAIN) from error
    shards: list[Shard] = []
    for number, line in enumerate(lines, 1):
        shard = _shard(line)
        if shard is None or shard.first != sum(s.records for s in shards[-1:]) + (shards[-1].first if shards else 0):
            raise ShardError(f"{folder / LINES}: line {number} is not that of a shard", remedy=_AGAIN)
        shards.append(shard)
    return tuple(shards)


def _shard(line: bytes) -> Shard | None:
    kinds: dict[str, type] = {"name": str, "records": int, "first": int, "bytes": int, "sha256": str, "keys": str}
    try:
        row = json.loads(line)
    except ValueError:
        return None
    if not isinstance(row, dict) or row.keys() != kinds.keys() or not all(type(row[key]) is kind for key, kind in kinds.items()):
        return None
    return Shard(**row) if _NAME.fullmatch(row["name"]) and row["records"] > 0 else None  # a name with a path never gets further


def add(folder: Path, shard: Shard) -> None:
    """Write a shard's line, and be sure that it is on the disk."""
    with (folder / LINES).open("ab") as stream:
        stream.write(json.dumps(dataclasses.asdict(shard)).encode() + b"\n")
        stream.flush()
        os.fsync(stream.fileno())


def close(folder: Path, about: Mapping[str, Any], provenance: Mapping[str, Any]) -> Index:
    """Write the index of a folder whose shards are all finished, atomically."""
    shards = finished(folder)
    if not shards:
        (folder / LINES).touch()
    totals = {"schema": SCHEMA, "records": sum(s.records for s in shards), "bytes": sum(s.bytes for s in shards), "shards": len(shards)}
    whole = {**totals, "lines": _sha(folder / LINES), "about": dict(about), "provenance": dict(provenance)}
    draft = folder / f"{WHOLE}.part"
    draft.write_text(json.dumps(whole, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    draft.replace(folder / WHOLE)
    return read(folder)


def _sha(path: Path) -> str:
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError:
        return ""


def _json(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ShardError(f"{path} cannot be read ({type(error).__name__})", remedy=_AGAIN) from error
    if not isinstance(found, dict):
        raise ShardError(f"{path} is no index", remedy=_AGAIN)
    return found
