"""What an answer adds that its caption does not hold: a measurement, a number, an earlier study, a side, facts of the patient.

In: `Case`. Out: objections with their place. Not applied where it is not known what a record was made from.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from vesalius.instruct.filters import reading
from vesalius.instruct.filters.case import Case
from vesalius.instruct.filters.objection import Objection, at
from vesalius.instruct.filters.reading import Sided
from vesalius.metrics.text import normalise

_PRIOR = re.compile(
    r"\b(?:unchanged|interval (?:change|increase|decrease|development|improvement|worsening|resolution)|in the interval|again "
    r"(?:seen|noted|demonstrated|identified)"
    r"|(?:has|have) (?:\w+ )?(?:worsened|improved|progressed|resolved|increased|decreased|grown|enlarged|shrunk)|no longer (?:seen|visible|present)"
    r"|compared (?:to|with) (?:the |a )?(?:prior|previous|earlier|last)|(?:prior|previous|earlier|last) (?:\w+ )?(?:study|studies"
    r"|exam\w*|film|radiograph|image|imaging|scan|x-?ray|ct|mri)"
    r"|since the (?:prior|previous|last)|newly (?:seen|developed)|is (?:now )?(?:stable|worse|improving|worsening)|stable (?:appearance|in size|disease))\b",
    re.IGNORECASE,
)
_PATIENT = tuple(
    (what, re.compile(pattern, re.IGNORECASE))
    for what, pattern in (
        ("an age", r"\b\d{1,3}[- ]?(?:year|yr|month|week|day)s?[- ]?old\b|\baged? \d{1,3}\b|\b(?:elderly|middle-aged|newborn|infant|teenage\w*)\b"),
        ("a sex", r"\b(?:male|female|man|woman|boy|girl)\b(?! pelvis)"),
        ("the history", r"\b(?:history of|known to have|presents? with|presented with|complain(?:s|ed|ing) of|admitted (?:for|with)"
        r"|underwent|status post|was diagnosed|has been (?:diagnosed|treated)|smoker|diabetic|hypertensive)\b"),
        ("symptoms", r"\b(?:shortness of breath|dyspn(?:o)?ea|chest pain|abdominal pain|headache|fever|coughing|cough|nausea|vomiting|weight loss|fatigue)\b"),
        ("a date", r"\b(?:19|20)\d\d\b|\b(?:january|february|march|april|june|july|august|september|october|november|december) \d"),
        ("a device setting", r"\b\d+(?:\.\d+)?\s?(?:tesla|t\b|kvp|kv|mas)\b"),
    )
)  # fmt: skip
_COUNT = re.compile(
    r"\b(two|three|four|five|six|seven|eight|nine|ten|[2-9]|1\d)\b(?= (?:\w+ ){0,2}?(?:nodules?|masses|lesions?|tumou?rs?|cysts?"
    r"|stones?|fractures?|opacit\w+|effusions?|lungs?"
    r"|kidneys?|lymph nodes|metastases|calcifications?|regions?|areas?|images?|ribs)\b)",
    re.IGNORECASE,
)
_HOW_MANY = re.compile(r"\s*how many\b(?!.*\b(?:lungs|kidneys|eyes|organs)\b)", re.IGNORECASE)
_NUMBER = re.compile(r"\s*(?:there (?:is|are) )?(one|two|three|four|five|six|seven|eight|nine|ten|\d{1,3})\b", re.IGNORECASE)
_PAIRED = frozenset({"lung", "kidney"})


def invented(case: Case) -> Iterator[Objection]:
    """A measurement, a count, a change since an earlier study, a side or facts of the patient that the caption does not hold."""
    for i, turn in enumerate(case.record.turns):
        text = turn.answer
        yield from _measured(case, i, turn.question, text)
        if not (case.record.facts and case.record.facts.prior) and (found := _PRIOR.search(text)) is not None and _PRIOR.search(case.caption) is None:
            yield at("prior", "tells of an earlier study that is not there", i, "answer", text, found.span())
        for what, pattern in _PATIENT:
            if (
                (found := pattern.search(text)) is not None
                and normalise(found.group()) not in normalise(case.told)
                and not (turn.beyond and what == "symptoms")
            ):
                yield at("patient", f"tells {what}, of which the caption says nothing", i, "answer", text, found.span())
                break
        if not turn.beyond:
            yield from _sided(case, i, turn.question, text)


def _measured(case: Case, i: int, question: str, text: str) -> Iterator[Objection]:
    known: dict[str, set[float]] = {}
    for values, kind, _ in reading.measures(case.told):
        known.setdefault(kind, set()).update(values)
    for values, kind, span in reading.measures(text):
        if not values <= known.get(kind, set()):
            yield at("measurement", "a measurement that the caption does not have", i, "answer", text, span)
            return
    numbers = set(normalise(case.told).split())
    for found in _COUNT.finditer(text):
        word = normalise(found.group(1))
        paired = word == "2" and any(w.form in _PAIRED for w in reading.content(text[found.end() : found.end() + 30]))
        if word not in numbers and not paired and not (word == "2" and "both" in numbers):
            yield at("count", "a number that the caption does not have", i, "answer", text, found.span())
            return
    bare = _NUMBER.match(text) if _HOW_MANY.match(question) else None
    if bare is not None and normalise(bare.group(1)) not in numbers:
        yield at("count", "a number that the caption does not have", i, "answer", text, bare.span(1))


def _sided(case: Case, i: int, question: str, text: str) -> Iterator[Objection]:
    """Sides with what they are the side of. An answer that is only a side ("Left.") takes the words of its question."""
    asked = frozenset(word.form for word in reading.content(question))
    told = case.sides
    for claim in reading.sided(text):
        nouns = claim.nouns or asked
        fitting = [one for one in told if one.nouns & nouns]
        if any(one.side == claim.side for one in fitting):
            continue
        wrong = next((one for one in fitting), None)
        if wrong is not None and _not_denied(text, claim):
            yield at("wrong side", f"{claim.side}, where the caption says {wrong.side}", i, "answer", text, claim.span, reading.clip(case.told, wrong.span))
            return
        if case.record.task != "grounding" and not (not claim.nouns and any(one.side == claim.side for one in told)):
            yield at("side", f"a side ({claim.side}) that the caption does not give", i, "answer", text, claim.span)
            return


def _not_denied(text: str, claim: Sided) -> bool:
    return not re.search(r"\b(?:no|not|without)\b[^.,;]*$", text[: claim.span[0]], re.IGNORECASE)
