"""Pictures drawn for the router of image types where no set has them: ultrasound sectors, ECG strips, plots, stained tissue, photographs, none of these.

In: a random generator. Out: pictures as they would be shown, (rows, cols, 3) or (rows, cols) uint8. The same generator draws the same picture.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image as Picture
from PIL import ImageDraw, ImageFilter
from scipy import ndimage

from vesalius.models import experts

Shown = NDArray[np.uint8]
_LEADS = ("I", "II", "III", "aVR", "aVL", "aVF", "V1", "V2", "V3", "V4", "V5", "V6")


def sector(random: np.random.Generator) -> Shown:
    """A speckled ultrasound sector or band with dark cysts and bright interfaces on black, with marks beside it."""
    high, wide = int(random.integers(240, 480)), int(random.integers(320, 640))
    y, x = np.mgrid[0:high, 0:wide].astype(np.float64)
    apex = wide * random.uniform(0.42, 0.58), -high * random.uniform(0.0, 0.15)
    radius, angle = np.hypot(x - apex[0], y - apex[1]), np.arctan2(x - apex[0], y - apex[1])
    if random.random() < 0.75:
        inside = (np.abs(angle) < random.uniform(0.45, 0.8)) & (radius < high * random.uniform(0.95, 1.1)) & (radius > high * random.uniform(0.03, 0.25))
    else:
        inside = (np.abs(x - wide / 2) < wide * random.uniform(0.25, 0.42)) & (y > high * 0.06) & (y < high * random.uniform(0.8, 0.97))
    tissue_level = np.exp(0.5 * _field(random, (high, wide), random.uniform(15, 40)))
    for _ in range(int(random.integers(1, 5))):
        at, size = (random.uniform(0.2, 0.9) * high, random.uniform(0.25, 0.75) * wide), random.uniform(0.04, 0.16) * high
        within = ((y - at[0]) / size) ** 2 + ((x - at[1]) / (size * random.uniform(0.7, 1.8))) ** 2
        tissue_level = np.where(within < 1, tissue_level * random.choice([0.08, 0.3, 1.8]), tissue_level)
        tissue_level += random.uniform(0, 3) * np.exp(-(((within - 1) * 6) ** 2))
    speckle = ndimage.gaussian_filter(random.standard_normal((high, wide)), (0.8, 1.8)) + 1j * ndimage.gaussian_filter(
        random.standard_normal((high, wide)), (0.8, 1.8)
    )
    echo = np.log1p(np.abs(speckle) * tissue_level * 12 * np.exp(-radius / high * random.uniform(0, 0.8)))
    grey = np.where(inside, np.clip(echo / np.percentile(echo[inside], 99) * random.uniform(160, 240), 0, 255), 0).astype(np.uint8)
    shown = np.repeat(grey[:, :, None], 3, axis=2)
    if random.random() < 0.35:
        box = (np.abs(x - wide * random.uniform(0.4, 0.6)) < wide * random.uniform(0.1, 0.25)) & (np.abs(y - high / 2) < high * random.uniform(0.1, 0.3))
        flow = _field(random, (high, wide), random.uniform(3, 10))
        heat = np.clip((np.abs(flow) - 1) * 200, 0, 255)
        colours = np.stack([np.where(flow > 0, 255, 0), heat, np.where(flow > 0, 0, 255)], axis=2)
        shown = np.where((box & (np.abs(flow) > random.uniform(0.8, 1.5)))[:, :, None], colours, shown).astype(np.uint8)
    return _console(shown, random)


def _console(shown: Shown, random: np.random.Generator) -> Shown:
    """What a scanner shows around its picture: lines of text, a header bar, a scale of greys or colours, ticks."""
    high, wide = shown.shape[:2]
    margin = [int(random.uniform(0, 0.3) * n) for n in (wide, wide, high, high)] if random.random() < 0.7 else [0, 0, 0, 0]
    picture = Picture.new("RGB", (wide + margin[0] + margin[1], high + margin[2] + margin[3]))
    picture.paste(Picture.fromarray(shown), (margin[0], margin[2]))
    pen = ImageDraw.Draw(picture)
    if random.random() < 0.3:
        pen.rectangle((0, 0, picture.width, int(random.integers(14, 50))), fill=tuple(int(c) for c in random.integers(20, 110, 3)))
    letters = list("ABCDEFGHIMRSTabcdegimnors0123456789 .:/")
    for _ in range(int(random.integers(0, 5))):
        left, top, bright = random.choice([4, 0.7 * picture.width]), random.uniform(0, 0.85) * picture.height, int(random.integers(120, 256))
        for i in range(int(random.integers(1, 7))):
            word = "".join(random.choice(letters, int(random.integers(3, 14))))
            pen.text((left, top + 13 * i), word, fill=(bright, bright, bright if random.random() < 0.8 else 60))
    if random.random() < 0.6:
        level, hot, at = int(random.integers(10, 60)), random.random() < 0.4, random.choice([8, picture.width - 16])
        for i in range(100):
            pen.line((at, level + i, at + 8, level + i), fill=(255, 255 - 2 * i, 0) if hot else (255 - 2 * i,) * 3)
    for i in range(int(random.integers(0, 12))):
        pen.line((picture.width - 6, 20 + 30 * i, picture.width - 3, 20 + 30 * i), fill=(220, 220, 220))
    return np.array(picture)


def simulated(random: np.random.Generator) -> experts.Recording:
    """Twelve leads of a regular or irregular rhythm: sums of Gaussians for P, QRS and T in each beat, wander and noise (millivolts)."""
    rate, seconds = 250.0, 10.0
    t = np.arange(int(rate * seconds)) / rate
    beat, at, beats = 60 / random.uniform(45, 140), random.uniform(0, 0.6), []
    spread = random.choice([0.01, 0.03, 0.18])
    while at < seconds:
        beats.append(at)
        at += beat * max(0.5, 1 + spread * random.standard_normal())
    leads = []
    for _ in _LEADS:
        waves = [(-0.17, 0.025, 0.12), (-0.03, 0.01, -0.12), (0.0, 0.012, random.uniform(0.4, 1.5)), (0.03, 0.012, -0.3), (0.26, 0.05, 0.3)]
        lead = sum(h * random.uniform(0.5, 1.4) * np.exp(-(((t - b - d) / w) ** 2) / 2) for d, w, h in waves for b in beats)
        lead = lead * random.choice([1, 1, 1, -0.6]) + 0.05 * random.standard_normal() + 0.08 * np.sin(2 * math.pi * random.uniform(0.1, 0.4) * t)
        leads.append(lead + random.uniform(0.003, 0.02) * random.standard_normal(len(t)))
    return experts.Recording(np.array(leads), rate, _LEADS)


def strip(recording: experts.Recording, random: np.random.Generator) -> Shown:
    """Leads on paper in one of several layouts (12 x 1, 6 x 2, 3 x 4, a rhythm strip), with or without a grid, in several colours, speeds as published."""
    rows, columns = ((12, 1), (6, 2), (3, 4), (1, 1), (2, 1))[int(random.integers(5))]
    small = random.uniform(2.5, 5.0)  # pixels to a millimetre
    wide = int(random.integers(500, 1000))
    high = int(np.clip(rows * small * random.uniform(14, 25), 120, 900))
    return draw_strip(recording, rows, columns, (high, wide), small, random)


def draw_strip(
    recording: experts.Recording, rows: int, columns: int, shape: tuple[int, int], small: float, random: np.random.Generator, *, grid: bool | None = None
) -> Shown:
    """Leads on paper at 25 mm/s and 10 mm/mV.

    Args:
        shape: (rows, cols) in pixels. small: pixels to a millimetre. grid: None leaves it to chance.
    """
    high, wide = shape
    tint = np.array([(255, 170, 170), (255, 190, 160), (150, 200, 150), (170, 190, 235), (200, 200, 200)][int(random.integers(5))])
    paper = int(random.integers(240, 256))
    picture = Picture.new("RGB", (wide, high), (paper, paper, paper))
    pen = ImageDraw.Draw(picture)
    if random.random() < 0.8 if grid is None else grid:
        for step, colour in ((small, tuple(int(c) for c in (tint + 2 * paper) // 3)), (5 * small, tuple(int(c) for c in tint))):
            for i in range(int(max(wide, high) / step) + 1):
                pen.line((round(i * step), 0, round(i * step), high), fill=colour)
                pen.line((0, round(i * step), wide, round(i * step)), fill=colour)
    ink = [(0, 0, 0), (20, 20, 60), (50, 20, 20)][int(random.integers(3))]
    start = int(random.integers(0, max(1, recording.millivolts.shape[1] - int(10.5 * recording.rate))))
    width = wide / columns
    for number in range(rows * columns):
        row, column = number % rows, number // rows
        lead = recording.millivolts[(number if rows * columns > 2 else number + 1) % len(recording.leads)]
        middle, left = (row + 0.5) * high / rows, column * width
        x = np.arange(int(width))
        at = start + ((x + left) / small / 25 * recording.rate).astype(int)
        values = lead[np.minimum(at, len(lead) - 1)]
        y = middle - (values - np.median(values)) * 10 * small * min(1.0, high / rows / small / 20)
        pen.line([(float(a + left), float(b)) for a, b in zip(x, y, strict=True)], fill=ink, width=1 if small < 3.5 else 2)
        if random.random() < 0.8:
            pen.text((left + 4, middle - 0.45 * high / rows), recording.leads[number % len(recording.leads)], fill=ink)
    return np.array(picture)


def figure(name: str, random: np.random.Generator) -> Shown:
    """A plot of one kind or a table, as scientific figures look."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    canvas = FigureCanvasAgg(Figure(figsize=(random.uniform(3, 6), random.uniform(2.2, 4.5)), dpi=80))
    axes = canvas.figure.add_subplot()
    colours: list[Any] = [tuple(float(c) for c in random.random(3) * 0.8) for _ in range(5)]
    count = int(random.integers(2, 5))
    words = ["".join(random.choice(list("abcdeginorstu"), int(random.integers(3, 9)))) for _ in range(12)]
    x = np.linspace(0, random.uniform(1, 100), 40)
    if name == "table":
        axes.axis("off")
        cells = [[f"{v:.2f}" for v in random.random(count)] for _ in range(int(random.integers(3, 8)))]
        axes.table(cells, colLabels=words[:count], rowLabels=[words[i % 12] for i in range(len(cells))], loc="center")
    elif name == "pie":
        axes.pie(random.random(count + 1) + 0.1, labels=words[: count + 1], colors=colours)
    elif name == "heat":
        axes.imshow(random.random((count + 3, count + 4)), cmap=str(random.choice(["viridis", "Blues", "coolwarm", "gray"])))
    elif name == "bar":
        axes.bar(words[:count], random.random(count), yerr=random.random(count) * 0.1, color=colours[:count])
    else:
        for i in range(count):
            noise = random.standard_normal(40)
            if name == "line":
                axes.plot(x, np.cumsum(noise), color=colours[i], marker=random.choice(["", "o", "s"]), label=words[i])
            elif name == "scatter":
                axes.scatter(x + random.standard_normal(40), noise + i, color=colours[i], s=random.uniform(5, 30), label=words[i])
            elif name == "histogram":
                axes.hist(noise + i, bins=12, color=colours[i], alpha=0.7, label=words[i])
            elif name == "steps":
                axes.step(x, 1 - np.cumsum(np.abs(noise)) / 60, color=colours[i], label=words[i])
        if name == "box":
            axes.boxplot([random.standard_normal(30) + i for i in range(count)], tick_labels=words[:count])
    if name not in ("table", "pie"):
        axes.set(xlabel=words[-1], ylabel=words[-2], title=words[-3] if random.random() < 0.5 else "")
        if random.random() < 0.4:
            axes.grid(True)
        if random.random() < 0.5 and axes.get_legend_handles_labels()[0]:
            axes.legend()
    canvas.draw()  # type: ignore[no-untyped-call]
    return np.asarray(canvas.buffer_rgba())[:, :, :3].copy()  # type: ignore[no-untyped-call]


def tissue(random: np.random.Generator) -> Shown:
    """Stained tissue: pink stroma, purple nuclei, white gaps; at times brown instead of pink."""
    side = int(random.integers(256, 420))
    pink = np.array([(228, 160, 195), (215, 140, 180), (235, 185, 210), (205, 180, 160)][int(random.integers(4))], float)
    shade = _field(random, (side, side), random.uniform(4, 14))[:, :, None] * 10 + _field(random, (side, side), 2)[:, :, None] * 7
    base_colour = pink + shade * np.array([0.8, 1.3, 0.9])
    gaps = _field(random, (side, side), random.uniform(10, 25)) > random.uniform(1.0, 2.2)
    base_colour[gaps] = (243, 240, 244)
    picture = Picture.fromarray(np.clip(base_colour, 0, 255).astype(np.uint8))
    pen = ImageDraw.Draw(picture)
    size = random.uniform(3, 9)
    dense = _field(random, (side, side), 30)
    for _ in range(int(side * side / size**2 * random.uniform(0.03, 0.12))):
        cx, cy = random.uniform(0, side, 2)
        if gaps[int(cy), int(cx)] or dense[int(cy), int(cx)] < random.normal(-0.3, 0.8):
            continue
        rx, ry = size * random.uniform(0.6, 1.3), size * random.uniform(0.5, 1.2)
        purple = np.array([95, 55, 135]) + random.normal(0, 16, 3)
        pen.ellipse((cx - rx, cy - ry, cx + rx, cy + ry), fill=tuple(int(np.clip(c, 0, 255)) for c in purple))
    noisy = np.array(picture.filter(ImageFilter.GaussianBlur(random.uniform(0.4, 1.2)))).astype(float) + random.normal(0, 4, (side, side, 3))
    return np.clip(noisy, 0, 255).astype(np.uint8)


def scene(random: np.random.Generator) -> Shown:
    """A drawn photograph: sky and ground, shaded objects, or skin with a dark spot; coloured light and grain."""
    high, wide = int(random.integers(240, 420)), int(random.integers(240, 480))
    y, x = np.mgrid[0:high, 0:wide]
    if random.random() < 0.4:
        skin = np.array([(224, 172, 145), (198, 134, 100), (141, 90, 65), (241, 205, 185)][int(random.integers(4))], float)
        shown = skin + 9 * _field(random, (high, wide), 40)[:, :, None] + 4 * _field(random, (high, wide), 2)[:, :, None]
        at, size = (random.uniform(0.3, 0.7) * high, random.uniform(0.3, 0.7) * wide), random.uniform(0.08, 0.25) * high
        edge = ((y - at[0]) / size) ** 2 + ((x - at[1]) / size) ** 2 + 0.35 * _field(random, (high, wide), 12)
        spot = 1 / (1 + np.exp(np.clip(8 * (edge - 1), -50, 50)))
        shown = shown * (1 - spot[:, :, None] * np.array([0.35, 0.55, 0.55]) * random.uniform(0.6, 1.2))
    else:
        top, low = random.uniform(90, 240, 3), random.uniform(30, 170, 3)
        line = high * random.uniform(0.3, 0.7) + 12 * _field(random, (2, wide), 20)[0]
        ground = (y > line)[:, :, None]
        shown = np.where(
            ground, low + 22 * _field(random, (high, wide), 3)[:, :, None], top + (y / high * 50)[:, :, None] + 9 * _field(random, (high, wide), 30)[:, :, None]
        )
        for _ in range(int(random.integers(2, 7))):
            cy, cx, size = random.uniform(0.3, 0.9) * high, random.uniform(0, 1) * wide, random.uniform(0.06, 0.25) * high
            round_ = random.random() < 0.5
            inside = np.hypot(y - cy, x - cx) < size if round_ else (np.abs(y - cy) < size) & (np.abs(x - cx) < size * 0.7)
            light = (1.1 - 0.5 * np.clip(((x - cx) + (y - cy)) / (2 * size), -1, 1))[:, :, None]
            shown = np.where(inside[:, :, None], random.uniform(20, 230, 3) * light + 12 * _field(random, (high, wide), 3)[:, :, None], shown)
    return np.clip(shown + random.normal(0, random.uniform(1, 7), shown.shape), 0, 255).astype(np.uint8)


def nothing(random: np.random.Generator) -> Shown:
    """What none of the kinds is: one level, noise, a gradient, flat shapes."""
    high, wide = int(random.integers(64, 400)), int(random.integers(64, 400))
    manner = int(random.integers(4))
    if manner == 0:
        return np.full((high, wide), int(random.integers(0, 256)), np.uint8)
    if manner == 1:
        return random.integers(0, 256, (high, wide, 3) if random.random() < 0.5 else (high, wide)).astype(np.uint8)
    if manner == 2:
        ramp = np.linspace(random.uniform(0, 120), random.uniform(130, 255), wide if random.random() < 0.5 else high)
        return np.broadcast_to(ramp if len(ramp) == wide else ramp[:, None], (high, wide)).astype(np.uint8)
    picture = Picture.new("RGB", (wide, high), tuple(int(c) for c in random.integers(0, 256, 3)))
    pen = ImageDraw.Draw(picture)
    for _ in range(int(random.integers(1, 7))):
        corners = np.sort(random.uniform(0, 1, (2, 2)), axis=0) * (wide, high)
        (pen.ellipse if random.random() < 0.5 else pen.rectangle)([*corners[0], *corners[1]], fill=tuple(int(c) for c in random.integers(0, 256, 3)))
    return np.array(picture)


def _field(random: np.random.Generator, shape: tuple[int, int], width: float) -> NDArray[np.float64]:
    """Smooth noise of mean 0 and deviation 1."""
    coarse = max(1, int(width / 3))
    small = ndimage.gaussian_filter(random.standard_normal((shape[0] // coarse + 2, shape[1] // coarse + 2)), width / coarse)
    smooth = ndimage.zoom(small, coarse, order=1)[: shape[0], : shape[1]] if coarse > 1 else small[: shape[0], : shape[1]]
    even: NDArray[np.float64] = (smooth - smooth.mean()) / (smooth.std() + 1e-9)
    return even
