"""What one study of behaviour is to the trust suite: what it asks, and what follows from the answers.

In: a `Bench`: data, a model that is asked through a `Prober`, what has been asked already. Out: rows of JSON as they come, and later, from the rows alone,
one mapping of figures. A study that cannot be made says why: `Skip`. Scoring needs neither model nor data, so that an old run can be scored by new rules.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from vesalius.evaluate.accuracy import Scorer
from vesalius.evaluate.probe import Prober
from vesalius.evaluate.record import Item

Row = Mapping[str, Any]
Tell = Callable[[int, int], None]  # done, total


@dataclasses.dataclass(frozen=True)
class Skip:
    """Why a study was not made, in a sentence for the card."""

    why: str


@dataclasses.dataclass(frozen=True)
class Bench:
    """What a study works with.

    Args:
        root: the data root; None when there is none. prober: asks the model; None when there are only recorded answers.
        items: recorded plain answers of each suite that was run ("vqa-rad", "slake", "nih-cxr", or "predictions"), all parts; see `record.Item`.
        readings: of the gate, by the same names, as JSON with the `id` of their item.
        settings: of this study, from the suite's file. limit: at most so many images (or pairs) for each data set; None: all.
        seed: of everything that is drawn. done: ids of rows that are recorded already and need not be made again.
    """

    root: Path | None = None
    prober: Prober | None = None
    items: Mapping[str, Sequence[Item]] = dataclasses.field(default_factory=dict)
    readings: Mapping[str, Sequence[Row]] = dataclasses.field(default_factory=dict)
    settings: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    limit: int | None = None
    seed: int = 0
    done: frozenset[str] = frozenset()

    def test_items(self, suite: str) -> list[Item]:
        """Items of a suite's test part under its first protocol; empty when the suite was not run."""
        items = self.items.get(suite, ())
        first = next((part for item in items for part in item.parts if part.endswith("/test")), None)
        return [item for item in items if first in item.parts]

    def development_items(self, suite: str) -> list[Item]:
        """Items of the development part under the same protocol: for maps and thresholds."""
        items = self.items.get(suite, ())
        first = next((part for item in items for part in item.parts if part.endswith("/test")), "")
        return [item for item in items if first.rpartition("/")[0] + "/development" in item.parts]


class TrustStudy(Protocol):
    """One study. `name` is the key of its results and of its file of rows; `title` is for people."""

    name: str
    title: str

    def collect(self, bench: Bench, tell: Tell) -> Iterator[Row] | Skip:
        """Rows, each with a unique `id`; those in `bench.done` are left out. A study of items that are recorded already has none to make: an empty iterator."""
        ...

    def score(self, rows: Sequence[Row], bench: Bench, scorer: Scorer) -> Mapping[str, Any]:
        """Figures, JSON-ready: every number an `Interval.to_json()` or a count with its n. Uses rows and `bench.items`, never the model."""
        ...
