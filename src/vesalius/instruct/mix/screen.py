"""Rows that other rows or tests make unusable: asked before of the same picture, in a test, or about a picture that is held out.

In: rows in the order of the recipe's sources, groups of pictures, test parts. Out: a reason for each that is dropped. The first of two equal rows stays.
Within a source pictures go by their names (neighbouring slices are two pictures), and wordings of one group are meant to ask the same. Between sources copies
of a picture are one, and a question in other words is a copy too (`data.leaks.wording`, which was made for short questions and is asked of no others).
"""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Collection, Mapping

from vesalius.data.leaks.wording import SAME, asked_again
from vesalius.instruct.mix.tested import Tested
from vesalius.instruct.record import Instruction
from vesalius.metrics.text import normalise

SAME_ID, ASKED, REWORDED, OTHERWISE = "copy: its id", "copy: its question", "copy: its question in other words", "copy: its question, with another answer"
HELD_OUT, UNREADABLE = "its picture is held out for development", "a picture is missing or cannot be read"
_ASKED = 1000  # earlier questions about one picture that a new one is compared with
_WORDS = 10  # of a question; in longer ones the words of the frame outweigh what is asked about
_GUARD = re.compile(r"\d+(?:\.\d+)?|\b(?:left|right|pa|ap|lateral|upper|lower|middle)\b")
_TABLE = """
create temp table if not exists seen_ids (id text primary key) without rowid;
create temp table if not exists seen (place text, images text, norm text, question text, answer text, part text, grp text, id text, guard text);
create index if not exists temp.of_place on seen (place);
"""


class Screen:
    """Remembers the rows that were kept.

    Args:
        base: a connection whose temporary tables are used. groups: picture -> name of its group, for those with copies. unreadable: pictures to do without.
        held: groups of pictures that are held out. tested: what tests hold.
    """

    def __init__(self, base: sqlite3.Connection, groups: Mapping[str, str], unreadable: Collection[str], held: Collection[str], tested: Tested) -> None:
        self._base, self._groups, self._unreadable, self._held, self._tested = base, groups, unreadable, held, tested
        for statement in filter(str.strip, _TABLE.split(";")):
            base.execute(statement)

    def __call__(self, part: str, row: Instruction, protocol: str | None, *, development: bool = False) -> tuple[str, str] | None:
        """(reason, what it met), or None; then the row is remembered."""
        if any(image in self._unreadable for image in row.images):
            return UNREADABLE, ""
        found = self._tested.leak(row, protocol)
        if found is None and not development:
            held = next((image for image in row.images if self._groups.get(image, image) in self._held), None)
            found = (HELD_OUT, held) if held is not None else None
        return found or self._copy(part, row)

    def _copy(self, part: str, row: Instruction) -> tuple[str, str] | None:
        if self._base.execute("select 1 from seen_ids where id = ?", (row.id,)).fetchone():
            return SAME_ID, row.id
        choices = " | ".join(row.choices)
        norm, guard = normalise(f"{row.question} {choices}"), _guard(f"{row.question} {choices}")
        images = "\n".join(row.images)
        place = "\n".join(self._groups.get(image, image) for image in row.images) or f"text: {norm}"
        earlier = self._base.execute(
            "select images, norm, question, answer, part, grp, id, guard from seen where place = ? order by rowid desc limit ?", (place, _ASKED)
        ).fetchall()
        for shown, said, question, answer, owner, group, name, its_guard in earlier:
            if owner == part and (shown != images or (group == row.group and question != row.question)):
                continue
            if said == norm:
                return (ASKED if normalise(answer) == normalise(row.answer) else OTHERWISE), f"{name}: {question[:120]}"
            if owner != part and images and its_guard == guard and _reworded(question, row.question, (answer, row.answer)):
                return REWORDED, f"{name}: {question[:120]}"
        self._base.execute("insert into seen_ids values (?)", (row.id,))
        self._base.execute(
            "insert into seen values (?, ?, ?, ?, ?, ?, ?, ?, ?)", (place, images, norm, row.question, row.answer, part, row.group, row.id, guard)
        )
        return None


def _reworded(first: str, second: str, answers: tuple[str, str]) -> bool:
    return max(len(first.split()), len(second.split())) <= _WORDS and asked_again(first, second, answers)[0] >= SAME


def _guard(text: str) -> str:
    """Numbers, sides and views: where they differ two questions are not one."""
    return " ".join(sorted(_GUARD.findall(text.lower())))
