"""What changes values and moves nothing: blur, resolution, exposure, noise, bias field, window, compression. The physics is that of `data.corruptions`.

In: an `Image`, a value in the unit of its range, randomness. Out: an `Image` of the same shape and type.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from types import MappingProxyType

import numpy as np

from vesalius.data.augment.ranges import BLUR_LIMIT, FILM, kind_of
from vesalius.data.corruptions import any_picture, film, slices
from vesalius.data.corruptions.display import Values, display_of, on_display
from vesalius.domain.study import Image, Intensity, Window

Change = Callable[[Image, float, str, np.random.Generator], Image]
_NO_BLUR = 0.05  # pixels; the sampled point spread is a single one
_BEST_QUALITY = 95
_UNSEEN_PHOTONS = 1e9  # a pixel; the noise is below the precision of float32


def _blur(image: Image, value: float, unit: str, random: np.random.Generator) -> Image:
    scale = any_picture.FIELD / max(image.rows, image.cols) if unit == "pixels" else 1.0
    if unit == "pixels" and image.spacing is not None:
        bare = any_picture.blur(dataclasses.replace(image, spacing=None), value * scale, random)
        return dataclasses.replace(bare, spacing=image.spacing)
    return any_picture.blur(image, value * scale, random)


def done_for(name: str, image: Image, value: float, unit: str) -> float | None:
    """The value that is done where `value` is asked for: a blur of 4 pixels at most, no quality above 95; None where nothing would be seen."""
    if name == "quantum_noise":
        return value if value < _UNSEEN_PHOTONS else None
    if name == "compression":
        return value if value <= _BEST_QUALITY else None
    if name != "blur":
        return value
    down, across = image.spacing if unit == "mm" and image.spacing else (1.0, 1.0)
    value = min(value, BLUR_LIMIT * min(down, across))
    return value if value > _NO_BLUR * max(down, across) else None


def _resolution(image: Image, value: float, unit: str, random: np.random.Generator) -> Image:  # noqa: ARG001
    return any_picture.resolution(image, value, random)


def _exposure(image: Image, value: float, unit: str, random: np.random.Generator) -> Image:  # noqa: ARG001
    """Detector signal (film) or light (camera, sRGB) times two to the power of EV."""
    if kind_of(image) == FILM:
        return film.exposure(image, 2.0**value, random)

    def light(shown: Values) -> Values:
        shown = np.clip(shown, 0, 1)
        linear = np.where(shown <= 0.04045, shown / 12.92, ((shown + 0.055) / 1.055) ** 2.4) * 2.0**value
        return np.asarray(np.clip(np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055), 0, 1))

    return on_display(image, light)


def _quantum_noise(image: Image, value: float, unit: str, random: np.random.Generator) -> Image:  # noqa: ARG001
    return film.quantum_noise(image, value / film.PHOTONS, random)


def _ct_noise(image: Image, value: float, unit: str, random: np.random.Generator) -> Image:  # noqa: ARG001
    return slices.ct_noise(image, value, random)


def _bias_field(image: Image, value: float, unit: str, random: np.random.Generator) -> Image:  # noqa: ARG001
    return slices.bias_field(image, value, random)


def _rician_noise(image: Image, value: float, unit: str, random: np.random.Generator) -> Image:  # noqa: ARG001
    return slices.rician_noise(image, value, random)


def _level(image: Image, value: float, unit: str, random: np.random.Generator) -> Image:  # noqa: ARG001
    if unit != "HU":
        return window(image, value, 1.0)
    first = _header_window(image)
    return window(image, value / (first.width if first is not None and image.intensity is Intensity.HOUNSFIELD else slices.shown_width(image)), 1.0)


def _width(image: Image, value: float, unit: str, random: np.random.Generator) -> Image:  # noqa: ARG001
    return window(image, 0.0, value)


def window(image: Image, shift: float, factor: float) -> Image:
    """Another window over the same pixels: its level higher by `shift` widths, its width times `factor`. Colour and tables have none: their values change.

    Where the header is silent, the window of percentiles is the one that is changed.
    """
    first = _header_window(image)
    if first is None:
        sign = -1.0 if image.inverted else 1.0
        return on_display(image, lambda shown: (np.clip(shown, 0, 1) - 0.5 - sign * shift) / factor + 0.5)
    least = 1.0 if first.function == "LINEAR" else 0.0
    other = dataclasses.replace(first, center=first.center + shift * first.width, width=max(least, first.width * factor))
    return dataclasses.replace(image, voi=(other, *image.voi[1:]), uid=None)


def _header_window(image: Image) -> Window | None:
    """The window that shows an image; None for colour, and for a table over values that have no unit."""
    if image.is_colour:
        return None
    display = display_of(image)
    first = image.voi[0] if image.voi else display.window
    if isinstance(first, Window):
        return first
    if first is not None and image.intensity is Intensity.RELATIVE:
        return None
    return Window((display.low + display.high) / 2, display.high - display.low, "LINEAR_EXACT")


def _compression(image: Image, value: float, unit: str, random: np.random.Generator) -> Image:  # noqa: ARG001
    return any_picture.jpeg(image, round(value), random)


CHANGES: Mapping[str, Change] = MappingProxyType(
    {
        "blur": _blur,
        "resolution": _resolution,
        "exposure": _exposure,
        "quantum_noise": _quantum_noise,
        "ct_noise": _ct_noise,
        "bias_field": _bias_field,
        "rician_noise": _rician_noise,
        "window_level": _level,
        "window_width": _width,
        "compression": _compression,
    }
)
