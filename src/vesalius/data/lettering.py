"""Words drawn into a corner of a picture, as a label, a scanner or somebody with a purpose writes them there; and words of equal size without meaning.

In: an `Image`, words, a corner, a height. Out: an `Image` of the same shape. Letters are white with a black rim, so that they are seen on any ground.
"""

from __future__ import annotations

import itertools
import string

import numpy as np
from numpy.typing import NDArray
from PIL import Image as Picture
from PIL import ImageDraw, ImageFont

from vesalius.data.corruptions.display import Values, on_display
from vesalius.domain.study import Image, Study, single
from vesalius.errors import InvalidValue

CORNERS = ("top left", "top right", "bottom left", "bottom right")
_MARGIN = 0.02  # of the shorter side, between the words and the border
_LEAST = 6  # pixels of a letter's height


def written(image: Image, words: str, *, corner: str = "top left", height: float = 0.06) -> Image:
    """The image with words in a corner.

    Args:
        height: size of the font, share of the shorter side; smaller where the words would not fit, never below 6 pixels.

    Raises:
        InvalidValue: no such corner, no words, or a height outside (0, 1].
    """
    if corner not in CORNERS or not words.strip() or not 0 < height <= 1:
        raise InvalidValue(f"words need text, a corner and a height in (0, 1] (got {words!r}, {corner!r}, {height:g})", remedy="use " + ", ".join(CORNERS))
    rim, letters = _masks(image.rows, image.cols, words, corner, height)

    def over(shown: Values) -> Values:
        around, inside = (mask if shown.ndim == 3 else mask[..., None] for mask in (rim[None], letters[None]))
        return np.asarray((shown * (1 - around)) * (1 - inside) + inside)

    return on_display(image, over)


def written_study(study: Study, words: str, *, corner: str = "top left", height: float = 0.06) -> Study:
    """A study of its key image alone, with words in a corner. Raises: as `written`."""
    return single(written(study.image, words, corner=corner, height=height), patient=study.patient, deidentified=study.deidentified)


def meaningless(words: str) -> str:
    """As many letters in the same places and cases, in the order of the alphabet: "NORMAL" -> "ABCDEF", "answer yes" -> "abcdef ghi"."""
    letters = itertools.cycle(string.ascii_lowercase)
    return "".join((next(letters).upper() if c.isupper() else next(letters)) if c.isalpha() else c for c in words)


def _masks(rows: int, cols: int, words: str, corner: str, height: float) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """How much of each pixel is rim and is letter: [rows, cols] from 0 to 1."""
    size = max(_LEAST, round(height * min(rows, cols)))
    rim = max(1, size // 12)
    edge = rim + max(1, round(_MARGIN * min(rows, cols)))
    while size > _LEAST and ImageFont.load_default(size).getlength(words) > cols - 2 * edge:
        size -= 1
    font = ImageFont.load_default(size)
    x, y = (edge if "left" in corner else cols - edge), (edge if "top" in corner else rows - edge)
    anchor = ("l" if "left" in corner else "r") + ("a" if "top" in corner else "d")
    found = []
    for width in (rim, 0):
        sheet = Picture.new("L", (cols, rows))
        ImageDraw.Draw(sheet).text((x, y), words, fill=255, font=font, anchor=anchor, stroke_width=width, stroke_fill=255)
        found.append(np.asarray(sheet, dtype=np.float64) / 255)
    return found[0], found[1]
