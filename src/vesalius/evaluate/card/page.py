"""A card as one HTML page: self-contained, no script, no network; light or dark as the reader's machine is; it prints.

In: a `Card` and the day. Out: HTML text. The page says nothing that the card does not hold.
"""

from __future__ import annotations

import importlib.resources
from typing import Any

from vesalius.evaluate import figures
from vesalius.evaluate.card.build import Card
from vesalius.evaluate.card.compare import Difference, shown
from vesalius.evaluate.card.headline import CHANGE, HIGHER, NUMBER, Figure
from vesalius.evaluate.card.worst import RULE
from vesalius.registry import missing_extra

SILENT = (
    "Accuracy on a test part is not safety in a clinic: other scanners, other patients and other wordings are not in it.",
    "Intervals (95 %) resample whole images or patients of one source. They do not cover label noise, a shift of the population, or choices made by them.",
    "Where several suites were measured the least favourable one leads; the least of several is expected to look a little worse than it is.",
    "An answer that does not change on a blank image is no proof that the image was ignored: the likeliest answer may be the right one.",
    "What was not measured is not good: it is not known.",
)


def render(card: Card, *, day: str) -> str:
    """The page.

    Args:
        day: on which the page is made, as it should be shown; the only thing that may differ between two pages of the same runs.

    Raises:
        MissingExtra: jinja2 is not installed.
    """
    try:
        import jinja2
        from markupsafe import Markup
    except ModuleNotFoundError as error:
        raise missing_extra("jinja2", "the trust card") from error
    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    environment.globals.update(
        safe=Markup,
        bar=lambda *a, **k: Markup(figures.bar(*a, **k)),
        number=number,
        ends=ends,
        moved=moved,
        against=_against,
        shown_value=lambda d, value: shown(value, d.unit),
    )
    source = importlib.resources.files("vesalius.evaluate").joinpath("templates/card.html").read_text(encoding="utf-8")
    title = " · ".join(sheet.run.label for sheet in card.sheets)
    return environment.from_string(source).render(card=card, title=title, day=day, silent=SILENT, worst_rule=RULE, changes=_changes(card))


def number(figure: Figure) -> str:
    """The value of a figure, large on its tile."""
    if figure.unit == NUMBER:
        return f"{figure.value:.2f}" if figure.name in ("grounded", "csi") else f"{figure.value:.3f}"
    return f"{100 * figure.value:+.1f}" if figure.unit == CHANGE else figures.percent(figure.interval)


def ends(figure: Figure) -> str:
    """Its interval and n, or why there is no interval."""
    interval = figure.interval
    if interval["low"] is None:
        return f"no interval, n {interval['n']:,}"
    scale, digits = (1, 2) if figure.unit == NUMBER else (100, 1)
    points = " points" if figure.unit == CHANGE else ""
    return f"{interval['low'] * scale:.{digits}f} to {interval['high'] * scale:.{digits}f}{points}, n {interval['n']:,}"


def moved(difference: Difference) -> str:
    """A difference with its interval."""
    told = shown(difference.value, difference.unit, signed=True)
    if difference.low is None or difference.high is None:
        return f"{told} (no interval)"
    scale, digits = (1, 3) if difference.unit == NUMBER else (100, 1)
    return f"{told} ({difference.low * scale:+.{digits}f} to {difference.high * scale:+.{digits}f})"


def _against(difference: Difference) -> str:
    """Whether a difference is for the better or the worse, as far as its interval tells."""
    if not difference.better:
        return "–"
    if difference.low is None or difference.high is None:
        return "no interval"
    if difference.low <= 0 <= difference.high:
        return "not beyond chance"
    return "better" if (difference.low > 0) == (difference.better == HIGHER) else "worse"


def _changes(card: Card) -> list[dict[str, Any]]:
    """Rows of the table of differences, one a figure and place, with one cell a run."""
    keys = dict.fromkeys((d.name, d.suite, d.part) for rows in card.changes.values() for d in rows)
    found = []
    for key in keys:
        cells = {label: next((d for d in rows if (d.name, d.suite, d.part) == key), None) for label, rows in card.changes.items()}
        first = next(d for d in cells.values() if d is not None)
        found.append({"title": first.title, "where": first.where, "first": first, "cells": cells})
    return found
