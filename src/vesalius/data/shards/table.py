"""Shards as Parquet: a row for each record in small row groups, so that neither writer nor reader holds more than a few of them.

In: records, or a shard's file and its line in the index. Out: a file of four columns (key, suffix, image, facts as JSON), or where each record lies in one.
Nothing is compressed and no value is shared, so that a file cannot unpack to more than it is. Refused: another size or hash, what is no whole Parquet file,
other columns, compression, dictionaries, row groups of more than we write, keys and suffixes that no shard has, doubled or torn records.
"""

from __future__ import annotations

import contextlib
import dataclasses
from collections import OrderedDict
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, BinaryIO

from vesalius.data.shards import footer
from vesalius.data.shards.archive import REMEDY, agree, opened
from vesalius.data.shards.index import Shard, ShardError
from vesalius.data.shards.record import FACTS, Record, split_name
from vesalius.registry import missing_extra

GROUP, GROUP_BYTES = 32, 1 << 22  # a row group is full with so many records, or as soon as it has so many bytes
HELD = 1 << 25  # bytes of row groups that a reader keeps


@dataclasses.dataclass(frozen=True, slots=True)
class Cell:
    """Where a record lies in its file."""

    key: str
    suffix: str
    group: int
    row: int


def library(purpose: str) -> tuple[Any, Any]:
    """The library pyarrow and its module of Parquet. Raises: MissingExtra."""
    try:
        import pyarrow
        from pyarrow import parquet
    except ModuleNotFoundError as error:
        raise missing_extra("pyarrow", purpose) from error
    return pyarrow, parquet


def _schema(arrow: Any) -> Any:  # noqa: ANN401 - the library is not typed
    text, data = arrow.string(), arrow.binary()
    kinds = (("key", text, False), ("suffix", text, False), ("image", data, True), ("facts", text, False))
    return arrow.schema([arrow.field(name, kind, nullable=nullable) for name, kind, nullable in kinds])


def fill(stream: BinaryIO, records: Iterable[Record]) -> None:
    """Write records, a row group in memory at a time. Raises: InvalidValue for facts that are no JSON; MissingExtra."""
    arrow, parquet = library("writing Parquet shards")
    schema = _schema(arrow)
    how = {"compression": "NONE", "use_dictionary": False, "write_statistics": False, "store_schema": False}
    with parquet.ParquetWriter(stream, schema, **how) as writer:
        for rows in _groups(records):
            writer.write_table(arrow.Table.from_pylist(rows, schema=schema), row_group_size=len(rows))


def _groups(records: Iterable[Record]) -> Iterator[list[dict[str, Any]]]:
    rows: list[dict[str, Any]] = []
    size = 0
    for record in records:
        text = record.text()
        rows.append({"key": record.key, "suffix": record.suffix, "image": record.image, "facts": text.decode()})
        size += len(text) + len(record.image or b"")
        if len(rows) == GROUP or size >= GROUP_BYTES:
            yield rows
            rows, size = [], 0
    if rows:
        yield rows


def entries(path: Path, shard: Shard, *, digest: bool = True) -> tuple[Cell, ...]:
    """The records of a shard, in order. Pictures are not looked at.

    Args:
        digest: whether to compare the SHA-256; the size, the form and the keys always are.

    Raises:
        ShardError: see the module. MissingExtra: no pyarrow.
    """
    arrow, parquet = library("reading Parquet shards")
    found: list[Cell] = []
    with opened(path, shard, digest=digest) as stream, _whole(path):
        _check(path, stream, shard)
        file = parquet.ParquetFile(stream)
        if not file.schema_arrow.equals(_schema(arrow)):
            raise ShardError(f"{path} has other columns than a shard", remedy=REMEDY)
        for group in range(file.num_row_groups):
            names = file.read_row_group(group, columns=["key", "suffix"], use_threads=False)
            pairs = zip(names["key"].to_pylist(), names["suffix"].to_pylist(), strict=True)
            found += [Cell(key, suffix, group, row) for row, (key, suffix) in enumerate(pairs)]
    for cell in found:
        if cell.suffix == FACTS or split_name(f"{cell.key}.{cell.suffix or FACTS}") != (cell.key, cell.suffix or FACTS):
            raise ShardError(
                f"{path}: the record {cell.key[:80]!r} with the suffix {cell.suffix[:80]!r} has no place in a shard",
                remedy="use only shards that 'vesalius data shard' has written",
            )
    if len({cell.key for cell in found}) != len(found):
        raise ShardError(f"{path}: a record is there twice", remedy=REMEDY)
    agree(path, shard, [cell.key for cell in found])
    return tuple(found)


@contextlib.contextmanager
def _whole(path: Path) -> Iterator[None]:
    """What the library says of a damaged file as a `ShardError`."""
    arrow, _ = library("reading Parquet shards")
    try:
        yield
    except (arrow.ArrowException, OSError, ValueError, KeyError, IndexError) as error:
        if isinstance(error, FileNotFoundError | PermissionError):
            raise
        told = (str(error).splitlines() or [type(error).__name__])[0]
        raise ShardError(f"{path} is not a whole Parquet file ({told[:200]})", remedy=REMEDY) from error


def _check(path: Path, stream: BinaryIO, shard: Shard) -> None:
    """Whether a file is laid out as ours are, by its own description, before the library sees it or any of it is decoded."""
    groups = footer.read(stream)
    stream.seek(0)
    if sum(group.rows for group in groups) != shard.records:
        raise ShardError(f"{path} holds other records than its index says", remedy=REMEDY)
    total = 0
    for number, group in enumerate(groups):
        total += sum(chunk.bytes for chunk in group.chunks)
        if group.rows > GROUP or total > shard.bytes or not all(chunk.plain for chunk in group.chunks):
            raise ShardError(f"{path}: row group {number} is compressed, too large, or not as a shard's are", remedy=REMEDY)


class Groups:
    """The row groups that were read last, of whatever files, up to so many bytes; one at least."""

    def __init__(self, most: int = HELD) -> None:
        self._most, self._size = most, 0
        self._held: OrderedDict[tuple[Path, int], Any] = OrderedDict()

    def parts(self, path: Path, cell: Cell) -> tuple[bytes | None, bytes]:
        """The bytes of a record's picture and facts. Raises: ShardError when the file has changed."""
        group = self._group(path, cell.group)
        if cell.row >= group.num_rows or group["key"][cell.row].as_py() != cell.key:
            raise ShardError(f"{path} has changed while it was read", remedy=REMEDY)
        image, text = group["image"][cell.row].as_py(), group["facts"][cell.row].as_py()
        if (image is None) != (cell.suffix == "") or image == b"":
            raise ShardError(f"{path}: the record {cell.key} has a suffix without a picture, or a picture without one", remedy=REMEDY)
        return image, text

    def _group(self, path: Path, number: int) -> Any:  # noqa: ANN401 - the library is not typed
        if (path, number) in self._held:
            self._held.move_to_end((path, number))
            return self._held[path, number]
        found = self._read(path, number)
        self._held[path, number] = found
        self._size += found.nbytes
        while self._size > self._most and len(self._held) > 1:
            self._size -= self._held.popitem(last=False)[1].nbytes
        return found

    def _read(self, path: Path, number: int) -> Any:  # noqa: ANN401 - the library is not typed
        arrow, parquet = library("reading Parquet shards")
        try:
            with path.open("rb") as stream, _whole(path), parquet.ParquetFile(stream) as file:
                found = file.read_row_group(number, columns=["key", "image", "facts"], use_threads=False)
                # bytes, for what is no UTF-8 is told with the record's name
                return found.set_column(2, "facts", found["facts"].cast(arrow.binary()))
        except OSError as error:
            raise ShardError(f"{path} cannot be read ({error.strerror or error})", remedy=REMEDY) from error
