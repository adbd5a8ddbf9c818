"""Groups of patients on a card: right answers by group, and each gap beside what the same groups would show by chance.

In: a run. Out: a `Section`. The shaded band of a gap reaches to the 95 % quantile of its permutation null: a gap inside it proves nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from vesalius.evaluate.card import svg
from vesalius.evaluate.card.parts import Block, Section, Table, cell, suites
from vesalius.evaluate.card.runs import Run
from vesalius.evaluate.card.svg import Dot

# Gaps that are shown, of what a model says and of what the gate does; the run's own file holds the rest.
_METRICS = ("accuracy", "underdiagnosis", "underdiagnosis_normality", "tpr", "flip_rate", "blank_changed", "ece", "referral_rate", "accepted_risk")
_MOST = 16


def fairness(run: Run) -> Section:
    """Groups and gaps of every suite; intersections of attributes are left to the run's own file."""
    blocks = []
    for suite, table in suites(run, "fairness"):
        attributes = {name: row for name, row in table["attributes"].items() if " x " not in name}
        blocks += [block for block in (_groups(suite, attributes), _gaps(suite, attributes, table.get("limit"))) if block is not None]
    lead = (
        "Right answers, %, of every group that is large enough, and the gaps between best and worst. A largest difference between groups is never "
        "0: the band shows how large chance alone would make it (shuffled groups, 95 %). Holm’s correction counts every gap that was tested."
    )
    return Section("fairness", "Does it serve all groups alike?", lead, tuple(blocks))


def _groups(suite: str, attributes: Mapping[str, Mapping[str, Any]]) -> Block | None:
    dots, cells = [], []
    for name, row in attributes.items():
        measured = row["metrics"].get("accuracy") or {"groups": {}, "too_small": {}}
        for group, interval in measured["groups"].items():
            dots.append(Dot(f"{name}: {group}", interval, "model", f"n {interval['n']:,}"))
            cells.append((f"{name}: {group}", cell(interval), f"{interval['clusters']:,}"))
        cells += [(f"{name}: {group}", "too few", f"{count:,}") for group, count in measured["too_small"].items()]
    if not dots:
        return None
    drawn = svg.forest(dots[:_MOST], label=f"{suite}: right answers by group, per cent, with 95 % intervals")
    return Block(f"{suite}: right answers by group", drawn, Table(f"Right answers by group on {suite}", ("group", "right", "patients"), cells))


def _gaps(suite: str, attributes: Mapping[str, Mapping[str, Any]], limit: float | None) -> Block | None:
    dots, cells, top = [], [], 0.1
    for name, row in attributes.items():
        for which in _METRICS:
            gap = row["metrics"].get(which)
            if gap is None or gap["gap"]["value"] is None:
                continue
            band = None if gap["null_high"] is None else (0.0, gap["null_high"])
            kind = "gate" if gap["verdict"] == "above" else "model"
            words = f"{which.replace('_', ' ')}, {name}"
            dots.append(Dot(words, gap["gap"], kind, f"{100 * gap['gap']['value']:.1f}, {gap['verdict'] or 'not judged'}", band))
            chance = "–" if gap["null_mean"] is None else f"{100 * gap['null_mean']:.1f}, up to {100 * (gap['null_high'] or 0):.1f}"
            p = "–" if gap["p_holm"] is None else f"{gap['p_holm']:.3f}"
            cells.append((words, cell(gap["gap"]), chance, p, gap["verdict"] or "–", gap["worst"] or "–"))
            top = max(top, gap["gap"]["high"] or gap["gap"]["value"], gap["null_high"] or 0.0)
    if not dots:
        return None
    high = min(1.0, -(-round(top, 9) // 0.1) * 0.1)
    words = "" if limit is None else f" (limit {100 * limit:.0f} points)"
    drawn = svg.forest(dots[:_MOST], high=high, label=f"{suite}: gaps between groups, points of 100, with what chance alone gives")
    head = ("gap", "points", "by chance", "p, Holm", "verdict", "worst group")
    return Block(f"{suite}: gaps{words}", drawn, Table(f"Gaps between groups on {suite}", head, cells))
