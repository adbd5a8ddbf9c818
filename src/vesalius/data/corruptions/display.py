"""Between pixels and what is shown of them: 0 is black, 1 is white, and nothing is cut off yet.

In: an `Image`. Out: its pixels on the scale of the display, and an `Image` again from values on that scale.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vesalius.domain.study import Image, Intensity, LookupTable, Window
from vesalius.formats.pixels import robust_window

Values = NDArray[np.float64]


@dataclasses.dataclass(frozen=True)
class Display:
    """Which pixel values are shown black and white.

    Args:
        low, high: pixel values at the lower and the upper end of the first window or table of the header, else of robust percentiles.
        inverted: whether `low` is shown white.
        window: of the percentiles, where the header has none; it must travel with changed pixels, or a viewer would hide the change.
    """

    low: float
    high: float
    inverted: bool = False
    window: Window | None = None

    def shown(self, pixels: NDArray[Any]) -> Values:
        """Pixel values on the display's scale; beyond 0 and 1 where the display cuts off."""
        share = (pixels.astype(np.float64) - self.low) / (self.high - self.low)
        return 1 - share if self.inverted else share

    def pixels(self, shown: Values) -> Values:
        """The way back."""
        return self.low + (1 - shown if self.inverted else shown) * (self.high - self.low)


def display_of(image: Image) -> Display:
    """How an image is shown."""
    if image.is_colour:
        return Display(0.0, 255.0)
    if image.intensity is Intensity.BINARY:
        return Display(0.0, 1.0, image.inverted)
    voi = image.voi[0] if image.voi else robust_window(image.pixels.astype(np.float32, copy=False), image.pad)
    if voi is None:
        value = float(image.pixels.flat[0])
        return Display(value, value + 1, image.inverted)
    if isinstance(voi, LookupTable):
        return Display(float(voi.first), float(voi.first + max(1, voi.values.size - 1)), image.inverted)
    middle, width = (voi.center - 0.5, max(voi.width - 1, 1.0)) if voi.function == "LINEAR" else (voi.center, voi.width)
    return Display(middle - width / 2, middle + width / 2, image.inverted, None if image.voi else voi)


def on_display(image: Image, change: Callable[[Values], Values], **facts: Any) -> Image:  # noqa: ANN401 - fields of `Image`
    """The image with its pixels changed on the display's scale.

    Args:
        change: (frames, rows, cols) or (frames, rows, cols, 3) -> the same shape. Padding of the header stays as it is.
        facts: further fields of the new image.
    """
    display = display_of(image)
    values = display.pixels(change(display.shown(image.pixels)))
    pixels: NDArray[Any]
    if image.is_colour:
        pixels = np.clip(np.rint(values), 0, 255).astype(np.uint8)
    else:
        pixels = values.astype(np.float32)
        if image.pad is not None:
            pixels = np.where(image.pixels == np.float32(image.pad), image.pixels, pixels)
    voi = (display.window,) if display.window is not None else image.voi
    return dataclasses.replace(image, **{"pixels": pixels, "voi": voi, "uid": None, **facts})


def by_frame(values: Values, change: Callable[[NDArray[np.float32]], NDArray[Any]]) -> Values:
    """Each frame (and colour) changed alone as (rows, cols) float32."""
    planes = values[..., None] if values.ndim == 3 else values
    made = np.empty_like(planes)
    for frame in range(planes.shape[0]):
        for colour in range(planes.shape[3]):
            made[frame, :, :, colour] = change(np.ascontiguousarray(planes[frame, :, :, colour], dtype=np.float32))
    return made[..., 0] if values.ndim == 3 else made


def over_colours(field: Values, values: Values) -> Values:
    """A field (rows, cols) shaped so that it acts on every frame and colour of values."""
    return field[None] if values.ndim == 3 else field[None, :, :, None]
