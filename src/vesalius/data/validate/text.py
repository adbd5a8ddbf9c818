"""A report cut into sections and sentences that know their place, each with what the labeler reads in it.

In: the text of a report in English, as it was given. Out: `Text`. A section is a known heading and a colon; text before the first one has the section "".
The labeler of `metrics.labels` reads each sentence for itself; sections that state nothing (INDICATION, COMPARISON ...) are kept, not labelled.
"""

from __future__ import annotations

import dataclasses
import functools
import re
from collections.abc import Mapping

from vesalius.metrics.label_words import FINDINGS, LEXICON, NO_FINDING
from vesalius.metrics.labels import Status, label_report

LONGEST = 50_000  # characters that are read; the longest published report of Indiana has 4,000
FOUND = ("", "findings", "impression")  # sections that state what is seen

_SECTIONS = {
    "findings": ("findings", "finding"),
    "impression": ("impression", "conclusion", "conclusions", "opinion"),
    "indication": (
        "indication", "indications", "clinical indication", "history", "clinical history", "clinical information", "reason for exam",
        "reason for examination",
    ),
    "comparison": ("comparison", "comparisons"),
    "technique": ("technique", "exam", "examination", "procedure", "views", "study", "type of exam", "title"),
    "recommendation": ("recommendation", "recommendations", "advice"),
    "other": ("date", "signed", "dictated", "addendum"),
}  # fmt: skip
_NAME = {heading: name for name, headings in _SECTIONS.items() for heading in headings}
_HEADING = re.compile(r"(?:(?<=[.;!?\n])|^|(?<=\s))[ \t]*\**\b(" + "|".join(sorted(_NAME, key=len, reverse=True)) + r")\b\**[ \t]*:", re.IGNORECASE)
_END = re.compile(r"(?<!\d)\.(?=\s|$)|(?<=\d)\.(?!\d)|[!?](?=\s|$)|\n[ \t]*\n|\n[ \t]*[-*•]|(?<=\s)\d{1,2}\.(?=\s)")
_WORDS = {name: re.compile("|".join(f"(?:{p})" for p in patterns)) for name, patterns in LEXICON.items()}
_NOT_WORD = re.compile(r"[^a-z0-9,;:/' ]+")


@dataclasses.dataclass(frozen=True)
class Sentence:
    """One sentence; `text` is the report from `start` to `end`."""

    section: str
    start: int
    end: int
    text: str

    @functools.cached_property
    def plain(self) -> str:
        """Lower case, single spaces, without signs."""
        return " ".join(_NOT_WORD.sub(" ", self.text.lower()).split())

    @functools.cached_property
    def says(self) -> Mapping[str, Status]:
        """Finding -> status, of the findings it mentions; empty where the section states nothing."""
        if self.section not in FOUND:
            return {}
        read = label_report(self.text)
        return {name: read[name] for name in FINDINGS if name != NO_FINDING and read[name] is not Status.NOT_MENTIONED}

    def words(self, finding: str) -> frozenset[str]:
        """The words that name a finding here; empty when it is only covered by a statement of normality."""
        return frozenset(match.group() for match in _WORDS[finding].finditer(self.plain))


@dataclasses.dataclass(frozen=True)
class Section:
    """A heading with its body; `start` and `end` enclose the body."""

    name: str
    heading: str
    start: int
    end: int
    body: str


@dataclasses.dataclass(frozen=True)
class Text:
    """A report that was cut."""

    whole: str
    sections: tuple[Section, ...]
    sentences: tuple[Sentence, ...]
    unread: int

    @property
    def found(self) -> tuple[Sentence, ...]:
        """Sentences of the sections that state what is seen."""
        return tuple(s for s in self.sentences if s.section in FOUND)

    def body(self, name: str) -> str | None:
        """The text of a section; None when there is none of that name."""
        bodies = [s.body for s in self.sections if s.name == name]
        return " ".join(bodies).strip() if bodies else None

    @functools.cached_property
    def states(self) -> Mapping[str, Status]:
        """What the labeler reads in the whole report, for every finding."""
        return label_report(self.whole[:LONGEST])


def cut(report: str) -> Text:
    """Cut a report; what lies beyond 50,000 characters is counted, not read."""
    read = report[:LONGEST]
    heads = list(_HEADING.finditer(read))
    stops = [head.start() for head in heads] + [len(read)]
    edges = [(0, stops[0], "", "")]
    edges += [(head.end(), stop, _NAME[head[1].lower()], head[1]) for head, stop in zip(heads, stops[1:], strict=True)]
    sections = tuple(Section(name, heading, start, end, read[start:end]) for start, end, name, heading in edges if heading or read[start:end].strip())
    sentences = tuple(sentence for section in sections for sentence in _sentences(section))
    return Text(report, sections, sentences, len(report) - len(read))


def _sentences(section: Section) -> list[Sentence]:
    found, begin = [], 0
    for stop in [match.span() for match in _END.finditer(section.body)] + [(len(section.body), len(section.body))]:
        piece = section.body[begin : stop[0]]
        kept = piece.strip()
        if any(c.isalnum() for c in kept):
            start = section.start + begin + len(piece) - len(piece.lstrip())
            found.append(Sentence(section.name, start, start + len(kept), kept))
        begin = stop[1]
    return found
