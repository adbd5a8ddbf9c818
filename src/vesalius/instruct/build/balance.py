"""Equal numbers of each answer: matched tuples within strata, wordings dealt to whole tuples, and wrong choices offered as often as right ones.

In: items by answer. Out: tuples with one item for each answer, of one stratum, in an order that a seed fixes. Since a whole tuple gets one wording, each
answer is equally frequent in every stratum and under every wording: neither tells the answer.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from typing import TypeVar

from vesalius.data.splits import unit_hash

Item = TypeVar("Item")


def matched(
    groups: Mapping[str, Iterable[Item]],
    name: Callable[[Item], str],
    stratum: Callable[[Item], Hashable],
    *,
    salt: str,
    kind: Callable[[Item], Hashable] | None = None,
) -> tuple[list[tuple[Item, ...]], Counter[str]]:
    """Tuples with one item of each answer, all of one stratum.

    Args:
        groups: answer -> items. name: gives an item its fixed place. kind: items of different kinds come in turn, so that none is always left over.

    Returns:
        The tuples, and how many items of each answer found no partner.
    """
    placed: dict[Hashable, dict[str, list[Item]]] = defaultdict(lambda: {answer: [] for answer in groups})
    for answer, items in groups.items():
        for item in items:
            placed[stratum(item)][answer].append(item)
    found: list[tuple[Item, ...]] = []
    spare: Counter[str] = Counter()
    for by_answer in placed.values():
        lists = [_in_turn(sorted(items, key=lambda item: unit_hash(name(item), salt=salt)), kind) for items in by_answer.values()]
        few = min(map(len, lists))
        found += list(zip(*(items[:few] for items in lists), strict=True))
        spare.update({answer: len(items) - few for answer, items in zip(by_answer, lists, strict=True) if len(items) > few})
    return sorted(found, key=lambda items: unit_hash("|".join(map(name, items)), salt=salt)), spare


def _in_turn(items: list[Item], kind: Callable[[Item], Hashable] | None) -> list[Item]:
    if kind is None:
        return items
    seen: Counter[Hashable] = Counter()
    turns = []
    for place, item in enumerate(items):
        seen[kind(item)] += 1
        turns.append((seen[kind(item)], place))
    return [items[place] for _, place in sorted(turns)]


def dealt(pool: Sequence[Item], number: int, *, salt: str, name: Callable[[Item], str]) -> Iterator[tuple[Item, ...]]:
    """`number` wordings for each tuple in turn, without end: all of the pool before one comes again, no wording twice in a tuple."""
    order = sorted(pool, key=lambda item: unit_hash(name(item), salt=salt))
    take, at = min(number, len(order)), 0
    while True:
        yield tuple(order[(at + i) % len(order)] for i in range(take))
        at += take


class Offers:
    """Wrong choices, taken so that each name is wrong as often as it is right."""

    def __init__(self, salt: str) -> None:
        self._owed: Counter[str] = Counter()
        self._salt = salt

    def take(self, right: Sequence[str], wrong: Sequence[str], number: int, item: str) -> list[str]:
        """`number` of `wrong`, those first that were right most often beyond being wrong; in the order of a hash of name and item."""
        self._owed.update(right)
        chosen = sorted(wrong, key=lambda name: (-self._owed[name], unit_hash(f"{item}/{name}", salt=self._salt)))[:number]
        self._owed.subtract(chosen)
        return chosen

    def shuffled(self, choices: Iterable[str], item: str) -> tuple[str, ...]:
        """The choices in an order that tells nothing."""
        return tuple(sorted(choices, key=lambda name: unit_hash(f"{item}/{name}", salt=f"{self._salt}/order")))
