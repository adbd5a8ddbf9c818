"""English stems by Porter's algorithm (Porter, Program 14(3), 1980), as METEOR's second stage needs them.

In: a word in lower case. Out: its stem. Written from the paper, without the later departures of his own C and Snowball versions.
"""

from __future__ import annotations

import functools
import re

_VOWELS = "aeiou"
_STEP_2 = (
    ("ational", "ate"),
    ("tional", "tion"),
    ("enci", "ence"),
    ("anci", "ance"),
    ("izer", "ize"),
    ("abli", "able"),
    ("alli", "al"),
    ("entli", "ent"),
    ("eli", "e"),
    ("ousli", "ous"),
    ("ization", "ize"),
    ("ation", "ate"),
    ("ator", "ate"),
    ("alism", "al"),
    ("iveness", "ive"),
    ("fulness", "ful"),
    ("ousness", "ous"),
    ("aliti", "al"),
    ("iviti", "ive"),
    ("biliti", "ble"),
)
_STEP_3 = (("icate", "ic"), ("ative", ""), ("alize", "al"), ("iciti", "ic"), ("ical", "ic"), ("ful", ""), ("ness", ""))
_STEP_4 = (
    *("al", "ance", "ence", "er", "ic", "able", "ible", "ant", "ement", "ment", "ent"),
    *("sion", "tion", "ou", "ism", "ate", "iti", "ous", "ive", "ize"),
)


@functools.lru_cache(maxsize=20_000)
def stem(word: str) -> str:
    """The stem of a lower-case word; words without two letters, and whatever is no word, come back as they are."""
    if len(word) < 2:
        return word
    for step in (_plurals, _past, _final_y, _double_suffixes, _short_suffixes, _last_suffixes, _final_e, _double_l):
        word = step(word)
    return word


def _kinds(word: str) -> str:
    """C or v for each letter; y is a vowel after a consonant."""
    kinds: list[str] = []
    for letter in word:
        vowel = letter in _VOWELS or (letter == "y" and bool(kinds) and kinds[-1] == "c")
        kinds.append("v" if vowel else "c")
    return "".join(kinds)


def _measure(part: str) -> int:
    return len(re.findall("v+c+", _kinds(part)))


def _short_end(part: str) -> bool:
    """*o of the paper: consonant, vowel, consonant, the last none of w, x, y."""
    return _kinds(part)[-3:] == "cvc" and part[-1] not in "wxy"


def _doubled(part: str) -> bool:
    return len(part) > 1 and part[-1] == part[-2] and _kinds(part)[-1] == "c"


def _plurals(word: str) -> str:
    for end, by in (("sses", "ss"), ("ies", "i"), ("ss", "ss"), ("s", "")):
        if word.endswith(end):
            return word[: -len(end)] + by
    return word


def _past(word: str) -> str:
    if word.endswith("eed"):
        return word[:-1] if _measure(word[:-3]) > 0 else word
    end = next((e for e in ("ed", "ing") if word.endswith(e)), None)
    if end is None or "v" not in _kinds(word[: -len(end)]):
        return word
    word = word[: -len(end)]
    if word.endswith(("at", "bl", "iz")):
        return word + "e"
    if _doubled(word) and word[-1] not in "lsz":
        return word[:-1]
    return word + "e" if _measure(word) == 1 and _short_end(word) else word


def _final_y(word: str) -> str:
    return word[:-1] + "i" if word.endswith("y") and "v" in _kinds(word[:-1]) else word


def _replace(word: str, table: tuple[tuple[str, str], ...]) -> str:
    """The longest suffix of the table alone is looked at."""
    found = max((pair for pair in table if word.endswith(pair[0])), key=lambda pair: len(pair[0]), default=None)
    if found is None or _measure(word[: -len(found[0])]) == 0:
        return word
    return word[: -len(found[0])] + found[1]


def _double_suffixes(word: str) -> str:
    return _replace(word, _STEP_2)


def _short_suffixes(word: str) -> str:
    return _replace(word, _STEP_3)


def _last_suffixes(word: str) -> str:
    end = max((e for e in _STEP_4 if word.endswith(e)), key=len, default=None)
    if end is None:
        return word
    cut = 3 if end in ("sion", "tion") else len(end)  # the paper's (*S or *T) ION
    return word[:-cut] if _measure(word[:-cut]) > 1 else word


def _final_e(word: str) -> str:
    if not word.endswith("e"):
        return word
    part = word[:-1]
    return part if _measure(part) > 1 or (_measure(part) == 1 and not _short_end(part)) else word


def _double_l(word: str) -> str:
    return word[:-1] if word.endswith("ll") and _measure(word[:-1]) > 1 else word
