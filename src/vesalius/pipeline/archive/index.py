"""What lies in the source, by study: made once by reading headers, kept in SQLite in the private folder, since it holds paths and identifiers.

In: entries of a source. Out: files grouped into studies, reports with the study they belong to, and what belongs to none.
"""

from __future__ import annotations

import contextlib
import dataclasses
import os
import re
import sqlite3
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from vesalius.errors import UnreadableStudy
from vesalius.formats import header
from vesalius.formats.collect import sniff
from vesalius.pipeline.archive.sources import Entry

_TABLES = """
create table if not exists files (
    id integer primary key, source text unique, path blob, size integer, stamp integer, kind text, study text, reason text, seen integer);
create index if not exists by_study on files (study, kind);
create table if not exists marks (mark text, study text, primary key (mark, study)) without rowid;
"""
_LONGEST_REPORT = 2_000_000
_MARK = re.compile(r"[\w.\-]{5,64}")
IMAGE, REPORT, OTHER = "dicom", "report", "other"


@dataclasses.dataclass(frozen=True)
class File:
    """A file of a study. source: its path below the source, for private records. path: where its bytes are."""

    source: str
    path: Path
    size: int
    stamp: int


class Index:
    """The index of one destination.

    Args:
        path: of the database; made when it is absent.
    """

    def __init__(self, path: Path) -> None:
        self._db = sqlite3.connect(path, timeout=60)
        self._db.executescript(_TABLES)

    def close(self) -> None:
        """Let go of the database."""
        self._db.close()

    def __enter__(self) -> Index:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def scan(self, entries: Iterable[Entry], tell: Callable[[int], None]) -> None:
        """Read the header of every file that is new or changed; what is gone from the source is forgotten."""
        self._db.execute("update files set seen = 0")
        for number, entry in enumerate(entries, 1):
            known = self._db.execute("select id from files where source = ? and size = ? and stamp = ? and path is ?", self._key(entry)).fetchone()
            if known and not entry.reason:
                self._db.execute("update files set seen = 1 where id = ?", known)
            else:
                self._add(entry)
            if number % 200 == 0:
                self._db.commit()
                tell(number)
        self._db.execute("delete from files where seen = 0")
        self._db.execute("delete from marks where study not in (select study from files where kind = ?)", (IMAGE,))
        self._assign()
        self._db.commit()

    @staticmethod
    def _key(entry: Entry) -> tuple[str, int, int, bytes | None]:
        return _plain(entry.source), entry.size, entry.stamp, None if entry.path is None else os.fsencode(entry.path)  # a name may be no UTF-8

    def _add(self, entry: Entry) -> None:
        kind, study, reason = OTHER, None, entry.reason
        if entry.path is not None and not reason:
            kind, study, reason, marks = _look(entry.path)
            self._db.executemany("insert or ignore into marks values (?, ?)", [(mark, study) for mark in marks])
        source, size, stamp, path = self._key(entry)
        row = (source, path, size, stamp, kind, study, reason)
        self._db.execute("insert or replace into files (source, path, size, stamp, kind, study, reason, seen) values (?, ?, ?, ?, ?, ?, ?, 1)", row)

    def _assign(self) -> None:
        """Reports to the one study whose number they hold, whose file has their name, or that is alone in their folder."""
        by_folder: dict[str, set[str]] = {}
        by_stem: dict[str, set[str]] = {}
        for source, study in self._db.execute("select source, study from files where kind = ?", (IMAGE,)):
            by_folder.setdefault(_folder(source), set()).add(study)
            by_stem.setdefault(_stem(source), set()).add(study)
        rows = list(self._db.execute("select id, source, path from files where kind = ? and reason in ('', ?)", (REPORT, NO_STUDY)))
        for number, source, path in rows:
            for found in (self._marked(_path(path)), by_stem.get(_stem(source), set()), by_folder.get(_folder(source), set())):
                if len(found) == 1:
                    self._db.execute("update files set study = ?, reason = '' where id = ?", (min(found), number))
                    break
            else:
                self._db.execute("update files set study = null, reason = ? where id = ?", (NO_STUDY, number))

    def _marked(self, path: Path) -> set[str]:
        with contextlib.suppress(OSError):
            words = {word.strip(".-") for word in _MARK.findall(read_text(path) or "")}
            found: set[str] = set()
            for word in words:
                found |= {study for (study,) in self._db.execute("select study from marks where mark = ?", (word,))}
            return found
        return set()

    def studies(self) -> dict[str, int]:
        """Original UIDs of the studies that have a readable DICOM file, in order, and how many such files each has."""
        query = "select study, count(*) from files where kind = ? and study is not null and reason = '' group by study order by study"
        return dict(self._db.execute(query, (IMAGE,)))

    def files(self, study: str, kind: str) -> list[File]:
        """The files of a study of one kind, in the order of their names."""
        query = "select source, path, size, stamp from files where study = ? and kind = ? and reason = '' order by source"
        return [File(source, _path(path), size, stamp) for source, path, size, stamp in self._db.execute(query, (study, kind))]

    def left_out(self) -> Iterator[tuple[str, str]]:
        """(source, reason) of what belongs to no study."""
        yield from self._db.execute("select source, reason from files where reason != '' order by source")


NO_STUDY = "a text that belongs to no study: put it beside the study's files, or let it name the accession number"


def _look(path: Path) -> tuple[str, str | None, str, set[str]]:
    """Kind, study, reason to leave it out, and the numbers by which a report may name the study."""
    try:
        if sniff(path) != "dicom":
            return OTHER, None, "a picture without a header: nobody can say whose it is", set()
    except header.NotAnImage as error:
        text = read_text(path)
        return (REPORT, None, "", set()) if text is not None else (OTHER, None, _bare(error), set())
    except UnreadableStudy as error:
        return OTHER, None, _bare(error), set()
    try:
        dataset = header.open_dataset(path, pixels=False)
    except UnreadableStudy as error:
        return OTHER, None, _bare(error), set()
    with header.quiet():
        study = header.text(dataset, "StudyInstanceUID")
        if not study:
            return OTHER, None, "a DICOM object that names no study", set()
        marks = {header.text(dataset, name) for name in ("StudyInstanceUID", "AccessionNumber", "SOPInstanceUID")}
        return IMAGE, study, "", {mark for mark in marks if mark and len(mark) >= 5}


def read_text(path: Path) -> str | None:
    """A file as text; None when it is none."""
    if path.stat().st_size > 4 * _LONGEST_REPORT:
        return None
    raw = path.read_bytes()
    if raw.startswith((b"\xff\xfe", b"\xfe\xff")):
        with contextlib.suppress(UnicodeDecodeError):
            return raw.decode("utf-16")
    if b"\0" in raw or not raw.strip() or sum(byte < 9 or 13 < byte < 32 for byte in raw) > len(raw) // 100:
        return None
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError:
        return raw.decode("cp1252", "replace")


def _bare(error: UnreadableStudy) -> str:
    return error.what.removeprefix(f"{error.path}: ")


def _plain(text: str) -> str:
    return text.encode("utf-8", "backslashreplace").decode()


def _path(stored: bytes) -> Path:
    return Path(os.fsdecode(stored))


def _folder(source: str) -> str:
    return re.split(r"[/!](?=[^/!]*$)", source)[0] if re.search(r"[/!]", source) else ""


def _stem(source: str) -> str:
    return re.sub(r"\.[^./!]*$", "", source)
