"""Four-cornered boxes at any angle: their area, what two of them share, and the pixels inside of one as a line of text.

In: corners [4, 2] as (x, y), in order around the box. Out: numbers, corners, pixels.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Grey = NDArray[np.uint8]
Polygon = NDArray[np.float64]

_BESIDE = 1.5  # letter heights between two boxes of one line
_LIKE = 2.0  # ratio of the heights of two boxes of one line


def area(polygon: Polygon) -> float:
    """In square pixels."""
    x, y = polygon.T
    return abs(float(x @ np.roll(y, 1) - y @ np.roll(x, 1))) / 2


def sides(polygon: Polygon) -> tuple[float, float]:
    """The longer and the shorter side, in pixels."""
    lengths = [float(np.hypot(*(polygon[i + 1] - polygon[i]))) for i in (0, 1)]
    return max(lengths), min(lengths)


def shared(a: Polygon, b: Polygon) -> float:
    """The area that two convex polygons have in common."""
    import cv2

    return float(cv2.intersectConvexConvex(a.astype(np.float32), b.astype(np.float32))[0])


def overlap(a: Polygon, b: Polygon) -> float:
    """Intersection over union of two convex polygons."""
    both = shared(a, b)
    union = area(a) + area(b) - both
    return both / union if union > 0 else 0.0


def inside(a: Polygon, b: Polygon) -> float:
    """The share of the first that lies in the second."""
    return shared(a, b) / max(area(a), 1e-9)


def beside(a: Polygon, b: Polygon) -> bool:
    """Whether two upright boxes may stand in one line of text, or one above the other: of like height, and near."""
    heights = sides(a)[1], sides(b)[1]
    gaps = [max(0.0, float(max(a[:, k].min(), b[:, k].min()) - min(a[:, k].max(), b[:, k].max()))) for k in (0, 1)]
    return max(heights) <= _LIKE * min(heights) and float(np.hypot(gaps[0], gaps[1])) <= _BESIDE * max(heights)


def around(points: NDArray[np.float64]) -> Polygon:
    """The smallest rectangle, at any angle, around points [n, 2]."""
    import cv2

    return np.asarray(cv2.boxPoints(cv2.minAreaRect(points.astype(np.float32))), np.float64)


def grown(polygon: Polygon, margin: float) -> Polygon:
    """A box with a margin in pixels on every side; a side without length counts as upright."""
    along, down = polygon[1] - polygon[0], polygon[3] - polygon[0]
    lengths = float(np.hypot(*along)), float(np.hypot(*down))
    a = along / lengths[0] * margin if lengths[0] > 0 else np.array((margin, 0.0))
    d = down / lengths[1] * margin if lengths[1] > 0 else np.array((0.0, margin))
    return polygon + np.outer((-1.0, 1.0, 1.0, -1.0), a) + np.outer((-1.0, -1.0, 1.0, 1.0), d)


def lengthened(polygon: Polygon, by: float, *, end: bool) -> Polygon:
    """A box that is longer by so many pixels at one end of its longer sides: its second corner's end, or its first one's."""
    along, down = polygon[1] - polygon[0], polygon[3] - polygon[0]
    lies = np.hypot(*along) >= np.hypot(*down)
    step = along if lies else down
    step = step / max(float(np.hypot(*step)), 1e-9) * by
    moved = ((1, 2) if lies else (2, 3)) if end else ((0, 3) if lies else (0, 1))
    longer = polygon.copy()
    longer[list(moved)] += step if end else -step
    return longer


def cut(grey: Grey, polygon: Polygon) -> Grey:
    """The pixels of a box as a line of text; of a box that stands, turned to lie."""
    import cv2

    top_left, top_right, bottom_right, bottom_left = _ordered(polygon)
    width = max(4, round(max(float(np.hypot(*(top_right - top_left))), float(np.hypot(*(bottom_right - bottom_left))))))
    height = max(4, round(max(float(np.hypot(*(bottom_left - top_left))), float(np.hypot(*(bottom_right - top_right))))))
    source = np.stack((top_left, top_right, bottom_right, bottom_left)).astype(np.float32)
    target = np.array([[0, 0], [width, 0], [width, height], [0, height]], np.float32)
    turn = cv2.getPerspectiveTransform(source, target)
    line = cv2.warpPerspective(grey, turn, (width, height), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
    return np.ascontiguousarray(np.rot90(line) if height > 1.5 * width else line, np.uint8)


def _ordered(polygon: Polygon) -> Polygon:
    """Top left, top right, bottom right, bottom left: by the sides, left and right first."""
    by_x = polygon[np.argsort(polygon[:, 0], kind="stable")]
    left, right = by_x[:2], by_x[2:]
    left, right = left[np.argsort(left[:, 1], kind="stable")], right[np.argsort(right[:, 1], kind="stable")]
    return np.stack((left[0], right[0], right[1], left[1]))
