"""Two other looks of a picture, for signals that compare them: barely changed (what is to be seen stays), and veiled (it goes, the kind of picture stays).

In: a `Study`. Out: a study of its key image, changed. Everything is fixed: the same picture gives the same pixels.

- `weak`: moved by 2 % of its height down and of its width to the right, the border repeated, contrast raised by 5 % about the mean.
- `veiled`: averaged in 24 cells along the longer side (square cells), Gaussian noise of 5 % of the range of its values added to each cell, enlarged again by
  linear interpolation. The size of a cell follows the picture, so a film of 512 pixels and one of 2,000 lose the same.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vesalius.domain.study import Image, Study, single

WEAK, VEILED = "weak: moved 2 %, contrast 1.05", "veiled: 24 cells, noise 5 %"
_MOVED, _CONTRAST, _CELLS, _NOISE = 0.02, 1.05, 24, 0.05

FloatArray = NDArray[np.float64]


def weak(study: Study) -> Study:
    """The key image moved a little, with a little more contrast."""
    return _changed(study, _weak)


def veiled(study: Study) -> Study:
    """The key image as through a veil."""
    return _changed(study, _veiled)


CHANGES: Mapping[str, Callable[[Study], Study]] = MappingProxyType({WEAK: weak, VEILED: veiled})


def _changed(study: Study, change: Callable[[FloatArray], FloatArray]) -> Study:
    image = study.image
    planes = image.pixels.astype(np.float64)
    if image.is_colour:
        made: NDArray[Any] = np.stack([np.stack([change(frame[..., c]) for c in range(3)], axis=-1) for frame in planes])
        made = np.rint(np.clip(made, 0, 255)).astype(np.uint8)
    else:
        made = np.clip(np.stack([change(frame) for frame in planes]), planes.min(), planes.max()).astype(np.float32)
    looked: Image = dataclasses.replace(image, pixels=made, overlays=(), uid=None)
    return single(looked, patient=study.patient, deidentified=study.deidentified)


def _weak(plane: FloatArray) -> FloatArray:
    down, right = (round(_MOVED * size) for size in plane.shape)
    moved = np.pad(plane, ((down, 0), (right, 0)), mode="edge")[: plane.shape[0], : plane.shape[1]]
    return np.asarray((moved - moved.mean()) * _CONTRAST + moved.mean())


def _veiled(plane: FloatArray) -> FloatArray:
    longer = max(plane.shape)
    rows, cols = (max(1, min(size, round(_CELLS * size / longer))) for size in plane.shape)
    small = _averaged(_averaged(plane, rows).T, cols).T
    spread = float(plane.max() - plane.min())
    small = small + np.random.default_rng(0).normal(0, _NOISE * spread, small.shape)
    return _enlarged(_enlarged(small, plane.shape[0]).T, plane.shape[1]).T


def _averaged(plane: FloatArray, rows: int) -> FloatArray:
    """Means of `rows` bands of rows of nearly equal height."""
    edges = np.linspace(0, plane.shape[0], rows + 1).round().astype(int)
    return np.asarray(np.add.reduceat(plane, edges[:-1], axis=0) / np.diff(edges)[:, None])


def _enlarged(small: FloatArray, rows: int) -> FloatArray:
    """To `rows` rows, linear between the centres of the bands."""
    at = np.clip((np.arange(rows) + 0.5) * len(small) / rows - 0.5, 0, len(small) - 1)
    low = np.minimum(at.astype(int), max(0, len(small) - 2))
    high = np.minimum(low + 1, len(small) - 1)
    part = (at - low)[:, None]
    return np.asarray(small[low] * (1 - part) + small[high] * part)
