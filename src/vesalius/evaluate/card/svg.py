"""Pictures that a card needs beside those of `evaluate.figures`: forests of dots with whiskers, small curves over steps, risk against coverage.

In: plain intervals. Out: SVG elements as text; colours come from the page's variables, every word is escaped, and each picture has its label for readers
that do not see it.
"""

from __future__ import annotations

import html
import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from vesalius.evaluate.figures import Interval, Plane, text

_PLOT, _NOTE, _LONGEST = 260, 150, 32  # pixels of the axis and of the notes, letters of a name


class Dot(NamedTuple):
    """One row of a forest. kind: its colour ("model", "control", "human", "gate"). band: (from, to) shaded behind it, such as what chance alone gives."""

    name: str
    interval: Interval
    kind: str = "model"
    note: str = ""
    band: tuple[float, float] | None = None


def forest(rows: Sequence[Dot], *, label: str, low: float = 0.0, high: float = 1.0, scale: float = 100.0) -> str:
    """Dots with whiskers on one axis; a mark stands at zero where the axis crosses it. What was not measured is said in its row."""
    if not rows:
        return '<p class="none">Nothing to show.</p>'
    tall, parts = 24, []
    height = len(rows) * tall + 26
    left = 24 + 6.7 * min(_LONGEST, max(len(row.name) for row in rows))
    right = left + _PLOT

    def at(value: float) -> float:
        return left + _PLOT * (min(max(value, low), high) - low) / (high - low)

    for value in ticks(low, high):
        kind = "zero" if value == 0 and low < 0 else "grid"
        parts.append(f'<line x1="{at(value):.1f}" x2="{at(value):.1f}" y1="2" y2="{height - 24}" class="{kind}"/>')
        parts.append(text(at(value), height - 8, f"{value * scale:g}", "tick", "middle"))
    for place, row in enumerate(rows):
        y = place * tall + 13.0
        name = row.name if len(row.name) <= _LONGEST else row.name[: _LONGEST - 1] + "…"
        parts.append(text(left - 10, y + 4, name, "rowname", "end"))
        parts.append(text(right + 12, y + 4, row.note, "tick"))
        if row.band is not None:
            a, b = at(row.band[0]), at(row.band[1])
            parts.append(f'<rect x="{a:.1f}" y="{y - 8:.1f}" width="{max(1.0, b - a):.1f}" height="16" class="band"/>')
        if row.interval["value"] is None:
            parts.append(text(left + 4, y + 4, "not measured", "tick"))
            continue
        if row.interval["low"] is not None and row.interval["high"] is not None:
            ends = at(row.interval["low"]), at(row.interval["high"])
            parts.append(f'<line x1="{ends[0]:.1f}" x2="{ends[1]:.1f}" y1="{y:.1f}" y2="{y:.1f}" class="whisker {row.kind}"/>')
        parts.append(f'<circle cx="{at(row.interval["value"]):.1f}" cy="{y:.1f}" r="4.5" class="dot {row.kind}"/>')
    return f'<svg viewBox="0 0 {right + _NOTE:.0f} {height}" class="figure" role="img" aria-label="{html.escape(label)}">{"".join(parts)}</svg>'


def ticks(low: float, high: float) -> list[float]:
    """Round values on an axis, five to nine of them."""
    span = high - low
    step = 10.0 ** math.floor(math.log10(span / 4))
    step *= next(m for m in (1, 2, 5, 10) if span / (step * m) <= 8)
    first = math.ceil(low / step - 1e-9)
    return [round(i * step, 10) + 0.0 for i in range(first, math.floor(high / step + 1e-9) + 1)]


class Curve(NamedTuple):
    """One small plot. steps: (where on the axis, interval), the first at the left end. base: a dashed line across, such as the clean picture."""

    name: str
    steps: Sequence[tuple[float, Interval]]
    base: float | None = None


def curves(plots: Sequence[Curve], *, label: str, unit: str, across: int = 4) -> str:
    """Small plots beside each other, all on the same axes: 0 to 100 % upwards, the steps in their order along."""
    told = [plot for plot in plots if any(interval["value"] is not None for _, interval in plot.steps)]
    if not told:
        return '<p class="none">Nothing to show.</p>'
    wide, high, left, top = 165, 128, 30, 22
    width, height = across * wide + 4, -(-len(told) // across) * (high + 4)
    return (
        f'<svg viewBox="0 0 {width} {height}" class="figure" role="img" aria-label="{html.escape(label)}">'
        + "".join(_small(plot, (i % across) * wide, (i // across) * (high + 4), wide, high, left, top, unit) for i, plot in enumerate(told))
        + "</svg>"
    )


def _small(plot: Curve, x0: float, y0: float, wide: float, high: float, left: float, top: float, unit: str) -> str:
    right, floor = x0 + wide - 12, y0 + high - 24

    def up(value: float) -> float:
        return floor - (floor - y0 - top) * min(max(value, 0.0), 1.0)

    places = [x0 + left + (right - x0 - left) * (i + 0.5) / len(plot.steps) for i in range(len(plot.steps))]
    name = plot.name if len(plot.name) < 22 else plot.name[:20] + "…"
    parts = [text(x0 + left - 8, y0 + 14, name, "rowname")]
    for value in (0.0, 0.5, 1.0):
        parts.append(f'<line x1="{x0 + left:.1f}" x2="{right:.1f}" y1="{up(value):.1f}" y2="{up(value):.1f}" class="grid"/>')
        parts.append(text(x0 + left - 4, up(value) + 4, f"{value * 100:.0f}", "tick", "end"))
    if plot.base is not None:
        parts.append(f'<line x1="{x0 + left:.1f}" x2="{right:.1f}" y1="{up(plot.base):.1f}" y2="{up(plot.base):.1f}" class="curve ideal"/>')
    told = [(x, interval) for x, (_, interval) in zip(places, plot.steps, strict=True) if interval["value"] is not None]
    points = " ".join(f"{x:.1f},{up(i['value']):.1f}" for x, i in told)
    parts.append(f'<polyline points="{points}" class="curve model faint"/>')
    for x, interval in told:
        if interval["low"] is not None and interval["high"] is not None:
            parts.append(f'<line x1="{x:.1f}" x2="{x:.1f}" y1="{up(interval["low"]):.1f}" y2="{up(interval["high"]):.1f}" class="whisker model"/>')
        parts.append(f'<circle cx="{x:.1f}" cy="{up(interval["value"]):.1f}" r="3.5" class="dot model"/>')
    parts += [text(x, floor + 13, f"{step:g}", "tick", "middle") for x, (step, _) in zip(places, plot.steps, strict=True)]
    parts.append(text(right, floor + 23, unit, "tick", "end"))
    return "".join(parts)


def risk(curve: Mapping[str, Any], *, base: float | None, limit: float | None, points: Sequence[tuple[float, float]], label: str) -> str:
    """Risk among answers given against the share given; `limit` is a certified risk, `points` where its threshold stands."""
    if not curve["coverage"]:
        return '<p class="none">Nothing ranks the answers.</p>'
    highest = max([*curve["risk"], limit or 0.0, *(y for _, y in points)])
    plane = Plane(x="answers given, %", y="wrong among them, %", top=min(1.0, max(0.2, -(-highest // 0.2) * 0.2)))
    if base is not None:
        plane.line([0, 1], [base, base], "ideal")
        plane.word(0.99, base + 0.012 * plane.top, "all answers given", anchor="end")
    if limit is not None:
        plane.line([0, 1], [limit, limit], "gate faint")
        plane.word(0.01, limit + 0.012 * plane.top, f"certified: at most {limit:.0%}")
    plane.line(curve["coverage"], curve["risk"], "model")
    for x, y in points:
        plane.dot(x, y, "gate", 6.5)
    return plane.svg(label)
