"""Two films of one patient, the earlier first: which pairs there are, and what is known of the change between them.

In: a data root. Out: `Pair`s by data set, with what became of a finding where anything is known of it.

- NIH ChestX-ray14: neighbouring follow-ups of one patient, of test and development patients. Gold is weak: a finding that the later report alone mentions
  counts as worsening, one that the earlier alone mentions as improving, one that both mention as stable. A label that is absent was not mentioned, which is
  not to say that it was absent; and what both mention may well have grown or shrunk. Findings that neither film's labels name are no items.
- Hannover: neighbouring days of one patient. Order is known, change is not.
- MS-CXR-T: an expert's labels, where the credentialed set is below the root.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import TypeVar

from vesalius.data import hannover, ms_cxr_t, nih_cxr
from vesalius.data.splits import unit_hash
from vesalius.domain.exchange import Question, Split
from vesalius.errors import DataMissing
from vesalius.metrics.temporal import Change

WEAK, EXPERT, NONE = "weak: labels mined from two reports", "expert", "none: the order of the films alone"
NORMAL = Question(nih_cxr.NORMAL_QUESTION)
Film = TypeVar("Film")
_OF_COVID = ("Pneumonia", "Infiltration", "Consolidation")  # asked of films of which nothing else is known


@dataclasses.dataclass(frozen=True)
class Pair:
    """Two films.

    Args:
        source: name of the data set. prior, current: paths relative to the data root. cluster: patient. facts: stated of both films.
        asked: finding -> (words for it, yes/no question on its presence). gold: finding -> change; of those asked, where anything is known.
        same_view: whether both films are PA or both AP; None where it is not known. days: between them; None where they are not known.
    """

    source: str
    split: Split
    prior: str
    current: str
    cluster: str
    facts: Mapping[str, str]
    asked: Mapping[str, tuple[str, Question]]
    gold: Mapping[str, Change]
    same_view: bool | None = None
    days: float | None = None

    @property
    def id(self) -> str:
        """Unique among all."""
        return f"{self.source}:{Path(self.prior).stem}>{Path(self.current).stem}"


GOLD: Mapping[str, str] = MappingProxyType({"nih-cxr": WEAK, "hannover": NONE, "ms-cxr-t": EXPERT})


def of_root(root: Path, limit: int | None = None) -> list[Pair]:
    """All pairs, data set by data set: of test patients, and of the development patients on which a margin is fitted.

    Args:
        limit: at most so many pairs of each part of each data set, by a fixed hash; None: all.

    Raises:
        DataFormatError: a data set is there and cannot be read.
    """
    found: list[Pair] = []
    for read in _READERS.values():
        try:
            pairs = [pair for pair in read(root) if pair.asked and (root / pair.prior).is_file() and (root / pair.current).is_file()]
        except DataMissing:
            continue
        for split in (Split.DEVELOPMENT, Split.TEST):
            useful = (pair for pair in pairs if pair.split == split and (pair.gold or split == Split.TEST))  # a margin is fitted on what is known
            part = sorted(useful, key=lambda pair: unit_hash(pair.id, salt="followups"))
            found += part[:limit]
    return found


def weak_change(before: bool, after: bool) -> Change:
    """What two mined labels are taken for, at least one of which is there."""
    return Change.STABLE if before and after else Change.IMPROVING if before else Change.WORSENING


def _neighbours(films: Sequence[Film], patient: Callable[[Film], str]) -> list[tuple[Film, Film]]:
    grouped: dict[str, list[Film]] = defaultdict(list)
    for film in films:
        grouped[patient(film)].append(film)
    return [pair for each in grouped.values() for pair in itertools.pairwise(each)]


def _nih(root: Path) -> Iterable[Pair]:
    for before, after in _neighbours(nih_cxr.DATASET.films(root), lambda film: film.patient):
        named = sorted({*before.labels, *after.labels})
        yield Pair(
            "nih-cxr",
            before.split,
            before.image,
            after.image,
            before.patient,
            {"modality": "CR", "body_part": "CHEST", "sex": str(after.sex)},
            {name: _asked(name) for name in named},
            {name: weak_change(name in before.labels, name in after.labels) for name in named},
            same_view=before.view == after.view,
        )


def _hannover(root: Path) -> Iterable[Pair]:
    dated = [film for film in hannover.DATASET.films(root) if film.day is not None]
    for before, after in _neighbours(dated, lambda film: film.patient):
        facts = {"modality": after.modality, "body_part": "CHEST"} | ({"sex": str(after.sex)} if after.sex else {})
        days = None if before.day is None or after.day is None else after.day - before.day
        asked = {name: _asked(name) for name in _OF_COVID}
        same = before.view == after.view
        yield Pair("hannover", before.split, before.image, after.image, before.patient, facts, asked, {}, same_view=same, days=days)


def _ms_cxr_t(root: Path) -> Iterable[Pair]:
    grouped: dict[tuple[str, str, str], dict[str, Change]] = defaultdict(dict)
    for each in ms_cxr_t.DATASET.progressions(root):
        grouped[each.prior, each.current, each.patient][each.finding] = Change(each.change)
    for (prior, current, patient), gold in grouped.items():
        asked = {name: (ms_cxr_t.FINDINGS[name], Question(f"Is there evidence of {ms_cxr_t.FINDINGS[name]}?")) for name in gold}
        yield Pair("ms-cxr-t", Split.TEST, prior, current, patient, {"modality": "DX", "body_part": "CHEST"}, asked, gold)


def _asked(finding: str) -> tuple[str, Question]:
    question = nih_cxr.FINDING_QUESTIONS[finding]
    words = question.removeprefix("Is there evidence of ").removesuffix("?")
    return words.removeprefix("a "), Question(question)


_READERS: Mapping[str, Callable[[Path], Iterable[Pair]]] = MappingProxyType({"nih-cxr": _nih, "hannover": _hannover, "ms-cxr-t": _ms_cxr_t})
