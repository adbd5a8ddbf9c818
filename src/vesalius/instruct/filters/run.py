"""Filtering a file: every line is either kept as it is or written to the file of dropped ones with all that was said against it. Nothing is lost.

In: a file of JSON lines. Out: two files, written whole or not at all, and a `FilterReport`. Lines pass one by one; what must be remembered is on disk, so
memory does not grow with the file. The same input, settings and seed give the same bytes.
"""

from __future__ import annotations

import dataclasses
import json
import random
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO

from vesalius.errors import InvalidValue
from vesalius.instruct.filters import duplicates, items
from vesalius.instruct.filters.case import Case
from vesalius.instruct.filters.items import Facts, InputError, Record, Unread
from vesalius.instruct.filters.objection import Objection
from vesalius.instruct.filters.sources import Sources
from vesalius.instruct.filters.table import DUPLICATE, FORMAT, Filter, chosen
from vesalius.instruct.generate import lines as files
from vesalius.provenance import sha256_file

RULES = 1  # raised when a rule changes what is dropped
Told = Callable[[str, list[Objection]], None]


@dataclasses.dataclass(frozen=True)
class Settings:
    """What is asked of a run.

    Args:
        only, without: names of filters. seed: of the examples that the report shows. examples: for each filter.
        unknown: whether records are kept for which it is not known what they were made from, though three filters cannot be asked about them.
    """

    only: tuple[str, ...] = ()
    without: tuple[str, ...] = ()
    seed: int = 0
    examples: int = 3
    unknown: bool = True

    def __post_init__(self) -> None:
        if self.examples < 0:
            raise InvalidValue(f"a report shows 0 examples or more (got {self.examples})")


@dataclasses.dataclass(frozen=True)
class FilterReport:
    """What became of a file.

    Args:
        records: lines that are not blank. first: filter -> records that it was the first to object to; these sum up to dropped. any: filter -> records it
            objected to at all. alone: filter -> records that no other filter objected to. reasons: "filter.code" -> records. without_facts: records of which it
            is not known what they were made from. examples: filter -> drawn by the seed among those it was first to drop.
    """

    records: int
    kept: int
    first: Mapping[str, int]
    any: Mapping[str, int]
    alone: Mapping[str, int]
    reasons: Mapping[str, int]
    without_facts: int
    examples: Mapping[str, list[dict[str, Any]]]
    filters: tuple[str, ...]
    seed: int
    rules: int
    input_sha256: str

    @property
    def dropped(self) -> int:
        """Records that were not kept."""
        return self.records - self.kept

    def to_json(self) -> dict[str, Any]:
        """A plain mapping."""
        return {**dataclasses.asdict(self), "dropped": self.dropped}


class Judge:
    """The filters with what they remember: records go in in order, objections come out.

    Args:
        place: folder for temporary files. settings: which filters. sources: where facts are looked up that a record does not hold.
    """

    def __init__(self, place: Path, settings: Settings | None = None, sources: Sources | None = None) -> None:
        self.settings = settings or Settings()
        self.filters: tuple[Filter, ...] = chosen(self.settings.only, self.settings.without)
        self._sources, self._seen = sources, duplicates.Seen(place)
        self._names = {one.name for one in self.filters}

    def __call__(self, record: Record | Unread) -> tuple[list[Objection], Facts | None]:
        """All objections in the order of the filters, and what the record was made from. A record without objections is remembered as kept."""
        if isinstance(record, Unread):
            return [Objection("unreadable", record.reason, filter=FORMAT)], None
        if record.facts is None and self._sources is not None:
            record = dataclasses.replace(record, facts=self._sources.of(record))
        case = Case(record)
        found = [objection for one in self.filters for objection in one(case)]
        if record.facts is None and not self.settings.unknown:
            found.append(Objection("unknown", "it is not known what it was made from", filter=FORMAT))
        if DUPLICATE in self._names:
            found += [dataclasses.replace(one, filter=DUPLICATE) for one in self._seen.objections(case)]
        if not found and DUPLICATE in self._names:
            self._seen.add(case)
        return found, record.facts

    def close(self) -> None:
        """Let go of the temporary files."""
        self._seen.close()


def filter_file(
    path: Path, kept: Path, dropped: Path, *, source: Path | None = None, settings: Settings | None = None, told: Told | None = None
) -> FilterReport:
    """Filter a file.

    Args:
        path: JSON lines, see `items`. kept, dropped: files to write. source: what the records were made from, where they do not say so themselves.
        told: called with the id and the objections of every dropped record.

    Raises:
        InputError: a file cannot be read, or the input holds no line. OutputError: a file cannot be written. UnknownName: no such filter.
        InvalidValue: two of the files are one.
    """
    how = settings or Settings()
    named = [entry.resolve() for entry in (path, kept, dropped, *([source] if source else []))]
    if len(set(named)) < len(named):
        raise InvalidValue("input, kept, dropped and source must be different files", remedy="name another file with --out or --dropped")
    fresh = [entry.with_name(entry.name + ".new") for entry in (kept, dropped)]
    with tempfile.TemporaryDirectory(prefix="vesalius-") as folder, items.opened(path) as stream:
        sources = Sources(source, Path(folder)) if source is not None else None
        judge = Judge(Path(folder), how, sources)
        try:
            with _written(fresh[0]) as good, _written(fresh[1]) as bad:
                count = _Count(how, judge.filters)
                for line, record in _records(stream):
                    found, facts = judge(record)
                    count.add(record, found, facts)
                    if found and told is not None:
                        told(record.id or f"line {record.line}", found)
                    _put(bad if found else good, _drop(record, line, found) if found else line.rstrip(b"\r\n") + b"\n", fresh[1] if found else fresh[0])
            if not count.records:
                raise InputError(f"{path}: holds no line", remedy="give a file of JSON lines with id and turns")
            for new, entry in zip(fresh, (kept, dropped), strict=True):
                _replace(new, entry)
        finally:
            judge.close()
            if sources is not None:
                sources.close()
            for new in fresh:
                new.unlink(missing_ok=True)
    return count.report(sha256_file(path))


def _records(stream: BinaryIO) -> Iterator[tuple[bytes, Record | Unread]]:
    for number, line, too_long in items.lines(stream):
        yield line, items.read(number, line, too_long=too_long)


def _drop(record: Record | Unread, line: bytes, found: list[Objection]) -> bytes:
    try:
        row = json.loads(line)
    except (ValueError, RecursionError):
        row = line.decode("utf-8", "replace").rstrip("\r\n")
    told = {"line": record.line, "id": record.id, "filter": found[0].filter, "objections": [one.to_json() for one in found], "record": row}
    return json.dumps(told, ensure_ascii=False).encode("utf-8", "replace") + b"\n"


class _Count:
    def __init__(self, how: Settings, filters: tuple[Filter, ...]) -> None:
        self.records = self.kept = self.without_facts = 0
        self.first: Counter[str] = Counter()
        self.any: Counter[str] = Counter()
        self.alone: Counter[str] = Counter()
        self.reasons: Counter[str] = Counter()
        self.examples: dict[str, list[dict[str, Any]]] = {}
        self._how, self._names = how, tuple(one.name for one in filters)
        self._chance = random.Random(how.seed)

    def add(self, record: Record | Unread, found: list[Objection], facts: Facts | None) -> None:
        self.records += 1
        self.kept += not found
        self.without_facts += isinstance(record, Record) and facts is None
        names = dict.fromkeys(one.filter for one in found)
        self.any.update(list(names))
        self.reasons.update({f"{one.filter}.{one.code}" for one in found})
        if len(names) == 1:
            self.alone.update(list(names))
        if found:
            self.first[found[0].filter] += 1
            self._draw(record, found[0])

    def _draw(self, record: Record | Unread, objection: Objection) -> None:
        """Each of a filter's drops has the same chance to be among its examples (reservoir sampling, Vitter 1985)."""
        seen, shown = self.first[objection.filter], self.examples.setdefault(objection.filter, [])
        example = {"id": record.id, "line": record.line, **objection.to_json()}
        if len(shown) < self._how.examples:
            shown.append(example)
        elif (place := self._chance.randrange(seen)) < self._how.examples:
            shown[place] = example

    def report(self, sha256: str) -> FilterReport:
        order = dict.fromkeys((FORMAT, *self._names))
        return FilterReport(
            records=self.records,
            kept=self.kept,
            first={name: self.first[name] for name in order},
            any={name: self.any[name] for name in order},
            alone={name: self.alone[name] for name in order},
            reasons=dict(sorted(self.reasons.items())),
            without_facts=self.without_facts,
            examples={name: self.examples[name] for name in order if name in self.examples},
            filters=self._names,
            seed=self._how.seed,
            rules=RULES,
            input_sha256=sha256,
        )


def _written(path: Path) -> BinaryIO:
    try:
        return path.open("wb")
    except OSError as error:
        raise files.unwritable(path, error) from error


def _put(stream: BinaryIO, line: bytes, path: Path) -> None:
    try:
        stream.write(line)
    except OSError as error:
        raise files.unwritable(path, error) from error


def _replace(new: Path, path: Path) -> None:
    try:
        new.replace(path)
    except OSError as error:
        raise files.unwritable(path, error) from error
