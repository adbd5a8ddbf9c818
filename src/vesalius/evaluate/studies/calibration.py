"""Is a model as sure as it is right: ECE beside what a calibrated model would show, Brier score and its parts, reliability, before and after a map.

In: recorded items; maps are fitted on the development part of each suite and judged on its test part. Out: {"suites": {name: {"bins",
"without_confidence", "closed" | "open" | "all": {"raw": quality, "calibrated": quality | null}, "maps": {kind: {"map", "n", "reason"}}}}}, where a quality
holds `ece`, `ece_if_calibrated`, `ece_equal_mass`, `brier`, `brier_parts`, `confidence`, `reliability`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from vesalius.evaluate import confidence
from vesalius.evaluate.accuracy import Scorer
from vesalius.evaluate.study import Bench, Row, Skip, Tell


@dataclasses.dataclass(frozen=True)
class Calibration:
    """See the module."""

    name: str = "calibration"
    title: str = "Confidence"

    def collect(self, bench: Bench, tell: Tell) -> Iterator[Row] | Skip:  # noqa: ARG002 - the items are recorded already
        """Nothing is asked: the plain evaluations have."""
        if not any(confidence.confidence_of(item.answer) is not None for items in bench.items.values() for item in items):
            return Skip("no recorded answer has a confidence")
        return iter(())

    def score(self, rows: Sequence[Row], bench: Bench, scorer: Scorer) -> Mapping[str, Any]:  # noqa: ARG002
        """See the module."""
        found = {}
        for suite in bench.items:
            items = bench.test_items(suite)
            if items:
                maps = confidence.fit(bench.development_items(suite))
                found[suite] = {**confidence.calibrate(items, maps, scorer), "maps": maps}
        return {"suites": found}


STUDY = Calibration()
