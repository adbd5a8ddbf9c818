"""Writing shards of either kind: one record (of Parquet one row group) in memory, each file whole or not there, and a killed writer goes on where it was.

In: records in a fixed order. Out: a folder of tars or Parquet files with an index. A shard is written under another name, flushed to the disk, renamed, and
only then entered in `shards.jsonl`; what is not entered is written again. The same records give the same bytes.
"""

from __future__ import annotations

import enum
import hashlib
import json
import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from vesalius import provenance
from vesalius.data.shards import archive, index, table
from vesalius.data.shards.index import Index, Shard, ShardError
from vesalius.data.shards.record import Record
from vesalius.errors import InvalidValue

_PLAN = "plan.json"  # what the shards were begun with, so that nobody goes on with something else
_OTHER = "write into another folder, or delete this one"


class Form(enum.StrEnum):
    """What a shard is; also the suffix of its file."""

    TAR = "tar"
    PARQUET = "parquet"


def write(
    records: Iterable[Record],
    out: Path,
    *,
    shard_size: int = 1000,
    about: Mapping[str, Any] | None = None,
    first: int = 0,
    form: Form = Form.TAR,
) -> Index:
    """Write records as shards; in a folder that an earlier call did not finish, go on.

    Args:
        records: all of them, in the same order at every call; those that are written already are compared by their keys and left out.
        out: the folder; made when it is not there.
        shard_size: records in a shard, at least 1.
        about: JSON facts about the whole, for the index: set, part, licence, ...
        first: how many records the caller has left out because `written(out)` says that they are there; spares making them again.
        form: of the files; Parquet needs pyarrow, and with another version of it may give other bytes.

    Returns:
        The index. A folder that is finished is returned as it is, if it was made from the same plan.

    Raises:
        ShardError: the folder holds something else, or the records are not those of the earlier call.
        InvalidValue: a key twice in a shard, or facts that are no JSON. MissingExtra: no pyarrow.
    """
    if shard_size < 1:
        raise InvalidValue(f"a shard needs at least one record (got {shard_size})")
    if form is Form.PARQUET:
        table.library("writing Parquet shards")  # before anything is written
    plan: dict[str, Any] = {"schema": index.SCHEMA, "shard_size": shard_size, "about": dict(about or {})}
    plan |= {"format": str(form)} if form is not Form.TAR else {}
    done = _begin(out, plan)
    if (out / index.WHOLE).is_file():
        return index.read(out)
    stream = _after(iter(records), done, first, out)
    place, number = sum(shard.records for shard in done), len(done)
    while (head := next(stream, None)) is not None:
        shard = _shard(out, number, place, head, stream, shard_size, form)
        index.add(out, shard)
        place, number = place + shard.records, number + 1
    return index.close(out, plan["about"], provenance.record(config={"shard_size": shard_size}).to_json())


def written(out: Path) -> int:
    """How many records are in finished shards of a folder; 0 where there is none.

    Raises:
        ShardError: its list of shards is damaged.
    """
    return sum(shard.records for shard in index.finished(out))


def _begin(out: Path, plan: Mapping[str, Any]) -> tuple[Shard, ...]:
    """Make the folder ready; the shards that are there and whole in size."""
    try:
        out.mkdir(parents=True, exist_ok=True)
        there = sorted(path.name for path in out.iterdir())
    except OSError as error:
        raise ShardError(f"{out} cannot be written ({error.strerror})", remedy="give another folder") from error
    text = json.dumps(plan, indent=2, sort_keys=True, ensure_ascii=False) + "\n"
    if _PLAN not in there:
        if [name for name in there if name != f"{_PLAN}.part"]:
            raise ShardError(f"{out} holds something else ({there[0]})", remedy=_OTHER)
        draft = out / f"{_PLAN}.part"
        draft.write_text(text, encoding="utf-8")
        draft.replace(out / _PLAN)
    elif (out / _PLAN).read_text(encoding="utf-8") != text:
        raise ShardError(f"{out} was begun with other options or another source", remedy=_OTHER)
    lines = out / index.LINES
    if lines.is_file() and (torn := lines.read_bytes().rpartition(b"\n")[2]):
        os.truncate(lines, lines.stat().st_size - len(torn))
    done = index.finished(out)
    lost = [shard.name for shard in done if not (out / shard.name).is_file() or (out / shard.name).stat().st_size != shard.bytes]
    if lost:
        raise ShardError(f"{out / lost[0]} is gone or has another size than when it was written", remedy=_OTHER)
    return done


def _after(records: Iterator[Record], done: tuple[Shard, ...], first: int, out: Path) -> Iterator[Record]:
    """The records behind those that are written, once these are found to be the same."""
    total = sum(shard.records for shard in done)
    if first not in (0, total):
        raise ShardError(f"{out} holds {total} records, but {first} were left out", remedy="leave out as many as written(out) says, or none")
    for shard in done if first == 0 else ():
        keys = [record.key for _, record in zip(range(shard.records), records, strict=False)]  # this way round: nothing is taken too much
        if index.digest_of(keys) != shard.keys:
            raise ShardError(f"{out / shard.name} was written from other records than these", remedy=_OTHER)
    return records


def _shard(out: Path, number: int, place: int, head: Record, rest: Iterator[Record], size: int, form: Form) -> Shard:
    name = f"shard-{number:06d}.{form}"
    draft = out / f"{name}.part"
    keys: list[str] = []
    with draft.open("wb") as stream:
        {Form.TAR: archive.fill, Form.PARQUET: table.fill}[form](stream, _taken(head, rest, size, keys))
        stream.flush()
        os.fsync(stream.fileno())
    shard = Shard(name, len(keys), place, draft.stat().st_size, _sha(draft), index.digest_of(keys))
    draft.replace(out / name)
    _settle(out)
    return shard


def _taken(head: Record, rest: Iterator[Record], size: int, keys: list[str]) -> Iterator[Record]:
    """The records of one shard, each with a key of its own; `keys` grows by them."""
    seen: set[str] = set()
    record: Record | None = head
    while record is not None:
        if record.key in seen:
            raise InvalidValue(f"two records have the key {record.key}", remedy="give each its own")
        seen.add(record.key)
        keys.append(record.key)
        yield record
        record = next(rest, None) if len(keys) < size else None


def _sha(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _settle(folder: Path) -> None:
    """Have the new name on the disk before the list says that it is there."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
