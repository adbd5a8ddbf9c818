"""Does a model serve groups of patients alike: answers, misses, flips, image reliance, calibration and the gate, by sex, age, view and whatever tags tell.

In: recorded items (and readings of the gate). Out, for each suite of `suites`:

- part, items, clusters, minimum, limit, tests: {count, smallest_p} (Holm's family: every attribute and metric of the suite that could be tested)
- attributes.NAME ("sex", "sex x view", ...): groups {value: {items, images, clusters}}, unknown (items), metrics.METRIC: {groups {value: Interval},
  too_small {value: patients}, gap, worst, null_mean, null_high, p_value, mixed, p_holm, p_within_view, verdict, below_limit}
- confounding: [{first, second, v, p_value, n, clusters}], notes: sentences where p <= 0.05
- unread, unread_films: items and films whose answers could not be read; audit: {attribute: {group: {gap, n}}}, as a policy of the gate holds it
- worst: [{attribute, metric, gap, verdict, group}] above the limit, or those with the smallest p

Metrics: accuracy, unreadable, ece, tpr, fpr, positive_rate (its gap is the demographic parity difference), auroc (pairs within a finding, else over all
questions), equalized_odds, average_odds, eod (FairMedFM, 1 - average_odds; larger is fairer), tpr_tuned, fpr_tuned, average_odds_tuned, eod_tuned (yes at or
above the development part's best-F1 threshold of P(yes)), risk_at_80, risk_at_60 (wrong among the surest 80 % and 60 %), underdiagnosis, overdiagnosis (of
all findings, and `_normality`: of the question whether the film is normal), flip_rate, blank_changed, referral_rate, accepted_risk. TPR, FPR and their like
are of yes/no questions without that on normality, whose yes means healthy.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import combinations
from typing import Any

import numpy as np

from vesalius.domain.decision import Verdict
from vesalius.domain.exchange import Answer, Outcome
from vesalius.evaluate.accuracy import Scorer, is_right, parse_failed
from vesalius.evaluate.behaviour import changed, generated_pairs
from vesalius.evaluate.confidence import confidence_of
from vesalius.evaluate.record import Item
from vesalius.evaluate.study import Bench, Row, Skip, Tell
from vesalius.metrics import fairness as metric
from vesalius.metrics.fairness import Combined, Disparity, compare, film_measures, films
from vesalius.metrics.findings import best_f1_threshold
from vesalius.metrics.groups import CalibrationError, Measure, Separation, Share
from vesalius.metrics.phrasing import Flip
from vesalius.metrics.statistics import Interval
from vesalius.metrics.text import normalise, read_outcome

ATTRIBUTES = ("sex", "age", "race", "ethnicity", "insurance", "language", "view", "scanner", "source", "site", "modality")
PATIENT = ATTRIBUTES[:6]  # of the patient; the rest is of the picture
INTERSECTIONS = (("sex", "age"), ("sex", "view"), ("age", "view"), ("sex", "age", "view"))
BANDS = ((18, "0-17"), (40, "18-39"), (60, "40-59"), (80, "60-79"), (131, "80+"))  # as the gate groups patients
_NORMALITY = ("normal", "no finding")
_DEVICES = ("support devices", "view")  # no disease
_ODDS = (
    Combined("equalized_odds", ("tpr", "fpr")),
    Combined("average_odds", ("tpr", "fpr"), "mean"),
    Combined("average_odds_tuned", ("tpr_tuned", "fpr_tuned"), "mean"),
)
_FLIPPED = {"average_odds": "eod", "average_odds_tuned": "eod_tuned"}  # the same gap as FairMedFM writes it, not tested a second time
_COVERAGES = (0.8, 0.6)
_SHUFFLES = 4000


def age_band(age: str) -> str | None:
    """The band of an age in years ("60", "060Y"); None when it is no age."""
    digits = age.strip().upper().removesuffix("Y")
    if not digits.isdigit():
        return None
    return next((name for limit, name in BANDS if int(digits) < limit), None)


def group_of(item: Item, attribute: str) -> str | None:
    """The group of an item: of an attribute, or of several joined by " x "; None when a part is unknown."""
    parts = []
    for name in attribute.split(" x "):
        value = item.exchange.tags.get(name, "").strip()
        part = age_band(value) if name == "age" else value if value.casefold() not in ("", "unknown", "nan", "none") else None
        if part is None:
            return None
        parts.append(part)
    return ", ".join(parts)


def attributes_of(items: Sequence[Item]) -> list[str]:
    """Attributes with at least two groups, and intersections of those."""
    single = [name for name in ATTRIBUTES if len({g for item in items if (g := group_of(item, name)) is not None}) > 1]
    return single + [" x ".join(names) for names in INTERSECTIONS if all(name in single for name in names)]


@dataclasses.dataclass(frozen=True)
class Fairness:
    """See the module.

    Settings: minimum (20 patients), limit (0.05), permutations (4000, or 25 for each test where that is more: with fewer no corrected p value can be small).
    """

    name: str = "fairness"
    title: str = "Groups of patients"

    def collect(self, bench: Bench, tell: Tell) -> Iterator[Row] | Skip:  # noqa: ARG002 - the items are recorded already
        """Nothing is asked: the plain evaluations have."""
        told = any(attributes_of(bench.test_items(suite)) for suite in bench.items)
        return iter(()) if told else Skip(f"no recorded answer tells two groups of an attribute ({', '.join(ATTRIBUTES)})")

    def score(self, rows: Sequence[Row], bench: Bench, scorer: Scorer) -> Mapping[str, Any]:  # noqa: ARG002
        """See the module."""
        found = {}
        for suite in bench.items:
            items = bench.test_items(suite)
            if attributes_of(items):
                found[suite] = _Suite(items, bench.development_items(suite), bench.readings.get(suite, ()), bench.settings, scorer).score()
        return {"bands": [name for _, name in BANDS], "suites": found}


@dataclasses.dataclass(frozen=True)
class _Part:
    """Measures over one kind of unit, and the item that each unit belongs to."""

    measures: Sequence[Measure]
    items: Sequence[Item]
    combined: tuple[Combined, ...] = ()


class _Suite:
    def __init__(self, items: Sequence[Item], development: Sequence[Item], readings: Sequence[Row], settings: Mapping[str, Any], scorer: Scorer) -> None:
        self.items, self.scorer = items, scorer
        self.minimum, self.limit = int(settings.get("minimum", metric.MINIMUM)), float(settings.get("limit", metric.LIMIT))
        filmed, self.unread_films = _film_parts(items)
        self.parts = [_answers(items, _threshold(development)), *filmed, _flips(items), _reliance(items), *_gate(items, readings)]
        tests = len(attributes_of(items)) * sum(len(part.measures) + len(part.combined) for part in self.parts)
        self.permutations = int(settings.get("permutations", max(_SHUFFLES, 25 * tests)))

    def score(self) -> dict[str, Any]:
        names = attributes_of(self.items)
        confounding, notes = self._confounding([name for name in names if " x " not in name])
        views = {c["first"] for c in confounding if c["second"] == "view" and c["p_value"] <= metric.SIGNIFICANCE}
        tested: dict[tuple[str, str], dict[str, Any]] = {}
        for name in names:
            for disparity, within in self._measured(name, conditional=name in views):
                tested[name, disparity.name] = {**disparity.to_json(), "p_within_view": within, "_gap": disparity.gap}
        corrected = metric.holm([row["p_value"] for row in tested.values()])
        for ((_, which), row), p in zip(tested.items(), corrected, strict=True):
            row |= {"p_holm": p, **self._verdict(which, row.pop("_gap"), p)}
        count = sum(p is not None for p in corrected)
        if count / (self.permutations + 1) > metric.SIGNIFICANCE:
            notes.append(f"{self.permutations} shuffles are too few for {count} tests: no corrected p value can be at most {metric.SIGNIFICANCE:g}")
        return {
            "part": next(part for part in self.items[0].parts if part.endswith("/test")),
            "items": len(self.items),
            "clusters": len({item.exchange.cluster for item in self.items}),
            "minimum": self.minimum,
            "limit": self.limit,
            "tests": {"count": count, "smallest_p": min(1.0, count / (self.permutations + 1)), "permutations": self.permutations},
            "attributes": {name: self._about(name) | {"metrics": {m: row for (a, m), row in tested.items() if a == name}} for name in names},
            "confounding": confounding,
            "notes": notes,
            "unread": {"count": sum(parse_failed(item.answer, item.exchange) for item in self.items), "n": len(self.items)},
            "unread_films": self.unread_films,
            "audit": _audit(tested),
            "worst": _worst(tested),
        }

    def _about(self, attribute: str) -> dict[str, Any]:
        of = [group_of(item, attribute) for item in self.items]
        groups = {}
        for value in sorted({g for g in of if g is not None}):
            inside = [item.exchange for item, g in zip(self.items, of, strict=True) if g == value]
            groups[value] = {"items": len(inside), "images": len({x.image for x in inside}), "clusters": len({x.cluster for x in inside})}
        return {"groups": groups, "unknown": sum(g is None for g in of)}

    def _measured(self, attribute: str, *, conditional: bool) -> Iterator[tuple[Disparity, float | None]]:
        of, view = ({item.id: group_of(item, name) for item in self.items} for name in (attribute, "view"))
        for part in self.parts:
            there = {m.name for m in part.measures}
            combined = tuple(c for c in part.combined if set(c.of) <= there)
            given: dict[str, Any] = {"combined": combined, "minimum": self.minimum, "permutations": self.permutations, "seed": self.scorer.seed}
            groups, clusters = [of[item.id] for item in part.items], [item.exchange.cluster for item in part.items]
            found = compare(part.measures, groups, clusters, replicates=self.scorer.replicates, **given)
            views = [view[item.id] or "" for item in part.items] if conditional else None
            again = compare(part.measures, groups, clusters, replicates=1, within=views, **given) if views is not None else {}
            for name, disparity in found.items():
                yield disparity, again[name].p_value if name in again else None
                if name in _FLIPPED:
                    turned = metric.one_less(disparity, _FLIPPED[name])
                    yield dataclasses.replace(turned, null_mean=None, null_high=None, p_value=None), None

    def _verdict(self, which: str, gap: Interval, p: float | None) -> dict[str, Any]:
        if which in _FLIPPED.values() or gap.value is None:
            return {"verdict": None, "below_limit": None}
        return {"verdict": metric.verdict(gap, p, limit=self.limit), "below_limit": gap.value < self.limit}

    def _confounding(self, names: Sequence[str]) -> tuple[list[dict[str, Any]], list[str]]:
        films_of = {item.exchange.image: item for item in self.items}
        sick = {item.exchange.image for item in self.items if _is_finding(item) and normalise(item.exchange.gold) == "yes"}
        labels: dict[str, Callable[[Item], str | None]] = {name: lambda item, name=name: group_of(item, name) for name in names}  # type: ignore[misc]
        if sick:
            labels["finding"] = lambda item: "present" if item.exchange.image in sick else "absent"
        found, notes = [], []
        for first, second in combinations(labels, 2):
            rows = [
                (a, b, item.exchange.cluster)
                for item in films_of.values()
                if (a := labels[first](item)) is not None and (b := labels[second](item)) is not None
            ]
            made = metric.association([r[0] for r in rows], [r[1] for r in rows], [r[2] for r in rows], seed=self.scorer.seed)
            if made.v is None or made.p_value is None:
                continue
            found.append({"first": first, "second": second, **made._asdict()})
            if made.p_value <= metric.SIGNIFICANCE:
                notes.append(f"{first} and {second} go together (Cramer's V {made.v:.2f}, p {made.p_value:.3f}): a gap by one may be a gap by the other")
        return found, notes


def _is_finding(item: Item) -> bool:
    name = item.exchange.tags.get("finding", "").replace("_", " ").strip().casefold()
    return bool(name) and name not in (*_NORMALITY, *_DEVICES) and normalise(item.exchange.gold) in ("yes", "no")


def _asks_normality(item: Item) -> bool:
    return item.exchange.tags.get("finding", "").replace("_", " ").strip().casefold() in _NORMALITY


def _said(answer: Answer) -> float:
    return {Outcome.YES: 1.0, Outcome.NO: 0.0}.get(read_outcome(answer.text), np.nan)


def _gold(item: Item) -> float:
    return {"yes": 1.0, "no": 0.0}.get(normalise(item.exchange.gold), np.nan)


def _threshold(development: Sequence[Item]) -> float | None:
    """P(yes) with the largest F1 over the development part's yes/no questions."""
    rows = [(item.answer.p_yes, _gold(item)) for item in development if item.answer.p_yes is not None and not _asks_normality(item)]
    told = [(p, gold) for p, gold in rows if not np.isnan(gold)]
    return best_f1_threshold([p for p, _ in told], [gold == 1 for _, gold in told]) if told else None


def _answers(items: Sequence[Item], threshold: float | None) -> _Part:
    every = np.ones(len(items), dtype=bool)
    right = np.asarray([is_right(item.answer, item.exchange) for item in items], dtype=bool)
    unread = np.asarray([parse_failed(item.answer, item.exchange) for item in items], dtype=bool)
    sure = np.asarray([np.nan if (c := confidence_of(item.answer)) is None else c for item in items], dtype=np.float64)
    gold = np.asarray([np.nan if _asks_normality(item) else _gold(item) for item in items], dtype=np.float64)
    said = np.asarray([_said(item.answer) for item in items], dtype=np.float64)
    p_yes = np.asarray([np.nan if item.answer.p_yes is None else item.answer.p_yes for item in items], dtype=np.float64)
    known, scored, measured = ~np.isnan(gold), ~np.isnan(gold) & ~np.isnan(p_yes), ~np.isnan(sure)
    measures: list[Measure] = [
        Share("accuracy", right, every, "low"),
        Share("unreadable", unread, every, "high"),
        *metric.answer_measures(gold == 1, said == 1, known & ~np.isnan(said)),
    ]
    if measured.any():
        measures.append(CalibrationError("ece", sure, right, measured))
        for coverage in _COVERAGES:
            cut = np.quantile(sure[measured], 1 - coverage, method="inverted_cdf")
            measures.append(Share(f"risk_at_{coverage:.0%}".rstrip("%"), ~right, measured & (np.nan_to_num(sure, nan=-1) >= cut), "high"))
    if scored.any():
        # where questions are free, hardly two answers share one: pairs are formed over all of them
        about = [item.exchange.tags.get("finding", "") for item in items]
        measures.append(Separation("auroc", p_yes, gold == 1, scored, about if any(about) else None))
        if threshold is not None:
            yes = np.nan_to_num(p_yes, nan=-1) >= threshold
            measures += [dataclasses.replace(m, name=f"{m.name}_tuned") for m in metric.answer_measures(gold == 1, yes, scored)[:2]]
    return _Part(measures, items, _ODDS)


def _film_parts(items: Sequence[Item]) -> tuple[list[_Part], dict[str, int]]:
    """Under- and overdiagnosis: over all findings of a film, and by the question whether it is normal."""
    parts, unread = [], {}
    for suffix, belongs, turned in (("", _is_finding, False), ("_normality", _asks_normality, True)):
        inside = [item for item in items if belongs(item)]
        if not inside:
            continue
        gold, said = np.asarray([_gold(item) for item in inside]), np.asarray([_said(item.answer) for item in inside])
        found = films([item.exchange.image for item in inside], 1 - gold if turned else gold, 1 - said if turned else said)
        first = {item.exchange.image: item for item in reversed(inside)}
        parts.append(_Part(film_measures(found, suffix), [first[str(name)] for name in found.names]))
        unread["findings" if not suffix else "normality"] = int((~found.told).sum())
    return parts, unread


def _flips(items: Sequence[Item]) -> _Part:
    pairs = [pair for _, group in sorted(generated_pairs(items).items()) for pair in group]
    states = np.asarray([pair.state for pair in pairs], dtype=int)
    return _Part([Share("flip_rate", states == Flip.FLIPPED, states != Flip.UNPARSED, "high")] if pairs else [], [pair.item for pair in pairs])


def _reliance(items: Sequence[Item]) -> _Part:
    told = [(item, now) for item in items if item.blank is not None and (now := changed(item.answer, item.blank)) is not None]
    moved = np.asarray([now for _, now in told], dtype=bool)
    return _Part([Share("blank_changed", moved, np.ones(len(told), dtype=bool), "low")] if told else [], [item for item, _ in told])


def _gate(items: Sequence[Item], readings: Sequence[Row]) -> list[_Part]:
    known = {item.id: item for item in items}
    rows = [(known[str(r["id"])], r) for r in readings if str(r["id"]) in known]
    if not rows:
        return []
    wrong = np.asarray([not is_right(Answer(r["answer"], Outcome(r["outcome"])), item.exchange) for item, r in rows], dtype=bool)
    referred = np.asarray([r["decision"] == str(Verdict.REFERRED) for _, r in rows], dtype=bool)
    every = np.ones(len(rows), dtype=bool)
    return [_Part([Share("referral_rate", referred, every, "high"), Share("accepted_risk", wrong, ~referred, "high")], [item for item, _ in rows])]


def _audit(tested: Mapping[tuple[str, str], Mapping[str, Any]]) -> dict[str, dict[str, dict[str, Any]]]:
    """Error of each group of patients less that of the best group, as a policy's audit holds it."""
    found = {}
    for (attribute, which), row in tested.items():
        if which == "accuracy" and attribute in PATIENT and len(row["groups"]) > 1:
            best = max(group["value"] for group in row["groups"].values())
            found[attribute] = {name: {"gap": best - group["value"], "n": group["clusters"]} for name, group in row["groups"].items()}
    return found


def _worst(tested: Mapping[tuple[str, str], Mapping[str, Any]], most: int = 5) -> list[dict[str, Any]]:
    """What is above the limit; where nothing is, the smallest p values."""
    rows = [(a, m, row) for (a, m), row in tested.items() if row["verdict"] is not None and row["p_value"] is not None]
    rows.sort(key=lambda r: (r[2]["verdict"] != metric.ABOVE, r[2]["p_value"], -(r[2]["gap"]["value"] or 0)))
    above = sum(row["verdict"] == metric.ABOVE for _, _, row in rows)
    shown = rows[: max(above, most)]
    return [{"attribute": a, "metric": m, "gap": row["gap"], "verdict": row["verdict"], "p_holm": row["p_holm"], "group": row["worst"]} for a, m, row in shown]


STUDY = Fairness()
