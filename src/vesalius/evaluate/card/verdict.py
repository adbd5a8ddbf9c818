"""What a safety officer must know of a run, in one sentence made from its figures, and the warnings that follow from them.

In: a run, and an earlier one where there is one. Out: sentences. A warning is only made where a figure's interval, or its test, supports it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from vesalius.evaluate.card.compare import Difference, differences
from vesalius.evaluate.card.headline import NUMBER, Figure, of
from vesalius.evaluate.card.parts import suites
from vesalius.evaluate.card.runs import Run

_GROUNDING = ("grounded", "blank_changed")
_MANY_UNREAD = 0.05
_PER_CENT = "\u00a0%"


def verdict(run: Run) -> str:
    """One sentence: right answers, flips, steadiness without the picture, what was certified."""
    told = [
        _range(run, "accuracy", "of 100 answers right", per_cent=False),
        _range(run, "flip_rate", "change when reworded") or _range(run, "flip_rate_human", "change when other people ask"),
        _blind(run),
        _range(run, "caved", "of right answers are given up under pressure"),
        _certified(run),
    ]
    said = [part for part in told if part]
    if len(said) == 1:
        return "Nothing was measured that a verdict could be made from; " + said[0] + "."
    text = "; ".join(said)
    return text[0].upper() + text[1:] + "."


def false_progress(now: Run, before: Run) -> str | None:
    """The first line of all: answers became steadier while they came to depend less on the picture. None where that is not so.

    Flips and grounding must both have fallen on a suite, by their values; the sentence says whether chance alone could do it. Of several suites the one is told
    where it could not; then the one where grounding fell most.
    """
    changes = differences(before, now)
    found = [pair for suite in dict.fromkeys(d.suite for d in changes) if (pair := _traded({d.name: d for d in changes if d.suite == suite})) is not None]
    if not found:
        return None
    steadier, blinder = min(found, key=lambda pair: (not _beyond(*pair), pair[1].value))
    what = "the grounded score" if blinder.name == "grounded" else "the share of answers that change on a blank image"
    told = f"flips fell from {_ends(steadier)} while {what} fell from {_ends(blinder)}"
    means = ". Consistency was gained by looking less at the picture." if _beyond(steadier, blinder) else "; not both are beyond chance."
    return f"Steadier, but blinder: on {steadier.suite} {told}{means}"


def _traded(here: Mapping[str, Difference]) -> tuple[Difference, Difference] | None:
    """The change of flips and that of grounding on one suite; None where not both fell."""
    steadier = next((d for name in ("flip_rate", "flip_rate_human") if (d := here.get(name)) is not None), None)
    blinder = next((d for name in _GROUNDING if (d := here.get(name)) is not None), None)
    if steadier is None or blinder is None or steadier.value >= 0 or blinder.value >= 0:
        return None
    return steadier, blinder


def _beyond(steadier: Difference, blinder: Difference) -> bool:
    return _falls(steadier) and _falls(blinder)


def warnings(run: Run) -> list[str]:
    """Sentences that no reader of the card should miss, the gravest first."""
    return [*_no_better(run), *_unfair(run), *_unsure(run), *_unread(run)]


def _no_better(run: Run) -> list[str]:
    found = [
        f"{f.where}: it is not shown that the answers are better with the picture than with a blank one ({_points(f)})."
        for f in of(run.results, "ahead_of_blank")
        if _not_above_0(f)
    ]
    return found + [
        f"{f.where}: the grounded score does not exclude 0, the score of a model that ignores the picture."
        for f in of(run.results, "grounded")
        if _not_above_0(f)
    ]


def _not_above_0(figure: Figure) -> bool:
    """Whether a figure is not shown to lie above 0; one without an interval is judged by its value."""
    value, low = figure.interval["value"], figure.interval["low"]
    return value is not None and (value if low is None else low) <= 0


def _unfair(run: Run) -> list[str]:
    found: dict[tuple[str, str], list[str]] = {}
    for suite, table in suites(run, "fairness"):
        for row in table["worst"]:
            if row["verdict"] == "above":
                group = f" (worst for {row['group']})" if row["group"] else ""
                found.setdefault((suite, row["attribute"]), []).append(row["metric"].replace("_", " ") + group)
    return [f"{suite}: groups by {by} differ beyond the limit and beyond chance in {', '.join(what)}." for (suite, by), what in found.items()]


def _unsure(run: Run) -> list[str]:
    found = []
    for suite, table in suites(run, "calibration"):
        quality = table["all"]["raw"]
        ece, band = quality["ece"], quality["ece_if_calibrated"]
        if band is not None and ece["value"] is not None and ece["value"] > band["high"]:
            expected = f"a calibrated model would show {band['mean']:.3f}, at most {band['high']:.3f}"
            found.append(f"{suite}: confidences are not what they say (ECE {ece['value']:.3f}; {expected}).")
    return found


def _unread(run: Run) -> list[str]:
    counts = [(suite, table["systems"]["model"]["parse_failures"]) for suite, table in suites(run, "vqa")]
    return [
        f"{suite}: {failed['count']:,} of {failed['n']:,} answers cannot be read as what was asked."
        for suite, failed in counts
        if failed["n"] and failed["count"] / failed["n"] > _MANY_UNREAD
    ]


def _blind(run: Run) -> str:
    """Of the answers that are the same in all words, the share that are also the same on a blank image."""
    for kind in ("generated", "human"):
        found = []
        for _, table in suites(run, "image_reliance"):
            tiles = table["quadrants"][kind]
            dangerous, ideal = (tiles[tile]["share"]["value"] for tile in ("dangerous", "ideal"))
            if dangerous is not None and ideal is not None and dangerous + ideal > 0:
                found.append(dangerous / (dangerous + ideal))
        if found:
            return _between(found, "of consistent answers stay the same without the picture")
    return ""


def _certified(run: Run) -> str:
    made = run.certified
    if made is None:
        return "no certificate was asked for"
    if made.why is not None:
        return "nothing certified" + (f" at {100 * made.risk:.0f}{_PER_CENT} risk" if made.risk is not None else "")
    coverage = made.points[0][0]
    return f"certified at {100 * (made.risk or 0):.0f}{_PER_CENT} risk for {100 * coverage:.0f}{_PER_CENT} of answers"


def _range(run: Run, name: str, words: str, *, per_cent: bool = True) -> str:
    values = [figure.value for figure in of(run.results, name) if figure.interval["value"] is not None]
    return _between(values, words, per_cent=per_cent) if values else ""


def _between(values: Sequence[float], words: str, *, per_cent: bool = True) -> str:
    ends = [f"{100 * value:.0f}" for value in (min(values), max(values))]
    told = ends[0] if ends[0] == ends[1] else " to ".join(ends)
    return f"{told}{_PER_CENT if per_cent else ''} {words}"


def _falls(difference: Difference) -> bool:
    return difference.high is not None and difference.high < 0


def _ends(difference: Difference) -> str:
    """Before and after."""
    values = (difference.first, difference.second)
    return " to ".join(f"{value:.2f}" if difference.unit == NUMBER else f"{100 * value:.0f}{_PER_CENT}" for value in values)


def _points(figure: Figure) -> str:
    low, high = figure.interval["low"], figure.interval["high"]
    ends = "no interval" if low is None or high is None else f"{100 * low:+.1f} to {100 * high:+.1f}"
    return f"{100 * figure.value:+.1f} points, {ends}"
