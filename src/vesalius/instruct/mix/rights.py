"""Whether a mixture may be trained on: every set by its card, every row of a file by the set that it names.

In: parts, rows, and the sets for which the user says that they have the right. Out: nothing, or a refusal with what each licence says.
"""

from __future__ import annotations

import functools
from collections.abc import Collection, Sequence

from vesalius.data import base
from vesalius.errors import UserError
from vesalius.instruct.mix import sources
from vesalius.instruct.mix.recipe import Part
from vesalius.instruct.record import Instruction
from vesalius.registry import unknown


class Refused(UserError):
    """Something may not be trained on."""


def check(parts: Sequence[Part], rights: Collection[str]) -> None:
    """Whether all parts may be used.

    Args:
        rights: sets, or names of parts that are files.

    Raises:
        Refused: some may not; all are named. UnknownName: a right that is about no part.
    """
    names = {part.set or part.name for part in parts}
    for name in rights:
        if name not in names and name not in base.TABLE:
            raise unknown("source or set to have a right to", name, sorted({*names, *base.TABLE}))
    closed = {part.set or part.name: sources.card(part).licence for part in parts if not sources.card(part).train_allowed}
    refused = {name: licence for name, licence in closed.items() if name not in rights}
    if refused:
        told = "; ".join(f"{name} ({licence})" for name, licence in refused.items())
        say = " ".join(f"--i-have-the-right {name}" for name in refused)
        raise Refused(f"may not be trained on: {told}", remedy=f"leave them out, or say {say} if an agreement of yours allows it; the card will state it")


def check_row(part: Part, row: Instruction, rights: Collection[str]) -> None:
    """The same for a row of a file, by the set that it is from. Raises: Refused."""
    licence = closed(row.source)
    if part.path and licence is not None and row.source not in rights:
        raise Refused(
            f"{part.path}: {row.id[:80]!r} is from {row.source}, which may not be trained on ({licence})",
            remedy=f"leave the file out, or say --i-have-the-right {row.source} if an agreement of yours allows it",
        )


@functools.lru_cache(maxsize=256)
def closed(name: str) -> str | None:
    """The licence of a set whose card forbids training; None for one that may be used, and for names of no set."""
    if name not in base.TABLE:
        return None
    card = base.dataset(name).card
    return None if card.train_allowed else card.licence
