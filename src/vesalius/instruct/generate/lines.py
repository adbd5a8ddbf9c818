"""Files of JSON lines that a kill leaves usable: appended line by line, a torn last line cut off before the work goes on.

In: rows. Out: lines. A file is written by one process only (`store` sees to that).
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from vesalius.errors import UserError

_PIECE = 1 << 20


class OutputError(UserError):
    """A folder of generated items cannot be written, or a file in it cannot be read."""


def append(path: Path, row: Mapping[str, Any]) -> None:
    """Add a row and flush. Raises: OutputError."""
    try:
        with path.open("ab") as stream:
            stream.write((json.dumps(row, ensure_ascii=False, allow_nan=False) + "\n").encode("utf-8", "replace"))
    except OSError as error:
        raise unwritable(path, error) from error


def mend(path: Path) -> int:
    """Cut what follows the last line end; returns the number of bytes cut. Raises: OutputError."""
    try:
        if not path.exists():
            return 0
        with path.open("r+b") as stream:
            size = at = stream.seek(0, 2)
            while at > 0:
                start = max(0, at - _PIECE)
                stream.seek(start)
                found = stream.read(at - start).rfind(b"\n")
                if found >= 0:
                    at = start + found + 1
                    break
                at = start
            stream.truncate(at)
            return size - at
    except OSError as error:
        raise unwritable(path, error) from error


def rows(path: Path) -> Iterator[dict[str, Any]]:
    """The rows of a file, one by one; no file is no rows.

    Raises:
        OutputError: a line is no JSON object.
    """
    if not path.exists():
        return
    with path.open("rb") as stream:
        for number, line in enumerate(stream, start=1):
            try:
                row = json.loads(line)
            except ValueError as error:
                raise OutputError(f"{path}: line {number} is not JSON", remedy="restore the file, or give --out a new folder") from error
            if not isinstance(row, dict):
                raise OutputError(f"{path}: line {number} is not an object", remedy="restore the file, or give --out a new folder")
            yield row


def write_text(path: Path, text: str) -> None:
    """A whole file, by way of a temporary one. Raises: OutputError."""
    fresh = path.with_name(path.name + ".new")
    try:
        fresh.write_text(text, encoding="utf-8")
        fresh.replace(path)
    except OSError as error:
        raise unwritable(path, error) from error


def unwritable(path: Path, error: OSError) -> OutputError:
    """The error for a place that cannot be written."""
    return OutputError(f"{path}: cannot be written ({error.strerror})", remedy="give --out a folder on a disk with room that you may write to")
