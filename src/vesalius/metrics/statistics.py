"""Numbers with intervals: cluster bootstrap, Wilson, Clopper-Pearson, paired differences, the permutation null of a subgroup gap.

In: one value per answer, and for each answer the patient or image it belongs to. Out: `Interval` and `Gap`.
Answers about one patient are not independent, so patients are resampled, never answers. What cannot be computed is None with the reason in `method`.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Mapping, Sequence
from statistics import NormalDist
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from vesalius.errors import InvalidValue

FloatArray = NDArray[np.float64]


@dataclasses.dataclass(frozen=True)
class Interval:
    """A number with its interval.

    Args:
        value: the estimate on all data; None when undefined.
        low, high: ends of the interval; None when undefined.
        n: answers it rests on. clusters: patients or images it rests on.
        method: how the interval was made, or why there is none.
    """

    value: float | None
    low: float | None
    high: float | None
    n: int
    clusters: int
    method: str

    def text(self, *, percent: bool = True) -> str:
        """For people: "62.1 % (55.0 to 68.9; n 272, 203 clusters)", or why there is no number."""
        count = f"n {self.n:,}" if self.clusters == self.n else f"n {self.n:,}, {self.clusters:,} clusters"
        if self.value is None:
            return f"not defined: {self.method} ({count})"
        scale, digits, unit = (100, 1, " %") if percent else (1, 3, "")
        shown = f"{self.value * scale:.{digits}f}{unit}"
        if self.low is None or self.high is None:
            return f"{shown} (no interval: {self.method}; {count})"
        return f"{shown} ({self.low * scale:.{digits}f} to {self.high * scale:.{digits}f}; {count})"

    def to_json(self) -> dict[str, Any]:
        """A plain mapping for `json.dump`."""
        return dataclasses.asdict(self)


def _finite(values: ArrayLike, name: str) -> FloatArray:
    array = np.asarray(values, dtype=np.float64)
    if array.ndim != 1:
        raise InvalidValue(f"{name} must be one-dimensional (got shape {array.shape})", remedy="give one value per answer")
    if not np.isfinite(array).all():
        raise InvalidValue(
            f"{name} holds {int((~np.isfinite(array)).sum())} values that are not finite", remedy="leave out what was not measured, and count it"
        )
    return array


def _codes(clusters: Sequence[Any] | NDArray[Any] | None, n: int) -> tuple[NDArray[np.intp], int]:
    """Cluster number 0..k-1 of each answer; every answer is its own cluster when none are given."""
    if clusters is None:
        return np.arange(n), n
    array = np.asarray(clusters)
    if array.shape != (n,):
        raise InvalidValue(f"clusters must have one entry per answer (got {array.shape} for {n} answers)", remedy="give the patient or image of each answer")
    names, codes = np.unique(array, return_inverse=True)
    return codes.astype(np.intp), len(names)


def _sums(codes: NDArray[np.intp], values: FloatArray, k: int) -> FloatArray:
    return np.bincount(codes, values, minlength=k).astype(np.float64)


def _check(replicates: int, confidence: float) -> None:
    if replicates < 1 or not 0 < confidence < 1:
        raise InvalidValue(f"replicates must be positive and confidence in (0, 1) (got {replicates}, {confidence})")


def _ends(draws: FloatArray, confidence: float) -> tuple[float, float]:
    low, high = np.quantile(draws, [(1 - confidence) / 2, (1 + confidence) / 2])
    return float(low), float(high)


def _defined(value: float | None) -> float | None:
    return None if value is None or not math.isfinite(value) else float(value)


def cluster_bootstrap(
    statistic: Callable[..., float | None],
    *arrays: ArrayLike,
    clusters: Sequence[Any] | NDArray[Any] | None,
    replicates: int = 2000,
    seed: int = 0,
    confidence: float = 0.95,
) -> Interval:
    """Percentile bootstrap of any statistic over clusters (Efron & Tibshirani, 1993; Field & Welsh, 2007).

    Args:
        statistic: called with the resampled `arrays`, in order; returns a number, or None/nan when it is undefined on a resample.
        arrays: each with the answers on its first axis, all of one length n.
        clusters: (n,) patient or image of each answer; None: every answer its own.

    Returns:
        The interval. Resamples on which the statistic is undefined are left out, and `method` says how many; with fewer than two clusters there is none.

    Raises:
        InvalidValue: arrays of different lengths, none at all, a bad `replicates` or `confidence`.
    """
    _check(replicates, confidence)
    data = [np.asarray(a) for a in arrays]
    if not data or len({len(a) for a in data}) != 1:
        raise InvalidValue(f"arrays must have one length (got {[len(a) for a in data]})", remedy="give one entry per answer in each")
    n = len(data[0])
    codes, k = _codes(clusters, n)
    if n == 0:
        return Interval(None, None, None, 0, 0, "nothing was measured")
    value = _defined(statistic(*data))
    if value is None:
        return Interval(None, None, None, n, k, "the statistic is undefined on these answers")
    if k < 2:
        return Interval(value, None, None, n, k, "a single cluster has no interval")
    order = np.argsort(codes, kind="stable")
    members = np.split(order, np.cumsum(np.bincount(codes, minlength=k))[:-1])
    rng = np.random.default_rng(seed)
    draws = []
    for _ in range(replicates):
        index = np.concatenate([members[c] for c in rng.integers(0, k, size=k)])
        if (drawn := _defined(statistic(*(a[index] for a in data)))) is not None:
            draws.append(drawn)
    lost = replicates - len(draws)
    if lost > replicates // 2:
        return Interval(value, None, None, n, k, f"undefined on {lost} of {replicates} resamples")
    low, high = _ends(np.asarray(draws), confidence)
    return Interval(value, low, high, n, k, _bootstrap_name(replicates, confidence) + (f", undefined on {lost} resamples" if lost else ""))


def _bootstrap_name(replicates: int, confidence: float) -> str:
    return f"cluster bootstrap, percentile, {replicates} replicates, {confidence:.0%}"


def cluster_ratio(
    numer: ArrayLike,
    denom: ArrayLike,
    clusters: Sequence[Any] | NDArray[Any] | None,
    *,
    replicates: int = 2000,
    seed: int = 0,
    confidence: float = 0.95,
) -> Interval:
    """sum(numer) / sum(denom) with a cluster bootstrap on cluster sums: one draw costs one pass over the clusters, not over the answers.

    Args:
        numer, denom: (n,) per answer; `denom` not negative.
        clusters: (n,) patient or image of each answer; None: every answer its own.

    Returns:
        The interval; undefined (None) when `denom` sums to zero. When every answer has the same share, 0 or 1, the bootstrap cannot vary and would
        give an interval of no width; the Clopper-Pearson interval over clusters with a positive denominator stands in, and `method` says so.

    Raises:
        InvalidValue: lengths differ, values not finite, a negative denominator.
    """
    _check(replicates, confidence)
    top, bottom = _finite(numer, "numer"), _finite(denom, "denom")
    if top.shape != bottom.shape or (bottom < 0).any():
        raise InvalidValue(f"numer and denom need one length and denom no negative value (got {top.shape}, {bottom.shape})")
    codes, k = _codes(clusters, len(top))
    if not len(top) or not bottom.sum() > 0:
        return Interval(None, None, None, len(top), k, "nothing was measured")
    tops, bottoms = _sums(codes, top, k), _sums(codes, bottom, k)
    value = float(tops.sum() / bottoms.sum())
    if k < 2:
        return Interval(value, None, None, len(top), k, "a single cluster has no interval")
    used = int((bottoms > 0).sum())
    if value in (0.0, 1.0) and (np.all(top == 0) or np.all(top == bottom)):
        bound = clopper_pearson(used if value == 1.0 else 0, used, confidence=confidence)
        return Interval(value, bound.low, bound.high, len(top), k, "Clopper-Pearson over clusters, because all answers agree")
    draws = _ratio_draws(tops, bottoms, replicates, seed)
    draws = draws[np.isfinite(draws)]
    low, high = _ends(draws, confidence)
    return Interval(value, low, high, len(top), k, _bootstrap_name(replicates, confidence))


def _ratio_draws(tops: FloatArray, bottoms: FloatArray, replicates: int, seed: int) -> FloatArray:
    rng = np.random.default_rng(seed)
    k = len(tops)
    draws = np.empty((2, replicates))
    at_once = max(1, 200_000 // k)  # replicates per block: small enough for the cache
    for start in range(0, replicates, at_once):
        block = slice(start, min(start + at_once, replicates))
        drawn = rng.integers(0, k, size=(block.stop - start, k))
        if len(drawn) > 4:
            draws[0, block], draws[1, block] = tops[drawn].sum(axis=1), bottoms[drawn].sum(axis=1)
        else:  # many clusters: counting the draws reads memory in order. Products and sums, not `@`: BLAS threads stall on a busy machine.
            times = [np.bincount(row, minlength=k) for row in drawn]
            draws[:, block] = [[(t * tops).sum() for t in times], [(t * bottoms).sum() for t in times]]
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(draws[0] / draws[1])


def cluster_mean(
    values: ArrayLike,
    clusters: Sequence[Any] | NDArray[Any] | None,
    *,
    replicates: int = 2000,
    seed: int = 0,
    confidence: float = 0.95,
) -> Interval:
    """Mean over answers with a cluster bootstrap; see `cluster_ratio`, of which this is the case denom = 1.

    Raises:
        InvalidValue: values not finite, or a cluster missing for an answer.
    """
    array = _finite(values, "values")
    return cluster_ratio(array, np.ones_like(array), clusters, replicates=replicates, seed=seed, confidence=confidence)


def paired_difference(
    first: ArrayLike,
    second: ArrayLike,
    clusters: Sequence[Any] | NDArray[Any] | None,
    *,
    replicates: int = 2000,
    seed: int = 0,
    confidence: float = 0.95,
) -> Interval:
    """mean(first - second) over the same answers, with a cluster bootstrap of the differences.

    Raises:
        InvalidValue: lengths differ or values not finite.
    """
    a, b = _finite(first, "first"), _finite(second, "second")
    if a.shape != b.shape:
        raise InvalidValue(f"paired values must have one length (got {len(a)} and {len(b)})", remedy="compare the same answers")
    difference = a - b
    if len(a) and np.all(difference == difference[0]):
        # No answer differs from the others: the bootstrap knows nothing, and a difference bounded by [-1, 1] has no exact small-sample interval here.
        return Interval(float(difference[0]), None, None, len(a), _codes(clusters, len(a))[1], "every pair differs by the same amount")
    return cluster_mean(difference, clusters, replicates=replicates, seed=seed, confidence=confidence)


def _counts(k: int, n: int, confidence: float) -> None:
    if n < 0 or not 0 <= k <= n or not 0 < confidence < 1:
        raise InvalidValue(f"need 0 <= k <= n and confidence in (0, 1) (got k={k}, n={n}, confidence={confidence})")


def wilson(k: int, n: int, *, confidence: float = 0.95) -> Interval:
    """Wilson's score interval of k out of n independent trials (Wilson, 1927).

    Raises:
        InvalidValue: k outside 0..n.
    """
    _counts(k, n, confidence)
    if n == 0:
        return Interval(None, None, None, 0, 0, "nothing was measured")
    z = NormalDist().inv_cdf((1 + confidence) / 2)
    p, w = k / n, z * z / n
    centre, half = (p + w / 2) / (1 + w), z * math.sqrt(p * (1 - p) / n + w / (4 * n)) / (1 + w)
    low = 0.0 if k == 0 else max(0.0, centre - half)
    high = 1.0 if k == n else min(1.0, centre + half)
    return Interval(p, low, high, n, n, f"Wilson, {confidence:.0%}")


def clopper_pearson(k: int, n: int, *, confidence: float = 0.95) -> Interval:
    """The exact interval of k out of n independent trials (Clopper & Pearson, 1934), by bisection on the binomial tail.

    Raises:
        InvalidValue: k outside 0..n.
    """
    _counts(k, n, confidence)
    if n == 0:
        return Interval(None, None, None, 0, 0, "nothing was measured")
    tail = (1 - confidence) / 2
    low = 0.0 if k == 0 else _root(lambda p: _upper_tail(k, n, p) - tail)
    high = 1.0 if k == n else _root(lambda p: tail - (1 - _upper_tail(k + 1, n, p)))
    return Interval(k / n, low, high, n, n, f"Clopper-Pearson, {confidence:.0%}")


def _root(increasing: Callable[[float], float]) -> float:
    low, high = 0.0, 1.0
    while high - low > 1e-12:
        middle = (low + high) / 2
        low, high = (middle, high) if increasing(middle) < 0 else (low, middle)
    return (low + high) / 2


def _upper_tail(k: int, n: int, p: float) -> float:
    """P(X >= k) for X ~ Binomial(n, p), 0 < k <= n, 0 < p < 1."""
    i = np.arange(k, n + 1)
    logs = np.concatenate([[0.0], np.cumsum(np.log(np.arange(1, n + 1)))])  # log i!
    terms = logs[n] - logs[i] - logs[n - i] + i * math.log(p) + (n - i) * math.log1p(-p)
    return min(1.0, float(np.exp(terms).sum()))


@dataclasses.dataclass(frozen=True)
class Gap:
    """Largest difference of a mean between groups, beside what chance alone would give.

    Args:
        gap: max - min over groups; None with fewer than two groups of sufficient size.
        null_mean, null_high: mean and 95 % quantile of the gap when group labels are shuffled over clusters.
        p_value: share of shuffles with at least this gap, (1 + hits) / (1 + shuffles).
        groups: mean of each group that counted. too_small: answers of each group left out.
    """

    gap: float | None
    null_mean: float | None
    null_high: float | None
    p_value: float | None
    groups: Mapping[str, float]
    too_small: Mapping[str, int]


def permutation_gap_null(
    values: ArrayLike,
    groups: Sequence[str],
    clusters: Sequence[Any] | NDArray[Any] | None,
    *,
    minimum: int = 20,
    replicates: int = 1000,
    seed: int = 0,
) -> Gap:
    """The gap between groups against its permutation null: a maximum over noisy groups is never zero, so a gap alone proves nothing.

    Args:
        values: (n,) e.g. 1 for a right answer. groups: (n,) group of each answer, constant within a cluster. clusters: (n,) patient of each answer.
        minimum: groups with fewer clusters are left out and listed.

    Raises:
        InvalidValue: lengths differ, or one cluster lies in two groups.
    """
    _check(replicates, 0.95)
    array = _finite(values, "values")
    codes, k = _codes(clusters, len(array))
    labels = np.asarray([str(g) for g in groups])
    if labels.shape != array.shape:
        raise InvalidValue(f"groups must have one entry per answer (got {len(labels)} for {len(array)})")
    names, of_answer = np.unique(labels, return_inverse=True)
    of_cluster = np.full(k, -1)
    of_cluster[codes] = of_answer
    if (of_cluster[codes] != of_answer).any():
        raise InvalidValue("a cluster lies in two groups", remedy="give each patient one group")
    sizes = np.bincount(of_cluster, minlength=len(names)) if k else np.zeros(len(names), dtype=np.intp)
    kept = np.flatnonzero(sizes >= minimum)
    too_small = {str(names[g]): int((of_answer == g).sum()) for g in range(len(names)) if g not in kept}
    inside = np.isin(of_cluster, kept)
    sums, counts = _sums(codes, array, k)[inside], _sums(codes, np.ones_like(array), k)[inside]
    label = np.searchsorted(kept, of_cluster[inside])
    means = _group_means(sums, counts, label, len(kept))
    shown = {str(names[g]): float(m) for g, m in zip(kept, means, strict=True)}
    if len(kept) < 2:
        return Gap(None, None, None, None, shown, too_small)
    gap = float(means.max() - means.min())
    rng = np.random.default_rng(seed)
    shuffled = [_group_means(sums, counts, rng.permutation(label), len(kept)) for _ in range(replicates)]
    null = np.asarray([m.max() - m.min() for m in shuffled])
    hits = int((null >= gap - 1e-12).sum())
    return Gap(gap, float(null.mean()), float(np.quantile(null, 0.95)), (1 + hits) / (1 + replicates), shown, too_small)


def _group_means(sums: FloatArray, counts: FloatArray, label: NDArray[np.intp], k: int) -> FloatArray:
    return _sums(label, sums, k) / _sums(label, counts, k)
