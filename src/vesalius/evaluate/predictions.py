"""Somebody else's answers as recorded items: a file of JSON lines in, `items.jsonl` of a trust run out; no model and no picture are needed.

In: one object a line. `id`, `question`, `gold`, `answer` must be there; all else may: `cluster` (patient, else image, else the id), `image`, `closed`,
`options`, `split` ("test", or "development" for what maps and thresholds may be fitted on), `confidence`, `p_yes`, `tags` (sex, age, view, modality, ...),
`pair` and `phrase` and `tags.relation` (linked human wordings), `blank`, `swap`, `nothing` (answers to controls), `wordings` (`text`, `answer`, `family`,
`polarity`). An answer is a text, or an object with `text`, `confidence`, `p_yes`. Out: the same as `record.Item`s.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from vesalius.domain.exchange import Answer, Exchange, Question, Rewording, Split
from vesalius.errors import InvalidValue
from vesalius.evaluate.record import Item, RecordFormatError, read_rows
from vesalius.metrics.text import read_outcome

PROTOCOL = "predictions"
_KNOWN = {"id", "question", "gold", "answer", "cluster", "image", "closed", "options", "split", "confidence", "p_yes", "tags", "pair", "phrase"}
_KNOWN |= {"blank", "swap", "nothing", "wordings"}


def read(path: Path) -> list[Item]:
    """The items of a file of predictions.

    Raises:
        RecordFormatError: a line is no prediction: which, and what is wrong with it; or there is no file, or none in it; or an id stands twice.
    """
    if not path.is_file():
        raise RecordFormatError(f"{path}: there is no such file", remedy="check the path")
    rows, whole = read_rows(path)
    content = path.read_bytes()
    if whole < len(content):  # a last line without its end is a line all the same: the file is somebody's, not a run in progress
        return _items(path, [*rows, *_last(path, content[whole:])])
    return _items(path, rows)


def _last(path: Path, text: bytes) -> list[dict[str, Any]]:
    try:
        row = json.loads(text)
    except ValueError as error:
        raise RecordFormatError(f"{path}: the last line is no prediction ({error})", remedy="give one JSON object a line") from error
    return [row] if isinstance(row, dict) else []


def _items(path: Path, rows: list[dict[str, Any]]) -> list[Item]:
    if not rows:
        raise RecordFormatError(f"{path}: holds no predictions", remedy="give a file with one JSON object a line")
    found: dict[str, Item] = {}
    for number, row in enumerate(rows, 1):
        try:
            item = _item(row)
        except (KeyError, TypeError, ValueError, InvalidValue) as error:
            why = f"no {error}" if isinstance(error, KeyError) else str(error)
            raise RecordFormatError(f"{path}: line {number} is no prediction ({why})", remedy="see docs/evaluate.md for what a line may hold") from error
        if item.id in found:
            raise RecordFormatError(f"{path}: line {number} repeats the id {item.id!r}", remedy="give every answer an id of its own")
        found[item.id] = item
    return list(found.values())


def _item(row: Mapping[str, Any]) -> Item:
    strange = sorted(set(row) - _KNOWN)
    if strange:
        raise ValueError(f"unknown field {strange[0]!r}")
    name, split = str(row["id"]), Split(row.get("split", "test"))
    image = str(row.get("image", row.get("cluster", name)))
    exchange = Exchange(
        id=name,
        image=image,
        question=Question(str(row["question"]), tuple(str(o) for o in row.get("options", ()))),
        gold=str(row["gold"]),
        closed=row.get("closed"),
        cluster=str(row.get("cluster", image)),
        split=split,
        pair=row.get("pair"),
        phrase=row.get("phrase"),
        tags={str(k): str(v) for k, v in dict(row.get("tags", {})).items()},
    )
    own = {"text": row["answer"], "confidence": row.get("confidence"), "p_yes": row.get("p_yes")} if isinstance(row["answer"], str) else row["answer"]
    wordings = [
        (Rewording(str(w["text"]), str(w.get("family", "human")), int(w.get("polarity", 1)), str(w.get("rule", "given"))), _answer(w["answer"]))
        for w in row.get("wordings", ())
    ]
    blank, swap, nothing = (None if row.get(key) is None else _answer(row[key]) for key in ("blank", "swap", "nothing"))
    return Item(exchange, (f"{PROTOCOL}/{split}",), _answer(own), blank, swap, nothing=nothing, rewordings=tuple(wordings) or None)


def _answer(given: Any) -> Answer:  # noqa: ANN401 - of JSON
    held: dict[str, Any] = {"text": given} if isinstance(given, str) else dict(given)
    if set(held) - {"text", "confidence", "p_yes"} or not isinstance(held.get("text"), str):
        raise ValueError("an answer is a text, or an object with text, confidence, p_yes")
    return Answer(held["text"], read_outcome(held["text"]), confidence=held.get("confidence"), p_yes=held.get("p_yes"))
