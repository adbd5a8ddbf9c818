"""Rows of published tables, one at a time, however long the file: CSV, JSON lists, JSON lines, parquet; and names of files that stay where they belong.

In: a path (`.gz` is unpacked on the way) and the card of its set. Out: rows; what is damaged, truncated, too large or of the wrong kind is refused with a
`DataFormatError` that names the file, what is absent with `DataMissing`. Nothing is unpickled.
"""

from __future__ import annotations

import contextlib
import csv
import gzip
import json
import re
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any, TextIO

from vesalius.data import base
from vesalius.errors import DataMissing
from vesalius.registry import missing_extra

LONGEST = 16_000_000  # characters of one line or one record; more is no row of any published set
LARGEST = 1_000_000_000  # bytes of a JSON file that must be read in one piece
_CHUNK = 1_000_000
_BLANK = re.compile(r"\s*")
_BATCH = 2000


def below(name: str) -> str:
    """The name, when it is a path that stays below its folder.

    Raises:
        ValueError: it is empty, absolute, climbs, or has characters that mean something else on some system.
    """
    place = PurePosixPath(name)
    if not place.name or place.is_absolute() or ".." in place.parts or set(name) & set("\\:\0\n"):
        raise ValueError(f"the file name {name[:100]!r} is no path below the set's folder")
    return name


def stamp(*paths: Path) -> tuple[tuple[int, int], ...]:
    """What changes when a file does: time and size of each, zeros for one that is absent."""
    return tuple((path.stat().st_mtime_ns, path.stat().st_size) if path.is_file() else (0, 0) for path in paths)


def tidy(text: object) -> str:
    """Text with single spaces, stripped; "" for None and for the NaN of an empty cell."""
    return " ".join(str(text).split()) if text is not None and text == text else ""


@contextlib.contextmanager
def reading(path: Path, card: base.DataCard) -> Iterator[None]:
    """Turn what goes wrong inside into errors of ours that name the file.

    Raises:
        DataMissing: the file cannot be opened. DataFormatError: it does not hold what it should.
    """
    try:
        yield
    except (FileNotFoundError, PermissionError, IsADirectoryError, NotADirectoryError) as error:
        raise DataMissing(f"{path}: cannot be read ({error.strerror})", remedy=card.how_to_obtain) from error
    except UnicodeDecodeError as error:
        raise base.DataFormatError(f"{path}: is not UTF-8 text", remedy=card.how_to_obtain) from error
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise base.DataFormatError(f"{path}: is no whole archive ({error})", remedy=card.how_to_obtain) from error
    except OSError as error:
        raise DataMissing(f"{path}: cannot be read ({error.strerror or error})", remedy=card.how_to_obtain) from error
    except (csv.Error, ValueError, KeyError, TypeError, AttributeError, IndexError, RecursionError) as error:
        raise base.DataFormatError(f"{path}: does not hold this set ({type(error).__name__}: {str(error)[:300]})", remedy=card.how_to_obtain) from error


def lines(path: Path, card: base.DataCard) -> Iterator[str]:
    """Lines without their ends; a line feed alone ends one, for captions hold other separators. Raises: DataMissing, DataFormatError."""
    with reading(path, card), _open(path) as stream:
        yield from (line.rstrip("\r\n") for line in _bounded(stream))


def csv_rows(path: Path, card: base.DataCard, *, needs: Iterable[str] = (), delimiter: str = ",") -> Iterator[dict[str, str]]:
    """Rows of a table with a header, whose quoted cells may hold line ends. Names of columns are stripped.

    Raises:
        DataMissing: no such file. DataFormatError: a needed column is absent, or a row has not as many cells as the header.
    """
    with reading(path, card), _open(path) as stream:
        table = csv.reader(_bounded(stream), delimiter=delimiter)
        header = [name.strip() for name in next(table, [])]
        absent = [name for name in needs if name not in header]
        if absent:
            raise base.DataFormatError(f"{path}: has no column {absent[0]!r}", remedy=card.how_to_obtain)
        for number, cells in enumerate(table, start=1):
            if cells and len(cells) != len(header):
                raise base.DataFormatError(f"{path}: row {number} has {len(cells)} cells and the header {len(header)}", remedy=card.how_to_obtain)
            if cells:
                yield dict(zip(header, cells, strict=True))


def json_rows(path: Path, card: base.DataCard, *, longest: int = LONGEST) -> Iterator[dict[str, Any]]:
    """Records of a JSON list, or of JSON lines, one in memory at a time.

    Args:
        longest: characters that one record of a list may have.

    Raises:
        DataMissing: no such file. DataFormatError: it is damaged, or holds something else.
    """
    with reading(path, card), _open(path) as stream:
        first = stream.read(1)
        while first and first.isspace():
            first = stream.read(1)
        if first == "[":
            rows = _listed(stream, longest)
        elif first == "{":
            rows = (json.loads(line) for line in _bounded(stream, held="{") if line.strip())
        else:
            raise ValueError("it is neither a JSON list nor JSON lines")
        for row in rows:
            if not isinstance(row, dict):
                raise ValueError(f"a row is a {type(row).__name__} and no record")
            yield row


def json_whole(path: Path, card: base.DataCard) -> dict[str, Any]:
    """A JSON object that has no name twice. Raises: DataMissing, DataFormatError (also for more than `LARGEST` bytes)."""
    with reading(path, card):
        if path.stat().st_size > LARGEST:
            raise ValueError(f"it has {path.stat().st_size:,} bytes, more than {LARGEST:,}")
        held = json.loads(path.read_text(encoding="utf-8-sig"), object_pairs_hook=_once)
        if not isinstance(held, dict):
            raise ValueError("it is no JSON object")
        return held


def parquet_rows(paths: Sequence[Path], card: base.DataCard, columns: Sequence[str]) -> Iterator[dict[str, Any]]:
    """Rows of parquet files in the order given. Raises: MissingExtra, DataMissing, DataFormatError."""
    try:
        import pyarrow
        from pyarrow import parquet
    except ModuleNotFoundError as error:
        raise missing_extra("pyarrow", f"reading the parquet files of {card.name}") from error
    for path in paths:
        with reading(path, card):
            try:
                with parquet.ParquetFile(path) as shard:
                    absent = [name for name in columns if name not in shard.schema_arrow.names]
                    if absent:
                        raise base.DataFormatError(f"{path}: has no column {absent[0]!r}", remedy=card.how_to_obtain)
                    for batch in shard.iter_batches(_BATCH, columns=list(columns)):
                        yield from batch.to_pylist()
            except pyarrow.ArrowException as error:
                raise ValueError(f"no whole parquet file: {(str(error).splitlines() or [''])[0]}") from error


def _open(path: Path) -> TextIO:
    if path.suffix == ".gz":
        return gzip.open(path, "rt", encoding="utf-8-sig", newline="")
    return path.open(encoding="utf-8-sig", newline="")


def _bounded(stream: TextIO, held: str = "") -> Iterator[str]:
    """Lines of at most `LONGEST` characters: a small archive may unpack to one endless line."""
    while line := stream.readline(LONGEST):
        if len(line) >= LONGEST:
            raise ValueError(f"a line has more than {LONGEST:,} characters")
        yield held + line
        held = ""
    if held:
        yield held


def _listed(stream: TextIO, longest: int) -> Iterator[Any]:
    """Members of a JSON list whose bracket has been read."""
    decoder, held, at, wanted = json.JSONDecoder(), "", 0, "value or end"
    while True:
        found = _BLANK.match(held, at)
        at = found.end() if found else at
        if at == len(held):
            held, at = stream.read(_CHUNK), 0
            if not held:
                raise ValueError("it ends inside the list")
            continue
        allowed = {"comma or end": ",]", "value": "{", "value or end": "{]"}[wanted]
        if held[at] not in allowed:
            raise ValueError(f"{held[at]!r} stands where only one of {allowed!r} may")
        if held[at] == "]":
            break
        if held[at] == ",":
            at, wanted = at + 1, "value"
            continue
        try:
            value, at = decoder.raw_decode(held, at)
        except json.JSONDecodeError:
            more = stream.read(max(_CHUNK, len(held) - at))
            if not more or len(held) - at > longest:
                raise
            held, at = held[at:] + more, 0
            continue
        wanted = "comma or end"
        yield value
    if held[at + 1 :].strip() or stream.read(_CHUNK).strip():
        raise ValueError("something follows the list")


def _once(pairs: list[tuple[str, Any]]) -> Mapping[str, Any]:
    held = dict(pairs)
    if len(held) != len(pairs):
        names = [name for name, _ in pairs]
        raise ValueError(f"the name {next(name for name in names if names.count(name) > 1)!r} is there twice")
    return held
