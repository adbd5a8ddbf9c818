"""Which items come next: a pure function of seed and epoch, so that (epoch, batch) is all a run needs to continue exactly.

In: items, a batch size, a seed, and if wanted lengths (to batch like with like) and weights (to balance sources and answers).
Out: batches by epoch. numpy only; nothing here keeps a position.
"""

from __future__ import annotations

import dataclasses
import hashlib
import math
from collections import Counter
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from typing import Any, Generic, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from vesalius.errors import InvalidValue

T = TypeVar("T")

_POOL = 50  # batches sorted by length together: long enough to save padding, short enough to keep neighbours changing


class Batches(Protocol):
    """What a stage draws from."""

    @property
    def fingerprint(self) -> str:
        """Changes whenever the order or the items would: a checkpoint refuses to continue over other data."""
        ...

    def __len__(self) -> int:
        """Micro-batches in an epoch."""
        ...

    def epoch(self, number: int, start: int = 0) -> Iterator[Any]:
        """The micro-batches of an epoch from number `start` on; the same arguments give the same batches."""
        ...


@dataclasses.dataclass(frozen=True)
class Shuffled(Generic[T]):
    """Items in a new order each epoch.

    Args:
        items: anything with a length and an index.
        batch_size: items in a micro-batch; the last one of an epoch may be smaller.
        seed: of the order.
        length: cost of an item (tokens); with it, batches hold items of similar cost, and come in random order.
        weights: relative chance of each item, >= 0; with it, an epoch draws with repetition, each item the floor or the ceiling of its expected
            number of times (systematic resampling, Kitagawa 1996), so that a weight of 2 is twice in every epoch, not on average.
        size: items drawn in an epoch; None draws as many as there are. Without weights it may not exceed them.
        collate: makes a batch of a list of items. It is called just before the batch is used; randomness in it stays exact after a resume when
            it comes from the global generators.
        by_epoch: gives the collate of an epoch, where what a batch shows depends on it; None takes `collate` for all.
        name: told in the fingerprint: a version of the items' content.

    Raises:
        InvalidValue: no items, or lengths and weights that do not fit them.
    """

    items: Sequence[T]
    batch_size: int
    seed: int
    length: Callable[[T], float] | None = None
    weights: Sequence[float] | NDArray[np.float64] | None = None
    size: int | None = None
    collate: Callable[[list[T]], Any] = list
    name: str = ""
    by_epoch: Callable[[int], Callable[[list[T]], Any]] | None = None

    def __post_init__(self) -> None:
        count = len(self.items)
        if count == 0:
            raise InvalidValue("there are no items to train on", remedy="check the recipe's sources")
        if self.batch_size < 1 or self.seed < 0:
            raise InvalidValue(f"batch_size must be >= 1 and seed >= 0 (got {self.batch_size}, {self.seed})")
        if self.size is not None and not (self.size >= 1 and (self.weights is not None or self.size <= count)):
            raise InvalidValue(f"size must be 1 to {count} without weights, and >= 1 with them (got {self.size})")
        if self.weights is not None:
            weights = np.asarray(self.weights, dtype=np.float64)
            if weights.shape != (count,) or not np.all(np.isfinite(weights)) or np.any(weights < 0) or weights.sum() <= 0:
                raise InvalidValue(f"weights must be {count} finite numbers >= 0, not all 0 (got shape {weights.shape})")

    @property
    def drawn(self) -> int:
        """Items in an epoch."""
        return len(self.items) if self.size is None else self.size

    def __len__(self) -> int:
        return math.ceil(self.drawn / self.batch_size)

    @property
    def fingerprint(self) -> str:
        """SHA-256 over name, sizes, seed, lengths and weights."""
        lengths = None if self.length is None else np.array([self.length(i) for i in self.items], dtype=np.float64).tobytes()
        weights = None if self.weights is None else np.asarray(self.weights, dtype=np.float64).tobytes()
        text = repr((self.name, len(self.items), self.batch_size, self.seed, self.drawn, lengths, weights))
        return hashlib.sha256(text.encode()).hexdigest()

    def indices(self, number: int) -> list[NDArray[np.int64]]:
        """The items' positions of each batch of an epoch."""
        generator = np.random.default_rng([self.seed, number])
        order = self._draw(generator)
        if self.length is None:
            return [order[i : i + self.batch_size] for i in range(0, len(order), self.batch_size)]
        cost = np.array([self.length(self.items[int(i)]) for i in order])
        batches = []
        for start in range(0, len(order), _POOL * self.batch_size):
            pool = slice(start, start + _POOL * self.batch_size)
            ranked = order[pool][np.argsort(cost[pool], kind="stable")]
            batches += [ranked[i : i + self.batch_size] for i in range(0, len(ranked), self.batch_size)]
        return [batches[int(i)] for i in generator.permutation(len(batches))]

    def _draw(self, generator: np.random.Generator) -> NDArray[np.int64]:
        order = generator.permutation(len(self.items))
        if self.weights is None:
            return order[: self.drawn]
        # systematic resampling over a permutation: which neighbours share a fraction changes each epoch
        share = np.cumsum(np.asarray(self.weights, dtype=np.float64)[order])
        points = (generator.random() + np.arange(self.drawn)) / self.drawn * share[-1]
        chosen = order[np.minimum(np.searchsorted(share, points, side="right"), len(order) - 1)]
        return generator.permutation(chosen)

    def epoch(self, number: int, start: int = 0) -> Iterator[Any]:
        """The batches of epoch `number` (0-based) from batch `start` on."""
        collate = self.collate if self.by_epoch is None else self.by_epoch(number)
        for batch in self.indices(number)[start:]:
            yield collate([self.items[int(i)] for i in batch])


def mixed(sources: Sequence[str], shares: Mapping[str, float], answers: Sequence[Hashable | None] | None = None) -> NDArray[np.float64]:
    """Weights that give each source its share, and within a source each answer the same chance.

    Args:
        sources: the source of each item.
        shares: relative share of each source; a source that is not named gets none. Empty keeps each at its own size.
        answers: a key for each item that is to be balanced ("yes", "no"); None leaves an item at its natural chance, so that free-text answers
            are not flattened into their rarest ones.

    Returns:
        Shape (items,); they sum to 1.

    Raises:
        InvalidValue: lengths that differ, or no item belongs to a named source.
    """
    keys: Sequence[Hashable | None] = [None] * len(sources) if answers is None else answers
    if len(keys) != len(sources):
        raise InvalidValue(f"there must be an answer for each item (got {len(keys)} for {len(sources)})")
    items = Counter(sources)
    pairs = Counter(zip(sources, keys, strict=True))
    balanced = {s: sum(n for (t, k), n in pairs.items() if t == s and k is not None) for s in items}
    kinds = {s: sum(1 for t, k in pairs if t == s and k is not None) for s in items}
    weights = np.empty(len(sources), dtype=np.float64)
    for i, (source, key) in enumerate(zip(sources, keys, strict=True)):
        natural = 1.0 if key is None else balanced[source] / (kinds[source] * pairs[source, key])
        weights[i] = natural * (shares.get(source, 0.0) / items[source] if shares else 1.0)
    if len(weights) == 0 or weights.sum() <= 0:
        raise InvalidValue("no item belongs to a source of the mixture", remedy="check the mixture against the sources")
    weights /= weights.sum()
    return weights
