"""Typing slips: one letter lost, doubled or swapped in a word that stays unmistakable.

In: a tidy question and a random generator. Out: the question with one slip, or None. Sides, negations, numbers, short words and words whose
neighbours are other words (hypo-/hyper-, inter-/intra-) are never touched.
"""

from __future__ import annotations

import random
import re

from vesalius.instruct import vocabulary


def slip(question: str, rng: random.Random) -> tuple[str, str] | None:
    """The question with one slip and the name of the rule; None when no word may be misspelt.

    Args:
        question: one line without closing mark.
        rng: decides the word and the slip.
    """
    places = [m for m in re.finditer(r"[A-Za-z]+", question) if m[0].lower() in vocabulary.CLINICAL_SLIPS or m[0].lower() in vocabulary.PLAIN_SLIPS]
    places = [m for m in places if not re.match(r"[-'/]", question[m.end() :]) and question[max(0, m.start() - 1) : m.start()] not in ("-", "'", "/")]
    if not places:
        return None
    place = rng.choice(places)
    word = place[0].lower()
    if word in vocabulary.CLINICAL_SLIPS:
        wrong: str | None = rng.choice(vocabulary.CLINICAL_SLIPS[word])
        rule = "misspelt-clinical"
    else:
        wrong, rule = _mistyped(word, rng)
    if wrong is None:
        return None
    wrong = wrong.capitalize() if place[0][0].isupper() else wrong
    return question[: place.start()] + wrong + question[place.end() :], rule


def _mistyped(word: str, rng: random.Random) -> tuple[str | None, str]:
    ways = [("swapped-letters", i) for i in range(1, len(word) - 1) if word[i] != word[i + 1]]
    ways += [("lost-letter", i) for i in range(1, len(word) - 1)] if len(word) > 5 else []
    ways += [("doubled-letter", i) for i in range(1, len(word) - 1) if word[i] != word[i + 1] != word[i - 1]] if len(word) > 4 else []
    rng.shuffle(ways)
    for rule, i in ways:
        if rule == "swapped-letters":
            wrong = word[:i] + word[i + 1] + word[i] + word[i + 2 :]
        elif rule == "lost-letter":
            wrong = word[:i] + word[i + 1 :]
        else:
            wrong = word[:i] + word[i] + word[i:]
        if wrong != word and wrong not in _KNOWN:
            return wrong, rule
    return None, ""


_KNOWN = vocabulary.REAL_WORDS | vocabulary.NOUNS | vocabulary.DESCRIPTORS | vocabulary.PLAIN_SLIPS | vocabulary.MODIFIERS
