"""Is this a case the model was made for: modality, body part, language of the question, quality of the picture.

In: `ScopeFacts` of a case and the `Scope` that the model's card or the policy declares. Out: violations, each a number in [0, 1] with its reason.
1 is outside; between 0 and 1 lie what is not known and what is borderline.
"""

from __future__ import annotations

import dataclasses
import unicodedata

from vesalius.errors import InvalidValue
from vesalius.metrics.text import normalise
from vesalius.safety.quality import Quality

UNKNOWN_MODALITY = 0.4
UNKNOWN_BODY_PART = 0.3
UNKNOWN_LANGUAGE = 0.4

_REGION = {
    "HEAD": "BRAIN SKULL FACE ORBIT SINUS PITUITARY CEREBRUM CEREBELLUM",
    "NECK": "THYROID CSPINE CERVICALSPINE LARYNX",
    "CHEST": "LUNG LUNGS THORAX HEART RIBS RIB MEDIASTINUM",
    "ABDOMEN": "LIVER KIDNEY KIDNEYS SPLEEN PANCREAS STOMACH BOWEL COLON GALLBLADDER",
    "PELVIS": "BLADDER PROSTATE UTERUS HIP",
    "SPINE": "TSPINE LSPINE LUMBARSPINE THORACICSPINE LUMBAR",
    "EXTREMITY": "HAND WRIST ELBOW ARM FOREARM SHOULDER KNEE FOOT ANKLE LEG FEMUR TIBIA FINGER HUMERUS",
}
REGION_OF = {part: region for region, parts in _REGION.items() for part in [region, *parts.split()]}
_IMPLIED = {"MG": "BREAST"}
_SAME_MODALITY = {"DX": "CR", "XR": "CR", "CXR": "CR", "X-RAY": "CR", "MRI": "MR"}
# Colour is at home here; a fused PET or a dermatoscopy is no photograph from the street.
_COLOUR_MODALITIES = frozenset({"US", "PT", "NM", "SM", "GM", "XC", "OP", "ES", "ECG"})

# ruff: noqa: SIM905 - word lists read better as text
_ENGLISH = frozenset(
    (
        "the is are was were what where which how does do did can there this that these in of on with any and or for from has have who why when at be it an "
        "a to by patient image show shows normal abnormal evidence please you see"
    ).split()
)
_FOREIGN = frozenset(
    (
        "der die das ist sind ein eine einen gibt es auf bild wo welche welches und nicht im den dem zeigt liegt hat bitte oder "
        "le la les est sont une des du sur dans quel quelle quels quelles il ya avez et y cette ce voit "
        "el los las hay en un una que cual cuál qué donde dónde es esta esto por del imagen muestra "
        "il lo gli è sono della nella cosa dove questa questo c'è ci "
        "o os uma há no na onde qual você mostra esta este isso "
        "de het een zijn er welke wat waar op dit deze "
        "är finns det vad var bilden jest są czy co gdzie na"
    ).split()
) - {"a", "an", "in", "was", "what", "on", "is", "no", "o", "it", "var"}


@dataclasses.dataclass(frozen=True)
class QualityLimits:
    """For each fact a soft limit (still 0) and a hard one (1); linear in between. Grey values 0..255, sides in pixels, the rest shares."""

    side: tuple[float, float] = (128, 64)
    bright_end: tuple[float, float] = (70, 35)
    contrast: tuple[float, float] = (50, 20)
    clipped_low: tuple[float, float] = (0.95, 0.99)
    clipped_high: tuple[float, float] = (0.25, 0.5)
    levels: tuple[float, float] = (24, 8)
    smoothness: tuple[float, float] = (0.6, 0.3)
    coloured: tuple[float, float] = (0.1, 0.3)

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            soft, hard = getattr(self, field.name)
            if soft == hard or ((hard > soft) != (field.name in _WORSE_ABOVE)):
                raise InvalidValue(f"quality limit {field.name}: the hard limit must be worse than the soft one (got soft {soft:g}, hard {hard:g})")


_WORSE_ABOVE = frozenset({"clipped_low", "clipped_high", "coloured"})


@dataclasses.dataclass(frozen=True)
class Scope:
    """What a model may be asked about; an empty list means that it declares nothing there, and nothing is checked.

    Args:
        modalities: DICOM terms; CR and DX are one. body_parts: DICOM terms; an organ lies in its region (LIVER in ABDOMEN).
        languages: ISO 639-1 codes of questions.
        quality: limits on the picture.
    """

    modalities: tuple[str, ...] = ()
    body_parts: tuple[str, ...] = ()
    languages: tuple[str, ...] = ("en",)
    quality: QualityLimits = QualityLimits()


@dataclasses.dataclass(frozen=True)
class ScopeFacts:
    """What is known of a case; None is unknown."""

    question: str
    modality: str | None = None
    body_part: str | None = None
    quality: Quality | None = None


@dataclasses.dataclass(frozen=True)
class Violation:
    """One way in which a case is, or may be, outside the scope: `value` in (0, 1]."""

    value: float
    reason: str


def violations(facts: ScopeFacts, scope: Scope) -> tuple[Violation, ...]:
    """All ways in which a case leaves the scope, worst first.

    modality: 1 when not listed, 0.4 when unknown (None or OT). body part: 1 when not listed, 0.3 when unknown. language: 1 when the question does not
    read as English and only English is listed, 0.4 when other languages are listed, which are not told apart. quality: per fact, 0 at its soft limit to
    1 at its hard one; colour only for modalities that are grey, exposure not for ECG; 0.4 when the picture was not measured.
    """
    found = [*_modality(facts, scope), *_body_part(facts, scope), *_language(facts, scope), *_quality(facts, scope)]
    return tuple(sorted((v for v in found if v.value > 0), key=lambda v: -v.value))


def one_modality(modality: str) -> str:
    """A DICOM modality, its synonyms made one (DX and CR are one)."""
    plain = modality.strip().upper()
    return _SAME_MODALITY.get(plain, plain)


def _modality(facts: ScopeFacts, scope: Scope) -> list[Violation]:
    if not scope.modalities:
        return []
    if not facts.modality or one_modality(facts.modality) == "OT":
        return [Violation(UNKNOWN_MODALITY, "the modality is unknown")]
    if one_modality(facts.modality) in {one_modality(m) for m in scope.modalities}:
        return []
    return [Violation(1.0, f"modality {facts.modality} is not among {', '.join(scope.modalities)}")]


def regions(part: str) -> set[str]:
    """The regions that a DICOM body part lies in or spans; an unknown one is its own."""
    plain = "".join(c for c in part.upper() if c.isalpha())
    if plain in REGION_OF:
        return {REGION_OF[plain]}
    inside = {region for region in _REGION if region in plain}  # CHESTABDOMEN, CHEST_TO_PELVIS
    return inside or {plain}


def _body_part(facts: ScopeFacts, scope: Scope) -> list[Violation]:
    if not scope.body_parts:
        return []
    part = facts.body_part or _IMPLIED.get(one_modality(facts.modality or ""))
    if not part or not part.strip():
        return [Violation(UNKNOWN_BODY_PART, "the body part is unknown")]
    allowed = set().union(*(regions(p) for p in scope.body_parts))
    if regions(part) & allowed:
        return []
    return [Violation(1.0, f"body part {part} is not among {', '.join(scope.body_parts)}")]


def reads_as_english(text: str) -> bool:
    """Whether a question may be English: letters mostly Latin, and not more function words of other languages than of English.

    Short telegraphic questions ("Pneumothorax?") have no function words and pass: Latin medical terms belong to every language.
    """
    letters = [c for c in text if c.isalpha()]
    foreign_script = sum("LATIN" not in unicodedata.name(c, "") for c in letters)
    if not letters or foreign_script > 0.2 * len(letters):
        return False
    # Articles are dropped by `normalise`, so the plain lower-case words are looked at too.
    words = {*normalise(text).split(), *text.lower().replace("?", " ").replace("¿", " ").replace(",", " ").split()}
    return len(words & _FOREIGN) <= len(words & _ENGLISH)


def _language(facts: ScopeFacts, scope: Scope) -> list[Violation]:
    if not scope.languages or (reads_as_english(facts.question) and "en" in scope.languages):
        return []
    if set(scope.languages) == {"en"}:
        return [Violation(1.0, "the question does not read as English")]
    return [Violation(UNKNOWN_LANGUAGE, f"the language of the question cannot be told; declared: {', '.join(scope.languages)}")]


def _ramp(value: float, limits: tuple[float, float]) -> float:
    soft, hard = limits
    return min(1.0, max(0.0, (value - soft) / (hard - soft)))


def _quality(facts: ScopeFacts, scope: Scope) -> list[Violation]:
    if facts.quality is None:
        return [Violation(UNKNOWN_MODALITY, "the quality of the picture was not measured")]
    q, limits = facts.quality, scope.quality
    modality = one_modality(facts.modality or "")
    found = [
        Violation(_ramp(q.side, limits.side), f"the picture is small ({q.cols} x {q.rows} pixels)"),
        Violation(_ramp(q.contrast, limits.contrast), f"the picture is flat (grey values {q.dark_end:.0f} to {q.bright_end:.0f})"),
        Violation(_ramp(q.levels, limits.levels), f"the picture has only {q.levels} grey values"),
    ]
    if q.smoothness is not None:
        found.append(Violation(_ramp(q.smoothness, limits.smoothness), f"the picture is noise (neighbouring pixels correlate {q.smoothness:.2f})"))
    if modality != "ECG":
        found += [
            Violation(_ramp(q.bright_end, limits.bright_end), f"the picture is dark (99 % of it below grey value {q.bright_end:.0f})"),
            Violation(_ramp(q.clipped_low, limits.clipped_low), f"{q.clipped_low:.0%} of the picture is black"),
            Violation(_ramp(q.clipped_high, limits.clipped_high), f"{q.clipped_high:.0%} of the picture is clipped to white"),
        ]
    if modality not in _COLOUR_MODALITIES:
        found.append(Violation(_ramp(q.coloured, limits.coloured), f"{q.coloured:.0%} of the picture is coloured, unlike a {modality or 'grey'} image"))
    return found
