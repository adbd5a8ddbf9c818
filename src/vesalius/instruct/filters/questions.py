"""Filters of the question: does it give the caption or the answer away, does it ask for what no picture shows, does it need a picture at all.

In: `Case`. Out: objections with their place.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from vesalius.instruct.filters import reading, words
from vesalius.instruct.filters.case import Case
from vesalius.instruct.filters.objection import Objection, at
from vesalius.instruct.generate import wording
from vesalius.metrics.text import is_yes_no_question, normalise

COPIED = 6  # words in a row that a question shares with the caption
GIVEN = 0.7  # share of the caption's content words in one question
_LEAST_FORMS = 3
_SAID = re.compile(
    r"\bas (?:mentioned|described|stated|noted|reported|indicated|explained|discussed|said)\b(?! by the (?:patient|radiologist))"
    r"|\b(?:mentioned|described|stated) (?:above|earlier|before|previously|in the)\b"
    r"|\b(?:the|this|that|your) (?:caption|legend|text|description|passage|facts)\b",
    re.IGNORECASE,
)
_UNSEEN = tuple(
    (what, re.compile(pattern, re.IGNORECASE))
    for what, pattern in (
        ("a name", r"\b(?:patient|doctor|physician|radiologist|hospital|clinic|technician)(?:'s)? (?:full |last |first )?name\b"
        r"|\bname of (?:the |this )?(?:patient|doctor|physician|radiologist|hospital|clinic|technologist|institution)\b|\bwho (?:is "
        r"(?:the|this) (?:patient|person|doctor)|took|made|performed|ordered|wrote|reported|requested)\b|\bwh(?:o|ich (?:technician"
        r"|technologist|doctor|physician|radiologist|nurse|surgeon)) (?:operated|is (?:shown|pictured|depicted)|performed|took|read)\b"),
        ("a date", r"\b(?:what|which) (?:was the |is the |exact )?(?:date|day|year|month|time of day)\b|\b(?:date|year) (?:of|when"
        r"|on which)\b|\bwhen (?:was|were|did|is|will|does)\b|\bhow long ago\b|\bhow long has\b"),
        ("a place", r"\b(?:which|what) (?:hospital|clinic|country|city|department|institution|ward)\b|\bwhere (?:was|were) (?:the"
        r"|this|it|they) ?(?:\w+ )?(?:taken|acquired|made|performed|scanned|admitted|born)\b|\bwhere does (?:the|this) (?:patient|person)\b"),
        ("an identity", r"\b(?:address|phone|telephone|e-?mail|record number|mrn|insurance|accession|social security|occupation|job"
        r"|nationality|religion|marital)\b"),
        ("an age", r"\bhow old\b|\b(?:the|patient's|person's|exact) age\b|\bwhat age\b|\bage of (?:the|this) (?:patient|person|man"
        r"|woman|child)\b|\bdate of birth\b"),
        ("the history", r"\b(?:medical|clinical|family|smoking|surgical|medication) history\b|\bhistory of (?:the|this) patient\b"
        r"|\b(?:what|which|any) (?:medications?|medicines?|drugs|treatments?|allerg\w+)\b|\b(?:symptoms?|complaints?|complain\w*"
        r"|pain|cough\w*|fever)\b.*\bpatient\b|\bpatient\b.*\b(?:symptoms?|complaints?|complain\w*|feel\w*|suffer\w*|smoke\w*"
        r"|drink\w*|allerg\w+|take|taking)\b"),
        ("a value", r"\b(?:blood pressure|heart rate|temperature|pulse|oxygen saturation|(?:white )?blood (?:cell )?count"
        r"|h(?:a)?emoglobin|creatinine|(?:patient's|person's|body|his|her) (?:weight|height)|how (?:heavy|tall)|blood type"
        r"|lab(?:oratory)? (?:values?|results?|tests?)|biopsy results?)\b"),
        ("the device", r"\b(?:which|what) (?:brand|manufacturer|vendor|scanner|machine|software)\b|\b(?:tesla|kvp|mas\b|field "
        r"strength|radiation dose|slice thickness|repetition time|echo time)\b"),
        ("the outcome", r"\b(?:what|how) (?:will|did) (?:happen|the patient)\b|\b(?:survival|prognosis|life expectancy|outcome of)\b"),
    )
)  # fmt: skip
_GENERAL = re.compile(
    r"^(?:what|which) (?:is|are) (?:the )?(?:most |main |usual |typical |general )?(?:common )?"
    r"(?:functions?|purpose|definition|meaning|causes?|treatments?|symptoms?|risk factors?|types?|kinds?|use|uses|role"
    r"|benefits?|complications?|stages?)"
    r"\b(?! (?:of|in|for) (?:this|the (?:image|picture|scan|film|shown|visible)))"
    r"|^(?:what|which) (?:is|are) (?:the )?most common\b"
    r"|^(?:what|how) (?:does|do|can|is|are) .*\b(?:mean|stand for|work|treated|caused|diagnosed|prevented|defined|used for|done|performed)\b"
    r"|^why (?:do|does|should|would)\b|^(?:define|explain what|tell me about)\b|^what do you (?:know|think)\b"
    r"|^(?:what|which|how|where|why)\b.* an? (?:\w+ ){0,2}(?:x-?ray|ct|mri|scan|ultrasound|radiograph|film)\b"
    r"|^who (?:invented|discovered|was the first|first|developed|described)\b|\bmost (?:frequently|commonly|often)\b"
    r"|^how (?:common|long|many people|often)\b",
    re.IGNORECASE,
)
_WHAT_IS = re.compile(r"^what (?:is|are|causes?) (?:an? |the |meant by )?((?:\w+[ -]){0,2}\w+)\s*\?*$", re.IGNORECASE)
_HERE = re.compile(
    r"\b(?:this|these|here|left|right|lesions?|shown|seen|visible|depicted|displayed|present|patient|marked|arrow)\b"
    r"|\b(?:the|above|following|first|second) (?:\w+ )?(?:image|picture|film|scan|view|radiograph|x-?ray|photograph)s?\b",
    re.IGNORECASE,
)


def leak(case: Case) -> Iterator[Objection]:
    """A question or answer that tells of the text behind it; a question that repeats the caption; one that holds its own answer."""
    caption = case.caption
    for i, turn in enumerate(case.record.turns):
        for field, text in (("question", turn.question), ("answer", turn.answer)):
            hint = wording.hint(text)
            span = None if hint is None else (text.index(hint), text.index(hint) + len(hint))
            if span is None and (said := _SAID.search(text)) is not None:
                span = said.span()
            if span is not None:
                yield at("text", "tells of a text that the reader does not have", i, field, text, span)
        if turn.beyond:
            continue
        if caption and (copied := _copied(turn.question, caption)) is not None:
            yield at("copy", f"{COPIED} words in a row or more from the caption", i, "question", turn.question, copied)
        elif caption and (share := _share(turn.question, caption)) >= GIVEN:
            yield at("copy", f"holds {share:.0%} of what the caption says", i, "question", turn.question, (0, len(turn.question)))
        if (span := _given_away(turn.question, turn.answer)) is not None:
            yield at("answer", "the question holds its answer", i, "question", turn.question, span)


def unseen(case: Case) -> Iterator[Objection]:
    """A question for what no picture shows (names, dates, history, values), or one of general knowledge that needs no picture."""
    for i, turn in enumerate(case.record.turns):
        if turn.beyond:
            continue
        text = turn.question
        found = next(((what, m) for what, pattern in _UNSEEN if (m := pattern.search(text)) is not None), None)
        if found is not None:
            yield at("unseen", f"asks for {found[0]}, which no picture shows", i, "question", text, found[1].span())
            continue
        general = _GENERAL.search(text.strip())
        if general is not None and not _HERE.search(text):
            yield at("general", "can be answered without the picture", i, "question", text, (0, len(text)))
        elif (what := _WHAT_IS.match(text.strip())) is not None and _is_term(what[1]):
            yield at("general", "asks what a word means", i, "question", text, (0, len(text)))


def _is_term(phrase: str) -> bool:
    said = reading.content(phrase)
    return not _HERE.search(phrase) and bool(said) and said[-1].form in words.DISEASE_FORMS | {"xray", "ct", "mri", "ultrasound"}


def _copied(question: str, caption: str) -> tuple[int, int] | None:
    """The first run of `COPIED` words that stands in the caption too; it must hold two content words."""
    places = [m.span() for m in re.finditer(r"\w+(?:[-.']\w+)*", question)]
    said = [question[a:b].lower() for a, b in places]
    behind = f" {' '.join(re.findall(r'[a-z0-9]+(?:[-.][a-z0-9]+)*', caption.lower()))} "
    for first in range(len(said) - COPIED + 1):
        last = first + COPIED
        if f" {' '.join(said[first:last])} " in behind:
            while last < len(said) and f" {' '.join(said[first : last + 1])} " in behind:
                last += 1
            span = (places[first][0], places[last - 1][1])
            if len({w.form for w in reading.content(question[span[0] : span[1]])}) >= 2:
                return span
    return None


def _share(question: str, caption: str) -> float:
    forms = {word.form for word in reading.content(caption)}
    if len(forms) < _LEAST_FORMS:
        return 0.0
    return len(forms & {word.form for word in reading.content(question)}) / len(forms)


def _given_away(question: str, answer: str) -> tuple[int, int] | None:
    """Where an open question holds all content words of its answer; choices ("left or right?") and yes/no questions may."""
    if is_yes_no_question(question) or re.search(r"\b(?:or|vs|versus|eg|whether)\b", question, re.IGNORECASE):
        return None
    said = {word.form for word in reading.content(answer)} | {s.side for s in reading.sided(answer)}
    asked = {word.form: word.span for word in reading.content(question)} | {s.side: s.span for s in reading.sided(question)}
    if not said - words.GENERAL_FORMS or not said <= set(asked) or normalise(answer) in ("yes", "no") or re.search(r"\d|\b(?:not|no|without|normal)\b", answer):
        return None
    spans = [asked[form] for form in said]
    return min(a for a, _ in spans), max(b for _, b in spans)
