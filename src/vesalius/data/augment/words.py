"""Which operations a sample's words forbid: those that would make the answer, the report or a label untrue.

In: the texts of a `Sample`, in English. Out: operation to reason. It errs on the side of refusing: a word that only may matter forbids as well. No text is
ever changed.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable

from vesalius.data.augment.ranges import OPERATIONS
from vesalius.data.augment.sample import Sample

FLIP = "flip"
GEOMETRY = frozenset({*(name for name, each in OPERATIONS.items() if each.geometry), FLIP})
_LOOK = frozenset({"exposure", "window_level", "window_width", "bias_field"})
_QUALITY = frozenset(OPERATIONS) - GEOMETRY
_ZOOM = frozenset({"scale", "crop"})


@dataclasses.dataclass(frozen=True)
class Rule:
    """Words and what they forbid.

    Args:
        pattern: regular expression. why: reason, completed by the words found. forbids: operations.
        anywhere: in report and labels too; else in question and answer alone. unknown_spacing: only where millimetres are unknown.
    """

    pattern: str
    why: str
    forbids: frozenset[str]
    anywhere: bool = False
    unknown_spacing: bool = False


_NUMBER = r"[-+]?(?:\d+(?:\.\d+)?|\.\d+)"  # linear in the length of a text, as all of these
RULES: tuple[Rule, ...] = (
    Rule(
        "[\u0400-\u1fff\u2e80-\ud7ff\uf900-\ufdff\ufe70-\ufeff]+",
        "the text is not in Latin letters, and cannot be read here",
        GEOMETRY | _QUALITY,
        anywhere=True,
    ),
    Rule(
        r"(?i:\b(?:left\w*|right\w*|bilateral\w*|unilateral\w*|contralateral\w*|ipsilateral\w*|lateral\w*|sides?|sided|one-sided|hemi\w+|dextro\w*|levo\w*|situs"
        r"|sinist\w*|mirror\w*|flip\w*|a?symmetr\w*|midline|deviat\w*|shift\w*)\b)|\b[LR]\b|\b[LR](?:UL|ML|LL|UQ|LQ)\b",
        "the text names a side",
        frozenset({FLIP}),
        anywhere=True,
    ),
    Rule(
        r"(?i:\b(?:views?|projections?|planes?|axial|coronal|sagg?itt?al|oblique|transverse|antero-?posterior|postero-?anterior"
        r"|anterior[ -]posterior|posterior[ -]anterior|decubitus)\b)|\b(?:AP|PA)\b",
        "the text is about the view",
        frozenset({FLIP, "crop"}),
    ),
    Rule(r"(?i:\b(?:rotat\w*|tilt\w*|upside|crooked)\b)", "the text is about rotation", frozenset({"rotation", FLIP}), anywhere=True),
    Rule(
        r"(?i:\b(?:orient\w*|upright|straight|align\w*|angulat\w*|degrees?|vertical\w*|horizontal\w*)\b)",
        "the text is about orientation",
        frozenset({"rotation", FLIP}),
    ),
    Rule(
        r"(?i:\b(?:corners?|cent(?:er|re|ered|red)|middle|edges?|top|bottom|cut[ -]off|field of view|collimat\w*|cropp?\w*|margins? of the (?:image|film))\b)",
        "the text is about the place in the picture",
        GEOMETRY,
    ),
    Rule(
        r"(?i:\b(?:where|locat\w*|quadrants?|positions?|how many|number of|count\w*|list|organs?|structures?|body part|imaged|included"
        r"|contain\w*|visible|visuali[sz]ed|exist\w*|displayed|identified)\b)",
        "the text is about all that is seen or where it is",
        frozenset({"crop"}),
    ),
    Rule(
        rf"(?i:<\|?(?:box|bbox|loc|point|quad|seg)\w*|\b(?:coordinates?|bounding box)\b)|[\[(]\s*{_NUMBER}(?:\s*,\s*{_NUMBER})+\s*[\])]",
        "the text holds coordinates",
        GEOMETRY,
        anywhere=True,
    ),
    Rule(r"(?i:\b(?:pixels?|px)\b)", "the text measures in pixels", GEOMETRY, anywhere=True),
    Rule(
        r"(?i:\b\d+(?:\.\d+)?\s?-?\s?(?:mm|cm|millimet\w+|centimet\w+)\b)",
        "the text holds a measure and the spacing is unknown",
        _ZOOM,
        anywhere=True,
        unknown_spacing=True,
    ),
    Rule(
        r"(?i:\b(?:sizes?|sized|large\w*|enlarg\w*|small\w*|big\w*|measur\w*|diameters?|lengths?|widths?|widen\w*|thick\w*|dilat\w*|distance)\b)",
        "the text is about size and the spacing is unknown",
        _ZOOM,
        unknown_spacing=True,
    ),
    Rule(
        r"(?i:\b(?:over|under)-?\s?(?:expos|penetrat)\w*)",
        "the text is about exposure",
        _LOOK,
        anywhere=True,
    ),
    Rule(
        r"(?i:\b(?:expos\w*|penetrat\w*|bright\w*|dark\w*|window\w*|colou?rs?|colou?red|stain\w*|hounsfield|image contrast)\b)|\bHU\b",
        "the text is about brightness",
        _LOOK,
    ),
    Rule(
        r"(?i:\b(?:signal\w*|intens\w*|hyper\w*|hypo\w*|iso(?:dens|intens)\w*|attenuat\w*|densit\w*|enhanc\w*|weighted|flair)\b)|\bT[12]\b",
        "the text compares signals",
        frozenset({"bias_field"}),
    ),
    Rule(
        r"(?i:\b(?:quality|nois\w*|grain\w*|art[ei]facts?|motion|blur\w*|sharp\w*|resolution|compress\w*|jpe?g|technique|technical\w*|inspiration)\b)",
        "the text is about the picture's quality",
        _QUALITY,
    ),
)


def forbidden(sample: Sample) -> dict[str, str]:
    """Operations that the texts forbid, each with its reason and the word that decided."""
    said = "\n".join((sample.question, sample.answer))
    everything = "\n".join((said, sample.report, *sample.labels))
    found: dict[str, str] = {}
    for rule in RULES:
        if rule.unknown_spacing and sample.image.spacing is not None:
            continue
        match = re.search(rule.pattern, everything if rule.anywhere else said)
        if match is not None:
            for name in sorted(rule.forbids):
                found.setdefault(name, f"{rule.why} ({match.group().strip()!r})")
    return found


def no_flip(sample: Sample, labels: tuple[str, ...], symmetric: Callable[[Sample], bool]) -> str | None:
    """Why a sample may not be mirrored, or None: allowed only for listed labels, without any sign of a side.

    Args:
        labels: those whose meaning does not depend on the side. symmetric: whether the body part shown has no left and right of its own.
    """
    image, strange = sample.image, sorted(set(sample.labels) - set(labels))
    reasons = (
        (not sample.labels, "no label is stated"),
        (bool(strange), f"the label {strange[0]!r} is not listed" if strange else ""),
        (image.laterality is not None, "the header states a side"),
        (sample.lettered is not False, "letters or markers may be drawn into the pixels"),
        (image.burned_in is not False, "the header does not exclude burned-in text"),
        (bool(image.overlays), "graphics of the header may hold text"),
        (not symmetric(sample), "the body part is unknown or not symmetric"),
        (FLIP in (said := forbidden(sample)), said.get(FLIP, "")),
    )
    return next((reason for holds, reason in reasons if holds), None)
