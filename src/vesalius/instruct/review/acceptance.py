"""Acceptance sampling: how many items must be read, and whether a lot may be accepted, with an exact bound for a sample drawn without replacement.

In: wrong items k of n that were read, the size of the lot N. Out: the largest share of wrong items that k of n does not rule out. One-sided and exact: the
hypergeometric counterpart of Clopper and Pearson (1934), as in Buonaccorsi, The American Statistician 41(3), 1987; a lot that was read whole has no
uncertainty.
"""

from __future__ import annotations

import dataclasses
import math
from typing import Any

from vesalius.errors import InvalidValue
from vesalius.metrics.statistics import Interval


@dataclasses.dataclass(frozen=True)
class Decision:
    """Whether a lot is accepted.

    Args:
        wrong, read, size: wrong items among those that were read, of the lot. bound: upper confidence bound of the lot's wrong share. target: largest
            share allowed. more: so many more right answers in a row would let it be accepted; None when no number would.
    """

    wrong: int
    read: int
    size: int
    bound: float
    target: float
    confidence: float
    unsafe: int
    more: int | None = None

    @property
    def accepted(self) -> bool:
        """The bound is at or below the target, and no answer that was read is unsafe."""
        return self.read > 0 and self.bound <= self.target and self.unsafe == 0

    def to_json(self) -> dict[str, Any]:
        """A plain mapping."""
        return {**dataclasses.asdict(self), "accepted": self.accepted}


@dataclasses.dataclass(frozen=True)
class Plan:
    """A sample that can accept a lot.

    Args:
        n: items to read. allowed: wrong ones among them that still let it be accepted. passes: share of wrong items in the lot -> chance to be accepted.
    """

    n: int
    allowed: int
    size: int
    target: float
    confidence: float
    passes: dict[float, float]


def most_wrong(k: int, n: int, size: int, *, confidence: float = 0.95) -> float:
    """Upper bound of a lot's wrong share: the largest D / size for which k or fewer of n are seen with a chance above 1 - confidence.

    Raises:
        InvalidValue: not 0 <= k <= n <= size, or a confidence outside (0, 1).
    """
    _check(k, n, size, confidence)
    if n == 0:
        return 1.0
    low, high = k, size - (n - k)  # of the wrong ones: what was seen, and that all that was not read is wrong
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if _at_most(k, n, middle, size) > 1 - confidence else (low, middle - 1)
    return low / size


def interval(k: int, n: int, size: int, *, confidence: float = 0.95) -> Interval:
    """Two-sided exact interval of a lot's share: two one-sided bounds, each at half the error.

    Raises:
        InvalidValue: as `most_wrong`.
    """
    half = (1 + confidence) / 2
    _check(k, n, size, confidence)
    if n == 0:
        return Interval(None, None, None, 0, 0, "nothing was read")
    return Interval(
        k / n,
        1 - most_wrong(n - k, n, size, confidence=half),
        most_wrong(k, n, size, confidence=half),
        n,
        n,
        f"exact, hypergeometric of {size:,}, {confidence:.0%}",
    )


def decide(wrong: int, read: int, size: int, *, target: float, confidence: float = 0.95, unsafe: int = 0) -> Decision:
    """Accept a lot or not.

    Raises:
        InvalidValue: as `most_wrong`; a target outside (0, 1).
    """
    _target(target)
    bound = most_wrong(wrong, read, size, confidence=confidence)
    found = Decision(wrong, read, size, bound, target, confidence, unsafe)
    if found.accepted or unsafe:
        return found
    return dataclasses.replace(found, more=_more(wrong, read, size, target, confidence))


def plan(size: int, *, target: float, allowed: int = 0, confidence: float = 0.95) -> Plan:
    """The smallest sample of a lot that accepts it with `allowed` wrong items.

    Raises:
        InvalidValue: a target outside (0, 1), an empty lot, or more wrong ones allowed than the target lets the lot hold.
    """
    _target(target)
    if size < 1 or allowed < 0:
        raise InvalidValue(f"a lot has 1 item or more and 0 or more wrong ones are allowed (got {size}, {allowed})")
    if allowed > math.floor(target * size):
        raise InvalidValue(f"a lot of {size:,} with {allowed} wrong items is never at or below {target:.1%}", remedy="allow fewer, or raise --target")
    n = _smallest(allowed, size, target, confidence, max(1, allowed))
    shares = (0.0, target / 5, target / 2, target, min(1.0, 2 * target))
    return Plan(n, allowed, size, target, confidence, {round(s, 4): _at_most(allowed, n, min(size, round(s * size)), size) for s in shares})


def _smallest(k: int, size: int, target: float, confidence: float, start: int) -> int:
    low, high = start, size
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if most_wrong(k, middle, size, confidence=confidence) <= target else (middle + 1, high)
    return low


def _more(wrong: int, read: int, size: int, target: float, confidence: float) -> int | None:
    if wrong > math.floor(target * size):
        return None
    return _smallest(wrong, size, target, confidence, max(read, 1)) - read


def _at_most(k: int, n: int, wrong: int, size: int) -> float:
    """P(X <= k) for X wrong ones among n drawn without replacement from `size`, of which `wrong` are wrong."""
    first, last = max(0, n - (size - wrong)), min(n, wrong)
    if k >= last:
        return 1.0
    if k < first:
        return 0.0
    logs = [_choose(wrong, i) + _choose(size - wrong, n - i) for i in range(first, k + 1)]
    whole, top = _choose(size, n), max(logs)
    return min(1.0, math.exp(top - whole + math.log(math.fsum(math.exp(one - top) for one in logs))))


def _choose(n: int, k: int) -> float:
    return math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1)


def _check(k: int, n: int, size: int, confidence: float) -> None:
    if not 0 <= k <= n <= size or size < 1 or not 0 < confidence < 1:
        raise InvalidValue(f"need 0 <= wrong <= read <= size, size >= 1 and confidence in (0, 1) (got {k}, {n}, {size}, {confidence})")


def _target(target: float) -> None:
    if not 0 < target < 1:
        raise InvalidValue(f"the largest wrong share must lie in (0, 1) (got {target})")
