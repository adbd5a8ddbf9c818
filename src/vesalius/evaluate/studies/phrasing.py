"""Does the answer survive other words: flips by family of rewording, human and generated, harmful and helpful, margins, the worst case.

In: recorded items with their rewordings. Out: {"suites": {name: {"human": ..., "generated": ..., "margin_shift": {family: interval}, "held_out": {family:
interval}}}}; see `behaviour.human` and `behaviour.generated`. Families that a model was trained on (`settings.trained_families`) are set apart from those
it never saw: consistency that was bought for known wordings need not hold for others.
"""

from __future__ import annotations

import dataclasses
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from vesalius.evaluate import behaviour
from vesalius.evaluate.accuracy import Scorer
from vesalius.evaluate.record import Item
from vesalius.evaluate.study import Bench, Row, Skip, Tell
from vesalius.metrics.phrasing import Flip


@dataclasses.dataclass(frozen=True)
class Phrasing:
    """See the module."""

    name: str = "phrasing"
    title: str = "Other words"

    def collect(self, bench: Bench, tell: Tell) -> Iterator[Row] | Skip:  # noqa: ARG002 - the items are recorded already
        """Nothing is asked: the plain evaluations have."""
        asked = any(item.rewordings or item.exchange.pair for items in bench.items.values() for item in items)
        return iter(()) if asked else Skip("no recorded question was asked in other words")

    def score(self, rows: Sequence[Row], bench: Bench, scorer: Scorer) -> Mapping[str, Any]:  # noqa: ARG002
        """See the module."""
        trained = set(bench.settings.get("trained_families", ()))
        found = {}
        for suite in bench.items:
            items = bench.test_items(suite)
            if not any(item.rewordings or item.exchange.pair for item in items):
                continue
            found[suite] = {
                "human": behaviour.human(items, scorer),
                "generated": behaviour.generated(items, scorer),
                "margin_shift": _margins(items, scorer),
                **({"held_out": _held_out(items, trained, scorer)} if trained else {}),
            }
        return {"suites": found}


def _margins(items: Sequence[Item], scorer: Scorer) -> dict[str, Any]:
    """Mean |change of P(yes)| from the question to each wording, polarity undone, by family; where both answers carry one."""
    moved: dict[str, list[tuple[float, Item]]] = defaultdict(list)
    for item in items:
        for wording, answer in item.rewordings or ():
            if item.answer.p_yes is not None and answer.p_yes is not None:
                now = answer.p_yes if wording.polarity == 1 else 1 - answer.p_yes
                moved[wording.family].append((abs(now - item.answer.p_yes), item))
    return {family: scorer.mean([m for m, _ in rows], [item for _, item in rows]).to_json() for family, rows in sorted(moved.items())}


def _held_out(items: Sequence[Item], trained: set[str], scorer: Scorer) -> dict[str, Any]:
    """Flip rate over families that were trained on, and over those that were not."""
    found = {}
    for name, wanted in (("trained", True), ("held_out", False)):
        pairs = [pair for family, rows in behaviour.generated_pairs(items).items() if (family in trained) is wanted for pair in rows]
        found[name] = scorer.mean([pair.state != Flip.SAME for pair in pairs], [pair.item for pair in pairs]).to_json()
    return found


STUDY = Phrasing()
