"""Faults of projection radiography: exposure, quantum noise, column gains, collimation, a polarity that was not read.

In: an `Image`, one parameter, randomness. Out: an `Image`. What is shown is taken to be linear in the logarithm of the detector's signal, a hundredfold
signal from white to black (`LATITUDE`): shown = -ln(signal) / ln(100) + constant, dense is bright. A film that was processed for display no longer tells
its detector's signal, so these are models of a fault, not its simulation; the clean picture is taken to be free of noise.
"""

from __future__ import annotations

import dataclasses
import math

import numpy as np

from vesalius.data.corruptions.display import Values, on_display, over_colours
from vesalius.domain.study import Image

LATITUDE = math.log(100)  # natural logarithm of signal between white and black
PHOTONS = 1000.0  # detected for each pixel of the picture at middle grey and reference dose
ELECTRONIC = 3.0  # standard deviation of the electronics' noise, in photons
_LEAST = 0.5  # photons; the logarithm of less is not taken


def exposure(image: Image, factor: float, random: np.random.Generator) -> Image:  # noqa: ARG001
    """The detector's signal times `factor`, its window left as it was: shown - ln(factor) / LATITUDE, cut to the range of the display."""
    return on_display(image, lambda shown: np.clip(shown - math.log(factor) / LATITUDE, 0, 1))


def quantum_noise(image: Image, dose: float, random: np.random.Generator) -> Image:
    """Photons counted at a dose: Poisson(n) + Normal(0, ELECTRONIC), n = PHOTONS x dose x exp(-LATITUDE (shown - 1/2)), and the logarithm taken again.

    At middle grey and n photons the shown value has a standard deviation of about 1 / (LATITUDE sqrt(n)); dense parts have fewer photons and more noise.
    """

    def count(shown: Values) -> Values:
        bright = PHOTONS * dose
        expected = bright * np.exp(-LATITUDE * (np.clip(shown, 0, 1) - 0.5))
        signal = random.poisson(expected) + random.normal(0, ELECTRONIC, shown.shape)
        return np.asarray(0.5 - np.log(np.maximum(signal, _LEAST) / bright) / LATITUDE)

    return on_display(image, count)


def stripes(image: Image, spread: float, random: np.random.Generator) -> Image:
    """Columns of the detector with gains of their own: gain = exp(Normal(0, spread))."""
    gains = np.broadcast_to(random.normal(0, 1, image.cols), (image.rows, image.cols))
    return on_display(image, lambda shown: shown - spread * over_colours(gains, shown) / LATITUDE)


def collimation(image: Image, share: float, random: np.random.Generator) -> Image:
    """Borders shown black: on each side `share` of the picture's length there, times a factor from 1/2 to 3/2 that belongs to the side."""
    top, bottom, left, right = (share * random.uniform(0.5, 1.5, 4) * [image.rows, image.rows, image.cols, image.cols]).round().astype(int)
    open_field = np.zeros((image.rows, image.cols))
    open_field[top : image.rows - bottom, left : image.cols - right] = 1
    return on_display(image, lambda shown: np.where(over_colours(open_field, shown) > 0, shown, 0.0))


def inversion(image: Image, on: float, random: np.random.Generator) -> Image:  # noqa: ARG001
    """MONOCHROME1 read as MONOCHROME2, or the reverse: the pixels stay, white is shown black."""
    if image.is_colour:
        return dataclasses.replace(image, pixels=(255 - image.pixels).astype(np.uint8), uid=None)
    window = on_display(image, lambda shown: shown)  # percentiles, where the header has no window, are kept
    return dataclasses.replace(window, inverted=not image.inverted)
