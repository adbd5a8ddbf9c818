"""Findings that always go to a physician, found in a question or an answer in whatever words.

In: a policy's list of findings with their words, and texts. Out: the findings that occur.
A finding matches whether it is affirmed or denied: a missed tension pneumothorax is worse than an invented one.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable

from vesalius.errors import InvalidValue
from vesalius.safety.meaning import fold_spelling

_GAP = 3  # words that may stand between the words of a phrase: "haemorrhage in the left subarachnoid space"
_TYPO_LENGTH = 9  # shorter words have true neighbours ("hematoma", "hematuria"); they must be spelled right
_TWO_TYPOS_LENGTH = 11


@dataclasses.dataclass(frozen=True)
class Watch:
    """A finding and the words it goes by.

    Args:
        finding: its name, for people.
        words: words or phrases. All words of a phrase must occur within a window of three more words, in any order; British and American spelling and
            plural -s do not matter; a word of at least nine letters may hold one slip, of eleven two.
    """

    finding: str
    words: tuple[str, ...]

    def __post_init__(self) -> None:
        if not self.finding.strip() or not self.words or not all(fold_spelling(w) for w in self.words):
            raise InvalidValue(f"finding {self.finding!r} needs a name and at least one word to find it by", remedy="give words = [...]")


def watched(text: str, watches: Iterable[Watch]) -> tuple[str, ...]:
    """Names of the watched findings that a text mentions, in the order of the list."""
    tokens = fold_spelling(text).split()
    return tuple(w.finding for w in watches if any(_mentions(tokens, fold_spelling(phrase).split()) for phrase in w.words))


def _mentions(tokens: list[str], phrase: list[str]) -> bool:
    places = [[i for i, token in enumerate(tokens) if _same_word(token, word)] for word in phrase]
    if not all(places):
        return False
    window = len(phrase) + _GAP
    return any(all(any(0 <= i - start < window for i in of_word) for of_word in places) for of_first in places for start in of_first)


def _same_word(token: str, word: str) -> bool:
    if token in (word, word + "s", word + "es"):
        return True
    if min(len(token), len(word)) < _TYPO_LENGTH:
        return False
    return _within(token, word, 2 if len(word) >= _TWO_TYPOS_LENGTH else 1)


def _within(first: str, second: str, limit: int) -> bool:
    """Whether at most `limit` insertions, deletions, substitutions or exchanges of neighbours turn one word into the other (optimal string alignment)."""
    # One edit adds or removes at most two different letters: most pairs of words end here.
    if abs(len(first) - len(second)) > limit or len(set(first) ^ set(second)) > 2 * limit:
        return False
    before, row = list(range(len(second) + 1)), list(range(len(second) + 1))
    for i, a in enumerate(first, 1):
        older, before, row = before, row, [i]
        for j, b in enumerate(second, 1):
            cost = min(before[j] + 1, row[j - 1] + 1, before[j - 1] + (a != b))
            if i > 1 and j > 1 and a == second[j - 2] and first[i - 2] == b:
                cost = min(cost, older[j - 2] + 1)
            row.append(cost)
    return row[-1] <= limit
