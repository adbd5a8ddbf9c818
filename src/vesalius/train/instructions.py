"""Instructions as training material: what `vesalius instruct build` and `mix` write becomes `Example`s about one picture each.

In: a file of JSON lines, or the folder of a mixture or of shards, and a data root. Out: examples of the training or of the development rows, in the order of
the file, with group and polarity; how many rows were left out is told. Pictures of shards that are not below the data root are unpacked once, into
`NAME.pictures` beside the shards, if these lie below it.
"""

from __future__ import annotations

import dataclasses
import logging
from collections import Counter, defaultdict
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path

from vesalius.data import base
from vesalius.data.shards import Record, ShardError, Shards
from vesalius.domain.exchange import Split
from vesalius.errors import ConfigError, DataMissing
from vesalius.instruct import record
from vesalius.instruct.record import OPTIONS, Instruction
from vesalius.train import permission
from vesalius.train.examples import Example
from vesalius.train.permission import NotForTraining

_LOG = logging.getLogger("vesalius.train")
_PLAIN = "template"  # the family of a wording that is not reworded
_LINES, _SHARDS, _INDEX, _CARD = "instructions.jsonl", "shards", "index.json", "card.json"
_YES_NO = ("yes", "no")


def instructions(path: str | Path, root: Path, split: Split, *, source: str, rights: Collection[str] = ()) -> list[Example]:
    """Examples of the rows of one part.

    Left out: rows of the test part, about no picture, about several, and yes/no wordings of one question whose answers contradict one another.

    Args:
        path: a file of JSON lines, or a folder with `instructions.jsonl`, `shards` or shards. split: of the rows; training or development.
        rights: sets that may be trained on by the user's own word, against their card.

    Raises:
        NotForTraining: a card or an index forbids it, or there is nothing but a test part.
        ConfigError: no path, or nothing of that kind there. RecordError, ShardError: it is damaged. DataMissing: a picture is not there.
        ValueError: the test part was asked for: our bug, since nothing may learn from it.
    """
    if split is Split.TEST:
        raise ValueError("a test part is never training material")
    kept: list[Instruction] = []
    left_out = Counter[str]()
    parts, sets, place = Counter[Split](), set[str](), _place(path)
    permission.check_card(place.with_name(_CARD) if place.name in (_LINES, _SHARDS) else place / _CARD, rights)
    for row in _rows(place, root, rights):
        parts[row.split] += 1
        if row.source not in sets:
            sets.add(row.source)
            permission.check_sets([row.source], rights, where=str(place))
        if row.split is not split:
            continue
        reason = "" if len(row.images) == 1 else "about several pictures" if row.images else "about no picture"
        if reason:
            left_out[reason] += 1
        else:
            kept.append(row)
    if set(parts) == {Split.TEST}:
        raise NotForTraining(f"{place} holds nothing but a test part", remedy="leave it out, or give instructions of a training part")
    left_out["of the test part"] = parts[Split.TEST] if split is Split.TRAIN else 0
    for name in sorted({row.images[0] for row in kept}):
        base.image_path(root, name)  # what is not there is told before anything is computed
    firsts, contradicting = _firsts(kept)
    left_out["of a group with contradicting answers"] += sum(row.group in contradicting for row in kept)
    for reason, number in left_out.items():
        if number:
            _LOG.warning("%d instructions of source %s are not trained on: %s", number, source, reason)
    return [_example(row, source, firsts.get(row.group)) for row in kept if row.group not in contradicting]


def _place(path: str | Path) -> Path:
    """The file of JSON lines, or the folder of shards."""
    if not str(path):
        raise ConfigError("a source of instructions has no path", remedy='add options = { path = "OUT" }, what vesalius instruct mix has written')
    place = Path(path).expanduser()
    if place.is_file():
        return place
    for found in (place / _LINES, place / _SHARDS, place):
        if found.is_file() or (found / _INDEX).is_file():
            return found
    raise ConfigError(f"{place}: holds no instructions", remedy="give a file of JSON lines, or a folder that vesalius instruct mix has finished")


def _rows(place: Path, root: Path, rights: Collection[str]) -> Iterator[Instruction]:
    if place.is_file():
        yield from record.read(place)
        return
    unpacked: dict[str, str] = {}
    waiting: list[Instruction] = []
    shards = Shards(place)
    permission.check_index(place, shards.index.about, rights)  # before a picture is unpacked
    for _, each in shards.stream():
        if each.image is not None:
            name = each.facts.get("image")
            unpacked[str(name)] = _picture(place, root, each)
        waiting += _listed(place, each)
    for row in waiting:  # an earlier picture of a row may stand in a later record
        yield dataclasses.replace(row, images=tuple(unpacked.get(name, name) for name in row.images))


def _listed(place: Path, each: Record) -> Iterator[Instruction]:
    try:
        yield from (record.from_json(row) for row in each.facts["instructions"])
    except (KeyError, TypeError, ValueError) as error:
        raise ShardError(f"{place}: record {each.key} holds no instructions ({str(error)[:200]})", remedy="give shards that instruct mix wrote") from error


def _picture(place: Path, root: Path, each: Record) -> str:
    """The name below the data root of a record's picture; unpacked when no such file is there."""
    name = str(each.facts.get("image", ""))
    try:
        base.image_path(root, name)
    except DataMissing as error:
        target = place.resolve().with_name(f"{place.resolve().name}.pictures") / f"{each.key}.{each.suffix}"
        if not target.is_relative_to(root.resolve()):
            raise DataMissing(
                f"the picture {name!r} of {place} is not below {root}", remedy="give --data the folder that holds the pictures, or one that holds the shards"
            ) from error
        if not target.is_file() or target.stat().st_size != len(each.image or b""):
            target.parent.mkdir(parents=True, exist_ok=True)
            fresh = target.with_name(f"{target.name}.new")
            fresh.write_bytes(each.image or b"")
            fresh.replace(target)
        return target.relative_to(root.resolve()).as_posix()
    return name


def _firsts(rows: list[Instruction]) -> tuple[Mapping[str, Instruction], set[str]]:
    """Of each group of several yes/no wordings the one that the others reword, and the groups that contradict themselves."""
    groups: dict[str, list[Instruction]] = defaultdict(list)
    for row in rows:
        if _said(row) in _YES_NO:
            groups[row.group].append(row)
    firsts, wrong = {}, set()
    for name, members in groups.items():
        if len({(_said(row) == "yes") == (row.polarity == 1) for row in members}) > 1:
            wrong.add(name)
        elif len(members) > 1:
            firsts[name] = min(members, key=lambda row: (row.polarity == -1, row.provenance.get("family", _PLAIN) != _PLAIN, row.id))
    return firsts, wrong


def _said(row: Instruction) -> str:
    return " ".join(row.answer.lower().split())


def _example(row: Instruction, source: str, first: Instruction | None) -> Example:
    answer = _said(row)
    closed = answer in _YES_NO
    question = " ".join(row.question.split()) + (OPTIONS + "; ".join(row.choices) if row.choices and not closed else "")
    grouped = first if closed else None
    if grouped is None:
        return Example(row.images[0], question, answer, source, closed, boxes=_boxes(row))
    way = row.polarity * grouped.polarity
    return Example(row.images[0], question, answer, source, closed, row.group, way, reworded=row.id != grouped.id, boxes=_boxes(row))


def _boxes(row: Instruction) -> tuple[tuple[str, tuple[float, float, float, float]], ...]:
    """As shares of the image, whatever size it was marked at."""
    found = []
    for box in row.boxes:
        r, (width, height) = box.region, box.size
        found.append((box.label, (r.x0 / width, r.y0 / height, r.x1 / width, r.y1 / height)))
    return tuple(found)
