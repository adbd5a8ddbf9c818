"""Does the answer contradict what the file itself states: its modality, its body part.

In: question, answer, the facts of the file. Out: the contradiction in words, or None. Only questions that ask for exactly these facts are judged; a header
may be wrong too, so a contradiction refers and never corrects.
"""

from __future__ import annotations

import re

from vesalius.domain.exchange import Answer, Outcome
from vesalius.safety.scope import REGION_OF, one_modality, regions

_ASKS_PART = re.compile(r"\b(part of (the )?(human )?body|body (part|region)|region of the body|anatomical (region|area)|organ system)\b", re.IGNORECASE)
_ASKS_MODALITY = re.compile(
    r"\b(modality|(type|kind|sort) of (scan|imag\w*|picture|study)|imaging (technique|method|study)|how was this image)\b", re.IGNORECASE
)
_IS_MODALITY = re.compile(
    r"^\s*(is|was) (this|it|that)( (image|scan|picture|study))? (an? )?(?P<what>[\w -]+?)( (scan|image|picture|study|film))?\s*\?*\s*$",
    re.IGNORECASE,
)
_MODALITIES = {
    "CT": r"\b(ct|cat scan|computed tomograph\w*|computeri[sz]ed tomograph\w*)\b",
    "MR": r"\b(mri?|magnetic resonance\w*|flair|t[12][ -]?weighted|dwi)\b",
    "CR": r"\b(x[ -]?rays?|radiographs?|cxr|plain films?)\b",
    "US": r"\b(ultrasounds?|ultrasonograph\w*|sonogra\w*)\b",
    "PT": r"\bpet\b",
    "MG": r"\bmammogra\w*\b",
}
_ALSO = {
    "CRANIAL": "HEAD",
    "CEREBRAL": "HEAD",
    "THORACIC": "CHEST",
    "CARDIAC": "CHEST",
    "ABDOMINAL": "ABDOMEN",
    "HEPATIC": "ABDOMEN",
    "RENAL": "ABDOMEN",
    "PELVIC": "PELVIS",
}
_NEIGHBOURS = (frozenset({"HEAD", "NECK"}), frozenset({"ABDOMEN", "PELVIS"}), frozenset({"CHEST", "ABDOMEN"}))  # an image may show both


def contradiction(question: str, answer: Answer, modality: str | None, body_part: str | None) -> str | None:
    """What of the file the answer contradicts, as a clause; None when nothing, or when it cannot be told.

    Args:
        modality, body_part: DICOM terms of the file; None or OT when unknown.
    """
    return _of_modality(question, answer, modality) or _of_part(question, answer, body_part)


def _of_modality(question: str, answer: Answer, modality: str | None) -> str | None:
    if not modality or one_modality(modality) not in _MODALITIES:
        return None
    stated, clause = one_modality(modality), f"the file says modality {modality}"
    if answer.outcome is Outcome.TEXT:
        said = _modalities(answer.text)
        return clause if _ASKS_MODALITY.search(question) and said and stated not in said else None
    if answer.outcome not in (Outcome.YES, Outcome.NO):
        return None
    form = _IS_MODALITY.match(question)
    asked = _modalities(form["what"]) if form else set()
    if len(asked) != 1 or not _nothing_else(form["what"] if form else "", next(iter(asked))):
        return None
    return clause if (stated in asked) != (answer.outcome is Outcome.YES) else None


def _of_part(question: str, answer: Answer, body_part: str | None) -> str | None:
    if answer.outcome is not Outcome.TEXT or not body_part or not _ASKS_PART.search(question):
        return None
    stated = regions(body_part)
    if not stated & set(REGION_OF.values()):
        return None
    words = re.findall(r"[a-z]+", answer.text.lower())
    said = {region for word in words for region in [REGION_OF.get(word.upper(), _ALSO.get(word.upper()))] if region}
    near = set(stated).union(*(pair for pair in _NEIGHBOURS if pair & stated))
    return f"the file says body part {body_part}" if said and not said & near else None


def _modalities(text: str) -> set[str]:
    return {name for name, pattern in _MODALITIES.items() if re.search(pattern, text, re.IGNORECASE)}


def _nothing_else(what: str, name: str) -> bool:
    """Whether "CT" is all that is asked, and not "CT with contrast" or "normal CT"."""
    return not re.sub(_MODALITIES[name], "", what, flags=re.IGNORECASE).strip(" -")
