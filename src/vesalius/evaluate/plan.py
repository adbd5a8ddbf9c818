"""What a suite asks, decided before any model is loaded: which items, which image stands in for which, which wordings, all by fixed hashes.

In: a suite's name, its data set, a limit. Out: `Visit`s, one for each image, so that an image is encoded once and asked everything.
No choice reads a gold answer: permuting the gold answers changes no question, no image and no wording.
"""

from __future__ import annotations

import dataclasses
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

from vesalius.data.base import Dataset
from vesalius.data.splits import unit_hash
from vesalius.domain.exchange import Exchange, Rewording, Split
from vesalius.errors import InvalidValue
from vesalius.instruct.phrasing import reword
from vesalius.metrics.text import normalise
from vesalius.registry import unknown

_MOST_PARTNERS = 4  # images that are asked the same question, where the suite itself repeats it too seldom
_ENOUGH_SIBLINGS = 2


@dataclasses.dataclass(frozen=True)
class Suite:
    """A named evaluation on one data set.

    Args:
        protocols: the split protocols it reports; test and development part of each.
        kernel: whether the kernel baseline is fitted; its matrix grows with the square of the training rows.
        question_only: whether the question-only baseline is fitted; it holds words x distinct answers numbers, and captions hardly repeat an answer.
        trust_limit: test and development items, of each at most so many, that a trust suite asks where its own `limit` is None; None: all.
    """

    name: str
    dataset: str
    protocols: tuple[str, ...]
    kernel: bool = True
    question_only: bool = True
    trust_limit: int | None = None


_LARGE = 500  # a share of 500 questions is known within 5 points; all of these sets would take a trust suite days
SUITES: Mapping[str, Suite] = MappingProxyType(
    {
        "vqa-rad": Suite("vqa-rad", "vqa-rad", ("official", "image_disjoint")),
        "slake": Suite("slake", "slake", ("official",)),
        "nih-cxr": Suite("nih-cxr", "nih-cxr", ("by_patient",), kernel=False),
        "path-vqa": Suite("path-vqa", "path-vqa", ("official",), kernel=False, question_only=False, trust_limit=_LARGE),
        "pmc-vqa": Suite("pmc-vqa", "pmc-vqa", ("verified",), kernel=False, question_only=False, trust_limit=_LARGE),
    }
)


def suite(name: str) -> Suite:
    """The suite of that name.

    Raises:
        UnknownName: no such suite; the message offers the nearest.
    """
    if name not in SUITES:
        raise unknown("evaluation suite", name, list(SUITES))
    return SUITES[name]


@dataclasses.dataclass(frozen=True)
class Asking:
    """One item to ask: its exchange, the parts it belongs to, the same question about other images, and its rewordings (None: not reworded)."""

    exchange: Exchange
    parts: tuple[str, ...]
    partners: tuple[Exchange, ...] = ()
    rewordings: tuple[Rewording, ...] | None = None


@dataclasses.dataclass(frozen=True)
class Visit:
    """One image with everything that is asked of it, and the image that stands in for it as another patient's."""

    image: str
    facts: Mapping[str, str]
    askings: tuple[Asking, ...]
    swap: str | None
    swap_rule: str | None
    swap_facts: Mapping[str, str]


def plan(chosen: Suite, data: Dataset, root: Path, *, protocols: Sequence[str] | None = None, limit: int | None = None, reworded: int = 100) -> list[Visit]:
    """All visits of a suite, in a fixed order.

    Args:
        chosen, data, root: the suite, its data set and the data root.
        protocols: those to report; None: the suite's.
        limit: at most so many test items, and at most so many development items; whole images by a fixed hash, the last one cut.
        reworded: number of test items of each protocol that are also asked in generated wordings, by a fixed hash among those that can be reworded.

    Raises:
        InvalidValue: a limit that is not positive. DataMissing, DataCorrupt, UnknownName: from the data set.
    """
    if (limit is not None and limit < 1) or reworded < 0:
        raise InvalidValue(f"a limit must be positive and the number of reworded items not negative (got {limit}, {reworded})")
    names = tuple(protocols) if protocols is not None else chosen.protocols
    parts: dict[str, list[str]] = defaultdict(list)
    rows: dict[str, Exchange] = {}
    for name in names:
        for split in (Split.TEST, Split.DEVELOPMENT):
            for exchange in data.exchanges(root, split, name):
                parts[exchange.id].append(f"{name}/{split}")
                rows.setdefault(exchange.id, exchange)
    # train rows serve as partners only: their images carry known answers to the same words
    others = {x.id: x for name in names for x in data.exchanges(root, Split.TRAIN, name) if x.id not in rows}
    kept = _limited(rows, parts, limit)
    wordings: dict[str, tuple[Rewording, ...]] = {}
    for name in names:
        wordings |= _wordings([x for x in kept if f"{name}/{Split.TEST}" in parts[x.id]], reworded)
    partners = _partners(kept, rows, others)
    askings = [Asking(x, tuple(parts[x.id]), partners.get(x.id, ()), wordings.get(x.id)) for x in kept]
    return _visits(askings, list(rows.values()))


def _is_test(parts: Iterable[str]) -> bool:
    return any(part.endswith(f"/{Split.TEST}") for part in parts)


def _limited(rows: Mapping[str, Exchange], parts: Mapping[str, Sequence[str]], limit: int | None) -> list[Exchange]:
    by_image: dict[str, list[Exchange]] = defaultdict(list)
    for exchange in rows.values():
        by_image[exchange.image].append(exchange)
    kept: list[Exchange] = []
    room = {True: limit, False: limit}
    for image in sorted(by_image, key=lambda name: unit_hash(name, salt="limit")):
        for exchange in by_image[image]:
            left = room[_is_test(parts[exchange.id])]
            if left is None:
                kept.append(exchange)
            elif left > 0:
                kept.append(exchange)
                room[_is_test(parts[exchange.id])] = left - 1
    return kept


def _wordings(candidates: Sequence[Exchange], wanted: int) -> dict[str, tuple[Rewording, ...]]:
    found: dict[str, tuple[Rewording, ...]] = {}
    for exchange in sorted(candidates, key=lambda x: unit_hash(x.id, salt="reworded")):
        if len(found) >= wanted:
            break
        if wordings := reword(exchange.question.text):
            found[exchange.id] = wordings
    return found


def _partners(kept: Sequence[Exchange], rows: Mapping[str, Exchange], others: Mapping[str, Exchange]) -> dict[str, tuple[Exchange, ...]]:
    """Exchanges that ask the same of another patient's image, where the suite's own items do not already answer it."""
    asked: dict[str, list[Exchange]] = defaultdict(list)
    for exchange in (*rows.values(), *others.values()):
        asked[normalise(exchange.question.text)].append(exchange)
    found = {}
    for exchange in kept:
        same = [x for x in asked[normalise(exchange.question.text)] if x.cluster != exchange.cluster]
        siblings = sum(x.id in rows and x.question.text == exchange.question.text for x in same)
        if siblings < _ENOUGH_SIBLINGS and same:
            by_image = {x.image: x for x in sorted(same, key=lambda x: x.id, reverse=True)}
            order = sorted(by_image, key=lambda image: unit_hash(f"{exchange.id}/{image}", salt="partner"))
            found[exchange.id] = tuple(by_image[image] for image in order[:_MOST_PARTNERS])
    return found


def _visits(askings: Sequence[Asking], pool: Sequence[Exchange]) -> list[Visit]:
    """Rings of images of one kind: each stands in for the one before it, so that neighbours share an encoding."""
    facts = {x.image: x.tags for x in reversed(pool)}
    cluster = {x.image: x.cluster for x in pool}
    rings: dict[tuple[str, str], list[str]] = defaultdict(list)
    for image in sorted(facts, key=lambda name: unit_hash(name, salt="ring")):
        rings[(facts[image].get("modality", ""), facts[image].get("body_part", ""))].append(image)
    everything = [image for key in sorted(rings) for image in rings[key]]
    of_image: dict[str, list[Asking]] = defaultdict(list)
    for asking in askings:
        of_image[asking.exchange.image].append(asking)
    visits = []
    for key in sorted(rings):
        for image in rings[key]:
            if image in of_image:
                swap, rule = _stand_in(image, rings[key], everything, cluster)
                visits.append(Visit(image, facts[image], tuple(of_image[image]), swap, rule, facts[swap] if swap else {}))
    return visits


def _stand_in(image: str, ring: Sequence[str], everything: Sequence[str], cluster: Mapping[str, str]) -> tuple[str | None, str | None]:
    for images, rule in ((ring, "same modality and body part"), (everything, "any other patient")):
        start = images.index(image)
        for step in range(1, len(images)):
            other = images[(start + step) % len(images)]
            if cluster[other] != cluster[image]:
                return other, rule
    return None, None
