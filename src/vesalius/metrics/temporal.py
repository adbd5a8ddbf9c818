"""Change between two films of one patient: classes, their accuracy, a margin under which nothing changed, and what must hold when the films are swapped.

In: classes, or the change of a probability. Out: numbers; one that is not defined is None. An answer that cannot be read is None: wrong in every accuracy,
and a column of its own where two answers are compared.

A change that is derived from two probabilities turns over when the films do, whatever the model is like: its reversal consistency is 1 by construction and
says nothing. Only a model that was shown both films at once can fail there.
"""

from __future__ import annotations

import dataclasses
import enum
import re
from collections import Counter
from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from vesalius.errors import InvalidValue


class Change(enum.StrEnum):
    """What became of a finding since the earlier film."""

    IMPROVING = "improving"
    STABLE = "stable"
    WORSENING = "worsening"

    def reversed(self) -> Change:
        """What it is when the films are swapped: improving <-> worsening, stable stays."""
        return {Change.IMPROVING: Change.WORSENING, Change.WORSENING: Change.IMPROVING}.get(self, self)


_WORDS = (
    (Change.STABLE, re.compile(r"\b(stable|unchanged|same|constant|no (?:significant |relevant |substantial |interval )*change|not changed)\b")),
    (Change.IMPROVING, re.compile(r"\b(improv\w*|better|decreas\w*|resol\w*|regress\w*|smaller|reduced|cleared)\b")),
    (Change.WORSENING, re.compile(r"\b(wors\w*|progress\w*|increas\w*|larger|greater|enlarged|new|deteriorat\w*)\b")),
)
_DENIED = re.compile(r"\b(?:not|no|never|without|neither|nor|isn't|hasn't)\s+(?:\w+\s+){0,2}?$")


def read_change(text: str) -> Change | None:
    """The one change that an answer names; None when it names none, several, or denies one ("not worse" may be stable or better)."""
    lower = text.lower()
    found: set[Change] = set()
    for change, words in _WORDS:
        for match in words.finditer(lower):
            if change is not Change.STABLE and _DENIED.search(lower[: match.start()]):
                return None
            found.add(change)
        lower = words.sub(" ", lower) if change is Change.STABLE else lower  # "no change" must not deny what follows it
    return found.pop() if len(found) == 1 else None


def change_of(moved: float | None, margin: float) -> Change | None:
    """The change that a difference (current - prior) of the probability of a finding stands for; None when there is no difference.

    Args:
        margin: up to which, included, nothing changed; >= 0.

    Raises:
        InvalidValue: a negative margin.
    """
    if margin < 0:
        raise InvalidValue(f"a margin is not negative (got {margin:g})")
    if moved is None:
        return None
    return Change.WORSENING if moved > margin else Change.IMPROVING if moved < -margin else Change.STABLE


def macro_accuracy(gold: Sequence[Change], said: Sequence[Change | None]) -> float | None:
    """Mean over the classes that occur in `gold` of the share of their items that were said to be so (macro recall, balanced accuracy), in [0, 1].

    Always saying one class earns 1 / classes. An unread answer is wrong. None without items.

    Raises:
        InvalidValue: lengths differ.
    """
    if len(gold) != len(said):
        raise InvalidValue(f"gold and said must have one length (got {len(gold)} and {len(said)})")
    total, hits = Counter(gold), Counter(g for g, s in zip(gold, said, strict=True) if s is g)
    return float(np.mean([hits[c] / n for c, n in total.items()])) if total else None


def fit_margin(moved: ArrayLike, gold: Sequence[Change]) -> float | None:
    """The margin of `change_of` with the highest macro accuracy on development items; of several the smallest.

    Args:
        moved: (n,) differences. Tried are 0 and the middles between their neighbouring absolute values.

    Returns:
        None without items.

    Raises:
        InvalidValue: lengths differ, or a difference is not finite.
    """
    d = np.asarray(moved, dtype=np.float64)
    if d.ndim != 1 or len(d) != len(gold):
        raise InvalidValue(f"differences and gold must have one length (got {d.shape} and {len(gold)})")
    if not np.isfinite(d).all():
        raise InvalidValue("a difference is not finite", remedy="leave out what was not measured, and count it")
    if not len(d):
        return None
    sizes = np.unique(np.abs(d))
    margins = np.concatenate([[0.0], (sizes[:-1] + sizes[1:]) / 2, sizes[-1:]])
    best, chosen = -1.0, 0.0
    for margin in margins:
        earned = macro_accuracy(gold, [change_of(float(v), float(margin)) for v in d])
        if earned is not None and earned > best + 1e-12:
            best, chosen = earned, float(margin)
    return chosen


@dataclasses.dataclass(frozen=True)
class Reversal:
    """Whether answers turn over when the films are swapped.

    Args:
        n: pairs. unread: of them, those of which an answer cannot be read.
        consistent: share of the others whose second answer is the first reversed; None when none is left.
        changed: pairs whose first answer is not stable. consistent_changed: the share among them; a model that always says stable is consistent, and has none.
    """

    n: int
    unread: int
    consistent: float | None
    changed: int
    consistent_changed: float | None


def reversal(forward: Sequence[Change | None], backward: Sequence[Change | None]) -> Reversal:
    """Reversal consistency: improving <-> worsening, stable -> stable when prior and current are swapped. No labels are needed.

    Raises:
        InvalidValue: lengths differ.
    """
    if len(forward) != len(backward):
        raise InvalidValue(f"both orders must have one length (got {len(forward)} and {len(backward)})")
    read = [(f, b) for f, b in zip(forward, backward, strict=True) if f is not None and b is not None]
    turned = [b is f.reversed() for f, b in read]
    moved = [t for t, (f, _) in zip(turned, read, strict=True) if f is not Change.STABLE]
    return Reversal(len(forward), len(forward) - len(read), _mean(turned), len(moved), _mean(moved))


def _mean(values: Sequence[bool]) -> float | None:
    return float(np.mean(values)) if values else None
