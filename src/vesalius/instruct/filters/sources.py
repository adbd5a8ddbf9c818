"""What records were made from, when it stands in a file of its own: looked up by id, without holding the file in memory.

In: the generator's input (JSON lines with `id` and `caption` or `report`). Out: `Facts` by a record's id, with or without ":task" at its end.
The places of the rows are kept in a temporary SQLite file, so memory does not grow with the rows.
"""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path

from vesalius.instruct.filters import items
from vesalius.instruct.filters.items import Facts, InputError, Record


class Sources:
    """A side file, open until `close`.

    Args:
        path: of the side file. place: folder for the temporary index.

    Raises:
        InputError: it cannot be read, holds no usable row, or one id twice with different facts.
    """

    def __init__(self, path: Path, place: Path) -> None:
        self._stream = items.opened(path)
        self._base = sqlite3.connect(place / "sources.sqlite", isolation_level=None)
        self._base.executescript(
            "pragma journal_mode=off; pragma synchronous=off; pragma cache_size=-4000; create table at (id text primary key, place integer)"
        )
        self.rows = self.skipped = 0
        offset = 0
        self._base.execute("begin")
        for line in iter(lambda: self._stream.readline(items.LONGEST_LINE), b""):
            start, offset = offset, offset + len(line)
            self._keep(path, line, start)
        self._base.execute("commit")
        if not self.rows:
            self.close()
            raise InputError(f"{path}: holds no row with an id and a caption or report", remedy="give the file that the items were generated from")

    def of(self, record: Record) -> Facts | None:
        """What the record was made from; None when the file does not have it, or holds another text than the record's own hash says."""
        for name in (record.id, record.id.rpartition(":")[0]):
            found = self._base.execute("select place from at where id = ?", (name,)).fetchone()
            if found is not None:
                self._stream.seek(found[0])
                facts = items.facts_of(json.loads(self._stream.readline(items.LONGEST_LINE)))
                return facts if facts is None or record.caption_sha256 in ("", facts.sha256, _single_spaced(facts)) else None
        return None

    def close(self) -> None:
        """Let go of the file."""
        self._stream.close()
        self._base.close()

    def _keep(self, path: Path, line: bytes, start: int) -> None:
        try:
            row = json.loads(line) if line.strip() else None
            facts = items.facts_of(row) if isinstance(row, dict) else None
        except (ValueError, RecursionError):
            facts, row = None, None
        if not isinstance(row, dict) or facts is None or not isinstance(row.get("id"), str) or not row["id"].strip():
            self.skipped += bool(line.strip())
            return
        try:
            self._base.execute("insert into at values (?, ?)", (row["id"].strip(), start))
            self.rows += 1
        except sqlite3.IntegrityError as error:
            self.close()
            raise InputError(f"{path}: has the id {row['id']!r} twice", remedy="give every row an id of its own") from error


def _single_spaced(facts: Facts) -> str:
    """The hash that the generator keeps: of the text with single spaces."""
    import hashlib

    return hashlib.sha256(" ".join(facts.text.split("\n\n")[0].split()).encode()).hexdigest()
