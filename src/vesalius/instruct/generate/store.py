"""What writers said, kept by content in one SQLite file: the same request is paid for once, and a kill loses no more than the requests in hand.

In: a request's key. Out: a `Wrote`. The key covers the model, all messages (and with them prompt and input) and the sampling. The file is held by one process.
"""

from __future__ import annotations

import sqlite3
import threading
from pathlib import Path

from vesalius.instruct.generate.lines import OutputError
from vesalius.instruct.generate.writers import Wrote

_TABLE = "create table if not exists said (key text primary key, text text, input integer, output integer, whole integer, refused text)"


class Store:
    """Replies by key; safe to use from several threads.

    Args:
        path: of the file; made when absent.

    Raises:
        OutputError: it cannot be opened, is damaged, or another process has it.
    """

    def __init__(self, path: Path) -> None:
        self._path, self._lock = path, threading.Lock()
        try:
            self._base = sqlite3.connect(path, timeout=0.5, check_same_thread=False, isolation_level=None)
            self._base.execute("pragma locking_mode = exclusive")
            self._base.execute("pragma journal_mode = wal")
            self._base.execute("pragma synchronous = normal")
            self._base.execute(_TABLE)
            self._base.execute("begin immediate")  # takes the lock, which is then kept
            self._base.execute("commit")
        except sqlite3.Error as error:
            raise self._failed(error) from error

    def get(self, key: str) -> Wrote | None:
        """What was said to a request; None when it was never made."""
        with self._lock:
            row = self._base.execute("select text, input, output, whole, refused from said where key = ?", (key,)).fetchone()
        return None if row is None else Wrote(row[0], row[1], row[2], bool(row[3]), row[4])

    def put(self, key: str, wrote: Wrote) -> None:
        """Keep what was said. Raises: OutputError."""
        text = wrote.text.encode("utf-8", "replace").decode()
        try:
            with self._lock:
                self._base.execute(
                    "insert or replace into said values (?, ?, ?, ?, ?, ?)", (key, text, wrote.input_tokens, wrote.output_tokens, wrote.whole, wrote.refused)
                )
        except sqlite3.Error as error:
            raise self._failed(error) from error

    def totals(self) -> tuple[int, int, int]:
        """Requests, input tokens and output tokens that were ever paid for."""
        with self._lock:
            row = self._base.execute("select count(*), coalesce(sum(input), 0), coalesce(sum(output), 0) from said").fetchone()
        return int(row[0]), int(row[1]), int(row[2])

    def close(self) -> None:
        """Let go of the file."""
        self._base.close()

    def _failed(self, error: sqlite3.Error) -> OutputError:
        if "locked" in str(error):
            return OutputError(f"another process works on {self._path.parent}", remedy="wait until it has ended, or give --out another folder")
        return OutputError(f"{self._path}: cannot keep replies ({error})", remedy="make room on the disk, or remove the damaged file")
