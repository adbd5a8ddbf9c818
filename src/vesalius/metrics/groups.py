"""What may differ between groups of patients: shares, calibration error, AUROC, each computed for many resamples at once.

In: one entry for each answer. Out: `Measure`s that say on which answers they rest and turn weights of patients into values; `Grouping`, which patient
belongs where.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Literal, Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from vesalius.errors import InvalidValue
from vesalius.metrics.resample import FloatArray, IntArray, Weighted, numbered_rows, weighted_auroc

BoolArray = NDArray[np.bool_]
Bad = Literal["high", "low"]


def _column(values: ArrayLike, name: str) -> FloatArray:
    array = np.asarray(values, dtype=np.float64)
    if array.ndim != 1 or not np.isfinite(array).all():
        raise InvalidValue(f"{name} must be one-dimensional and finite (got shape {array.shape})", remedy="mark what was not measured as not counted")
    return array


class Measure(Protocol):
    """A figure of a set of answers. `bad` is the end at which a group is worse off, None when neither is."""

    @property
    def name(self) -> str:
        """Key of its results."""
        ...

    @property
    def bad(self) -> Bad | None:
        """See the class."""
        ...

    def __len__(self) -> int: ...

    def sides(self) -> tuple[BoolArray, ...]:
        """(n,) booleans: answers that the figure rests on; more than one where it needs answers of several kinds."""
        ...

    def on(self, codes: IntArray, k: int, chosen: BoolArray) -> Weighted:
        """The figure of the chosen answers under weights of the k clusters, `codes` (n,) being the cluster of each answer."""
        ...


class Additive:
    """A measure that is a function of sums over answers, so that one matrix product serves all of them."""

    def columns(self) -> FloatArray:
        """(n, m) what is summed."""
        raise NotImplementedError

    def value(self, sums: FloatArray) -> FloatArray:
        """From sums (..., m); nan where undefined."""
        raise NotImplementedError

    def on(self, codes: IntArray, k: int, chosen: BoolArray) -> Weighted:
        """See `Measure`."""
        sums = sums_of(self.columns(), codes, k, chosen)
        return lambda weights: self.value(weights @ sums)


@dataclasses.dataclass(frozen=True, eq=False)
class Share(Additive):
    """hits / counted: the share of the counted answers that are hits.

    Args:
        hits, counted: (n,) booleans; hits outside `counted` do not count.
    """

    name: str
    hits: BoolArray
    counted: BoolArray
    bad: Bad | None = None

    def __post_init__(self) -> None:
        hits, counted = np.asarray(self.hits, dtype=bool), np.asarray(self.counted, dtype=bool)
        if hits.ndim != 1 or hits.shape != counted.shape:
            raise InvalidValue(f"{self.name}: hits and counted must have one length (got {hits.shape} and {counted.shape})")
        object.__setattr__(self, "hits", hits & counted)
        object.__setattr__(self, "counted", counted)

    def __len__(self) -> int:
        return len(self.hits)

    def sides(self) -> tuple[BoolArray, ...]:
        """See `Measure`."""
        return (self.counted,)

    def columns(self) -> FloatArray:
        """See `Additive`."""
        return np.stack([self.hits, self.counted], axis=1).astype(np.float64)

    def value(self, sums: FloatArray) -> FloatArray:
        """See `Additive`."""
        with np.errstate(invalid="ignore", divide="ignore"):
            return np.asarray(sums[..., 0] / sums[..., 1])


@dataclasses.dataclass(frozen=True, eq=False)
class CalibrationError(Additive):
    """Expected calibration error over bins of equal width, sum_b |sum_{i in b} (correct_i - confidence_i)| / n (Guo et al., 2017).

    Args:
        confidence: (n,) in [0, 1]. correct, counted: (n,) booleans.
    """

    name: str
    confidence: FloatArray
    correct: BoolArray
    counted: BoolArray
    bins: int = 15
    bad: Bad | None = "high"

    def __post_init__(self) -> None:
        if self.bins < 1 or not len(self.confidence) == len(self.correct) == len(self.counted):
            raise InvalidValue(f"{self.name}: confidence, correct and counted must have one length, and bins be positive (got {self.bins})")
        p = np.where(self.counted, np.asarray(self.confidence, dtype=np.float64), 0.0)
        if not ((p >= 0) & (p <= 1)).all():
            raise InvalidValue(f"{self.name}: a confidence lies outside [0, 1]")
        object.__setattr__(self, "confidence", p)
        object.__setattr__(self, "correct", np.asarray(self.correct, dtype=bool))
        object.__setattr__(self, "counted", np.asarray(self.counted, dtype=bool))

    def __len__(self) -> int:
        return len(self.confidence)

    def sides(self) -> tuple[BoolArray, ...]:
        """See `Measure`."""
        return (self.counted,)

    def columns(self) -> FloatArray:
        """See `Additive`: one column a bin, and the count."""
        found = np.zeros((len(self), self.bins + 1))
        place = np.clip(np.ceil(self.confidence * self.bins) - 1, 0, self.bins - 1).astype(np.intp)
        found[np.arange(len(self)), place] = np.where(self.counted, self.correct - self.confidence, 0.0)
        found[:, -1] = self.counted
        return found

    def value(self, sums: FloatArray) -> FloatArray:
        """See `Additive`."""
        with np.errstate(invalid="ignore", divide="ignore"):
            return np.asarray(np.abs(sums[..., :-1]).sum(axis=-1) / sums[..., -1])


@dataclasses.dataclass(frozen=True, eq=False)
class Separation:
    """AUROC of a score, pairs formed within a question only (`resample.weighted_auroc`): how questions differ in prevalence earns nothing.

    Args:
        score: (n,). label, counted: (n,) booleans. question: (n,) what was asked; None: the same of all.
    """

    name: str
    score: FloatArray
    label: BoolArray
    counted: BoolArray
    question: Sequence[str] | None = None
    bad: Bad | None = "low"

    def __post_init__(self) -> None:
        score = _column(np.where(self.counted, self.score, 0.0), self.name)
        if not len(score) == len(self.label) == len(self.counted) or (self.question is not None and len(self.question) != len(score)):
            raise InvalidValue(f"{self.name}: score, label, counted and question must have one length")
        object.__setattr__(self, "score", score)
        object.__setattr__(self, "label", np.asarray(self.label, dtype=bool))
        object.__setattr__(self, "counted", np.asarray(self.counted, dtype=bool))

    def __len__(self) -> int:
        return len(self.score)

    def sides(self) -> tuple[BoolArray, ...]:
        """See `Measure`: positives and negatives."""
        return self.counted & self.label, self.counted & ~self.label

    def on(self, codes: IntArray, k: int, chosen: BoolArray) -> Weighted:  # noqa: ARG002 - k is for sums
        """See `Measure`."""
        inside = chosen & self.counted
        asked = None if self.question is None else np.asarray(self.question)[inside]
        return weighted_auroc(self.score[inside], self.label[inside], codes[inside], asked)


def sums_of(columns: FloatArray, codes: IntArray, k: int, chosen: BoolArray) -> FloatArray:
    """(k, m) sums of the chosen answers by cluster."""
    found = np.zeros((k, columns.shape[1]))
    for place, column in enumerate(columns.T):
        found[:, place] = np.bincount(codes[chosen], column[chosen], minlength=k)
    return found


@dataclasses.dataclass(frozen=True, eq=False)
class Grouping:
    """Which group each answer and each cluster belongs to. Clusters are numbered so that those with the same groups stand together.

    Args:
        names: of the groups, sorted. group: (n,) group of each answer. codes: (n,) cluster of each answer.
        member: (k, groups) whether a cluster has answers in a group. sizes: clusters of each stratum (clusters with the same groups), in order.
    """

    names: tuple[str, ...]
    group: IntArray
    codes: IntArray
    member: BoolArray
    sizes: tuple[int, ...]

    @property
    def k(self) -> int:
        """Clusters."""
        return len(self.member)

    @property
    def mixed(self) -> BoolArray:
        """(k,) whether a cluster has answers in more than one group."""
        return np.asarray(self.member.sum(axis=1) > 1)

    def clusters_in(self, counted: BoolArray) -> NDArray[np.intp]:
        """(groups,) clusters with a counted answer, by group."""
        found = np.zeros(self.member.shape, dtype=bool)
        found[self.codes[counted], self.group[counted]] = True
        return np.asarray(found.sum(axis=0), dtype=np.intp)

    @classmethod
    def of(cls, groups: Sequence[str], clusters: Sequence[object] | NDArray[np.generic]) -> Grouping:
        """From the group and the cluster of each answer.

        Raises:
            InvalidValue: lengths differ.
        """
        if len(groups) != len(clusters):
            raise InvalidValue(f"groups and clusters must have one length (got {len(groups)} and {len(clusters)})")
        names, group = np.unique(np.asarray(groups, dtype=str), return_inverse=True)
        known, codes = np.unique(np.asarray(clusters), return_inverse=True)
        codes, group = codes.reshape(-1), group.reshape(-1)
        member = np.zeros((len(known), len(names)), dtype=bool)
        member[codes, group] = True
        stratum = numbered_rows(member) if len(member) else np.empty(0, dtype=np.intp)
        order = np.argsort(stratum, kind="stable")
        place = np.empty_like(order)
        place[order] = np.arange(len(order))
        return cls(tuple(str(n) for n in names), group.astype(np.intp), place[codes].astype(np.intp), member[order], tuple(np.bincount(stratum).tolist()))
