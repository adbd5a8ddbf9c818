"""Is a confidence what it says: ECE with its consistency band, Brier and its parts, reliability table, and maps that mend it.

In: confidence in [0, 1] and whether the answer was right. Out: numbers, tables, and fitted maps (`Temperature`, `Platt`, `Isotonic`) that are plain data
and travel in a policy. Maps are fitted on a development split, never on the answers they are judged by.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Mapping
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from vesalius.errors import InvalidValue, UnknownName

FloatArray = NDArray[np.float64]
Scheme = Literal["width", "mass"]
_EDGE = 1e-6  # confidences of exactly 0 or 1 have no log-odds; they are moved by this much


def _pair(confidence: ArrayLike, correct: ArrayLike) -> tuple[FloatArray, FloatArray]:
    p, y = np.asarray(confidence, dtype=np.float64), np.asarray(correct, dtype=np.float64)
    if p.ndim != 1 or p.shape != y.shape:
        raise InvalidValue(f"confidence and correct must be one-dimensional and of one length (got {p.shape} and {y.shape})")
    if not ((p >= 0) & (p <= 1)).all():
        raise InvalidValue("a confidence lies outside [0, 1]", remedy="leave out answers without a confidence, and count them")
    if not np.isin(y, (0, 1)).all():
        raise InvalidValue("correct must be 0 or 1", remedy="leave out answers that were not judged")
    return p, y


def _bin(p: FloatArray, bins: int, scheme: Scheme) -> NDArray[np.intp]:
    """Bin of each confidence. "width": (i/bins, (i+1)/bins], 0 in the first. "mass": equal counts, equal confidences never parted."""
    if bins < 1:
        raise InvalidValue(f"bins must be positive (got {bins})")
    if scheme == "width":
        return np.asarray(np.clip(np.ceil(p * bins) - 1, 0, bins - 1), dtype=np.intp)
    if scheme == "mass":
        edges = np.quantile(p, np.arange(1, bins) / bins, method="inverted_cdf") if len(p) else np.empty(0)
        return np.searchsorted(edges, p, side="left").astype(np.intp)
    raise InvalidValue(f"scheme {scheme!r} is neither 'width' nor 'mass'", remedy="choose one of them")


@dataclasses.dataclass(frozen=True, eq=False)
class Reliability:
    """One row per occupied bin: answers, mean confidence, share right; and the bin's number. Ready to plot."""

    bin: NDArray[np.intp]
    count: NDArray[np.intp]
    confidence: FloatArray
    accuracy: FloatArray


def reliability(confidence: ArrayLike, correct: ArrayLike, bins: int = 15, scheme: Scheme = "width") -> Reliability:
    """The table behind a reliability diagram; empty bins are left out.

    Raises:
        InvalidValue: shapes differ, a confidence outside [0, 1], an unknown scheme.
    """
    p, y = _pair(confidence, correct)
    index = _bin(p, bins, scheme)
    count = np.bincount(index, minlength=bins)
    used = np.flatnonzero(count)
    return Reliability(used, count[used], np.bincount(index, p, minlength=bins)[used] / count[used], np.bincount(index, y, minlength=bins)[used] / count[used])


def ece(confidence: ArrayLike, correct: ArrayLike, bins: int = 15, scheme: Scheme = "width") -> float | None:
    """Expected calibration error, sum_b (n_b / n) |accuracy_b - confidence_b| (Guo et al., 2017); None without answers.

    It is biased upwards when bins hold few answers: read it beside `ece_consistency_band`.

    Raises:
        InvalidValue: as `reliability`.
    """
    table = reliability(confidence, correct, bins, scheme)
    n = table.count.sum()
    return float((table.count * np.abs(table.accuracy - table.confidence)).sum() / n) if n else None


def ece_consistency_band(
    confidence: ArrayLike, bins: int = 15, scheme: Scheme = "width", *, replicates: int = 1000, seed: int = 0, level: float = 0.95
) -> tuple[float, float, float] | None:
    """Mean, low and high ECE that a perfectly calibrated model with these confidences would show (Broecker & Smith, 2007).

    Labels are drawn as Bernoulli(confidence); an ECE inside the band is no evidence of miscalibration. None without answers.

    Raises:
        InvalidValue: a confidence outside [0, 1], or `level` outside (0, 1).
    """
    p, _ = _pair(confidence, np.zeros_like(np.asarray(confidence, dtype=np.float64)))
    if not 0 < level < 1 or replicates < 1:
        raise InvalidValue(f"level must lie in (0, 1) and replicates be positive (got {level}, {replicates})")
    if not len(p):
        return None
    index = _bin(p, bins, scheme)
    sums = np.bincount(index, p, minlength=bins)
    rng = np.random.default_rng(seed)
    draws = np.asarray([np.abs(np.bincount(index, rng.random(len(p)) < p, minlength=bins) - sums).sum() / len(p) for _ in range(replicates)])
    low, high = np.quantile(draws, [(1 - level) / 2, (1 + level) / 2])
    return float(draws.mean()), float(low), float(high)


def brier(confidence: ArrayLike, correct: ArrayLike) -> float | None:
    """Mean squared difference of confidence and correctness (Brier, 1950); None without answers."""
    p, y = _pair(confidence, correct)
    return float(((p - y) ** 2).mean()) if len(p) else None


@dataclasses.dataclass(frozen=True)
class BrierParts:
    """brier = reliability - resolution + uncertainty + within (Murphy, 1973; Stephenson et al., 2008).

    `within` is what binning hides: variance of confidences inside bins less twice their covariance with correctness.
    """

    brier: float
    reliability: float
    resolution: float
    uncertainty: float
    within: float


def brier_parts(confidence: ArrayLike, correct: ArrayLike, bins: int = 15, scheme: Scheme = "width") -> BrierParts | None:
    """The Brier score and its parts over bins; None without answers.

    Raises:
        InvalidValue: as `reliability`.
    """
    p, y = _pair(confidence, correct)
    if not len(p):
        return None
    table = reliability(p, y, bins, scheme)
    weight, base = table.count / len(p), y.mean()
    index = np.searchsorted(table.bin, _bin(p, bins, scheme))
    spread, residual = p - table.confidence[index], y - table.accuracy[index]
    return BrierParts(
        brier=float(((p - y) ** 2).mean()),
        reliability=float((weight * (table.confidence - table.accuracy) ** 2).sum()),
        resolution=float((weight * (table.accuracy - base) ** 2).sum()),
        uncertainty=float(base * (1 - base)),
        within=float((spread**2 - 2 * spread * residual).mean()),
    )


class Calibration:
    """A fitted map from confidence to confidence: never decreasing, in [0, 1], JSON-ready. Base of the three kinds."""

    kind: ClassVar[str]

    def __call__(self, confidence: float) -> float:
        """The calibrated confidence.

        Raises:
            InvalidValue: a confidence outside [0, 1].
        """
        if not (math.isfinite(confidence) and 0 <= confidence <= 1):
            raise InvalidValue(f"confidence must lie in [0, 1] (got {confidence})")
        return min(1.0, max(0.0, self._map(confidence)))

    def _map(self, confidence: float) -> float:
        raise NotImplementedError

    def to_json(self) -> dict[str, Any]:
        """The map as a plain mapping, with its `kind`."""
        return {"kind": self.kind, **{f.name: _plain(getattr(self, f.name)) for f in dataclasses.fields(self)}}  # type: ignore[arg-type]


def _plain(value: Any) -> Any:  # noqa: ANN401
    return list(value) if isinstance(value, tuple) else value


def _logit(p: float) -> float:
    p = min(1 - _EDGE, max(_EDGE, p))
    return math.log(p / (1 - p))


def _sigmoid(z: float) -> float:
    return 1 / (1 + math.exp(-z)) if z >= 0 else math.exp(z) / (1 + math.exp(z))


@dataclasses.dataclass(frozen=True)
class Temperature(Calibration):
    """sigmoid(logit(p) / temperature): confidences drawn towards one half (temperature > 1) or away from it (Guo et al., 2017, for one log-odds)."""

    kind: ClassVar[str] = "temperature"
    temperature: float

    def __post_init__(self) -> None:
        if not (math.isfinite(self.temperature) and self.temperature > 0):
            raise InvalidValue(f"temperature must be positive (got {self.temperature})")

    def _map(self, confidence: float) -> float:
        return _sigmoid(_logit(confidence) / self.temperature)


@dataclasses.dataclass(frozen=True)
class Platt(Calibration):
    """sigmoid(slope * logit(p) + intercept), slope not negative (Platt, 1999, on log-odds)."""

    kind: ClassVar[str] = "platt"
    slope: float
    intercept: float

    def __post_init__(self) -> None:
        if not (math.isfinite(self.slope) and math.isfinite(self.intercept) and self.slope >= 0):
            raise InvalidValue(
                f"slope must not be negative, and both finite (got {self.slope}, {self.intercept})",
                remedy="a confidence that falls as answers get better cannot be mended by a map",
            )

    def _map(self, confidence: float) -> float:
        return _sigmoid(self.slope * _logit(confidence) + self.intercept)


@dataclasses.dataclass(frozen=True)
class Isotonic(Calibration):
    """Linear interpolation between the knots of an isotonic regression, constant outside them (Zadrozny & Elkan, 2002)."""

    kind: ClassVar[str] = "isotonic"
    x: tuple[float, ...]
    y: tuple[float, ...]

    def __post_init__(self) -> None:
        object.__setattr__(self, "x", tuple(float(v) for v in self.x))
        object.__setattr__(self, "y", tuple(float(v) for v in self.y))
        x, y = np.asarray(self.x), np.asarray(self.y)
        if not len(x) or len(x) != len(y) or not (np.diff(x) > 0).all() or not (np.diff(y) >= 0).all() or y.min() < 0 or y.max() > 1:
            raise InvalidValue("isotonic knots need rising x and y in [0, 1] that never falls, of one length", remedy="give what `fit_isotonic` returns")

    def _map(self, confidence: float) -> float:
        return float(np.interp(confidence, self.x, self.y))


_KINDS: Mapping[str, type[Calibration]] = {k.kind: k for k in (Temperature, Platt, Isotonic)}


def from_json(table: Mapping[str, Any]) -> Calibration:
    """A fitted map from what `to_json` gave (or a TOML table).

    Raises:
        UnknownName: no such kind. InvalidValue: a parameter is missing, unknown, or out of range.
    """
    kind = _KINDS.get(str(table.get("kind")))
    if kind is None:
        raise UnknownName(f"no calibration is called {table.get('kind')!r}", remedy="known: " + ", ".join(_KINDS))
    wanted = {f.name for f in dataclasses.fields(kind)}  # type: ignore[arg-type]
    given = {k: v for k, v in table.items() if k != "kind"}
    if set(given) != wanted:
        raise InvalidValue(f"calibration {kind.kind!r} needs exactly {', '.join(sorted(wanted))} (got {', '.join(sorted(given)) or 'nothing'})")
    for name, value in given.items():
        numbers = value if kind is Isotonic else [value]
        if not isinstance(numbers, list | tuple) or not all(isinstance(v, int | float) and not isinstance(v, bool) for v in numbers):
            raise InvalidValue(f"calibration {kind.kind!r}: {name} must be {'a list of numbers' if kind is Isotonic else 'a number'} (got {value!r})")
    return kind(**{k: tuple(v) if isinstance(v, list) else v for k, v in given.items()})


def _logits(p: FloatArray) -> FloatArray:
    clipped = np.clip(p, _EDGE, 1 - _EDGE)
    return np.asarray(np.log(clipped / (1 - clipped)))


def _fittable(confidence: ArrayLike, correct: ArrayLike) -> tuple[FloatArray, FloatArray]:
    p, y = _pair(confidence, correct)
    if not len(p) or y.min() == y.max():
        raise InvalidValue(f"a calibration needs right and wrong answers (got {len(p)} answers, {int(y.sum())} right)", remedy="fit on more answers")
    return p, y


def fit_temperature(confidence: ArrayLike, correct: ArrayLike) -> Temperature:
    """The temperature in [0.01, 100] with the least negative log-likelihood.

    Raises:
        InvalidValue: no answers, or all right, or all wrong.
    """
    p, y = _fittable(confidence, correct)
    z = _logits(p)
    # The likelihood is concave in 1/T, so its derivative sum z (y - sigmoid(z/T)) falls with 1/T: bisection on log T.
    low, high = math.log(0.01), math.log(100.0)

    def slope(log_t: float) -> float:
        return float((z * (y - 1 / (1 + np.exp(-np.clip(z / math.exp(log_t), -700, 700))))).sum())

    while high - low > 1e-10:
        middle = (low + high) / 2
        low, high = (low, middle) if slope(middle) > 0 else (middle, high)
    return Temperature(math.exp((low + high) / 2))


def fit_platt(confidence: ArrayLike, correct: ArrayLike) -> Platt:
    """Slope and intercept of the logistic regression of correctness on log-odds, by damped Newton steps, with Platt's smoothed targets.

    The targets (n1 + 1) / (n1 + 2) and 1 / (n0 + 2) keep the fit finite when a threshold separates right from wrong. A falling fit becomes slope 0.

    Raises:
        InvalidValue: no answers, or all right, or all wrong.
    """
    p, y = _fittable(confidence, correct)
    n1, n0 = float(y.sum()), float(len(y) - y.sum())
    target = np.where(y == 1, (n1 + 1) / (n1 + 2), 1 / (n0 + 2))
    z = _logits(p)
    slope, intercept = _newton(np.stack([z, np.ones_like(z)], axis=1), target)
    if slope < 0:
        mean = float(target.mean())
        return Platt(0.0, _logit(mean))
    return Platt(slope, intercept)


def _newton(design: FloatArray, target: FloatArray) -> tuple[float, float]:
    def loss(w: FloatArray) -> float:
        z = design @ w
        return float((np.logaddexp(0, z) - target * z).sum())

    weights = np.zeros(2)
    for _ in range(100):
        fitted = 1 / (1 + np.exp(-np.clip(design @ weights, -700, 700)))
        gradient = design.T @ (fitted - target)
        hessian = (design * (fitted * (1 - fitted))[:, None]).T @ design + 1e-12 * np.eye(2)
        step = np.linalg.solve(hessian, gradient)
        size = 1.0
        while size > 1e-8 and loss(weights - size * step) > loss(weights):
            size /= 2
        weights = weights - size * step
        if np.abs(size * step).max() < 1e-12:
            break
    return float(weights[0]), float(weights[1])


def fit_isotonic(confidence: ArrayLike, correct: ArrayLike) -> Isotonic:
    """Isotonic regression of correctness on confidence by pooling adjacent violators; equal confidences are pooled first.

    Its ends may be exactly 0 or 1 when the outermost answers agree: with few answers prefer `fit_platt`.

    Raises:
        InvalidValue: no answers, or all right, or all wrong.
    """
    p, y = _fittable(confidence, correct)
    x, inverse, count = np.unique(p, return_inverse=True, return_counts=True)
    fitted = _pool(np.bincount(inverse, y) / count, count.astype(np.float64))
    # A knot inside a flat stretch adds nothing to the interpolation.
    inner = np.zeros(len(x), dtype=bool)
    inner[1:-1] = (fitted[1:-1] == fitted[:-2]) & (fitted[1:-1] == fitted[2:])
    return Isotonic(tuple(x[~inner].tolist()), tuple(fitted[~inner].tolist()))


def _pool(values: FloatArray, weights: FloatArray) -> FloatArray:
    blocks: list[list[float]] = []  # mean, weight, length
    for value, weight in zip(values.tolist(), weights.tolist(), strict=True):
        blocks.append([value, weight, 1])
        while len(blocks) > 1 and blocks[-2][0] >= blocks[-1][0]:
            (m1, w1, l1), (m2, w2, l2) = blocks[-2:]
            blocks[-2:] = [[(m1 * w1 + m2 * w2) / (w1 + w2), w1 + w2, l1 + l2]]
    return np.repeat([b[0] for b in blocks], [int(b[2]) for b in blocks])


FIT: Mapping[str, Callable[[ArrayLike, ArrayLike], Calibration]] = {"temperature": fit_temperature, "platt": fit_platt, "isotonic": fit_isotonic}
