"""Resamples as weights: how often each patient is drawn, and ranking statistics that take such weights, for thousands of resamples at once.

In: the patient of each answer. Out: blocks of (resamples, patients) weights, and functions from such a block to one number a resample.
A statistic of sums over answers costs one matrix product a block; AUROC and average precision cost one pass over the sorted answers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.intp]
Weighted = Callable[[FloatArray], FloatArray]  # (resamples, clusters) weights to (resamples,) values, nan where undefined
_BLOCK = 1_000_000  # weights held at a time: small enough for the cache
_PAIRS, _SQUARE = 20_000_000, 1500  # pairs of answers, and clusters, up to which pairs are counted once and for all


def numbered(values: ArrayLike) -> tuple[IntArray, int]:
    """Number 0..k-1 of each value, and k."""
    names, codes = np.unique(np.asarray(values), return_inverse=True)
    return codes.reshape(-1).astype(np.intp), len(names)


def numbered_rows(rows: NDArray[np.bool_]) -> IntArray:
    """Number of each row of a table of booleans: equal rows, equal numbers."""
    return np.asarray(np.unique(rows, axis=0, return_inverse=True)[1]).reshape(-1).astype(np.intp)


def _blocks(replicates: int, wide: int) -> Iterator[int]:
    most = max(1, _BLOCK // max(wide, 1))
    for start in range(0, replicates, most):
        yield min(most, replicates - start)


def bootstrap_weights(sizes: Sequence[int], replicates: int, rng: np.random.Generator) -> Iterator[FloatArray]:
    """How often each cluster is drawn when every stratum is resampled with replacement on its own.

    Args:
        sizes: clusters of each stratum; clusters are numbered stratum after stratum.

    Yields:
        (b, k) blocks, `replicates` rows in all; the rows of a block sum to a stratum's size within it.
    """
    ends = np.cumsum(sizes)
    for rows in _blocks(replicates, int(sum(sizes))):
        weights = np.empty((rows, int(sum(sizes))))
        for size, end in zip(sizes, ends, strict=True):
            drawn = rng.integers(0, size, size=(rows, size), dtype=np.int32) + (np.arange(rows, dtype=np.int32) * size)[:, None]
            weights[:, end - size : end] = np.bincount(drawn.ravel(), minlength=rows * size).reshape(rows, size)
        yield weights


def shuffles(labels: IntArray, within: IntArray, replicates: int, rng: np.random.Generator) -> Iterator[NDArray[np.signedinteger]]:
    """Labels of clusters, shuffled among clusters of equal `within`.

    Yields:
        (b, k) blocks of labels, `replicates` rows in all.
    """
    places = [np.flatnonzero(within == name) for name in np.unique(within)]
    small = labels.astype(np.int16 if labels.max(initial=0) < 2**15 else np.intp)
    for rows in _blocks(replicates, len(labels)):
        drawn = np.tile(small, (rows, 1))
        for members in places:
            if len(members) > 1:
                drawn[:, members] = rng.permuted(drawn[:, members], axis=1)
        yield drawn


def weighted_auroc(score: ArrayLike, label: ArrayLike, codes: IntArray, question: ArrayLike | None = None) -> Weighted:
    """AUROC under weights of clusters, ties counted half; pairs are formed within a question only.

        sum_q sum_{i in P_q, j in N_q} w_i w_j (1[s_i > s_j] + 1[s_i = s_j] / 2) / sum_q W(P_q) W(N_q)

    Args:
        score, label: (n,) finite scores, 0 or 1. codes: (n,) number of each answer's cluster. question: (n,) what was asked; None: the same of all.
    """
    s, y = np.asarray(score, dtype=np.float64), np.asarray(label) == 1
    asked = np.zeros(len(s), dtype=np.intp) if question is None else numbered(question)[0]
    k = int(codes.max()) + 1 if len(codes) else 0
    pairs = int((np.bincount(asked[y], minlength=1 + asked.max(initial=0)) * np.bincount(asked[~y], minlength=1 + asked.max(initial=0))).sum())
    return _auroc_by_pairs(s, y, codes, asked, k) if pairs <= _PAIRS and k <= _SQUARE else _auroc_by_rank(s, y, codes, asked)


def _auroc_by_pairs(s: FloatArray, y: NDArray[np.bool_], codes: IntArray, asked: IntArray, k: int) -> Weighted:
    """Concordant and all pairs by pair of clusters, so that a resample costs a product with a small square."""
    won, all_pairs = np.zeros(k * k), np.zeros(k * k)
    for q in np.unique(asked):
        p, n = np.flatnonzero(y & (asked == q)), np.flatnonzero(~y & (asked == q))
        if not len(p) or not len(n):
            continue
        cell = (codes[p][:, None] * k + codes[n][None]).ravel()
        above = (s[p][:, None] > s[n][None]) + (s[p][:, None] == s[n][None]) / 2
        won += np.bincount(cell, above.ravel(), minlength=k * k)
        all_pairs += np.bincount(cell, minlength=k * k)
    top, bottom = won.reshape(k, k), all_pairs.reshape(k, k)

    def value(weights: FloatArray) -> FloatArray:
        w = weights[:, :k]
        with np.errstate(invalid="ignore", divide="ignore"):
            return np.asarray(((w @ top) * w).sum(axis=1) / ((w @ bottom) * w).sum(axis=1))

    return value


def _auroc_by_rank(s: FloatArray, y: NDArray[np.bool_], codes: IntArray, asked: IntArray) -> Weighted:
    """One pass over the answers in the order of question and score."""
    order = np.lexsort((s, asked))
    fresh = np.ones(len(s), dtype=bool)
    fresh[1:] = (np.diff(s[order]) != 0) | (np.diff(asked[order]) != 0)
    ties = np.flatnonzero(fresh)
    opens = np.ones(len(ties), dtype=bool)
    opens[1:] = np.diff(asked[order][ties]) != 0
    firsts = np.flatnonzero(opens)
    of_tie = np.cumsum(opens) - 1
    cluster, positive = codes[order], y[order]

    def value(weights: FloatArray) -> FloatArray:
        found = np.full(len(weights), np.nan)
        if not len(s):
            return found
        at = 0
        for rows in _blocks(len(weights), len(s)):
            drawn = weights[at : at + rows][:, cluster]
            p = np.add.reduceat(drawn * positive, ties, axis=1)
            n = np.add.reduceat(drawn * ~positive, ties, axis=1)
            below = np.cumsum(n, axis=1) - n
            below -= below[:, firsts][:, of_tie]
            pairs = (np.add.reduceat(p, firsts, axis=1) * np.add.reduceat(n, firsts, axis=1)).sum(axis=1)
            with np.errstate(invalid="ignore", divide="ignore"):
                found[at : at + rows] = (p * (below + n / 2)).sum(axis=1) / pairs
            at += rows
        return found

    return value


def weighted_average_precision(score: ArrayLike, label: ArrayLike, codes: IntArray) -> Weighted:
    """Average precision under weights of clusters: sum_t (recall_t - recall_{t-1}) precision_t over falling thresholds, equal scores together.

    Args:
        score, label, codes: as `weighted_auroc`.
    """
    s, y = np.asarray(score, dtype=np.float64), np.asarray(label) == 1
    order = np.argsort(-s, kind="stable")
    ties = np.flatnonzero(np.concatenate([[True], np.diff(s[order]) != 0])) if len(s) else np.empty(0, dtype=np.intp)
    cluster, positive = codes[order], y[order]

    def value(weights: FloatArray) -> FloatArray:
        found = np.full(len(weights), np.nan)
        if not len(s):
            return found
        at = 0
        for rows in _blocks(len(weights), len(s)):
            drawn = weights[at : at + rows][:, cluster]
            hits = np.add.reduceat(drawn * positive, ties, axis=1)
            shown = np.cumsum(np.add.reduceat(drawn, ties, axis=1), axis=1)
            with np.errstate(invalid="ignore", divide="ignore"):
                precision = np.where(shown > 0, np.cumsum(hits, axis=1) / shown, 0.0)
                found[at : at + rows] = (hits * precision).sum(axis=1) / hits.sum(axis=1)
            at += rows
        return found

    return value
