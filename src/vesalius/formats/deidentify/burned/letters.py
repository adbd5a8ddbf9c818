"""A cheap pass that tells where an image may hold letters: a small convolutional net, run with numpy.

In: grey pixels. Out: how likely any text is, or the places. It is made to miss next to nothing and to be many times cheaper than reading.
The net (weights in `letters.json`, made by `benchmarks/burned_in_fit.py`) sees the picture less its local mean, over its local spread, in blocks of 4 x 4
pixels; three sizes of the picture make small and large letters look alike.
"""

from __future__ import annotations

import functools
import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vesalius.errors import InvalidValue

Grey = NDArray[np.uint8]
Values = NDArray[np.float32]

LIMIT = 0.25
"""A likelihood from which an image is read; measured in docs/burned_in.md. Missing a name is worse than reading a picture in vain."""

TEXT = 0.5
"""A likelihood from which a cell is taken for a part of a text."""

CELL = 8
"""Side of a cell of the map, in pixels of the size at which it was seen."""

_BAND = 1024  # rows seen at once, so that memory stays small on the largest films
_EDGE = 64  # rows of the neighbours that a band sees too: more than the net looks around itself
_LEAST = 16  # pixels; a picture with a shorter side holds no letter that could be read


def likelihood(grey: Grey) -> float:
    """How likely the image holds text, from 0 to 1: the mean of the strongest neighbouring cells, at the size that shows it best.

    Args:
        grey: [rows, cols] uint8.

    Raises:
        InvalidValue: not a grey picture of 8 bits.
    """
    return max((_strength(heat) for _, heat in maps(grey)), default=0.0)


def maps(grey: Grey) -> list[tuple[int, Values]]:
    """The reduction (1, 2, 4) and the likelihood in each cell of 8 x 8 pixels of the reduced picture.

    Raises:
        InvalidValue: as `likelihood`.
    """
    if grey.ndim != 2 or grey.dtype != np.uint8:
        raise InvalidValue(f"a grey picture of 8 bits is needed (got {grey.dtype} of shape {grey.shape})", remedy="give uint8 [rows, cols]")
    found = []
    for factor in (1, 2, 4):
        reduced = _reduce(grey, factor)
        if min(reduced.shape) < _LEAST:
            break
        found.append((factor, _map(reduced)))
    return found


def _strength(heat: Values) -> float:
    """The strongest mean of two neighbouring cells: one cell alone is a speck, a word is longer."""
    pairs = ((heat[:, 1:] + heat[:, :-1]) / 2, (heat[1:] + heat[:-1]) / 2)
    return max((float(pair.max()) for pair in pairs if pair.size), default=float(heat.max()))


def _reduce(grey: Grey, factor: int) -> Grey:
    from PIL import Image

    return grey if factor == 1 else np.asarray(Image.fromarray(grey).reduce(factor))


def _map(grey: Grey) -> Values:
    rows, cols = (-(-side // CELL) for side in grey.shape)
    heat = np.zeros((rows, cols), np.float32)
    for top in range(0, rows * CELL, _BAND):
        start, end = max(0, top - _EDGE), min(grey.shape[0], top + _BAND + _EDGE)
        seen = _run(_whole_cells(grey[start:end]))
        first, count = (top - start) // CELL, min(_BAND // CELL, rows - top // CELL)
        heat[top // CELL : top // CELL + count] = seen[first : first + count]
    return heat


def _whole_cells(grey: Grey) -> Values:
    """Padded with its own border to whole cells, as float."""
    down, right = (-side % CELL for side in grey.shape)
    return np.pad(grey, ((0, down), (0, right)), mode="edge").astype(np.float32)


def _run(picture: Values) -> Values:
    layers = _weights()
    x = _blocks(_normalised(picture))
    for kernel, bias, stride, dilation in layers[:-1]:
        x = np.maximum(_convolve(x, kernel, stride, dilation) + bias, 0)
    kernel, bias, _, _ = layers[-1]
    score = x @ kernel[0, 0] + bias
    return np.asarray(1 / (1 + np.exp(-np.clip(score[..., 0], -30, 30))), np.float32)


def _normalised(picture: Values) -> Values:
    """Less the mean of the 3 x 3 cells around, over their standard deviation and 2 grey levels."""
    rows, cols = (side // CELL for side in picture.shape)
    cells = picture.reshape(rows, CELL, cols, CELL)
    mean = _around(cells.mean((1, 3)))
    spread = np.sqrt(np.maximum(_around(np.einsum("arbc,arbc->ab", cells, cells) / CELL**2) - mean**2, 0)) + 2
    return np.asarray((cells - mean[:, None, :, None]) / spread[:, None, :, None], np.float32).reshape(picture.shape)


def _around(cells: Values) -> Values:
    padded = np.pad(cells, 1, mode="edge")
    rows = padded[:-2] + padded[1:-1] + padded[2:]
    return np.asarray((rows[:, :-2] + rows[:, 1:-1] + rows[:, 2:]) / 9, np.float32)


def _blocks(picture: Values) -> Values:
    """Blocks of 4 x 4 pixels as 16 channels: [rows / 4, cols / 4, 16]."""
    rows, cols = picture.shape
    return np.ascontiguousarray(picture.reshape(rows // 4, 4, cols // 4, 4).transpose(0, 2, 1, 3)).reshape(rows // 4, cols // 4, 16)


def _convolve(x: Values, kernel: Values, stride: int, dilation: int) -> Values:
    """Zero-padded convolution of [rows, cols, in] with [3, 3, in, out], as nine matrix products."""
    rows, cols = (-(-side // stride) for side in x.shape[:2])
    padded = np.pad(x, ((dilation, dilation), (dilation, dilation), (0, 0)))
    total = np.zeros((rows * cols, kernel.shape[3]), np.float32)
    for i in range(3):
        for j in range(3):
            part = padded[i * dilation : i * dilation + (rows - 1) * stride + 1 : stride, j * dilation : j * dilation + (cols - 1) * stride + 1 : stride]
            total += np.ascontiguousarray(part).reshape(rows * cols, -1) @ kernel[i, j]
    return total.reshape(rows, cols, -1)


@functools.cache
def _weights() -> list[tuple[Values, Values, int, int]]:
    """Kernel [3, 3, in, out], bias, stride and dilation of each layer; the last is [1, 1, in, 1]."""
    stored: list[dict[str, Any]] = json.loads(Path(__file__).with_name("letters.json").read_text())["layers"]
    return [(np.asarray(s["kernel"], np.float32), np.asarray(s["bias"], np.float32), int(s["stride"]), int(s["dilation"])) for s in stored]
