"""Do groups of patients fare alike: shares by group, gaps with intervals and a permutation null, a verdict against a limit, Holm's correction.

In: `Measure`s over answers, the group and the patient of each. Out: `Disparity` for each measure.

- Gap = max - min over groups; equal opportunity = gap of TPR; equalized odds = max(TPR gap, FPR gap) (Hardt et al., 2016); demographic parity difference = gap
  of the share that is called positive; FairMedFM's EOD = 1 - (TPR gap + TNR gap) / 2 (Jin et al., 2024), whose second term is `mean` of the two gaps.
- Patients are resampled with replacement within their group (those with answers in several groups among themselves); all groups and measures share the draws.
- A maximum over noisy groups is never 0, and its percentile interval never holds 0. The interval of a gap is therefore
  [gap - q, gap + q], cut to [0, 1], q the 95 % quantile of max_g (r*_g - r_g) - min_g (r*_g - r_g): |gap - true gap| never exceeds the range of the errors.
- Null: groups are shuffled over patients, among those who have answers of the same kinds (a patient without a positive finding says nothing of a TPR).
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from vesalius.errors import InvalidValue
from vesalius.metrics.group_draws import Drawn, draw, spread
from vesalius.metrics.groups import BoolArray, Grouping, Measure, Share
from vesalius.metrics.resample import FloatArray, numbered, shuffles
from vesalius.metrics.statistics import Interval, clopper_pearson

LIMIT, MINIMUM, SIGNIFICANCE = 0.05, 20, 0.05
BELOW, ABOVE, UNTOLD = "below", "above", "cannot be told"


@dataclasses.dataclass(frozen=True)
class Combined:
    """The largest or the mean of several measures' gaps: equalized odds is `max` of TPR and FPR."""

    name: str
    of: tuple[str, ...]
    how: Literal["max", "mean"] = "max"


@dataclasses.dataclass(frozen=True)
class Disparity:
    """One figure by group, and how far groups are apart.

    Args:
        groups: value of each group that is large enough; empty for a combined gap. too_small: patients of each group that is not.
        gap: max - min over groups. worst: the group that is worst off; None when no end is bad.
        null_mean, null_high, p_value: mean and 95 % quantile of the gap when groups are shuffled over patients, and the share of shuffles with at least
            the gap, (1 + hits) / (1 + shuffles); None when it was not made. mixed: patients in more than one group, who are left out of the shuffles.
    """

    name: str
    groups: Mapping[str, Interval]
    too_small: Mapping[str, int]
    gap: Interval
    worst: str | None = None
    null_mean: float | None = None
    null_high: float | None = None
    p_value: float | None = None
    mixed: int = 0

    def to_json(self) -> dict[str, Any]:
        """A plain mapping for `json.dump`."""
        return dataclasses.asdict(self)


def answer_measures(gold: ArrayLike, said: ArrayLike, read: ArrayLike) -> list[Share]:
    """TPR, FPR and the share of yes of yes/no answers; answers that are no yes or no are left out of each.

    TPR = P(yes | gold yes), FPR = P(yes | gold no), positive_rate = P(yes).

    Args:
        gold, said: (n,) whether the answer is yes. read: (n,) whether both are a yes or a no.
    """
    g, s, r = (np.asarray(a, dtype=bool) for a in (gold, said, read))
    return [Share("tpr", s, r & g, "low"), Share("fpr", s, r & ~g, "high"), Share("positive_rate", s, r)]


class Films(NamedTuple):
    """By film: its name, whether any finding is there, whether none is, whether any was said, whether that can be told."""

    names: NDArray[np.str_]
    diseased: BoolArray
    healthy: BoolArray
    said_any: BoolArray
    told: BoolArray


def films(names: Sequence[str], gold: ArrayLike, said: ArrayLike) -> Films:
    """Answers about findings gathered by film, for under- and overdiagnosis (after Seyyed-Kalantari et al., 2021).

    A film is diseased with at least one positive finding, healthy when all findings asked are negative. It is missed when every question was answered no;
    with an unread answer and no yes that cannot be told. Underdiagnosis = missed / diseased, overdiagnosis = any yes / healthy.

    Args:
        names: (n,) film of each answer. gold, said: (n,) 1 yes, 0 no, nan unknown or unread.

    Raises:
        InvalidValue: lengths differ.
    """
    g, s = np.asarray(gold, dtype=np.float64), np.asarray(said, dtype=np.float64)
    if not len(names) == len(g) == len(s):
        raise InvalidValue(f"film, gold and said must have one length (got {len(names)}, {len(g)}, {len(s)})")
    known, of = np.unique(np.asarray(names, dtype=str), return_inverse=True)
    k = len(known)

    def any_of(flags: BoolArray) -> BoolArray:
        return np.asarray(np.bincount(of.reshape(-1)[flags], minlength=k) > 0)

    diseased, yes = any_of(g == 1), any_of(s == 1)
    return Films(known, diseased, ~diseased & ~any_of(np.isnan(g)), yes, yes | ~any_of(np.isnan(s)))


def film_measures(found: Films, suffix: str = "") -> list[Share]:
    """Underdiagnosis and overdiagnosis as measures over films."""
    return [
        Share("underdiagnosis" + suffix, ~found.said_any, found.diseased & found.told, "high"),
        Share("overdiagnosis" + suffix, found.said_any, found.healthy & found.told, "high"),
    ]


def compare(
    measures: Sequence[Measure],
    groups: Sequence[str | None],
    clusters: Sequence[Any] | NDArray[Any],
    *,
    combined: Sequence[Combined] = (),
    minimum: int = MINIMUM,
    replicates: int = 2000,
    permutations: int = 1000,
    confidence: float = 0.95,
    seed: int = 0,
    within: Sequence[str] | None = None,
) -> dict[str, Disparity]:
    """Each measure by group, with gaps; see the module for how intervals and nulls are made.

    Args:
        measures: over the same n answers. groups: (n,) group of each answer, None when unknown (left out). clusters: (n,) patient of each.
        combined: gaps made of several measures' gaps. minimum: groups with fewer patients on any side of a measure are left out of it.
        permutations: shuffles; 0 for none. within: (n,) label; patients are only shuffled among those with the same labels (a conditional null).

    Raises:
        InvalidValue: lengths differ; numbers out of range; a combined gap of a measure that is not there.
    """
    if replicates < 1 or permutations < 0 or minimum < 1 or not 0 < confidence < 1:
        raise InvalidValue(f"replicates and minimum must be positive, confidence in (0, 1) (got {replicates}, {permutations}, {minimum}, {confidence})")
    names = {m.name for m in measures}
    if any(len(m) != len(groups) for m in measures) or len(clusters) != len(groups) or any(n not in names for c in combined for n in c.of):
        raise InvalidValue("measures, groups and clusters must have one length, and combined gaps be of measures that are there")
    known = np.asarray([g is not None for g in groups], dtype=bool)
    inside = [_only(m, known) for m in measures]
    if not known.any():
        nothing = Interval(None, None, None, 0, 0, "nothing was measured")
        return {name: Disparity(name, {}, {}, nothing) for name in (*names, *(c.name for c in combined))}
    grouping = Grouping.of([g for g in groups if g is not None], np.asarray(clusters)[known])
    others = None if within is None else [w for w, use in zip(within, known, strict=True) if use]
    drawn = draw(inside, grouping, others, minimum=minimum, replicates=replicates, permutations=permutations, seed=seed)
    made = dict(zip((m.name for m in measures), drawn, strict=True))
    found = {m.name: _disparity(m, grouping, made[m.name], minimum, confidence) for m in inside}
    return found | {c.name: _combine(c, found, made, confidence) for c in combined}


def _only(measure: Measure, known: BoolArray) -> Measure:
    """The measure on the answers whose group is known."""
    if known.all():
        return measure
    fields = {f.name: getattr(measure, f.name) for f in dataclasses.fields(measure)}  # type: ignore[arg-type]
    cut = {name: np.asarray(value)[known] for name, value in fields.items() if np.ndim(value) == 1}
    return dataclasses.replace(measure, **cut)  # type: ignore[type-var]


def _disparity(measure: Measure, grouping: Grouping, drawn: Drawn, minimum: int, confidence: float) -> Disparity:
    counted = np.any(measure.sides(), axis=0)
    method = "" if drawn.errors is None else f"{len(drawn.errors)} resamples of patients within groups"
    groups = {}
    for place, g in enumerate(drawn.kept):
        errors = None if drawn.errors is None else drawn.errors[:, place]
        n, k = int((counted & (grouping.group == g)).sum()), int(grouping.clusters_in(counted)[g])
        groups[grouping.names[g]] = _interval(measure, float(drawn.values[place]), errors, n, k, method, confidence)
    too_small = {name: int(drawn.patients[g]) for g, name in enumerate(grouping.names) if g not in drawn.kept}
    inside = counted & np.isin(grouping.group, drawn.kept)
    n, k = int(inside.sum()), len(np.unique(grouping.codes[inside]))
    if len(groups) < 2 or drawn.errors is None:
        return Disparity(measure.name, groups, too_small, Interval(None, None, None, n, k, f"fewer than two groups with {minimum} patients"))
    gap = _gap(float(np.ptp(drawn.values)), spread(drawn.errors), n, k, method, confidence)
    order = {"high": np.argmax, "low": np.argmin, None: None}[measure.bad]
    worst = None if order is None or gap.value == 0 else list(groups)[int(order(drawn.values))]
    return Disparity(measure.name, groups, too_small, gap, worst, *_against(drawn.unmixed, drawn.null), int(grouping.mixed.sum()))


def _interval(measure: Measure, value: float, errors: FloatArray | None, n: int, k: int, method: str, confidence: float) -> Interval:
    if errors is None or not np.isfinite(errors).any():
        return Interval(value, None, None, n, k, "no resample differs")
    if isinstance(measure, Share) and value in (0.0, 1.0):
        bound = clopper_pearson(k if value == 1.0 else 0, k, confidence=confidence)
        return Interval(value, bound.low, bound.high, n, k, "Clopper-Pearson over clusters, because all answers agree")
    low, high = np.nanquantile(value + errors, [(1 - confidence) / 2, (1 + confidence) / 2])
    return Interval(value, float(low), float(high), n, k, f"percentile, {method}, {confidence:.0%}")


def _gap(value: float, reach: FloatArray, n: int, k: int, method: str, confidence: float) -> Interval:
    told = reach[np.isfinite(reach)]
    if len(told) * 2 <= len(reach):
        return Interval(value, None, None, n, k, "undefined on most resamples, or a group does not vary")
    most = float(np.quantile(told, confidence))
    return Interval(value, max(0.0, value - most), min(1.0, value + most), n, k, f"range of errors, {method}, {confidence:.0%}")


def _against(gap: float, null: FloatArray | None) -> tuple[float | None, float | None, float | None]:
    """Mean and 95 % quantile of the null, and the p value."""
    told = np.empty(0) if null is None else null[np.isfinite(null)]
    if not len(told) or not math.isfinite(gap) or told.max() <= 1e-12:  # nothing differs between patients: there is nothing to test
        return None, None, None
    return float(told.mean()), float(np.quantile(told, 0.95)), (1 + int((told >= gap - 1e-12).sum())) / (1 + len(told))


def _combine(wanted: Combined, found: Mapping[str, Disparity], drawn: Mapping[str, Drawn], confidence: float) -> Disparity:
    parts, made = [found[name] for name in wanted.of], [drawn[name] for name in wanted.of]
    n, k = max(part.gap.n for part in parts), max(part.gap.clusters for part in parts)
    lacking = [part.name for part in parts if part.gap.value is None]
    if lacking:
        return Disparity(wanted.name, {}, {}, Interval(None, None, None, n, k, f"not defined without the gap of {', '.join(lacking)}"))

    def fold(rows: Sequence[FloatArray]) -> FloatArray:
        shortest = min(len(row) for row in rows)
        return np.asarray((np.max if wanted.how == "max" else np.mean)([row[:shortest] for row in rows], axis=0))

    value = float(fold([np.asarray([part.gap.value]) for part in parts])[0])
    errors = [d.errors for d in made if d.errors is not None]
    gap = _gap(value, fold([spread(e) for e in errors]), n, k, f"{wanted.how} of gaps, {len(errors[0])} resamples of patients within groups", confidence)
    nulls = [d.null for d in made if d.null is not None]
    unmixed = float(fold([np.asarray([d.unmixed]) for d in made])[0])
    against = _against(unmixed, fold(nulls) if len(nulls) == len(made) else None)
    return Disparity(wanted.name, {}, {}, gap, None, *against, parts[0].mixed)


def one_less(gap: Disparity, name: str) -> Disparity:
    """1 - gap, with its interval: FairMedFM's EOD from the mean of the TPR gap and the FPR gap (which is the TNR gap). Larger is fairer."""
    g = gap.gap
    value, low, high = (None if v is None else 1 - v for v in (g.value, g.high, g.low))
    return dataclasses.replace(gap, name=name, gap=Interval(value, low, high, g.n, g.clusters, g.method))


def holm(p_values: Sequence[float | None]) -> list[float | None]:
    """Corrected for their number, p values become for their number, max_{j <= i} min(1, (m - j + 1) p_(j)) over rising p (Holm, 1979); None stays.

    Raises:
        InvalidValue: a p value outside [0, 1].
    """
    told = [(p, place) for place, p in enumerate(p_values) if p is not None]
    if any(not 0 <= p <= 1 for p, _ in told):
        raise InvalidValue("a p value lies outside [0, 1]")
    found: list[float | None] = [None] * len(p_values)
    largest = 0.0
    for rank, (p, place) in enumerate(sorted(told)):
        largest = max(largest, min(1.0, (len(told) - rank) * p))
        found[place] = largest
    return found


def verdict(gap: Interval, p_value: float | None, *, limit: float = LIMIT, significance: float = SIGNIFICANCE) -> str:
    """Whether a gap is below a limit: "below", "above" or "cannot be told".

    Below when its whole interval is. Above when its whole interval lies above and the (corrected) p value is at most `significance`: an interval alone would
    call some of many gaps unfair by chance.
    """
    if gap.high is not None and gap.high < limit:
        return BELOW
    if gap.low is not None and gap.low > limit and p_value is not None and p_value <= significance:
        return ABOVE
    return UNTOLD


class Association(NamedTuple):
    """Cramer's V of two labels, its permutation p value, and the number of units and clusters."""

    v: float | None
    p_value: float | None
    n: int
    clusters: int


def association(first: Sequence[str], second: Sequence[str], clusters: Sequence[Any] | NDArray[Any], *, permutations: int = 1000, seed: int = 0) -> Association:
    """Cramer's V = sqrt(chi2 / (n min(rows - 1, columns - 1))) of two labels of films, 0 (none) to 1; None when one of them never varies.

    The null shuffles the rows of `first` over clusters: each cluster keeps its films' `second` and takes the commonest `first` of another.

    Raises:
        InvalidValue: lengths differ.
    """
    if not len(first) == len(second) == len(clusters):
        raise InvalidValue(f"labels and clusters must have one length (got {len(first)}, {len(second)}, {len(clusters)})")
    (a, rows), (b, columns), (c, k) = (numbered(np.asarray(x, dtype=str)) if len(x) else (np.empty(0, dtype=np.intp), 0) for x in (first, second, clusters))
    if rows < 2 or columns < 2:
        return Association(None, None, len(a), k)
    commonest, seconds, table = np.zeros((k, rows)), np.zeros((k, columns)), np.zeros((rows, columns))
    np.add.at(commonest, (c, a), 1)
    np.add.at(seconds, (c, b), 1)
    np.add.at(table, (a, b), 1)
    own = commonest.argmax(axis=1)

    def shared(labels: NDArray[np.signedinteger]) -> FloatArray:
        return _cramer(np.stack([(labels == r).astype(np.float64) @ seconds for r in range(rows)], axis=1))

    uniform = shared(own[None])[0]
    null = np.concatenate([shared(drawn) for drawn in shuffles(own, np.zeros(k, dtype=np.intp), permutations, np.random.default_rng(seed))])
    hits = int((null >= uniform - 1e-12).sum())
    return Association(float(_cramer(table[None])[0]), (1 + hits) / (1 + permutations), len(a), k)


def _cramer(tables: FloatArray) -> FloatArray:
    """(b, rows, columns) counts to (b,) values of V; rows and columns that a table lacks do not count."""
    total = tables.sum(axis=(1, 2), keepdims=True)
    across, down = tables.sum(axis=2, keepdims=True), tables.sum(axis=1, keepdims=True)
    expected = across * down / total
    with np.errstate(invalid="ignore", divide="ignore"):
        chi2 = np.where(expected > 0, (tables - expected) ** 2 / expected, 0.0).sum(axis=(1, 2))
        smaller = np.minimum((across > 0).sum(axis=(1, 2)), (down > 0).sum(axis=(1, 2))) - 1
        return np.asarray(np.where(smaller > 0, np.sqrt(chi2 / (total[:, 0, 0] * smaller)), 0.0))
