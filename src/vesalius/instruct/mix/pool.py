"""The rows of a mixture while it is made, in one SQLite file: what was read stays read when the work is killed, and memory does not grow with the rows.

In: rows by part. Out: rows in the order of their hashes, counts, reasons. A part's rows are entered in one transaction: it is there whole or not at all.
"""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from vesalius.errors import UserError
from vesalius.instruct import record
from vesalius.instruct.mix.recipe import Unit
from vesalius.instruct.record import Instruction

_COMMIT = 5000
_TABLES = """
create table if not exists done (stage text primary key) without rowid;
create table if not exists rows (number integer primary key, part text, id text, grp text, cluster text, grank integer, rrank integer, at integer,
    image text, line text, reason text not null default '', against text not null default '',
    split text not null default 'train', taken integer not null default 0);
create table if not exists lost (part text, reason text, number integer);
create table if not exists groups (name text primary key, top text) without rowid;
create table if not exists facts (name text primary key, value text) without rowid;
"""
_INDEX = """
create index if not exists of_part on rows (part, reason, grank, grp, rrank);
create index if not exists in_order on rows (at) where taken = 1;
create index if not exists of_image on rows (image) where taken = 1;
"""


class Pool:
    """See the module. Raises: UserError, the file cannot be opened or another process works on it."""

    def __init__(self, path: Path, seed: int) -> None:
        self._path, self._seed = path, seed
        try:
            self.base = sqlite3.connect(path, timeout=0.5, isolation_level=None)
            self.base.executescript(
                "pragma locking_mode = exclusive; pragma journal_mode = wal; pragma synchronous = normal; pragma cache_size = -32000; pragma temp_store = file;"
            )
            self.base.executescript(_TABLES)
        except sqlite3.Error as error:
            raise UserError(f"{path} cannot be worked on ({error})", remedy="wait until the other process has ended, or give another folder") from error

    def done(self, stage: str) -> bool:
        """Whether a stage was finished."""
        return self.base.execute("select 1 from done where stage = ?", (stage,)).fetchone() is not None

    def stage(self, name: str, work: Callable[[], None]) -> None:
        """Do work once: all of it is kept or nothing."""
        if self.done(name):
            return
        self.base.execute("begin")
        try:
            work()
            self.base.execute("insert into done values (?)", (name,))
            self.base.execute("commit")
        except BaseException:
            self.base.execute("rollback")
            raise

    def add(self, part: str, row: Instruction, reason: str = "", against: str = "") -> None:
        """Enter a row; with a reason it is there to be counted."""
        ranks = (self._rank(f"{part}/group", row.group), self._rank(f"{part}/row", row.id), self._rank("order", f"{part}/{row.id}"))
        line = json.dumps(row.to_json(), ensure_ascii=False, allow_nan=False)
        self.base.execute(
            "insert into rows (part, id, grp, cluster, grank, rrank, at, image, line, reason, against) values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (part, row.id, row.group, row.cluster, *ranks, row.images[-1] if row.images else "", line, reason, against[:300]),
        )

    def lose(self, part: str, reasons: Mapping[str, int]) -> None:
        """Count what never became a row."""
        self.base.executemany("insert into lost values (?, ?, ?)", [(part, reason, number) for reason, number in reasons.items()])

    def index(self) -> None:
        """Make what the later stages search by."""
        self.base.executescript(_INDEX)

    def rows(self, parts: tuple[str, ...]) -> Iterator[tuple[int, str, Instruction]]:
        """(number, part, row) of what has no reason yet, part after part, in the order of reading."""
        for part in parts:
            last = -1
            while block := self.base.execute(
                "select number, line from rows where part = ? and number > ? and reason = '' order by number limit ?", (part, last, _COMMIT)
            ).fetchall():
                for number, line in block:
                    yield number, part, record.from_json(json.loads(line))
                last = block[-1][0]

    def drop(self, number: int, reason: str, against: str) -> None:
        """Give a row a reason."""
        self.base.execute("update rows set reason = ?, against = ? where number = ?", (reason, against[:300], number))

    def hold_out(self, number: int) -> None:
        """Mark a row as development."""
        self.base.execute("update rows set split = 'development' where number = ?", (number,))

    def size(self, part: str, unit: Unit) -> int:
        """How many usable rows or groups a part has."""
        what = "count(*)" if unit is Unit.ROWS else "count(distinct grp)"
        return int(self.base.execute(f"select {what} from rows where part = ? and reason = ''", (part,)).fetchone()[0])

    def take(self, part: str, number: int, unit: Unit) -> None:
        """Take the first so many of a part in the order of their hashes, group after group; the last group is cut when rows are counted."""
        if unit is Unit.ROWS:
            chosen = "select number from rows where part = ? and reason = '' order by grank, grp, rrank limit ?"
        else:
            first = "select grp from rows where part = ?1 and reason = '' group by grp order by min(grank), grp limit ?2"
            chosen = f"select number from rows where part = ?1 and reason = '' and grp in ({first})"
        self.base.execute(f"update rows set taken = 1 where number in ({chosen})", (part, number))

    def taken(self, image: str | None = None) -> Iterator[tuple[str, Instruction]]:
        """(part, row) of what was taken, in an order that the seed decides. image: only of this picture ("": of none)."""
        where, values = ("", ()) if image is None else (" and image = ?", (image,))
        query = f"select part, split, line from rows where taken = 1{where} order by at, number"
        for part, split, line in self.base.execute(query, values):
            plain = json.loads(line)
            yield part, record.from_json({**plain, "split": split, "provenance": {**plain["provenance"], "mix": part}})

    def pictures(self) -> Iterator[str]:
        """Pictures that taken rows are about (the last of each row), in an order that the seed decides."""
        found = [name for (name,) in self.base.execute("select distinct image from rows where taken = 1 and image != ''")]
        yield from sorted(found, key=lambda name: (self._rank("picture", name), name))

    def keep_groups(self, groups: Mapping[str, str], unreadable: Iterable[str]) -> None:
        """Keep which pictures are one, and which cannot be read."""
        self.base.executemany("insert into groups values (?, ?)", [*groups.items(), *((name, "") for name in unreadable)])

    def groups(self) -> tuple[dict[str, str], set[str]]:
        """What `keep_groups` kept."""
        rows = self.base.execute("select name, top from groups").fetchall()
        return {name: top for name, top in rows if top}, {name for name, top in rows if not top}

    def lost(self, part: str) -> Counter[str]:
        """What `lose` counted."""
        return Counter(dict(self.base.execute("select reason, number from lost where part = ?", (part,))))

    def reasons(self, part: str) -> Counter[str]:
        """Reason -> rows of a part that were not usable."""
        rows = self.base.execute("select reason, count(*) from rows where part = ? and reason != '' group by reason", (part,))
        return Counter(dict(rows)) + self.lost(part)

    def examples(self, part: str, most: int = 3) -> dict[str, list[str]]:
        """Reason -> a few rows with what they met."""
        found: dict[str, list[str]] = {}
        for reason in self.reasons(part):
            shown = self.base.execute(
                "select id, against from rows where part = ? and reason = ? and against != '' order by number limit ?", (part, reason, most)
            )
            if lines := [f"{name} = {against}" for name, against in shown]:
                found[reason] = lines
        return found

    def put(self, name: str, value: Any) -> None:  # noqa: ANN401 - whatever is JSON
        """Keep a fact."""
        self.base.execute("insert or replace into facts values (?, ?)", (name, json.dumps(value)))

    def get(self, name: str) -> Any:  # noqa: ANN401 - whatever was put
        """A fact that was kept."""
        return json.loads(self.base.execute("select value from facts where name = ?", (name,)).fetchone()[0])

    def close(self, *, remove: bool = False) -> None:
        """Let go of the file, or do away with it."""
        self.base.close()
        if remove:
            for end in ("", "-wal", "-shm"):
                self._path.with_name(self._path.name + end).unlink(missing_ok=True)

    def _rank(self, salt: str, name: str) -> int:
        """A fixed place that the seed decides, in 62 bits."""
        return int.from_bytes(hashlib.blake2b(f"{self._seed}/{salt}/{name}".encode(), digest_size=8).digest()) >> 2
