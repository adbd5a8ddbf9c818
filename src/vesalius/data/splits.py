"""Splits that do not depend on chance or order: a hash places a name, and a check proves that parts do not overlap.

In: names (of an image, of a patient) and exchanges. Out: the part a name belongs to; an error that names what two parts share.
A hash of the name, unlike a seeded shuffle, gives the same answer when rows are added, removed or reordered.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from vesalius.domain.exchange import Exchange, Split
from vesalius.errors import InvalidValue


class SplitOverlap(InvalidValue):
    """Two parts that must be disjoint share something."""


def unit_hash(name: str, *, salt: str = "") -> float:
    """A name's fixed place in [0, 1): the first 52 bits of SHA-256 over "salt/name", uniform over names.

    Args:
        name: what is kept together: the name of an image or of a patient.
        salt: makes the places of two data sets, or of two questions to one set, independent.
    """
    return int(hashlib.sha256(f"{salt}/{name}".encode()).hexdigest()[:13], 16) / 16**13


def part(name: str, *, development: float, test: float = 0.0, salt: str = "") -> Split:
    """Where a name belongs: the lowest `development` of the hash range, then `test`, else train.

    Args:
        development, test: expected shares of the names, in [0, 1], together at most 1.

    Raises:
        InvalidValue: shares outside their range.
    """
    if not (0 <= development <= 1 and 0 <= test <= 1 and development + test <= 1):
        raise InvalidValue(f"shares must lie in [0, 1] and sum to at most 1 (got development={development:g}, test={test:g})")
    place = unit_hash(name, salt=salt)
    if place < development:
        return Split.DEVELOPMENT
    return Split.TEST if place < development + test else Split.TRAIN


def assert_disjoint(*parts: Sequence[Exchange], by: str = "cluster") -> None:
    """Prove that no two parts share a value of a field.

    Args:
        parts: two or more sequences of exchanges.
        by: the field that must not recur: "cluster" (patient, else image), "image" or "id".

    Raises:
        SplitOverlap: two parts share a value; the message counts them and names the first.
        InvalidValue: `by` is not one of the three fields.
    """
    if by not in ("cluster", "image", "id"):
        raise InvalidValue(f"parts cannot be compared by {by!r}", remedy="use 'cluster', 'image' or 'id'")
    values = [{getattr(exchange, by) for exchange in exchanges} for exchanges in parts]
    for i, first in enumerate(values):
        for j in range(i + 1, len(values)):
            shared = sorted(first & values[j])
            if shared:
                raise SplitOverlap(
                    f"parts {i} and {j} share {len(shared)} value(s) of {by!r}, the first {shared[0]!r}",
                    remedy="split by patient or image before anything is trained or chosen",
                )
