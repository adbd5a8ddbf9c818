"""A question to a small structure: kind, subject, predicate, place, scope, polarity. Only forms that are understood whole are parsed.

In: a tidy question (`meaning.tidy`). Out: `Parsed` for `render`, or None: then only exchanges of words, frames and slips remain possible.
"""

from __future__ import annotations

import dataclasses
import enum
import re

from vesalius.instruct import vocabulary


class Kind(enum.StrEnum):
    """What is asked. EXISTENCE, VISIBLE, ATTRIBUTE, LOCATED, MODALITY, PLANE, IDENTITY are yes/no; the rest are open."""

    EXISTENCE = "existence"  # is there a finding
    VISIBLE = "visible"  # is a structure in the picture
    ATTRIBUTE = "attribute"  # is the heart enlarged
    LOCATED = "located"  # is the lesion in the left lobe
    MODALITY = "modality"  # is this an MRI
    PLANE = "plane"  # is this an axial slice
    IDENTITY = "identity"  # is this a study of the chest
    WHERE = "where"
    WHICH_IN = "which in"  # which lobe is the lesion in
    COUNT = "count"
    COLOUR = "colour"
    ASK_MODALITY = "ask modality"
    ASK_PLANE = "ask plane"
    ASK_SYSTEM = "ask organ system"


@dataclasses.dataclass(frozen=True)
class Parsed:
    """A question understood.

    Args:
        subject: noun phrase with its determiner ("a pneumothorax", "the heart").
        predicate: what is asked of it ("enlarged", "in the left lobe"); for MODALITY and PLANE the name; for WHICH_IN the asked noun.
        place: "in the left lung", "" without one.
        scope: "in this image", "" without one.
        polarity: -1 when the question asks for absence.
        plural: the subject takes "are".
        whole: False when the noun phrase holds a clause, so that nothing may be put after it.
    """

    kind: Kind
    subject: str = ""
    predicate: str = ""
    place: str = ""
    scope: str = ""
    polarity: int = 1
    plural: bool = False
    whole: bool = True


_SCOPE = re.compile(
    r"(?:,? (?:(?:seen|shown|visible|present) )?(?:in|on|from|within) (?:this|the|the above|the shown) (?:above |shown )?"
    r"(?:(?:CT|MRI|MR|x-?ray|xray|chest) )?(?:image|picture|scan|film|study|section|slice|radiograph|x-?ray|xray|CT|MRI)| here)$",
    re.IGNORECASE,
)
_PLACE = re.compile(r" (?=(?:in|on|at|within|near|along|around|under|beneath|below|above|over|throughout|inside|behind) )")
_CLAUSE = re.compile(
    r"\b(?:with|that|which|who|secondary|due|caus\w+|involv\w+|show\w*|suggest\w+|to|from|between|if|when|compared|than|as|into|by|using|for|without|about)\b|,|\("
)
_DET = r"(?:a|an|any|the|some)"
_SEEN = (
    r"(?:seen|visible|visuali[sz]ed|noted|identified|identifiable|depicted|appreciated|observed|detected|viewed|shown|pictured|present|located|found|in view)"
)
_FINITE = re.compile(r"\b(?:is|are|was|were|does|do|did|has|have|can|will|would|should)\b", re.IGNORECASE)

_EXISTENCE: tuple[tuple[re.Pattern[str], int], ...] = tuple(
    (re.compile(pattern, re.IGNORECASE), polarity)
    for pattern, polarity in (
        (r"is it true that there (?:is|are) no (?P<np>.+)", -1),
        (r"can (?P<np>.+?) be (?:ruled out|excluded)(?P<place> .+)?", -1),
        (r"(?:is|are) (?P<np>.+?) absent(?P<place> .+)?", -1),
        (r"is (?:the|this) (?:image|picture|scan|film|study) free of (?P<np>.+)", -1),
        (r"(?:is|are) there (?:any )?(?:imaging )?(?:evidence|signs?|presence) of (?P<np>.+)", 1),
        (r"(?:is|are) there (?!no\b)(?P<np>.+?)(?: (?:present|visible|seen|noted))?", 1),
        (r"do(?:es)? (?:you|we) (?:see|appreciate|observe|notice|visualize|identify|detect|find) (?:any evidence of )?(?P<np>.+)", 1),
        (r"can (?:you|we) (?:see|appreciate|observe|notice|visualize|identify|detect|find|spot|view) (?:any evidence of )?(?P<np>.+)", 1),
        (r"are you able to see (?P<np>.+)", 1),
        (r"can (?P<np>.+?) be (?:seen|appreciated|visuali[sz]ed|observed|identified|detected|noted)(?P<place> .+)?", 1),
        (rf"(?:is|are) (?P<np>(?!there\b|this\b|these\b|it\b).+?) (?:located |being )?{_SEEN}(?P<place> .+)?", 1),
        (r"does (?:the|this) (?:image|picture|scan|film|study|radiograph) (?:show|contain|demonstrate|depict|reveal) (?P<np>.+)", 1),
        (r"do(?:es)? (?P<np>(?:the )?.+?) (?:appear|exist)(?P<place> (?:in|on) .+)?", 1),
        (r"do(?:es)? (?:the|this) patient have (?:any evidence of |evidence of )?(?P<np>.+)", 1),
        (r"any (?:evidence of )?(?P<np>.+?)(?: (?:present|visible|seen))?", 1),
    )
)
_MODALITIES = r"(?:CT|MRI|MR|X-?ray|xray|CXR|chest X-?ray|chest radiograph|radiograph|ultrasound|PET|mammogram|computed tomography|magnetic resonance imaging)"
_MODALITY = (
    re.compile(rf"is this (?:image |picture )?(?:an? )?(?P<m>{_MODALITIES})(?: (?:scan|image|study|film))?", re.IGNORECASE),
    re.compile(rf"(?:is|was) (?:this|the) image (?:taken|acquired|obtained|made) (?:via|by|with|using) (?:an? )?(?P<m>{_MODALITIES})(?: scan)?", re.IGNORECASE),
    re.compile(rf"is the (?:imaging )?modality (?:an? )?(?P<m>{_MODALITIES})", re.IGNORECASE),
)
_PLANES = r"(?P<p>axial|transverse|coronal|sagg?ittal)"
_PLANE = (
    re.compile(rf"is this (?:image )?(?:an? |the )?{_PLANES}(?: (?:plane|section|view|image|slice|cut|scan|film))?", re.IGNORECASE),
    re.compile(rf"(?:is|was) (?:this|the) (?:image|scan|picture) (?:taken |acquired |obtained )?in (?:an?|the) {_PLANES} plane", re.IGNORECASE),
    re.compile(rf"is the (?:imaging |image )?plane {_PLANES}", re.IGNORECASE),
)
_TAKEN = r"(?: (?:in|shown in|taken|taken in|acquired in|acquired|scanned))?"
_ASK: tuple[tuple[re.Pattern[str], Kind], ...] = tuple(
    (re.compile(pattern, re.IGNORECASE), kind)
    for pattern, kind in (
        (
            r"(?:what|which) (?:type of )?(?:image |imaging )?modality (?:is|was) "
            r"(?:this(?: image)?|shown|used|seen|used (?:for|to take|to acquire|in) this image)",
            Kind.ASK_MODALITY,
        ),
        (r"what is the (?:imaging )?modality(?: of this image)?", Kind.ASK_MODALITY),
        (
            r"(?:what|which|in what|in which) plane (?:is|was) "
            rf"(?:this|used|seen|shown|demonstrated|(?:this|the)(?: above)? (?:image|x-ray|film){_TAKEN})",
            Kind.ASK_PLANE,
        ),
        (r"what is the (?:imaging |scanning |image )?plane(?: of this image)?", Kind.ASK_PLANE),
        (r"(?:what|which) organ system is (?:this|shown|pictured|visualized|displayed|(?:being )?imaged)", Kind.ASK_SYSTEM),
        (r"what is the organ system (?:shown|pictured|visualized)", Kind.ASK_SYSTEM),
    )
)


def parse(question: str) -> Parsed | None:
    """Understand a question whole, or not at all.

    Args:
        question: as `meaning.tidy` returns it (one line, no closing mark).
    """
    text = re.sub(r"\b(?:is/are|are/is)\b", "is", question, flags=re.IGNORECASE)
    if re.search(r"\b(?:image|picture|scan) (?:above|below)\b", text, re.IGNORECASE):
        return None
    text, scope = _take_scope(text)
    for step in (_ask, _where, _modality_or_plane, _existence, _attribute, _identity):
        found = step(text, scope)
        if found is not None:
            return found
    return None


def _take_scope(text: str) -> tuple[str, str]:
    found = _SCOPE.search(text)
    if not found or found.start() == 0:
        return text, ""
    return text[: found.start()], re.sub(r"^ (?:seen|shown|visible|present) ", " ", found[0].replace(",", "")).strip()


def _ask(text: str, scope: str) -> Parsed | None:
    for pattern, kind in _ASK:
        if pattern.fullmatch(text) or pattern.fullmatch(f"{text} {scope}".strip()):
            return Parsed(kind)
    return None


def _where(text: str, scope: str) -> Parsed | None:
    found = re.fullmatch(r"where (?P<be>is|are)(?:/are)? (?P<np>(?!there\b|this\b|these\b|it\b).+?)(?: located| seen| existing)?", text, re.IGNORECASE)
    if found and not _hard(found["np"]) and not _PLACE.search(found["np"]):
        return Parsed(Kind.WHERE, _definite(found["np"]), scope=scope, plural=_number(found["np"], found["be"]))
    found = re.fullmatch(
        r"(?:what|which) (?P<noun>lobe|lung|kidney|hemisphere|organ|ventricle|vessel|artery|vein|lobe of the \w+|part of (?:the )?\w+) "
        r"(?P<be>is|are) (?P<np>.+?) (?:located |seen |present )?in",
        text,
        re.IGNORECASE,
    ) or re.fullmatch(
        r"in (?:what|which) (?P<noun>lobe|lung|kidney|hemisphere|organ|ventricle|vessel|artery|vein) (?P<be>is|are) (?P<np>.+?) (?:located|seen|present)",
        text,
        re.IGNORECASE,
    )
    if found and not _hard(found["np"]) and not _PLACE.search(found["np"]):
        return Parsed(Kind.WHICH_IN, _definite(found["np"]), found["noun"], scope=scope, plural=_number(found["np"], found["be"]))
    found = re.fullmatch(r"how many (?P<np>[\w -]+?)(?: are there| are shown| are visible| are present| can be seen)", text, re.IGNORECASE) or re.fullmatch(
        r"how many (?P<np>[\w-]+(?: [\w-]+)?) (?:does the image have)", text, re.IGNORECASE
    )
    if found and found["np"].endswith("s") and not _hard(found["np"]) and not _FINITE.search(found["np"]) and " of " not in found["np"]:
        return Parsed(Kind.COUNT, found["np"], scope=scope, plural=True)
    found = re.fullmatch(r"what colou?r (?:is|are|does|do) (?P<np>the [\w -]+?)(?: show)?", text, re.IGNORECASE)
    if found and not _hard(found["np"]):
        return Parsed(Kind.COLOUR, found["np"], scope=scope, plural=_plural(found["np"]))
    return None


def _modality_or_plane(text: str, scope: str) -> Parsed | None:
    if scope:
        return None
    for pattern in _MODALITY:
        if found := pattern.fullmatch(text):
            return Parsed(Kind.MODALITY, predicate=found["m"])
    for pattern in _PLANE:
        if found := pattern.fullmatch(text):
            return Parsed(Kind.PLANE, predicate=found["p"])
    return None


def _existence(text: str, scope: str) -> Parsed | None:
    for pattern, polarity in _EXISTENCE:
        found = pattern.fullmatch(text)
        if not found:
            continue
        np, place = found["np"].strip(), (found.groupdict().get("place") or "").strip()
        if place:
            place, inner = _rest_scope(place)
            scope = scope or inner
        if not place and (split := _PLACE.search(np)):
            np, place = np[: split.start()], np[split.end() :]
        np = re.sub(rf" {_SEEN}$", "", np)
        return _existence_of(np, place, scope, polarity)
    return None


def _existence_of(np: str, place: str, scope: str, polarity: int) -> Parsed | None:
    core = bare(np)
    words = core.lower().split()
    if not words or _FINITE.search(np) or _reversed(np) or (place and (_FINITE.search(place) or not _PLACE.match(" " + place))):
        return None
    if re.search(r"\b(?:clearly|well|prominently|all|each|every|only|there|you|what|which|where|how|best|most)\b", core, re.IGNORECASE):
        return None
    head = re.split(r" of ", core)[0].split()[-1].lower()
    if head not in vocabulary.FINDINGS and head not in vocabulary.NOUNS:
        return None
    whole = not _CLAUSE.search(np) and not _CLAUSE.search(place)
    counted = bool(re.search(r"\b(?:and|or)\b", np + place))
    if all(w in vocabulary.ANATOMY | vocabulary.MODIFIERS | {"both", "of", "the", "and"} for w in words):
        if re.match(r"(?:any|some) ", np, re.IGNORECASE):
            return None  # "any ventricle" is not "the ventricles"
        subject = np if np.lower().startswith(("the ", "both ")) or words[0] == "both" else f"the {core}"
        return Parsed(Kind.VISIBLE, subject, place=place, scope=scope, polarity=polarity, plural=_plural(head) or counted, whole=whole)
    if np.lower().startswith("the "):
        return None
    return Parsed(Kind.EXISTENCE, np, place=place, scope=scope, polarity=polarity, plural=_plural(head), whole=whole)


def _rest_scope(place: str) -> tuple[str, str]:
    rest, scope = _take_scope("x " + place)
    return rest[2:].strip(), scope


def _attribute(text: str, scope: str) -> Parsed | None:
    found = re.fullmatch(r"(?P<be>is|are) (?P<rest>.+)", text, re.IGNORECASE)
    seems = None if found else re.fullmatch(r"do(?:es)? (?P<np>.+?) (?:appear|look|seem)(?: to be)? (?P<pred>.+)", text, re.IGNORECASE)
    if seems:
        np, pred = seems["np"], seems["pred"]
    elif found:
        split = _split_subject(found["rest"])
        if split is None:
            return None
        np, pred = split
    else:
        return None
    if _hard(np) or _FINITE.search(f"{np} {pred}") or _reversed(pred) or not _known_np(np) or re.search(r"\bor\b|\bvs\b|,", pred):
        return None
    first = pred.split()[0].lower()
    subject = np if re.match(r"(?:the|this|these|both|any)\b", np, re.IGNORECASE) else f"the {np}"
    plural = _plural(_head(np))
    located = re.fullmatch(r"(?:located |seen |present )?((?:in|on|at|within|near|under|above|below|behind) .+)", pred)
    normal = re.match(r"within (?:the )?normal\b", pred)
    if located and found and not normal and (_CLAUSE.search(pred) or "in view" in pred or "normal" in pred):
        return None
    if located and found and not normal:
        return Parsed(Kind.LOCATED, subject, located[1], scope=scope, plural=plural)
    if (not normal and not (first in vocabulary.DESCRIPTORS or first.endswith(vocabulary.PARTICIPLES))) or first in vocabulary.NOUNS - vocabulary.DESCRIPTORS:
        return None
    return Parsed(Kind.ATTRIBUTE, subject, re.sub(r"^normal appearing$", "normal", pred), scope=scope, plural=plural)


def _split_subject(rest: str) -> tuple[str, str] | None:
    """The longest "the ... noun" followed by a descriptor, or by one phrase of place."""
    words = rest.split()
    if words[0].lower() in ("there", "it", "you", "this", "these") and not (
        words[0].lower() in ("this", "these") and len(words) > 2 and words[1] in vocabulary.NOUNS
    ):
        return None
    located = None
    for end in range(len(words) - 1, 0, -1):
        last, after = words[end - 1].lower(), words[end].lower()
        if last not in vocabulary.NOUNS or after in ("of", "and", "is", "are"):
            continue
        np, pred = " ".join(words[:end]), " ".join(words[end:])
        if (after in vocabulary.DESCRIPTORS or after.endswith(vocabulary.PARTICIPLES)) and after not in ("located",) and last not in ("left", "right"):
            return np, pred
        if after in ("in", "on", "at", "within", "near", "under", "above", "below", "behind", "located") and not _PLACE.search(np):
            located = (np, pred)
    return located


def _known_np(np: str) -> bool:
    """True when a noun phrase is made of what we know: determiner, then words ending in a noun, no verb form before it."""
    words = [w.lower() for w in np.split()]
    inner = [w for w in words[:-1] if w.endswith("ing") and w not in vocabulary.NOUNS]
    return words[-1] in vocabulary.NOUNS and not inner and not re.search(r"\bto\b|\bthat\b|\bwith\b|\bor\b|,|\band\b", np)


def _identity(text: str, scope: str) -> Parsed | None:
    found = re.fullmatch(r"is this (?P<np>an? .+)", text, re.IGNORECASE)
    if not found or scope or _hard(found["np"]) or _FINITE.search(found["np"]):
        return None
    return Parsed(Kind.IDENTITY, predicate=found["np"])


def _hard(np: str) -> bool:
    return bool(re.search(r"\b(?:or|vs|versus|what|which|how)\b|[,(<>]", np, re.IGNORECASE)) or _reversed(np)


def _reversed(text: str) -> bool:
    return bool(re.search(r"\b(?:no|not|never|without|neither|nor|absent|absence|free|missing)\b|n't", text, re.IGNORECASE)) and "free air" not in text.lower()


def bare(np: str) -> str:
    """A noun phrase without its determiner."""
    return re.sub(rf"^{_DET} ", "", np.strip(), flags=re.IGNORECASE)


def _definite(np: str) -> str:
    return np if re.match(r"(?:the|a|an|this|these|both)\b", np, re.IGNORECASE) else f"the {np}"


def _head(np: str) -> str:
    return re.split(r" (?:of|in|on|at|within|near) ", np)[0].split()[-1].lower()


def _number(np: str, be: str) -> bool:
    return _plural(_head(np)) if _head(np) in vocabulary.NOUNS else be.lower() == "are"


def _plural(word: str) -> bool:
    word = word.split()[-1].lower()
    if word in ("vertebrae", "diverticula", "ganglia", "bronchi", "hila", "sulci", "gyri", "teeth", "apices", "alveoli", "foci"):
        return True
    return word.endswith("s") and not word.endswith(("ss", "us", "is", "as", "ascites", "diabetes", "pons"))
