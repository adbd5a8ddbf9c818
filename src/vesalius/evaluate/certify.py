"""The certified gate: a risk score fitted on one half of the development patients, its threshold proved on the other half, or the reason why none can be.

In: a recorded run. Out: `Outcome`: a report, and a policy with its certificate when something was proved. Test items are reported on and choose nothing.
The bound is the exact binomial one, so there is one question a patient; the walk over thresholds stands in `metrics.certify`.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vesalius import provenance
from vesalius.errors import InvalidValue
from vesalius.evaluate import certify_cases as recorded
from vesalius.evaluate import certify_sets as answer_sets
from vesalius.evaluate import confidence as maps
from vesalius.evaluate.certify_cases import GATE, Case, Folder, Split
from vesalius.evaluate.certify_weigh import SEED, Flags, Gate, groups, identity_of, shares
from vesalius.metrics import certify as bounds
from vesalius.metrics.logistic import fit_logistic
from vesalius.metrics.selective import auroc
from vesalius.metrics.statistics import cluster_bootstrap
from vesalius.safety.certificate import SCORED, Certificate, GroupRisk, RiskScore, badness
from vesalius.safety.policy import Calibrations, Policy, default_policy

COMBINED, UNCERTAINTY = "combined", "uncertainty"
SCORES = (COMBINED, UNCERTAINTY)
GROUPS = ("sex", "age", "modality", "view")
CERTIFIED, ALONE, LIMITS = "certified score", "uncertainty alone", "limits of the policy"
_LEAST_TO_FIT = 20

FloatArray = NDArray[np.float64]


@dataclasses.dataclass(frozen=True)
class Request:
    """What is to be proved, fixed before anybody looks at the answers.

    Args:
        risk, confidence: at most this share of accepted answers is wrong, with this probability. method: of `metrics.certify`.
        score: "combined": of all recorded signals, fitted on half of the patients; "uncertainty": that signal alone, nothing fitted, every patient certifies.
        groups: tags beside sex, age, modality and view whose accepted risk is told.
    """

    risk: float = 0.10
    confidence: float = 0.95
    method: str = "walk"
    score: str = COMBINED
    groups: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        bounds.minimum_accepted(self.risk, self.confidence)
        if self.confidence <= 0.5:
            raise InvalidValue(f"a confidence of {self.confidence:g} proves nothing", remedy="give more than one half, such as 0.95")
        for value, known in ((self.method, bounds.METHODS), (self.score, SCORES)):
            if value not in known:
                raise InvalidValue(f"{value!r} is unknown", remedy=f"give one of {', '.join(known)}")


@dataclasses.dataclass(frozen=True)
class Outcome:
    """What came of it: the report (JSON-ready, see `docs/studies/certify.md`), and the policy when something was certified."""

    report: dict[str, Any]
    policy: Policy | None


def certify(run: Path, request: Request, *, suite: str | None = None, policy: Policy | None = None) -> Outcome:
    """Certify a gate on a recorded run.

    Args:
        run: an evaluation, or a folder that holds several. suite: which of several; None: all together. policy: what is certified; None: the one that ships.

    Raises:
        RecordFormatError: the folder holds no run, or damaged records. InvalidValue: no development items, answers of several models, no signal at all.
    """
    folders, base = recorded.read(run, suite), policy or default_policy()
    chosen = recorded.split(folders, fit=request.score == COMBINED)
    if not chosen.certify:
        raise InvalidValue(f"{run} holds no development items", remedy="certify a run whose suite has a development part; test items never certify")
    measured = recorded.measured_by(chosen)
    if measured == GATE and base.scope is not None:
        raise InvalidValue("a policy with a scope of its own cannot be certified on readings", remedy="remove [scope], or certify the plain answers")
    rules, notes = _calibrated(base, chosen, request)
    fit, proof = recorded.cases(chosen.fit, rules, measured), recorded.cases(chosen.certify, rules, measured)
    score, why = _score(fit, proof, request)
    identity = identity_of(folders[0].model)
    gate = Gate(rules, identity, measured)
    alone = RiskScore({name: float(name == UNCERTAINTY) for name in (*score.weights, UNCERTAINTY)}, link="identity")
    blocked, wrong = gate.refers(proof, score), np.asarray([case.wrong for case in proof], dtype=np.float64)
    held = {CERTIFIED: score, ALONE: alone}
    found = {name: _walk(_risks(proof, s, blocked), wrong, request) for name, s in held.items()}
    result = found[CERTIFIED]
    made = None
    if result.threshold is not None:
        accepted = _risks(proof, score, blocked) <= result.threshold
        told = groups(proof, accepted, (*GROUPS, *request.groups))
        made = _certificate(result, score, request, chosen, identity, told, measured)
    limits = recorded.cases(chosen.certify, base, measured)
    kept = ~Gate(base, identity, measured).refers(limits)
    report = {
        "request": dataclasses.asdict(request),
        "measured": measured,
        "suites": [folder.name for folder in folders],
        "model": identity,
        "split": {
            "sha256": chosen.digest(),
            "development_items": chosen.development,
            "clusters": chosen.clusters,
            "fit_clusters": len({case.cluster for case in fit}),
            "fit_cases": len(fit),
            "cases": len(proof),
            "never_accepted": int(blocked.sum()),
            "errors": int(wrong.sum()),
        },
        "signals": why,
        "notes": notes,
        "certificate": None if made is None else dataclasses.asdict(made),
        "nothing": None if made is not None else _nothing(result, request),
        "compare": {
            **{name: {**dataclasses.asdict(f), "tells_wrong": _tells(proof, held[name], wrong)} for name, f in found.items()},
            LIMITS: _limits(kept, np.asarray([case.wrong for case in limits], dtype=bool), request.confidence),
        },
        "test": _test(folders, chosen, {name: (s, found[name].threshold) for name, s in held.items()}, base, gate, measured),
        "sets": answer_sets.sets(
            chosen.certify,
            recorded.untouched(folders, chosen)[0],
            alpha=request.risk,
            confidence=request.confidence,
            tags=(*GROUPS, *request.groups),
        ),
    }
    final = None if made is None else dataclasses.replace(rules, name=f"{base.name}, certified", certificate=made)
    return Outcome(report, final)


def _calibrated(base: Policy, chosen: Split, request: Request) -> tuple[Policy, list[str]]:
    """The policy with maps from confidence to being right that no case of the certificate has seen: fitted on the other half, or none."""
    if request.score != COMBINED:
        return dataclasses.replace(base, calibration=None), ["the policy's calibration is left out: it may have been fitted on these cases"]
    fitted = maps.fit([item for _, item in chosen.fit])
    notes = [f"no map of {kind} answers: {fitted[kind]['reason']}" for kind in maps.KINDS if fitted[kind]["map"] is None]
    tables = {kind: fitted[kind]["map"] for kind in maps.KINDS}
    if not any(tables.values()):
        return dataclasses.replace(base, calibration=None), notes
    name = str(chosen.fit[0][0].model.get("name"))
    counts = ", ".join(f"{fitted[kind]['n']} {kind}" for kind in maps.KINDS)
    source = f"Platt maps on the fitting half of the development answers: {counts}"
    return dataclasses.replace(base, calibration=Calibrations(tables["closed"], tables["open"], source, name)), notes


def _score(fit: Sequence[Case], proof: Sequence[Case], request: Request) -> tuple[RiskScore, dict[str, Any]]:
    """The risk score, and for each signal how often it was measured, its weight, and why it has none."""
    counted = {name: sum(case.signals.items()[name].value is not None for case in proof) for name in SCORED}
    known = [name for name in SCORED if counted[name]]
    if not known:
        raise InvalidValue("no signal is recorded, not even a confidence", remedy="certify a model that gives confidences, or read the cases through the gate")
    why: dict[str, Any] = {
        name: {"measured": counted[name], "n": len(proof), "weight": None, "why": None if n else "not recorded"} for name, n in counted.items()
    }
    wrong = np.asarray([case.wrong for case in fit], dtype=np.float64)
    if request.score == COMBINED and len(fit) >= _LEAST_TO_FIT and 0 < wrong.sum() < len(fit):
        features = np.asarray([[badness(name, case.signals.items()[name].value) for name in known] for case in fit])
        intercept, weights = fit_logistic(features, wrong)
        score = RiskScore(dict(zip(known, weights.tolist(), strict=True)), intercept)
    else:
        if UNCERTAINTY not in known:
            raise InvalidValue(
                "no confidence is recorded, and nothing can be fitted", remedy="read the cases through the gate (--data), or record more of them"
            )
        if request.score == COMBINED:
            why["fitted"] = f"not fitted: {len(fit)} cases with {int(wrong.sum())} errors; uncertainty alone is used"
        score = RiskScore({name: float(name == UNCERTAINTY) for name in known}, link="identity")
    for name, weight in score.weights.items():
        why[name]["weight"] = weight
    return score, why


def _risks(proof: Sequence[Case], score: RiskScore, blocked: Flags) -> FloatArray:
    """The score of each case; infinity where another rule of the gate refers it."""
    return np.asarray([math.inf if out else score(case.signals) for case, out in zip(proof, blocked, strict=True)])


def _walk(risks: FloatArray, wrong: FloatArray, request: Request) -> bounds.Certified:
    return bounds.certify(risks, wrong, risk=request.risk, confidence=request.confidence, method=request.method)


def _tells(proof: Sequence[Case], score: RiskScore, wrong: FloatArray) -> dict[str, Any]:
    risks = np.asarray([score(case.signals) for case in proof])
    return cluster_bootstrap(auroc, risks, wrong, clusters=[case.cluster for case in proof], replicates=500, seed=SEED).to_json()


def _limits(kept: Flags, wrong: Flags, confidence: float) -> dict[str, Any]:
    """What the policy's own limits accept, uncertified: they were not fitted to anything here."""
    accepted, errors = int(kept.sum()), int((kept & wrong).sum())
    bound = bounds.upper_bound(errors, accepted, confidence)
    return {"n": len(kept), "accepted": accepted, "errors": errors, "bound": bound, "coverage": accepted / len(kept)}


def _nothing(result: bounds.Certified, request: Request) -> dict[str, Any]:
    """Why nothing was certified, and what would be needed."""
    least = bounds.minimum_accepted(request.risk, request.confidence)
    found: dict[str, Any] = {"why": result.reason, "least_accepted_without_error": least, "cases": result.n, "observed": result.best, "accepted_needed": None}
    if result.best is not None:
        found["accepted_needed"] = bounds.needed_accepted(result.best[1] / result.best[0], request.risk, request.confidence)
    return found


def _certificate(
    result: bounds.Certified,
    score: RiskScore,
    request: Request,
    chosen: Split,
    identity: Mapping[str, str],
    told: tuple[GroupRisk, ...],
    measured: str,
) -> Certificate:
    made = provenance.record(seed=SEED)
    parts = sorted({f"{folder.name} {part}" for folder, item in (*chosen.fit, *chosen.certify) for part in item.parts})
    return Certificate(
        risk=request.risk,
        confidence=request.confidence,
        threshold=result.threshold or 0.0,
        score=score,
        method=request.method,
        start=result.start,
        n=result.n,
        accepted=result.accepted or 0,
        errors=result.errors or 0,
        bound=result.bound or 0.0,
        coverage=result.coverage or 0.0,
        split=chosen.digest(),
        measured=measured,
        model={key: value for key, value in identity.items() if key != "prompt"},
        suites=tuple(parts),
        prompt=identity.get("prompt"),
        conditions=_conditions(score, measured, chosen),
        groups=told,
        made=made.created,
        command=made.command,
        versions=made.versions,
    )


def _conditions(score: RiskScore, measured: str, chosen: Split) -> tuple[str, ...]:
    """When the proof does not hold, in words."""
    found = [
        "another model, other weights or another prompt",
        "another site, scanner, mix of patients or kind of question than the calibration cases",
        "a single answer, the answers about one patient, or one group: it is a share over many patients",
        "pictures of other patients from elsewhere than here (give ask the same --data)",
    ]
    if measured == GATE:
        readings = [folder.readings[item.id] for folder, item in chosen.certify]
        most = [max(len(reading.get(name, ())) for reading in readings) for name in ("paraphrases", "samples")]
        found.append(f"other numbers of rewordings and samples than at most {most[0]} and {most[1]}")
    absent = [name.replace("_", " ") for name in SCORED if name not in score.weights]
    if absent:
        found.append(f"what the limits on {', '.join(absent)} leave: they had no part here, and may refer further answers")
    return tuple(found)


def _test(
    folders: Sequence[Folder],
    chosen: Split,
    held: Mapping[str, tuple[RiskScore, float | None]],
    base: Policy,
    gate: Gate,
    measured: str,
) -> dict[str, Any]:
    """The same rules on test items of patients that had no part in the certificate. Reported; nothing is chosen by it."""
    rows, left_out = recorded.untouched(folders, chosen)
    found: dict[str, Any] = {"left_out": left_out}
    proved = {name: (score, threshold) for name, (score, threshold) in held.items() if threshold is not None}
    if proved:
        seen = recorded.cases(rows, gate.policy, measured)
        blocked = gate.refers(seen, next(iter(proved.values()))[0])
        found |= {name: shares(seen, _risks(seen, score, blocked) <= threshold) for name, (score, threshold) in proved.items()}
    plain = recorded.cases(rows, base, measured)
    return found | {LIMITS: shares(plain, ~Gate(base, gate.identity, measured).refers(plain))}
