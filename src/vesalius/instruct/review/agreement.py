"""How well readers agree beyond chance: Cohen's kappa for two, Fleiss' kappa for equally many readings, Krippendorff's alpha for any; with bootstrap intervals.

In: for each item the verdict of each reader, None where there is none. Out: `Interval`s over items. Sources: Cohen 1960; Fleiss, Psychological Bulletin
76(5), 1971; Krippendorff, Content Analysis (nominal alpha). Verdicts are names without an order. What cannot be computed (everybody says one thing) is None
with the reason.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from vesalius.errors import InvalidValue
from vesalius.metrics.statistics import Interval, cluster_bootstrap

Table = Sequence[Sequence[str | None]]
Counts = NDArray[np.float64]


def cohen(first: Sequence[str], second: Sequence[str]) -> float | None:
    """(p_o - p_e) / (1 - p_e), chance from each reader's own shares; None when chance alone agrees wholly, or there is nothing.

    Raises:
        InvalidValue: lengths differ.
    """
    if len(first) != len(second):
        raise InvalidValue(f"two readers need a verdict each for the same items (got {len(first)} and {len(second)})")
    names = sorted({*first, *second})
    return _cohen(np.array([[names.index(a), names.index(b)] for a, b in zip(first, second, strict=True)], int).reshape(-1, 2), len(names))


def fleiss(table: Table) -> float | None:
    """Fleiss' kappa: chance from the pooled shares. None when it is undefined.

    Raises:
        InvalidValue: items have different numbers of readings, or fewer than two.
    """
    counts = _counts(table)
    if len({int(n) for n in counts.sum(axis=1)}) > 1 or (len(counts) and counts[0].sum() < 2):
        raise InvalidValue("Fleiss' kappa needs equally many readings of every item, at least two", remedy="use Krippendorff's alpha")
    return _fleiss(counts)


def krippendorff(table: Table) -> float | None:
    """Krippendorff's alpha for names: 1 - observed over expected disagreement, over items with two readings or more. None when undefined."""
    return _alpha(_counts(table))


def intervals(table: Table, readers: Sequence[str], *, replicates: int = 2000, seed: int = 0) -> dict[str, Interval]:
    """Everything that can be told of a table of readings, resampling items.

    Args:
        table: (items, readers). readers: their names.

    Returns:
        "krippendorff alpha", "percent agreement" (of pairs of readings), "fleiss kappa" where readings are equally many, "cohen kappa A, B" for each pair.
    """
    counts = _counts(table)
    twice = counts[counts.sum(axis=1) >= 2]
    how = {"replicates": replicates, "seed": seed}
    found = {
        "percent agreement": cluster_bootstrap(_agreeing, twice, clusters=None, **how),
        "krippendorff alpha": cluster_bootstrap(_alpha, twice, clusters=None, **how),
    }
    if len(twice) and len({int(n) for n in twice.sum(axis=1)}) == 1:
        found["fleiss kappa"] = cluster_bootstrap(_fleiss, twice, clusters=None, **how)
    for a, b in itertools.combinations(range(len(readers)), 2):
        both = [(row[a], row[b]) for row in table if row[a] is not None and row[b] is not None]
        names = sorted({name for pair in both for name in pair if name is not None})
        codes = np.array([[names.index(x) for x in pair if x is not None] for pair in both], int).reshape(-1, 2)

        def kappa(drawn: NDArray[np.int_], k: int = len(names)) -> float | None:
            return _cohen(drawn, k)

        found[f"cohen kappa {readers[a]}, {readers[b]}"] = cluster_bootstrap(kappa, codes, clusters=None, **how)
    return found


def _counts(table: Table) -> Counts:
    """(items, verdicts): how often each verdict was given."""
    names = sorted({v for row in table for v in row if v is not None})
    counts = np.zeros((len(table), len(names)))
    for i, row in enumerate(table):
        for v in row:
            if v is not None:
                counts[i, names.index(v)] += 1
    return counts


def _cohen(codes: NDArray[np.int_], k: int) -> float | None:
    if not len(codes):
        return None
    square = np.zeros((k, k))
    np.add.at(square, (codes[:, 0], codes[:, 1]), 1 / len(codes))
    chance = float(square.sum(axis=0) @ square.sum(axis=1))
    return None if chance >= 1 - 1e-12 else (float(np.trace(square)) - chance) / (1 - chance)


def _pairs(counts: Counts) -> Counts:
    """Share of agreeing pairs of readings, by item."""
    n = counts.sum(axis=1)
    return np.asarray((counts * (counts - 1)).sum(axis=1) / (n * (n - 1)), dtype=np.float64)


def _agreeing(counts: Counts) -> float | None:
    if not len(counts):
        return None
    n = counts.sum(axis=1)
    return float((counts * (counts - 1)).sum() / (n * (n - 1)).sum())


def _fleiss(counts: Counts) -> float | None:
    if not len(counts):
        return None
    shares = counts.sum(axis=0) / counts.sum()
    chance = float(shares @ shares)
    return None if chance >= 1 - 1e-12 else (float(_pairs(counts).mean()) - chance) / (1 - chance)


def _alpha(counts: Counts) -> float | None:
    counts = counts[counts.sum(axis=1) >= 2]
    if not len(counts):
        return None
    n = counts.sum(axis=1, keepdims=True)
    coincident = counts.T @ (counts / (n - 1)) - np.diag((counts / (n - 1)).sum(axis=0))
    totals = coincident.sum(axis=0)
    whole = totals.sum()
    expected = whole**2 - totals @ totals
    return None if expected <= 0 else float(1 - (whole - 1) * (whole - np.trace(coincident)) / expected)
