"""Does the report speak of this patient: sex, age, and words that belong to another age.

In: `Facts` with a report. Out: hits. Dates and names never become evidence, ages and the matched words do.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from vesalius.data.validate.case import Facts
from vesalius.data.validate.remark import Evidence, Hit, Severity
from vesalius.data.validate.text import Sentence
from vesalius.domain.study import Sex

_FEMALE_ONLY = re.compile(
    r"\b(?:pregnan\w+|gravid|postpartum|uter(?:us|ine)|hysterectomy|ovar(?:y|ies|ian)|cervical cancer|endometri\w+|menopaus\w+|c-section|cesarean)\b",
    re.IGNORECASE,
)
_MALE_ONLY = re.compile(r"\b(?:prostat\w+|testic\w+|testis|scrot\w+|penile|seminoma\w*)\b", re.IGNORECASE)
_OF_OTHERS = re.compile(r"\b(?:family|mother|father|sister|brother|husband|wife|partner|maternal|paternal)\b", re.IGNORECASE)
_WOMAN = re.compile(r"\b(?:female|woman|lady|girl|\d+ ?(?:yo|y/o) ?f|[wb]f(?= with| w/))\b", re.IGNORECASE)
_MAN = re.compile(r"\b(?:male|man|gentleman|boy|\d+ ?(?:yo|y/o) ?m|[wb]m(?= with| w/))\b", re.IGNORECASE)
_YEARS = re.compile(r"\b(\d{1,3})[- ]?(?:years?|yrs?|yo|y/o)(?:[- ]?olds?)?(?:[- ]?(?=male|female|man|woman|m\b|f\b))?\b", re.IGNORECASE)
_OLD = re.compile(r"old|yo|y/o|male|female|man|woman", re.IGNORECASE)
_YOUNG_WORDS = re.compile(
    r"\b(?:neonat\w+|newborn|preterm|prematurity|umbilical (?:venous|arterial|vein|artery)|(?:open|unfused) (?:growth plates?|phys[ei]s)|bone age"
    r"|pa?ediatric|thymic shadow|surfactant deficiency|croup|bronchiolitis)\b",
    re.IGNORECASE,
)
_AGED_WORDS = re.compile(r"\b(?:atheroscler\w+|osteopor\w+|degenerative|spondylosis|senescent|senile|tortuous aorta|copd|emphysema\w*)\b", re.IGNORECASE)
_DENIES = re.compile(r"\b(?:no|not|without|negative)\b", re.IGNORECASE)
_GROWN, _CHILD, _NEAR = 20, 15, 1.5  # years
_ASKED = ("indication", "", "findings", "impression")


def sex(facts: Facts) -> Iterator[Hit]:
    """Words of the other sex: its name, or organs and states that only it has. Without a stated sex the report's own word for the patient counts."""
    sentences = [s for s in _sentences(facts) if not _OF_OTHERS.search(s.text)]
    named = {Sex.FEMALE: _first(sentences, _WOMAN), Sex.MALE: _first(sentences, _MAN)}
    stated = facts.sex
    if stated is not None:
        other = Sex.MALE if stated is Sex.FEMALE else Sex.FEMALE
        if named[other] and not named[stated]:
            yield Hit(
                Severity.ERROR, f"the patient is {_word(stated)}, the report says {_word(other)}", (Evidence("case", "sex", str(stated)), *_told(named[other]))
            )
    said = stated or next((s for s in named if named[s] and not named[Sex.MALE if s is Sex.FEMALE else Sex.FEMALE]), None)
    if said is None:
        return
    organs = _first(sentences, _MALE_ONLY if said is Sex.FEMALE else _FEMALE_ONLY)
    if organs:
        yield Hit(
            Severity.ERROR,
            f"the patient is {_word(said)}, the report speaks of what only the other sex has",
            (Evidence("case", "sex", str(said)), *_told(organs)),
        )


def age(facts: Facts) -> Iterator[Hit]:
    """Another age than the study's in the report's words; an age that nobody reaches."""
    for sentence in _sentences(facts):
        for match in _YEARS.finditer(sentence.text):
            if not _OLD.search(match.group() + sentence.text[match.end() : match.end() + 10]) or _OF_OTHERS.search(sentence.text):
                continue
            years = int(match[1])
            told = _told((sentence, match))
            if years > 120:
                yield Hit(Severity.ERROR, f"an age of {years} years", told)
            elif facts.age is not None and abs(years - facts.age) > _NEAR:
                yield Hit(Severity.WARNING, f"the patient is {facts.age:.0f} years old, the report says {years}", (Evidence("case", "age", facts.age), *told))


def words_of_age(facts: Facts) -> Iterator[Hit]:
    """Words of the newborn and of children in an adult, of the aged in a child."""
    years = facts.age
    if years is None:
        return
    sentences = [s for s in facts.report.found if not _DENIES.search(s.text)] if facts.report else []
    if years >= _GROWN and (found := _first(sentences, _YOUNG_WORDS)):
        yield Hit(Severity.WARNING, f"the patient is {years:.0f} years old, the report has words of childhood", (Evidence("case", "age", years), *_told(found)))
    if years < _CHILD and (found := _first(sentences, _AGED_WORDS)):
        yield Hit(Severity.WARNING, f"the patient is {years:.0f} years old, the report has words of old age", (Evidence("case", "age", years), *_told(found)))


def _sentences(facts: Facts) -> list[Sentence]:
    return [s for s in facts.report.sentences if s.section in _ASKED] if facts.report else []


def _first(sentences: list[Sentence], pattern: re.Pattern[str]) -> tuple[Sentence, re.Match[str]] | None:
    return next(((s, m) for s in sentences if (m := pattern.search(s.text))), None)


def _told(found: tuple[Sentence, re.Match[str]] | None) -> tuple[Evidence, ...]:
    if found is None:
        return ()
    sentence, match = found
    return (Evidence("report", sentence.section or "text", match.group(), (sentence.start + match.start(), sentence.start + match.end())),)


def _word(sex_: Sex) -> str:
    return "female" if sex_ is Sex.FEMALE else "male"
