"""What was said before: the same record, the same question about one image in other words, the same text for images whose captions differ.

In: records in order, those that were kept. Out: objections that name the earlier record. Near texts are found by MinHash (Broder, 1997) over runs of three
words, banded (locality-sensitive hashing: 16 bands of 4), and each candidate is compared in full; the index is a temporary SQLite file, so memory does not
grow. Left is never right, and other numbers, other negations are other texts; wordings of one `group` are made on purpose.
"""

from __future__ import annotations

import hashlib
import re
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from vesalius.data.leaks.wording import SAME, asked_again
from vesalius.instruct.filters import reading, words
from vesalius.instruct.filters.case import Case
from vesalius.instruct.filters.objection import Objection, at
from vesalius.metrics.text import normalise

NEAR = 0.7  # Jaccard of runs of three words
LONG = 25  # words of a text that two images with different captions do not share by chance
_BANDS, _ROWS, _RUN = 16, 4, 3
_ASKED = 200  # questions about one image that a new one is compared with
_GUARD = re.compile(
    r"\d+(?:\.\d+)?|\b(?:left|right|bilateral|both|no|not|without|pa|ap|lateral|upper|lower|middle|absent|normal|abnormal"
    r"|largest|biggest|smallest|main|most|top|bottom|cent(?:er|re)|edge|pairs?|black|white|gr[ae]y|dark|bright|nervous|digestive|urinary|respiratory|circulatory"
    r"|rightmost|leftmost)\b",
    re.IGNORECASE,
)
_SEEDS = (np.arange(1, _BANDS * _ROWS + 1, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15))[:, None]
_TABLES = """
pragma journal_mode=off; pragma synchronous=off; pragma cache_size=-8000; pragma temp_store=file;
create table ids (id text primary key) without rowid;
create table asked (image text, question text, answer text, id text, wordings text);
create index of_image on asked (image);
create table texts (number integer primary key, id text, images text, facts blob, exact blob, guard text, runs blob);
create index of_exact on texts (exact);
create table bands (band integer, value integer, number integer);
create index of_band on bands (band, value);
"""


class Seen:
    """What was kept so far, on disk below `place`."""

    def __init__(self, place: Path) -> None:
        self._base = sqlite3.connect(place / "seen.sqlite", isolation_level=None)
        self._base.executescript(_TABLES)
        self._base.execute("begin")

    def objections(self, case: Case) -> Iterator[Objection]:
        """What the record repeats; nothing is remembered by asking."""
        record = case.record
        if self._base.execute("select 1 from ids where id = ?", (record.id,)).fetchone():
            yield Objection("id", "another record has this id", against=record.id)
            return
        text = _said(case)
        found = self._same_text(case, text)
        if found is not None:
            yield Objection("text" if found[1] == 1 else "near", f"{found[1]:.0%} of the words of another record", against=found[0], quote=text[:120])
            return
        repeated = [hit for i, turn in enumerate(record.turns) if not turn.beyond and (hit := self._asked(case, i)) is not None]
        if repeated and len(repeated) == sum(not turn.beyond for turn in record.turns):
            yield from repeated

    def add(self, case: Case) -> None:
        """Remember a record that was kept."""
        record, text = case.record, _said(case)
        self._base.execute("insert or ignore into ids values (?)", (record.id,))
        image = _image(case)
        if image:
            rows = [(image, turn.question, turn.answer, record.id, record.group) for turn in record.turns if not turn.beyond]
            self._base.executemany("insert into asked values (?, ?, ?, ?, ?)", rows)
        runs = _runs(text)
        number = self._base.execute(
            "insert into texts (id, images, facts, exact, guard, runs) values (?, ?, ?, ?, ?, ?)",
            (record.id, image, _hash(case.told), _hash(text), _guard(text), runs.tobytes()),
        ).lastrowid
        self._base.executemany("insert into bands values (?, ?, ?)", [(band, value, number) for band, value in enumerate(_banded(runs, _guard(text)))])

    def close(self) -> None:
        """Let go of the file."""
        self._base.close()

    def _same_text(self, case: Case, text: str) -> tuple[str, float] | None:
        """The likeliest earlier record and its Jaccard; None when there is none that counts."""
        runs, best = _runs(text), None
        where = " or ".join("(band = ? and value = ?)" for _ in range(_BANDS))
        values = [entry for pair in enumerate(_banded(runs, _guard(text))) for entry in pair]
        near = self._base.execute(f"select distinct number from bands where {where} limit 200", values).fetchall()
        exact = self._base.execute("select number from texts where exact = ? limit 200", (_hash(text),)).fetchall()
        for (number,) in dict.fromkeys([*exact, *near]):
            name, image, facts, same, guard, other = self._base.execute(
                "select id, images, facts, exact, guard, runs from texts where number = ?", (number,)
            ).fetchone()
            if guard != _guard(text) or not _counts(case, text, image, facts):
                continue
            if not image and same != _hash(text):
                continue  # texts without an image differ in what they ask about
            share = 1.0 if same == _hash(text) else _jaccard(runs, np.frombuffer(other, np.uint64))
            if share >= NEAR and (best is None or share > best[1]):
                best = (name, share)
        return best

    def _asked(self, case: Case, i: int) -> Objection | None:
        """The turn's question, asked of this image before, with the same answer."""
        turn, image = case.record.turns[i], _image(case)
        if not image:
            return None
        rows = self._base.execute("select question, answer, id, wordings from asked where image = ? order by rowid desc limit ?", (image, _ASKED)).fetchall()
        for question, answer, name, group in rows:
            if group and group == case.record.group:
                continue
            if normalise(question) == normalise(turn.question) or (
                _things(question) == _things(turn.question) and asked_again(question, turn.question, (_short(answer), _short(turn.answer)))[0] >= SAME
            ):
                return at("question", "asks what was asked of this image before", i, "question", turn.question, (0, len(turn.question)), f"{name}: {question}")
        return None


def _things(question: str) -> tuple[str, frozenset[str]]:
    """What may not differ between two wordings of one question: sides, numbers and denials; the organs and diseases that it names."""
    named = words.ORGAN_FORMS | words.DISEASE_FORMS
    return _guard(question), frozenset(word.form for word in reading.content(question) if word.form in named)


def _short(answer: str) -> str:
    """Yes or no, where an answer begins so."""
    first = normalise(answer).partition(" ")[0]
    return first if first in ("yes", "no") else answer


def _counts(case: Case, text: str, image: str, facts: bytes) -> bool:
    """Whether an equal text is a repetition: of the same image always; of another one if it is long and its caption is known to
    say something else.
    """
    if image == _image(case):
        return True
    return len(text.split()) >= LONG and bool(case.told) and facts not in (_hash(""), _hash(case.told))


def _said(case: Case) -> str:
    """Questions and answers in one normal form, without the turns whose question is fixed."""
    return " ".join(normalise(f"{turn.question} {turn.answer}") for turn in case.record.turns if not turn.beyond)


def _image(case: Case) -> str:
    return "\n".join(case.record.images)


def _guard(text: str) -> str:
    return " ".join(sorted(found.group().lower() for found in _GUARD.finditer(text)))


def _hash(text: str) -> bytes:
    return hashlib.blake2b(text.encode(), digest_size=16).digest()


def _runs(text: str) -> NDArray[np.uint64]:
    said = text.split()
    runs = {" ".join(said[i : i + _RUN]) for i in range(max(1, len(said) - _RUN + 1))}
    return np.array(sorted(int.from_bytes(hashlib.blake2b(run.encode(), digest_size=8).digest(), "little") for run in runs), np.uint64)


def _jaccard(a: NDArray[np.uint64], b: NDArray[np.uint64]) -> float:
    both = len(np.intersect1d(a, b, assume_unique=True))
    return both / (len(a) + len(b) - both) if both else 0.0


def _banded(runs: NDArray[np.uint64], guard: str = "") -> list[int]:
    """A value for each band: the smallest of its hash functions over all runs, four together. The functions are splitmix64's mixing of run + seed.

    Texts of another guard fall into other buckets: they are never one.
    """
    mixed = runs[None, :] + _SEEDS
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
        mixed = (mixed ^ (mixed >> np.uint64(shift))) * np.uint64(factor)
    least = (mixed ^ (mixed >> np.uint64(31))).min(axis=1).reshape(_BANDS, _ROWS)
    return [
        int.from_bytes(hashlib.blake2b(row.tobytes(), digest_size=8, key=hashlib.blake2b(guard.encode(), digest_size=16).digest()).digest(), "little") >> 1
        for row in least
    ]
