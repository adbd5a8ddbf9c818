"""A recorded trust run as a card reads it: results, provenance, recorded items, and what was certified of its gate.

In: a folder of `vesalius evaluate trust`. Out: a `Run`. `certificate.json` (what `vesalius certify RUN --json` prints) or `policy.toml` (what it writes with
--out) may lie in the folder; either counts only when it is of the model that answered. A folder `before` holds an earlier run to be held against.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

from vesalius.evaluate.record import Item, RecordFormatError, read_items
from vesalius.evaluate.study import Bench
from vesalius.evaluate.task import ITEMS, PROVENANCE, read_provenance
from vesalius.evaluate.trust import RESULTS
from vesalius.safety.policy import read_policy

CERTIFICATE, POLICY, BEFORE = "certificate.json", "policy.toml", "before"
_WHO = ("name", "revision", "weights")


@dataclasses.dataclass(frozen=True)
class Certified:
    """What was asked to be proved of a gate, and what came of it.

    Args:
        risk, confidence: asked for. source: the file it was read from.
        why: why nothing could be certified, or why the file does not count; None when something was certified.
        threshold, bound: of the certificate. points: (coverage, risk, on what) of the accepted answers.
    """

    risk: float | None
    confidence: float | None
    source: str
    why: str | None = None
    threshold: float | None = None
    bound: float | None = None
    points: tuple[tuple[float, float, str], ...] = ()


@dataclasses.dataclass(frozen=True)
class Run:
    """One run. label: what it is called on the card; unique among the runs of one card."""

    folder: Path
    label: str
    results: Mapping[str, Any]
    made: Mapping[str, Any]

    @property
    def studies(self) -> Mapping[str, Any]:
        """Results by study."""
        found: Mapping[str, Any] = self.results["studies"]
        return found

    @property
    def skipped(self) -> Mapping[str, str]:
        """Why what was skipped was skipped."""
        return self.results.get("skipped") or {}

    @property
    def model(self) -> Mapping[str, Any]:
        """Who answered."""
        found: Mapping[str, Any] = self.results["model"]
        return found

    @cached_property
    def items(self) -> dict[str, list[Item]]:
        """Recorded test items by suite, for those whose records lie in the folder.

        Raises:
            RecordFormatError: a record is damaged.
        """
        bench = Bench(items={name: read_items(self.folder / name / ITEMS) for name in self.results.get("items") or {}})
        return {name: found for name in bench.items if (found := bench.test_items(name))}

    @cached_property
    def certified(self) -> Certified | None:
        """What was proved of the gate; None when nobody tried.

        Raises:
            RecordFormatError: `certificate.json` is damaged. ConfigError: `policy.toml` is.
        """
        if (self.folder / CERTIFICATE).exists():
            return _of_report(self.folder / CERTIFICATE, self.model)
        if (self.folder / POLICY).exists():
            return _of_policy(self.folder / POLICY, self.model)
        return None

    @cached_property
    def before(self) -> Run | None:
        """The earlier run in the folder `before`, if there is one."""
        folder = self.folder / BEFORE
        return read(folder, f"{self.label} ({BEFORE})") if (folder / RESULTS).exists() else None


def read(folder: Path, label: str | None = None) -> Run:
    """A run.

    Raises:
        RecordFormatError: the folder holds no scored trust run, or damaged files.
    """
    path = folder / RESULTS
    try:
        results = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(results["studies"], dict) or not isinstance(results["model"], dict):
            raise TypeError("studies and model must be objects")
    except OSError as error:
        raise RecordFormatError(f"{folder} holds no {RESULTS} ({error.strerror})", remedy="give the --out of 'vesalius evaluate trust'") from error
    except (ValueError, KeyError, TypeError) as error:
        raise RecordFormatError(f"{path}: is damaged ({type(error).__name__}: {error})", remedy="run: vesalius evaluate rescore RUN") from error
    made = read_provenance(folder) if (folder / PROVENANCE).exists() else {}
    called = str(results["model"].get("called") or results["model"].get("name") or folder.name)
    return Run(folder, label or called, results, made)


def read_all(folders: Sequence[Path]) -> list[Run]:
    """Several runs, with labels of their own where their models are called the same.

    Raises:
        RecordFormatError: as `read`; or a folder stands twice.
    """
    if len({folder.resolve() for folder in folders}) < len(folders):
        raise RecordFormatError("a run stands twice", remedy="give each folder once")
    runs = [read(folder) for folder in folders]
    names = [run.label for run in runs]
    alone = [dataclasses.replace(run, label=f"{run.label} ({run.folder.name})") if names.count(run.label) > 1 else run for run in runs]
    seen = [run.label for run in alone]
    return [dataclasses.replace(run, label=f"{run.label}, {place}") if seen.count(run.label) > 1 else run for place, run in enumerate(alone, 1)]


def _of_report(path: Path, model: Mapping[str, Any]) -> Certified:
    try:
        report = json.loads(path.read_text(encoding="utf-8"))
        risk, confidence, made = report["request"]["risk"], report["request"]["confidence"], report["certificate"]
        if other := _differs(report["model"], model):
            return Certified(risk, confidence, path.name, f"{path.name} is of another model ({other})")
        if made is None:
            return Certified(risk, confidence, path.name, str(report["nothing"]["why"]))
        return Certified(risk, confidence, path.name, None, made["threshold"], made["bound"], _points(made, report.get("test") or {}))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise RecordFormatError(f"{path}: is no report of a certificate ({error})", remedy="run: vesalius certify RUN --json > certificate.json") from error


def _of_policy(path: Path, model: Mapping[str, Any]) -> Certified:
    certificate = read_policy(path).certificate
    if certificate is None:
        return Certified(None, None, path.name, f"{path.name} has no certificate")
    if other := _differs(certificate.model, model):
        return Certified(certificate.risk, certificate.confidence, path.name, f"{path.name} is of another model ({other})")
    points = _points(dataclasses.asdict(certificate), {})
    return Certified(certificate.risk, certificate.confidence, path.name, None, certificate.threshold, certificate.bound, points)


def _points(made: Mapping[str, Any], test: Mapping[str, Any]) -> tuple[tuple[float, float, str], ...]:
    """Where the certified threshold stands: on the calibration cases, and on test items where the report tells."""
    found = [(float(made["coverage"]), made["errors"] / made["accepted"], f"{made['n']} calibration cases")]
    shares = test.get("certified score")
    if shares and shares["coverage"]["value"] is not None and shares["accepted_risk"]["value"] is not None:
        found.append((shares["coverage"]["value"], shares["accepted_risk"]["value"], f"{shares['n']:,} test items"))
    return tuple(found)


def _differs(certified: Mapping[str, Any], model: Mapping[str, Any]) -> str:
    """How the certified model is another than the one at hand, as words; empty when it is the same."""
    here = {**model, **(model.get("identity") or {})}
    odd = [f"{key} {certified[key]}" for key in _WHO if certified.get(key) is not None and str(here.get(key)) != str(certified[key])]
    return ", ".join(odd)
