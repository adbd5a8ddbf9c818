"""Does the answer survive other words, and does it need the picture: polarity-normalised flips, worst case, quadrants, grounded score.

In: answers to a question and to its rewordings with their polarities. Out: one state per rewording, and shares over many.
An answer that cannot be compared is a third state: it is counted by itself, and every flip rate is given both with it as a flip and without it.
"""

from __future__ import annotations

import dataclasses
import enum
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from vesalius.domain.exchange import Outcome
from vesalius.errors import InvalidValue
from vesalius.metrics.text import exact_match, read_outcome


class Flip(enum.IntEnum):
    """What became of the answer under one rewording."""

    SAME = 0
    FLIPPED = 1
    UNPARSED = 2


States = NDArray[np.int8]


def flips(
    original: Outcome | str,
    answers: Sequence[Outcome | str],
    polarities: Sequence[int],
    *,
    same: Callable[[str, str], bool] = exact_match,
) -> States:
    """State of each rewording of one question.

    a_j is the answer to rewording j, with yes and no exchanged where the polarity is -1; it flipped when a_j differs from the original answer.
    "Cannot be determined" is an answer: to change to or from it is a flip. Texts are compared by `same`. UNPARSED is the state when either answer is
    unparsed, when one is yes/no and the other free text, or when free text stands under a reversed polarity, which cannot be reversed.

    Args:
        original, answers: texts as generated (read by `read_outcome`), or outcomes where the text is not needed.
        polarities: +1 or -1 for each answer.
        same: whether two free texts say the same.

    Returns:
        (m,) int8 of `Flip`.

    Raises:
        InvalidValue: lengths differ, a polarity is not +1 or -1, or `Outcome.TEXT` is given without its text.
    """
    if len(answers) != len(polarities):
        raise InvalidValue(f"each answer needs a polarity (got {len(answers)} answers, {len(polarities)} polarities)")
    first = _read(original)
    states = [_state(first, original, _read(a), a, p, same) for a, p in zip(answers, polarities, strict=True)]
    return np.asarray(states, dtype=np.int8)


def _read(answer: Outcome | str) -> Outcome:
    if not isinstance(answer, Outcome):
        return read_outcome(answer)
    if answer is Outcome.TEXT:
        raise InvalidValue("Outcome.TEXT does not say which text", remedy="give the text itself")
    return answer


def _state(first: Outcome, first_text: str, second: Outcome, second_text: str, polarity: int, same: Callable[[str, str], bool]) -> Flip:
    if polarity not in (1, -1):
        raise InvalidValue(f"polarity must be +1 or -1 (got {polarity})")
    if Outcome.UNPARSED in (first, second):
        return Flip.UNPARSED
    if polarity == -1:
        second = second.negated()
    if first is second is Outcome.TEXT:
        if polarity == -1:
            return Flip.UNPARSED
        return Flip.SAME if same(second_text, first_text) else Flip.FLIPPED
    if Outcome.UNDETERMINED not in (first, second) and Outcome.TEXT in (first, second):
        return Flip.UNPARSED
    return Flip.SAME if first is second else Flip.FLIPPED


@dataclasses.dataclass(frozen=True)
class FlipSummary:
    """Flips over many questions; a share without a denominator is None.

    Args:
        questions: with at least one rewording. pairs: question-rewording pairs. unparsed: pairs that could not be compared.
        rate: flipped or unparsed / pairs. rate_parsed: flipped / pairs that could be compared.
        any_flip: share of questions with at least one flip or unparsed pair. any_flip_parsed: with at least one flip.
        m: (least, mean, most) rewordings per question; `any_flip` grows with it.
    """

    questions: int
    pairs: int
    unparsed: int
    rate: float | None
    rate_parsed: float | None
    any_flip: float | None
    any_flip_parsed: float | None
    m: tuple[int, float, int]


def summarise(states: Sequence[ArrayLike]) -> FlipSummary:
    """Pair flip rate and any-flip rate over questions, from the states of each (`flips`); questions without rewordings are left out.

    Raises:
        InvalidValue: a state is not a `Flip`.
    """
    rows = [np.asarray(s) for s in states]
    rows = [r for r in rows if r.size]
    if not rows:
        return FlipSummary(0, 0, 0, None, None, None, None, (0, 0.0, 0))
    every = np.concatenate(rows)
    if not np.isin(every, list(Flip)).all():
        raise InvalidValue("a state is not 0 (same), 1 (flipped) or 2 (unparsed)", remedy="give what `flips` returns")
    flipped, lost = int((every == Flip.FLIPPED).sum()), int((every == Flip.UNPARSED).sum())
    sizes = [len(r) for r in rows]
    parsed = [r for r in rows if (r != Flip.UNPARSED).any()]
    return FlipSummary(
        questions=len(rows),
        pairs=len(every),
        unparsed=lost,
        rate=(flipped + lost) / len(every),
        rate_parsed=flipped / (len(every) - lost) if len(every) > lost else None,
        any_flip=float(np.mean([(r != Flip.SAME).any() for r in rows])),
        any_flip_parsed=float(np.mean([(r == Flip.FLIPPED).any() for r in parsed])) if parsed else None,
        m=(min(sizes), float(np.mean(sizes)), max(sizes)),
    )


@dataclasses.dataclass(frozen=True)
class Change:
    """Shares of pairs in which correctness changed: `harmful` right -> wrong, `helpful` wrong -> right."""

    harmful: float | None
    helpful: float | None
    pairs: int


def _correctness(original: ArrayLike, rewordings: Sequence[ArrayLike]) -> tuple[NDArray[np.bool_], list[NDArray[np.bool_]]]:
    first, rows = np.asarray(original, dtype=bool), [np.asarray(r, dtype=bool) for r in rewordings]
    if first.ndim != 1 or len(first) != len(rows):
        raise InvalidValue(f"each question needs its rewordings (got {first.shape} and {len(rows)} rows)")
    return first, rows


def harmful_helpful(correct: ArrayLike, correct_rewordings: Sequence[ArrayLike]) -> Change:
    """Right -> wrong and wrong -> right, as shares of all pairs.

    Args:
        correct: (q,) the original answer is right. correct_rewordings: q rows, each (m_q,), right for that wording; an unparsed answer is not right.

    Raises:
        InvalidValue: numbers of questions differ.
    """
    first, rows = _correctness(correct, correct_rewordings)
    pairs = sum(r.size for r in rows)
    if not pairs:
        return Change(None, None, 0)
    harmful = sum(int((~r).sum()) for c, r in zip(first, rows, strict=True) if c)
    helpful = sum(int(r.sum()) for c, r in zip(first, rows, strict=True) if not c)
    return Change(harmful / pairs, helpful / pairs, pairs)


def worst_case_accuracy(correct: ArrayLike, correct_rewordings: Sequence[ArrayLike]) -> float | None:
    """Share of questions answered rightly in every wording, the original included; None without questions.

    Raises:
        InvalidValue: numbers of questions differ.
    """
    first, rows = _correctness(correct, correct_rewordings)
    return float(np.mean([c and r.all() for c, r in zip(first, rows, strict=True)])) if len(first) else None


@dataclasses.dataclass(frozen=True)
class Quadrants:
    """Counts of consistent x reliant: ideal (both), fragile (reliant only), dangerous (consistent only), worst (neither)."""

    ideal: int
    fragile: int
    dangerous: int
    worst: int

    @property
    def n(self) -> int:
        """Questions counted."""
        return self.ideal + self.fragile + self.dangerous + self.worst

    def shares(self) -> dict[str, float]:
        """Name to share; empty without questions."""
        return {k: v / self.n for k, v in dataclasses.asdict(self).items()} if self.n else {}


def quadrants(consistent: ArrayLike, reliant: ArrayLike) -> Quadrants:
    """Counts from (q,) booleans: the same answer in all wordings; another answer without the image (Sadanandan & Behzadan, arXiv 2603.20985).

    Raises:
        InvalidValue: lengths differ.
    """
    c, r = np.asarray(consistent, dtype=bool), np.asarray(reliant, dtype=bool)
    if c.shape != r.shape:
        raise InvalidValue(f"consistent and reliant must have one length (got {c.shape} and {r.shape})")
    return Quadrants(int((c & r).sum()), int((~c & r).sum()), int((c & ~r).sum()), int((~c & ~r).sum()))


def grounded_score(opposite_changed: ArrayLike, same_kept: ArrayLike) -> float | None:
    """O + S - 1: O the share of answers that change when the image is swapped for one with the opposite gold answer, S the share that stay when it is
    swapped for one with the same. 0 for a model that ignores the image, however it answers; 1 for a perfect one. None when either is empty.
    """
    o, s = np.asarray(opposite_changed, dtype=np.float64), np.asarray(same_kept, dtype=np.float64)
    return float(o.mean() + s.mean() - 1) if o.size and s.size else None
