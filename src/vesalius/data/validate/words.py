"""The words by which views, sides, body regions and modalities are told: data and small readers of it, shared by the rules.

In: a header's term or description, or a sentence. Out: sets of canonical names: PA AP LAT; left right; CHEST HEAD ...; CT MR US PT MG CR.
"""

from __future__ import annotations

import re

PA, AP, LAT = "PA", "AP", "LAT"
LEFT, RIGHT = "left", "right"
FILM = "CR"  # CR, DX, RG and the like are one: a projection X-ray

_SAME = {"DX": FILM, "RG": FILM, "XR": FILM, "X-RAY": FILM, "CXR": FILM, "MRI": "MR", "PET": "PT"}


def any_of(listed: str) -> re.Pattern[str]:
    """A pattern for any of the listed words, which are patterns parted by spaces; an underscore is a space."""
    return re.compile(r"\b(?:" + "|".join(word.replace("_", " ") for word in listed.split()) + r")\b", re.IGNORECASE)


MARK = re.compile(r"\bx{3,}|_{3}|\[\*\*", re.IGNORECASE)  # de-identified sets: any word may have stood there
HARDWARE = any_of("screws? wires? leads? plates? rods? hardware sutures? catheters?")
DOUBT = any_of(
    r"suggest\w* possib\w+ may might could would likely probabl\w+ question\w* versus vs or related represent\w* reflect\w* consistent compatible "
    r"exclude\w* obscure\w* secondary_to due_to prior previous\w* history overl\w+ soft_tissues? hernia\w* summation artifact\w* nipple if than differential"
)


_VIEWS = (
    (PA, re.compile(r"\bp\.?a\.?(?=\W|$)|\bpostero[- ]?anterior\b", re.IGNORECASE)),
    (AP, re.compile(r"\ba\.?p\.?(?=\W|$)|\bantero[- ]?posterior\b", re.IGNORECASE)),
    (LAT, re.compile(r"\b(?:lat|lateral|ll|rl|llat|rlat)\b(?! (?:decub|chest wall))", re.IGNORECASE)),
)
# the parts of the heart, the main bronchi and vessels carry a side in their names
_NAMED = r"ventric|atri|heart|main ?stem|mainstem|subclav|jugular|ij\b|upper quadrant"
_SIDES = (
    (LEFT, re.compile(rf"\b(?:left|lt)\b(?![- ](?:{_NAMED}))", re.IGNORECASE)),
    (RIGHT, re.compile(rf"\b(?:right|rt)\b(?![- ](?:{_NAMED}))", re.IGNORECASE)),
    (LEFT + RIGHT, re.compile(r"\b(?:bilateral\w*|bibasilar|bibasal|biapical|both|each)\b", re.IGNORECASE)),
)  # fmt: skip
_REGIONS = {
    "HEAD": "head|skull|brain|cranial|cranium|facial|face|orbits?|sinus(?:es)?|mandible|nasal",
    "NECK": "neck|thyroid|larynx|soft tissue neck",
    "CHEST": "chest|thorax|lungs?|ribs?|cxr|sternum|heart|mediastinum|pulmonary",
    "ABDOMEN": "abdomen|abdominal|abd|kub|liver|kidneys?|renal|pancreas|colon|bowel|spleen",
    "PELVIS": "pelvis|pelvic|hips?|sacrum|bladder|prostate|uterus",
    "SPINE": "spine|lumbar|cspine|tspine|lspine|c-spine|t-spine|l-spine|cervical spine|thoracic spine|coccyx|vertebra\\w*",
    "ARM": "hands?|wrists?|elbows?|arms?|forearms?|shoulders?|clavicles?|humerus|fingers?|thumb|extremity",
    "LEG": "knees?|foot|feet|ankles?|legs?|femur|tibia|fibula|toes?|calcaneus|extremity",
    "BREAST": "breasts?|mammo\\w*",
}  # fmt: skip
_REGION = {name: re.compile(rf"\b(?:{words})\b", re.IGNORECASE) for name, words in _REGIONS.items()}
_NEAR = (
    "HEAD NECK", "HEAD SPINE", "NECK SPINE", "NECK CHEST", "CHEST SPINE", "CHEST ABDOMEN", "CHEST BREAST", "CHEST ARM", "ABDOMEN PELVIS", "ABDOMEN SPINE",
    "PELVIS SPINE", "PELVIS LEG",
)  # fmt: skip
_MODALITIES = {
    "CT": r"\bct\b|\bcta\b|computed tomogra\w+|cat scan",
    "MR": r"\bmri?\b|\bmra\b|magnetic resonance",
    "US": r"\bultraso\w+|\bsonogra\w+|\bechocardiogra\w+",
    "PT": r"\bpet\b|positron emission",
    "MG": r"\bmammogra\w+|\btomosynthesis\b",
    FILM: r"\bx[- ]?rays?\b|\bradiograph\w*|\bxr\b|\bcxr\b|\bplain films?\b",
}
_MODALITY = {name: re.compile(words, re.IGNORECASE) for name, words in _MODALITIES.items()}


def modality(stated: str | None) -> str | None:
    """A DICOM modality with its synonyms made one; None for unknown, OT and what no check is made for."""
    plain = (stated or "").strip().upper()
    plain = _SAME.get(plain, plain)
    return plain if plain in _MODALITIES else None


def modalities(text: str) -> set[str]:
    """The modalities that a description names."""
    return {name for name, words in _MODALITY.items() if words.search(text)}


def views(text: str) -> set[str]:
    """PA, AP, LAT as far as a text names them."""
    return {name for name, words in _VIEWS if words.search(text)}


def view(term: str | None) -> str | None:
    """The one view that a header's term means; None when it means none of the three or several."""
    found = views((term or "").replace("_", " "))
    return found.pop() if len(found) == 1 else None


def sides(text: str) -> set[str]:
    """left, right as far as a text names them as the side of something that has one; "bilateral" is both."""
    found: set[str] = set()
    for name, words in _SIDES:
        if words.search(text):
            found |= {LEFT, RIGHT} if name == LEFT + RIGHT else {name}
    return found


def regions(text: str) -> set[str]:
    """Body regions that a term or a description names."""
    spaced = text.replace("_", " ")
    found = {name for name, words in _REGION.items() if words.search(spaced)}
    if "SPINE" in found:
        found -= {"NECK"} if "cervical" in spaced.lower() else set()
    packed = "".join(c for c in text.upper() if c.isalpha())
    return found or {name for name in _REGIONS if name in packed}  # CHESTABDPELVIS


def may_be_one(some: set[str], others: set[str]) -> bool:
    """Whether one picture may show both: a common region, or neighbours."""
    near = {frozenset(pair.split()) for pair in _NEAR}
    return bool(some & others) or any(frozenset((a, b)) in near for a in some for b in others)
