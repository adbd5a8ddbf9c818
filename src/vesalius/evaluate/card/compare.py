"""Two runs held against each other: paired on the same recorded items where there are any, else from both intervals; and rules that fail on a regression.

In: runs, and a TOML file of rules. Out: `Difference`s (second less first), and for each rule and suite a `Finding`.
Unpaired intervals are those of two independent estimates by the method of variance estimates recovery (MOVER; Zou & Donner, Statistics in Medicine 27, 2008):
d = b - a, low = d - sqrt((b - b_low)^2 + (a_high - a)^2), high = d + sqrt((b_high - b)^2 + (a - a_low)^2).
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

from vesalius import config
from vesalius.domain.exchange import Exchange
from vesalius.errors import ConfigError
from vesalius.evaluate.accuracy import Scorer, is_closed, is_right
from vesalius.evaluate.behaviour import changed, generated_pairs, human_pairs
from vesalius.evaluate.card.headline import HIGHER, LOWER, SPECS, Figure, headline
from vesalius.evaluate.card.runs import Run
from vesalius.evaluate.record import Item
from vesalius.metrics.phrasing import Flip, flips
from vesalius.registry import unknown

PAIRED, UNPAIRED = "paired, same items", "unpaired"

Values = Mapping[str, tuple[float, Item]]


@dataclasses.dataclass(frozen=True)
class Difference:
    """Second less first, of one figure at one place.

    Args:
        first, second: the values compared: on the same items when `paired`. low, high: None when there is no interval.
        n: items in both, or of the smaller run. method: how the interval was made.
    """

    name: str
    title: str
    suite: str | None
    part: str | None
    better: str
    unit: str
    first: float
    second: float
    value: float
    low: float | None
    high: float | None
    n: int
    paired: bool
    method: str

    @property
    def interval(self) -> dict[str, Any]:
        """As an interval."""
        return {"value": self.value, "low": self.low, "high": self.high, "n": self.n, "method": self.method}

    @property
    def where(self) -> str:
        """Suite and part for people."""
        return ", ".join(text for text in (self.suite, self.part) if text)


def differences(first: Run, second: Run) -> list[Difference]:
    """Every headline figure that both runs have, second less first."""
    old = {(f.name, f.suite, f.part): f for f in headline(first.results)}
    found, held = [], _Held(first, second)
    for figure in headline(second.results):
        other = old.get((figure.name, figure.suite, figure.part))
        if other is not None:
            found.append(held.paired(figure) or unpaired(other, figure))
    return found


def unpaired(first: Figure, second: Figure) -> Difference:
    """The difference of two independent estimates; see the module for its interval."""
    a, b = first.interval, second.interval
    low = high = None
    method = f"{UNPAIRED}: one of the two has no interval"
    if None not in (a["low"], a["high"], b["low"], b["high"]):
        d = b["value"] - a["value"]
        low = d - math.hypot(b["value"] - b["low"], a["high"] - a["value"])
        high = d + math.hypot(b["high"] - b["value"], a["value"] - a["low"])
        method = f"{UNPAIRED}, from both intervals (MOVER)"
    return _difference(second, float(a["value"]), float(b["value"]), low, high, int(min(a["n"], b["n"])), method, paired=False)


def _difference(figure: Figure, first: float, second: float, low: float | None, high: float | None, n: int, method: str, *, paired: bool) -> Difference:
    about = (figure.name, figure.title, figure.suite, figure.part, figure.better, figure.unit)
    return Difference(*about, first, second, second - first, low, high, n, paired, method)


class _Held:
    """Values of both runs, item by item, made when they are asked for."""

    def __init__(self, first: Run, second: Run) -> None:
        self.first, self.second = first, second
        suite = second.results.get("suite") or {}
        self.scorer = Scorer(replicates=int(suite.get("replicates") or 2000), seed=int(suite.get("seed") or 0))

    def paired(self, second: Figure) -> Difference | None:
        """The paired difference; None where the figure is no mean over items, or no item is in both."""
        make = OF_ITEMS.get(second.name)
        if make is None or second.suite is None:
            return None
        old, new = (make(run.items.get(second.suite, ())) for run in (self.first, self.second))
        both = [key for key in new if key in old and same(old[key][1].exchange, new[key][1].exchange)]
        if not both:
            return None
        before, after = [old[key][0] for key in both], [new[key][0] for key in both]
        interval = self.scorer.difference(after, before, [new[key][1] for key in both])
        left = max(len(old), len(new)) - len(both)
        method = f"{PAIRED}, {interval.method}" + (f"; {left} items are in one run alone" if left else "")
        means = sum(before) / len(both), sum(after) / len(both)
        return _difference(second, *means, interval.low, interval.high, len(both), method, paired=True)


def same(first: Exchange, second: Exchange) -> bool:
    """Whether two records are of the same question about the same picture with the same gold answer."""
    return (first.question, first.image, first.gold, first.cluster) == (second.question, second.image, second.gold, second.cluster)


def _right(items: Sequence[Item]) -> Values:
    return {item.id: (float(is_right(item.answer, item.exchange)), item) for item in items}


def _right_closed(items: Sequence[Item]) -> Values:
    return _right([item for item in items if is_closed(item.exchange)])


def _right_open(items: Sequence[Item]) -> Values:
    return _right([item for item in items if not is_closed(item.exchange)])


def _flipped(items: Sequence[Item]) -> Values:
    found = {}
    for item in items:
        for wording, answer in item.rewordings or ():
            state = Flip(int(flips(item.answer.text, [answer.text], [wording.polarity])[0]))
            found[f"{item.id}\n{wording.polarity}\n{wording.text}"] = (float(state != Flip.SAME), item)
    return found


def _flipped_human(items: Sequence[Item]) -> Values:
    return {str(pair.item.exchange.pair): (float(pair.state != Flip.SAME), pair.item) for pair in human_pairs(items, "strict")}


def _any_flip(items: Sequence[Item]) -> Values:
    return {item.id: (float(any(p.state != Flip.SAME for p in pairs)), item) for item, pairs in _reworded(items)}


def _worst_case(items: Sequence[Item]) -> Values:
    return {item.id: (float(is_right(item.answer, item.exchange) and all(p.right for p in pairs)), item) for item, pairs in _reworded(items)}


def _reworded(items: Sequence[Item]) -> list[tuple[Item, list[Any]]]:
    return [(item, [pair for pairs in generated_pairs([item]).values() for pair in pairs]) for item in items if item.rewordings]


def _blank_changed(items: Sequence[Item]) -> Values:
    told = [(item, changed(item.answer, item.blank)) for item in items if item.blank is not None]
    return {item.id: (float(now), item) for item, now in told if now is not None}


def _dangerous(items: Sequence[Item]) -> Values:
    moved = _blank_changed(items)
    steady = {item.id: all(p.state == Flip.SAME for p in pairs) for item, pairs in _reworded(items)}
    return {key: (float(steady[key] and not now), item) for key, (now, item) in moved.items() if key in steady}


def _dangerous_human(items: Sequence[Item]) -> Values:
    moved = _blank_changed(items)
    pairs = [pair for pair in human_pairs(items, "strict") if pair.item.id in moved]
    return {str(p.item.exchange.pair): (float(p.state == Flip.SAME and not moved[p.item.id][0]), p.item) for p in pairs}


# Figures that are a mean over recorded items, and their values item by item.
OF_ITEMS: Mapping[str, Callable[[Sequence[Item]], Values]] = MappingProxyType(
    {
        "accuracy": _right,
        "accuracy_closed": _right_closed,
        "accuracy_open": _right_open,
        "flip_rate": _flipped,
        "flip_rate_human": _flipped_human,
        "any_flip": _any_flip,
        "worst_case_accuracy": _worst_case,
        "blank_changed": _blank_changed,
        "dangerous_share": _dangerous,
        "dangerous_share_human": _dangerous_human,
    }
)


@dataclasses.dataclass(frozen=True)
class Rule:
    """When a change is a regression.

    Args:
        figure: a name of the card's JSON. worse_by: how far it must have moved the bad way, at least, in its own unit (0.02: two points of 100).
        direction: where worse lies, "higher" or "lower"; empty: as the figure knows.
        by: "interval": its interval must also exclude no change; "point": the value alone decides.
        suite: one suite; empty: each of them.
    """

    figure: str
    worse_by: float = 0.0
    direction: str = ""
    by: str = "interval"
    suite: str = ""

    def __post_init__(self) -> None:
        if self.figure not in SPECS:
            raise unknown("figure", self.figure, list(SPECS))
        if not (math.isfinite(self.worse_by) and self.worse_by >= 0):
            raise ConfigError(f"{self.figure}: worse_by {self.worse_by} is not 0 or more", remedy="say how much worse is too much, such as 0.02")
        if self.by not in ("interval", "point"):
            raise ConfigError(f"{self.figure}: by {self.by!r} is unknown", remedy="write 'interval' or 'point'")
        known = {HIGHER: LOWER, LOWER: HIGHER}.get(SPECS[self.figure].better, "")
        if self.direction not in ("", HIGHER, LOWER) or not (self.direction or known):
            raise ConfigError(f"{self.figure}: direction {self.direction!r} does not say where worse lies", remedy="write 'higher' or 'lower'")
        if self.direction and known and self.direction != known:
            raise ConfigError(f"{self.figure}: it is {known} values that are worse, not {self.direction} ones", remedy="leave direction out")
        object.__setattr__(self, "direction", self.direction or known)


@dataclasses.dataclass(frozen=True)
class Rules:
    """A file of rules: [[rule]] tables."""

    rule: tuple[Rule, ...]


@dataclasses.dataclass(frozen=True)
class Finding:
    """What a rule found of one figure: whether it is a regression, and in a line why."""

    regression: bool
    line: str


def read_rules(path: Path) -> Rules:
    """The rules of a TOML file.

    Raises:
        ConfigError: no rule, unknown keys, a direction or number that cannot be meant. UnknownName: a figure that there is not.
    """
    rules = config.read(path, Rules)
    if not rules.rule:
        raise ConfigError(f"{path}: has no rule", remedy="add a [[rule]] table with figure and worse_by")
    return rules


def judge(baseline: Run, run: Run, rules: Rules) -> list[Finding]:
    """Every rule at every place where its figure stands; a figure that the baseline has and the run has not is a regression."""
    changes = differences(baseline, run)
    return [finding for rule in rules.rule for finding in _judged(rule, baseline, changes)]


def _judged(rule: Rule, baseline: Run, changes: Sequence[Difference]) -> list[Finding]:
    def chosen(rows: Sequence[Any]) -> list[Any]:
        return [row for row in rows if row.name == rule.figure and (not rule.suite or row.suite == rule.suite)]

    compared = chosen(changes)
    there = {(d.suite, d.part) for d in compared}
    lost = [f for f in chosen(headline(baseline.results)) if (f.suite, f.part) not in there]
    found = [_verdict(rule, difference) for difference in compared]
    found += [Finding(True, f"{_name(rule.figure, f.where)}: measured before, not any more") for f in lost]
    if not found:
        where = f" on {rule.suite}" if rule.suite else ""
        return [Finding(False, f"{rule.figure}{where}: the baseline did not measure it, nothing to compare with")]
    return found


def _verdict(rule: Rule, d: Difference) -> Finding:
    sign = 1 if rule.direction == HIGHER else -1
    worse = sign * d.value
    ends = None if d.low is None or d.high is None else sorted((sign * d.low, sign * d.high))
    far = worse > 0 and worse >= rule.worse_by - 1e-12
    regression = far if rule.by == "point" or ends is None else far and ends[0] > 0
    told = "no interval" if ends is None else f"{shown(d.low, d.unit, signed=True)} to {shown(d.high, d.unit, signed=True)}"
    moved = f"{shown(d.first, d.unit)} to {shown(d.second, d.unit)}, {shown(d.value, d.unit, signed=True)}"
    line = f"{_name(d.name, d.where)}: {moved} ({told}; n {d.n:,}, {d.method})"
    if far and not regression:
        line += ", not beyond chance"
    return Finding(regression, line)


def _name(figure: str, where: str) -> str:
    return f"{figure} ({where})" if where else figure


def shown(value: float | None, unit: str, *, signed: bool = False) -> str:
    """A number for people: shares in per cent, their changes in points."""
    if value is None:
        return "–"
    sign = "+" if signed else ""
    if unit == "number":
        return f"{value:{sign}.3f}"
    return f"{100 * value:{sign}.1f}" + (" points" if signed or unit == "change" else " %")
