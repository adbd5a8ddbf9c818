"""What may be trained on: a set by its card, a file or shards by what they say of themselves, and never a test part.

In: the name of a set, an index's facts, a mixture's card, the rows' sources, and the sets that the recipe states a right to. Out: nothing, or `NotForTraining`.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import Any

from vesalius.data import base
from vesalius.domain.exchange import Split
from vesalius.errors import InvalidValue


class NotForTraining(InvalidValue):
    """Something may not be trained on: its licence forbids it, or it is for testing."""


def check_sets(names: Iterable[str], rights: Collection[str] = (), *, where: str = "") -> None:
    """Whether the cards of data sets allow training on them; names that no table knows are nobody's set.

    Args:
        rights: sets that may be trained on by the user's own word, against their card. where: the file that holds rows of them, for the message.

    Raises:
        NotForTraining: a card forbids it; all such sets are named.
    """
    cards = [base.dataset(name).card for name in sorted(set(names)) if name in base.TABLE and name not in rights]
    _refuse({card.name: card.licence for card in cards if not card.train_allowed}, where)


def check_index(folder: Path, about: Mapping[str, Any], rights: Collection[str] = ()) -> None:
    """Whether shards say that they may be trained on. What says nothing may be: a folder of one's own has no card.

    Args:
        about: of their index: `split`, `source`, `licence` or `licences` by set, `train_allowed`.

    Raises:
        NotForTraining: they are of the test part, forbid it, or are of a set whose card does.
    """
    if about.get("split") == Split.TEST:
        raise NotForTraining(f"{folder} holds a test part", remedy='leave it out, or make shards of the training part ("--split train")')
    licences = about.get("licences")
    alone = {str(about.get("source", folder.name)): about.get("licence", "by its index")}
    held = licences if isinstance(licences, Mapping) and licences else alone
    check_sets(held, rights, where=str(folder))
    known = [name for name in held if name in base.TABLE]
    if about.get("train_allowed", True) is not True and all(base.dataset(name).card.train_allowed for name in known):
        # no card here explains it, so it is of a set that is not known here
        _refuse({name: told for name, told in held.items() if name not in rights and name not in known} or alone, str(folder))


def check_card(path: Path, rights: Collection[str] = ()) -> None:
    """Whether the card of a mixture, where there is one, says that all of it may be trained on.

    Raises:
        NotForTraining: a set of it may not, or the card cannot be read.
    """
    if not path.is_file():
        return
    try:
        rows = [(str(row["set"]), str(row["licence"]), row["train_allowed"]) for row in json.loads(path.read_text(encoding="utf-8")).get("licences", ())]
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        what = f"{path} does not say what may be trained on ({type(error).__name__})"
        raise NotForTraining(what, remedy="make the mixture again with vesalius instruct mix") from error
    _refuse({name: licence for name, licence, allowed in rows if allowed is not True and name not in rights}, str(path.parent))


def _refuse(closed: Mapping[str, object], where: str) -> None:
    if closed:
        told = "; ".join(f"{name} ({licence})" for name, licence in closed.items())
        wanted = ", ".join(f'"{name}"' for name in closed)
        raise NotForTraining(
            f"{where + ': ' if where else ''}may not be trained on: {told}",
            remedy=f"leave it out, or state rights = [{wanted}] in the source's options if an agreement of yours allows it; the record of the run will say so",
        )
