"""Precision, recall, F1, AUROC and average precision of answers about findings: for each finding, and micro and macro over a set of them.

In: which finding each answer is about, gold, what was said (1 yes, 0 no, nan when neither), P(yes), patient. Out: `Interval`s by patient bootstrap.

    precision = tp / (tp + fp), recall = tp / (tp + fn), F1 = 2 tp / (2 tp + fp + fn); micro from pooled counts
    macro = mean over findings with a gold positive, a finding that was never said counting 0 (scikit-learn's zero_division = 0)

What has no denominator is None. Gold labels that are uncertain or missing do not belong here: count them and leave them out.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from vesalius.errors import InvalidValue
from vesalius.metrics.resample import FloatArray, IntArray, bootstrap_weights, numbered, weighted_auroc, weighted_average_precision
from vesalius.metrics.statistics import Interval, cluster_ratio

LEAST_CLUSTERS = 5  # of the rarer answer: with one positive film every resample ranks it alike, and would call an AUROC of 1 certain
RATES = ("precision", "recall", "f1")


@dataclasses.dataclass(frozen=True, eq=False)
class Told:
    """Answers about findings whose gold is known.

    Args:
        finding: (n,) name. gold: (n,) booleans. said: (n,) 1 yes, 0 no, nan neither. score: (n,) P(yes), nan where unknown. clusters: (n,) patient.
    """

    finding: Sequence[str]
    gold: NDArray[np.bool_]
    said: FloatArray
    score: FloatArray
    clusters: Sequence[str]

    def __post_init__(self) -> None:
        gold = np.asarray(self.gold, dtype=bool)
        said, score = np.asarray(self.said, dtype=np.float64), np.asarray(self.score, dtype=np.float64)
        if len({len(self.finding), len(gold), len(said), len(score), len(self.clusters)}) != 1:
            raise InvalidValue("finding, gold, said, score and clusters must have one length", remedy="give one entry per answer")
        if not (np.isnan(said) | np.isin(said, (0, 1))).all() or np.isinf(score).any():
            raise InvalidValue("what was said must be 1, 0 or nan, and a score finite or nan")
        for name, value in (("gold", gold), ("said", said), ("score", score)):
            object.__setattr__(self, name, value)

    def __len__(self) -> int:
        return len(self.gold)

    def only(self, chosen: ArrayLike) -> Told:
        """The answers at which `chosen` (n,) is true."""
        keep = np.asarray(chosen, dtype=bool)
        return Told(*([v for v, use in zip(f, keep, strict=True) if use] for f in (self.finding, self.gold, self.said, self.score, self.clusters)))  # type: ignore[arg-type]


class Counts(NamedTuple):
    """(n,) 0 or 1 for each answer."""

    tp: FloatArray
    fp: FloatArray
    fn: FloatArray


def counts(told: Told, *, unread: str) -> Counts:
    """Hits, false alarms and misses; `unread` "negative": an answer that is neither yes nor no counts as no, "out": it counts nowhere.

    Raises:
        InvalidValue: another `unread`.
    """
    if unread not in ("negative", "out"):
        raise InvalidValue(f"unread answers can count as 'negative' or be 'out' (got {unread!r})")
    yes, no = told.said == 1, told.said == 0
    if unread == "negative":
        no = ~yes
    return Counts(*(np.asarray(flags, dtype=np.float64) for flags in (yes & told.gold, yes & ~told.gold, no & told.gold)))


def rates(found: Counts, clusters: Sequence[str], *, replicates: int = 2000, seed: int = 0) -> dict[str, Interval]:
    """Precision, recall and F1 of pooled counts, for one finding or micro over several."""
    tp, fp, fn = found
    parts = {"precision": (tp, tp + fp), "recall": (tp, tp + fn), "f1": (2 * tp, 2 * tp + fp + fn)}
    made = {}
    for name, (top, bottom) in parts.items():
        counted = bottom > 0
        inside = [c for c, use in zip(clusters, counted, strict=True) if use]
        made[name] = cluster_ratio(top[counted], bottom[counted], inside, replicates=replicates, seed=seed)
    return made


def macro(told: Told, *, unread: str, replicates: int = 2000, seed: int = 0) -> dict[str, Interval]:
    """Means of precision, recall and F1 over the findings with a gold positive; a resample takes those that have one in it."""
    found = counts(told, unread=unread)
    codes, k = numbered(told.clusters) if len(told) else (np.empty(0, dtype=np.intp), 0)
    place, many = numbered(told.finding) if len(told) else (np.empty(0, dtype=np.intp), 0)
    n = len(told)
    if not found.tp.any() and not found.fn.any():
        return {name: Interval(None, None, None, n, k, "no finding has a gold positive") for name in RATES}
    cell = codes * many + place
    flat = np.stack([np.bincount(cell, values, minlength=k * many) for values in found], axis=1).reshape(k, -1)
    value = _macro(flat.sum(axis=0)[None].reshape(1, many, 3))[0]
    if k < 2:
        return {name: Interval(float(v), None, None, n, k, "a single cluster has no interval") for name, v in zip(RATES, value, strict=True)}
    drawn = [_macro((w @ flat).reshape(len(w), many, 3)) for w in bootstrap_weights([k], replicates, np.random.default_rng(seed))]
    draws = np.concatenate(drawn)
    return {name: _interval(float(value[i]), draws[:, i], n, k) for i, name in enumerate(RATES)}


def _macro(sums: FloatArray) -> FloatArray:
    """(b, findings, 3) counts to (b, 3) means over findings with a gold positive."""
    tp, fp, fn = (sums[..., i] for i in range(3))
    present = tp + fn > 0
    with np.errstate(invalid="ignore", divide="ignore"):
        each = np.stack([np.where(tp + fp > 0, tp / (tp + fp), 0.0), tp / (tp + fn), 2 * tp / (2 * tp + fp + fn)], axis=-1)
        return np.asarray(np.where(present[..., None], each, 0.0).sum(axis=1) / present.sum(axis=1)[:, None])


def _interval(value: float, draws: FloatArray, n: int, k: int) -> Interval:
    told = draws[np.isfinite(draws)]
    if len(told) * 2 <= len(draws) or np.ptp(told) == 0:
        return Interval(value, None, None, n, k, f"undefined on {len(draws) - len(told)} of {len(draws)} resamples, or the same on all")
    low, high = np.quantile(told, [0.025, 0.975])
    lost = f", undefined on {len(draws) - len(told)} resamples" if len(told) < len(draws) else ""
    return Interval(value, float(low), float(high), n, k, f"cluster bootstrap, percentile, {len(draws)} replicates, 95%{lost}")


def ranking(told: Told, *, replicates: int = 1000, seed: int = 0) -> dict[str, Any]:
    """AUROC and average precision of P(yes) for each finding, and their means over the findings that have both answers.

    Returns:
        {"findings": {name: {"auroc", "auprc"}}, "macro": {"auroc", "auprc"}}, each an `Interval`; average precision is to be read beside the prevalence.
    """
    scored = told.only(~np.isnan(told.score))
    names = sorted(set(told.finding))
    codes, k = numbered(scored.clusters) if len(scored) else (np.empty(0, dtype=np.intp), 0)
    masks = {name: np.asarray([f == name for f in scored.finding], dtype=bool) for name in names}
    both = [name for name in names if 0 < scored.gold[masks[name]].sum() < masks[name].sum()]
    makers = {"auroc": weighted_auroc, "auprc": weighted_average_precision}
    found: dict[str, Any] = {"findings": {name: {} for name in names}, "macro": {}}
    for kind, maker in makers.items():
        functions = [maker(scored.score[masks[name]], scored.gold[masks[name]], codes[masks[name]]) for name in both]
        values = [float(f(np.ones((1, k)))[0]) for f in functions]
        blocks = [np.stack([f(w) for f in functions], axis=1) for w in bootstrap_weights([k], replicates if both else 0, np.random.default_rng(seed))]
        draws = np.concatenate(blocks) if blocks else np.empty((0, 0))
        for name in names:
            mask = masks[name]
            n, own = int(mask.sum()), len(np.unique(codes[mask]))
            if name not in both:
                found["findings"][name][kind] = Interval(None, None, None, n, own, "needs scored positives and negatives")
                continue
            at = both.index(name)
            rarer = min(len(np.unique(codes[mask & (scored.gold == side)])) for side in (True, False))
            few = Interval(values[at], None, None, n, own, f"no interval: the rarer answer has only {rarer} clusters")
            found["findings"][name][kind] = few if rarer < LEAST_CLUSTERS else _interval(values[at], draws[:, at], n, own)
        found["macro"][kind] = _mean(values, draws, len(scored), k)
    return found


def _mean(values: Sequence[float], draws: FloatArray, n: int, k: int) -> Interval:
    if not values:
        return Interval(None, None, None, n, k, "no finding has scored positives and negatives")
    defined = np.isfinite(draws)
    with np.errstate(invalid="ignore", divide="ignore"):
        means = np.where(defined, draws, 0.0).sum(axis=1) / defined.sum(axis=1)
    return _interval(float(np.mean(values)), means, n, k)


def best_f1_threshold(score: ArrayLike, gold: ArrayLike) -> float | None:
    """The score at or above which to say yes so that F1 is largest, the lowest such one; None without positives. For a development part only.

    Raises:
        InvalidValue: lengths differ or a score is not finite.
    """
    s, y = np.asarray(score, dtype=np.float64), np.asarray(gold, dtype=bool)
    if s.ndim != 1 or s.shape != y.shape or not np.isfinite(s).all():
        raise InvalidValue(f"scores must be finite and as many as gold answers (got {s.shape} and {y.shape})")
    if not y.any():
        return None
    order = np.argsort(-s, kind="stable")
    last: IntArray = np.flatnonzero(np.concatenate([np.diff(s[order]) != 0, [True]]))
    tp, shown = np.cumsum(y[order])[last], last + 1
    f1 = 2 * tp / (shown + y.sum())
    best = np.flatnonzero(f1 >= f1.max() - 1e-12)[-1]
    return float(s[order][last[best]])
