"""What shards are made from: a part of a data set, or a folder of pictures with what is known of them beside each.

In: exchanges, or files. Out: records one after another, in a fixed order.
In a folder, `scan/a.png` is a picture, `scan/a.json` its facts and `scan/a.txt` its report; any of the three may be missing. Links are not followed.
"""

from __future__ import annotations

import dataclasses
import json
import logging
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from vesalius.data import base
from vesalius.data.shards.record import FACTS, SUFFIXES, Record, key_of
from vesalius.domain.exchange import Exchange, Split
from vesalius.errors import DataMissing, UserError

_LOG = logging.getLogger("vesalius.data.shards")
REPORT = "txt"


def of_set(name: str, root: Path, split: Split, protocol: str | None = None) -> Iterator[Record]:
    """One record for each picture of a part, with all that is asked about it; one for each exchange that has no picture.

    The facts are `image`, `cluster` and `exchanges`, a list of mappings with the fields of `Exchange`.

    Raises:
        DataMissing, UnknownName: as the set's `exchanges`; DataMissing for a picture when its turn comes.
    """
    chosen = base.dataset(name)
    rows: dict[str, list[Exchange]] = {}
    for row in chosen.exchanges(root, split, protocol):
        rows.setdefault(row.image or f"{name}:{row.id}", []).append(row)
    return (_of_rows(chosen, root, rows_of) for rows_of in rows.values())


def about_set(name: str, split: Split, protocol: str | None = None) -> dict[str, Any]:
    """What the index of such shards says: where they come from and what may be done with them."""
    card = base.dataset(name).card
    chosen = card.protocol(protocol)
    rights = {"licence": card.licence, "attribution": card.attribution, "citation": card.citation, "train_allowed": card.train_allowed}
    return {"kind": "dataset", "source": name, "split": str(split), "protocol": chosen.name, "disjoint_by": chosen.disjoint_by, **rights}


def _of_rows(chosen: base.Dataset, root: Path, rows: list[Exchange]) -> Record:
    facts = {"image": rows[0].image, "cluster": rows[0].cluster, "exchanges": [_plain(row) for row in rows]}
    if not rows[0].image:
        return Record(key_of(rows[0].id), facts)
    path = chosen.image_path(root, rows[0].image)
    return Record(key_of(rows[0].image), facts, _bytes(path), path.suffix.lower().lstrip("."))


def _plain(row: Exchange) -> dict[str, Any]:
    names = [field.name for field in dataclasses.fields(row) if field.name not in ("question", "tags", "split")]
    question = {"question": row.question.text, "options": list(row.question.options)}
    return {**{name: getattr(row, name) for name in names}, **question, "split": str(row.split), "tags": dict(row.tags)}


def of_folder(folder: Path) -> Iterator[Record]:
    """One record for each picture below a folder, by name; facts and reports without a picture are records too.

    Files of other kinds, links and hidden files are left out, and their number is logged.

    Raises:
        DataMissing: no such folder. UserError: facts that are no JSON mapping, or a report that is not UTF-8, when their turn comes.
    """
    if not folder.is_dir():
        raise DataMissing(f"{folder} is neither a data set nor a folder", remedy="'vesalius data list' names the sets")
    return _walk(folder)


def _walk(folder: Path) -> Iterator[Record]:
    left_out = 0
    for place, below, names in os.walk(folder):
        below[:] = sorted(name for name in below if not name.startswith("."))
        stems: dict[str, dict[str, Path]] = {}
        for path in (Path(place) / name for name in sorted(names)):
            suffix = path.suffix.lower().lstrip(".")
            if path.name.startswith(".") or path.is_symlink() or suffix not in SUFFIXES | {FACTS, REPORT}:
                left_out += 1
                continue
            stems.setdefault(path.stem, {})[path.suffix.lstrip(".")] = path
        for stem in sorted(stems):
            yield from _of_stem(folder, stems[stem])
    if left_out:
        _LOG.warning("%d files below %s are no pictures, facts or reports and were left out", left_out, folder)


def _of_stem(folder: Path, files: dict[str, Path]) -> Iterator[Record]:
    facts: dict[str, Any] = {}
    pictures = []
    for suffix, path in files.items():
        if suffix.lower() == FACTS:
            facts |= _facts(path)
        elif suffix.lower() == REPORT:
            facts["report"] = _text(path)
        else:
            pictures.append(path)
    for path in pictures:
        name = path.relative_to(folder).as_posix()
        yield Record(key_of(name), {**facts, "source": name}, _bytes(path), path.suffix.lower().lstrip("."))
    if not pictures:
        name = next(iter(files.values())).relative_to(folder).with_suffix("").as_posix()
        yield Record(key_of(name), {**facts, "source": name})


def _facts(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(_text(path))
    except (ValueError, RecursionError) as error:
        raise UserError(f"{path} is not valid JSON", remedy="correct or remove it") from error
    if not isinstance(found, dict):
        raise UserError(f"{path} does not hold names and values", remedy="make it one JSON object")
    return found


def _text(path: Path) -> str:
    try:
        return _bytes(path).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise UserError(f"{path} is not UTF-8 text", remedy="save it as UTF-8") from error


def _bytes(path: Path) -> bytes:
    try:
        data = path.read_bytes()
    except OSError as error:
        raise DataMissing(f"{path} cannot be read ({error.strerror})", remedy="make it readable, or take it away") from error
    if not data:
        raise UserError(f"{path} is empty", remedy="obtain it again, or take it away")
    return data
