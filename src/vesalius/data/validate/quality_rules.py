"""Can anything be seen in the picture: blank, clipped, flat, small, noisy, mostly border.

In: `Facts` with an image. Out: hits. The middle frame is judged, as the header's window shows it.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from vesalius.data.validate.case import Facts
from vesalius.data.validate.remark import Evidence, Hit, Severity

_SMALL = (64, 128)  # pixels of the shorter side: error, warning
_CLIPPED = {"white": (255, 0.25, 0.5), "black": (0, 0.95, 0.99)}  # value, warning, error
_FLAT = (20, 50)  # grey values from 1st to 99th percentile: error, warning
_LEVELS = 24
_NOISE = 0.3  # correlation of neighbours
_BORDER = 0.35  # share of the picture
_EVEN = 10  # grey values within a border's row: JPEG ripples


def blank(facts: Facts) -> Iterator[Hit]:
    """All pixels are equal."""
    image = facts.image
    if image is not None:
        frame = image.pixels[image.frames // 2]
        if float(np.ptp(frame)) == 0:
            yield Hit(Severity.ERROR, "every pixel has the same value", (Evidence("pixels", "value", float(frame.flat[0])),))


def clipped(facts: Facts) -> Iterator[Hit]:
    """Much of the picture is pure white or pure black."""
    grey = _grey(facts)
    if grey is None:
        return
    for name, (value, warning, error) in _CLIPPED.items():
        share = float((grey == value).mean())
        if share > warning:
            severity = Severity.ERROR if share > error else Severity.WARNING
            yield Hit(severity, f"{share:.0%} of the picture is pure {name}", (Evidence("pixels", name, round(share, 4)),))


def flat(facts: Facts) -> Iterator[Hit]:
    """Few grey values, or all of them close together."""
    grey = _grey(facts)
    if grey is None:
        return
    low, high = (float(x) for x in np.percentile(grey, (1, 99)))
    if high - low < _FLAT[1]:
        severity = Severity.ERROR if high - low < _FLAT[0] else Severity.WARNING
        yield Hit(severity, f"98 % of the pixels lie within {high - low:.0f} of 255 grey values", (Evidence("pixels", "contrast", round(high - low, 1)),))
    levels = len(np.unique(grey))
    if levels < _LEVELS:
        yield Hit(Severity.WARNING, f"the picture has only {levels} grey values", (Evidence("pixels", "levels", levels),))


def small(facts: Facts) -> Iterator[Hit]:
    """The shorter side has few pixels."""
    image = facts.image
    if image is not None and min(image.rows, image.cols) < _SMALL[1]:
        severity = Severity.ERROR if min(image.rows, image.cols) < _SMALL[0] else Severity.WARNING
        yield Hit(severity, f"the picture has {image.cols} x {image.rows} pixels", (Evidence("pixels", "side", min(image.rows, image.cols)),))


def noise(facts: Facts) -> Iterator[Hit]:
    """Neighbouring pixels have little to do with one another, as in noise or in pixels that were read wrongly."""
    grey = _grey(facts)
    if grey is None or min(grey.shape) < 2:
        return
    values = grey.astype(np.float32) - grey.mean(dtype=np.float64).astype(np.float32)
    found = float(((values[1:] * values[:-1]).mean() + (values[:, 1:] * values[:, :-1]).mean()) / 2 / (values**2).mean())
    if found < _NOISE:
        yield Hit(Severity.WARNING, "neighbouring pixels are unlike one another, as in noise", (Evidence("pixels", "smoothness", round(found, 3)),))


def borders(facts: Facts) -> Iterator[Hit]:
    """A large part of the picture is an even border."""
    grey = _grey(facts)
    if grey is None:
        return
    rows, cols = (np.flatnonzero(np.ptp(grey, axis=axis) > _EVEN) for axis in (1, 0))
    kept = (rows[-1] - rows[0] + 1) * (cols[-1] - cols[0] + 1) / grey.size if rows.size and cols.size else 0.0
    if 1 - kept > _BORDER:
        yield Hit(Severity.WARNING, f"{1 - kept:.0%} of the picture is an even border", (Evidence("pixels", "border", round(float(1 - kept), 4)),))


def _grey(facts: Facts) -> np.ndarray | None:
    """The picture; None when it is blank, which is said once."""
    grey = facts.grey
    return None if grey is None or int(np.ptp(grey)) == 0 else grey
