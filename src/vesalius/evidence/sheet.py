"""A sheet of paper to draw on: text that wraps, rounded boxes, marks that differ in shape as well as in colour.

In: positions and sizes in points of the finished page. Out: a Pillow picture, drawn at twice the size and reduced, so that edges are smooth.
The font is the one inside Pillow, which has the characters of ASCII and little more: `legible` brings text into them.
"""

from __future__ import annotations

import functools
import unicodedata
from types import MappingProxyType

import PIL.Image
from PIL import ImageDraw, ImageFont

from vesalius.domain.decision import Verdict

SCALE = 2

INK, SOFT, FAINT, LINE, PAPER, PANEL = "#1f2933", "#5b6875", "#8a96a3", "#d5dce3", "#ffffff", "#f5f7f9"
# Blue, amber and wine stay apart for the common kinds of colour blindness, and every mark has a shape of its own.
STRONG = MappingProxyType({Verdict.RELEASED: "#0b6aa2", Verdict.CAVEATED: "#b87400", Verdict.REFERRED: "#9c2b4b"})
TINT = MappingProxyType({Verdict.RELEASED: "#e4f0f7", Verdict.CAVEATED: "#fcf1dc", Verdict.REFERRED: "#f8e6ec"})

_REPLACED = str.maketrans(
    {"–": "-", "—": "-", "−": "-", "‐": "-", "‑": "-", "×": "x", "≥": ">=", "≤": "<=", "≠": "!=", "→": "->"}
    | {"µ": "u", "μ": "u", "ß": "ss", "æ": "ae", "ø": "o", "ł": "l", "•": "·", "\u00a0": " "}
)
_BEYOND_ASCII = frozenset("…·±°’‘“”©")

Point = tuple[float, float]


def legible(text: str) -> str:
    """The text in the characters of the font: accents are dropped, signs written out, what remains unknown becomes "?"."""
    plain = " ".join(text.split()).translate(_REPLACED)
    # what the font has is kept before accents are taken off: NFKD would write "…" as three points
    parts = "".join(c if c in _BEYOND_ASCII else unicodedata.normalize("NFKD", c) for c in plain)
    return "".join(c if " " <= c <= "~" or c in _BEYOND_ASCII else "?" for c in parts if not unicodedata.combining(c))


@functools.lru_cache(maxsize=64)
def _font(pixels: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(pixels)


class Sheet:
    """White paper of `width` x `height` points."""

    def __init__(self, width: int, height: int) -> None:
        self.width = width
        self._paper = PIL.Image.new("RGB", (width * SCALE, height * SCALE), PAPER)
        self._draw = ImageDraw.Draw(self._paper)

    def length(self, text: str, size: float) -> float:
        """Width of a line of text."""
        return float(_font(round(size * SCALE)).getlength(legible(text))) / SCALE

    def text(self, at: Point, text: str, size: float, colour: str = INK, *, bold: bool = False, anchor: str = "ls") -> float:
        """One line; `anchor` as in Pillow, by default left on the baseline. Returns its width."""
        # the font has one weight; a stroke of half a point makes the bold one
        self._draw.text(_px(at), legible(text), fill=colour, font=_font(round(size * SCALE)), anchor=anchor, stroke_width=int(bold), stroke_fill=colour)
        return self.length(text, size)

    def wrap(self, text: str, size: float, width: float, lines: int) -> list[str]:
        """The text in at most `lines` lines of `width`, ending in an ellipsis when it does not fit."""
        wrapped: list[str] = []
        words = legible(text).split()
        while words and len(wrapped) < lines:
            count = 1
            while count < len(words) and self.length(" ".join(words[: count + 1]), size) <= width:
                count += 1
            line = " ".join(words[:count])
            if self.length(line, size) > width:  # one word wider than the line: cut it
                fits = max(1, int(len(line) * width / self.length(line, size)) - 1)
                words[0:1] = [line[:fits], line[fits:]]
                line, count = line[:fits], 1
            wrapped.append(line)
            words = words[count:]
        if words and wrapped:
            wrapped[-1] = self.cut(wrapped[-1] + " …", size, width, always=True)
        return wrapped

    def cut(self, text: str, size: float, width: float, *, always: bool = False) -> str:
        """The text in one line of `width`, with an ellipsis for what is left out."""
        line = legible(text)
        if not always and self.length(line, size) <= width:
            return line
        line = line.rstrip(" …")
        while line and self.length(line + " …", size) > width:
            line = line[:-1].rstrip()
        return line + " …"

    def paragraph(self, at: Point, text: str, size: float, width: float, *, lines: int = 3, colour: str = INK, bold: bool = False) -> float:
        """Wrapped text whose first line has its top at `at`; returns the y below it."""
        x, y = at
        for line in self.wrap(text, size, width, lines):
            self.text((x, y + size), line, size, colour, bold=bold)
            y += size * 1.32
        return y

    def label(self, at: Point, text: str, *, colour: str = FAINT) -> None:
        """A small heading in spaced capitals, baseline at `at`."""
        x, y = at
        for letter in legible(text.upper()):
            x += 5.5 if letter == " " else self.text((x, y), letter, 12, colour, bold=True) + 1.2

    def box(self, start: Point, end: Point, *, fill: str | None = None, outline: str | None = None, radius: float = 8, width: float = 1) -> None:
        """A rounded box."""
        self._draw.rounded_rectangle((*_px(start), *_px(end)), radius * SCALE, fill=fill, outline=outline, width=round(width * SCALE))

    def line(self, start: Point, end: Point, colour: str = LINE, width: float = 1) -> None:
        """A straight line."""
        self._draw.line((*_px(start), *_px(end)), fill=colour, width=max(1, round(width * SCALE)))

    def diamond(self, centre: Point, radius: float, fill: str, outline: str = PAPER) -> None:
        """A filled diamond."""
        x, y = centre
        points = [_px(p) for p in ((x, y - radius), (x + radius, y), (x, y + radius), (x - radius, y))]
        self._draw.polygon(points, fill=fill, outline=outline, width=SCALE)

    def paste(self, at: Point, picture: PIL.Image.Image) -> None:
        """A picture already in pixels of the large drawing (`SCALE` to a point)."""
        self._paper.paste(picture, tuple(round(v) for v in _px(at)))  # type: ignore[arg-type]

    def mark(self, centre: Point, radius: float, verdict: Verdict) -> None:
        """The sign of a verdict: a tick in a disc, an exclamation mark in a triangle, a pause in an octagon-like square."""
        x, y = centre
        r, colour = radius, STRONG[verdict]
        if verdict is Verdict.RELEASED:
            self._draw.ellipse((*_px((x - r, y - r)), *_px((x + r, y + r))), fill=colour)
            tick = [_px(p) for p in ((x - 0.45 * r, y + 0.02 * r), (x - 0.1 * r, y + 0.38 * r), (x + 0.48 * r, y - 0.36 * r))]
            self._draw.line(tick, fill=PAPER, width=max(2, round(0.2 * r * SCALE)), joint="curve")
        elif verdict is Verdict.CAVEATED:
            self._draw.polygon([_px(p) for p in ((x, y - r), (x + 1.08 * r, y + 0.86 * r), (x - 1.08 * r, y + 0.86 * r))], fill=colour)
            self._stem(x, y - 0.34 * r, y + 0.32 * r, 0.11 * r)
            self._dot(x, y + 0.6 * r, 0.13 * r)
        else:
            cut = 0.42 * r
            corners = ((-r, -cut), (-cut, -r), (cut, -r), (r, -cut), (r, cut), (cut, r), (-cut, r), (-r, cut))
            self._draw.polygon([_px((x + dx, y + dy)) for dx, dy in corners], fill=colour)
            for side in (-0.27 * r, 0.27 * r):
                self._stem(x + side, y - 0.45 * r, y + 0.45 * r, 0.13 * r)

    def _stem(self, x: float, top: float, bottom: float, half: float) -> None:
        self._draw.rounded_rectangle((*_px((x - half, top)), *_px((x + half, bottom))), half * SCALE, fill=PAPER)

    def _dot(self, x: float, y: float, radius: float) -> None:
        self._draw.ellipse((*_px((x - radius, y - radius)), *_px((x + radius, y + radius))), fill=PAPER)

    def finish(self, height: float) -> PIL.Image.Image:
        """The page down to `height`, at its real size."""
        drawn = self._paper.crop((0, 0, self._paper.width, round(height * SCALE)))
        return drawn.resize((self.width, round(height)), PIL.Image.Resampling.LANCZOS)


def _px(point: Point) -> Point:
    return point[0] * SCALE, point[1] * SCALE
