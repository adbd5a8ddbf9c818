"""How phantoms are drawn: soft ellipses, noise and textures on a square canvas, one function for each kind of picture.

In: a `Canvas` with its random numbers. Out: (256, 256) float32, HU for CT and 0..255 else.
Coordinates run from -1 to 1, x to the right of the picture, y down; as in radiology the patient's right is on the left.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

SIZE = 256
Array = NDArray[np.float64]


class Canvas:
    """The grid, the random numbers of one drawn patient, and the few strokes that all drawings share."""

    def __init__(self, rng: np.random.Generator) -> None:
        self.rng = rng
        axis = (np.arange(SIZE) + 0.5) / SIZE * 2 - 1
        self.y, self.x = np.meshgrid(axis, axis, indexing="ij")

    def vary(self, value: float, share: float = 0.06) -> float:
        """A number within a share of `value`: one patient is not the next."""
        return float(value * (1 + share * self.rng.uniform(-1, 1)))

    def ellipse(self, cx: float, cy: float, rx: float, ry: float, *, angle: float = 0.0, soft: float = 0.02) -> Array:
        """A mask in [0, 1]: 1 inside, 0 outside, with an edge `soft` wide. `angle` in degrees, clockwise on the picture."""
        a = np.deg2rad(angle)
        u = (self.x - cx) * np.cos(a) + (self.y - cy) * np.sin(a)
        v = -(self.x - cx) * np.sin(a) + (self.y - cy) * np.cos(a)
        distance = (np.hypot(u / rx, v / ry) - 1) * min(rx, ry)
        return np.asarray(np.clip(0.5 - distance / soft, 0, 1))

    def noise(self, smooth: float) -> Array:
        """Gaussian noise of unit deviation, low-passed to about `smooth` pixels (Gaussian filter in the Fourier domain)."""
        white = self.rng.standard_normal((SIZE, SIZE))
        if smooth <= 0:
            return white
        f = np.fft.fftfreq(SIZE)
        low = np.exp(-2 * (np.pi * smooth) ** 2 * (f[:, None] ** 2 + f[None] ** 2))
        filtered = np.fft.ifft2(np.fft.fft2(white) * low).real
        return np.asarray(filtered / filtered.std())

    def blur(self, picture: Array, width: float) -> Array:
        """Gaussian blur of `width` pixels; the border wraps, which a dark border hides."""
        f = np.fft.fftfreq(SIZE)
        low = np.exp(-2 * (np.pi * width) ** 2 * (f[:, None] ** 2 + f[None] ** 2))
        return np.fft.ifft2(np.fft.fft2(picture) * low).real


def paint(picture: Array, mask: Array, value: float | Array) -> Array:
    """Lay a value over a picture where the mask is 1."""
    return picture * (1 - mask) + value * mask


def _finish(picture: Array) -> NDArray[np.float32]:
    return np.clip(picture, 0, 255).astype(np.float32)


def chest_film(c: Canvas) -> NDArray[np.float32]:
    """Frontal chest radiograph: lungs, mediastinum, heart to the patient's left, diaphragm, ribs, clavicles, spine. Absorption, then film."""
    lean = c.rng.uniform(-0.015, 0.015)
    body = np.maximum(c.ellipse(lean, 0.45, c.vary(0.93), c.vary(1.15), soft=0.10), c.ellipse(lean, -0.95, 0.24, 0.42, soft=0.06))
    body = np.maximum(body, c.ellipse(lean, -0.42, 0.98, 0.30, soft=0.08))
    dense = 0.78 * body
    left = c.ellipse(0.40 + lean, -0.02, c.vary(0.315), c.vary(0.66), angle=-7, soft=0.06)
    right = c.ellipse(-0.40 + lean, -0.04, c.vary(0.335), c.vary(0.66), angle=7, soft=0.06)
    domes = np.maximum(c.ellipse(-0.42 + lean, c.vary(0.80, 0.03), 0.47, 0.36, soft=0.03), c.ellipse(0.45 + lean, c.vary(0.86, 0.03), 0.45, 0.36, soft=0.03))
    lungs = np.maximum(left, right) * (1 - domes)
    dense -= 0.47 * lungs
    dense += lungs * (0.020 * c.noise(2.2) + 0.022 * c.noise(7))
    for side in (-1, 1):  # hila and vessels that thin out towards the edge
        dense += 0.15 * np.exp(-(((c.x - lean - side * 0.17) / 0.10) ** 2 + ((c.y + 0.02) / 0.17) ** 2)) * lungs
        for angle in np.linspace(-60, 65, 8):
            dense += 0.10 * _vessel(c, lean + side * 0.16, 0.0, side, angle + c.rng.uniform(-8, 8)) * lungs
    mediastinum = c.ellipse(lean, -0.25, c.vary(0.135), 0.75, soft=0.07)
    dense = np.maximum(dense, 0.86 * mediastinum)
    heart = c.ellipse(0.13 + lean, c.vary(0.30, 0.04), c.vary(0.31), c.vary(0.245), angle=32, soft=0.05)
    dense = np.maximum(dense, 0.88 * heart)
    dense = np.maximum(dense, 0.80 * c.ellipse(0.145 + lean, -0.27, 0.085, 0.085, soft=0.05))  # aortic knob
    dense = np.maximum(dense, 0.90 * domes * body)
    dense -= 0.22 * c.ellipse(lean, -0.62, 0.045, 0.36, soft=0.04)  # trachea
    dense -= 0.22 * c.ellipse(0.42 + lean, 0.70, 0.09, 0.05, soft=0.06)  # gastric bubble
    spine = np.exp(-(((c.x - lean) / 0.085) ** 2)) * (0.75 + 0.25 * np.cos(c.y * 2 * np.pi / 0.17) ** 2)
    dense += 0.07 * spine * body
    dense += _ribs(c, lean) * body
    return _finish(255 * np.clip(c.blur(np.clip(dense, 0, 1.05), 0.7), 0, None) ** 1.15 + 3.0 * c.noise(0.6))


def _vessel(c: Canvas, x0: float, y0: float, side: int, angle: float) -> Array:
    a = np.deg2rad(angle)
    along = (c.x - x0) * side * np.cos(a) + (c.y - y0) * np.sin(a)
    across = -(c.x - x0) * side * np.sin(a) + (c.y - y0) * np.cos(a) + 0.03 * np.sin(8 * along)
    width = np.clip(0.018 - 0.025 * along, 0.004, None)
    return np.where(along > 0, np.exp(-((across / width) ** 2)) * np.exp(-along / 0.22) * np.clip(along / 0.08, 0, 1), 0.0)


def _ribs(c: Canvas, lean: float) -> Array:
    """Posterior ribs that slope down from the spine, fainter anterior ones, clavicles and the scapular edge."""
    total = np.zeros_like(c.x)
    gap = c.vary(0.148, 0.03)
    for side in (-1, 1):
        u = (c.x - lean) * side
        for i in range(9):
            start = -0.80 + gap * i
            posterior = start - 0.10 * np.sin(np.clip(u / 0.42, 0, 1.2) * np.pi * 0.5) + 0.60 * np.clip(u - 0.30, 0, None) ** 1.6 * 1.5
            fade = np.clip((u - 0.05) / 0.08, 0, 1) * np.clip((0.80 - u) / 0.10, 0, 1)
            profile = np.abs((c.y - posterior) / 0.034)
            total += fade * (0.095 * np.exp(-(profile**4)) + 0.055 * np.exp(-(((profile - 0.95) / 0.25) ** 2)))
            anterior = start + 0.34 - 0.45 * np.clip(u - 0.22, 0, None)
            total += 0.030 * np.exp(-(((c.y - anterior) / 0.030) ** 4)) * np.clip((u - 0.24) / 0.1, 0, 1) * np.clip((0.74 - u) / 0.1, 0, 1)
        clavicle = -0.60 - 0.20 * np.clip(u - 0.05, 0, None) - 0.03 * np.sin(u * 6)
        total += 0.13 * np.exp(-(((c.y - clavicle) / 0.030) ** 4)) * np.clip((u - 0.06) / 0.04, 0, 1) * np.clip((0.78 - u) / 0.06, 0, 1)
    return total


def _skull(c: Canvas) -> tuple[float, float, float]:
    return c.rng.uniform(-0.02, 0.02), c.vary(0.66, 0.04), c.vary(0.82, 0.03)


def _folds(c: Canvas, brain: Array, cx: float, rx: float, ry: float) -> Array:
    """Sulci: dark creases of a wavy kind near the surface, in [0, 1]."""
    depth = np.hypot((c.x - cx) / rx, c.y / ry)
    wave = c.noise(4.0)
    creases = np.exp(-((wave / 0.22) ** 2)) * np.clip((depth - 0.70) / 0.22, 0, 1)
    midline = np.exp(-(((c.x - cx) / 0.010) ** 2)) * np.clip((depth - 0.40) / 0.1, 0, 1)
    return np.asarray(np.clip(np.maximum(creases, midline), 0, 1) * brain)


def _ventricles(c: Canvas, cx: float) -> Array:
    total = np.zeros_like(c.x)
    size = c.vary(1.0, 0.15)
    for side in (-1, 1):
        front = c.ellipse(cx + side * 0.085, -0.17, 0.050 * size, 0.16 * size, angle=side * 20, soft=0.03)
        back = c.ellipse(cx + side * 0.17, 0.26, 0.050 * size, 0.17 * size, angle=-side * 24, soft=0.03)
        total = np.maximum(total, np.maximum(front, back))
    return np.maximum(total, c.ellipse(cx, 0.06, 0.016, 0.08, soft=0.02))


def _nuclei(c: Canvas, cx: float) -> Array:
    total = np.zeros_like(c.x)
    for side in (-1, 1):
        total = np.maximum(total, c.ellipse(cx + side * 0.22, -0.02, 0.055, 0.15, angle=-side * 14, soft=0.05))
        total = np.maximum(total, c.ellipse(cx + side * 0.095, 0.10, 0.065, 0.10, angle=side * 10, soft=0.05))
    return total


def head_ct(c: Canvas) -> NDArray[np.float32]:
    """Axial head CT at the level of the ventricles, in HU: skin, bone, sulci, grey and white matter, ventricles, head rest."""
    cx, rx, ry = _skull(c)
    picture = np.full_like(c.x, -1000.0)
    rest = c.ellipse(cx, 0.30, rx + 0.16, ry - 0.14, soft=0.01) - c.ellipse(cx, 0.30, rx + 0.14, ry - 0.16, soft=0.01)
    picture = paint(picture, np.clip(rest, 0, 1) * (c.y > 0.62), -650)
    picture = paint(picture, c.ellipse(cx, 0, rx + 0.10, ry + 0.09), 5)
    picture = paint(picture, c.ellipse(cx, 0, rx + 0.055, ry + 0.05, soft=0.012), c.vary(1150, 0.1))
    inner = c.ellipse(cx, 0, rx, ry, soft=0.015)
    picture = paint(picture, inner, 10.0)
    brain = c.ellipse(cx, 0, rx - 0.025, ry - 0.025, soft=0.03)
    white = np.clip((0.80 - np.hypot((c.x - cx) / rx, c.y / ry) + 0.07 * c.noise(7)) / 0.16, 0, 1)
    picture = paint(picture, brain, 39 - 9 * white)
    picture = paint(picture, _nuclei(c, cx), 38)
    picture = paint(picture, 0.65 * _folds(c, brain, cx, rx, ry), 8)
    picture = paint(picture, _ventricles(c, cx), 6)
    return (c.blur(picture, 0.8) + 3.2 * c.noise(0.8)).astype(np.float32)


def brain_mr(c: Canvas) -> NDArray[np.float32]:
    """Axial T2-weighted brain: bright fluid, grey above white matter, dark bone, bright scalp fat."""
    cx, rx, ry = _skull(c)
    picture = np.full_like(c.x, 4.0)
    picture = paint(picture, c.ellipse(cx, 0, rx + 0.10, ry + 0.09), 150)
    picture = paint(picture, c.ellipse(cx, 0, rx + 0.065, ry + 0.06), 18)
    picture = paint(picture, c.ellipse(cx, 0, rx, ry, soft=0.02), 205)
    brain = c.ellipse(cx, 0, rx - 0.03, ry - 0.03, soft=0.03)
    ribbon = np.clip((0.80 - np.hypot((c.x - cx) / rx, c.y / ry) + 0.11 * c.noise(5)) / 0.10, 0, 1)
    picture = paint(picture, brain, 122 - 38 * ribbon)
    picture = paint(picture, _nuclei(c, cx), 108)
    picture = paint(picture, 0.85 * _folds(c, brain, cx, rx, ry), 215)
    picture = paint(picture, _ventricles(c, cx), 235)
    shading = 1 + 0.06 * c.noise(60)  # the receive coil
    return _finish(c.blur(picture, 0.7) * shading + 4.0 * c.noise(0.5))


def _torso(c: Canvas, tissue: Mapping[str, float], texture: float) -> Array:
    """Axial upper abdomen; `tissue` gives the value of each organ."""
    rx, ry = c.vary(0.90, 0.03), c.vary(0.66, 0.04)
    picture = np.full_like(c.x, tissue["air"])
    picture = paint(picture, c.ellipse(0, 0, rx, ry), tissue["fat"])
    picture = paint(picture, c.ellipse(0, 0.01, rx - 0.075, ry - 0.07, soft=0.03), tissue["muscle"])
    picture = paint(picture, c.ellipse(0, -0.02, rx - 0.14, ry - 0.135, soft=0.03), tissue["fat"])
    liver = np.maximum(
        c.ellipse(-0.40, -0.05, c.vary(0.37), c.vary(0.40), angle=-12, soft=0.02), c.ellipse(-0.08, -0.28, c.vary(0.34), 0.17, angle=8, soft=0.02)
    )
    liver *= c.ellipse(0, -0.02, rx - 0.15, ry - 0.145, soft=0.02)
    picture = paint(picture, liver, tissue["liver"] + texture * c.noise(1.5))
    for _ in range(7):  # vessels in the liver
        x, y, angle = c.rng.uniform(-0.60, -0.15), c.rng.uniform(-0.22, 0.16), c.rng.uniform(0, 180)
        picture = paint(picture, 0.8 * c.ellipse(x, y, c.rng.uniform(0.03, 0.09), 0.014, angle=angle, soft=0.02) * liver, tissue["vessel"])
    picture = paint(picture, c.ellipse(0.33, -0.20, c.vary(0.22), c.vary(0.15), angle=20, soft=0.02), tissue["stomach"])
    picture = paint(picture, c.ellipse(0.34, -0.30, 0.13, 0.05, angle=8, soft=0.02), tissue["gas"])
    picture = paint(picture, c.ellipse(0.58, 0.12, c.vary(0.13), c.vary(0.22), angle=14, soft=0.02), tissue["spleen"] + texture * c.noise(1.5))
    picture = paint(picture, c.ellipse(0.12, 0.0, 0.20, 0.055, angle=-14, soft=0.03), tissue["pancreas"] + 2 * texture * c.noise(2))
    for side in (-1, 1):
        x, y = side * c.vary(0.33), c.vary(0.28)
        picture = paint(picture, c.ellipse(x, y, 0.115, 0.145, angle=side * 25, soft=0.02), tissue["kidney"])
        picture = paint(picture, c.ellipse(x - side * 0.03, y, 0.045, 0.065, angle=side * 25, soft=0.04), tissue["pelvis"])
        picture = paint(picture, c.ellipse(side * 0.20, 0.46, 0.15, 0.10, angle=side * 12, soft=0.03), tissue["muscle"])
        picture = paint(picture, c.ellipse(side * 0.155, 0.27, 0.06, 0.09, soft=0.03), tissue["muscle"])
    picture = paint(picture, c.ellipse(0, 0.27, 0.115, 0.095, soft=0.02), tissue["bone"])
    picture = paint(picture, c.ellipse(0, 0.27, 0.095, 0.075, soft=0.02), tissue["marrow"] + texture * c.noise(1))
    picture = paint(picture, c.ellipse(0, 0.47, 0.025, 0.09, soft=0.02), tissue["bone"])
    picture = paint(picture, c.ellipse(0, 0.385, 0.045, 0.04, soft=0.02), tissue["cord"])
    picture = paint(picture, c.ellipse(0.045, 0.125, 0.055, 0.055, soft=0.02), tissue["aorta"])
    picture = paint(picture, c.ellipse(-0.10, 0.11, 0.06, 0.045, soft=0.02), tissue["vessel"])
    for degrees in (*range(20, 80, 20), *range(100, 180, 20), 200, 220, 320, 340):  # ribs in the wall
        a = np.deg2rad(degrees)
        picture = paint(picture, c.ellipse((rx - 0.115) * np.cos(a), (ry - 0.11) * np.sin(a), 0.055, 0.018, angle=degrees + 90, soft=0.015), tissue["bone"])
    return picture


def abdomen_ct(c: Canvas) -> NDArray[np.float32]:
    """Axial upper abdomen, contrast-enhanced CT, in HU."""
    tissue = {"air": -1000, "fat": -100, "muscle": 55, "liver": 105, "vessel": 145, "stomach": 25, "gas": -900, "spleen": 120, "pancreas": 85}
    tissue |= {"kidney": 165, "pelvis": 40, "bone": 500, "marrow": 190, "cord": 30, "aorta": 180}
    return (c.blur(_torso(c, tissue, 5.0), 0.8) + 10.0 * c.noise(0.9)).astype(np.float32)


def abdomen_mr(c: Canvas) -> NDArray[np.float32]:
    """Axial upper abdomen, T2-weighted MR without fat suppression."""
    tissue = {"air": 3, "fat": 190, "muscle": 42, "liver": 75, "vessel": 25, "stomach": 160, "gas": 5, "spleen": 128, "pancreas": 95}
    tissue |= {"kidney": 150, "pelvis": 220, "bone": 15, "marrow": 105, "cord": 200, "aorta": 12}
    picture = c.blur(_torso(c, tissue, 6.0), 0.9) * (1 + 0.10 * c.noise(50))
    return _finish(picture + 5.0 * c.noise(0.6))


def ultrasound(c: Canvas) -> NDArray[np.float32]:
    """A curved-array sector: speckle, layers of the wall, a rounded organ, one anechoic vessel with enhancement behind it."""
    apex = -1.30
    radius, angle = np.hypot(c.x, c.y - apex), np.arctan2(c.x, c.y - apex)
    inside = np.clip((radius - 0.42) / 0.012, 0, 1) * np.clip((2.12 - radius) / 0.012, 0, 1) * np.clip((0.58 - np.abs(angle)) / 0.01, 0, 1)
    level = np.full_like(c.x, 0.30)
    level += 0.22 * np.exp(-(((radius - 0.52) / 0.035) ** 2)) + 0.15 * np.exp(-(((radius - 0.62) / 0.02) ** 2))
    organ = c.ellipse(c.vary(-0.08, 0.5), c.vary(0.05, 0.5), c.vary(0.55), c.vary(0.42), angle=10, soft=0.05)
    level = paint(level, organ, 0.42)
    rim = np.exp(-(((organ - 0.5) / 0.25) ** 2)) * (organ > 0.02) * (organ < 0.98)
    level += 0.14 * rim
    vessel_x, vessel_y = c.vary(0.15, 0.4), c.vary(0.12, 0.4)
    vessel = c.ellipse(vessel_x, vessel_y, 0.13, 0.085, angle=-15, soft=0.03)
    behind = np.exp(-(((angle - np.arctan2(vessel_x, vessel_y - apex)) / 0.07) ** 2)) * (c.y > vessel_y)
    level = paint(level * (1 + 0.35 * behind), vessel, 0.03)
    speckle = np.hypot(c.noise(1.3), c.noise(1.3)) / 1.25  # Rayleigh, as an envelope is
    decay = np.exp(-0.35 * np.clip(radius - 0.5, 0, None))
    return _finish(255 * np.clip(level * (0.55 + 0.45 * speckle) * decay * 1.15, 0, 1) * inside)


def generic(c: Canvas) -> NDArray[np.float32]:
    """A body of no named part: soft tissue with a few structures, so that every modality and body part has something to be asked of."""
    body = c.ellipse(0, 0, c.vary(0.72), c.vary(0.80), soft=0.05)
    picture = 95 * body + 10 * body * c.noise(5)
    for _ in range(6):
        x, y = c.rng.uniform(-0.40, 0.40), c.rng.uniform(-0.50, 0.50)
        shape = c.ellipse(x, y, c.rng.uniform(0.06, 0.22), c.rng.uniform(0.06, 0.22), angle=c.rng.uniform(0, 180), soft=0.04)
        picture = paint(picture, shape * body, c.rng.uniform(40, 190))
    return _finish(c.blur(picture, 0.8) + 4.0 * c.noise(0.6))
