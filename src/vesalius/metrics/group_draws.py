"""Measures by group on resampled patients and under shuffled groups, all measures from the same draws.

In: measures, `Grouping`. Out: for each measure the groups that are large enough, their values, bootstrap errors, and the gaps that chance alone gives.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from vesalius.metrics.groups import Additive, BoolArray, Grouping, Measure, Share, sums_of
from vesalius.metrics.resample import FloatArray, IntArray, bootstrap_weights, numbered, numbered_rows, shuffles

_COSTLY = 50_000_000  # answers times resamples beyond which a ranking statistic is drawn no further


class Drawn(NamedTuple):
    """One measure by group.

    Args:
        kept: groups with enough patients on every side. patients: (groups,) of all groups. values: (kept,).
        errors: (replicates, kept) bootstrap values less the estimates, nan where a group cannot vary; None when nothing was drawn.
        unmixed: the gap without patients of several groups. null: (permutations,) gaps under shuffled groups; None when they were not made.
    """

    kept: IntArray
    patients: NDArray[np.intp]
    values: FloatArray
    errors: FloatArray | None
    unmixed: float
    null: FloatArray | None


def spread(values: FloatArray) -> FloatArray:
    """Max - min of each row."""
    return np.asarray(values.max(axis=1) - values.min(axis=1))


def draw(
    measures: Sequence[Measure], grouping: Grouping, within: Sequence[str] | None, *, minimum: int, replicates: int, permutations: int, seed: int
) -> list[Drawn]:
    """See the module.

    Args:
        measures: over the answers of `grouping`. within: (n,) label; patients are only shuffled among those with the same labels.
        minimum: patients that a group must have on each side of a measure.
    """
    table = _Table(measures, grouping)
    patients = [np.min([grouping.clusters_in(side) for side in m.sides()], axis=0) for m in measures]
    kept = [np.flatnonzero(counts >= minimum) for counts in patients]
    values = [v[0] for v in table.by_group(np.ones((1, grouping.k)), kept)]
    blocks: list[list[FloatArray]] = [[] for _ in measures]
    done = 0
    for weights in bootstrap_weights(grouping.sizes, replicates, np.random.default_rng(seed)):
        wanted = [groups if done * table.cost[place] < _COSTLY else groups[:0] for place, groups in enumerate(kept)]
        for place, drawn in enumerate(table.by_group(weights, wanted)):
            if len(wanted[place]):
                blocks[place].append(drawn)
        done += len(weights)
    nulls, unmixed = _null(measures, kept, grouping, table, within, permutations, np.random.default_rng([seed, 1]))
    rng = np.random.default_rng([seed, 2])
    made = []
    for place, m in enumerate(measures):
        errors = _errors(m, values[place], np.concatenate(blocks[place]), patients[place][kept[place]], rng) if blocks[place] else None
        made.append(Drawn(kept[place], patients[place], values[place], errors, unmixed[place], nulls[place]))
    return made


def _errors(measure: Measure, values: FloatArray, draws: FloatArray, patients: NDArray[np.intp], rng: np.random.Generator) -> FloatArray:
    """Draws less estimates. A share of 0 or 1 cannot vary: its errors come from Beta(1, patients), whose quantile is the Clopper-Pearson bound."""
    errors = np.asarray(draws - values)
    for place in range(len(values)):
        if not np.any(np.abs(errors[:, place]) > 1e-12):
            stands_in = isinstance(measure, Share) and values[place] in (0.0, 1.0)
            sign = 1.0 if values[place] == 0 else -1.0
            errors[:, place] = sign * rng.beta(1, patients[place], len(errors)) if stands_in else np.nan
    return errors


class _Table:
    """Measures by group as functions of the weights of clusters; those of sums share one matrix product a block."""

    def __init__(self, measures: Sequence[Measure], grouping: Grouping) -> None:
        self.measures, self.groups, self.k = measures, len(grouping.names), grouping.k
        self.cost = [0 if isinstance(m, Additive) else len(m) for m in measures]  # answers that each resample has to visit
        masks = [grouping.group == g for g in range(self.groups)]
        columns: list[FloatArray] = []
        self._slices: dict[int, slice] = {}
        for place, m in enumerate(measures):
            if isinstance(m, Additive):
                at = sum(c.shape[1] for c in columns)
                columns.append(m.columns())
                self._slices[place] = slice(at, at + columns[-1].shape[1])
        whole = np.concatenate(columns, axis=1) if columns else np.empty((len(grouping.codes), 0))
        by_group = [sums_of(whole, grouping.codes, self.k, mask) for mask in masks]
        self._stacked, self._all = np.concatenate(by_group, axis=1), np.sum(by_group, axis=0)
        everything = np.ones(len(grouping.codes), dtype=bool)
        ranked = (place for place in range(len(measures)) if place not in self._slices)
        self._ranked = {place: [measures[place].on(grouping.codes, self.k, mask) for mask in (*masks, everything)] for place in ranked}

    def by_group(self, weights: FloatArray, wanted: Sequence[IntArray]) -> list[FloatArray]:
        """(b, wanted groups) values of each measure, each group from its own answers."""
        sums = (weights @ self._stacked).reshape(len(weights), self.groups, -1)
        found = []
        for place, groups in enumerate(wanted):
            measure = self.measures[place]
            if isinstance(measure, Additive):
                found.append(measure.value(sums[:, groups, self._slices[place]]))
            else:
                columns = [self._ranked[place][g](weights) for g in groups]
                found.append(np.stack(columns, axis=1) if columns else np.empty((len(weights), 0)))
        return found

    def over_all(self, weights: FloatArray, clusters: IntArray, wanted: Sequence[bool]) -> list[FloatArray]:
        """(b,) values of each measure over the answers of all groups, from (b, chosen) weights of the chosen clusters; the others weigh nothing."""
        sums = weights @ self._all[clusters]
        whole = np.empty(0)
        if any(use and place in self._ranked for place, use in enumerate(wanted)):
            whole = np.zeros((len(weights), self.k))
            whole[:, clusters] = weights
        found = []
        for place, use in enumerate(wanted):
            measure = self.measures[place]
            if isinstance(measure, Additive):
                found.append(measure.value(sums[:, self._slices[place]]))
            else:
                found.append(self._ranked[place][-1](whole) if use else np.full(len(weights), np.nan))
        return found


def _null(
    measures: Sequence[Measure],
    kept: Sequence[IntArray],
    grouping: Grouping,
    table: _Table,
    within: Sequence[str] | None,
    permutations: int,
    rng: np.random.Generator,
) -> tuple[list[FloatArray | None], list[float]]:
    """Gaps under shuffled groups, and the observed ones, both without patients of several groups.

    Patients are shuffled among those with answers of the same kinds: how many positive patients a group has stays as it is.
    """
    shuffled, compared = np.flatnonzero(~grouping.mixed), [len(groups) > 1 for groups in kept]
    if not permutations or not any(compared) or len(shuffled) < 2:
        return [None] * len(measures), [float("nan")] * len(measures)
    alone = np.zeros((1, grouping.k))
    alone[:, shuffled] = 1
    observed = [spread(v)[0] if v.shape[1] > 1 else float("nan") for v in table.by_group(alone, kept)]
    label, stratum = grouping.member.argmax(axis=1)[shuffled], _kinds(measures, grouping, within)[shuffled]
    wanted = np.unique(np.concatenate([groups for groups in kept if len(groups) > 1]))
    gaps: list[list[FloatArray]] = [[] for _ in measures]
    done = 0
    for drawn in shuffles(label, stratum, permutations, rng):
        useful = [use and done * table.cost[place] < _COSTLY for place, use in enumerate(compared)]
        values = np.full((len(measures), len(drawn), len(grouping.names)), np.nan)
        for g in wanted:
            values[:, :, g] = table.over_all((drawn == g).astype(np.float64), shuffled, useful)
        for place, groups in enumerate(kept):
            if useful[place]:
                gaps[place].append(spread(values[place][:, groups]))
        done += len(drawn)
    return [np.concatenate(rows) if rows else None for rows in gaps], observed


def _kinds(measures: Sequence[Measure], grouping: Grouping, within: Sequence[str] | None) -> IntArray:
    """(k,) which sides of which measures a cluster has answers on, and its labels of `within`, as one number."""
    sides = [side for m in measures for side in m.sides()]
    kinds = np.zeros((grouping.k, len(sides)), dtype=bool)
    for column, side in enumerate(sides):
        kinds[grouping.codes[side], column] = True
    if within is None:
        return numbered_rows(kinds)
    code, names = numbered(np.asarray(within, dtype=str))
    shown: BoolArray = np.zeros((grouping.k, names), dtype=bool)
    shown[grouping.codes, code] = True
    return numbered_rows(np.concatenate([kinds, shown], axis=1))
