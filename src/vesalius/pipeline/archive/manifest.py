"""The record of a released study: what was done to each file by which rule, what was searched for, what is left to know; signed with the key.

In: what a job wrote and what the second reader said. Out: `manifest.json`, `actions.jsonl` and `manifest.html` beside the files. No value of the source is in
them: a digest is an HMAC that only who holds the key can compare with a guess, `after` is what now stands in the file.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vesalius import __version__
from vesalius.errors import UserError
from vesalius.formats import header
from vesalius.formats.deidentify import Key
from vesalius.pipeline.archive import sheet
from vesalius.pipeline.archive.plan import Plan

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

    from vesalius.formats.deidentify.verify import Verdict
    from vesalius.pipeline.archive.study import Written

NAME, ACTIONS, PAGE = "manifest.json", "actions.jsonl", "manifest.html"
OWN = frozenset({NAME, ACTIONS, PAGE})
_LONGEST_AFTER = 64


def write(folder: Path, written: Sequence[Written], verdict: Verdict, key: Key, plan: Plan, *, patient: str, study: str, apart: Sequence[str]) -> None:
    """Leave the record in the folder of a study."""
    counts: Counter[str] = Counter()
    with (folder / ACTIONS).open("w", encoding="utf-8") as stream:
        for one in written:
            clean = None if one.name.endswith(".txt") else header.open_dataset(folder / one.name, pixels=False)
            for kind, row in _steps(one, clean):
                stream.write(json.dumps(row) + "\n")
                counts[kind] += 1
    record = {
        "vesalius": __version__,
        "patient": patient,
        "study": study,
        "key": key.id,
        "plan": dataclasses.asdict(plan),
        "files": [_file(folder, one) for one in written],
        "actions": {"sha256": _sha256(folder / ACTIONS), "counts": dict(sorted(counts.items()))},
        "set_apart": len(apart),
        "second_reader": {
            "searched_for": verdict.secrets,
            "searched": verdict.searched,
            "found": sum(hit.sure for hit in verdict.hits),
            "doubtful": [{"kind": str(h.kind), "removed_at": h.removed_at, "found_at": h.found_at, "variant": h.variant} for h in verdict.hits if not h.sure],
        },
        "residual": residual(written, verdict, plan, len(apart)),
    }
    signed = {**record, "signature": {"method": "HMAC-SHA-256 with the pseudonym key", "value": _signature(record, key)}}
    (folder / NAME).write_text(json.dumps(signed, indent=1, sort_keys=True), encoding="utf-8")
    (folder / PAGE).write_text(sheet.page(signed), encoding="utf-8")


def residual(written: Sequence[Written], verdict: Verdict, plan: Plan, apart: int) -> list[str]:
    """What a reader of the release must know, in sentences."""
    images = [one for one in written if one.triage is not None or one.redaction is not None]
    unread = sum(one.redaction is None for one in images)
    unsure = sum(len(one.redaction.unsure) for one in written if one.redaction)
    faces = sum("face" in reason for one in written for reason in (one.redaction.reasons if one.redaction else one.triage.reasons if one.triage else ()))
    doubts = sum(not hit.sure for hit in verdict.hits)
    found = []
    if plan.pixels.read == "nothing":
        found.append("No pixels were read: text burned into images is still there.")
    elif unread:
        found.append(f"{unread} image(s) were passed over: neither header nor a quick look made text likely.")
    if unsure:
        found.append(f"{unsure} box(es) in pixels were read with doubt; they were filled and wait for a person in the private queue.")
    if faces:
        found.append(f"{faces} image(s) show a head, from which a face may be recognised.")
    if doubts:
        found.append(f"{doubts} doubtful place(s) where something like a removed value stands, listed under the second reader.")
    kept = [name.replace("_", " ") for name in plan.header.options if name.startswith("retain")]
    if kept:
        found.append(f"Kept by option: {', '.join(kept)}.")
    if any(one.name.endswith(".txt") for one in written):
        found.append(
            f"Free text was cleaned by {'rules and names of the header' if plan.text.finder == 'rules' else 'rules, names of the header and Presidio'}."
        )
    if apart:
        found.append(f"{apart} file(s) of the study were set apart and are not here.")
    return found


def check(release: Path, key: Key) -> list[str]:
    """What is wrong with a release: a manifest that was not signed with this key or was changed, a file that was changed, is missing or has no manifest.

    Raises:
        UserError: no such folder.
    """
    if not release.is_dir():
        raise UserError(f"{release}: is no folder", remedy="give the destination of an earlier run")
    wrong: list[str] = []
    covered: set[Path] = set()
    for path in sorted(release.rglob(NAME)):
        wrong += _check_study(path, release, key, covered)
    wrong += [f"{path.relative_to(release)}: is in no manifest" for path in sorted(release.rglob("*")) if path.is_file() and path not in covered]
    return wrong


def _check_study(path: Path, release: Path, key: Key, covered: set[Path]) -> list[str]:
    where = path.parent.relative_to(release)
    covered |= {path.parent / name for name in OWN}
    try:
        held: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        record = {name: value for name, value in held.items() if name != "signature"}
        if held["signature"]["value"] != _signature(record, key):
            covered |= set(path.parent.rglob("*"))
            return [f"{where}: the manifest was changed, or signed with another key"]
        expected = {path.parent / one["name"]: one["sha256"] for one in held["files"]} | {path.parent / ACTIONS: held["actions"]["sha256"]}
    except (OSError, ValueError, KeyError, TypeError):
        return [f"{where}: the manifest is damaged"]
    covered |= set(expected)
    wrong = []
    for file, digest in expected.items():
        if not file.exists():
            wrong.append(f"{file.relative_to(release)}: is missing")
        elif _sha256(file) != digest:
            wrong.append(f"{file.relative_to(release)}: was changed")
    return wrong


def _file(folder: Path, one: Written) -> dict[str, Any]:
    seen = {} if one.triage is None else {"triage": list(one.triage.reasons)}
    filled = (
        {} if one.redaction is None else {"frames_read": one.redaction.frames_read, "boxes": len(one.redaction.boxes), "pixels": list(one.redaction.reasons)}
    )
    return {"name": one.name, "sha256": _sha256(folder / one.name), "actions": len(one.actions), **seen, **filled}


def _steps(one: Written, clean: Dataset | None) -> Iterator[tuple[str, dict[str, Any]]]:
    """What was done to a file, step by step, with the kind of each step."""
    for action in one.actions:
        kind = f"{'text' if clean is None else 'header'}: {action.action}"
        told = {"rule": action.rule, "action": action.action, "at": action.path, "before": action.digest, "after": _after(clean, action.path)}
        yield kind, {"file": one.name, **told}
    for number, box in enumerate(one.redaction.boxes if one.redaction else ()):
        corners = [[round(float(x), 1), round(float(y), 1)] for x, y in box.polygon]
        told = {"rule": "burned-in text", "action": "filled", "at": f"frame {box.frame} box {number}", "before": box.digest}
        yield "pixels: filled", {"file": one.name, **told, "after": corners}


def _signature(record: dict[str, Any], key: Key) -> str:
    return key.digest("manifest", json.dumps(record, sort_keys=True).encode()).hex()


def _sha256(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _after(dataset: Dataset | None, path: str) -> str | None:
    """What stands at a path of tags now; None where nothing does, or where it is long."""
    if dataset is None:
        return None
    try:
        here: Any = dataset
        for step in path.split("."):
            tag, _, item = step.partition(")[")
            element = here[int(tag.strip("()").replace(",", ""), 16)]
            here = element.value[int(item.rstrip("]"))] if item else element.value
    except header.parser_failures():
        return None
    text = "\\".join(map(str, here)) if type(here).__name__ == "MultiValue" else str(here)
    return text if not isinstance(here, bytes) and type(here).__name__ != "Sequence" and len(text) <= _LONGEST_AFTER else None
