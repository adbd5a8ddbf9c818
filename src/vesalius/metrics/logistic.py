"""A logistic regression that may only learn in the sensible direction: ridge, no negative weight, exact enough to repeat.

In: features of which larger is worse, and whether the answer was wrong. Out: an intercept and one weight for each feature, none below 0.
With the sign fixed, a worse signal can never lower the risk that is read off the fit: a property of the gate does not hang on what chance taught.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from vesalius.errors import InvalidValue

FloatArray = NDArray[np.float64]

_ROUNDS = 20_000
_CLOSE = 1e-10


def sigmoid(z: FloatArray) -> FloatArray:
    """1 / (1 + exp(-z)), without overflow."""
    return np.asarray(0.5 * (1 + np.tanh(z / 2)))


def fit_logistic(features: ArrayLike, wrong: ArrayLike, *, ridge: float = 1.0, signed: bool = False) -> tuple[float, FloatArray]:
    """The minimum of  -log-likelihood + ridge/2 * sum(weights^2)  over weights >= 0, the intercept free and unpenalised.

    Accelerated projected gradient (Beck & Teboulle, 2009): the problem is convex, so the result does not depend on a start, and to the last digits not on
    the order of the rows. ridge = 1 is scikit-learn's C = 1.

    Args:
        features: (n, d). wrong: (n,) 0 or 1. signed: let weights be negative, as in the ordinary regression.

    Raises:
        InvalidValue: shapes differ, a value not finite, only one class, a ridge that is not positive.
    """
    x, y = np.asarray(features, dtype=np.float64), np.asarray(wrong, dtype=np.float64)
    if x.ndim != 2 or y.shape != (len(x),) or not np.isfinite(x).all() or not np.isin(y, (0, 1)).all():
        raise InvalidValue(f"features need one finite row for each 0 or 1 (got {x.shape} and {y.shape})")
    if not ridge > 0:
        raise InvalidValue(f"ridge must be positive (got {ridge})")
    if y.min(initial=1) == y.max(initial=0):
        raise InvalidValue("all answers are right, or all are wrong: nothing tells them apart", remedy="give more cases")
    design = np.column_stack([np.ones(len(x)), x])
    penalty = np.concatenate([[0.0], np.full(x.shape[1], ridge)])
    step = 1 / (np.linalg.eigvalsh(design.T @ design / 4).max() + ridge)
    floor = np.concatenate([[-np.inf], np.full(x.shape[1], -np.inf if signed else 0.0)])
    at = ahead = np.zeros(design.shape[1])
    speed = 1.0
    for _ in range(_ROUNDS):
        slope = design.T @ (sigmoid(design @ ahead) - y) + penalty * ahead
        new = np.maximum(ahead - step * slope, floor)
        if np.abs(new - ahead).max() < _CLOSE:
            at = new
            break
        if slope @ (new - at) > 0:  # overshot: forget the momentum
            speed = 1.0
        faster = (1 + np.sqrt(1 + 4 * speed**2)) / 2
        ahead, at, speed = new + (speed - 1) / faster * (new - at), new, faster
    return float(at[0]), np.asarray(at[1:])
