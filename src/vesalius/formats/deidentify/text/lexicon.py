"""Which words are no names: the vocabulary of reports, the eponyms of radiology; and which ones are names.

In: four TOML files beside this one. Out: `known`, `thing`, `eponym`, `given` and `surname`, for single words and places in a text.
An eponym is kept where it means a thing (`Baker cyst`, `Kerley B lines`, `fracture of Colles`), and is a name like any other after `Dr` or `Mr`.
"""

from __future__ import annotations

import functools
import importlib.resources
import re
import tomllib
import unicodedata

_WORD = re.compile(r"[A-Za-z]+(?:['-][A-Za-z]+)*")
_DISEASES = ("pathy", "itis", "oma", "osis", "plasty", "ectomy", "otomy", "plegia", "trophy", "kyphosis")
_NEXT = re.compile(r"[\s,()/'-]{0,3}([A-Za-z]+(?:['-][A-Za-z]+)*)")
_SUFFIXES = ("s", "es", "ed", "d", "ing", "ly", "al", "er", "ally", "ic")
_BEFORE = (
    "non",
    "sub",
    "peri",
    "intra",
    "inter",
    "retro",
    "para",
    "hypo",
    "hyper",
    "multi",
    "post",
    "pre",
    "over",
    "under",
    "un",
    "bi",
    "supra",
    "infra",
    "re",
    "costo",
    "pneumo",
)


@functools.cache
def _file(name: str) -> dict[str, frozenset[str]]:
    data = tomllib.loads(importlib.resources.files(__package__).joinpath(name).read_text(encoding="utf-8"))
    return {key: frozenset(str(value).split()) for key, value in data.items()}


def words(name: str) -> frozenset[str]:
    """A list of `words.toml`: `never`, `roles`, `particles` ..."""
    return _file("words.toml")[name]


@functools.lru_cache(maxsize=65536)
def known(word: str) -> bool:
    """Whether a word belongs to the vocabulary of reports, in any of its usual forms and case."""
    small = word.lower().strip("'.")
    vocabulary = words("words")
    if small in vocabulary or not small:
        return True
    small = small.removesuffix("'s").rstrip("'")
    parts = [part for part in re.split(r"[-/]", small) if part]
    if len(parts) > 1:
        return all(known(part) for part in parts)
    if _inflected(small, vocabulary):
        return True
    if len(small) >= 7 and small.endswith(tuple(_file("words.toml")["endings"])):
        return True
    return any(small.startswith(head) and len(small) > len(head) + 3 and _inflected(small[len(head) :], vocabulary) for head in _BEFORE)


def _inflected(small: str, words: frozenset[str]) -> bool:
    if small in words:
        return True
    for suffix in _SUFFIXES:
        stem = small.removesuffix(suffix)
        if stem != small and len(stem) > 2 and (stem in words or stem + "e" in words or stem + "y" in words or (stem[-1] == stem[-2] and stem[:-1] in words)):
            return True
    return small.endswith("ies") and small[:-3] + "y" in words


def small(word: str) -> bool:
    """Whether a word is one of the small words of the language (`the`, `may`, `do`)."""
    return word.lower() in _file("words.toml")["small"]


def thing(word: str) -> bool:
    """Whether a word that is written with a capital is a drug, a make, a germ or a people."""
    return any(part in _file("words.toml")["things"] for part in (word.lower(), word.lower().removesuffix("'s")))


def given(word: str) -> bool:
    """Whether a word is a given name and no word of a report."""
    data = _file("given.toml")
    return word.lower() in data["names"] or word.lower() in data["more"]


def surname(word: str) -> bool:
    """Whether a word is a surname and no word of English; of a double name one part is enough."""
    names = _file("surnames.toml")["names"]
    small = word.lower()
    return small in names or small.replace("'", "") in names or ("-" in small and any(part in names for part in small.split("-")))


def given_word(word: str) -> bool:
    """Whether a word of English is a usual given name too."""
    return word.lower() in _file("given.toml")["words"]


def surname_word(word: str) -> bool:
    """Whether a word of English or an eponym is a usual surname too."""
    return word.lower() in _file("surnames.toml")["words"]


@functools.cache
def eponyms() -> frozenset[str]:
    """All eponyms in small letters, of several words with hyphens."""
    data = _file("eponyms.toml")
    return data["alone"] | data["names"]


@functools.lru_cache(maxsize=16384)
def _bare(word: str) -> str:
    plain = "".join(sign for sign in unicodedata.normalize("NFKD", word.lower()) if not unicodedata.combining(sign))
    return plain.removesuffix("'s").removesuffix("s'").strip("'")


@functools.cache
def _parts() -> frozenset[str]:
    return eponyms() | {part for name in eponyms() if "-" in name for part in name.split("-") if len(part) > 2}


def eponym(text: str, start: int, end: int, *, alone: bool = True) -> bool:
    """Whether the words in `text[start:end]` mean a thing here: an eponym that may stand alone, or one with its noun within three words beside it."""
    words = [_bare(word[0]) for word in _WORD.finditer(text, start, end)]
    joined = "-".join(words)
    if alone and joined in _file("eponyms.toml")["alone"]:
        return True
    if not words or not (joined in eponyms() or all(word in _parts() or known(word) for word in words)):
        return False
    return noun_next(text, end) or _noun_before(text, start)


def noun_next(text: str, end: int, *, strict: bool = False) -> bool:
    """Whether one of the next three words (`strict`: the next) is the noun of an eponym; a sentence's end and small words but `and`, `or` end the search."""
    at = end
    for _ in range(1 if strict else 3):
        word = _NEXT.match(text, at)
        if word is None:
            return False
        bare = _bare(word[1])
        if (bare in _file("eponyms.toml")["nouns"] or (len(bare) > 6 and bare.endswith(_DISEASES))) and (len(bare) > 1 or word[1].isupper()):
            return True
        if len(bare) > 1 and bare not in ("and", "or") and (small(bare) or bare.endswith("ed")):
            return False
        at = word.end()
    return False


def _noun_before(text: str, start: int) -> bool:
    """Whether the words before are a noun and `of`, as in `fracture of Colles`."""
    sentence = re.split(r"[.;:\n]", text[max(0, start - 40) : start])[-1]
    before = [_bare(word[0]) for word in _WORD.finditer(sentence)][-4:]
    return len(before) > 1 and before[-1] in ("of", "and", "or", "de", "the") and any(word in _file("eponyms.toml")["nouns"] for word in before[:-1])
