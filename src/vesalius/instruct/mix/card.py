"""The card of a mixture: what it holds and from where, under which licences, what was left out and why, which tests were looked at.

In: the pool, the parts, the tests. Out: `card.json`, and `card.md` to be read. Everything but time, machine and versions is the same for the same rows.
"""

from __future__ import annotations

import dataclasses
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from vesalius import provenance
from vesalius.data import base
from vesalius.errors import UserError
from vesalius.instruct.mix import sources
from vesalius.instruct.mix.pool import Pool
from vesalius.instruct.mix.recipe import Mixture, Part
from vesalius.instruct.mix.tested import Tested

FORMAT = 1


@dataclasses.dataclass
class _Count:
    """Of the rows that were taken of a part."""

    rows: int = 0
    development: int = 0
    groups: set[int] = dataclasses.field(default_factory=set)
    images: set[int] = dataclasses.field(default_factory=set)
    tasks: Counter[str] = dataclasses.field(default_factory=Counter)
    answers: Counter[str] = dataclasses.field(default_factory=Counter)
    sets: Counter[str] = dataclasses.field(default_factory=Counter)


def made(mixture: Mixture, parts: Sequence[Part], pool: Pool, tested: Tested, root: Path, claimed: Sequence[str]) -> dict[str, Any]:
    """The card, without what is known only after writing.

    Args:
        parts: those that were there. claimed: sets that the user says to have the right to.
    """
    counts = {part.name: _Count() for part in parts}
    every: set[str] = set()
    for name, row in pool.taken():
        count = counts[name]
        count.rows += 1
        count.development += row.split == "development"
        count.groups.add(hash(row.group))
        count.images.update(map(hash, row.images))
        count.tasks[row.task] += 1
        count.answers[row.answer if row.answer in ("yes", "no") else "other"] += 1
        count.sets[row.source] += 1
        every.add(row.source)
    told = [_part(part, counts[part.name], pool, root) for part in parts]
    left = sum((Counter(each["left_out"]) for each in told), Counter[str]())
    groups, unreadable = pool.groups()
    return {
        "format": FORMAT,
        "name": mixture.name,
        "about": mixture.about,
        "seed": mixture.seed,
        "total": mixture.total,
        "temperature": mixture.temperature,
        "rows": sum(each["taken"] for each in told),
        "parts": told,
        "missing": [part.name for part in mixture.sources if part not in parts],
        "licences": _licences(parts, every, claimed),
        "leaks": {**tested.to_json(), "kept_out": {reason: number for reason, number in left.items() if reason.startswith("leak: ")}},
        "pictures": {"compared": str(mixture.pictures), "with_copies": len(groups), "unreadable": len(unreadable)},
    }


def _part(part: Part, count: _Count, pool: Pool, root: Path) -> dict[str, Any]:
    left = pool.reasons(part.name)
    usable = pool.get(f"usable {part.name}")
    wanted = part.count
    return {
        "name": part.name,
        "set": part.set or part.path,
        "protocol": sources.protocol(part),
        "built": part.build is not None,
        "unit": str(part.unit),
        "read": int(pool.base.execute("select count(*) from rows where part = ?", (part.name,)).fetchone()[0]) + sum(pool.lost(part.name).values()),
        "usable": usable,
        "wanted": wanted,
        "expected": round(pool.get(f"expected {part.name}"), 6),
        "short": max(0, wanted - usable) if wanted is not None else 0,
        "taken": count.rows,
        "groups": len(count.groups),
        "images": len(count.images),
        "development": count.development,
        "tasks": dict(count.tasks.most_common()),
        "answers": dict(count.answers.most_common()),
        "sets": dict(count.sets.most_common()),
        "left_out": dict(left.most_common()),
        "examples": pool.examples(part.name),
        "data_sha256": _data(part, root),
    }


def _data(part: Part, root: Path) -> str:
    """SHA-256 over the annotation files, or of the file."""
    if part.path:
        return provenance.sha256_file(part.path)
    return provenance.hash_files((path for path in base.dataset(part.set).files(root)[0] if path.is_file()), root=root)


def _licences(parts: Sequence[Part], names: set[str], claimed: Sequence[str]) -> list[dict[str, Any]]:
    """Of every set that rows are from, and of files of no set."""
    cards = {part.set or part.name: sources.card(part) for part in parts}
    cards |= {name: base.dataset(name).card for name in names if name not in cards and name in base.TABLE}
    return [
        {
            "set": name,
            "licence": card.licence,
            "attribution": card.attribution,
            "citation": card.citation,
            "train_allowed": card.train_allowed,
            "right": "stated by the user" if name in claimed and not card.train_allowed else "by its card" if card.train_allowed else "none",
        }
        for name, card in sorted(cards.items())
        if name in names or any(part.name == name for part in parts)
    ]


def write(told: Mapping[str, Any], path: Path) -> None:
    """`card.json` and `card.md` beside it; the first is written last, for it says that the mixture is finished. Raises: UserError."""
    try:
        for place, text in ((path.with_suffix(".md"), page(told)), (path, json.dumps(told, indent=1, ensure_ascii=False) + "\n")):
            draft = place.with_name(place.name + ".new")
            draft.write_text(text, encoding="utf-8")
            draft.replace(place)
    except OSError as error:
        raise UserError(f"{path} cannot be written ({error.strerror})", remedy="make room, and run the same command again") from error


def read(path: Path) -> dict[str, Any]:
    """A card that was written. Raises: UserError."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UserError(f"{path} is no card of a mixture", remedy="give another folder, or delete this one and make the mixture again") from error
    return dict(found)


def page(told: Mapping[str, Any]) -> str:
    """The card as Markdown."""
    out = [f"# {told['name']}", "", f"{told['about']}. {told['rows']:,} rows, seed {told['seed']}, temperature {told['temperature']:g}.", ""]
    out += ["| source | set | read | usable | wanted | expected | taken | of which development | yes | no |", "|---|---|--:|--:|--:|--:|--:|--:|--:|--:|"]
    for part in told["parts"]:
        wanted = "" if part["wanted"] is None else f"{part['wanted']:,} {part['unit']}"
        row = f"| {part['name']} | {part['set']} | {part['read']:,} | {part['usable']:,} | {wanted} | {part['expected']:,.2f} | {part['taken']:,} "
        out.append(row + f"| {part['development']:,} | {part['answers'].get('yes', 0):,} | {part['answers'].get('no', 0):,} |")
    short = [part for part in told["parts"] if part["short"]]
    out += [f"\n**{part['name']} falls {part['short']:,} {part['unit']} short of what the recipe asks for.**" for part in short]
    out += [f"\nNot there: {', '.join(told['missing'])}."] if told["missing"] else []
    out += ["", "## Left out", "", "| source | reason | rows |", "|---|---|--:|"]
    out += [f"| {part['name']} | {reason} | {number:,} |" for part in told["parts"] for reason, number in part["left_out"].items()]
    leaks = told["leaks"]
    out += ["", "## Tests that were looked at", "", f"{', '.join(leaks['sets']) or 'none'}: {leaks['pictures']:,} pictures."]
    out += [f"Not below the data root, so not looked at: {', '.join(leaks['absent'])}."] if leaks["absent"] else []
    out += [f"Not read: {name}: {why}" for name, why in leaks["unread"].items()]
    out += ["", "## Licences", "", "| set | licence | may be trained on | attribution |", "|---|---|---|---|"]
    for one in told["licences"]:
        may = "yes" if one["train_allowed"] else f"**not by its card; right {one['right']}**"
        out.append(f"| {one['set']} | {one['licence']} | {may} | {one['attribution']} |")
    return "\n".join(out) + "\n"
