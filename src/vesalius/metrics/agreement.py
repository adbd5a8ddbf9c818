"""Agreement of two sets of finding labels: precision, recall and F1 by finding, micro and macro; hallucinated and omitted findings. With cluster intervals.

In: which findings each report states and which are said of it, boolean arrays of (reports, findings). Out: `Interval`s.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from vesalius.errors import InvalidValue
from vesalius.metrics.statistics import Interval, cluster_bootstrap, cluster_ratio

Booleans = NDArray[np.bool_]
Clusters = Sequence[Any] | NDArray[Any] | None


def _checked(stated: ArrayLike, said: ArrayLike) -> tuple[Booleans, Booleans]:
    first, second = np.asarray(stated, dtype=bool), np.asarray(said, dtype=bool)
    if first.ndim != 2 or first.shape != second.shape:
        raise InvalidValue(f"labels must be two tables of one shape (got {first.shape}, {second.shape})", remedy="give (reports, findings) twice")
    return first, second


@dataclasses.dataclass(frozen=True)
class Scores:
    """precision = tp / (tp + fp), recall = tp / (tp + fn), f1 = 2 tp / (2 tp + fp + fn); None where the denominator is 0. `stated`, `said`: counts."""

    precision: Interval
    recall: Interval
    f1: Interval
    stated: int
    said: int

    def to_json(self) -> dict[str, Any]:
        """A plain mapping."""
        three = {"precision": self.precision.to_json(), "recall": self.recall.to_json(), "f1": self.f1.to_json()}
        return {**three, "stated": self.stated, "said": self.said}


def scores(stated: ArrayLike, said: ArrayLike, clusters: Clusters, *, replicates: int = 2000, seed: int = 0) -> Scores:
    """Pooled ("micro") scores over all columns of the two tables; give one column for the scores of one finding.

    Args:
        stated, said: (reports, findings), what the reference and what the hypothesis holds. clusters: (reports,) patient or report.

    Raises:
        InvalidValue: shapes differ.
    """
    first, second = _checked(stated, said)
    both, mine, theirs = ((x.sum(axis=1)).astype(float) for x in (first & second, second, first))

    def ratio(top: NDArray[np.float64], bottom: NDArray[np.float64]) -> Interval:
        return cluster_ratio(top, bottom, clusters, replicates=replicates, seed=seed)

    return Scores(ratio(both, mine), ratio(both, theirs), ratio(2 * both, mine + theirs), int(theirs.sum()), int(mine.sum()))


def macro_f1(stated: ArrayLike, said: ArrayLike, clusters: Clusters, *, replicates: int = 2000, seed: int = 0) -> tuple[Interval, int]:
    """Mean of F1 over the findings that are stated or said at least once (in each resample anew: one that is neither has no F1).

    Returns:
        The interval, and over how many findings the mean is taken.

    Raises:
        InvalidValue: shapes differ.
    """
    first, second = _checked(stated, said)
    parts = np.concatenate([first & second, second, first], axis=1).astype(float)
    k = first.shape[1]

    def mean(sums: NDArray[np.float64]) -> float | None:
        both, sizes = sums[:k], sums[k : 2 * k] + sums[2 * k :]
        used = sizes > 0
        return float((2 * both[used] / sizes[used]).mean()) if used.any() else None

    return of_sums(mean, parts, clusters, replicates=replicates, seed=seed), int((first | second).any(axis=0).sum())


def of_sums(
    statistic: Callable[[NDArray[np.float64]], float | None], parts: NDArray[np.float64], clusters: Clusters, *, replicates: int = 2000, seed: int = 0
) -> Interval:
    """Cluster bootstrap of a statistic of column sums: one resample costs one pass over the clusters.

    Args:
        statistic: called with (columns,) sums. parts: (answers, columns), what is summed. clusters: (answers,); None: every answer its own.

    Raises:
        InvalidValue: lengths differ.
    """
    names = np.arange(len(parts)) if clusters is None else np.asarray(clusters)
    if len(names) != len(parts):
        raise InvalidValue(f"clusters must have one entry per answer (got {len(names)} for {len(parts)})", remedy="give the patient or report of each answer")
    unique, codes = np.unique(names, return_inverse=True)
    k = len(unique)
    sums = np.zeros((k, parts.shape[1]))
    np.add.at(sums, codes, parts)

    def drawn(index: NDArray[np.intp]) -> float | None:
        return statistic(np.einsum("i,ij->j", np.bincount(index, minlength=k).astype(float), sums))

    found = cluster_bootstrap(drawn, np.arange(k), clusters=None, replicates=replicates, seed=seed)
    return dataclasses.replace(found, n=len(parts))


@dataclasses.dataclass(frozen=True)
class Errors:
    """Findings that were made up or left out, in the manner of CHAIR (Rohrbach et al., EMNLP 2018: CHAIR_i by object, CHAIR_s by caption).

    hallucinated: share of the findings said to be present that the reference neither states nor doubts. contradicted: those of them that the reference denies,
    over the same denominator. omitted: share of the findings stated to be present that the hypothesis neither states nor doubts.
    *_reports: share of all reports with at least one. Each in [0, 1]; None when no finding is said (stated).
    """

    hallucinated: Interval
    contradicted: Interval
    omitted: Interval
    hallucinated_reports: Interval
    omitted_reports: Interval

    def to_json(self) -> dict[str, Any]:
        """A plain mapping."""
        return {field.name: getattr(self, field.name).to_json() for field in dataclasses.fields(self)}


def errors(
    stated: ArrayLike,
    said: ArrayLike,
    *,
    stated_doubted: ArrayLike,
    said_doubted: ArrayLike,
    stated_denied: ArrayLike,
    clusters: Clusters,
    replicates: int = 2000,
    seed: int = 0,
) -> Errors:
    """Made-up and omitted findings; see `Errors`.

    Args:
        stated, said: (reports, findings), positive in the reference and in the hypothesis. *_doubted: uncertain there.
        stated_denied: negative in the reference.

    Raises:
        InvalidValue: shapes differ.
    """
    first, second = _checked(stated, said)
    (in_doubt, said_in_doubt), (denied, _) = _checked(stated_doubted, said_doubted), _checked(stated_denied, said)
    if in_doubt.shape != first.shape or denied.shape != first.shape:
        raise InvalidValue("labels must be tables of one shape", remedy="give (reports, findings) each time")
    made_up, left_out = second & ~first & ~in_doubt, first & ~second & ~said_in_doubt

    def share(top: Booleans, bottom: Booleans | None) -> Interval:
        tops = top.sum(axis=1) if bottom is not None else top.any(axis=1)
        bottoms = bottom.sum(axis=1) if bottom is not None else np.ones(len(top))
        return cluster_ratio(tops.astype(float), bottoms.astype(float), clusters, replicates=replicates, seed=seed)

    return Errors(share(made_up, second), share(second & denied, second), share(left_out, first), share(made_up, None), share(left_out, None))
