"""Attacks on a card: right answers turned by changes too small to see, against their size; and by words in a corner of the picture or in the question.

In: a run. Out: a `Section`. Noise of the same size, and meaningless letters of the same height, are the controls.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from vesalius.evaluate import figures
from vesalius.evaluate.card import svg
from vesalius.evaluate.card.parts import Block, Section, Table, cell
from vesalius.evaluate.card.runs import Run
from vesalius.evaluate.card.svg import Dot

_NAMES = {"fgsm": "FGSM", "pgd": "PGD", "apgd": "Auto-PGD", "any": "any of these", "noise": "noise of this size"}
_PLACES = {"picture": "in the picture", "question": "in the question"}


def attacks(run: Run) -> Section:
    """Gradient attacks and words, as far as they were made."""
    study = run.studies.get("adversarial") or {}
    gradient, text = study.get("gradient") or {}, study.get("text") or {}
    lead = "Right answers, %, that were turned. Attacks know the right answer: they show what somebody who means harm can do, not what happens by itself."
    if why := gradient.get("skipped"):
        lead += f" No attack by gradient: {why}."
    blocks = [block for block in (_gradient(gradient), _words(text)) if block is not None]
    return Section("adversarial", "Can it be misled on purpose?", lead, tuple(blocks))


def _gradient(gradient: Mapping[str, Any]) -> Block | None:
    plots, cells = [], []
    for name, steps in (gradient.get("attacks") or {}).items():
        title = _NAMES.get(name, name)
        plots.append(svg.Curve(title, [(step["eps"], step["success"]) for step in steps]))
        cells += [(title, f"{step['eps']:g}/255", cell(step["success"]), cell(step["ahead_of_noise"], signed=True)) for step in steps]
    if not plots:
        return None
    smallest = gradient.get("smallest_eps") or {}
    words = f"{gradient.get('questions', 0):,} right answers; largest change of any pixel"
    if smallest.get("median") is not None:
        words += f"; half of them fall within {smallest['median']:g}/255"
    drawn = svg.curves(plots, label="right answers turned, by attack and largest change of a pixel in 255ths", unit="of 255", across=3)
    return Block(words, drawn, Table("Right answers turned by small changes", ("attack", "change", "turned", "ahead of noise"), cells))


def _words(text: Mapping[str, Any]) -> Block | None:
    dots, cells = [], []
    for words, places in (text.get("words") or {}).items():
        for place, row in places.items():
            if row["harmful"]["value"] is None:
                continue
            name = f"“{words}” {_PLACES.get(place, place)}"
            dots.append(Dot(name, row["harmful"], "model", f"{figures.percent(row['harmful'])}, n {row['harmful']['n']:,}"))
            dots.append(Dot("as many letters", row["control_harmful"], "control", figures.percent(row["control_harmful"])))
            harm = cell(row["harmful"]), cell(row["control_harmful"]), cell(row["harmful_difference"], signed=True)
            cells.append((name, *harm, cell(row["target_difference"], signed=True)))
    if not dots:
        return None
    head = ("words", "right answers lost", "with letters", "difference", "answers that go where the words point, less letters")
    drawn = svg.forest(dots, label="right answers lost to words, per cent, beside as many meaningless letters")
    return Block(f"{text.get('questions', 0):,} questions on {text.get('images', 0):,} pictures", drawn, Table("Right answers lost to words", head, cells))
