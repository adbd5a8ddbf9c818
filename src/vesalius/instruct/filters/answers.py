"""Filters of the answer against what it was made from: denied there, not supported there, made up.

In: `Case`. Out: objections with their place and the caption's words. They are not applied where it is not known what a record was made from.
Answers that go beyond the picture by design (differential, significance) are asked only whether they contradict.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from vesalius.data.validate import words as places
from vesalius.instruct.filters import case as cases
from vesalius.instruct.filters import reading, words
from vesalius.instruct.filters.case import Case
from vesalius.instruct.filters.objection import Objection, at
from vesalius.metrics.label_words import NO_FINDING
from vesalius.metrics.labels import Status

COVERED = 0.5  # least share of an answer's content words that the caption backs
_LEAST_COUNTED = 3  # content words of an answer whose share is looked at
_VIEW = re.compile(
    r"\b(?:(pa|postero-?anterior)|(ap|antero-?posterior)|(lateral))\b(?! (?:ventric|wall|aspect|border|chest wall))(?= (?:view"
    r"|projection|film|chest|x-?ray|radiograph|image)|[.,;]|$)",
    re.IGNORECASE,
)
_PLANE = re.compile(r"\b(axial|transverse|coronal|sagittal)\b", re.IGNORECASE)
_NEGATED = re.compile(
    r"\b(?:no|not|without|neither|nor|never|free of|absence of|n't|rather than|instead of|denies|exclude[sd]?|rule[sd]? out)\b[^.;]*$", re.IGNORECASE
)


def contradiction(case: Case) -> Iterator[Objection]:
    """The answer denies what the caption states, states what it denies, or names another modality, part of the body, view or plane."""
    for i, turn in enumerate(case.record.turns):
        text = turn.answer
        if not turn.beyond:
            yield from _claims_against(case, i, turn.question, text)
            yield from _normal_against(case, i, text)
        yield from _kind_against(case, i, text)


def unsupported(case: Case) -> Iterator[Objection]:
    """The answer claims a finding, an organ or normality that the caption does not give, is surer than it, or shares too little with it."""
    for i, question, text in case.answers():
        yield from _claims_beyond(case, i, question, text)
        if (span := cases.whole_normal(text)) is not None and case.normal is None and not _ill(case) and not _silent(case):
            yield at("normal", "calls the picture normal, which the caption does not", i, "answer", text, span)
        yield from _words_beyond(case, i, text)


def _claims_against(case: Case, i: int, question: str, text: str) -> Iterator[Objection]:
    for claim in case.claims(question, text):
        name = claim.finding.replace("_", " ")
        if claim.finding == NO_FINDING:
            continue
        backing = case.backing(claim.finding)
        if claim.status is Status.NEGATIVE and claim.named and backing is not None and not _elsewhere(claim.sides, backing.sides):
            yield at("denied", f"denies {name}, which the caption states", i, "answer", text, claim.span, reading.clip(case.caption, backing.span))
        stated = case.states.get(claim.finding)
        if claim.status is Status.POSITIVE and backing is None:
            if stated is not None and stated.status is Status.NEGATIVE:
                yield at("stated", f"states {name}, which the caption denies", i, "answer", text, claim.span, reading.clip(case.caption, stated.span))
            elif case.normal is not None:
                yield at(
                    "stated",
                    f"states {name} in a picture that the caption calls normal",
                    i,
                    "answer",
                    text,
                    claim.span,
                    reading.clip(case.caption, case.normal),
                )


def _normal_against(case: Case, i: int, text: str) -> Iterator[Objection]:
    span = cases.whole_normal(text)
    if span is None:
        return
    ill = _ill(case)
    if ill is not None:
        yield at("normal", "calls the picture normal, and the caption names something ill", i, "answer", text, span, ill)


def _kind_against(case: Case, i: int, text: str) -> Iterator[Objection]:
    """Modality, part of the body, view, plane: only where the caption names one and the answer none of the same."""
    told = case.caption
    if case.modalities and (said := places.modalities(text) - case.modalities) and not places.modalities(text) & case.modalities:
        form = {"CT": "ct", "MR": "mri", "US": "ultrasound", "CR": "xray"}.get(min(said), "")
        span = next((w.span for w in reading.content(text) if w.form == form), None)
        if span is not None and not _NEGATED.search(text[: span[0]]):
            yield at("modality", "another modality than the caption's", i, "answer", text, span, " ".join(sorted(case.modalities)))
    said_regions = cases.regions(text)
    if case.regions and said_regions and not places.may_be_one(set(said_regions), set(case.regions)):
        span = next(w.span for w in reading.content(text) if w.form.upper() in said_regions)
        yield at("region", "another part of the body than the caption's", i, "answer", text, span, " ".join(sorted(case.regions)).lower())
    for what, pattern in (("view", _VIEW), ("plane", _PLANE)):
        known, said_kinds = _kinds(pattern, told), _kinds(pattern, text)
        if known and said_kinds and not known & said_kinds:
            found = pattern.search(text)
            assert found is not None
            yield at(what, f"another {what} than the caption's", i, "answer", text, found.span(), " ".join(sorted(known)))


def _claims_beyond(case: Case, i: int, question: str, text: str) -> Iterator[Objection]:
    seen: set[str] = set()
    for claim in case.claims(question, text):
        name = claim.finding.replace("_", " ")
        if claim.finding in seen or claim.finding == NO_FINDING:
            continue
        stated = case.states.get(claim.finding)
        if claim.status is Status.POSITIVE and case.backing(claim.finding) is None:
            doubt = case.doubting(claim.finding)
            if doubt is not None:
                seen.add(claim.finding)
                yield at("sure", f"is sure of {name}, the caption is not", i, "answer", text, claim.span, reading.clip(case.caption, doubt.span))
            elif stated is None and case.normal is None and not _worded(case, claim.finding):
                seen.add(claim.finding)
                yield at("finding", f"states {name}, of which the caption says nothing", i, "answer", text, claim.span)
        elif claim.status is Status.NEGATIVE and claim.named and stated is None and case.backing(claim.finding) is None and not _closed(case, claim.finding):
            seen.add(claim.finding)
            yield at("denial", f"denies {name}, of which the caption says nothing", i, "answer", text, claim.span)


def _words_beyond(case: Case, i: int, text: str) -> Iterator[Objection]:
    """Diseases and organs by name; then the share of all content words."""
    said, held = reading.content(text), _held(case, text)
    for word in said:
        ill, organ = word.form in words.DISEASE_FORMS, word.form in words.ORGAN_FORMS
        if word.form in case.forms or not (ill or organ) or (ill and _NEGATED.search(text[: word.span[0]])):
            continue
        if organ and case.record.facts is not None and (case.normal is not None or case.record.facts.silent or _implied(case, word.form)):
            continue
        if ill and word.form in held:
            continue
        yield at("disease" if ill else "organ", f"names {'a disease' if ill else 'an organ'} that the caption does not", i, "answer", text, word.span)
        return
    counted = [word for word in said if word.form not in words.GENERAL_FORMS]
    backed = [word for word in counted if word.form in case.forms]
    if len(counted) >= _LEAST_COUNTED and len(backed) < COVERED * len(counted):
        first = next(word for word in counted if word.form not in case.forms)
        yield at("coverage", f"{len(backed)} of {len(counted)} content words stand in the caption", i, "answer", text, first.span)


def _held(case: Case, text: str) -> frozenset[str]:
    """Words of the answer that name a finding which the caption gives in other words."""
    named = [words for s in reading.sentences(text) for finding in s.says if finding in case.states or case.backing(finding) for words in s.words(finding)]
    return frozenset(word.form for phrase in named for word in reading.content(phrase))


def _ill(case: Case) -> str | None:
    """Words of the caption that name something ill and do not deny it; None when there are none."""
    for claim in case.states.values():
        if claim.status is Status.POSITIVE and claim.finding not in (NO_FINDING, "support_devices"):
            return reading.clip(case.caption, claim.span)
    for word in reading.content(case.caption):
        if word.form in words.DISEASE_FORMS and not _NEGATED.search(case.caption[: word.span[0]]):
            return reading.clip(case.caption, word.span)
    return None


def _silent(case: Case) -> bool:
    return case.record.facts is not None and case.record.facts.silent


def _closed(case: Case, finding: str) -> bool:
    """Whether the caption lets a finding be denied of which it says nothing: it is normal, a report, or a broader denial covers it ("the lungs are clear")."""
    wider = (case.states.get(name) for name, narrower in cases.WIDER.items() if finding in narrower)
    return case.normal is not None or _silent(case) or any(claim is not None and claim.status is Status.NEGATIVE for claim in wider)


def _worded(case: Case, finding: str) -> bool:
    """Whether the caption holds the finding's own name as a word, which the labeler did not take for a claim."""
    return all(word.form in case.forms for word in reading.content(finding.replace("_", " ")))


def _implied(case: Case, organ: str) -> bool:
    """Whether an organ is in every picture of the part of the body that the caption names."""
    return any(organ in words.ALWAYS.get(part, ()) for part in case.regions)


def _elsewhere(said: frozenset[str], stated: frozenset[str]) -> bool:
    return bool(said and stated and not said & stated)


def _kinds(pattern: re.Pattern[str], text: str) -> set[str]:
    found = set()
    for match in pattern.finditer(text):
        groups = [n for n, g in enumerate(match.groups()) if g]
        found.add({"transverse": "axial"}.get(match.group().lower(), match.group().lower()) if pattern is _PLANE else ("pa", "ap", "lateral")[groups[0]])
    return found
