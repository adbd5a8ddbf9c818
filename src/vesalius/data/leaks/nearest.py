"""All pairs of 64-bit hashes that differ in at most 11 bits, without comparing all with all.

In: hashes. Out: index pairs. Multi-index hashing (Norouzi, Punjani, Fleet 2012): if two hashes differ in at most 11 bits, one of their four 16-bit bands
differs in at most 2, so each band is looked up under the 137 patterns of at most two changed bits. Exact: nothing within the radius is missed.
"""

from __future__ import annotations

import itertools

import numpy as np
from numpy.typing import NDArray

from vesalius.errors import InvalidValue

LARGEST = 11  # four bands, each looked up within two bits
_BANDS, _WIDTH = 4, 16
_AT_ONCE = 4_000_000  # candidate pairs held in memory


def within(hashes: NDArray[np.uint64], radius: int) -> NDArray[np.int64]:
    """Pairs (i < j) of hashes that differ in at most `radius` bits, sorted.

    Args:
        hashes: (n,) uint64.
        radius: 0 to 11.

    Returns:
        (m, 2) int64.

    Raises:
        InvalidValue: the radius is out of range.
    """
    if not 0 <= radius <= LARGEST:
        raise InvalidValue(f"the radius must lie in [0, {LARGEST}] (got {radius})")
    found = [np.empty((0, 2), np.int64)]
    for band in range(_BANDS):
        part = ((hashes >> np.uint64(band * _WIDTH)) & np.uint64(0xFFFF)).astype(np.int64)
        order = np.argsort(part, kind="stable")
        ends = np.cumsum(np.bincount(part, minlength=1 << _WIDTH))
        for mask in _masks(radius // _BANDS):
            found.extend(_near(hashes, part ^ mask, order, ends, radius))
    return np.unique(np.concatenate(found), axis=0)


def _masks(bits: int) -> list[int]:
    return [sum(1 << b for b in chosen) for n in range(bits + 1) for chosen in itertools.combinations(range(_WIDTH), n)]


def _near(hashes: NDArray[np.uint64], wanted: NDArray[np.int64], order: NDArray[np.int64], ends: NDArray[np.int64], radius: int) -> list[NDArray[np.int64]]:
    """Pairs whose band is what each item wants, and whose other bits are near enough."""
    last = ends[wanted]
    first = np.where(wanted > 0, ends[wanted - 1], 0)
    sizes = last - first
    kept = []
    place = 0
    while place < len(wanted):
        upto = max(place + 1, int(np.searchsorted(np.cumsum(sizes[place:]), _AT_ONCE, side="right")) + place)
        some = sizes[place:upto]
        i = np.repeat(np.arange(place, min(upto, len(wanted))), some)
        within_run = np.arange(some.sum()) - np.repeat(np.cumsum(some) - some, some)
        j = order[np.repeat(first[place:upto], some) + within_run]
        near = (i < j) & (np.bitwise_count(hashes[i] ^ hashes[j]) <= radius)
        kept.append(np.stack([i[near], j[near]], axis=1))
        place = upto
    return kept
