"""The names of a study's header, found in a text in whatever way they are written there.

In: names as a header holds them (`DOE^JANE^Q`, `Jane Q. Doe`, several components, other numbers). Out: finds in folded text.

Found are, of each part of three letters or more (two where they stand alone): any case and order, with or without accents (`Müller`, `Muller`, `Mueller`),
parts of a double name alone and together, broken by a hyphen at a line's end or by signs that are not seen, letters that a scanner confuses (0 and o, 1 and l),
two parts written as one (`janedoe`, `jdoe`), the initials with dots (`J.D.`), and spellings near by (one letter differs, or it sounds the same) unless they are
words of a report. A header's name wins over every word and eponym: a patient called Lung has every `lung` replaced. Only small words (`may`, `do`) need their
capital, where the text has capitals.
"""

from __future__ import annotations

import itertools
import re
import unicodedata
from collections.abc import Iterator, Sequence

from vesalius.formats.deidentify.text import lexicon
from vesalius.formats.deidentify.text.fold import Views, plain
from vesalius.formats.deidentify.text.spans import Find

_CONFUSED = {
    "o": "[o0]", "l": "[l1i|]", "i": "[i1l|!]", "s": "[s5$]", "b": "[b8]", "g": "[g9q6]", "z": "[z2]", "a": "[a@4]", "e": "[e3]", "t": "[t7]",
    "m": "(?:m|rn|nn)", "w": "(?:w|vv)", "d": "(?:d|cl)", "h": "(?:h|li)", "q": "[q9g]",
}  # fmt: skip
_INVISIBLE = "\u00ad*"  # what folding makes of signs that are not seen
_BROKEN = rf"{_INVISIBLE}(?:-[ \t]*\n[ \t]*)?"
_BETWEEN = re.compile(r"[\s^,;&/\\|_*+?()\[\]{}<>:!#$%\"@~`=]+")
_INITIAL = re.compile(r" [A-Z](?:\.|(?=[ \t]*(?:[,;()|\n]|  |$)))(?![A-Za-z])")
_TITLES = frozenset(["dr", "mr", "mrs", "ms", "miss", "prof", "md", "phd", "jr", "sr", "ii", "iii", "iv", "do", "rn"])
_GERMAN = str.maketrans({"ä": "ae", "ö": "oe", "ü": "ue", "ß": "ss", "ø": "oe", "å": "aa", "æ": "ae"})
_NUMBER = re.compile(r"[\w./-]{4,64}")


class HeaderNames:
    """The names of one patient's header.

    Args:
        names: person names, and numbers; words of four signs or more with a digit are taken for numbers and looked for as they are.
    """

    def __init__(self, names: Sequence[str]) -> None:
        self._tokens: dict[str, str] = {}
        self._joined: dict[str, str] = {}
        self._initials: set[str] = set()
        self._foreign: set[str] = set()
        self._numbers: set[str] = set()
        for name in names:
            for one in str(name).split("="):
                self._add(unicodedata.normalize("NFC", one))
        self._exact = self._pattern()
        self._near = [token for token in self._tokens if len(token) >= 5]

    def __bool__(self) -> bool:
        return bool(self._exact or self._numbers or self._foreign)

    def __repr__(self) -> str:
        return f"HeaderNames({len(self._tokens)} parts)"

    def _add(self, name: str) -> None:
        words = [word for word in _BETWEEN.split(name) if not any(sign.isdigit() for sign in word)]
        if any(sign.isdigit() for sign in name):
            self._numbers.update(word.strip("./-") for word in _NUMBER.findall(plain(name)) if any(sign.isdigit() for sign in word))
            if "^" not in name and sum(len(word) > 1 for word in words) < 2:  # a number with its kind, `MRN 1234`
                return
        parts: list[str] = []
        letters: list[str] = []
        for word in words:
            folded = plain(word).strip(".'-").lower()
            if not folded or folded in _TITLES:
                continue
            if not folded.isascii():
                self._foreign.update({folded} if len(folded) > 1 else set())
                continue
            bare = re.sub(r"[^a-z-]", "", folded)
            letters.append(bare[:1])
            if len(bare) > 1:
                parts.append(bare)
                self._word(folded, word)
        for first, second in itertools.permutations(dict.fromkeys(part.replace("-", "") for part in parts), 2):
            self._joined.setdefault(first + second, second) if len(first + second) > 4 else None
            if len(second) > 3:
                self._joined.setdefault(first[0] + second, second)
                self._joined.setdefault(second + first[0], second)
        letters = [letter for letter in letters if letter.isalpha()]
        if 2 <= len(letters) <= 4:
            orders = (letters, [*letters[1:], letters[0]], letters[:2], letters[1::-1], [letters[0], letters[-1]], [letters[-1], letters[0]])
            self._initials.update(own for order in orders if (own := "".join(order)) not in _TITLES)

    def _word(self, folded: str, word: str) -> None:
        """A part, the parts of a double name, and the ways to write it without its signs."""
        german = word.lower().translate(_GERMAN).strip(".'-")
        for form in (folded, german if german.isascii() else folded):
            bare = re.sub(r"[^a-z]", "", form)
            canonical = re.sub(r"[^a-z]", "", folded)
            if len(bare) > 1:
                self._tokens.setdefault(bare, canonical)
            for piece in form.split("-"):
                piece = re.sub(r"[^a-z]", "", piece)
                if "-" in form and len(piece) > 1:
                    self._tokens.setdefault(piece, piece)

    def _pattern(self) -> re.Pattern[str] | None:
        forms = sorted({*self._tokens, *self._joined}, key=len, reverse=True)
        if not forms:
            return None
        return re.compile(r"(?<![^\W_])(?:" + "|".join(f"(?P<n{number}>{_letters(form)})" for number, form in enumerate(forms)) + r")(?![^\W_])", re.IGNORECASE)

    def find(self, views: Views) -> Iterator[Find]:
        """Every place in a text."""
        forms = sorted({*self._tokens, *self._joined}, key=len, reverse=True)
        if self._exact is not None:
            for match in self._exact.finditer(views.loose):
                form = forms[int((match.lastgroup or "n0")[1:])]
                if views.cased and match[0].islower() and (lexicon.small(match[0]) or len(form) == 2):
                    continue
                initial = _INITIAL.match(views.loose, match.end()) if not match[0].islower() else None
                yield Find(match.start(), (initial or match).end(), "person", "header name", 35, stands_for=self._tokens.get(form) or self._joined[form])
        for number in self._numbers:
            for match in re.finditer(rf"(?<![^\W_]){re.escape(number)}(?![^\W_])", views.plain, re.IGNORECASE):
                yield Find(match.start(), match.end(), "number", "header number", 4)
        for name in self._foreign:
            for match in re.finditer(re.escape(name), views.loose, re.IGNORECASE):
                yield Find(match.start(), match.end(), "person", "header name", 35, stands_for=name)
        for letters in self._initials:
            dotted = r"\.[ ]?".join(letters)
            for match in re.finditer(rf"(?<![\w.]){dotted}\.(?!\w)", views.loose, re.IGNORECASE):
                if match[0].isupper() or not views.cased:
                    yield Find(match.start(), match.end(), "initials", "header initials", 60)
        yield from self._nearly(views)

    def _nearly(self, views: Views) -> Iterator[Find]:
        if not self._near:
            return
        for match in re.finditer(r"[A-Za-z']{5,24}", views.loose):
            word = match[0].lower().removesuffix("'s").replace("'", "")
            if len(word) < 5 or (views.cased and match[0].islower()) or lexicon.known(word):
                continue
            token = next((one for one in self._near if near(word, one)), None)
            if token is not None and not lexicon.eponym(views.loose, *match.span()):
                end = match.end() - 2 * match[0].lower().endswith("'s")
                yield Find(match.start(), end, "person", "near a header name", 36, stands_for=self._tokens[token])


def _letters(form: str) -> str:
    confused = len(form) > 2
    return (_BROKEN if len(form) > 4 else _INVISIBLE).join(
        (_CONFUSED.get(sign, re.escape(sign)) if confused else re.escape(sign)) + ("'?" if at == 0 and len(form) > 3 else "") for at, sign in enumerate(form)
    )


def near(word: str, name: str) -> bool:
    """Whether a word may be a misspelt name: one change of a letter (two of seven or more that sound alike), or the same sound."""
    if abs(len(word) - len(name)) > 3 or word == name:
        return word == name
    steps = _distance(word, name)
    if steps <= 1:
        return True
    return steps <= max(2, len(name) // 2) and word[0] == name[0] and len(_sound(name)) > 2 and _sound(word) == _sound(name)


def _distance(one: str, other: str) -> int:
    """Letters to change, insert, drop or swap with the next."""
    last: list[int] = []
    row = list(range(len(other) + 1))
    for at, sign in enumerate(one, 1):
        before, last, row = last, row, [at]
        for to, with_ in enumerate(other, 1):
            cost = min(last[to] + 1, row[to - 1] + 1, last[to - 1] + (sign != with_))
            if at > 1 and to > 1 and sign == other[to - 2] and one[at - 2] == with_:
                cost = min(cost, before[to - 2] + 1)
            row.append(cost)
    return row[-1]


_SOUNDS = (
    ("ph", "f"),
    ("ck", "k"),
    ("sch", "s"),
    ("tsch", "s"),
    ("ch", "k"),
    ("sh", "s"),
    ("th", "t"),
    ("gh", ""),
    ("kn", "n"),
    ("wr", "r"),
    ("ce", "se"),
    ("ci", "si"),
    ("cy", "si"),
    ("x", "ks"),
    ("qu", "k"),
)
_CLASS = str.maketrans("cqzvdj", "kksftk")


def _sound(word: str) -> str:
    """The consonants of a word as they sound, roughly; the first letter stays."""
    for written, spoken in _SOUNDS:
        word = word.replace(written, spoken)
    head, body = word[:1], re.sub(r"[aeiouyhw]", "", word[1:].translate(_CLASS))
    return re.sub(r"(.)\1+", r"\1", head + body)
