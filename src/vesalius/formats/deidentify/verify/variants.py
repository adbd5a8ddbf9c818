"""The forms in which a name, a number or a date comes back.

In: a value. Out: folded words and spellings. Folding drops case, accents and punctuation, so most forms are one.
"""

from __future__ import annotations

import datetime
import functools
import re
import unicodedata
from typing import Any

from vesalius.registry import missing_extra

_WORD = re.compile(r"[^\W_]+")
_DICOM_DATE = re.compile(r"(\d{4})[.-]?(\d{2})[.-]?(\d{2})")
_MONTHS = ("january", "february", "march", "april", "may", "june", "july", "august", "september", "october", "november", "december")


def fold(text: str) -> str:
    """Lower case without accents."""
    return "".join(c for c in unicodedata.normalize("NFKD", text) if not unicodedata.combining(c)).casefold()


def words(text: str) -> list[str]:
    """The folded words of a text: letters and digits."""
    return _WORD.findall(fold(text))


def name_words(value: str) -> list[str]:
    """The words of a name in any order that can be told apart from initials and titles: three letters or more."""
    return [w for w in words(value) if len(w) >= 3 and not w.isdigit() and w not in _TITLES]


_TITLES = frozenset({"prof", "phd", "miss", "mrs", "the", "von", "van", "den", "der", "and", "rad", "tech", "jun", "sen", "esq"})


def _library() -> Any:  # noqa: ANN401 - the library is not typed
    try:
        import jellyfish
    except ModuleNotFoundError as error:
        raise missing_extra("jellyfish", "searching for misspelt names") from error
    return jellyfish


@functools.lru_cache(maxsize=4096)
def sound(word: str) -> str:
    """How a word is spoken (Metaphone)."""
    return str(_library().metaphone(word))


def alike(one: str, other: str) -> bool:
    """Whether two folded words of five letters or more are one letter apart, or two and sound the same."""
    if min(len(one), len(other)) < 5 or abs(len(one) - len(other)) > 2:
        return False
    apart = _library().damerau_levenshtein_distance(one, other)
    return apart <= 1 or (apart <= 2 and sound(one) == sound(other))


def date_of(value: str) -> datetime.date | None:
    """The day of a DICOM date or date-time; None when it is none."""
    match = _DICOM_DATE.match(value.strip())
    if match is None:
        return None
    try:
        return datetime.date(*(int(part) for part in match.groups()))
    except ValueError:
        return None


@functools.lru_cache(maxsize=4096)
def date_forms(day: datetime.date) -> tuple[re.Pattern[str], ...]:
    """Patterns over folded text for the ways in which a day with its year is written: any order of numbers, any separator, months in words."""
    y, m, d = f"{day.year:04d}", day.month, day.day
    year = rf"(?:{y}|{y[2:]})"
    number = [
        rf"{y}[\s./-]?{m:02d}[\s./-]?{d:02d}",
        rf"0?{m}[./-]0?{d}[./-]{year}",
        rf"0?{d}[./-]0?{m}[./-]{year}",
        rf"{m:02d}{d:02d}{y}",
        rf"{d:02d}{m:02d}{y}",
    ]
    name = _MONTHS[m - 1]
    month = rf"{name[:3]}(?:{name[3:]})?\.?" if len(name) > 3 else name
    spelled = [rf"{month}[\s,.-]*0?{d}(?:st|nd|rd|th)?[\s,.-]*{year}", rf"0?{d}(?:st|nd|rd|th)?[\s,.-]*(?:of\s+)?{month}[\s,.-]*{year}"]
    return tuple(re.compile(rf"(?<!\d){form}(?!\d)") for form in (*number, *spelled))
