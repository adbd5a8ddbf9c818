"""Verdicts that come back: read, checked against the queue as a whole, and kept. All of a file is taken, or nothing of it.

In: the JSON file of the page, or a filled sheet. Out: `Answer`s in `answers.jsonl` of the queue's folder, and an `Imported` that says what was missing.
"""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

from vesalius.instruct.generate import lines as files
from vesalius.instruct.review import sheets
from vesalius.instruct.review.queue import VERDICTS, Queue, ReviewError

ANSWERS = "answers.jsonl"
_LARGEST = 32 << 20
_MOST_COMMENT = 4000
_SHOWN = 5


@dataclasses.dataclass(frozen=True)
class Answer:
    """One reader's verdict on one item."""

    id: str
    reader: str
    verdict: str
    comment: str = ""


@dataclasses.dataclass(frozen=True)
class Imported:
    """What a file brought: new answers, ones that were there already, items of the queue without a verdict of this reader."""

    reader: str
    new: int
    known: int
    missing: tuple[str, ...]


def take(path: Path, queue: Queue, folder: Path, *, reader: str = "", replace: bool = False) -> Imported:
    """Read a file of answers and keep them.

    Args:
        folder: of the queue. reader: who answered, for a sheet, which does not say. replace: take a reader's new verdict in place of an older one.

    Raises:
        ReviewError: the file is damaged, belongs to another queue, has unknown ids, verdicts that are none, an item twice, a changed item, no reader, or
            another verdict than this reader gave before. Nothing is kept then.
    """
    who, rows = _page(path) if path.suffix.lower() == ".json" else ("", _sheet(path))
    who = " ".join((reader or who).split())[:60]
    if not who:
        raise ReviewError(f"{path}: does not say who answered", remedy="add --reader NAME")
    given = _checked(path, queue, rows, who)
    before = read(folder, queue)
    mine = {one.id: one for one in before if one.reader == who}
    other = [one.id for one in given if one.id in mine and mine[one.id].verdict != one.verdict]
    if other and not replace:
        raise ReviewError(
            f"{path}: {who} judged {_listed(other)} otherwise before", remedy="add --replace to take the new verdicts, or import under another --reader"
        )
    fresh = [one for one in given if one.id not in mine or mine[one.id] != one]
    taken = {one.id for one in fresh}
    kept = [one for one in before if one.reader != who or one.id not in taken] + fresh
    rank = {entry.id: i for i, entry in enumerate(queue.entries)}
    kept.sort(key=lambda one: (one.reader, rank[one.id]))
    files.write_text(folder / ANSWERS, "".join(json.dumps({"queue": queue.id, **dataclasses.asdict(one)}, ensure_ascii=False) + "\n" for one in kept))
    have = {one.id for one in kept if one.reader == who}
    return Imported(who, len(fresh), len(given) - len(fresh), tuple(entry.id for entry in queue.entries if entry.id not in have))


def read(folder: Path, queue: Queue) -> list[Answer]:
    """All answers kept so far. Raises: ReviewError: the file is damaged, or of another queue."""
    found = []
    ids = {entry.id for entry in queue.entries}
    for row in files.rows(folder / ANSWERS):
        if row.get("queue") != queue.id or row.get("id") not in ids or row.get("verdict") not in VERDICTS or not isinstance(row.get("reader"), str):
            raise ReviewError(f"{folder / ANSWERS}: holds an answer that is not of this queue", remedy="restore the file, or remove it and import again")
        found.append(Answer(row["id"], row["reader"], row["verdict"], str(row.get("comment", ""))))
    return found


def _page(path: Path) -> tuple[str, list[dict[str, Any]]]:
    try:
        if path.stat().st_size > _LARGEST:
            raise ReviewError(f"{path}: has more than {_LARGEST >> 20} MiB", remedy="give the file that the page downloaded")
        told = json.loads(path.read_text(encoding="utf-8-sig"))
        rows = [{"queue": told["queue"], **row} for row in told["answers"]]
    except OSError as error:
        raise ReviewError(f"{path}: cannot be read ({error.strerror})", remedy="give an existing file") from error
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise ReviewError(f"{path}: is no file of answers", remedy="give the file that the page downloaded, unchanged") from error
    who = told.get("reader", "")
    return who if isinstance(who, str) else "", rows


def _sheet(path: Path) -> list[dict[str, Any]]:
    """The rows with a verdict; an apostrophe before an id guards it against being a formula."""
    rows: list[dict[str, Any]] = [dict(row) for row in sheets.read(path)]
    for row in rows:
        row["id"] = row["id"].removeprefix("'")
    return [row for row in rows if row.get("verdict")]


def _checked(path: Path, queue: Queue, rows: list[dict[str, Any]], who: str) -> list[Answer]:
    if not rows:
        raise ReviewError(f"{path}: holds no verdict", remedy="judge some items first")
    foreign = {str(row.get("queue")) for row in rows} - {queue.id}
    if foreign:
        raise ReviewError(f"{path}: answers the queue {min(foreign)[:40]}, not {queue.id}", remedy="name the folder of that queue")
    known = {entry.id: entry for entry in queue.entries}
    for row in rows:
        row["id"] = str(row.get("id"))
    names = [row["id"] for row in rows]
    unknown = [name for name in names if name not in known]
    if unknown:
        raise ReviewError(f"{path}: {_listed(unknown)} not in the queue", remedy="give the file as it came back, unchanged")
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ReviewError(f"{path}: {_listed(twice)} answered twice", remedy="keep one row for each item")
    changed = [row["id"] for row in rows if row.get("sha256") != known[row["id"]].sha256]
    if changed:
        raise ReviewError(f"{path}: {_listed(changed)} not as exported", remedy="export again and judge the new items")
    made = []
    for row in rows:
        verdict = str(row.get("verdict", "")).strip().lower()
        if verdict not in VERDICTS:
            raise ReviewError(f"{path}: {row['id']} is judged {verdict[:40]!r}", remedy=f"write one of: {', '.join(VERDICTS)}")
        made.append(Answer(row["id"], who, verdict, str(row.get("comment") or "").strip()[:_MOST_COMMENT]))
    return made


def _listed(names: list[str]) -> str:
    shown = ", ".join(name[:60] for name in names[:_SHOWN])
    return f"{shown} and {len(names) - _SHOWN} more" if len(names) > _SHOWN else shown
