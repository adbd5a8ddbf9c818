"""Other views of a training image: as a slightly different positioning and exposure would have shown it.

In: prepared pixels, a number. Out: pixels of the same shape. Never mirrored: left and right are what questions are about.
"""

from __future__ import annotations

import hashlib
import math

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

TURN, SCALE, SHIFT, GAMMA = 8.0, (0.85, 1.1), 0.06, (0.75, 1.33)  # degrees; of the field of view; of its half; exponent of intensity


def vary(pixels: Tensor, name: str, number: int) -> Tensor:
    """View `number` of an image: turned up to 8 degrees, scaled, shifted, and brightened or darkened. The same name and number give the same view.

    Args:
        pixels: [3, S, S], any range; what the view shows from outside the picture is its darkest value. number: 0 is the image itself.
    """
    if number == 0:
        return pixels
    draw = np.random.default_rng(np.frombuffer(hashlib.sha256(f"{name} {number}".encode()).digest(), dtype=np.uint32))
    low, high = pixels.min(), pixels.max()
    if high <= low:
        return pixels
    angle, scale = math.radians(draw.uniform(-TURN, TURN)), draw.uniform(*SCALE)
    x, y = draw.uniform(-SHIFT, SHIFT, 2)
    move = torch.tensor([[[scale * math.cos(angle), -scale * math.sin(angle), x], [scale * math.sin(angle), scale * math.cos(angle), y]]], dtype=torch.float32)
    unit = ((pixels - low) / (high - low))[None]
    moved = functional.grid_sample(unit, functional.affine_grid(move, list(unit.shape), align_corners=False), align_corners=False)[0]
    return moved.clamp(0, 1) ** float(draw.uniform(*GAMMA)) * (high - low) + low
