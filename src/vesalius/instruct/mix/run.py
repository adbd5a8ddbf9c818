"""Making a mixture: licences, what is there, reading, pictures, copies and leaks, shares, writing. Stages that were finished are not done again after a kill.

In: a `Mixture`, a data root, a folder. Out: `instructions.jsonl` or `shards/`, `card.json`, `card.md`. Equal recipe, data and rights give equal rows.
"""

from __future__ import annotations

import dataclasses
import json
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from vesalius import provenance
from vesalius.data import splits
from vesalius.domain.exchange import Split
from vesalius.errors import DataMissing, UserError
from vesalius.instruct.filters import items
from vesalius.instruct.filters.case import Case
from vesalius.instruct.filters.table import Filter, chosen
from vesalius.instruct.mix import card, out, pictures, rights, shares, sources
from vesalius.instruct.mix.pool import Pool
from vesalius.instruct.mix.recipe import Mixture, Part, Unit
from vesalius.instruct.mix.screen import Screen
from vesalius.instruct.mix.tested import Tested
from vesalius.instruct.record import Instruction

FORMAT = 1
CARD, POOL, PLAN = "card.json", "pool.sqlite", "plan.json"
Progress = Callable[[int, int, str], None]


class Short(UserError):
    """A source has fewer rows than the recipe asks for."""


@dataclasses.dataclass(frozen=True)
class Mix:
    """What is made and how.

    Args:
        rights: sets that may be trained on by the user's own word, against their card. missing: go on without sources that are not there.
        short: go on when a source has fewer than its count. shards: write shards with pictures instead of JSON lines. shard_size: records in one.
    """

    mixture: Mixture
    root: Path
    rights: tuple[str, ...] = ()
    missing: bool = False
    short: bool = False
    shards: bool = False
    shard_size: int = 1000


def mix(job: Mix, folder: Path, *, progress: Progress | None = None) -> dict[str, Any]:
    """Make the mixture, or go on with it; returns its card.

    Raises:
        Refused: a set may not be trained on. DataMissing: sources that are not there, all named with how to obtain them.
        Short: too few rows. UserError: the folder holds something else, or was begun with another recipe, other data or other rights.
    """
    parts = _parts(job)
    plan = _plan(job, parts)
    _begin(folder, plan)
    if (folder / CARD).is_file():
        return card.read(folder / CARD)
    tell = progress or _silent
    pool = Pool(folder / POOL, job.mixture.seed)
    try:
        tell(0, 1, "reading the test parts")
        tested = Tested(job.root)
        for part in parts:
            tell(0, 1, f"reading {part.name}")
            pool.stage(f"read {part.name}", lambda part=part: _read(part, job, pool, tested))  # type: ignore[misc]
        pool.index()
        pool.stage("pictures", lambda: _compare(job, parts, pool, tested, tell))
        pool.stage("screen", lambda: _screen(job, parts, pool, tested, tell))
        pool.stage("shares", lambda: _share(job, parts, pool))
        tell(0, 1, "writing")
        told = card.made(job.mixture, parts, pool, tested, job.root, job.rights)
        told |= {"output": _write(job, pool, folder, told), "plan": plan, "provenance": provenance.record(seed=job.mixture.seed).to_json()}
    except BaseException:
        pool.close()
        raise
    card.write(told, folder / CARD)
    pool.close(remove=True)
    return told


def _silent(done: int, total: int, what: str) -> None:
    """Nobody listens."""


def _parts(job: Mix) -> tuple[Part, ...]:
    """The parts that may be used and whose files are there. Raises: Refused, and DataMissing with every one that is not there."""
    every = job.mixture.sources
    for part in every:
        sources.check(part)
    rights.check(every, job.rights)
    absent = [part for part in every if not sources.there(part, job.root)]
    if absent and (not job.missing or len(absent) == len(every)):
        how = {part.set or part.path: sources.card(part).how_to_obtain for part in absent}
        go_on = "" if len(absent) == len(every) else "; or say --without-missing to go on without"
        raise DataMissing(f"{job.mixture.name} needs what is not there: {', '.join(how)}", remedy="; ".join(f"{k}: {v}" for k, v in how.items()) + go_on)
    return tuple(part for part in every if part not in absent)


def _plan(job: Mix, parts: Sequence[Part]) -> dict[str, Any]:
    """What decides the rows, as JSON."""
    how = {"rights": sorted(job.rights), "missing": job.missing, "short": job.short, "shards": job.shards, "shard_size": job.shard_size}
    data = {part.name: sources.stamp(part, job.root) for part in parts}
    return {"format": FORMAT, "recipe": json.loads(json.dumps(dataclasses.asdict(job.mixture))), **how, "data": data}


def _begin(folder: Path, plan: dict[str, Any]) -> None:
    text, path = json.dumps(plan, indent=1, sort_keys=True, ensure_ascii=False) + "\n", folder / PLAN
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if path.is_file():
            if path.read_text(encoding="utf-8") != text:
                raise UserError(f"{folder} was begun with another recipe, other options or other data", remedy="give -o another folder, or delete this one")
            return
        others = [each.name for each in sorted(folder.iterdir()) if each.name != f"{PLAN}.new"]
        if others:
            raise UserError(f"{folder} holds something else ({others[0]})", remedy="give -o an empty folder")
        draft = path.with_name(f"{PLAN}.new")
        draft.write_text(text, encoding="utf-8")
        draft.replace(path)
    except OSError as error:
        raise UserError(f"{folder} cannot be written ({error.strerror})", remedy="give -o a folder that you may write to") from error


def _read(part: Part, job: Mix, pool: Pool, tested: Tested) -> None:
    """Enter what a part has; what can be judged by a row alone is judged here."""
    lost = Counter[str]()
    filters = chosen(part.keep.filters) if part.keep.filters else ()
    for candidate in sources.read(part, job.root, job.mixture.seed):
        row = candidate.row
        if row is None:
            lost[candidate.reason] += 1
            continue
        rights.check_row(part, row, job.rights)
        found = _unwanted(part, row, filters)
        if found is None and not row.images:
            found = tested.text_leak(candidate.asked, candidate.passage, row.answer)
        pool.add(part.name, row, *(found or ()))
    pool.lose(part.name, lost)


def _unwanted(part: Part, row: Instruction, filters: Sequence[Filter]) -> tuple[str, str] | None:
    keep = part.keep
    if row.split is not Split.TRAIN:
        return f"it is of a {row.split} part", ""
    if keep.tasks and row.task not in keep.tasks:
        return f"not wanted: task {row.task}", ""
    if keep.images != "any" and bool(row.images) != (keep.images == "with"):
        return "not wanted: with pictures" if row.images else "not wanted: without picture", ""
    if len(row.question) > keep.question or len(row.answer) > keep.answer:
        return f"longer than {keep.question:,} and {keep.answer:,} characters", ""
    if filters:
        line = items.read(0, json.dumps(row.to_json(), ensure_ascii=False).encode())
        if isinstance(line, items.Unread):
            return f"filter format: {line.reason}", ""
        objection = next((found for one in filters for found in one(Case(line))), None)
        return None if objection is None else (f"filter {objection.filter}.{objection.code}", objection.message)
    return None


def _compare(job: Mix, parts: Sequence[Part], pool: Pool, tested: Tested, tell: Progress) -> None:
    names: set[str] = set()
    for _, _, row in pool.rows(tuple(part.name for part in parts)):
        names.update(row.images)
    pool.keep_groups(*pictures.groups(names, tested.pictures, job.root, job.mixture.pictures, tell))


def _screen(job: Mix, parts: Sequence[Part], pool: Pool, tested: Tested, tell: Progress) -> None:
    groups, unreadable = pool.groups()
    tested.set_groups(groups)
    order = tuple(part.name for part in parts)
    share, salt = job.mixture.development, f"mix/{job.mixture.seed}"

    def development(row: Instruction) -> bool:
        return splits.part(row.cluster, development=share, salt=salt) is Split.DEVELOPMENT

    held = {groups.get(name, name) for _, _, row in (pool.rows(order) if share else ()) if development(row) for name in row.images}
    screen = Screen(pool.base, groups, unreadable, held, tested)
    protocols = {part.name: sources.protocol(part) for part in parts}
    total = sum(pool.size(name, Unit.ROWS) for name in order)
    for done, (number, part, row) in enumerate(pool.rows(order)):
        tell(done, total, "rows compared")
        apart = bool(share) and development(row)
        found = screen(part, row, protocols[part], development=apart)
        if found is not None:
            pool.drop(number, *found)
        elif apart:
            pool.hold_out(number)


def _share(job: Mix, parts: Sequence[Part], pool: Pool) -> None:
    """How much of each part is taken. Raises: Short."""
    mixture = job.mixture
    sizes = {part.name: pool.size(part.name, part.unit) for part in parts}
    room = {part.name: min(sizes[part.name], part.cap or sizes[part.name]) for part in parts if part.count is None}
    fixed = {part.name: part.count for part in parts if part.count is not None}
    left = sum(room.values()) if mixture.total is None else mixture.total - sum(part.count or 0 for part in mixture.sources)
    weights = {part.name: part.weight for part in parts}
    wished = shares.expected(room, left, temperature=mixture.temperature, weights={name: weights[name] for name in room})
    short = [f"{name} has {sizes[name]:,} of {count:,}" for name, count in fixed.items() if sizes[name] < count]
    short += [f"the others have {sum(room.values()):,} of {left:,} rows"] * (bool(room) and sum(room.values()) < left)
    if short and not job.short:
        raise Short(f"{mixture.name}: {'; '.join(short)} usable", remedy="add --short to take what there is, or change the recipe")
    takes = {**{name: min(count, sizes[name]) for name, count in fixed.items()}, **shares.whole(wished)}
    if not sum(takes.values()):
        raise Short(f"{mixture.name}: nothing is left", remedy="the reasons: " + (_reasons(parts, pool) or "the sources are empty"))
    for part in parts:
        pool.put(f"usable {part.name}", sizes[part.name])
        pool.put(f"expected {part.name}", wished.get(part.name, float(takes[part.name])))
        pool.take(part.name, takes[part.name], part.unit)


def _reasons(parts: Sequence[Part], pool: Pool) -> str:
    every = sum((pool.reasons(part.name) for part in parts), Counter[str]())
    return ", ".join(f"{number:,} {reason}" for reason, number in every.most_common(5))


def _write(job: Mix, pool: Pool, folder: Path, told: dict[str, Any]) -> dict[str, Any]:
    if not job.shards:
        return out.write_lines(pool, folder)
    about = {"source": job.mixture.name, "licences": {one["set"]: one["licence"] for one in told["licences"]}}
    allowed = all(one["train_allowed"] for one in told["licences"])
    return out.write_shards(pool, folder, job.root, job.shard_size, {**about, "train_allowed": allowed})
