"""The table of places in one tar, made only after it is known to be the file that was written.

In: a shard's file and its line in the index. Out: for each record, where its bytes are. Nothing is ever unpacked to the disk.
Refused: another size or hash, what is no tar, links and devices, names with a path or a suffix that no shard has (pickles among them), torn or doubled records.
"""

from __future__ import annotations

import dataclasses
import hashlib
import tarfile
from pathlib import Path
from typing import BinaryIO

from vesalius.data.shards.index import Shard, ShardError, digest_of
from vesalius.data.shards.record import FACTS, split_name

_REMEDY = "copy the file again from where it was made, or make the shards again"
Span = tuple[int, int]  # offset and size, in bytes


@dataclasses.dataclass(frozen=True, slots=True)
class Entry:
    """Where a record lies in its file."""

    key: str
    suffix: str
    image: Span | None
    facts: Span


def entries(path: Path, shard: Shard, *, digest: bool = True) -> tuple[Entry, ...]:
    """The records of a shard, in order.

    Args:
        digest: whether to compare the SHA-256; the size, the form and the keys always are.

    Raises:
        ShardError: see the module.
    """
    try:
        size = path.stat().st_size
        if size != shard.bytes:
            raise ShardError(f"{path} has {size:,} bytes, {shard.bytes:,} were written", remedy=_REMEDY)
        with path.open("rb") as stream:
            if digest and hashlib.file_digest(stream, "sha256").hexdigest() != shard.sha256:
                raise ShardError(f"{path} is not the file that was written: its SHA-256 differs", remedy=_REMEDY)
            stream.seek(0)
            found = _table(path, stream)
    except OSError as error:
        raise ShardError(f"{path} cannot be read ({error.strerror})", remedy=_REMEDY) from error
    if len(found) != shard.records or digest_of([entry.key for entry in found]) != shard.keys:
        raise ShardError(f"{path} holds other records than its index says", remedy=_REMEDY)
    return found


def _table(path: Path, stream: BinaryIO) -> tuple[Entry, ...]:
    places: dict[str, dict[str, Span]] = {}
    try:
        with tarfile.open(fileobj=stream, mode="r:") as tar:  # "r:" takes no compressed file, which could unpack to any size
            for member in tar:
                name = split_name(member.name)
                if name is None or not member.isreg() or member.issparse():
                    raise ShardError(
                        f"{path}: the member {member.name[:80]!r} has no place in a shard", remedy="use only shards that 'vesalius data shard' has written"
                    )
                key, suffix = name
                spans = places.setdefault(key, {})
                if suffix in spans:
                    raise ShardError(f"{path}: the member {member.name!r} is there twice", remedy=_REMEDY)
                spans[suffix] = (member.offset_data, member.size)
    except (tarfile.TarError, ValueError, EOFError) as error:
        raise ShardError(f"{path} is not a whole tar ({error})", remedy=_REMEDY) from error
    return tuple(_entry(path, key, spans) for key, spans in places.items())


def _entry(path: Path, key: str, spans: dict[str, Span]) -> Entry:
    pictures = [suffix for suffix in spans if suffix != FACTS]
    if FACTS not in spans or len(pictures) > 1:
        raise ShardError(f"{path}: the record {key} has no facts, or more than one picture", remedy=_REMEDY)
    return Entry(key, pictures[0] if pictures else "", spans[pictures[0]] if pictures else None, spans[FACTS])


def part(stream: BinaryIO, span: Span, path: Path) -> bytes:
    """The bytes of a span. Raises: ShardError when the file has become shorter."""
    stream.seek(span[0])
    data = stream.read(span[1])
    if len(data) != span[1]:
        raise ShardError(f"{path} has become shorter while it was read", remedy=_REMEDY)
    return data
