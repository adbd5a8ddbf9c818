"""A model's folder, filled from the hub as its loader expects it: `vesalius models fetch`.

In: a model's name and a folder. Out: the folder with every file checked, and in it `vesalius.json`, which says what came from which commit. With that record a
second call asks nobody: it checks the files and fetches again only what is absent or damaged.
"""

from __future__ import annotations

import dataclasses
import fnmatch
import json
import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from vesalius.errors import ConfigError, InterruptedWork, WeightsError
from vesalius.models import hub, sources
from vesalius.models.hub import Remote
from vesalius.models.sources import Part, Plan
from vesalius.provenance import sha256_file
from vesalius.registry import unknown

MANIFEST = "vesalius.json"
Progress = Callable[[int, int, str], None]


@dataclasses.dataclass(frozen=True)
class Fetched:
    """What a call did.

    Args:
        folder: of the model. files: that it consists of. fetched: of these, how many came now. size: bytes that came now. note: what must be known.
    """

    folder: Path
    files: int
    fetched: int
    size: int
    note: str


@dataclasses.dataclass(frozen=True)
class _Held:
    """One part as the record has it."""

    repository: str
    revision: str
    commit: str
    files: tuple[Remote, ...]


def fetch(name: str, target: Path | None = None, *, revision: str | None = None, parts: Sequence[str] = (), progress: Progress | None = None) -> Fetched:
    """Fill a folder with a model's files.

    Args:
        target: the folder; None takes one called as the model, here. revision: of the model's own repository; None takes what the folder was begun with,
            else the one that is known to work. parts: names of the parts to get; none means all. progress: is told (bytes done, bytes in all, what).

    Raises:
        UserError: nothing can be fetched for this model. UnknownName: no such model or part. ConfigError: the folder is another model's.
        WeightsError: something cannot be had. InterruptedWork: stopped by the user; what has come is kept.
    """
    plan, folder = sources.plan(name), target or Path(name)
    chosen = _chosen(plan, parts)
    if folder.exists() and not folder.is_dir():
        raise ConfigError(f"{folder}: is a file", remedy="name a folder")
    try:
        return _fetch(plan, chosen, folder, revision, progress or _nobody)
    except KeyboardInterrupt as stopped:
        raise InterruptedWork(f"stopped; what has come of {name} is kept in {folder}", remedy="give the same command again to go on") from stopped
    except OSError as error:
        raise WeightsError(f"{folder}: cannot be written ({error.strerror})", remedy="free space or name another folder") from error


def _nobody(done: int, total: int, what: str) -> None:
    pass


def _chosen(plan: Plan, parts: Sequence[str]) -> tuple[Part, ...]:
    known = {part.name: part for part in plan.parts}
    for name in parts:
        if name not in known:
            raise unknown(f"part of {plan.name}", name, list(known))
    return tuple(part for part in plan.parts if not parts or part.name in parts)


def _fetch(plan: Plan, chosen: Sequence[Part], folder: Path, revision: str | None, progress: Progress) -> Fetched:
    record = _read(folder, plan)
    held = _planned(plan, chosen, record, revision)
    files = {part.name: held[part.name].files for part in chosen}
    made = _made(record)
    whole = bool(made) and revision is None and all(hub.matches(folder / file.path, file) for file in made)
    wanted = [(part, file) for part in chosen if not (whole and part.consumed) for file in files[part.name]]
    told = _Told(progress, sum(file.size for _, file in wanted), plan.name)
    absent: list[tuple[Part, Remote]] = []
    for part, file in wanted:
        told.what = "checking"
        if hub.matches(folder / part.folder / file.path, file):
            told(file.size)
        else:
            absent.append((part, file))
    adds = plan.add is not None and not whole and set(plan.add) <= held.keys()
    _room(plan, folder, absent, _sum_size(plan, held) if adds else 0)
    folder.mkdir(parents=True, exist_ok=True)
    _write(folder, plan, held, made if whole else ())
    for part, file in absent:
        told.what = "fetching"
        place = folder / part.folder / file.path
        place.unlink(missing_ok=True)  # damaged
        hub.download(held[part.name].repository, held[part.name].commit, file, place, told)
    if adds and plan.add is not None and all((folder / p.folder / f.path).exists() for p in plan.parts if p.name in plan.add for f in held[p.name].files):
        progress(told.total, told.total, "adding the differences to the language model")
        made = _add(plan, folder)
        _write(folder, plan, held, made)
    return Fetched(folder, len(wanted) + len(made), len(absent), sum(file.size for _, file in absent), plan.note)


class _Told:
    """Counts bytes, and passes them on."""

    def __init__(self, progress: Progress, total: int, name: str) -> None:
        self.progress, self.total, self.name, self.what, self.done = progress, total, name, "fetching", 0

    def __call__(self, count: int) -> None:
        self.done += count
        self.progress(self.done, self.total, f"{self.what} {self.name}")


def _planned(plan: Plan, chosen: Sequence[Part], record: Mapping[str, Any], revision: str | None) -> dict[str, _Held]:
    """Every part that the record has or that is wanted now, by name; asks the hub for those that the record lacks."""
    held = {name: _Held(p["repository"], p["revision"], p["commit"], tuple(Remote(**f) for f in p["files"])) for name, p in record.get("parts", {}).items()}
    for part in chosen:
        asked = revision if part is plan.parts[0] else None
        known = held.get(part.name)
        if known is not None and known.repository == part.repository and asked in (None, known.revision, known.commit):
            continue
        found = hub.listing(part.repository, asked or part.revision)
        held[part.name] = _Held(part.repository, asked or part.revision, found.commit, _needed(part, found.files))
    return held


def _needed(part: Part, files: Sequence[Remote]) -> tuple[Remote, ...]:
    """Those files of a repository that the loader reads, tensors once."""
    top = [file for file in files if "/" not in file.path]
    sets = ([file for file in top if _fits(file.path, patterns)] for patterns in part.weights)
    weights = next((found for found in sets if any(not file.path.endswith(".json") for file in found)), [])
    absent = [name for name in part.needed if name not in {file.path for file in top}]
    if not weights or absent:
        what = absent[0] if absent else " or ".join(patterns[0] for patterns in part.weights)
        raise WeightsError(f"{part.repository} holds no {what} at this revision", remedy="name another: --revision COMMIT, or --revision main")
    others = {name for patterns in part.weights for name in patterns if name.endswith(".json")}
    beside = [f for f in files if f not in weights and f.path not in others and (f.path in part.needed or _fits(f.path, part.beside)) and not _hidden(f.path)]
    return tuple(sorted((*beside, *weights), key=lambda file: (file.size, file.path)))


def _fits(path: str, patterns: Sequence[str]) -> bool:
    return any(fnmatch.fnmatchcase(path, pattern) for pattern in patterns)


def _hidden(path: str) -> bool:
    return path == MANIFEST or any(step.startswith(".") for step in path.split("/"))


def _room(plan: Plan, folder: Path, absent: Sequence[tuple[Part, Remote]], more: int) -> None:
    """Refuse what will not fit, before anything is fetched."""
    parts = ((hub.partial(folder / part.folder / file.path, file), file) for part, file in absent)
    need = more + sum(max(0, file.size - (path.stat().st_size if path.exists() else 0)) for path, file in parts)
    there = next(place for place in (folder, *folder.absolute().parents) if place.exists())
    free = shutil.disk_usage(there).free
    if need > free:
        what = f"{plan.name} needs {need / 1e9:,.1f} GB more in {folder} and {free / 1e9:,.1f} GB are free"
        raise WeightsError(what, remedy="free space or name a folder on another disk")


def _sum_size(plan: Plan, held: Mapping[str, _Held]) -> int:
    return sum(file.size for name in (plan.add or ())[1:] for file in held[name].files)


def _add(plan: Plan, folder: Path) -> tuple[Remote, ...]:
    """Put base and differences together, and the sum's files into the model's folder."""
    from vesalius.models.llava_med_v1 import apply_delta

    base, delta = (next(folder / part.folder for part in plan.parts if part.name == name) for name in plan.add or ())
    work = folder / "parts" / "sum"
    shutil.rmtree(work, ignore_errors=True)
    apply_delta(base, delta, work)
    made = []
    for path in sorted(work.iterdir()):
        made.append(Remote(path.name, path.stat().st_size, f"sha256:{sha256_file(path)}"))
        path.replace(folder / path.name)
    work.rmdir()
    return tuple(made)


def _read(folder: Path, plan: Plan) -> dict[str, Any]:
    """The folder's record; empty when there is none, or one that cannot be read and is made anew."""
    path = folder / MANIFEST
    if not path.exists():
        return {}
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
        if record["model"] != plan.name:
            raise ConfigError(f"{folder}: holds {record['model']}, not {plan.name}", remedy="name another folder")
        _made(record)
        _planned(plan, (), record, None)
    except (ValueError, KeyError, TypeError, AttributeError):
        return {}
    return dict(record)


def _made(record: Mapping[str, Any]) -> tuple[Remote, ...]:
    return tuple(Remote(**file) for file in record.get("made", ()))


def _write(folder: Path, plan: Plan, held: Mapping[str, _Held], made: Sequence[Remote]) -> None:
    """The record, whole or not at all."""
    folders = {part.name: part.folder for part in plan.parts}
    parts = {name: {"folder": folders.get(name, ""), **dataclasses.asdict(part)} for name, part in held.items()}
    record = {"model": plan.name, "parts": parts, "made": [dataclasses.asdict(file) for file in made]}
    work = folder / f".{MANIFEST}.part"
    work.write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")
    work.replace(folder / MANIFEST)
