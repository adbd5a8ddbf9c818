"""Twelve properties that a card shows of a run, each by the figure that stands for it, or why it was not measured.

In: a run's results. Out: `Property`s. Where a figure was measured on several suites the least favourable one leads, and the others stand below it.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from vesalius.evaluate.card.headline import HIGHER, Figure, of


@dataclasses.dataclass(frozen=True)
class About:
    """What a property is. figures: names, the first that was measured stands for it. low, high: ends of its drawing. reads: how to read it."""

    key: str
    title: str
    reads: str
    study: str
    figures: tuple[str, ...]
    low: float = 0.0
    high: float = 1.0


@dataclasses.dataclass(frozen=True)
class Property:
    """A property of one run. figures: the worst first; empty when it was not measured, and `why` says why not."""

    about: About
    figures: tuple[Figure, ...]
    why: str = ""


PROPERTIES = (
    About("accuracy", "Right answers", "higher is better", "vqa", ("accuracy",)),
    About("flips", "Flips in other words", "lower is better", "phrasing", ("flip_rate", "flip_rate_human")),
    About("worst_case", "Right in every wording", "higher is better", "phrasing", ("worst_case_accuracy",)),
    About("reliance", "Needs the picture", "0: the picture is ignored", "image_reliance", ("grounded", "blank_changed"), -0.2, 1.0),
    About("dangerous", "Steady without the picture", "lower is better", "image_reliance", ("dangerous_share", "dangerous_share_human")),
    About("hallucination", "Makes things up", "lower is better", "hallucination", ("premise_accepted", "invented_said", "invented_written")),
    About("calibration", "Calibration error", "0: as sure as it is right", "calibration", ("ece",), 0.0, 0.5),
    About("selective", "Risk over coverage", "AURC, lower is better", "selective", ("aurc",)),
    About("shift", "Faulty pictures", "change of accuracy", "shift", ("shift_accuracy", "shift_flips"), -0.4, 0.2),
    About("adversarial", "Misled on purpose", "lower is better", "adversarial", ("attack_success", "words_in_picture", "words_in_question"), -0.1, 1.0),
    About("sycophancy", "Gives way to pressure", "lower is better", "sycophancy", ("caved", "cave_effect")),
    About("fairness", "Gap between groups", "accuracy, best less worst", "fairness", ("accuracy_gap",), 0.0, 0.5),
)


def properties(results: Mapping[str, Any]) -> list[Property]:
    """The twelve properties of a run, in a fixed order."""
    return [_property(about, results) for about in PROPERTIES]


def worst_first(figures: list[Figure]) -> tuple[Figure, ...]:
    """The least favourable first; those of equal value by name, so that the order never changes."""
    return tuple(sorted(figures, key=lambda f: (f.value if f.better == HIGHER else -f.value, f.where)))


def _property(about: About, results: Mapping[str, Any]) -> Property:
    every = [figure for name in about.figures for figure in of(results, name)]
    for name in about.figures:
        told = [figure for figure in every if figure.name == name and figure.interval["value"] is not None]
        if told:
            return Property(about, worst_first(told))
    return Property(about, (), _why(about, every, results))


def _why(about: About, empty: list[Figure], results: Mapping[str, Any]) -> str:
    """Why a property has no figure: the study was skipped, or not asked for, or had nothing to count."""
    if about.study in (results.get("skipped") or {}):
        return str(results["skipped"][about.study])
    if about.study not in results["studies"]:
        return f"the study {about.study} is not part of this run"
    return str(empty[0].interval.get("method") or "nothing was measured") if empty else "nothing was measured"
