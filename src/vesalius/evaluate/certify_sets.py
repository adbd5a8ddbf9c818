"""Answer sets beside a certificate: which of yes and no cannot be excluded, so that the right answer is left in a stated share of questions.

In: the calibration cases of `certify_cases`, one a patient or image, and test items of other patients, each with its recorded P(yes). Out: a JSON-ready mapping
(`docs/studies/certify.md`). Split conformal prediction, `metrics.certify`: the share holds on average over calibration sets, which is less than a certificate
says; what this one calibration set leaves of it stands beside it (`Quantile.at_least`).
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from vesalius.domain.exchange import Outcome
from vesalius.evaluate.certify_cases import Folder
from vesalius.evaluate.certify_weigh import SEED, group_of
from vesalius.evaluate.record import Item
from vesalius.metrics import certify as bounds
from vesalius.metrics.statistics import clopper_pearson, cluster_mean
from vesalius.metrics.text import normalise

SUITE = "suite"
_OTHER = 2  # the right answer is neither yes nor no, so that no set holds it
_PLACE = {Outcome.YES.value: 0, Outcome.NO.value: 1}

FloatArray = NDArray[np.float64]
Flags = NDArray[np.bool_]
Rows = Sequence[tuple[Folder, Item]]


@dataclasses.dataclass(frozen=True)
class Quantile:
    """A conformal quantile and what it rests on.

    Args:
        value: infinity when nothing can be excluded, minus infinity when everything can.
        n: calibration scores. least: fewest that give a quantile. above: how many of them may lie above it.
        at_least: the coverage that this one calibration set leaves, with the confidence asked for; None without a finite rank. With `place` the rank of the
            quantile, the coverage given the calibration set is at least Beta(place, n + 1 - place), exactly that without ties (Vovk, 2012).
    """

    value: float
    n: int
    least: int
    above: int
    at_least: float | None


def quantile(scores: ArrayLike, alpha: float, confidence: float) -> Quantile:
    """The conformal quantile of calibration scores.

    Raises:
        InvalidValue: as `metrics.certify.conformal_quantile`.
    """
    values = np.asarray(scores, dtype=np.float64)
    value, n = bounds.conformal_quantile(values, alpha), len(values)
    least = math.ceil((1 - alpha) / alpha - 1e-9)
    if n < least:
        return Quantile(value, n, least, 0, None)
    above = n - math.ceil((n + 1) * (1 - alpha) - 1e-9)
    return Quantile(value, n, least, above, 1 - (bounds.upper_bound(above, n, confidence) or 0.0))


@dataclasses.dataclass(frozen=True)
class _Asked:
    """Questions with P(yes): probabilities (n, 2) of yes and no, the column of the right answer or `_OTHER`, clusters, and group by tag."""

    p: FloatArray
    truth: NDArray[np.intp]
    clusters: list[str]
    groups: Mapping[str, list[str | None]]

    def scores(self) -> FloatArray:
        """1 - P(right answer); infinity where the right answer is neither."""
        padded = np.hstack([1 - self.p, np.full((len(self.p), 1), math.inf)])
        return np.asarray(padded[np.arange(len(self.p)), self.truth])

    def held(self, inside: Flags) -> Flags:
        """Whether each set holds the right answer."""
        padded = np.hstack([inside, np.zeros((len(inside), 1), dtype=bool)])
        return np.asarray(padded[np.arange(len(inside)), self.truth], dtype=bool)

    def of(self, chosen: Flags) -> _Asked:
        places = np.flatnonzero(chosen)
        return _Asked(
            self.p[places],
            self.truth[places],
            [self.clusters[i] for i in places],
            {tag: [values[i] for i in places] for tag, values in self.groups.items()},
        )


def sets(calibration: Rows, test: Rows, *, alpha: float, confidence: float, tags: Sequence[str]) -> dict[str, Any]:
    """Sets fitted on the calibration cases and looked at on the test items; nothing is chosen by either.

    Args:
        calibration: one item a patient or image. test: items of other patients. alpha: share of sets that may miss the right answer. tags: to group by; the
            suite is added where there are several.
    """
    names = list(dict.fromkeys([*tags, *([SUITE] if len({folder.name for folder, _ in calibration}) > 1 else [])]))
    fitted, seen = _asked(calibration, names), _asked(test, names)
    found: dict[str, Any] = {
        "alpha": alpha,
        "confidence": confidence,
        "calibration": {"n": len(fitted.p), "no_probability": len(calibration) - len(fitted.p), "neither_yes_nor_no": int((fitted.truth == _OTHER).sum())},
    }
    scores = fitted.scores()
    common = quantile(scores, alpha, confidence)
    alone = _left_out(scores, alpha)
    return found | {
        **_told(common),
        "leave_one_out": clopper_pearson(int(alone.sum()), len(alone)).to_json(),
        "test": {"no_probability": len(test) - len(seen.p), **_looked_at(seen, common)},
        "groups": [row for tag in names for row in _by(tag, fitted, alone, seen, common, alpha, confidence)],
    }


def _asked(rows: Rows, tags: Sequence[str]) -> _Asked:
    known = [(folder, item, item.answer.p_yes) for folder, item in rows if item.answer.p_yes is not None]
    p = np.asarray([p_yes for _, _, p_yes in known], dtype=np.float64)
    return _Asked(
        np.column_stack([p, 1 - p]),
        np.asarray([_PLACE.get(normalise(item.exchange.gold), _OTHER) for _, item, _ in known], dtype=np.intp),
        [f"{folder.name}/{item.exchange.cluster}" for folder, item, _ in known],
        {tag: [folder.name if tag == SUITE else group_of(item, tag) for folder, item, _ in known] for tag in tags},
    )


def _left_out(scores: FloatArray, alpha: float) -> Flags:
    """Whether each case is held by the set that all others make: its score must not lie above the ceil(n (1 - alpha))-th smallest of all n."""
    n = len(scores)
    place = math.ceil(n * (1 - alpha) - 1e-9)
    if place > n - 1:
        return np.asarray(np.isfinite(scores))
    return np.asarray(np.isfinite(scores) & (scores <= np.sort(scores)[place - 1]))


def _told(found: Quantile) -> dict[str, Any]:
    if found.n < found.least:
        why = f"{found.n} cases with P(yes), and {found.least} are the fewest: no answer can be excluded"
    elif math.isinf(found.value):
        why = f"the right answer is neither yes nor no in more than {found.above} of {found.n} cases: no answer can be excluded"
    else:
        return {"q": found.value, "why": None, "at_least": found.at_least}
    return {"q": None, "why": why, "at_least": None}


def _looked_at(rows: _Asked, found: Quantile) -> dict[str, Any]:
    """How large the sets are, how often they hold the right answer, and how often a set of one answer is wrong; clustered intervals."""
    inside = bounds.conformal_sets(rows.p, found.value)
    size = inside.sum(axis=1)
    held, one = rows.held(inside), size == 1
    single = [cluster for cluster, alone in zip(rows.clusters, one, strict=True) if alone]
    return {
        "n": len(size),
        "neither_yes_nor_no": int((rows.truth == _OTHER).sum()),
        "sizes": {str(k): int((size == k).sum()) for k in range(3)},
        "coverage": cluster_mean(held.astype(float), rows.clusters, seed=SEED).to_json(),
        "one_answer": cluster_mean(one.astype(float), rows.clusters, seed=SEED).to_json(),
        "one_answer_wrong": cluster_mean((~held[one]).astype(float), single, seed=SEED).to_json(),
    }


def _by(tag: str, fitted: _Asked, alone: Flags, seen: _Asked, common: Quantile, alpha: float, confidence: float) -> list[dict[str, Any]]:
    """For each value of a tag: what the common quantile does there, and sets of its own (Mondrian) where its cases suffice."""
    here, there = np.asarray(fitted.groups[tag], dtype=object), np.asarray(seen.groups[tag], dtype=object)
    rows = []
    for value in sorted({v for v in (*fitted.groups[tag], *seen.groups[tag]) if v}):
        inside, test = here == value, seen.of(there == value)
        own = quantile(fitted.of(inside).scores(), alpha, confidence)
        held = int(alone[inside].sum())
        told = _told(own)
        rows.append(
            {
                "tag": tag,
                "value": value,
                "n": own.n,
                "leave_one_out": clopper_pearson(held, own.n).to_json(),
                "test": _looked_at(test, common),
                "own": {**told, "test": None if told["q"] is None else _looked_at(test, own)},
            }
        )
    return rows
