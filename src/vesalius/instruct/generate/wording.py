"""Words that give away that an answer was written from a text: a student who sees only the image must not be asked about them. A cheap check.

In: a question or an answer. Out: the words, or None. The list is short and literal; meaning is not looked at.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

_TEXT = r"(?:text|description|passage|excerpt|paragraph|legend|article|paper|manuscript|document|snippet)"
_TOLD = r"(?:report|note|article|paper|authors?|study|facts?|data|information|source)"
_SAYS = r"(?:say|state|mention|describe|note|indicate|report|suggest|specif(?:y|ie)|provide|list)s?"
_HINTS = re.compile(
    "|".join(
        (
            r"\bcaptions?\b",
            r"\bcaptioned\b",
            r"\bfig(?:ure|\.)?\s*\d",
            r"\bthe figure\b(?!-of)(?! of (?:8|eight))",
            rf"\b(?:the|this|that|given|provided|supplied|accompanying|above|following)\s+{_TEXT}\b",
            r"\b(?:given|provided|supplied|accompanying|above)\s+(?:information|context|facts?|data|report|details)\b",
            rf"\bthe\s+(?:{_TOLD}|text|caption)\s+{_SAYS}\b",
            rf"\b(?:according to|based on|from|in)\s+the\s+(?:{_TEXT}|report|note|facts?|given|provided|authors?|data)\b",
            r"\b(?:is|are|was|were|as|not|been)\s+(?:explicitly\s+)?(?:mentioned|stated|specified|described (?:above|here))\b",
            r"\b(?:do|does|did)\s+not\s+(?:mention|state|specify|say)\b",
            r"\bI (?:was|am|have been) (?:told|given|informed)\b",
            r"\bthe (?:facts|authors?)\b",
            r"\bin-text\b",
        )
    ),
    re.IGNORECASE,
)


def hint(text: str) -> str | None:
    """The first words of a text that reveal a text behind the image; None when there are none."""
    found = _HINTS.search(text)
    return found.group(0) if found else None


def first_hint(texts: Iterable[str]) -> str | None:
    """The first hint in any of the texts."""
    return next((found for found in map(hint, texts) if found is not None), None)
