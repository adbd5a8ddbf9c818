"""Which questions of a test part a study asks, by fixed hashes, and how a row of a study keeps its question.

In: a `Bench`. Out: exchanges, image by image. From the recorded items where the suite was run, else from the data set itself. No gold answer is looked at.
"""

from __future__ import annotations

import dataclasses
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from vesalius.data.base import TABLE, dataset
from vesalius.data.splits import unit_hash
from vesalius.domain.exchange import Exchange, Question, Split
from vesalius.errors import DataMissing
from vesalius.evaluate.plan import SUITES
from vesalius.evaluate.study import Bench
from vesalius.metrics.statistics import Interval


def asked_of(bench: Bench, suite: str) -> list[Exchange]:
    """Exchanges of a suite's test part; empty when neither recorded items nor the data are there."""
    if items := bench.test_items(suite):
        return [item.exchange for item in items]
    if bench.root is None or suite not in SUITES or SUITES[suite].dataset not in TABLE:
        return []
    try:
        return list(dataset(SUITES[suite].dataset).exchanges(bench.root, Split.TEST))
    except DataMissing:
        return []


def choose(
    exchanges: Sequence[Exchange], *, images: int | None, salt: str, per_image: int = 1, fits: Callable[[Exchange], bool] = lambda _: True
) -> list[Exchange]:
    """At most `per_image` fitting questions of each of at most `images` images, images and questions by a fixed hash.

    Args:
        fits: whether a question can be asked by the study; it must not look at the gold answer.
    """
    by_image: dict[str, list[Exchange]] = defaultdict(list)
    for exchange in exchanges:
        if fits(exchange):
            by_image[exchange.image].append(exchange)
    names = sorted(by_image, key=lambda name: unit_hash(name, salt="study"))[:images]
    return [x for name in names for x in sorted(by_image[name], key=lambda x: unit_hash(x.id, salt=salt))[:per_image]]


def fewest(*limits: int | None) -> int | None:
    """The smallest of the limits that are set."""
    return min((limit for limit in limits if limit is not None), default=None)


def exchange_json(exchange: Exchange, suite: str) -> dict[str, Any]:
    """What a row keeps of its question, so that it can be scored alone."""
    return {
        "suite": suite,
        "item": exchange.id,
        "image": exchange.image,
        "cluster": exchange.cluster,
        "question": exchange.question.text,
        "gold": exchange.gold,
        "closed": exchange.closed,
    }


def exchange_of(row: Mapping[str, Any]) -> Exchange:
    """The question of a row that `exchange_json` made."""
    return Exchange(row["item"], row["image"], Question(row["question"]), row["gold"], row["closed"], row["cluster"], Split.TEST)


def steady(interval: Interval) -> Interval:
    """The interval without its ends where no resample differed: a width of zero says that the bootstrap knows nothing, not that the value is sure."""
    if interval.low is None or interval.low != interval.high:
        return interval
    return dataclasses.replace(interval, low=None, high=None, method="no resample differs")
