"""Where a named thing is, and what is at a named place.

In: boxes with names. Out: name -> boxes as text (`boxes` has the convention), or "none" for as many images that surely lack it; box -> name, as a choice.
Surely lacking: a film that is stated to be normal, or a picture of a part of the body at least two away from every one where the name was ever marked; that a
name was not marked on a picture of the same region says nothing.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping

from vesalius.domain.finding import Certainty, Region
from vesalius.errors import InvalidValue
from vesalius.instruct.build import balance, boxes, wordings
from vesalius.instruct.build.desk import Desk
from vesalius.instruct.build.names import apart, confused
from vesalius.instruct.build.study import Study
from vesalius.instruct.record import Box, Instruction
from vesalius.metrics.label_words import NO_FINDING
from vesalius.metrics.localisation import iou

_ONE_PLACE = 0.5  # boxes of two names that overlap so much are one place with two names
_LEAST_NAMES = 4

Marks = Mapping[str, list[Region]]


def make(desk: Desk) -> Iterator[Instruction]:
    """See the module."""
    seen = [(study, *_marks(desk, study)) for study in desk.material.studies if study.marks]
    yield from _where(desk, seen)
    yield from _what(desk, seen)


def _marks(desk: Desk, study: Study) -> tuple[Marks, tuple[int, int]]:
    """Boxes by name, cut at the edge; thin ones are left out."""
    width, height = boxes.size(desk.root / study.images[0])
    found: dict[str, list[Region]] = defaultdict(list)
    for name, given in study.marks:
        region = boxes.inside(given, width, height)
        try:
            boxes.write([region] if region else [], width, height)
        except InvalidValue:
            region = None
        if region is None:
            desk.leave("a box outside the image, or too thin to be written")
        elif region not in found[name]:  # some are marked twice
            found[name].append(region)
    return {name: regions for name, regions in found.items() if regions}, (width, height)


def _where(desk: Desk, seen: list[tuple[Study, Marks, tuple[int, int]]]) -> Iterator[Instruction]:
    by_id = {study.id: (marks, size) for study, marks, size in seen}
    parts: dict[str, set[str]] = defaultdict(set)
    for study, marks, _ in seen:
        for name in marks:
            parts[name].add(study.facts.get("body_part", ""))
    for name in sorted(parts):
        there = [study for study, marks, _ in seen if name in marks]
        lacking = [study for study in desk.material.studies if _lacks(study, parts[name])]
        tuples, spare = balance.matched({"boxes": there, boxes.NONE: lacking}, lambda s: s.id, _stratum, salt=desk.salt(name), kind=_kind)
        desk.leave(f"no image that surely lacks it ({name})", spare["boxes"])
        equivalence = f"where:{name.replace(' ', '_')}"
        pool = wordings.plain(
            equivalence,
            f"Where in this image is the {name}? If it is not there, say none.",
            f"Give the box of every {name} in this image, or none if it is not there.",
            f"Locate the {name}, or say none if the image does not show it.",
        )
        for (first, second), chosen in zip(desk.limit(tuples), desk.deal(equivalence, pool), strict=False):
            marks, size = by_id[first.id]
            found = tuple(Box(name, region, size) for region in marks[name])
            for wording in chosen:
                question = f"{wording.text} {boxes.CONVENTION}"
                yield desk.put(first, equivalence, wording, boxes.write(marks[name], *size), f"boxes: {len(found)}", question=question, boxes=found)
                yield desk.put(second, equivalence, wording, boxes.NONE, _why(second), question=question)


def _what(desk: Desk, seen: list[tuple[Study, Marks, tuple[int, int]]]) -> Iterator[Instruction]:
    everywhere: dict[tuple[str, ...], set[str]] = defaultdict(set)
    for study, marks, _ in seen:
        for key in _regions(study):
            everywhere[key] |= set(marks)
    if len(everywhere[()]) < _LEAST_NAMES:
        desk.leave("fewer than four names: nothing to choose from", sum(len(marks) for _, marks, _ in seen))
        return
    pool = wordings.plain("what-is-at", "What is seen in the region {}?", "Which structure or finding lies at {}?", "What does the box {} hold?")
    offers = balance.Offers(desk.salt("offers"))
    asked = [row for each in seen for row in _alone(desk, *each)]
    for (study, name, number, marks, size), chosen in zip(desk.limit(asked), desk.deal("what-is-at", pool), strict=False):
        near = next(names for key in _regions(study) if len(names := _others(name, marks, everywhere[key])) >= _LEAST_NAMES - 1 or not key)
        about = f"{name.replace(' ', '_')}{number}"
        taken = offers.take([name], sorted(near), _LEAST_NAMES - 1, f"{study.id}/{about}")
        choices = offers.shuffled((name, *taken), f"{study.id}/{about}")
        region = marks[name][number]
        for wording in chosen:
            question = f"{wording.text.format(boxes.write([region], *size))} {boxes.CONVENTION.replace('Write boxes as', 'Boxes are')}"
            found = (Box(name, region, size),)
            yield desk.put(study, "what-is-at", wording, name, f"box of {name}", question=question, choices=choices, boxes=found, about=about)


def _alone(desk: Desk, study: Study, marks: Marks, size: tuple[int, int]) -> Iterator[tuple[Study, str, int, Marks, tuple[int, int]]]:
    """The boxes that have one name, each by name and number."""
    for name, regions in marks.items():
        others = [region for other, found in marks.items() if other != name for region in found]
        for number, region in enumerate(regions):
            if any(iou(region, other) > _ONE_PLACE for other in others):
                desk.leave("another name has nearly the same box")
            else:
                yield study, name, number, marks, size


def _others(name: str, marks: Marks, names: set[str]) -> set[str]:
    """Names that are surely wrong for a box of `name`."""
    return {other for other in names if other not in marks and not confused(name, other)}


def _regions(study: Study) -> list[tuple[str, ...]]:
    """From the narrowest to the widest company of an image."""
    part, modality = study.facts.get("body_part", ""), study.facts.get("modality", "")
    return [(part, modality), (part,), ()]


def _lacks(study: Study, marked: set[str]) -> bool:
    if study.states.get(NO_FINDING) is Certainty.PRESENT:
        return True
    part = study.facts.get("body_part", "")
    return not study.states and all(apart(part, other) for other in marked)


def _stratum(study: Study) -> tuple[str, ...]:
    return study.stratum if any(study.views) else ()


def _kind(study: Study) -> tuple[str, ...]:
    return study.facts.get("body_part", ""), study.facts.get("modality", "")


def _why(study: Study) -> str:
    return "stated to be normal" if study.states else f"an image of the {study.facts['body_part'].lower()}"
