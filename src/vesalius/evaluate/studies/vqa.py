"""How often a model answers questions about images rightly: by kind of question, beside its controls and simple baselines, on the same items.

In: recorded items of every plain evaluation. Out: {"suites": {name: {"part", "items", "images", "systems": {system: row}, "by": {tag: {value: row}},
"yes_no_share"}}}. A row of a system holds `closed`, `open`, `overall` (strict match), `open_token_f1`, `open_bleu1`, LLaVA-Med's published rule beside it,
and how many answers could not be read. Baselines are in the results of the plain evaluation, not here.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from vesalius.evaluate import accuracy, behaviour
from vesalius.evaluate.accuracy import MODEL, Scorer, is_closed
from vesalius.evaluate.study import Bench, Row, Skip, Tell
from vesalius.metrics.text import bleu1

_TAGS = ("content", "modality", "body_part")


@dataclasses.dataclass(frozen=True)
class Vqa:
    """See the module."""

    name: str = "vqa"
    title: str = "Right answers"

    def collect(self, bench: Bench, tell: Tell) -> Iterator[Row] | Skip:  # noqa: ARG002 - the items are recorded already
        """Nothing is asked: the plain evaluations have."""
        return iter(()) if any(bench.items.values()) else Skip("no plain evaluation could be run")

    def score(self, rows: Sequence[Row], bench: Bench, scorer: Scorer) -> Mapping[str, Any]:  # noqa: ARG002
        """See the module."""
        found = {}
        for suite in bench.items:
            items = bench.test_items(suite)
            if not items:
                continue
            answers = accuracy.systems(items, {})
            table = accuracy.table(items, answers, scorer)
            for system, given in answers.items():
                free = [(item, said) for item, said in zip(items, given, strict=True) if said is not None and not is_closed(item.exchange)]
                table[system]["open_bleu1"] = scorer.mean([bleu1(said.text, item.exchange.gold) for item, said in free], [item for item, _ in free]).to_json()
            found[suite] = {
                "part": next(part for part in items[0].parts if part.endswith("/test")),
                "items": len(items),
                "images": len({item.exchange.image for item in items}),
                "systems": table,
                "by": {
                    tag: {value: row[MODEL] for value, row in accuracy.by_tag(items, answers, tag, scorer).items()}
                    for tag in _TAGS
                    if any(tag in item.exchange.tags for item in items)
                },
                "yes_no_share": behaviour.yes_no_share(items, scorer),
            }
        return {"suites": found}


STUDY = Vqa()
