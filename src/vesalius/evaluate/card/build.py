"""A card from runs: everything that the page and the model card say, made once; and the flat list of figures as JSON.

In: runs, an earlier run to hold them against, and where pictures are wanted a data root. Out: `Card`. The same runs give the same card, byte for byte;
only the page carries the day on which it was made.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from vesalius.evaluate.card.compare import Difference, differences
from vesalius.evaluate.card.headline import headline
from vesalius.evaluate.card.parts import Section
from vesalius.evaluate.card.properties import Property, properties
from vesalius.evaluate.card.runs import Run
from vesalius.evaluate.card.sections import sections
from vesalius.evaluate.card.verdict import false_progress, verdict, warnings
from vesalius.evaluate.card.worst import Worst, worst

_FILE_FORMAT = 1


@dataclasses.dataclass(frozen=True)
class Sheet:
    """What a card says of one run. alarm: the first line when consistency was bought with blindness. absent: (what was not measured, why)."""

    run: Run
    verdict: str
    alarm: str | None
    warnings: tuple[str, ...]
    properties: tuple[Property, ...]
    sections: tuple[Section, ...]
    worst: tuple[Worst, ...]
    absent: tuple[tuple[str, str], ...]
    facts: tuple[tuple[str, str], ...]


@dataclasses.dataclass(frozen=True)
class Card:
    """Runs side by side. reference: what the others are held against (a baseline, or the first of several runs); changes: by the label of a run."""

    sheets: tuple[Sheet, ...]
    reference: Run | None
    changes: Mapping[str, tuple[Difference, ...]]


def build(runs: Sequence[Run], *, baseline: Run | None = None, pictures: Path | None = None) -> Card:
    """The card of runs.

    Args:
        baseline: an earlier run; without one, a run's own folder `before` is held against it, and several runs against the first.
        pictures: the data root, when pictures of the worst answers are wanted.

    Raises:
        RecordFormatError: recorded items, or a certificate, are damaged.
    """
    several = runs[0] if len(runs) > 1 else None
    reference = baseline or several
    sheets = tuple(_sheet(run, baseline or run.before, pictures) for run in runs)
    pairs = {run.label: reference or run.before for run in runs}
    changes = {run.label: tuple(differences(other, run)) for run in runs if (other := pairs[run.label]) is not None and other is not run}
    return Card(sheets, reference or (runs[0].before if len(runs) == 1 else None), changes)


def figures_json(card: Card) -> dict[str, Any]:
    """The flat list: every headline figure of every run, what was not measured, and differences to the reference."""
    return {
        "format": _FILE_FORMAT,
        "runs": [
            {
                "run": sheet.run.label,
                "model": {key: sheet.run.model.get(key) for key in ("name", "called", "revision", "identity")},
                "created": sheet.run.made.get("created"),
                "verdict": sheet.alarm or sheet.verdict,
                "warnings": list(sheet.warnings),
                "figures": [figure.to_json() for figure in headline(sheet.run.results)],
                "not_measured": [{"what": what, "why": why} for what, why in sheet.absent],
                "certificate": None if sheet.run.certified is None else dataclasses.asdict(sheet.run.certified),
            }
            for sheet in card.sheets
        ],
        "reference": None if card.reference is None else card.reference.label,
        "differences": {label: [dataclasses.asdict(d) for d in rows] for label, rows in card.changes.items()},
    }


def _sheet(run: Run, before: Run | None, pictures: Path | None) -> Sheet:
    shown = tuple(properties(run.results))
    return Sheet(
        run,
        verdict(run),
        None if before is None or before is run else false_progress(run, before),
        tuple(warnings(run)),
        shown,
        tuple(sections(run)),
        tuple(worst(run.items, root=pictures)),
        _absent(run, shown),
        tuple(_facts(run)),
    )


def _absent(run: Run, shown: Sequence[Property]) -> tuple[tuple[str, str], ...]:
    """What was skipped by the run, and properties without a figure that no skipped study explains."""
    told = dict(run.skipped)
    told.update({p.about.title.lower(): p.why for p in shown if p.why and p.about.study not in told})
    return tuple(told.items())


def _facts(run: Run) -> list[tuple[str, str]]:
    made, model, suite = run.made, run.model, run.results.get("suite") or {}
    hardware, versions = made.get("hardware") or {}, made.get("versions") or {}
    weights = ", ".join(f"{key} {value}" for key, value in (model.get("identity") or {}).items() if key not in ("name", "revision") and value)
    counted = ", ".join(f"{name} {count:,}" for name, count in (run.results.get("items") or {}).items())
    return [
        ("Model", f"{model.get('called', '')} {model.get('revision', '')}".strip()),
        ("Weights", weights or "–"),
        ("Recorded", counted or "no items"),
        ("Data", f"SHA-256 {made['data_hash']}" if made.get("data_hash") else "hashes stand in the provenance of each evaluation"),
        ("Seed", f"{suite.get('seed', '–')}, {suite.get('replicates') or 0:,} bootstrap replicates"),
        ("Limits", f"items {suite.get('limit') or 'all'}, images of each study {suite.get('study_limit') or 'all'}, reworded {suite.get('reworded', '–')}"),
        ("Run on", str(made.get("created") or "–")),
        ("Machine", f"{hardware.get('processor', '–')}, {hardware.get('cores', '?')} cores"),
        ("Versions", ", ".join(f"{name} {version}" for name, version in versions.items()) or "–"),
        ("Command", re.sub(r"--data[ =]\S+", "--data ROOT", str(made.get("command") or "–"))),  # where the data lie on a machine is nobody's business
    ]
