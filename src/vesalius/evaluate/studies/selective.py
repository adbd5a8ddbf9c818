"""What answering only when sure is worth: risk against coverage, its areas, and what the gate let out, caught and referred for nothing.

In: recorded items and, where there are any, readings of the gate. Out: {"suites": {name: {"ranking": {"score", "aurc", "excess_aurc", "augrc",
"auroc_right_wrong", "curve"}, "image_needed": {"n", "curve"}, "gate": figures | null}}}. A question needs its image when the blank image's answer is wrong.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from vesalius.evaluate import confidence, gated
from vesalius.evaluate.accuracy import Scorer, is_right
from vesalius.evaluate.record import Item
from vesalius.evaluate.study import Bench, Row, Skip, Tell
from vesalius.metrics import selective
from vesalius.metrics.statistics import cluster_bootstrap


@dataclasses.dataclass(frozen=True)
class Selective:
    """See the module."""

    name: str = "selective"
    title: str = "Answering only when sure"

    def collect(self, bench: Bench, tell: Tell) -> Iterator[Row] | Skip:  # noqa: ARG002 - the items are recorded already
        """Nothing is asked: the plain evaluations have."""
        return iter(()) if any(bench.items.values()) else Skip("no plain evaluation could be run")

    def score(self, rows: Sequence[Row], bench: Bench, scorer: Scorer) -> Mapping[str, Any]:  # noqa: ARG002
        """See the module."""
        found = {}
        for suite in bench.items:
            items = bench.test_items(suite)
            if not confidence.judged(items).items:
                continue
            maps = confidence.fit(bench.development_items(suite))
            needed = [item for item in items if item.blank is not None and not is_right(item.blank, item.exchange)]
            found[suite] = {
                "ranking": {**confidence.select(items, maps, scorer), "augrc": _augrc(items, maps, scorer)},
                "image_needed": {"n": len(needed), "of": len(items), **({"ranking": confidence.select(needed, maps, scorer)} if needed else {})},
                "gate": gated.gate(items, bench.readings.get(suite, ()), scorer),
            }
        return {"suites": found}


def _augrc(items: Sequence[Item], maps: dict[str, Any], scorer: Scorer) -> dict[str, Any]:
    """Area under the generalised risk-coverage curve (Traub et al. 2024), with its interval."""
    rows = confidence.judged(items)
    mended = confidence.calibrated(rows, maps)
    score = rows.confidence if mended is None else mended
    loss = np.asarray(1 - rows.correct)
    return cluster_bootstrap(selective.augrc, score, loss, clusters=rows.clusters, replicates=min(500, scorer.replicates), seed=scorer.seed).to_json()


STUDY = Selective()
