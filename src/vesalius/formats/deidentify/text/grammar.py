"""How names are put together: initials, particles, surnames before a comma, degrees behind; what one token can be.

In: folded text. Out: `Grammar`, whose `chain` reads the words of a name from an offset on and whose `made` makes finds of them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from vesalius.formats.deidentify.text import lexicon
from vesalius.formats.deidentify.text.fold import Views
from vesalius.formats.deidentify.text.lexicon import words as listed
from vesalius.formats.deidentify.text.spans import Find

DEGREES = (
    r"(?:M\.?D\.?|D\.?O\.?|M\.?B\.?B\.?S\.?|Ph\.?\s?D\.?|R\.?N\.?|N\.?P\.?|A\.?P\.?R\.?N\.?|P\.?A\.?-C\.?|C\.?R\.?N\.?A\.?|D\.?N\.?P\.?|F\.?R\.?C\.?R\.?|F\.?A\.?C\.?R\.?|F\.?R\.?C\.?P\.?C?|M\.?P\.?H\.?"
    r"|R\.?T\.?(?:\s?\(?R\)?)|RDMS|ARRT|LPN|BSN|MSN|PharmD|DPM|DDS|DMD|DVM|Esq|Jr|Sr|III)"
)
DEGREE = re.compile(rf"\s{{0,2}},?\s{{0,2}}(?<![A-Za-z]){DEGREES}(?![\w])")
_GRADED = re.compile(
    r"(?:\d\s?|\b(?:grade|type|stage|class|group|category|level|segment|vitamin|hepatitis|hep|view|image|figure|zone|part|panel|vertebra|degrees)\s)$",
    re.IGNORECASE,
)
TOKEN = re.compile(r"[A-Za-z](?:[A-Za-z'-]*[A-Za-z])?(?:(?<=\b[A-Za-z])\.|(?<=\bSt)\.|(?<=\bJr)\.)?")
_CLOSED = re.compile(r"\s?[\n,.;)]|\s?$|\sON\s\S{0,10}\d")
_SMALL = re.compile(r"\s(?:on|by|at|via|who|regarding|about|and|over|through|during|from|this|has|was|will|is|et)\b", re.IGNORECASE)
_ENDED = re.compile(rf"\s?[\n,.;()]|\s?$|\s\s|{_SMALL.pattern}", re.IGNORECASE)
_SURNAME = re.compile(r" (?:[A-Z]\.? )?(?:(?:van|von|de|der|den|la|le|el|al|da|di|du) ){0,2}([A-Za-z][A-Za-z'-]*[A-Za-z])", re.IGNORECASE)


class Grammar:
    """What can be a name at a place in one text."""

    def __init__(self, views: Views) -> None:
        self.text, self.cased = views.loose, views.cased
        self.caseless_small = not any(sign.isupper() for sign in views.loose)

    def word(self, start: int, end: int) -> str:
        """The text between two offsets without a full stop and `'s` at its end."""
        return self.text[start:end].rstrip(".").removesuffix("'s").removesuffix("'S")

    def capital(self, word: str) -> bool:
        """Whether a word begins with a capital, or the text has none at all."""
        return word[0].isupper() or self.caseless_small

    def usual(self, token: re.Match[str]) -> bool:
        """Whether a word that reports know is a usual surname too and stands where a name ends, or a usual given name before a surname."""
        word = self.word(*token.span())
        if not self.capital(word) or word.lower() in listed("roles"):
            return False
        if lexicon.surname_word(word) and _ENDED.match(self.text, token.end()) is not None:
            return True
        behind = _SURNAME.match(self.text, token.end()) if lexicon.given_word(word) else None
        return behind is not None and (lexicon.surname(behind[1]) or lexicon.surname_word(behind[1]) or self.fits(behind[1], trusted=False))

    def fits(self, word: str, *, trusted: bool) -> bool:
        """Whether a word can be a name here: after a sure cue any capitalised word that is no small one, else one that no report knows."""
        small = word.lower()
        if small in listed("never") or len(word) < 2 or set(small) == {"x"} or not self.capital(word):
            return False
        if trusted:
            return not lexicon.small(word) or small in ("may", "will", "so", "do", "an", "my", "he", "how", "you", "more", "most", "see")
        return not lexicon.known(word) and not lexicon.thing(word) and small not in listed("strong")

    def chain(self, at: int, *, trusted: bool, commas: bool = False, most: int = 4, ends: bool = True, usual: bool = False) -> list[tuple[int, int]]:
        """The words of a name that begins at an offset; empty when none does.

        Args:
            at: where.
            trusted: what is before it says so: any capitalised word will do as the first.
            commas: a given name may follow a comma.
            most: of how many words, initials not counted.
            ends: a word that reports know may be the surname behind a given name.
            usual: as the first, and as the only one, a word that is a usual surname will do.
        """
        words: list[tuple[int, int]] = []
        names = 0
        while len(words) < most + 2 and (match := TOKEN.match(self.text, at)):
            word = self.word(*match.span())
            if self._initial(match, names) or self._particle(match, names):
                words.append(match.span())
            elif word.lower() in listed("particles") and word[0].isupper() and len(word) > 1 and (words or trusted):
                words.append((match.start(), match.start() + len(word)))  # Le, Van, Du are surnames too
                names += 1
            elif names < most and (
                self.fits(word, trusted=trusted and names == 0)
                or (usual and names == 0 and self.usual(match))
                or (ends and self._ends(match, words, names))
                or (commas and self._inverted(match, words))
            ):
                words.append((match.start(), match.start() + len(word)))
                names += 1
            else:
                break
            gap = re.compile(r"[ \t]{1,2}(?=[A-Za-z])|(?<=\.)(?=[A-Z])").match(self.text, match.end())
            comma = re.compile(r",\s?(?=[A-Za-z])").match(self.text, match.end()) if commas and names == 1 and len(words) <= 2 else None
            if comma and not DEGREE.match(self.text, match.end()):
                gap, commas = comma, False
            if gap is None:
                break
            at = gap.end()
        while words and self.text[words[-1][0] : words[-1][1]] in listed("particles"):
            words.pop()
        return words if names else []

    def _initial(self, token: re.Match[str], names: int) -> bool:
        word = self.word(*token.span())
        wanted = token[0].endswith(".") or names or self._next_fits(token.end())
        return len(word) == 1 and (word.isupper() or self.caseless_small) and bool(wanted) and not (names == 0 and self.graded(token.start()))

    def graded(self, start: int) -> bool:
        """Whether a letter belongs to what is before it: `38.5 C.`, `grade C`."""
        return _GRADED.search(self.text, max(0, start - 12), start) is not None

    def _particle(self, token: re.Match[str], names: int) -> bool:
        word = token[0]
        return word.lower() in listed("particles") and self._next_fits(token.end()) and (word.islower() or word.lower() not in ("de", "la") or names > 0)

    def _ends(self, token: re.Match[str], words: list[tuple[int, int]], names: int) -> bool:
        """Whether a word that reports know is a surname here: behind an initial, or capitalised behind one given name and at the end."""
        word = self.word(*token.span())
        if not words or not self.capital(word) or word.lower() in listed("never") or word.lower() in listed("roles") or lexicon.small(word):
            return False
        last = self.word(*words[-1])
        if len(last) == 1:
            return True
        after = self.text[token.end() : token.end() + 24]
        if not self.cased:
            usual = lexicon.surname_word(word)
            return names == 1 and (
                re.match(_CLOSED, after) is not None or (usual and (lexicon.given(last) or lexicon.given_word(last) or re.match(_SMALL, after) is not None))
            )
        return names == 1 and not word.isupper() and re.match(r" ?:| [A-Z][a-z]+:", after) is None

    def _inverted(self, token: re.Match[str], words: list[tuple[int, int]]) -> bool:
        """Whether a word that reports know is a surname before a comma and a given name: `Young, Wei`."""
        if words or not self.capital(token[0]) or token[0].lower() in listed("never"):
            return False
        behind = re.compile(r",\s?([A-Za-z][A-Za-z'-]+)").match(self.text, token.end())
        return behind is not None and self.capital(behind[1]) and (lexicon.given(behind[1]) or self.fits(behind[1], trusted=False))

    def _next_fits(self, end: int) -> bool:
        match = re.compile(r"\s{0,2}").match(self.text, end)
        token = TOKEN.match(self.text, match.end() if match else end)
        return token is not None and (
            token[0].lower() in listed("particles") or self.fits(self.word(*token.span()), trusted=False) or (len(token[0]) == 2 and token[0][1] == ".")
        )

    def made(self, words: list[tuple[int, int]], rule: str, rank: int = 50) -> Iterator[Find]:
        """One find for each full word, with initials and particles before it; those behind it go to the one before."""
        units: list[list[int]] = []
        held: int | None = None
        for start, end in words:
            word = self.word(start, end)
            if len(word) == 1 or (word.lower() in listed("particles") and (word.islower() or self._more(words, end))):
                if units and len(word) == 1 and held is None and start - units[-1][1] <= 2 and not self._more(words, end):
                    units[-1][1] = end
                else:
                    held = start if held is None else held
                continue
            stop = end
            for part in re.finditer(r"[^-]+", self.text[start:stop]):
                units.append([held if held is not None else start + part.start(), start + part.end(), start + part.start()])
                held = None
        for unit in units:
            core = re.match(r"[A-Za-z'-]+", self.text[unit[2] : unit[1]])
            yield Find(unit[0], unit[1], "person", rule, rank, stands_for=core[0] if core else "")

    def _more(self, words: list[tuple[int, int]], end: int) -> bool:
        return any(start >= end and len(self.word(start, stop)) > 1 for start, stop in words)
