"""Texts as the filters read them: words with their places, claims with their status, sides with what they are the side of, numbers with units.

In: a question, an answer, a caption. Out: small lists of things with their place in the text. Claims are those of the labeler of `metrics.labels`; sentences
and sections are cut by `data.validate.text`.
"""

from __future__ import annotations

import dataclasses
import functools
import re
from collections.abc import Iterator

from vesalius.data.validate.text import Sentence, cut
from vesalius.instruct.filters import words
from vesalius.metrics.labels import Status
from vesalius.metrics.stem import stem
from vesalius.metrics.text import is_yes_no_question

Span = tuple[int, int]
_WORD = re.compile(r"[^\W_]+(?:['’][a-z]+)?")
_CAVITY = re.compile(r"\b((?:chest|thoracic|abdominal|peritoneal|pleural|pelvic|oral|nasal|cranial|body)\s)(cavity|cavities)\b", re.IGNORECASE)
_ABSENT = re.compile(r"\b(?:absent|missing|lacking)\W*$", re.IGNORECASE)
_YES_NO = re.compile(r"\s*(?:yes|no)\b", re.IGNORECASE)
_SIDE = re.compile(
    r"\b(?:(left|lt)|(right|rt)|(bilateral\w*|bibasilar|bibasal|biapical|both))\b(?![- ](?:angle|now|away|there|handed|ventric\w+|atri\w+|heart|main ?stem))",
    re.IGNORECASE,
)
_STOP = re.compile(r"[,;:.!?()]|\b(?:and|or|but|with|while|whereas|than|from)\b", re.IGNORECASE)
_NEAR = 4  # words on either side of "left" that may be what it is the side of
_REACH = 80  # characters
_MEASURE = re.compile(
    r"(?<![\w.])(\d+(?:\.\d+)?)(?:\s?(?:x|×|by)\s?(\d+(?:\.\d+)?))?\s?-?(mm|millimet(?:er|re)s?|cm|centimet(?:er|re)s?|ml|cc|%"
    r"|percent|hu|hounsfield units?|degrees?|suv)(?!\w)",
    re.IGNORECASE,
)
_LENGTH = {"m": 1.0, "c": 10.0}


@dataclasses.dataclass(frozen=True)
class Word:
    """A content word: its canonical form, and where it stands."""

    form: str
    span: Span


@dataclasses.dataclass(frozen=True)
class Claim:
    """A finding with its status; the sentence that says so. named: the finding's own words stand there, not only "the lungs are clear"."""

    finding: str
    status: Status
    span: Span
    named: bool
    sides: frozenset[str] = frozenset()


@dataclasses.dataclass(frozen=True)
class Sided:
    """A word for a side, and the canonical words around it that it may be the side of."""

    side: str
    nouns: frozenset[str]
    span: Span


def canonical(word: str) -> str:
    """A word's form for comparison: lower case, one spelling, one of its synonyms, the stem."""
    plain = words.SPELLING(word.lower().replace("’", "'").removesuffix("'s"))
    return words.ONE_WORD.get(plain) or words.ONE_STEM.get(stem(plain)) or stem(plain)


@functools.lru_cache(maxsize=4096)
def content(text: str) -> tuple[Word, ...]:
    """Content words in order; phrases with a word of their own ("computed tomography") are one."""
    found: list[Word] = []
    taken = bytearray(len(text) + 1)
    for phrase, form in words.PHRASES:
        for match in phrase.finditer(text):
            if not any(taken[match.start() : match.end()]):
                taken[match.start() : match.end()] = b"\1" * (match.end() - match.start())
                found.append(Word(form, match.span()))
    for match in _WORD.finditer(text):
        plain = match.group().lower()
        if not taken[match.start()] and plain not in words.FRAME and (len(plain) > 2 or plain in words.SHORT) and not plain.isdigit():
            found.append(Word(canonical(plain), match.span()))
    return tuple(sorted((w for w in found if w.form not in words.FRAME_FORMS), key=lambda w: w.span))


@functools.lru_cache(maxsize=4096)
def sentences(text: str) -> tuple[Sentence, ...]:
    """Sentences with their places; the cavity of a body, which the labeler would take for one in a lung, is called its region."""
    return cut(_CAVITY.sub(lambda found: found.group(1) + ("region" if found.group(2).lower() == "cavity" else "regions "), text)).sentences


@functools.lru_cache(maxsize=4096)
def claims(text: str) -> tuple[Claim, ...]:
    """What a text says of each finding that it mentions, sentence by sentence."""
    return tuple(
        Claim(finding, status, (s.start, s.end), bool(s.words(finding)), frozenset(side.side for side in sided(s.text)))
        for s in sentences(text)
        for finding, status in s.says.items()
    )


def answered(question: str, answer: str) -> tuple[Claim, ...]:
    """What a yes or no claims of the findings that its question names; empty for any other answer. The place is that of the yes or no.

    Doubt in the question ("Can a pneumothorax be ruled out?") claims nothing. A "no" to "Are the lungs clear?" claims no finding by name.
    """
    said = _YES_NO.match(answer)
    if said is None or not is_yes_no_question(question):
        return ()
    yes = (said.group().strip().lower() == "yes") != bool(_ABSENT.search(question))
    turned = {Status.POSITIVE: Status.NEGATIVE, Status.NEGATIVE: Status.POSITIVE}
    asked = [claim for claim in claims(question) if claim.status in turned and (claim.named or yes)]
    return tuple(dataclasses.replace(claim, status=claim.status if yes else turned[claim.status], span=said.span()) for claim in asked)


@functools.lru_cache(maxsize=4096)
def sided(text: str) -> tuple[Sided, ...]:
    """Words for sides with their neighbours; "bilateral" and "both" are two entries with one place."""
    found: list[Sided] = []
    for match in _SIDE.finditer(text):
        nouns = frozenset(_neighbours(text, match.span()))
        found += [Sided(side, nouns, match.span()) for side in (("left",) if match[1] else ("right",) if match[2] else ("left", "right"))]
    return tuple(found)


def _neighbours(text: str, span: Span) -> Iterator[str]:
    after = _STOP.split(text[span[1] : span[1] + _REACH])[0] or ""
    side = _SIDE.search(after)
    yield from [w.form for w in content(after[: side.start()] if side else after)][:_NEAR]
    before = _STOP.split(text[max(0, span[0] - _REACH) : span[0]])[-1] or ""
    if not _SIDE.search(before):
        yield from [w.form for w in content(before)][-_NEAR:]


def measures(text: str) -> list[tuple[frozenset[float], str, Span]]:
    """Numbers with a unit: values (lengths in millimetres), kind of unit, place."""
    found = []
    for match in _MEASURE.finditer(text):
        unit = match[3].lower()
        values = [float(value) for value in match.group(1, 2) if value]
        kind = "length" if unit[:2] in ("mm", "cm") or "met" in unit else "share" if unit in ("%", "percent") else unit[:2]
        factor = _LENGTH[unit[0]] if kind == "length" else 1.0
        found.append((frozenset(round(v * factor, 3) for v in values), kind, match.span()))
    return found


def clip(text: str, span: Span, room: int = 160) -> str:
    """A stretch of a text, short enough to show."""
    return " ".join(text[span[0] : span[1]].split())[:room]
