"""What one question of a study was answered, with everything needed to score it again: `Item`, and the JSON-lines files it lives in.

In: exchanges and answers. Out: one line of JSON for each item, appended and flushed; read back strictly, a torn last line tolerated.
Nothing is scored here: a record holds what was asked and said, never whether it was right.
"""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from vesalius.domain.exchange import Answer, Exchange, Outcome, Question, Rewording, Split
from vesalius.errors import InvalidValue, UserError

FORMAT = 1


class RecordFormatError(UserError):
    """A record file holds a line that is no record."""


class OutputError(UserError):
    """A run folder cannot be written."""


@dataclasses.dataclass(frozen=True)
class Partner:
    """The same question asked of another image of the data set, whose gold answer is known; `split` is where that image's row belongs."""

    image: str
    cluster: str
    gold: str
    split: str
    answer: Answer


@dataclasses.dataclass(frozen=True)
class Item:
    """One question and all that was said to it in the plain pass.

    Args:
        exchange: the question with its gold answer; `exchange.split` is that of the first of `parts`.
        parts: "protocol/split" of every part the row belongs to.
        answer: to the question and its image. blank: to a blank image. swap: to another patient's image of the same kind. Either is None where it was
            not asked.
        swap_image, swap_rule: which image that was, and how it was chosen.
        nothing: to the question alone; None when the model cannot be asked without an image.
        partners: the same question asked of images whose gold answer to it is known.
        rewordings: generated wordings with their answers; None when this item was not reworded.
    """

    exchange: Exchange
    parts: tuple[str, ...]
    answer: Answer
    blank: Answer | None = None
    swap: Answer | None = None
    swap_image: str | None = None
    swap_rule: str | None = None
    nothing: Answer | None = None
    partners: tuple[Partner, ...] = ()
    rewordings: tuple[tuple[Rewording, Answer], ...] | None = None

    @property
    def id(self) -> str:
        """The id of the exchange."""
        return self.exchange.id

    def to_json(self) -> dict[str, Any]:
        """A plain mapping for one line of JSON."""
        x = self.exchange
        return {
            "format": FORMAT,
            "id": x.id,
            "parts": list(self.parts),
            "image": x.image,
            "cluster": x.cluster,
            "question": x.question.text,
            "options": list(x.question.options),
            "gold": x.gold,
            "closed": x.closed,
            "pair": x.pair,
            "phrase": x.phrase,
            "tags": dict(x.tags),
            "answer": answer_json(self.answer, x.id),
            "blank": None if self.blank is None else answer_json(self.blank, x.id),
            "swap": None if self.swap is None else answer_json(self.swap, x.id),
            "swap_image": self.swap_image,
            "swap_rule": self.swap_rule,
            "nothing": None if self.nothing is None else answer_json(self.nothing, x.id),
            "partners": [
                {"image": p.image, "cluster": p.cluster, "gold": p.gold, "split": p.split, "answer": answer_json(p.answer, x.id)} for p in self.partners
            ],
            "rewordings": None
            if self.rewordings is None
            else [{**dataclasses.asdict(rewording), "answer": answer_json(answer, x.id)} for rewording, answer in self.rewordings],
        }

    @classmethod
    def from_json(cls, row: Mapping[str, Any]) -> Item:
        """The item of one line.

        Raises:
            KeyError, TypeError, ValueError: the mapping is not a record (`read_items` turns them into `RecordFormatError`).
        """
        if row["format"] != FORMAT:
            raise ValueError(f"record format {row['format']!r} is not {FORMAT}")
        parts = tuple(row["parts"])
        exchange = Exchange(
            id=row["id"],
            image=row["image"],
            question=Question(row["question"], tuple(row["options"])),
            gold=row["gold"],
            closed=row["closed"],
            cluster=row["cluster"],
            split=Split(parts[0].rpartition("/")[2]),
            pair=row["pair"],
            phrase=row["phrase"],
            tags=row["tags"],
        )
        reworded = row["rewordings"]
        return cls(
            exchange,
            parts,
            answer_of(row["answer"]),
            None if row["blank"] is None else answer_of(row["blank"]),
            None if row["swap"] is None else answer_of(row["swap"]),
            row["swap_image"],
            row["swap_rule"],
            None if row["nothing"] is None else answer_of(row["nothing"]),
            tuple(Partner(p["image"], p["cluster"], p["gold"], p["split"], answer_of(p["answer"])) for p in row["partners"]),
            None if reworded is None else tuple((Rewording(r["text"], r["family"], r["polarity"], r["rule"]), answer_of(r["answer"])) for r in reworded),
        )


def answer_json(answer: Answer, where: str) -> dict[str, Any]:
    """An answer as a plain mapping.

    Raises:
        InvalidValue: a number of the answer is not finite; the message names the item.
    """
    for name in ("confidence", "p_yes", "logprob"):
        value = getattr(answer, name)
        if value is not None and not math.isfinite(value):
            raise InvalidValue(f"{where}: the model gave {name} {value}", remedy="a model must give finite numbers, or None for what it does not know")
    return {**dataclasses.asdict(answer), "outcome": str(answer.outcome)}


def answer_of(row: Mapping[str, Any]) -> Answer:
    """The answer of a mapping that `answer_json` made."""
    return Answer(row["text"], Outcome(row["outcome"]), row["confidence"], row["p_yes"], row["logprob"], row["tokens"])


def read_rows(path: Path) -> tuple[list[dict[str, Any]], int]:
    """The records of a file of JSON lines.

    Returns:
        The rows, and the number of bytes up to the end of the last whole one: what follows is a torn line (the writer was killed) and is left out.

    Raises:
        RecordFormatError: a line other than the last is no JSON object, or holds a number that is not finite. No file is no rows.
    """
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return [], 0
    except OSError as error:
        raise RecordFormatError(f"{path}: cannot be read ({error.strerror})", remedy="give the folder of a run") from error
    rows: list[dict[str, Any]] = []
    whole = 0
    lines = content.split(b"\n")
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            whole = min(whole + len(line) + 1, len(content))
            continue
        last = number == len(lines)  # a whole last line is followed by an empty one
        row = _row(line, path, number, torn=last)
        if row is None:
            break
        rows.append(row)
        whole += len(line) + 1
    return rows, whole


def _row(line: bytes, path: Path, number: int, *, torn: bool) -> dict[str, Any] | None:
    if torn:
        return None  # also when it happens to parse: without its line end nobody knows that it is whole
    try:
        row = json.loads(line, parse_constant=_refuse)
    except ValueError as error:
        raise RecordFormatError(f"{path}: line {number} is not a record ({error})", remedy="restore the file, or start a new run folder") from error
    if not isinstance(row, dict):
        raise RecordFormatError(f"{path}: line {number} is not a record (not an object)", remedy="restore the file, or start a new run folder")
    return row


def _refuse(constant: str) -> float:
    raise ValueError(f"{constant} is not a number")


def read_items(path: Path) -> list[Item]:
    """The items of a file, in its order, each id once.

    Raises:
        RecordFormatError: as `read_rows`; or a row lacks a field, holds a value out of range, or repeats an id.
    """
    items: dict[str, Item] = {}
    for number, row in enumerate(read_rows(path)[0], start=1):
        try:
            item = Item.from_json(row)
        except (KeyError, TypeError, ValueError, IndexError, AttributeError) as error:
            why = f"no field {error}" if isinstance(error, KeyError) else str(error)
            raise RecordFormatError(f"{path}: record {number} cannot be used ({why})", remedy="restore the file, or start a new run folder") from error
        if item.id in items:
            raise RecordFormatError(f"{path}: {item.id!r} is recorded twice", remedy="do not let two processes write into one run folder")
        items[item.id] = item
    return list(items.values())


def append(path: Path, rows: Iterable[Mapping[str, Any]]) -> None:
    """Add rows to a file of JSON lines and flush; whoever goes on with a file that was written before mends it first (`mend`).

    Raises:
        OutputError: the file cannot be written.
    """
    text = _lines(rows)
    try:
        with path.open("ab") as stream:
            stream.write(text.encode())
            stream.flush()
    except OSError as error:
        raise OutputError(f"{path}: cannot be written ({error.strerror})", remedy="give --out a folder on a disk with room that you may write to") from error


def keep(path: Path, rows: Iterable[Mapping[str, Any]]) -> None:
    """Write a file of JSON lines anew with these rows, by way of a temporary one. Raises: OutputError."""
    write_text(path, _lines(rows))


def _lines(rows: Iterable[Mapping[str, Any]]) -> str:
    return "".join(json.dumps(row, ensure_ascii=False, allow_nan=False) + "\n" for row in rows)


def mend(path: Path) -> int:
    """Cut a torn last line off; returns the number of bytes cut.

    Raises:
        RecordFormatError, OutputError: as `read_rows` and `append`.
    """
    _, whole = read_rows(path)
    if not path.exists() or (torn := path.stat().st_size - whole) <= 0:
        return 0
    try:
        with path.open("r+b") as stream:
            stream.truncate(whole)
    except OSError as error:
        raise OutputError(f"{path}: cannot be written ({error.strerror})", remedy="give --out a folder that you may write to") from error
    return torn


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """Write a JSON file by way of a temporary one, so that a reader never sees half of it.

    Raises:
        OutputError: it cannot be written.
    """
    write_text(path, json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False) + "\n")


def write_text(path: Path, text: str) -> None:
    """Write a text file by way of a temporary one. Raises: OutputError."""
    fresh = path.with_name(path.name + ".new")
    try:
        fresh.write_text(text, encoding="utf-8")
        fresh.replace(path)
    except OSError as error:
        raise OutputError(f"{path}: cannot be written ({error.strerror})", remedy="give --out a folder that you may write to") from error


def parts_of(items: Iterable[Item]) -> Iterator[str]:
    """Names of the parts that occur, in the order of first appearance."""
    yield from dict.fromkeys(part for item in items for part in item.parts)
