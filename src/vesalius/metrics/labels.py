"""What a chest report says of each of 28 findings: positive, negative, uncertain, or not mentioned. Rules alone, readable and the same everywhere.

In: the text of a report in English. Out: `Status` by finding. The list is in `label_words`, scopes of negation and doubt are in `label_scope`.
Only FINDINGS, IMPRESSION and text without a heading count; what was asked (INDICATION, HISTORY, COMPARISON, TECHNIQUE, ...) does not. Several mentions of a
finding: positive beats uncertain beats negative (CheXpert's rule, Irvin et al., AAAI 2019), so the order of the sentences never matters.
"""

from __future__ import annotations

import enum
import functools
import re
import unicodedata
from collections.abc import Mapping
from types import MappingProxyType

from vesalius.metrics.label_scope import ASIDE, DENIED, DOUBTED, clauses, cues
from vesalius.metrics.label_words import CHEXPERT, CHEXPERT_FIVE, FINDINGS, LEXICON, NO_FINDING, NORMAL, SUPPORT_DEVICES

__all__ = ["CHEXPERT", "CHEXPERT_FIVE", "FINDINGS", "NO_FINDING", "SUPPORT_DEVICES", "Status", "label_report", "label_sentence", "sections"]


class Status(enum.StrEnum):
    """What a text says of a finding. "no change in X" is positive: X is there."""

    POSITIVE = "positive"
    NEGATIVE = "negative"
    UNCERTAIN = "uncertain"
    NOT_MENTIONED = "not_mentioned"


_LONGEST = 600  # characters of a sentence
_NEAR = 160  # characters between two mentions that "or" may join
_RANK = {Status.NOT_MENTIONED: 0, Status.NEGATIVE: 1, Status.UNCERTAIN: 2, Status.POSITIVE: 3}
_READ = {
    "findings": "findings",
    "finding": "findings",
    "impression": "impression",
    "conclusion": "impression",
    "opinion": "impression",
    "conclusions": "impression",
}
_UNREAD = (
    "indication", "indications", "clinical indication", "history", "clinical history", "clinical information", "comparison", "comparisons", "technique",
    "exam", "examination", "reason for exam", "reason for examination", "procedure", "views", "study", "type of exam", "date", "signed", "dictated",
)  # fmt: skip
_HEADING = re.compile(r"(?:(?<=[.;!?\n])|^|(?<=\s))\s*\**(" + "|".join(sorted((*_READ, *_UNREAD), key=len, reverse=True)) + r")\**\s*:", re.IGNORECASE)
_SENTENCE = re.compile(r"(?<!\d)\.|\.(?!\d)|[!?]|\n\s*\n|(?:^|\s)[-*•](?=\s)")
_SPELLING = (("oedema", "edema"), ("haem", "hem"), ("tumour", "tumor"), ("air-space", "airspace"), ("calibre", "caliber"))
_NOT_WORD = re.compile(r"[^a-z0-9,;:/' ]+")
_PREFIX = re.compile(r"\bnon[- ]+(?=\w)")
_WORDS = {name: tuple(re.compile(pattern) for pattern in patterns) for name, patterns in LEXICON.items()}
_NORMAL = tuple((re.compile(pattern), names) for pattern, names in NORMAL)
_EITHER = re.compile(r"^(?: (?!and\b)\w+){0,3} (?:or|versus|vs)(?: (?!and\b)\w+){0,4} $")
_VERSUS = re.compile(r"^(?: (?!and\b|or\b)\w+){0,3} (?:versus|vs)\b")
_ABNORMAL = tuple(name for name in CHEXPERT if name not in (NO_FINDING, SUPPORT_DEVICES))


def sections(text: str) -> dict[str, str]:
    """The parts of a report that state what is seen: "findings", "impression", and "" for text under no heading. A heading is a known word and a colon."""
    parts = _HEADING.split(text)
    found: dict[str, list[str]] = {"": [parts[0]]}
    for heading, body in zip(parts[1::2], parts[2::2], strict=True):
        name = _READ.get(heading.lower())
        if name is not None:
            found.setdefault(name, []).append(body)
    return {name: "\n\n".join(bodies).strip() for name, bodies in found.items() if any(body.strip() for body in bodies)}


def label_report(text: str) -> Mapping[str, Status]:
    """Status of each of `FINDINGS`, in their order.

    `no_finding` is positive when something is said and none of CheXpert's twelve other abnormalities is positive or uncertain (devices do not count, nor do
    the 14 further findings); else not mentioned. Nothing depends on case, on kind and amount of space inside a line, or on the order of sentences.
    A single line end is a space, because reports are wrapped; an empty line ends a sentence. One of more than 600 characters is read in pieces.
    """
    merged = dict.fromkeys(FINDINGS, Status.NOT_MENTIONED)
    read = [piece for body in sections(text).values() for part in _SENTENCE.split(body) for piece in _pieces(_plain(part))]
    for sentence in read:
        for name, status in label_sentence(sentence).items():
            if _RANK[status] > _RANK[merged[name]]:
                merged[name] = status
    if read and all(_RANK[merged[name]] < _RANK[Status.UNCERTAIN] for name in _ABNORMAL):
        merged[NO_FINDING] = Status.POSITIVE
    return MappingProxyType(merged)


def _pieces(sentence: str) -> list[str]:
    """The sentence, cut at a comma or space where it is too long to be one: the time to read it grows with the square of its length."""
    pieces = []
    while len(sentence) > _LONGEST:
        cut = max(sentence.rfind(", ", 0, _LONGEST), 0) or max(sentence.rfind(" ", 0, _LONGEST), 0) or _LONGEST
        pieces.append(sentence[:cut].strip(" ,"))
        sentence = sentence[cut:].strip(" ,")
    return [piece for piece in (*pieces, sentence) if piece]


def _plain(part: str) -> str:
    text = unicodedata.normalize("NFKC", part).lower()
    for british, american in _SPELLING:
        text = text.replace(british, american)
    text = _PREFIX.sub("non", text)  # "non-displaced" describes, it does not deny
    return " ".join(_NOT_WORD.sub(" ", text.replace("/", " / ")).split()).strip(" ,;:/'")


@functools.lru_cache(maxsize=20_000)
def label_sentence(sentence: str) -> Mapping[str, Status]:
    """Findings that one sentence mentions (lower case, single spaces), with their status."""
    merged: dict[str, Status] = {}
    for clause in clauses(sentence):
        for name, status in _clause(clause):
            if name not in merged or _RANK[status] > _RANK[merged[name]]:
                merged[name] = status
    for pattern, names in _NORMAL:
        if pattern.search(sentence):
            for name in names:
                merged.setdefault(name, Status.NEGATIVE)
    return MappingProxyType(merged)


def _clause(clause: str) -> list[tuple[str, Status]]:
    mentions = sorted({(m.start(), m.end(), name) for name, patterns in _WORDS.items() for pattern in patterns for m in pattern.finditer(clause)})
    if not mentions:
        return []
    reach = cues(clause)
    found = []
    for start, end, name in mentions:
        last = clause.rfind(" ", start, end) + 1 or start  # where the mention's last word begins
        kinds = [cue.kind for cue in reach if cue.start <= last < cue.end]
        if ASIDE in kinds and name != SUPPORT_DEVICES:
            continue
        if kinds.count(DENIED) % 2:
            found.append((name, Status.NEGATIVE if DOUBTED not in kinds else Status.UNCERTAIN))
        elif DOUBTED in kinds or _either(clause, start, end, mentions):
            found.append((name, Status.UNCERTAIN))
        else:
            found.append((name, Status.POSITIVE))
    return found


def _either(clause: str, start: int, end: int, mentions: list[tuple[int, int, str]]) -> bool:
    """Whether the mention is one of two that are joined by "or" or "versus": one of them is meant."""
    if _VERSUS.match(clause[end:]):
        return True
    for other_start, other_end, _ in mentions:
        first, last = (end, other_start) if other_start >= end else (other_end, start)
        if not 0 < last - first < _NEAR or any(first <= s and e <= last for s, e, _ in mentions):
            continue
        if _EITHER.match(clause[first:last]):
            return True
    return False
