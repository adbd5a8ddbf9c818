"""What stands in the place of an identifier: the same for the same value within a patient, recognised by its own key, so that cleaning twice is cleaning once.

In: a key, the patient's identity, a shift in days. Out: surrogates by kind, and the zones of a text that this key has written.

| kind | surrogate | how it is recognised |
|---|---|---|
| name | eleven letters that can be spoken, `Bolanituker`; no length, sex or origin of the name is in it | 18 of its 34 bits are a keyed check |
| number, serial, account | `Z` and nine letters and digits; the patient's own number: the pseudonym of the header | 25 of 45 bits are a keyed check |
| UID | the UID that the header gets | its own check |
| date | the shifted date as it was written, in brackets with four letters, `[11/02/2012 k7qx]`, or `[DATE]` | the letters are a keyed check of 20 bits |
| e-mail, URL | below example.org, which is nobody's (RFC 2606) | a made name is part of it |
| phone, IP, social security | 000-555-01nn, 192.0.2.n (RFC 5737), 000-nn-nnnn: never given to anyone | the ranges themselves |
| age above 89 | `90+` | |
| address, place, initials | `[ADDRESS]`, `[PLACE]`, `[INITIALS]` | |

The checks do not depend on the patient: a key knows its own surrogates in every text.
"""

from __future__ import annotations

import base64
import re
import unicodedata
from collections.abc import Iterator

from vesalius.formats.deidentify.pseudonyms import Key
from vesalius.formats.deidentify.text.spans import Zone

_CONSONANTS, _VOWELS = "bdfghjklmnprstvz", "aiou"
_NAME = re.compile(rf"(?<![^\W_])(?:[{_CONSONANTS}][{_VOWELS}]){{5}}[{_CONSONANTS}](?![^\W_])", re.IGNORECASE)
_ID = re.compile(r"(?<![^\W_])Z[A-Z2-7]{9}(?![^\W_])")
_PATIENT = re.compile(r"(?<![^\W_])P[A-Z2-7]{24}(?![^\W_])")
_UID = re.compile(r"(?<![\d.])2\.25\.\d{1,39}(?!\.?\d)")
_MARKED = re.compile(r"\[([^\[\]\n]{1,40}) ([a-z2-7]{4})\]")
_FIXED = re.compile(
    r"\[(?:DATE|ADDRESS|PLACE|INITIALS)\]|(?<!\d)000-555-01\d\d(?!\d)|(?<![\d.])192\.0\.2\.\d{1,3}(?!\d|\.\d)|(?<!\d)000-\d\d-\d{4}(?!\d)|(?<![\w.])90\+"
)
_MAIL = re.compile(r"(?<![\w.])([a-z]{11})@example\.org(?!\w)|https://example\.org/([a-z]{11})(?!\w)")
_FORMS = {"date": "[DATE]", "address": "[ADDRESS]", "place": "[PLACE]", "initials": "[INITIALS]", "age": "90+"}


def folded(name: str) -> str:
    """A name by its letters alone: no case, accents, hyphens or signs."""
    return "".join(sign for sign in unicodedata.normalize("NFKD", name).casefold() if sign.isalnum())


class Surrogates:
    """Surrogates for one patient.

    Args:
        key: the pseudonym key.
        identity: the text that the patient's pseudonym derives from (`patient_identity`); empty: none is known.
        short: write `X` for everything: for fields that take only a few characters.
    """

    def __init__(self, key: Key, identity: str = "", *, short: bool = False) -> None:
        self._key, self._identity, self._short = key, identity, short

    def _number(self, purpose: str, value: str, below: int) -> int:
        digest = self._key.digest(f"text {purpose}", f"{self._identity}\0{value}".encode("utf-8", "replace"))
        return int.from_bytes(digest[:8], "big") % below

    def _check(self, purpose: str, value: bytes, bits: int) -> int:
        return int.from_bytes(self._key.digest(f"text {purpose} check", value)[:8], "big") >> (64 - bits)

    def name(self, name: str, like: str = "") -> str:
        """The surrogate of one name, in capitals, small letters or capitalised as `like` (the name itself when empty) is."""
        like = like or name
        head = self._number("name", folded(name), 1 << 16)
        made = "X" if self._short else self._spoken(head)
        if like.isupper() and (len(like) > 1 or self._short):
            return made.upper()
        return made.lower() if like[:1].islower() else made.capitalize()

    def _spoken(self, head: int) -> str:
        bits = head << 18 | self._check("name", head.to_bytes(2, "big"), 18)
        parts = [_CONSONANTS[bits & 15]]
        bits >>= 4
        for _ in range(5):
            parts.append(_CONSONANTS[bits >> 2 & 15] + _VOWELS[bits & 3])
            bits >>= 6
        return "".join(reversed(parts))

    def made_name(self, word: str) -> bool:
        """Whether a word is a surrogate name of this key."""
        if not _NAME.fullmatch(word):
            return False
        bits, small = 0, word.lower()
        for at in range(0, 10, 2):
            bits = bits << 6 | _CONSONANTS.index(small[at]) << 2 | _VOWELS.index(small[at + 1])
        bits = bits << 4 | _CONSONANTS.index(small[10])
        return self._spoken(bits >> 18) == small

    def number(self, value: str) -> str:
        """The surrogate of a number by which something is known; the patient's own number gets the pseudonym that the header gets."""
        plain = folded(value)
        if self._short:
            return "X"
        if self._identity and plain == folded(self._identity.partition("\0")[0]):
            return self._key.patient(self._identity)
        head = self._number("number", plain, 1 << 20)
        return self._lettered(head)

    def _lettered(self, head: int) -> str:
        bits = head << 25 | self._check("number", head.to_bytes(3, "big"), 25)
        letters = base64.b32encode(bits.to_bytes(10, "big")).decode()
        return "Z" + letters[-9:]

    def made_number(self, word: str) -> bool:
        """Whether a word is a surrogate number of this key."""
        if not _ID.fullmatch(word):
            return False
        bits = int.from_bytes(base64.b32decode("A" * 7 + word[1:]), "big")
        return self._lettered(bits >> 25) == word

    def marked(self, date: str) -> str:
        """A shifted date with the mark that says so."""
        if self._short:
            return "X"
        return f"[{date} {self._mark(date)}]"

    def _mark(self, date: str) -> str:
        return base64.b32encode((self._check("date", date.encode("utf-8", "replace"), 20) << 20).to_bytes(5, "big")).decode()[:4].lower()

    def other(self, kind: str, value: str) -> str:
        """The surrogate of anything but names, and of a date that is not moved."""
        if self._short:
            return "X"
        if kind in _FORMS:
            return _FORMS[kind]
        if kind == "uid":
            return self._key.uid(value)
        if kind == "phone":
            digits = re.sub(r"\D", "", value)
            return f"000-555-01{self._number(kind, digits, 100):02d}"
        if kind == "ip":
            return f"192.0.2.{self._number(kind, value.lower(), 254) + 1}"
        if kind == "ssn":
            number = self._number(kind, re.sub(r"\D", "", value), 1_000_000)
            return f"000-{number // 10000:02d}-{number % 10000:04d}"
        if kind in ("email", "url"):
            word = self._spoken(self._number("name", value.lower(), 1 << 16))
            return f"{word}@example.org" if kind == "email" else f"https://example.org/{word}"
        return self.number(value)

    def zones(self, text: str) -> list[Zone]:
        """Where this key has been: the surrogates in a text, which are left alone."""
        return sorted(self._zones(text))

    def _zones(self, text: str) -> Iterator[Zone]:
        for pattern, made in (
            (_NAME, self.made_name),
            (_ID, self.made_number),
            (_PATIENT, self._key.made_patient),
            (_UID, lambda uid: self._key.uid(uid) == uid),
        ):
            yield from (match.span() for match in pattern.finditer(text) if made(match[0]))
        yield from (match.span() for match in _MARKED.finditer(text) if self._mark(match[1]) == match[2])
        yield from (match.span() for match in _FIXED.finditer(text))
        yield from (match.span() for match in _MAIL.finditer(text) if self.made_name(match[1] or match[2]))


def without_marks(text: str) -> str:
    """A cleaned text with its dates free of brackets and marks, for readers; such a text cleaned again has its dates shifted again."""
    return re.sub(r"\[([^\[\]\n]*\d[^\[\]\n]{0,39}) [a-z2-7]{4}\]", r"\1", text)
