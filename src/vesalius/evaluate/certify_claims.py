"""Reports cut to the claims that can be kept: all of what is left is right in a stated share of reports (conformal factuality, arXiv 2402.10978).

In: a file of reports (`certify_reports.read`), some with which of their claims are right; one a patient sets the cut, one a patient of others shows what it
does. Out: a JSON-ready mapping (`docs/studies/certify.md`), and every report with its claims kept and struck. The share holds for reports like those that set
the cut, on average over such sets; nothing is said of what a report leaves out.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from vesalius.data.splits import unit_hash
from vesalius.domain.exchange import Split
from vesalius.errors import InvalidValue
from vesalius.evaluate.certify_reports import Report, read
from vesalius.evaluate.certify_sets import Quantile, quantile
from vesalius.evaluate.record import keep
from vesalius.metrics import certify as bounds
from vesalius.metrics.statistics import clopper_pearson

CALIBRATION, HELD_OUT, NEW, ASIDE = "calibration", "held out", "new", "not counted"
ALL, ABOVE, NOTHING = "every claim", "claims above the cut", "nothing"


@dataclasses.dataclass(frozen=True)
class Cut:
    """What came of it.

    Args:
        report: JSON-ready. rows: every report of the file, in its order, with its part, its claims kept and its claims struck. keeps: whether any claim is.
    """

    report: dict[str, Any]
    rows: tuple[dict[str, Any], ...]

    @property
    def keeps(self) -> bool:
        """Whether anything may be kept."""
        return bool(self.report["keeps"] != NOTHING)


def cut(path: Path, *, alpha: float = 0.10, share: float = 1.0, confidence: float = 0.95) -> Cut:
    """Find the cut and apply it.

    Args:
        path: JSON lines. alpha: share of reports that may fail. share: a report fails when fewer than this share of its kept claims are right; 1: when any is
            wrong. confidence: of what is said about this one calibration set.

    Raises:
        RecordFormatError: the file. InvalidValue: a level out of range, or no report whose claims are judged.
    """
    reports = read(path)
    part = parts(reports)
    fitted = [report for report in reports if part[report.id] == CALIBRATION]
    if not fitted:
        raise InvalidValue(f"{path}: no report can set a cut, for none is judged", remedy="give reports a reference, or their claims `right`")
    scores = [bounds.claim_cut(report.scores, report.right, share) for report in fitted]
    found = quantile(scores, alpha, confidence)
    kept = {report.id: [bool(k) for k in bounds.keep_claims(report.scores, found.value)] for report in reports}
    seen = [report for report in reports if part[report.id] == HELD_OUT]
    keeps, why = _keeps(fitted, scores, found)
    result = {
        "alpha": alpha,
        "share": share,
        "confidence": confidence,
        "reports": {name: sum(p == name for p in part.values()) for name in (CALIBRATION, HELD_OUT, NEW, ASIDE)},
        "score": next((report.source for report in reports if report.source is not None), None),
        "samples": _samples(reports),
        "cut": found.value if math.isfinite(found.value) else None,
        "keeps": keeps,
        "why": why,
        "at_least": found.at_least,
        "calibration": _shown(fitted, kept, share),
        "held_out": _shown(seen, kept, share),
    }
    return Cut(result, tuple(_row(report, part[report.id], kept[report.id]) for report in reports))


def write(found: Cut, path: Path) -> None:
    """Write the rows as JSON lines. Raises: OutputError."""
    keep(path, found.rows)


def parts(reports: Sequence[Report]) -> dict[str, str]:
    """The part of each report by its id; no claim and no score has a say.

    Judged reports: one of each patient, by a fixed hash of its id. Where the file says development and test, those set the cut and are held out; else half of
    the patients, by a fixed hash, sets it. Of patients in both, the test reports are not counted. Reports that are not judged are new.
    """
    found = {report.id: ASIDE if report.judged else NEW for report in reports}
    ranked = sorted((report for report in reports if report.judged), key=lambda report: unit_hash(report.id, salt="certify-report"))
    if any(report.split is not None for report in ranked):
        setting = _one_each([report for report in ranked if report.split is Split.DEVELOPMENT])
        taken = {report.cluster for report in ranked if report.split in (Split.DEVELOPMENT, Split.TRAIN)}
        rest = _one_each([report for report in ranked if report.split is Split.TEST and report.cluster not in taken])
    else:
        order = sorted(_one_each(ranked), key=lambda report: unit_hash(report.cluster, salt="certify-report-half"))
        half = (len(order) + 1) // 2
        setting, rest = order[:half], order[half:]
    found |= dict.fromkeys((report.id for report in setting), CALIBRATION)
    return found | dict.fromkeys((report.id for report in rest), HELD_OUT)


def _one_each(reports: Sequence[Report]) -> list[Report]:
    first: dict[str, Report] = {}
    for report in reports:
        first.setdefault(report.cluster, report)
    return list(first.values())


def _keeps(fitted: Sequence[Report], scores: Sequence[float], found: Quantile) -> tuple[str, str | None]:
    """What the cut leaves, and why when that is nothing."""
    if found.n < found.least:
        return NOTHING, f"{found.n} reports set the cut, and {found.least} are the fewest"
    if found.value == -math.inf:
        return ALL, None
    top = max(score for report in fitted for score in report.scores)
    if found.value < top:
        return ABOVE, None
    sure = sum(score >= top for score in scores)
    return NOTHING, f"in {sure} of {found.n} reports a claim that fails them has the highest score there is ({top:g}), and {found.above} may"


def _shown(reports: Sequence[Report], kept: dict[str, list[bool]], share: float) -> dict[str, Any]:
    """What the cut does to judged reports: how often they hold, with the exact interval, and what it costs."""
    before = sum(_holds(report, [True] * len(report.claims), share) for report in reports)
    left = [report for report in reports if any(kept[report.id])]
    held = sum(_holds(report, kept[report.id], share) for report in left)
    empty = len(reports) - len(left)
    claims = [(claim, k) for report in reports for claim, k in zip(report.claims, kept[report.id], strict=True)]
    return {
        "n": len(reports),
        "holds": clopper_pearson(held + empty, len(reports)).to_json(),
        "holds_uncut": clopper_pearson(before, len(reports)).to_json(),
        "holds_with_claims_left": clopper_pearson(held, len(left)).to_json(),
        "nothing_left": empty,
        "nothing_said": sum(not report.claims for report in reports),
        "claims": len(claims),
        "kept": sum(k for _, k in claims),
        "wrong": sum(not claim.right for claim, _ in claims),
        "wrong_kept": sum(k and not claim.right for claim, k in claims),
        "by_status": {
            status: {
                "claims": len(here),
                "kept": sum(k for _, k in here),
                "wrong": sum(not claim.right for claim, _ in here),
                "wrong_kept": sum(k and not claim.right for claim, k in here),
            }
            for status in sorted({claim.status or "not stated" for claim, _ in claims})
            if (here := [(claim, k) for claim, k in claims if (claim.status or "not stated") == status])
        },
    }


def _holds(report: Report, kept: Sequence[bool], share: float) -> bool:
    right = [bool(claim.right) for claim, k in zip(report.claims, kept, strict=True) if k]
    return not right or sum(right) / len(right) >= share


def _samples(reports: Sequence[Report]) -> list[int] | None:
    """Fewest and most samples of a report; None where scores were given."""
    counts = [report.samples for report in reports if report.samples is not None]
    return [min(counts), max(counts)] if counts else None


def _row(report: Report, part: str, kept: Sequence[bool]) -> dict[str, Any]:
    claims = [(claim.to_json(), k) for claim, k in zip(report.claims, kept, strict=True)]
    return {
        "id": report.id,
        "cluster": report.cluster,
        "part": part,
        "kept": [claim for claim, k in claims if k],
        "struck": [claim for claim, k in claims if not k],
    }
