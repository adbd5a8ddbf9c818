"""What a question asks, as a bag of concepts with a sign; and whether two questions ask the same.

In: questions in words. Out: a `Meaning`, or +1 / -1 / None from `same_meaning`. This reader shares no code with the renderers of `phrasing`, so it can
check them: a rewording that does not read back as its original is not offered. When in doubt it says None.
"""

from __future__ import annotations

import dataclasses
import re

from vesalius.instruct import vocabulary

_SCOPE_NOUN = r"(?:image|picture|scan|film|study|section|slice|photo|radiograph|xray|case|view|examination)"
_METHOD = r"(?:chest )?(?:ct|mri|mr|xray|x-?ray|cxr|radiograph|magnetic resonance imaging|computed tomography)"
_FRAME = re.compile(
    rf"^(?:(?:based on|on|from|judging from|looking at) (?:this|the) {_SCOPE_NOUN},? |in your (?:opinion|assessment|judgement|view),? "
    r"|(?:please )?tell me,? |would you say (?:that )?|is it (?:correct|true|right|fair)(?: to say)?(?: that)? |does this image (?:show|suggest) that )"
)
# Whole operators that reverse a question; each is removed and flips the sign.
_REVERSERS = tuple(
    re.compile(pattern)
    for pattern in (
        r"\bis it (?:incorrect|untrue|false|wrong)(?: to (?:say|call))?(?: that)?\b",
        r"\b(?:be |been )?(?:ruled out|excluded)\b|\brule out\b|\bexclude\b|\bnegative for\b",
        r"\babsent(?: from)?\b|\babsence of\b|\bmissing(?: from)?\b",
        r"\bfree (?:of|from)(?= )",
        r"\bout of view\b|\boutside the field of view\b",
        r"\b(?:something |a modality |a plane |anything )?other than\b",
        r"\bnot\b|\bno\b(?! longer)",
    )
)
_PHRASE_TABLE: tuple[tuple[str, str], ...] = (
    (r"is/are|are/is", "is"),
    (r"\bshown above\b|\babove (?=image|picture|scan|patient)|\b(?:seen|visualized) above$", " "),
    (r"\b(?:would|do) you (?:describe|call) (.+) as\b", r"\1"),
    (r"\b(?:types?|kind) of (?=(?:image |imaging )?modality)|\bin nature\b", ""),
    (r"\bx[- ]?rays?\b", "xray"),
    (r"\bchest radiographs?\b", "chest xray"),
    (r"\bradiographs?\b", "xray"),
    (r"\bcomputed tomography\b", "ct"),
    (r"\bmagnetic resonance imaging\b|\bmr image\b", "mri"),
    (r"\bcxr\b", "chest xray"),
    (r"\b(?:abnormal(?:ity|ities)|abnormal findings?|abnormal appear\w+)\b", "abnormal"),
    (r"\bnormal[- ](?:looking|appearing)\b|\bnormal in appearance\b", "normal"),
    (r"\b(?:increased in size|large in size|size (?:is )?increased|increased size)\b", "enlarge"),
    (r"\bof (ab)?normal size\b|\ban? (ab)normal size\b", r"size \1\2normal"),
    (r"\bcardiomegaly\b", "heart enlarge"),
    (r"\bcardiac (?:enlargement|silhouette (?:is )?enlarged)\b", "heart enlarge"),
    (r"\bon the (left|right)(?: side)?$", r"\1side"),
    (r"\b(left|right)[- ](?:sided?|hand side)\b", r"\1side"),
    (r"\b(left|right) side\b", r"\1side"),
    (r"\bgr[ae]y[-/ ]white matter|white[-/ ]gr[ae]y matter\b", "graywhite"),
    (r"\bin (?:the )?(?:field of )?view\b|\bin terms of\b", " "),
    (r"\b(?:what|which) (?:is|was|are|were) the (?:location|site|position)s? of\b|\blocations? of\b|\bsites? of\b", "where"),
    (r"\b(?:what|which) (?:is|was) the number of\b|\bnumber of\b|\bhow many\b", "howmany"),
    (r"\b(?:what|which) (?:is|was) the colou?r of\b|\bwhat colou?r\b|\bcolou?r of\b", "whatcolor"),
    (r"\b(?:what|which) (?:is|was) the shape of\b|\bshape of\b", "whatshape"),
    (r"\b(?:imaging|image|scanning|scan) (modality|plane|technique)s?\b", r"\1"),
    (r"\btechniques?\b", "modality"),
    (r"\bbody systems?\b", "organ system"),
    (r"\bsmall intestine\b", "small bowel"),
    (r"\bair[- ]fluid\b", "airfluid"),
)
_PHRASES = tuple((re.compile(pattern), replacement) for pattern, replacement in _PHRASE_TABLE)
_STOP = vocabulary.words(
    """a an the is are was were be been being do does did has have had having can you we i it its there here that this these those of in on at within to by via
    with for from into as any some patient's patient patients' image picture photo film study scan section slice view examination shown evidence sign
    signs imaging presence present seen see sees visible visualized visualised identified identify identifiable appreciate appreciated observed observe noted
    notice detected detect depicted depict pictured demonstrate demonstrates demonstrated contain contains contained exist exists existing existed appear
    appears look looks looking seem seems displayed display show shows found find spot located situated locate location lie taken take acquired obtain obtained
    used use using generated describe described call say true so viewed captured recognizable anywhere your me tell please correct which what imaged"""
)
_ABBREVIATIONS = {short.lower(): long.lower() for short, long in vocabulary.ABBREVIATIONS if short not in ("CXR", "MRI", "CT")}
_STEMS = {
    form: stem
    for stem, forms in {
        "enlarge": "enlarged enlargement enlarging",
        "dilate": "dilated dilation dilatation widened widening",
        "deviate": "deviated deviation deviating",
        "shift": "shifted shifting shifts",
        "blunt": "blunted blunting",
        "calcify": "calcified calcification calcifications",
        "fracture": "fractured fractures broken",
        "thicken": "thickened thickening",
        "herniate": "herniated herniation",
        "obstruct": "obstructed obstruction obstructions",
        "distend": "distended distension distention",
        "infarct": "infarcted infarction infarctions infarcts",
        "hemorrhage": "bleed bleeding bleeds hemorrhages haemorrhage haemorrhages",
        "hyperinflate": "hyperinflated hyperinflation",
        "atrophy": "atrophied atrophic",
        "heart": "cardiac",
        "trachea": "tracheal",
        "lung": "pulmonary lungs",
        "liver": "hepatic",
        "kidney": "renal kidneys",
        "stomach": "gastric",
        "brain": "cerebral",
        "vertebra": "vertebral vertebrae",
        "edema": "oedema edematous",
        "tumor": "tumour tumours tumors",
        "esophagus": "oesophagus",
        "gray": "grey",
        "color": "colour",
        "axial": "transverse",
        "large": "big",
        "larger": "bigger",
        "largest": "biggest",
        "fourth": "4th",
        "third": "3rd",
        "fifth": "5th",
        "enhance": "enhancing enhancement enhanced enhances",
        "pancreas": "pancreatic",
        "aorta": "aortic",
        "peritoneum": "peritoneal",
        "mediastinum": "mediastinal",
        "hilum": "hilar hila",
        "colon": "colonic",
        "spleen": "splenic",
        "give": "given receive received administered",
        "open": "patent",
        "flatten": "flat flattened flattening",
        "abnormal": "pathology pathologies",
        "metastasis": "metastases",
        "symmetry": "symmetric symmetrical",
        "loculate": "loculated loculation",
    }.items()
    for form in forms.split()
}
_FLIPPED = {
    "normal": "abnormal",
    "healthy": "unhealthy",
    "asymmetric": "symmetry",
    "asymmetrical": "symmetry",
    "homogeneous": "heterogeneous",
    "homogenous": "heterogeneous",
}
_RELATIONAL = frozenset(
    {"relation", "relative", "than", "compared", "between", "versus", "vs", "as", "left", "right", "causing", "caused", "due", "if", "when"}
)
_PLACE = frozenset({"in", "on", "at", "within", "near", "along", "around", "under", "beneath", "below", "above", "over", "throughout", "inside", "behind"})
_OPEN = ("where", "howmany", "whatcolor", "whatshape", "how", "why", "who", "what", "which", "describe", "name", "when")
_OPENING = frozenset({"in", "on", "at", "from", "to", "of", "with", "by"})
# "the plane is axial" is "axial"; "the modality is MRI" is "MRI".
_NAMED_PLANES = frozenset({"axial", "coronal", "sagittal", "saggital"})
_NAMED_MODALITIES = frozenset({"ct", "mri", "xray", "ultrasound", "pet", "mr", "mammogram"})
# Alone, these nouns ask an open question ("Plane?").
_ASKED_ALONE = frozenset({("modality",), ("plane",), ("organ", "system")})
_SINGULAR_S = ("ss", "us", "is", "as")


@dataclasses.dataclass(frozen=True)
class Meaning:
    """A question reduced.

    Args:
        form: "yesno", "choice", or the question word of an open question.
        concepts: sorted content words, synonyms made one, sides bound to what they describe.
        order: the same words as they stand, for questions whose order matters.
        sides: (before the first preposition of place, after it); None without one.
        polarity: -1 when an odd number of reversals was read.
        guarded: True when a quantifier, number or conjunction forbids reading a reversal as the complement.
    """

    form: str
    concepts: tuple[str, ...]
    order: tuple[str, ...]
    sides: tuple[tuple[str, ...], tuple[str, ...]] | None
    polarity: int
    guarded: bool


def tidy(question: str) -> str | None:
    """The question on one line without its closing mark; None when it is not one plain English question.

    Refused: empty or longer than 300 characters or 40 words, letters outside English, control characters inside, two sentences.
    """
    text = question.strip()
    if not text or len(text) > 300 or re.search(r"[^\x20-\x7e\u2018\u2019]", text):
        return None
    text = re.sub(r"\s+", " ", text.replace("\u2018", "'").replace("\u2019", "'"))
    text = re.sub(r"[\s?.]+$", "", text)
    if not re.search(r"[A-Za-z]{2}", text) or len(text.split()) > 40 or re.search(r"[?!;\"{}\[\]\\|#@*_=~^`$]|\. [A-Z]", text):
        return None
    return text


def read(question: str) -> Meaning | None:
    """Reduce a question to its `Meaning`; None when it cannot be read safely."""
    text = tidy(question)
    if text is None:
        return None
    text = f"{_strip_scope(_strip_frames(_letters(text)))} ".strip()
    text, polarity = _reverse(text)
    for pattern, replacement in _PHRASES:
        text = pattern.sub(replacement, text)
    words = re.findall(r"[a-z0-9']+(?:-[a-z0-9]+)*|[<>%]", text)
    form = _form(text, words)
    tokens, places = _tokens(words)
    for named, noun in ((_NAMED_PLANES, "plane"), (_NAMED_MODALITIES, "modality")):
        if form == "yesno" and places is None and noun in tokens and named & set(tokens):
            tokens = [t for t in tokens if t != noun]
    flips = sum(token in _FLIPPED for token in tokens)
    tokens = [_FLIPPED.get(token, token) for token in tokens]
    if not tokens:
        return None
    polarity *= -1 if flips % 2 else 1
    guarded = any(t in vocabulary.QUANTIFIERS or t in "<>" or t[0].isdigit() for t in tokens) or any(w in ("and", "or") for w in words)
    sides = None if places is None else (tuple(sorted(tokens[:places])), tuple(sorted(tokens[places:])))
    return Meaning(form, tuple(sorted(tokens)), tuple(tokens), sides, polarity, guarded)


def same_meaning(a: str, b: str) -> int | None:
    """+1 when both questions want the same answer, -1 when they want opposite yes/no answers, None when that cannot be told.

    Args:
        a, b: two questions about the same image, in either order.
    """
    one, two = read(a), read(b)
    return None if one is None or two is None else compare(one, two)


def compare(one: Meaning, two: Meaning) -> int | None:
    """`same_meaning` of two questions already read."""
    if one.form != two.form or one.concepts != two.concepts:
        return None
    ordered = one.form == "choice" or any(t in _RELATIONAL or (t.endswith("er") and t in vocabulary.DESCRIPTORS) for t in one.order)
    if ordered and one.order != two.order:
        return None
    if one.form == "yesno" and one.sides and two.sides and one.sides != two.sides:
        return None
    sign = one.polarity * two.polarity
    if sign == -1 and (one.form != "yesno" or one.guarded):
        return None
    return sign


def _letters(text: str) -> str:
    text = re.sub(r"\bL\b(?! ?\d)", "left", re.sub(r"\bR\b(?! ?\d)", "right", text)).lower().replace("n't", " not")
    return re.sub(r"\b[a-z]{2,4}\b", lambda m: _ABBREVIATIONS.get(m[0], m[0]), text)


def _strip_frames(text: str) -> str:
    before = None
    while before != text:
        before, text = text, re.sub(r"^[:,]\s*", "", _FRAME.sub("", text))
    return text


def _strip_scope(text: str) -> str:
    """Without "in this image", "on this CT" and their like: there is one image, so they choose nothing."""
    what = rf"(?:{_METHOD} {_SCOPE_NOUN}|{_METHOD}|{_SCOPE_NOUN})"
    scope = rf"\b(?:seen |shown )?(?:in|on|from|within|of) (?:this|the|the above|above|the shown) (?:above )?{what}(?= |$|,)"
    return re.sub(r"\s+", " ", re.sub(scope + r"|\bhere$", " ", text)).strip()


def _reverse(text: str) -> tuple[str, int]:
    polarity = 1
    for pattern in _REVERSERS:
        text, times = pattern.subn(" ", text)
        polarity *= -1 if times % 2 else 1
    return re.sub(r"^\s*that ", "", re.sub(r"\s+", " ", text)).strip(), polarity


def _form(text: str, words: list[str]) -> str:
    if tuple(words) in _ASKED_ALONE:
        return "which"
    if re.search(r"\bor\b|\bvs\b|\bversus\b|\beither\b", text):
        return "choice"
    for word in words[:3] if words and words[0] in _OPENING else words[:1]:
        if word in _OPEN:
            return "which" if word == "what" else word
    inner = [w for w in words if w in ("what", "where", "which", "howmany", "whatcolor", "whatshape", "why", "how")]
    return "which" if inner and inner[0] == "what" else inner[0] if inner else "yesno"


def _tokens(words: list[str]) -> tuple[list[str], int | None]:
    """Content words, sides bound to the next one, and how many stand before the first preposition of place."""
    tokens: list[str] = []
    places: int | None = None
    side = ""
    for word in words:
        if word in _PLACE and tokens and places is None:
            places = len(tokens)
        if word in _STOP or (word in _OPEN and word != "name"):
            continue
        if word in ("left", "right"):
            side += word + ":"
            continue
        tokens.append(side + _stem(word))
        side = ""
    if side:
        tokens.append(side)
    return tokens, places


def _stem(word: str) -> str:
    if word in _STEMS:
        return _STEMS[word]
    if word.endswith("s") and not word.endswith(_SINGULAR_S) and len(word) > 3:
        single = word[:-3] + "y" if word.endswith("ies") else word[:-2] if word.endswith(("sses", "xes", "ches")) else word[:-1]
        return _STEMS.get(single, single)
    return word
