"""Is the model as sure as it is right, and does answering only when sure help: calibration, and risk against coverage.

In: items of a test part, and of a development part to fit the calibration map on. Out: numbers with intervals, and tables ready to draw.
A map is never fitted on the answers it is judged by. Answers without a confidence are counted and left out.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from vesalius.domain.exchange import Answer, Outcome
from vesalius.errors import InvalidValue
from vesalius.evaluate.accuracy import Scorer, answers_yes_no, is_right
from vesalius.evaluate.record import Item
from vesalius.metrics import calibration, selective
from vesalius.metrics.statistics import cluster_bootstrap
from vesalius.metrics.text import read_outcome

BINS = 15
_CURVE_POINTS = 120
_LEAST_TO_FIT = 30
KINDS = ("closed", "open")  # as a policy stores them: answers that read as yes or no, and all others


class Judged(NamedTuple):
    """Answers with a confidence: how sure, whether right, of which item."""

    confidence: NDArray[np.float64]
    correct: NDArray[np.float64]
    items: tuple[Item, ...]

    @property
    def clusters(self) -> list[str]:
        """Image or patient of each."""
        return [item.exchange.cluster for item in self.items]


def confidence_of(answer: Answer) -> float | None:
    """The model's confidence in its answer; for a yes/no answer without one, the probability of that answer among yes and no."""
    if answer.confidence is not None:
        return answer.confidence
    if answer.p_yes is not None and answers_yes_no(answer):
        return answer.p_yes if read_outcome(answer.text) is Outcome.YES else 1 - answer.p_yes
    return None


def judged(items: Sequence[Item]) -> Judged:
    """Items whose answer has a confidence."""
    rows = [(c, is_right(item.answer, item.exchange), item) for item in items if (c := confidence_of(item.answer)) is not None]
    return Judged(np.asarray([r[0] for r in rows], dtype=np.float64), np.asarray([r[1] for r in rows], dtype=np.float64), tuple(r[2] for r in rows))


def _of_kind(items: Sequence[Item], kind: str) -> list[Item]:
    return [item for item in items if answers_yes_no(item.answer) == (kind == "closed")]


def fit(development: Sequence[Item]) -> dict[str, Any]:
    """Platt maps for yes/no answers and for the rest, fitted on development items; null with the reason where there is too little to fit."""
    found: dict[str, Any] = {}
    for kind in KINDS:
        rows = judged(_of_kind(development, kind))
        found[kind] = {"map": None, "n": len(rows.items), "reason": None}
        if len(rows.items) < _LEAST_TO_FIT:
            found[kind]["reason"] = f"only {len(rows.items)} development answers with a confidence, {_LEAST_TO_FIT} are needed"
            continue
        try:
            found[kind]["map"] = calibration.fit_platt(rows.confidence, rows.correct).to_json()
        except InvalidValue as error:
            found[kind]["reason"] = error.what
    return found


def calibrated(rows: Judged, maps: dict[str, Any]) -> NDArray[np.float64] | None:
    """Confidences after the maps; None when a map that is needed could not be fitted."""
    ready = {kind: calibration.from_json(maps[kind]["map"]) for kind in KINDS if maps[kind]["map"] is not None}
    values = []
    for confidence, item in zip(rows.confidence, rows.items, strict=True):
        chosen = ready.get("closed" if answers_yes_no(item.answer) else "open")
        if chosen is None:
            return None
        values.append(chosen(float(confidence)))
    return np.asarray(values, dtype=np.float64)


def calibrate(items: Sequence[Item], maps: dict[str, Any], scorer: Scorer) -> dict[str, Any]:
    """ECE with its consistency band, Brier score and reliability table, before and after the map, for yes/no answers, the rest, and all."""
    found: dict[str, Any] = {"bins": f"{BINS} of equal width", "without_confidence": len(items) - len(judged(items).items)}
    for kind in (*KINDS, "all"):
        rows = judged(items if kind == "all" else _of_kind(items, kind))
        mended = calibrated(rows, maps)
        found[kind] = {"raw": _quality(rows.confidence, rows, scorer), "calibrated": None if mended is None else _quality(mended, rows, scorer)}
    return found


def _quality(confidence: NDArray[np.float64], rows: Judged, scorer: Scorer) -> dict[str, Any]:
    table = calibration.reliability(confidence, rows.correct, BINS)
    replicates = min(500, scorer.replicates)
    band = calibration.ece_consistency_band(confidence, BINS, replicates=replicates, seed=scorer.seed)
    ece = cluster_bootstrap(lambda p, y: calibration.ece(p, y, BINS), confidence, rows.correct, clusters=rows.clusters, replicates=replicates, seed=scorer.seed)
    return {
        "ece": ece.to_json(),
        "ece_if_calibrated": None if band is None else {"mean": band[0], "low": band[1], "high": band[2]},
        "brier": scorer.mean(list((confidence - rows.correct) ** 2), rows.items).to_json(),
        "confidence": scorer.mean(list(confidence), rows.items).to_json(),
        "reliability": {
            "count": table.count.tolist(),
            "confidence": table.confidence.tolist(),
            "accuracy": table.accuracy.tolist(),
        },
    }


def select(items: Sequence[Item], maps: dict[str, Any], scorer: Scorer) -> dict[str, Any]:
    """Risk against coverage when answers are given in the order of their (calibrated) confidence: the ungated model's own ranking."""
    rows = judged(items)
    mended = calibrated(rows, maps)
    score = rows.confidence if mended is None else mended
    return {"score": "confidence" if mended is None else "calibrated confidence", **ranking(score, 1 - rows.correct, rows.clusters, scorer)}


def ranking(score: NDArray[np.float64], loss: NDArray[np.float64], clusters: Sequence[str], scorer: Scorer) -> dict[str, Any]:
    """AURC, excess AURC, AUROC of right against wrong, and the curve at most at 120 points."""
    replicates = min(500, scorer.replicates)

    def interval(statistic: Any) -> dict[str, Any]:  # noqa: ANN401
        return cluster_bootstrap(statistic, score, loss, clusters=clusters, replicates=replicates, seed=scorer.seed).to_json()

    coverage, risk = selective.risk_coverage(score, loss)
    places = np.unique(np.linspace(0, len(coverage) - 1, _CURVE_POINTS).round().astype(int)) if len(coverage) else np.empty(0, dtype=int)
    return {
        "n": len(score),
        "aurc": interval(selective.aurc),
        "excess_aurc": interval(selective.eaurc),
        "auroc_right_wrong": interval(lambda s, x: selective.auroc(s, 1 - x)),
        "curve": {"coverage": coverage[places].tolist(), "risk": risk[places].tolist()},
    }
