"""A record with what is read in it, worked out once and used by all filters.

In: a `Record`. Out: `Case`: what the caption states and denies, names, measures; what each answer claims.
"""

from __future__ import annotations

import dataclasses
import functools
import re
from collections.abc import Iterator

from vesalius.data.validate import words as places
from vesalius.instruct.filters import reading
from vesalius.instruct.filters.items import Record
from vesalius.instruct.filters.reading import Claim, Sided
from vesalius.metrics.label_words import NO_FINDING, SUPPORT_DEVICES
from vesalius.metrics.labels import Status

NORMAL = re.compile(
    r"\b(?:without|no|free of|absence of)(?: (?:any|an|obvious|evidence of|signs? of|visible|acute|significant|specific|other|particular|detectable))*"
    r" (?:abnormalit(?:y|ies)|abnormal findings?|patholog(?:y|ies)|disease|findings)\b"
    r"|\b(?:is|are|looks?|appears?|was|entirely|completely) (?:entirely |completely |within )?(?:normal|unremarkable|healthy)\b(?! in (?:size|position|shape))"
    r"|\b(?:normal|unremarkable|healthy) (?:(?:frontal|chest|head|abdominal|adult|plain) )*(?:film|x-?ray|radiograph|chest|scan"
    r"|study|examination|ct|mri|image)\b",
    re.IGNORECASE,
)
_PARTS = ("chest", "head", "abdomen", "neck", "pelvis")
_NOT_NORMAL = re.compile(r"\b(?:not|isn't|aren't|ab)\W*$", re.IGNORECASE)
# a finding that makes the broader one true
WIDER = {
    "lung_opacity": ("consolidation", "pneumonia", "atelectasis", "edema", "infiltration", "lung_lesion", "mass", "nodule", "fibrosis", "granuloma"),
    "infiltration": ("consolidation", "pneumonia"),
    "lung_lesion": ("mass", "nodule", "granuloma"),
    "pleural_other": ("pleural_thickening",),
    "enlarged_cardiomediastinum": ("cardiomegaly",),
}


@dataclasses.dataclass(frozen=True)
class Case:
    """One record, ready to be judged."""

    record: Record

    @property
    def caption(self) -> str:
        """What the record was made from; "" when that is not known."""
        return self.record.facts.text if self.record.facts else ""

    @functools.cached_property
    def told(self) -> str:
        """The caption and the text of the earlier image."""
        facts = self.record.facts
        return "" if facts is None else f"{facts.text}\n\n{facts.prior}" if facts.prior else facts.text

    @functools.cached_property
    def states(self) -> dict[str, Claim]:
        """Finding -> the strongest claim of the caption: positive before doubtful before negative."""
        rank = {Status.POSITIVE: 2, Status.UNCERTAIN: 1, Status.NEGATIVE: 0}
        found: dict[str, Claim] = {}
        for claim in reading.claims(self.caption):
            if claim.finding not in found or rank[claim.status] > rank[found[claim.finding].status]:
                found[claim.finding] = claim
        return found

    @functools.cached_property
    def normal(self) -> tuple[int, int] | None:
        """Where the caption calls the picture normal as a whole; None when it does not, or when it states an abnormality beside it."""
        ill = any(c.status is Status.POSITIVE and c.finding not in (NO_FINDING, SUPPORT_DEVICES) for c in self.states.values())
        return None if ill else whole_normal(self.caption)

    @functools.cached_property
    def forms(self) -> frozenset[str]:
        """Canonical content words of the caption and the earlier text."""
        return frozenset(word.form for word in reading.content(self.told))

    @functools.cached_property
    def sides(self) -> tuple[Sided, ...]:
        """Sides that the caption and the earlier text name."""
        return reading.sided(self.told)

    @functools.cached_property
    def regions(self) -> frozenset[str]:
        """Parts of the body that the caption names: CHEST, HEAD, ABDOMEN, NECK, PELVIS."""
        return regions(self.caption)

    @functools.cached_property
    def modalities(self) -> frozenset[str]:
        """Modalities that the caption names."""
        return frozenset(places.modalities(self.caption))

    def answers(self) -> Iterator[tuple[int, str, str]]:
        """Number, question and answer of the turns that ask for what the picture shows."""
        for i, turn in enumerate(self.record.turns):
            if not turn.beyond:
                yield i, turn.question, turn.answer

    def claims(self, question: str, answer: str) -> tuple[Claim, ...]:
        """What an answer claims: by itself, and by its yes or no."""
        return (*reading.answered(question, answer), *reading.claims(answer))

    def backing(self, finding: str) -> Claim | None:
        """The caption's claim that makes a finding true: of itself, or of one that it follows from."""
        for name in (finding, *WIDER.get(finding, ())):
            claim = self.states.get(name)
            if claim is not None and claim.status is Status.POSITIVE:
                return claim
        return None

    def doubting(self, finding: str) -> Claim | None:
        """The caption's claim that leaves a finding open."""
        for name in (finding, *WIDER.get(finding, ())):
            claim = self.states.get(name)
            if claim is not None and claim.status is Status.UNCERTAIN:
                return claim
        return None


def whole_normal(text: str) -> tuple[int, int] | None:
    """Where a text calls the whole picture normal; None when it does not. "The heart is normal in size" does not, nor does "not normal"."""
    for found in NORMAL.finditer(text):
        if not _NOT_NORMAL.search(text[: found.start()]) and not re.search(r"\bnot\b", found.group()):
            return found.span()
    return None


def regions(text: str) -> frozenset[str]:
    """Parts of the body that a text names."""
    return frozenset(word.form.upper() for word in reading.content(text) if word.form in _PARTS)
