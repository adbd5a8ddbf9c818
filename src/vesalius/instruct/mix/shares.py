"""How many rows each source gives: in proportion to weight x n^(1/T), none more than it has, whole numbers that add up.

In: sizes, a total, a temperature, weights. Out: expected counts (real numbers) and the counts that are taken (the method of largest remainders).
T = 1 is proportional to size, T to infinity equal shares; a cap on n as in T5's examples-proportional mixing (Raffel et al. 2020) is the caller's, who gives
min(n, cap) as the size.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

from vesalius.errors import InvalidValue


def expected(sizes: Mapping[str, int], total: int, *, temperature: float = 1.0, weights: Mapping[str, float] | None = None) -> dict[str, float]:
    """The expected number of rows of each source.

    A source whose share is more than it has gives all it has, and the rest is shared among the others by the same rule.

    Args:
        sizes: source -> rows that it has. total: rows wanted; more than there are gives all. weights: source -> factor, by default 1.

    Raises:
        InvalidValue: a negative size or total, a temperature or weight that is not above 0.
    """
    factors = {name: (weights or {}).get(name, 1.0) for name in sizes}
    numbers = [temperature, *factors.values()]
    if total < 0 or min(sizes.values(), default=0) < 0 or not all(math.isfinite(n) and n > 0 for n in numbers):
        raise InvalidValue("sizes and total must be at least 0, temperature and weights above 0")
    found = dict.fromkeys(sizes, 0.0)
    left, sharing = float(min(total, sum(sizes.values()))), [name for name, size in sizes.items() if size]
    while sharing and left > 0:
        logs = {name: math.log(factors[name]) + math.log(sizes[name]) / temperature for name in sharing}
        highest = max(logs.values())  # so that a small temperature overflows nothing
        mass = {name: math.exp(value - highest) for name, value in logs.items()}
        whole = sum(mass.values())
        full = [name for name in sharing if left * mass[name] / whole >= sizes[name]]
        if not full:
            return found | {name: left * mass[name] / whole for name in sharing}
        found |= {name: float(sizes[name]) for name in full}
        left -= sum(sizes[name] for name in full)
        sharing = [name for name in sharing if name not in full]
    return found


def whole(shares: Mapping[str, float]) -> dict[str, int]:
    """Whole numbers that add up to the rounded sum of the shares, each within 1 of its own: floors, then the largest remainders; ties by order."""
    floors = {name: math.floor(share + 1e-9) for name, share in shares.items()}
    over = round(sum(shares.values())) - sum(floors.values())
    order = sorted(shares, key=lambda name: floors[name] - shares[name])
    return floors | {name: floors[name] + 1 for name in order[:over]}
