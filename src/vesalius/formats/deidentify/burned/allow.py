"""Words that may stay in an image: sides, views, positions, scale bars and exposure; they name nobody, and research needs them.

In: a text as it was read. Out: whether all of it is on the list. One word that is not makes the whole text go.
"""

from __future__ import annotations

import re

_SIDES = ("L", "R", "LT", "RT", "LEFT", "RIGHT", "BILAT", "BILATERAL")
_VIEWS = ("AP", "PA", "LAT", "LATERAL", "LL", "RL", "RLL", "OBL", "OBLIQUE", "RAO", "LAO", "RPO", "LPO", "DECUB", "DECUBITUS", "AXIAL", "SAGITTAL", "CORONAL")
_BREAST = tuple(side + view for side in ("", "L", "R") for view in ("CC", "MLO", "ML", "LM", "XCCL"))
_POSITIONS = ("PORTABLE", "MOBILE", "BEDSIDE", "SUPINE", "PRONE", "ERECT", "UPRIGHT", "STANDING", "SITTING", "RECUMBENT")
_PHASES = ("INSP", "EXP", "INSPIRATION", "EXPIRATION")

WORDS = frozenset((*_SIDES, *_VIEWS, *_BREAST, *_POSITIONS, *_PHASES))
"""The words, in capitals."""

_PARTS = re.compile(r"[\s,/()\[\]-]+")
_SEMI = re.compile(r"^SEMI(?=[\s-]?(?:ERECT|UPRIGHT|SUPINE|RECUMBENT))[\s-]?")
# A number counts with its unit only, and with so few digits that it is no record number. A date or a time of day never has one of these units.
_MEASURE = re.compile(r"\d{1,3}(?:[.,]\d{1,2})?\s?(?:MM|CM|KV|KVP|MA|MAS)\b")
_LONGEST = 40


def allowed(text: str) -> bool:
    """Whether a text holds nothing but words of the list and measures: "R", "SUPINE AP PORTABLE", "10 cm", "120 kV 2.5 mAs".

    Case does not matter. An empty text is not allowed: nobody knows what it says. Bare numbers, dates, initials and anything longer than 40 characters are not.
    """
    if len(text) > _LONGEST:
        return False
    rest = _MEASURE.sub(" ", _SEMI.sub("", text.strip().upper()))
    parts = [part for part in _PARTS.split(rest) if part]
    return bool(text.strip()) and (bool(parts) or rest != text.strip().upper()) and all(part in WORDS for part in parts)
