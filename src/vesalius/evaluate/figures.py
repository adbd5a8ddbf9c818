"""The pictures of a results page, drawn as SVG text: no library, no script, no network; colours come from the page's own variables.

In: intervals and tables as `vqa.score` writes them (plain mappings). Out: SVG elements as text. A figure without data is one sentence that says so.
"""

from __future__ import annotations

import html
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

Interval = Mapping[str, Any]


def text(x: float, y: float, words: str, kind: str = "", anchor: str = "start") -> str:
    """One line of words at a place."""
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" class="{kind}">{html.escape(words)}</text>'


def percent(interval: Interval | None, digits: int = 1) -> str:
    """The value alone, "62.1 %"; a dash when undefined."""
    return "–" if interval is None or interval["value"] is None else f"{100 * interval['value']:.{digits}f}\u00a0%"


def span(interval: Interval | None, *, scale: float = 100, digits: int = 1) -> str:
    """The ends alone, "55.0 to 68.9"; empty when undefined."""
    if interval is None or interval["low"] is None:
        return ""
    return f"{interval['low'] * scale:.{digits}f} to {interval['high'] * scale:.{digits}f}"


def bar(interval: Interval | None, kind: str = "model", *, low: float = 0.0, high: float = 1.0, width: int = 150) -> str:
    """A value as a dot on a rail with its interval as a whisker; for signed ranges a mark stands at zero."""
    if interval is None or interval["value"] is None:
        return '<span class="none">not measured</span>'

    def at(value: float) -> float:
        return 4 + (width - 8) * (min(max(value, low), high) - low) / (high - low)

    y = 9
    parts = [f'<line x1="4" x2="{width - 4}" y1="{y}" y2="{y}" class="rail"/>']
    if low < 0 < high:
        parts.append(f'<line x1="{at(0):.1f}" x2="{at(0):.1f}" y1="2" y2="16" class="zero"/>')
    if interval["low"] is not None:
        parts.append(f'<line x1="{at(interval["low"]):.1f}" x2="{at(interval["high"]):.1f}" y1="{y}" y2="{y}" class="whisker {kind}"/>')
    parts.append(f'<circle cx="{at(interval["value"]):.1f}" cy="{y}" r="4" class="dot {kind}"/>')
    return f'<svg viewBox="0 0 {width} 18" width="{width}" height="18" role="img" aria-label="{percent(interval)}">{"".join(parts)}</svg>'


def _frame(width: int, height: int, parts: Iterable[str], label: str) -> str:
    return f'<svg viewBox="0 0 {width} {height}" class="figure" role="img" aria-label="{html.escape(label)}">{"".join(parts)}</svg>'


class Plane:
    """A unit square with axes, into which points and lines are put in data coordinates."""

    def __init__(self, *, x: str, y: str, top: float = 1.0, width: int = 430, height: int = 330) -> None:
        self.width, self.height, self.top = width, height, top
        self.left, self.right, self.upper, self.lower = 52, width - 14, 14, height - 46
        self.parts: list[str] = []
        for i in range(6):
            share = i / 5
            self.parts.append(f'<line x1="{self.px(share):.1f}" x2="{self.px(share):.1f}" y1="{self.upper}" y2="{self.lower}" class="grid"/>')
            self.parts.append(f'<line x1="{self.left}" x2="{self.right}" y1="{self.py(share * top):.1f}" y2="{self.py(share * top):.1f}" class="grid"/>')
            self.parts.append(text(self.px(share), self.lower + 17, f"{100 * share:.0f}", "tick", "middle"))
            self.parts.append(text(self.left - 8, self.py(share * top) + 4, f"{100 * share * top:.0f}", "tick", "end"))
        self.parts.append(text((self.left + self.right) / 2, height - 8, x, "axis", "middle"))
        middle = (self.upper + self.lower) / 2
        self.parts.append(f'<text x="14" y="{middle:.0f}" transform="rotate(-90 14 {middle:.0f})" text-anchor="middle" class="axis">{html.escape(y)}</text>')

    def px(self, value: float) -> float:
        """Pixels of a horizontal value."""
        return self.left + (self.right - self.left) * value

    def py(self, value: float) -> float:
        """Pixels of a vertical value."""
        return self.lower - (self.lower - self.upper) * min(value, self.top) / self.top

    def line(self, xs: Sequence[float], ys: Sequence[float], kind: str) -> None:
        """A line through points."""
        points = " ".join(f"{self.px(x):.1f},{self.py(y):.1f}" for x, y in zip(xs, ys, strict=True))
        self.parts.append(f'<polyline points="{points}" class="curve {kind}"/>')

    def dot(self, x: float, y: float, kind: str, radius: float = 4.0) -> None:
        """A point."""
        self.parts.append(f'<circle cx="{self.px(x):.1f}" cy="{self.py(y):.1f}" r="{radius:.1f}" class="dot {kind}"/>')

    def word(self, x: float, y: float, words: str, kind: str = "note", anchor: str = "start") -> None:
        """Words at a place."""
        self.parts.append(text(self.px(x), self.py(y), words, kind, anchor))

    def svg(self, label: str) -> str:
        """The whole picture."""
        return _frame(self.width, self.height, self.parts, label)


def reliability(calibration: Mapping[str, Any] | None, raw: Mapping[str, Any] | None) -> str:
    """Share right against confidence, raw and after the map; the size of a point is the number of answers."""
    if raw is None or not raw["reliability"]["count"]:
        return '<p class="none">The model gives no confidence.</p>'
    plane = Plane(x="confidence, %", y="answers that are right, %")
    plane.line([0, 1], [0, 1], "ideal")
    for table, kind in ((raw, "raw"), (calibration, "model")):
        if table is None:
            continue
        rows = table["reliability"]
        most = max(rows["count"])
        plane.line(rows["confidence"], rows["accuracy"], f"{kind} faint")
        for x, y, n in zip(rows["confidence"], rows["accuracy"], rows["count"], strict=True):
            plane.dot(x, y, kind, 2.5 + 6.5 * (n / most) ** 0.5)
    return plane.svg("reliability diagram")


def risk_coverage(curves: Sequence[tuple[str, Mapping[str, Any] | None]], base: float | None, point: tuple[float, float] | None) -> str:
    """Risk among answers given against the share given; `point` is where the gate stands."""
    drawn = [(kind, curve) for kind, curve in curves if curve is not None and curve["curve"]["coverage"]]
    if not drawn:
        return '<p class="none">Nothing ranks the answers.</p>'
    highest = max(max(curve["curve"]["risk"]) for _, curve in drawn)
    top = min(1.0, max(0.2, -(-highest // 0.2) * 0.2))
    plane = Plane(x="answers given, %", y="wrong among them, %", top=top)
    if base is not None:
        plane.line([0, 1], [base, base], "ideal")
    for kind, curve in drawn:
        plane.line(curve["curve"]["coverage"], curve["curve"]["risk"], kind)
    if point is not None:
        plane.dot(point[0], point[1], "gate", 6.5)
    return plane.svg("risk against coverage")


_TILES = (("ideal", 0, 0), ("dangerous", 1, 0), ("fragile", 0, 1), ("worst", 1, 1))
_SAYS = {
    "ideal": "consistent, needs the image",
    "dangerous": "consistent, ignores the image",
    "fragile": "needs the image, flips",
    "worst": "flips, ignores the image",
}


def quadrant_tiles(table: Mapping[str, Any]) -> str:
    """Four tiles, consistent x reliant; the shade is the share."""
    if not table["n"]:
        return '<p class="none">No question was asked in other words.</p>'
    width, tile, high, left, top = 470, 216, 136, 26, 26
    parts = [
        text(left + tile / 2, 16, "answer changes on a blank image", "tick", "middle"),
        text(left + tile * 1.5 + 6, 16, "answer stays on a blank image", "tick", "middle"),
    ]
    for row, words in enumerate(("same in all words", "flips")):
        y = top + row * (high + 6) + high / 2
        parts.append(f'<text x="{left - 12}" y="{y:.0f}" transform="rotate(-90 {left - 12} {y:.0f})" text-anchor="middle" class="tick">{words}</text>')
    for name, column, row in _TILES:
        share = table[name]["share"]
        x, y = left + column * (tile + 6), top + row * (high + 6)
        value = share["value"] or 0.0
        parts.append(f'<rect x="{x}" y="{y}" width="{tile}" height="{high}" rx="6" class="tile back"/>')
        parts.append(f'<rect x="{x}" y="{y}" width="{tile}" height="{high}" rx="6" class="tile {name}" fill-opacity="{0.12 + 0.75 * value:.2f}"/>')
        parts.append(text(x + 14, y + 26, name.upper(), "tilename"))
        parts.append(text(x + 14, y + 62, percent(share), "big"))
        parts.append(text(x + 14, y + 82, span(share), "tick"))
        parts.append(text(x + 14, y + 104, _SAYS[name], "tick"))
        parts.append(text(x + 14, y + 122, f"{percent(table[name]['accuracy'], 0)} of these are right", "tick"))
    return _frame(width, top + 2 * high + 12, parts, "consistency and reliance")


def rows_of_bars(rows: Sequence[tuple[str, Sequence[tuple[str, Interval]], str]], *, top: float = 1.0, label: str) -> str:
    """Horizontal bars with whiskers: a name, one bar a kind, and a note at the right."""
    if not rows:
        return '<p class="none">Nothing to show.</p>'
    width, left, right = 980, 170, 740
    thick, gap = 12, 11
    parts, y = [], 6.0

    def at(value: float) -> float:
        return left + (right - left) * min(max(value, 0.0), top) / top

    for i in range(6):
        x = at(top * i / 5)
        parts.append(f'<line x1="{x:.1f}" x2="{x:.1f}" y1="0" y2="@" class="grid"/>')
        parts.append(f'<text x="{x:.1f}" y="@@" text-anchor="middle" class="tick">{100 * top * i / 5:.0f}</text>')
    for name, bars, note in rows:
        high = len(bars) * (thick + 2)
        parts.append(text(left - 10, y + high / 2 + 3, name, "rowname", "end"))
        parts.append(text(right + 12, y + high / 2 + 3, note, "tick"))
        for place, (kind, interval) in enumerate(bars):
            here = y + place * (thick + 2)
            if interval["value"] is None:
                parts.append(text(left + 4, here + thick - 2, "not measured", "tick"))
                continue
            parts.append(f'<rect x="{left}" y="{here:.1f}" width="{max(1.0, at(interval["value"]) - left):.1f}" height="{thick}" rx="2" class="bar {kind}"/>')
            if interval["low"] is not None:
                middle = here + thick / 2
                ends = (at(interval["low"]), at(interval["high"]))
                parts.append(f'<line x1="{ends[0]:.1f}" x2="{ends[1]:.1f}" y1="{middle:.1f}" y2="{middle:.1f}" class="error"/>')
                parts += [f'<line x1="{x:.1f}" x2="{x:.1f}" y1="{middle - 3:.1f}" y2="{middle + 3:.1f}" class="error"/>' for x in ends]
        y += high + gap
    done = [part.replace('"@@"', f'"{y + 10:.0f}"').replace('"@"', f'"{y - 4:.0f}"') for part in parts]
    return _frame(width, int(y + 18), done, label)
