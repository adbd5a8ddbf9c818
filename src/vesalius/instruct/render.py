"""A parsed question to candidate rewordings, kind by kind.

In: `Parsed`. Out: candidates (text without closing mark, family, polarity to the parsed question, rule). `phrasing` reads each back before it offers it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import NamedTuple

from vesalius.instruct import vocabulary
from vesalius.instruct.parse import Kind, Parsed, bare


class Candidate(NamedTuple):
    """A wording that is still to be checked."""

    text: str
    family: str
    polarity: int
    rule: str


def article(phrase: str) -> str:
    """The article by sound: "an MRI", "a CT", "an X-ray", "a uniform density", "an hour"."""
    word = phrase.split()[0] if phrase.split() else ""
    if word.lower().startswith(("hour", "honest")):
        return "an"
    if (word.isupper() and len(word) > 1) or re.match(r"x-?ray", word, re.IGNORECASE):
        return "an" if word[0].upper() in vocabulary.SPOKEN_WITH_VOWEL else "a"
    if word[:1] in "8" or word in ("11", "18"):
        return "an"
    if re.match(r"(?:uni(?!n)|use|ure|euro|one\b|ubi)", word, re.IGNORECASE):
        return "a"
    return "an" if word[:1].lower() in "aeiou" and word else "a"


def mend_articles(text: str) -> str:
    """Every "a"/"an" brought in line with the sound of the next word; a capital A inside a sentence is a name ("type A")."""
    return re.sub(r"(?:\ba|^A)n? (?=([A-Za-z0-9-]+))", lambda m: m[0][0] + article(m[1])[1:] + " ", text)


def render(parsed: Parsed) -> Iterator[Candidate]:
    """All candidates of a parsed question; polarity is that of the candidate to the question it was parsed from."""
    for candidate in _BY_KIND[parsed.kind](parsed):
        text = mend_articles(re.sub(r"\s+", " ", candidate.text).strip())
        yield candidate._replace(text=text[:1].upper() + text[1:], polarity=candidate.polarity * parsed.polarity)


def _tail(*parts: str) -> str:
    return "".join(f" {p}" for p in parts if p)


def _with_article(np: str) -> str:
    """A singular countable finding takes an article; "any" and "some" go."""
    core = bare(np)
    if np.lower().startswith(("a ", "an ")):
        return np
    words = core.lower().split()
    head = re.split(r" of ", core.lower())[0].split()[-1]
    indefinite = words[0] not in vocabulary.QUANTIFIERS and head in vocabulary.COUNT and not words[0][0].isdigit()
    return f"a {core}" if indefinite and not (np == core and head in ("pneumothorax", "effusion", "thrombus")) else core


def _existence(p: Parsed) -> Iterator[Candidate]:
    np = p.subject if p.subject.lower().startswith("any ") else _with_article(p.subject)
    core, tail = bare(p.subject), _tail(p.place, p.scope)
    be = "are" if p.plural else "is"
    yield Candidate(f"{be} there {np}{tail}", "syntax", 1, "exist-there")
    yield Candidate(f"is there evidence of {np}{tail}", "lexical", 1, "exist-evidence")
    yield Candidate(f"do you see {np}{tail}", "formality", 1, "informal-see")
    yield Candidate(f"is there imaging evidence of {np}{tail}", "formality", 1, "formal-imaging-evidence")
    yield Candidate(f"any {core}{_tail(p.place)}", "telegraphic", 1, "any-finding")
    if _alone(core):
        yield Candidate(f"{core}{_tail(p.place)}", "telegraphic", 1, "finding-alone")
    if not p.whole:
        return
    yield Candidate(f"{be} {np} present{tail}", "syntax", 1, "exist-present")
    yield Candidate(f"can {np} be seen{tail}", "syntax", 1, "exist-passive")
    yield Candidate(f"{be} {np} visible{tail}", "lexical", 1, "exist-visible")
    if not p.scope or _plain(p.scope):
        yield Candidate(f"does this image show {np}{_tail(p.place)}", "syntax", 1, "exist-image-shows")
        if re.split(r" of ", core)[0].split()[-1].lower() in vocabulary.FINDINGS and not re.search(r"\bother\b|\bpatient", f"{core} {p.place}"):
            yield Candidate(f"does the patient have {np}{_tail(p.place)}", "syntax", 1, "exist-patient-has")
    yield Candidate(f"{core} present{_tail(p.place)}", "telegraphic", 1, "finding-present")
    yield from _absence(p, core, tail, be)


def _absence(p: Parsed, core: str, tail: str, be: str) -> Iterator[Candidate]:
    np = _with_article(p.subject)
    if _guarded(f"{p.subject} {p.place}") or re.search(r"\b(?:any|some|either|anywhere)\b", p.place):
        return
    if re.split(r" of ", core)[0].split()[-1].lower() in vocabulary.FINDINGS:
        yield Candidate(f"can {np} be ruled out{tail}", "negation", -1, "ruled-out")
        yield Candidate(f"can {np} be excluded{tail}", "negation", -1, "excluded")
    yield Candidate(f"{be} {np} absent{tail}", "negation", -1, "absent")
    yield Candidate(f"is it true that there {be} no {core}{tail}", "negation", -1, "true-that-no")
    if not p.place and (not p.scope or _plain(p.scope)):
        yield Candidate(f"is this image free of {'any ' if np.startswith(('a ', 'an ')) else ''}{core}", "negation", -1, "free-of")


def _visible(p: Parsed) -> Iterator[Candidate]:
    np, be, tail = p.subject, "are" if p.plural else "is", _tail(p.place, p.scope)
    image = _tail(p.place, p.scope or ("" if p.place else "in this image"))
    yield Candidate(f"can you see {np}{tail}", "formality", 1, "informal-can-see")
    yield Candidate(f"{be} {np} visible{tail}", "lexical", 1, "structure-visible")
    yield Candidate(f"can {np} be identified{tail}", "lexical", 1, "structure-identified")
    yield Candidate(f"can {np} be seen{tail}", "syntax", 1, "structure-passive")
    yield Candidate(f"{be} {np} depicted{image}", "formality", 1, "formal-depicted")
    if not p.place and (not p.scope or _plain(p.scope)):
        yield Candidate(f"does this image show {np}", "syntax", 1, "structure-image-shows")
    yield Candidate(f"{re.sub(r'^the ', '', np)} visible{_tail(p.place)}", "telegraphic", 1, "structure-visible-short")
    if _guarded(np):
        return
    if not p.place:
        yield Candidate(f"{be} {np} absent from {re.sub('^(?:in|on|from|within) ', '', p.scope) or 'this image'}", "negation", -1, "absent-from")
        yield Candidate(f"{be} {np} out of view{tail}", "negation", -1, "out-of-view")


def _attribute(p: Parsed) -> Iterator[Candidate]:
    s, pred, be, do, tail = p.subject, p.predicate, "are" if p.plural else "is", "do" if p.plural else "does", _tail(p.scope)
    first = pred.split()[0].lower()
    judged = bool(re.search(r"\b(?:normal|abnormal|healthy|unhealthy)\b", pred))
    yield Candidate(f"{be} {s} {pred}{tail}", "syntax", 1, "attribute-is")
    if not _acts(first):
        yield Candidate(f"{do} {s} appear {pred}{tail}", "syntax", 1, "attribute-appears")
        yield Candidate(f"{do} {s} look {pred}{tail}", "lexical" if judged else "formality", 1, "attribute-looks")
    if s.lower().startswith(("the ", "this ", "these ", "both ")):
        yield Candidate(f"would you say that {s} {be} {pred}{tail}", "formality", 1, "would-you-say")
        yield Candidate(f"is it correct that {s} {be} {pred}{tail}", "formality", 1, "formal-correct-that")
        yield Candidate(f"{re.sub(r'^(?:the|this|these) ', '', s)} {pred}", "telegraphic", 1, "attribute-short")
    guarded = _guarded(f"{s} {pred}") or re.search(r"\b(?:than|as|compared|any|either)\b", f"{s} {pred}")
    if guarded or first.startswith(("non", "un-", "not")) or not s.lower().startswith(("the ", "this ", "these ")):
        return
    if pred.lower() in vocabulary.OPPOSITES:
        yield Candidate(f"{be} {s} {vocabulary.OPPOSITES[pred.lower()]}{tail}", "negation", -1, "opposite")
    else:
        yield Candidate(f"is it true that {s} {be} not {pred}{tail}", "negation", -1, "true-that-not")
    yield Candidate(f"is it incorrect to say that {s} {be} {pred}{tail}", "negation", -1, "incorrect-to-say")


def _acts(first: str) -> bool:
    """True for words that "appear" cannot stand before ("appears compressing the aorta", "appears located")."""
    return (first.endswith("ing") and first not in ("enhancing",)) or first in ("visualized", "located", "oriented", "seen", "viewed", "used")


def _located(p: Parsed) -> Iterator[Candidate]:
    s, pred, be, tail = p.subject, p.predicate, "are" if p.plural else "is", _tail(p.scope)
    yield Candidate(f"{be} {s} located {pred}{tail}", "lexical", 1, "located")
    yield Candidate(f"{be} {s} situated {pred}{tail}", "lexical", 1, "situated")
    yield Candidate(f"would you say that {s} {be} {pred}{tail}", "formality", 1, "would-you-say")
    yield Candidate(f"{'do' if p.plural else 'does'} {s} lie {pred}{tail}", "syntax", 1, "lies")
    yield Candidate(f"{re.sub(r'^(?:the|this|these) ', '', s)} {pred}", "telegraphic", 1, "located-short")
    if not _guarded(f"{s} {pred}"):
        yield Candidate(f"is it incorrect to say that {s} {be} {pred}{tail}", "negation", -1, "incorrect-to-say")
        yield Candidate(f"is it true that {s} {be} not {pred}{tail}", "negation", -1, "true-that-not")


def _modality(p: Parsed) -> Iterator[Candidate]:
    m = p.predicate
    film = re.fullmatch(r"(?i)(?:chest )?(?:x-?ray|radiograph)|cxr|mammogram", m)
    method = re.sub(r"(?i)radiograph$", "X-ray", m)
    yield Candidate(f"is this image a {m}{'' if film or ' ' in m else ' scan' if m.upper() != 'ULTRASOUND' else ' image'}", "syntax", 1, "modality-image-is")
    yield Candidate(f"would you say that this is a {m}{_scan(m)}", "formality", 1, "would-you-say")
    yield Candidate(f"{m}", "telegraphic", 1, "modality-alone")
    if not re.fullmatch(r"(?i)cxr|chest .*|mammogram", m):
        yield Candidate(f"was this image acquired with {method}", "syntax", 1, "modality-acquired")
        yield Candidate(f"is the imaging modality {method}", "formality", 1, "formal-modality")
        yield Candidate(f"was {method} used to obtain this image", "lexical", 1, "modality-used")
        yield Candidate(f"is the imaging modality something other than {method}", "negation", -1, "other-than")
    yield Candidate(f"is it incorrect to say that this is a {m}{_scan(m)}", "negation", -1, "incorrect-to-say")


def _scan(m: str) -> str:
    return " scan" if re.fullmatch(r"(?i)magnetic resonance imaging|computed tomography|MR", m) else " image" if m.lower() == "ultrasound" else ""


def _plane(p: Parsed) -> Iterator[Candidate]:
    name = p.predicate
    yield Candidate(f"is this image in the {name} plane", "syntax", 1, "plane-in")
    yield Candidate(f"is the imaging plane {name}", "syntax", 1, "plane-is")
    yield Candidate(f"was this image acquired in the {name} plane", "formality", 1, "formal-plane-acquired")
    yield Candidate(f"is this a {name} slice", "lexical", 1, "plane-slice")
    yield Candidate(f"is this a {name} view", "lexical", 1, "plane-view")
    yield Candidate(f"{name} plane", "telegraphic", 1, "plane-alone")
    yield Candidate(f"is this image in a plane other than {name}", "negation", -1, "other-than")
    yield Candidate(f"is it incorrect to say that this is a {name} slice", "negation", -1, "incorrect-to-say")


def _identity(p: Parsed) -> Iterator[Candidate]:
    np = p.predicate
    yield Candidate(f"would you say that this is {np}", "formality", 1, "would-you-say")
    yield Candidate(f"is it correct that this is {np}", "formality", 1, "formal-correct-that")
    if not _guarded(np) and not re.search(r"\b(?:than|with|that|which)\b", np):
        yield Candidate(f"is it incorrect to say that this is {np}", "negation", -1, "incorrect-to-say")


def _where(p: Parsed) -> Iterator[Candidate]:
    be, tail = "are" if p.plural else "is", _tail(p.scope)
    yield Candidate(f"where {be} {p.subject} located{tail}", "lexical", 1, "where-located")
    yield Candidate(f"what is the location of {p.subject}{tail}", "syntax", 1, "location-of")
    yield Candidate(f"where can {p.subject} be seen{tail}", "syntax", 1, "where-seen")
    yield Candidate(f"location of {p.subject}", "telegraphic", 1, "location-short")


def _which_in(p: Parsed) -> Iterator[Candidate]:
    be, tail = "are" if p.plural else "is", _tail(p.scope)
    yield Candidate(f"in which {p.predicate} {be} {p.subject} located{tail}", "syntax", 1, "in-which")
    yield Candidate(f"which {p.predicate} {be} {p.subject} in{tail}", "syntax", 1, "which-in")
    yield Candidate(f"{p.subject} {be} located in which {p.predicate}{tail}", "formality", 1, "informal-echo")


def _count(p: Parsed) -> Iterator[Candidate]:
    yield Candidate(f"how many {p.subject} can be seen{_tail(p.scope)}", "lexical", 1, "count-seen")
    yield Candidate(f"how many {p.subject} are visible{_tail(p.scope)}", "lexical", 1, "count-visible")
    yield Candidate(f"what is the number of {p.subject}{_tail(p.scope)}", "syntax", 1, "number-of")
    yield Candidate(f"number of {p.subject}", "telegraphic", 1, "number-short")


def _colour(p: Parsed) -> Iterator[Candidate]:
    yield Candidate(f"what is the color of {p.subject}{_tail(p.scope)}", "syntax", 1, "color-of")
    yield Candidate(f"what color {'are' if p.plural else 'is'} {p.subject}{_tail(p.scope)}", "syntax", 1, "color-is")
    yield Candidate(f"color of {p.subject}", "telegraphic", 1, "color-short")


def _fixed(*rows: tuple[str, str, str]) -> Callable[[Parsed], Iterator[Candidate]]:
    def every(_: Parsed) -> Iterator[Candidate]:
        for text, family, rule in rows:
            yield Candidate(text, family, 1, rule)

    return every


def _alone(core: str) -> bool:
    head = re.split(r" of ", core)[0].split()[-1].lower()
    return head in vocabulary.FINDINGS and not _guarded(core)


def _plain(scope: str) -> bool:
    return bool(re.search(r"\b(?:this|the|above) (?:image|picture)$", scope))


def _guarded(text: str) -> bool:
    words = re.findall(r"[a-z0-9<>]+", text.lower())
    return any(w in vocabulary.QUANTIFIERS or w in vocabulary.UNCERTAIN or w[0].isdigit() or w in ("<", ">") for w in words)


_BY_KIND: dict[Kind, Callable[[Parsed], Iterator[Candidate]]] = {
    Kind.EXISTENCE: _existence,
    Kind.VISIBLE: _visible,
    Kind.ATTRIBUTE: _attribute,
    Kind.LOCATED: _located,
    Kind.MODALITY: _modality,
    Kind.PLANE: _plane,
    Kind.IDENTITY: _identity,
    Kind.WHERE: _where,
    Kind.WHICH_IN: _which_in,
    Kind.COUNT: _count,
    Kind.COLOUR: _colour,
    Kind.ASK_MODALITY: _fixed(
        ("what imaging modality is this", "lexical", "ask-imaging-modality"),
        ("which modality was used to acquire this image", "syntax", "ask-modality-used"),
        ("what is the imaging modality", "formality", "formal-modality"),
        ("modality", "telegraphic", "modality-alone"),
    ),
    Kind.ASK_PLANE: _fixed(
        ("what is the imaging plane", "formality", "formal-plane"),
        ("in which plane was this image acquired", "syntax", "ask-plane-acquired"),
        ("which plane is shown", "lexical", "ask-plane-shown"),
        ("plane", "telegraphic", "plane-alone"),
    ),
    Kind.ASK_SYSTEM: _fixed(
        ("which organ system is shown in this image", "lexical", "ask-system-shown"),
        ("what is the organ system shown", "syntax", "ask-system-is"),
        ("which organ system is depicted", "formality", "formal-system-depicted"),
        ("organ system", "telegraphic", "system-alone"),
    ),
}
