"""Faults of CT and MR: CT noise, rings, a wrong window; MR noise, bias field, ghosts.

In: an `Image`, one parameter, randomness. Out: an `Image`. Hounsfield units are those of the pixels; a CT picture without them is taken to be shown in the
usual window of its body part (head 80 HU wide, else 400). MR pixels are taken to be proportional to the signal, black meaning none.
"""

from __future__ import annotations

import dataclasses
import math

import numpy as np

from vesalius.data.corruptions.display import Values, display_of, on_display, over_colours
from vesalius.data.phantoms import region_of
from vesalius.domain.study import Image, Intensity, Window

HEAD_WIDTH, BODY_WIDTH = 80.0, 400.0  # HU
GHOSTS = 4  # lines of k-space after which the modulation repeats


def shown_width(image: Image) -> float:
    """Hounsfield units between black and white, known or assumed."""
    if image.intensity is Intensity.HOUNSFIELD:
        display = display_of(image)
        return display.high - display.low
    return HEAD_WIDTH if region_of(image.body_part) == "HEAD" else BODY_WIDTH


def ct_noise(image: Image, sd: float, random: np.random.Generator) -> Image:
    """Added noise of `sd` HU with the grain of filtered back projection: power ~ f x Hann(f)^2, f the distance from the middle of the spectrum."""
    rows, cols = image.rows, image.cols
    f = np.hypot(np.fft.fftfreq(rows)[:, None], np.fft.fftfreq(cols)[None])
    amplitude = np.sqrt(f) * np.cos(np.pi * np.minimum(f, 0.5)) ** 2
    power = float(np.mean(amplitude**2))
    scale = sd / shown_width(image) / math.sqrt(power) if power else 0.0

    def add(shown: Values) -> Values:
        noise = [np.fft.ifft2(np.fft.fft2(random.normal(0, 1, (rows, cols))) * amplitude).real * scale for _ in range(len(shown))]
        grain = np.stack(noise)
        return shown + (grain if shown.ndim == 3 else grain[..., None])

    return on_display(image, add)


def rings(image: Image, sd: float, random: np.random.Generator) -> Image:
    """Detector elements out of calibration: every ring of one pixel around the picture's middle is off by Normal(0, sd) HU."""
    y, x = np.ogrid[: image.rows, : image.cols]
    radius = np.hypot(y - (image.rows - 1) / 2, x - (image.cols - 1) / 2).round().astype(int)
    offsets = random.normal(0, 1, int(radius.max()) + 1) * sd / shown_width(image)
    return on_display(image, lambda shown: shown + over_colours(offsets[radius], shown))


def window_level(image: Image, share: float, random: np.random.Generator) -> Image:
    """The window's middle off by `share` of its width, up or down."""
    return _window(image, share if random.random() < 0.5 else -share, 1.0)


def window_width(image: Image, factor: float, random: np.random.Generator) -> Image:
    """The window `factor` times too wide, or too narrow."""
    return _window(image, 0.0, factor if random.random() < 0.5 else 1 / factor)


def _window(image: Image, shift: float, factor: float) -> Image:
    """Another window over the same pixels; over pixels that were windowed before, what that cut off is gone."""
    first = image.voi[0] if image.voi else None
    if isinstance(first, Window) and image.intensity is Intensity.HOUNSFIELD:
        least = 1.0 if first.function == "LINEAR" else 0.0
        other = dataclasses.replace(first, center=first.center + shift * first.width, width=max(least, first.width * factor))
        return dataclasses.replace(image, voi=(other, *image.voi[1:]), uid=None)
    return on_display(image, lambda shown: (np.clip(shown, 0, 1) - 0.5 - shift) / factor + 0.5)


def rician_noise(image: Image, sd: float, random: np.random.Generator) -> Image:
    """Magnitude of a complex signal with noise: sqrt((signal + Normal(0, sd))^2 + Normal(0, sd)^2), white = 1."""

    def magnitude(shown: Values) -> Values:
        real, imaginary = random.normal(0, sd, (2, *shown.shape))
        return np.asarray(np.hypot(np.maximum(shown, 0) + real, imaginary))

    return on_display(image, magnitude)


def bias_field(image: Image, amplitude: float, random: np.random.Generator) -> Image:
    """The coil's sensitivity: signal x (1 + amplitude g), g a polynomial of second degree over the picture, from -1 to 1 at most."""
    y, x = np.linspace(-1, 1, image.rows)[:, None], np.linspace(-1, 1, image.cols)[None]
    a, b, c, d, e = random.normal(0, 1, 5)
    field = a * y + b * x + c * (y * y - 1 / 3) + d * (x * x - 1 / 3) + e * x * y
    peak = float(np.abs(field).max())
    g = field / peak if peak else field
    return on_display(image, lambda shown: np.maximum(shown, 0) * (1 + amplitude * over_colours(g, shown)))


def ghosting(image: Image, strength: float, random: np.random.Generator) -> Image:
    """Lines of k-space modulated by 1 + 2 strength cos(2 pi k / 4): two ghosts of `strength`, a quarter of the field of view away on either side."""
    axis = 1 if random.random() < 0.5 else 2

    def modulate(shown: Values) -> Values:
        size = shown.shape[axis]
        line = np.rint(np.fft.fftfreq(size, 1 / size))
        shape = [1] * shown.ndim
        shape[axis] = size
        weight = (1 + 2 * strength * np.cos(2 * np.pi * line / GHOSTS)).reshape(shape)
        return np.abs(np.fft.ifft(np.fft.fft(np.maximum(shown, 0), axis=axis) * weight, axis=axis))

    return on_display(image, modulate)
