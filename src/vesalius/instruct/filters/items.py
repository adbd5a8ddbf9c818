"""Lines of an instruction set as records that the filters read, whichever of three layouts they have.

In: a line of JSON: the generator's (`turns`), one question with its answer (`question`, `answer`), or LLaVA's (`conversations`). Out: `Record`, or `Unread`
with the reason. What a record was made from (`caption` or `report`, `mentions`, `prior`, `regions`) stands in it, or in a side file (`sources`).
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO

from vesalius.errors import UserError
from vesalius.instruct.generate.records import DIFFERENTIAL, SIGNIFICANCE

LONGEST_LINE = 1 << 20  # bytes
MOST_TURNS = 64
_MARKS = ("<image>", "<image-placeholder>")


class InputError(UserError):
    """A file of items, or of what they were made from, cannot be read as such."""


@dataclasses.dataclass(frozen=True)
class Turn:
    """A question with its answer. beyond: it asks for what lies beyond the picture by design: the differential, the clinical significance."""

    question: str
    answer: str
    beyond: bool = False


@dataclasses.dataclass(frozen=True)
class Facts:
    """What a record was made from. text: caption or report with its mentions; prior: of the earlier image; silent: what a report leaves out is absent."""

    text: str
    prior: str = ""
    silent: bool = False
    sha256: str = ""


@dataclasses.dataclass(frozen=True)
class Record:
    """One line. facts: None where it is not known what the record was made from. group: wordings of one question, made on purpose, share it."""

    line: int
    id: str
    images: tuple[str, ...]
    source: str
    task: str
    turns: tuple[Turn, ...]
    facts: Facts | None = None
    caption_sha256: str = ""
    group: str = ""


@dataclasses.dataclass(frozen=True)
class Unread:
    """A line that is no record. id: "" where it has none."""

    line: int
    id: str
    reason: str


def lines(stream: BinaryIO) -> Iterator[tuple[int, bytes, bool]]:
    """Number, bytes, whether the line was too long (its bytes are then all of it, read in pieces only to be counted and dropped): blank lines are left out."""
    number = 0
    while line := stream.readline(LONGEST_LINE + 1):
        number += 1
        if len(line) > LONGEST_LINE and not line.endswith(b"\n"):
            while (rest := stream.readline(LONGEST_LINE)) and not rest.endswith(b"\n"):
                pass
            yield number, line[:200], True
        elif line.strip():
            yield number, line, False


def read(number: int, line: bytes, *, too_long: bool = False) -> Record | Unread:
    """The record of a line."""
    if too_long:
        return Unread(number, "", f"the line has more than {LONGEST_LINE:,} bytes")
    try:
        row = json.loads(line)
    except (ValueError, RecursionError):
        return Unread(number, "", "the line is not JSON")
    if not isinstance(row, dict):
        return Unread(number, "", "the line is not an object")
    name = row.get("id")
    name = name.strip() if isinstance(name, str) else str(name) if type(name) is int else ""
    try:
        return _record(row, number, name)
    except ValueError as error:
        return Unread(number, name, str(error))


def facts_of(row: Mapping[str, Any]) -> Facts | None:
    """What a row says that it was made from; None when it has neither caption nor report. Raises: ValueError, a part has another kind."""
    caption, report = _text(row, "caption"), _text(row, "report")
    if not (caption or report):
        return None
    mentions, regions = row.get("mentions") or [], row.get("regions") or []
    if not isinstance(mentions, list) or not isinstance(regions, list):
        raise ValueError("its mentions or regions are not a list")
    told = [caption or report, *(m for m in mentions if isinstance(m, str))]
    labels = [r["label"] for r in regions if isinstance(r, Mapping) and isinstance(r.get("label"), str)]
    if labels:
        told.append("It shows " + ", ".join(dict.fromkeys(labels)) + ".")
    return Facts("\n\n".join(told), _text(row, "prior"), silent=not caption, sha256=hashlib.sha256((caption or report).encode()).hexdigest())


def _record(row: Mapping[str, Any], number: int, name: str) -> Record:
    """Raises: ValueError with the reason."""
    if not name or len(name) > 300:
        raise ValueError("it has no id, or a very long one")
    turns = tuple(_turns(row))
    if not 0 < len(turns) <= MOST_TURNS:
        raise ValueError("it holds no question" if not turns else f"it has {len(turns)} turns, more than {MOST_TURNS}")
    meta = row.get("meta")
    meta = meta if isinstance(meta, Mapping) else {}
    facts = facts_of(row) or facts_of(meta)
    images = tuple(_images(row))
    return Record(number, name, images, _text(row, "source"), _text(row, "task"), turns, facts, _text(meta, "caption_sha256"), _text(row, "group"))


def _turns(row: Mapping[str, Any]) -> Iterator[Turn]:
    if "turns" in row:
        if not isinstance(row["turns"], list):
            raise ValueError("its turns are not a list")
        for turn in row["turns"]:
            pair = (turn.get("question"), turn.get("answer")) if isinstance(turn, Mapping) else tuple(turn) if isinstance(turn, list) else ()
            yield _turn(pair)
    elif "conversations" in row:
        said = row["conversations"]
        if not isinstance(said, list) or len(said) % 2 or not all(isinstance(one, Mapping) for one in said):
            raise ValueError("its conversations are not pairs of question and answer")
        for asked, answered in zip(said[::2], said[1::2], strict=True):
            if (asked.get("from"), answered.get("from")) != ("human", "gpt"):
                raise ValueError("its conversations are not pairs of human and gpt")
            yield _turn((asked.get("value"), answered.get("value")))
    elif "question" in row:
        yield _turn((row["question"], row.get("answer")))


def _turn(pair: tuple[Any, ...]) -> Turn:
    if len(pair) != 2 or not all(isinstance(text, str) for text in pair):
        raise ValueError("a turn is not a question and an answer in text")
    question, answer = pair
    for mark in _MARKS:
        question = question.replace(mark, " ")
    try:
        (question + answer).encode()
    except UnicodeEncodeError:
        raise ValueError("a turn holds half a character") from None
    question = question.strip()
    return Turn(question, answer.strip(), question in (DIFFERENTIAL, SIGNIFICANCE))


def _images(row: Mapping[str, Any]) -> Iterator[str]:
    for key in ("images", "image", "prior_image"):
        value = row.get(key)
        for name in value if isinstance(value, list) else [value]:
            if isinstance(name, str) and name:
                yield name


def _text(row: Mapping[str, Any], key: str) -> str:
    value = row.get(key) or ""
    if not isinstance(value, str):
        raise ValueError(f"its {key} is not a text")
    return value.strip()


def opened(path: Path) -> BinaryIO:
    """The file, for reading. Raises: InputError."""
    try:
        return path.open("rb")
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})", remedy="give an existing file of JSON lines") from error
