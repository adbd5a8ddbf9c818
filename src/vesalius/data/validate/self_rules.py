"""Does the report fit itself: stated and denied, left and right, "no acute" and an acute finding, empty sections, left-overs, the same sentence twice.

In: `Facts` with a report. Out: hits with both places. What a sentence says of a finding is the labeler's reading (`metrics.labels`).
A denial that is qualified ("no large effusion", "no focal consolidation") denies a kind, not the finding, and is held against nothing.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from vesalius.data.validate import words
from vesalius.data.validate.case import Facts
from vesalius.data.validate.remark import Evidence, Hit, Severity
from vesalius.data.validate.text import LONGEST, Sentence
from vesalius.metrics.label_words import FINDINGS, NO_FINDING, SUPPORT_DEVICES
from vesalius.metrics.labels import Status

_BROAD = frozenset(
    {
        "lung_opacity",
        "lung_lesion",
        "edema",
        "pleural_effusion",
        "pleural_other",
        "pneumonia",
        SUPPORT_DEVICES,
        "aortic_abnormality",
        "spine_degeneration",
        "emphysema",
        "fibrosis",
    }
)
_SIDED = (
    "lung_opacity", "lung_lesion", "consolidation", "pneumonia", "atelectasis", "pneumothorax", "pleural_effusion", "fracture", "mass", "nodule", "granuloma",
    "scarring", "pleural_thickening",
)  # fmt: skip
_QUALIFIED = words.any_of(
    r"large focal new acute other additional further definite definitive significant sizable sizeable suspicious displaced confluent lobar overt "
    r"frank dense discrete enlarging dominant developing noncalcified residual tension worsening obvious gross appreciable measurable recurrent "
    r"increas\w+ chang\w+ progress\w* interval convincing typical mass-?like segmental active superimposed secondary associated underlying recent "
    r"compression marked moderate drainable layering major substantial otherwise longer more coalescent severe rapid\w* aggressive lytic well "
    r"sided cavit\w+ diffuse suggest\w* remaining remainder rest elsewhere laryngeal"
)
_THEN = words.any_of(r"previous\w* prior formerly resol\w+ history removed interval cleared clearing no_longer compar\w+ old remote heal\w+ ago less")
_COVERS_NOT = re.compile(
    r"\b(?:otherwise|grossly|essentially|relatively|generally|largely|remain\w+|rest|elsewhere|other|volumes?|inflat\w+|expan\w+|acute|appear)\b"
)
_PLACE = re.compile(
    r"\b(upper|lower|middle|mid|api\w+|bas(?:e|es|al|ilar)|retrocardiac|lingula\w*|anterior|posterior|perihilar|costophrenic|cervical|thoracic|lumbar"
    r"|clavic\w+|ribs?|lungs?|mediastin\w+|pulmonary|bon[ey]\w*)\b"
)
_HEDGE = words.any_of(
    r"suggest\w* possib\w+ may might could likely probabl\w+ question\w* versus vs or appear\w* borderline upper_limits? if consistent compatible "
    r"minimal\w* mild\w* slight\w* trace tiny small subtle faint residual chronic calcified scar\w* subsegmental linear discoid plate-?like "
    r"streaky overlying overlap\w* artifact\w* nipple\w* soft_tissues? fat secondary_to due_to represent\w* hernia\w* mediastin\w+ bands? vague "
    r"crowding"
)
_NO_ACUTE = re.compile(
    r"\bno (?:(?:radiographic|plain film|definite|convincing|other|significant)? ?(?:evidence|findings?|signs?) (?:of|for) )?(?:an? |any )?(?:acute|active)"
    r"(?:[ ,/-]+(?:or|and|active|acute|significant)*)? ?(?:cardio\w*|pulmonary|intrathoracic|thoracic|chest|lung|disease|process\w*"
    r"|abnormal\w+|findings?|changes?|radiographic|infiltrates?)"
    r"(?! (?:consolid|edema|pneumo|effusion))|\bno acute(?: \w+)?$",
    re.IGNORECASE,
)
_ACUTE = ("pneumothorax", "pneumonia", "consolidation", "edema")
_LASTING = words.any_of(
    r"chronic stable unchanged old prior previous resol\w+ improv\w+ heal\w+ remote persist\w* again known post\w* history mild\w* minimal\w* bone "
    r"bony marrow congestion vascular\w* scar\w* fluid_overload prominen\w+ failure"
)
_BLANK = re.compile(
    r"\[(?!\*\*)[^\]\n]{0,60}\]|_{4,}|\*{4,}|\{[^}\n]{0,60}\}|<(?!x{3})[a-z][^>\n]{0,60}>|&(?:lt|gt|amp|nbsp);|\?{3,}|%[A-Za-z_]{2,30}%"
    r"|\b(?:tbd|todo|lorem ipsum|insert (?:text|here|findings|date|name)|fill in|inaudible"
    r"|dictation (?:error|blank)|select one|placeholder|\(please specify\))\b",
    re.IGNORECASE,
)
_SAME_WORDS = 4  # a repeated sentence of fewer words ("No effusion.") is no copying error worth telling


def denied(facts: Facts) -> Iterator[Hit]:
    """A finding that one sentence states and another denies by name, without qualification, of the same side and place."""
    seen: set[tuple[int, int]] = set()
    for name in _named():
        stated, refused = _saying(facts, name, Status.POSITIVE), [s for s in _saying(facts, name, Status.NEGATIVE) if s.words(name)]
        for other in refused:
            if _THEN.search(other.text) or words.MARK.search(other.text):
                continue
            for one in stated:
                if (one.start, other.start) not in seen and not _doubted(one, name) and qualified(other) <= qualified(one) and _against(one, other, name):
                    seen.add((one.start, other.start))
                    yield Hit(Severity.WARNING, f"{name.replace('_', ' ')} is stated and denied", (_at(one, name), _at(other, name)))
                    break


def normal(facts: Facts) -> Iterator[Hit]:
    """A finding that one sentence states, and another covers by calling the organ normal or clear."""
    seen: set[int] = set()
    for name in _named():
        covered = [s for s in _saying(facts, name, Status.NEGATIVE) if not s.words(name)]
        for one in _saying(facts, name, Status.POSITIVE):
            if one.start in seen or _HEDGE.search(one.plain) or _THEN.search(one.text) or _not_of_body(one, name):
                continue
            other = next(
                (s for s in covered if not _THEN.search(s.text) and not words.MARK.search(s.text) and not _covers_not(s, name) and _same_side(one, s)), None
            )
            if other is not None:
                seen.add(one.start)
                yield Hit(Severity.WARNING, f"{name.replace('_', ' ')} is stated, and the organ is called normal", (_at(one, name), _at(other, name)))


def side(facts: Facts) -> Iterator[Hit]:
    """The findings put something on one side alone, the impression on the other alone."""
    for name in _SIDED:
        places: dict[str, list[tuple[Sentence, set[str]]]] = {"findings": [], "impression": []}
        for sentence in _saying(facts, name, Status.POSITIVE):
            if sentence.section in places:
                places[sentence.section].append((sentence, words.sides(sentence.text)))
        found, impression = places["findings"], places["impression"]
        there, here = set().union(*(s for _, s in found)), set().union(*(s for _, s in impression))
        if len(there) == 1 and len(here) == 1 and there != here and all(s for _, s in (*found, *impression)):
            message = f"{name.replace('_', ' ')} is {there.pop()} in the findings, {here.pop()} in the impression"
            yield Hit(Severity.ERROR, message, (_at(found[0][0], name), _at(impression[0][0], name)))
            return


def acute(facts: Facts) -> Iterator[Hit]:
    """It is said that there is no acute disease, beside an acute finding."""
    calm = next((s for s in (facts.report.found if facts.report else ()) if _NO_ACUTE.search(s.text)), None)
    if calm is None:
        return
    for name in _ACUTE:
        one = next((s for s in _saying(facts, name, Status.POSITIVE) if s is not calm and not _LASTING.search(s.text) and not _THEN.search(s.text)), None)
        if one is not None:
            yield Hit(
                Severity.WARNING, f'"no acute" beside {name}', (_at(one, name), Evidence("report", calm.section or "text", "no acute", (calm.start, calm.end)))
            )
            return


def empty(facts: Facts) -> Iterator[Hit]:
    """A heading without text; a report that states nothing at all."""
    if facts.report is None:
        return
    if not facts.report.found:
        yield Hit(Severity.ERROR, "the report states nothing", (Evidence("report", "text", len(facts.report.whole)),))
        return
    for section in facts.report.sections:
        if section.name in ("findings", "impression") and not any(c.isalnum() for c in facts.report.body(section.name) or ""):
            yield Hit(Severity.WARNING, f"the section {section.name} is empty", (Evidence("report", section.name, None, (section.start, section.end)),))


def leftover(facts: Facts) -> Iterator[Hit]:
    """Blanks of a template and words of dictation. The marks of de-identified sets (XXXX, ___, [** **]) are none."""
    if facts.report is None:
        return
    for section in facts.report.sections:
        for match in _BLANK.finditer(section.body):
            span = (section.start + match.start(), section.start + match.end())
            yield Hit(Severity.WARNING, "a blank of a template is left", (Evidence("report", section.name or "text", match.group(), span),))


def repeated(facts: Facts) -> Iterator[Hit]:
    """The same sentence twice in one section."""
    seen: dict[tuple[str, str], Sentence] = {}
    for sentence in facts.report.found if facts.report else ():
        key = (sentence.section, sentence.plain)
        if key in seen and len(sentence.plain.split()) >= _SAME_WORDS:
            first = seen[key]
            told = tuple(Evidence("report", s.section or "text", None, (s.start, s.end)) for s in (first, sentence))
            yield Hit(Severity.NOTE, "the same sentence stands twice", told)
        seen.setdefault(key, sentence)


def long(facts: Facts) -> Iterator[Hit]:
    """More text than is read."""
    if facts.report is not None and facts.report.unread:
        yield Hit(
            Severity.ERROR, f"the report is longer than {LONGEST:,} characters, the rest was not read", (Evidence("report", "unread", facts.report.unread),)
        )


def qualified(sentence: Sentence) -> set[str]:
    """Words by which a sentence speaks of a kind of finding, not of any."""
    return {word.lower() for word in _QUALIFIED.findall(sentence.text)}


def _named() -> list[str]:
    return [name for name in FINDINGS if name != NO_FINDING]


def _saying(facts: Facts, name: str, status: Status) -> list[Sentence]:
    return [s for s in facts.report.found if s.says.get(name) is status] if facts.report else []


def _against(one: Sentence, other: Sentence, name: str) -> bool:
    """Whether a denial denies what a sentence states."""
    if one is other or _THEN.search(one.text) or not _same_side(one, other) or _not_of_body(one, name):
        return False
    places, named = set(_PLACE.findall(other.plain)), set(_PLACE.findall(one.plain))
    if places and not places & named:
        return False
    if name in _BROAD:
        return bool({w[:6] for w in one.words(name)} & {w[:6] for w in other.words(name)})
    return True


def _doubted(one: Sentence, name: str) -> bool:
    """Whether a word of doubt stands before the finding; one behind it may only doubt its cause."""
    last = max((one.plain.find(word) for word in one.words(name)), default=0)
    return bool(words.DOUBT.search(one.plain[:last]))


def _not_of_body(one: Sentence, name: str) -> bool:
    """A screw breaks too; and what follows a "no" is left to the labeler's doubt."""
    first = min((one.plain.find(word) for word in one.words(name)), default=0)
    return (name == "fracture" and bool(words.HARDWARE.search(one.plain))) or bool(re.search(r"\b(?:no|not|without)\b", one.plain[:first]))


def _covers_not(other: Sentence, name: str) -> bool:
    """Statements of normality that leave room: "otherwise clear", "normal volumes", "no acute bony abnormality" of an old fracture."""
    found = _COVERS_NOT.findall(other.plain)
    return any(word != "acute" or name == "fracture" for word in found)


def _same_side(one: Sentence, other: Sentence) -> bool:
    """A denial without side denies both; one with a side denies what is stated of that side."""
    refused = words.sides(other.text)
    return not refused or bool(refused & words.sides(one.text))


def _at(sentence: Sentence, name: str) -> Evidence:
    said = ", ".join(sorted(sentence.words(name))) or None
    return Evidence("report", sentence.section or "text", said, (sentence.start, sentence.end))
