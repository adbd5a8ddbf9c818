"""Where a model looks, and whether that is the right place: overlap, contrast, pointing, boxes for a phrase, right for the right reason.

In: boxes (`Region`) and maps [rows, columns] of one picture. Out: numbers; one that is not defined is None, never 0.

A map that says nothing (the same everywhere) has its maximum everywhere: pointing is then the share of the picture that is right, which is what guessing
earns. That share is the chance level of the pointing game for every map, so it belongs beside each figure.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from vesalius.domain.finding import Region
from vesalius.errors import InvalidValue, MissingExtra

FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]

THRESHOLDS = (0.1, 0.2, 0.3, 0.4, 0.5)  # of a map's largest value; the five over which Boecking et al. (2022) average
MATCH = 0.5  # intersection over union from which two boxes are one


def mask_of(regions: Sequence[Region], rows: int, cols: int) -> BoolArray:
    """[rows, cols] True where the middle of a pixel lies in one of the boxes; what reaches over the picture's edge is cut off.

    Raises:
        InvalidValue: a picture without pixels.
    """
    if rows < 1 or cols < 1:
        raise InvalidValue(f"a picture has at least one pixel (got {rows} x {cols})")
    y, x = np.arange(rows)[:, None] + 0.5, np.arange(cols)[None] + 0.5
    found = np.zeros((rows, cols), dtype=bool)
    for box in regions:
        found |= (y >= box.y0) & (y < box.y1) & (x >= box.x0) & (x < box.x1)
    return found


def iou(first: Region, second: Region) -> float:
    """Intersection over union of two boxes (Jaccard, 1901), in [0, 1]."""
    width, height = min(first.x1, second.x1) - max(first.x0, second.x0), min(first.y1, second.y1) - max(first.y0, second.y0)
    both = max(0.0, width) * max(0.0, height)
    return both / (first.area + second.area - both)


def mask_iou(first: ArrayLike, second: ArrayLike) -> float | None:
    """Intersection over union of two masks of one shape, in [0, 1]; None when both are empty.

    Raises:
        InvalidValue: shapes differ.
    """
    a, b = np.asarray(first, dtype=bool), np.asarray(second, dtype=bool)
    if a.shape != b.shape:
        raise InvalidValue(f"masks must have one shape (got {a.shape} and {b.shape})")
    either = int((a | b).sum())
    return int((a & b).sum()) / either if either else None


def _map(heat: ArrayLike, mask: ArrayLike) -> tuple[FloatArray, BoolArray]:
    h, m = np.asarray(heat, dtype=np.float64), np.asarray(mask, dtype=bool)
    if h.ndim != 2 or h.shape != m.shape:
        raise InvalidValue(f"a map and its mask must be two-dimensional and of one shape (got {h.shape} and {m.shape})")
    if not np.isfinite(h).all():
        raise InvalidValue("a map holds values that are not finite", remedy="leave the map out, and count it")
    return h, m


def is_flat(heat: ArrayLike) -> bool:
    """Whether a map is the same everywhere, and so points nowhere."""
    h = np.asarray(heat, dtype=np.float64)
    return h.size == 0 or float(h.max()) == float(h.min())


def heat_iou(heat: ArrayLike, mask: ArrayLike, threshold: float) -> float | None:
    """Intersection over union of a mask with where a map reaches `threshold` times its largest value.

    Returns:
        In [0, 1]; None when the map has no positive value or the mask is empty.

    Raises:
        InvalidValue: shapes differ, values not finite, a threshold outside (0, 1].
    """
    h, m = _map(heat, mask)
    if not 0 < threshold <= 1:
        raise InvalidValue(f"a threshold is a share of the largest value, in (0, 1] (got {threshold:g})")
    peak = float(h.max(initial=0.0))
    return mask_iou(h >= threshold * peak, m) if peak > 0 and m.any() else None


def mean_iou(heat: ArrayLike, mask: ArrayLike, thresholds: Sequence[float] = THRESHOLDS) -> float | None:
    """mIoU: the mean of `heat_iou` over thresholds (Boecking et al., 2022, of similarity maps); as it, None without a positive value or a mask.

    The thresholds decide the number: it can only be compared with one over the same.

    Raises:
        InvalidValue: as `heat_iou`; no threshold.
    """
    if not thresholds:
        raise InvalidValue("mIoU needs a threshold", remedy="give at least one")
    found = [value for t in thresholds if (value := heat_iou(heat, mask, t)) is not None]
    return float(np.mean(found)) if found else None


def cnr(heat: ArrayLike, mask: ArrayLike, *, signed: bool = False) -> float | None:
    """Contrast-to-noise ratio |mean inside - mean outside| / sqrt(var inside + var outside) of a map (Boecking et al., 2022), population variances.

    Args:
        signed: keep the sign. Without it, as published, a map that is dark in the box and bright elsewhere earns as much as its negative.

    Returns:
        0 to infinity (signed: any number); None when nothing lies inside or nothing outside, or when neither part varies.

    Raises:
        InvalidValue: shapes differ, values not finite.
    """
    h, m = _map(heat, mask)
    if not m.any() or m.all():
        return None
    inside, outside = h[m], h[~m]
    noise = float(np.sqrt(inside.var() + outside.var()))
    contrast = float(inside.mean() - outside.mean())
    return (contrast if signed else abs(contrast)) / noise if noise > 0 else None


def near(mask: ArrayLike, tolerance: float) -> BoolArray:
    """The mask with every pixel whose middle is at most `tolerance` pixels from one of its own (Euclidean).

    Raises:
        InvalidValue: a negative tolerance. MissingExtra: scipy is not installed.
    """
    m = np.asarray(mask, dtype=bool)
    if tolerance < 0:
        raise InvalidValue(f"a tolerance is not negative (got {tolerance:g})")
    if tolerance < 1 or not m.any():
        return m
    try:
        from scipy.ndimage import distance_transform_edt
    except ImportError as error:
        raise MissingExtra("distances need scipy", remedy="pip install 'vesalius[evaluate]'") from error
    return np.asarray(distance_transform_edt(~m) <= tolerance)


def pointing(heat: ArrayLike, mask: ArrayLike, *, tolerance: float = 0.0) -> float | None:
    """The pointing game (Zhang et al., 2016): 1 when the largest value of a map lies in the mask, 0 when it lies elsewhere.

    Where several pixels share the largest value, the share of them that lie in the mask: what choosing one by lot would earn.

    Args:
        tolerance: pixels by which the point may miss the mask (published: 15 on photographs of some 500 px).

    Returns:
        In [0, 1]; None when the mask is empty. The chance level is the mean of `near(mask, tolerance)`.

    Raises:
        InvalidValue: shapes differ, values not finite, a negative tolerance.
    """
    h, m = _map(heat, mask)
    return float(near(m, tolerance)[h == h.max()].mean()) if m.any() else None


def energy(heat: ArrayLike, mask: ArrayLike) -> float | None:
    """The share of a map's sum that lies in the mask, the energy-based pointing game (Wang et al., 2020).

    Returns:
        In [0, 1]; None when the map sums to 0 or the mask is empty. The chance level is the mask's share of the picture.

    Raises:
        InvalidValue: shapes differ, values not finite, or negative.
    """
    h, m = _map(heat, mask)
    if (h < 0).any():
        raise InvalidValue("a map holds negative values", remedy="cut them off at 0 first, and say so")
    total = float(h.sum())
    return float(h[m].sum()) / total if total > 0 and m.any() else None


@dataclasses.dataclass(frozen=True)
class Grounding:
    """Boxes found for one phrase against those that are right.

    Args:
        matched: pairs. found, gold: number of boxes. overlap: mean intersection over union of the pairs; None without any.
        precision: matched / found; None when none was found. recall: matched / gold; None when there is none.
        f1: 2 matched / (found + gold); 1 when neither side has a box, for saying "nowhere" is then right.
    """

    matched: int
    found: int
    gold: int
    overlap: float | None
    precision: float | None
    recall: float | None
    f1: float


def grounding(found: Sequence[Region], gold: Sequence[Region], *, threshold: float = MATCH) -> Grounding:
    """Generalised grounding: any number of boxes on either side, none included.

    Boxes are paired one to one so that as many pairs as possible reach the threshold, and among such pairings the one that overlaps most (Kuhn, 1955).

    With no box on either side precision and recall are 1 too. A phrase of which nothing is to be seen, and for which a box was found, has F1 0.

    Raises:
        InvalidValue: a threshold outside (0, 1]. MissingExtra: scipy is not installed.
    """
    if not 0 < threshold <= 1:
        raise InvalidValue(f"a threshold lies in (0, 1] (got {threshold:g})")
    if not found and not gold:
        return Grounding(0, 0, 0, None, 1.0, 1.0, 1.0)
    overlaps = [] if not found or not gold else _paired(found, gold, threshold)
    hits = len(overlaps)
    return Grounding(
        matched=hits,
        found=len(found),
        gold=len(gold),
        overlap=float(np.mean(overlaps)) if overlaps else None,
        precision=hits / len(found) if found else None,
        recall=hits / len(gold) if gold else None,
        f1=2 * hits / (len(found) + len(gold)),
    )


def _paired(found: Sequence[Region], gold: Sequence[Region], threshold: float) -> list[float]:
    try:
        from scipy.optimize import linear_sum_assignment
    except ImportError as error:
        raise MissingExtra("matching boxes needs scipy", remedy="pip install 'vesalius[evaluate]'") from error
    table = np.asarray([[iou(a, b) for b in gold] for a in found])
    # a pair more always outweighs any overlap: all overlaps together weigh less than one pair
    worth = np.where(table >= threshold, 1 + table / (min(table.shape) + 1), 0.0)
    return [float(table[i, j]) for i, j in zip(*linear_sum_assignment(worth, maximize=True), strict=True) if table[i, j] >= threshold]


@dataclasses.dataclass(frozen=True)
class Reasons:
    """Answers by whether they were right and whether the place was: counts.

    Args:
        right_place: right for the right reason. wrong_place: right, for what lies elsewhere. saw_but_erred: wrong, though it looked at the place.
        neither: wrong in both.
    """

    right_place: int
    wrong_place: int
    saw_but_erred: int
    neither: int

    @property
    def n(self) -> int:
        """Answers in the table."""
        return self.right_place + self.wrong_place + self.saw_but_erred + self.neither

    @property
    def place_given_right(self) -> float | None:
        """Of right answers, the share whose place is right too; None without a right answer."""
        return _ratio(self.right_place, self.right_place + self.wrong_place)

    @property
    def place_given_wrong(self) -> float | None:
        """Of wrong answers, the share whose place is right; None without one. Where it equals the one above, the place says nothing of the answer."""
        return _ratio(self.saw_but_erred, self.saw_but_erred + self.neither)


def reasons(answer_right: ArrayLike, place_right: ArrayLike) -> Reasons:
    """The table of (n,) booleans.

    Raises:
        InvalidValue: lengths differ.
    """
    a, p = np.asarray(answer_right, dtype=bool), np.asarray(place_right, dtype=bool)
    if a.ndim != 1 or a.shape != p.shape:
        raise InvalidValue(f"answers and places must have one length (got {a.shape} and {p.shape})")
    return Reasons(int((a & p).sum()), int((a & ~p).sum()), int((~a & p).sum()), int((~a & ~p).sum()))


def _ratio(top: int, bottom: int) -> float | None:
    return top / bottom if bottom else None
