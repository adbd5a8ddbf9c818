"""What a fault or another source costs: balanced error, MedMNIST-C's BE and rBE, a gap between groups of like composition.

In: answers as numbers, with their gold answers. Out: numbers; None where a figure is not defined.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from vesalius.errors import InvalidValue

Booleans = NDArray[np.bool_]


def balanced_error(right: ArrayLike, gold: ArrayLike) -> float | None:
    """1 - (sensitivity + specificity) / 2 of yes/no answers; an answer that is neither is wrong in its class.

    Args:
        right: (n,) whether each answer is right. gold: (n,) True where yes is.

    Returns:
        In [0, 1], 1/2 for a constant or a random answer; None when a class is absent.

    Raises:
        InvalidValue: lengths differ.
    """
    r, y = _booleans(right, gold)
    if y.all() or not y.any():
        return None
    return float(1 - (r[y].mean() + r[~y].mean()) / 2)


def corruption_error(errors: Sequence[float], reference: Sequence[float]) -> float | None:
    """The BE of one corruption: sum over severities of the balanced error, divided by a reference model's (Di Salvo et al. 2024, arXiv 2406.17536).

    Returns:
        At least 0; below 1 is better than the reference. None without errors, or when the reference makes none.

    Raises:
        InvalidValue: another number of severities.
    """
    mine, theirs = _means(errors, reference)
    return mine / theirs if mine is not None and theirs else None


def relative_corruption_error(errors: Sequence[float], clean: float, reference: Sequence[float], reference_clean: float) -> float | None:
    """RBE of one corruption: sum over severities of (error - clean error), divided by the same of a reference model.

    Returns:
        Of either sign; None where the reference loses nothing or gains: its ratio says nothing then.

    Raises:
        InvalidValue: another number of severities.
    """
    mine, theirs = _means(errors, reference)
    if mine is None or theirs is None or theirs - reference_clean <= 0:
        return None
    return (mine - clean) / (theirs - reference_clean)


def _means(errors: Sequence[float], reference: Sequence[float]) -> tuple[float | None, float | None]:
    if len(errors) != len(reference):
        raise InvalidValue(f"errors of {len(errors)} and {len(reference)} severities cannot be compared", remedy="give those of the same severities")
    return (float(np.mean(errors)), float(np.mean(reference))) if len(errors) else (None, None)


def standardised_gap(values: ArrayLike, second: ArrayLike, strata: ArrayLike) -> float | None:
    """Mean of the second group minus that of the first, with the same mixture of strata in both (direct standardisation).

    sum_s w_s (mean_s of second - mean_s of first), w_s the stratum's share among the values of strata that both groups have.

    Args:
        values: (n,). second: (n,) True in the second group. strata: (n,) what must not differ (finding and gold answer).

    Returns:
        None when no stratum has both groups.

    Raises:
        InvalidValue: lengths differ.
    """
    v, g, s = np.asarray(values, dtype=np.float64), np.asarray(second, dtype=bool), np.asarray(strata)
    if not v.shape == g.shape == s.shape or v.ndim != 1:
        raise InvalidValue(f"values, groups and strata need one length (got {v.shape}, {g.shape}, {s.shape})")
    _, codes = np.unique(s, return_inverse=True)
    k = int(codes.max()) + 1 if len(codes) else 0
    counts = [np.bincount(codes[mask], minlength=k).astype(np.float64) for mask in (~g, g)]
    sums = [np.bincount(codes[mask], v[mask], minlength=k) for mask in (~g, g)]
    both = (counts[0] > 0) & (counts[1] > 0)
    weight = np.where(both, counts[0] + counts[1], 0.0)
    if not weight.sum():
        return None
    gaps = sums[1][both] / counts[1][both] - sums[0][both] / counts[0][both]
    return float((gaps * weight[both]).sum() / weight.sum())


def _booleans(first: ArrayLike, second: ArrayLike) -> tuple[Booleans, Booleans]:
    a, b = np.asarray(first, dtype=bool), np.asarray(second, dtype=bool)
    if a.ndim != 1 or a.shape != b.shape:
        raise InvalidValue(f"answers and gold answers need one length (got {a.shape} and {b.shape})")
    return a, b
