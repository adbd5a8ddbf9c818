"""Other views of a training image: as a slightly different positioning and exposure would have shown it.

In: pixels, and changes drawn by chance or by a name and a number. Out: pixels of the same shape. Never mirrored: left and right are what questions are
about.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

TURN, SCALE, STRETCH, SHIFT = 10.0, (0.8, 1.1), 0.05, 0.07  # degrees; of the field of view; of its height against its width; of its half
GAMMA, CONTRAST, BRIGHTNESS = 0.35, 0.15, 0.07  # natural logarithm of the exponent; around middle grey; of the range
Uniform = Callable[[float, float], float]  # a number between two


def draw(uniform: Uniform) -> tuple[float, ...]:
    """The changes of one view: six of the affine map from view to picture, row by row, then gamma, contrast, brightness.

    Args:
        uniform: such as `random.uniform`.
    """
    angle, wide = math.radians(uniform(-TURN, TURN)), uniform(*SCALE)
    high = wide * (1 + uniform(-STRETCH, STRETCH))
    across, down = uniform(-SHIFT, SHIFT), uniform(-SHIFT, SHIFT)
    place = (wide * math.cos(angle), -wide * math.sin(angle), across, high * math.sin(angle), high * math.cos(angle), down)
    return (*place, math.exp(uniform(-GAMMA, GAMMA)), 1 + uniform(-CONTRAST, CONTRAST), uniform(-BRIGHTNESS, BRIGHTNESS))


def change(pixels: Tensor, changes: Tensor) -> Tensor:
    """Each picture as its view shows it. What a view shows from outside a picture is that picture's darkest value; one of a single grey stays as it is.

    Args:
        pixels: [B, 3, S, S], any range. changes: [B, 9] of `draw`.
    """
    low, high = pixels.amin((1, 2, 3), keepdim=True), pixels.amax((1, 2, 3), keepdim=True)
    span = high - low
    unit = (pixels - low) / span.clamp(min=1e-6)
    grid = functional.affine_grid(changes[:, :6].view(-1, 2, 3), list(pixels.shape), align_corners=False)
    moved = functional.grid_sample(unit, grid, align_corners=False).clamp(0, 1)
    gamma, contrast, brightness = (column[:, None, None, None] for column in changes[:, 6:].unbind(1))
    exposed = ((moved**gamma - 0.5) * contrast + 0.5 + brightness).clamp(0, 1)
    return torch.where(span > 0, exposed * span + low, pixels)


def vary(pixels: Tensor, name: str, number: int) -> Tensor:
    """View `number` of an image [3, S, S]; 0 is the image itself. The same name and number give the same view."""
    if number == 0:
        return pixels
    chance = np.random.default_rng(np.frombuffer(hashlib.sha256(f"{name} {number}".encode()).digest(), dtype=np.uint32))
    return change(pixels[None], torch.tensor([draw(chance.uniform)]))[0]
