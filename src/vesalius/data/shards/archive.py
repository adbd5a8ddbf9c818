"""Shards as tars of the WebDataset layout: written record by record, and the table of places in one, made only once it is known to be what was written.

In: a shard's file and its line in the index. Out: for each record, where its bytes are. Nothing is ever unpacked to the disk.
Refused: another size or hash, what is no tar, links and devices, names with a path or a suffix that no shard has (pickles among them), torn or doubled records.
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import io
import tarfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import BinaryIO

from vesalius.data.shards.index import Shard, ShardError, digest_of
from vesalius.data.shards.record import FACTS, Record, members, split_name

REMEDY = "copy the file again from where it was made, or make the shards again"
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
    with opened(path, shard, digest=digest) as stream:
        found = _table(path, stream)
    agree(path, shard, [entry.key for entry in found])
    return found


@contextlib.contextmanager
def opened(path: Path, shard: Shard, *, digest: bool) -> Iterator[BinaryIO]:
    """A shard's file at its beginning, once its size and, if wanted, its hash are those of the index. Raises: ShardError."""
    try:
        size = path.stat().st_size
        if size != shard.bytes:
            raise ShardError(f"{path} has {size:,} bytes, {shard.bytes:,} were written", remedy=REMEDY)
        with path.open("rb") as stream:
            if digest and hashlib.file_digest(stream, "sha256").hexdigest() != shard.sha256:
                raise ShardError(f"{path} is not the file that was written: its SHA-256 differs", remedy=REMEDY)
            stream.seek(0)
            yield stream
    except OSError as error:
        raise ShardError(f"{path} cannot be read ({error.strerror or error})", remedy=REMEDY) from error


def agree(path: Path, shard: Shard, keys: list[str]) -> None:
    """Whether the records found are those of the index. Raises: ShardError."""
    if len(keys) != shard.records or digest_of(keys) != shard.keys:
        raise ShardError(f"{path} holds other records than its index says", remedy=REMEDY)


def fill(stream: BinaryIO, records: Iterable[Record]) -> None:
    """Write records as a tar without times and owners. Raises: InvalidValue for facts that are no JSON."""
    with tarfile.open(fileobj=stream, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        for record in records:
            for name, data in members(record):
                info = tarfile.TarInfo(name)  # no time, owner or right of this machine
                info.size, info.mode = len(data), 0o444
                tar.addfile(info, io.BytesIO(data))


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
                    raise ShardError(f"{path}: the member {member.name!r} is there twice", remedy=REMEDY)
                spans[suffix] = (member.offset_data, member.size)
    except (tarfile.TarError, ValueError, EOFError) as error:
        raise ShardError(f"{path} is not a whole tar ({error})", remedy=REMEDY) from error
    return tuple(_entry(path, key, spans) for key, spans in places.items())


def _entry(path: Path, key: str, spans: dict[str, Span]) -> Entry:
    pictures = [suffix for suffix in spans if suffix != FACTS]
    if FACTS not in spans or len(pictures) > 1:
        raise ShardError(f"{path}: the record {key} has no facts, or more than one picture", remedy=REMEDY)
    return Entry(key, pictures[0] if pictures else "", spans[pictures[0]] if pictures else None, spans[FACTS])


def parts(path: Path, entry: Entry) -> tuple[bytes | None, bytes]:
    """The bytes of a record's picture and facts. Raises: ShardError."""
    with path.open("rb") as stream:
        return part(stream, entry.image, path) if entry.image is not None else None, part(stream, entry.facts, path)


def part(stream: BinaryIO, span: Span, path: Path) -> bytes:
    """The bytes of a span. Raises: ShardError when the file has become shorter."""
    stream.seek(span[0])
    data = stream.read(span[1])
    if len(data) != span[1]:
        raise ShardError(f"{path} has become shorter while it was read", remedy=REMEDY)
    return data
