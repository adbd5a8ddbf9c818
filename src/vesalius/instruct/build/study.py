"""What a set states of one study, the same for all sets; and what a set gives as a whole.

In: facts of the readers. Out: `Study`, `Pair` (an earlier and a later one), `Material`. Only training parts become studies.
"""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Literal

from vesalius.domain.exchange import Exchange
from vesalius.domain.finding import Certainty, Region

MINED, SILENT = "labels mined from the report", "labels mined from the report; a finding that it does not name counts as absent"


@dataclasses.dataclass(frozen=True)
class Study:
    """One study, or one picture where a set knows no studies.

    Args:
        images: paths relative to the data root. views: "PA", "AP" or "LATERAL" of each; None where it is not stated.
        states: of the 28 findings, those of which something is stated. origin: how it is known.
        sex: "F", "M" or "". facts: "modality" and "body_part" where stated.
        marks: (name in words, box in pixels of the first image).
        sections: gives the report by section when called; None without one. Raises: DataMissing, DataFormatError.
    """

    id: str
    source: str
    cluster: str
    images: tuple[str, ...]
    views: tuple[str | None, ...]
    states: Mapping[str, Certainty] = dataclasses.field(default_factory=dict)
    origin: str = ""
    sex: str = ""
    facts: Mapping[str, str] = dataclasses.field(default_factory=dict)
    marks: tuple[tuple[str, Region], ...] = ()
    sections: Callable[[], Mapping[str, str]] | None = None

    @property
    def stratum(self) -> tuple[str, ...]:
        """Views and sex, within which answers are balanced."""
        return (*(view or "?" for view in self.views), self.sex or "?")

    def named(self, certainty: Certainty) -> tuple[str, ...]:
        """Findings in that state, in the order of the list."""
        return tuple(name for name, state in self.states.items() if state is certainty)


@dataclasses.dataclass(frozen=True)
class Pair:
    """Two neighbouring studies of one patient, the earlier first. basis: "labels" of both, or what the later "report" says of change."""

    prior: Study
    current: Study
    basis: Literal["labels", "report"]


@dataclasses.dataclass(frozen=True)
class Material:
    """A set's training part.

    Args:
        asked: the set's own questions. held: images and patients of the other parts, which no instruction may name.
        left_out: reason -> how many studies or films were not used at all.
    """

    licence: str
    studies: tuple[Study, ...] = ()
    pairs: tuple[Pair, ...] = ()
    asked: tuple[Exchange, ...] = ()
    held: frozenset[str] = frozenset()
    left_out: Mapping[str, int] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True)
class How:
    """How instructions are made.

    Args:
        wordings: of each question, all of one group. families: of rewordings that may occur; None: all.
        most: matched tuples of each class of questions, at most (studies where nothing is matched); None: no limit.
        weak: whether change that two mined labels suggest is used.
    """

    seed: int = 0
    wordings: int = 1
    families: tuple[str, ...] | None = None
    most: int | None = None
    weak: bool = True


Left = Counter[str]
