"""Dates in a text, in the ways reports write them, and the same dates moved by whole days.

In: folded text. Out: finds of kind `date`, and `moved`, which writes a date as it was written, some days later or earlier. Times of day are no dates.
Of 3/4/2015 and 3-4-2015 the first number is the month unless it is above 12, of 3.4.2015 the day. A date without a year is moved as one of 2001, one
without a day as the first of the month, a year alone as the first of July: the interval between two such dates may change by a day, a month, a year.
"""

from __future__ import annotations

import calendar
import datetime
import re
from collections.abc import Callable, Iterator

from vesalius.formats.deidentify.text.spans import Find

_NAMES = {
    1: "january jan januar janner janvier enero gennaio janeiro",
    2: "february feb febr februar fevrier febrero febbraio fevereiro",
    3: "march mar marz maerz mars marzo marco",
    4: "april apr avril abril aprile",
    5: "may mai mayo maggio maio",
    6: "june jun juni juin junio giugno junho",
    7: "july jul juli juillet julio luglio julho",
    8: "august aug aout agosto",
    9: "september sept sep septembre septiembre settembre setembro",
    10: "october oct okt oktober octobre octubre ottobre outubro",
    11: "november nov novembre noviembre novembro",
    12: "december dec dez dezember decembre diciembre dicembre dezembro",
}
_MONTH = {name: number for number, names in _NAMES.items() for name in names.split()}
_M = "(?P<mon>" + "|".join(sorted(_MONTH, key=len, reverse=True)) + r")\.?"
_D = r"(?P<day>[0-3]?\d)(?:\s?(?:st|nd|rd|th)|\.)?"
_Y = r"(?P<year>(?:1[89]|20)\d\d)"
_YY = r"(?P<year>(?:1[89]|20)\d\d|'?\d\d)"
_WD = r"(?:(?P<wd>(?:mon|tues|wednes|thurs|fri|satur|sun)day|(?:mon|tue|wed|thu|fri|sat|sun)(?=[.,]|\s(?:\d|[a-z]{3,9}\.?\s\d)))[.,]{0,2}\s)?"
_NO = r"(?<![\w.,/-])"
_END = r"(?![\w])(?![./-]\d)"
_TO = r"\s*(?:-|to|through|and|&|bis)\s*"
_BEFORE = (
    "on, dated, since, until, comparison, comparison:, compared to, compared with, from, date:, dob, dob:, dos, dos:, lmp, lmp:, prior, ct, mri, mr, pet, cxr,"
    " x-ray, radiograph, radiographs, film, films, study, exam, scan, ultrasound, visit, admitted, discharged, surgery, born, biopsy, study of, exam of,"
    " film of, radiograph of, ct of, x-ray of, mri of, through, to, and"
)
_LISTS = "exams:, priors:, d:, t:, period"
_YEARS = "in, since, from, year, circa, early, late, summer, winter, spring, fall, of, to, until, born, before, after"


def _behind(words: str) -> str:
    """A pattern for a place right behind one of some words."""
    return "|".join(rf"(?<=\b{word} )" for word in words.split(", "))


_ON = f"(?:{_behind(_BEFORE)})"
_NO_UNIT = r"(?!\s?(?:of\b|rd|th|cm|mm|m\b|strength|murmur|hours?|days?|weeks?|months?|years?|views?|%|lobes?|power|ribs?|vertebra))"

_IN = f"(?:{_behind(_YEARS)})"
_HOLIDAYS = "christmas|thanksgiving|new year'?s|easter|labor day|memorial day|independence day|4th of july|fourth of july|halloween"

_ROWS: tuple[tuple[str, str], ...] = (
    ("year first", rf"{_NO}{_Y}(?P<s>[-/.])(?P<m>[01]?\d)(?P=s)(?P<d>[0-3]?\d)(?=T\d\d|(?!\w)(?![./-]\d))"),
    ("eight digits", r"(?<![\w.,/-])(?P<year>(?:19|20)\d\d)(?P<m>0[1-9]|1[0-2])(?P<d>0[1-9]|[12]\d|3[01])(?=(?:[0-2]\d[0-5]\d(?:[0-5]\d)?)?(?!\w)(?![-]\d))"),
    ("three numbers", rf"(?<![\w./-]){_WD}(?<![\w./-])(?<!\d,)(?P<a>[0-3]?\d)(?P<s>\s?[-/.]\s?)(?P<b>[0-3]?\d)(?P=s){_YY}{_END}"),
    ("range of days", rf"{_NO}(?P<a>[01]?\d)/(?P<b>[0-3]?\d)\s?-\s?(?P<a2>[01]?\d)/(?P<b2>[0-3]?\d)/{_YY}{_END}"),
    ("month, days, year", rf"\b{_WD}\b{_M}\s+{_D}{_TO}(?P<day2>[0-3]?\d)(?:st|nd|rd|th)?,?\s+{_Y}{_END}"),
    ("month, day, year", rf"\b{_WD}\b{_M}[\s-]+{_D}\s*,?[\s-]+{_YY}(?!\s?(?:mm|cm|year|y/?o|hour|:))(?!:){_END}"),
    ("day, month, year", rf"(?<![\w./-]){_WD}(?<![\w./-])(?:the\s)?{_D}\s?[-/]?\s?(?:of\s|de\s|di\s)?{_M}[\s,/-]*(?:de\s|del\s)?{_YY}(?!:){_END}"),
    ("year, month, day", rf"{_NO}{_Y}[\s-]{_M}[\s-]{_D}{_END}"),
    ("month, day", rf"\b{_WD}\b{_M}\s+{_D}(?!\s?(?:mm|cm|%|mg|ml|x\b|year|y/?o))(?!:){_END}"),
    ("day, month", rf"{_NO}(?:the\s)?{_D}\s(?:of\s)?{_M}(?![\w/])"),
    ("month, year", rf"\b{_M}[\s,/-]*(?:of\s)?(?P<year>(?:1[89]|20)\d\d|'\d\d){_END}"),
    ("month and year in numbers", rf"{_NO}(?P<m>0?[1-9]|1[0-2])[/-]{_Y}{_END}"),
    (
        "two numbers",
        rf"(?=\d{{1,2}}/\d)(?:{_ON}(?P<m>0?[1-9]|1[0-2])/(?P<d>0?[1-9]|[12]\d|3[01])|{_NO}(?P<m2>0[1-9]|1[0-2])/(?P<d2>0[1-9]|[12]\d|3[01])){_END}{_NO_UNIT}",
    ),
    (
        "month and short year",
        rf"(?=\d{{1,2}}/\d)(?:{_ON}|{_behind(_LISTS)}|(?<=\d, )|{_NO}(?=\d+/\d\d\s\d\d?:\d\d))"
        rf"(?P<m>0?[1-9]|1[0-2])/(?P<year>3[2-9]|[4-9]\d|0\d){_END}{_NO_UNIT}",
    ),
    ("year", rf"(?=[12]\d{{3}}){_IN}{_Y}{_END}(?!\s?(?:mm|cm|ml|cc|mg|hours|hrs))"),
    ("holiday", rf"\b(?:{_HOLIDAYS})(?: (?:day|eve))?(?: of)?(?: (?:19|20)\d\d)?\b"),
)  # fmt: skip
_PATTERNS = tuple((name, re.compile(pattern, re.IGNORECASE)) for name, pattern in _ROWS)
_NUMERIC = {"year first", "eight digits", "three numbers", "range of days", "month and year in numbers", "two numbers", "month and short year", "year"}
_MODAL = re.compile(r"may|mar|sept?|jan|dec|march|mars|april|august", re.IGNORECASE)


def find(text: str, *, cased: bool) -> Iterator[Find]:
    """Dates in a folded text; a word that is a month and another word too (`may 2 views`) needs its capital where the text has capitals."""
    hint = any(sign.isdigit() for sign in text)
    for name, pattern in _PATTERNS:
        if not hint and name != "holiday":
            continue
        for match in pattern.finditer(text):
            month = match.groupdict().get("mon")
            if month and cased and month[0].islower() and _MODAL.fullmatch(month) and name in ("month, day", "day, month", "month, year"):
                continue
            if name != "holiday" and not _sound(name, match):
                continue
            yield Find(
                match.start(),
                match.end(),
                "date",
                name,
                rank=20 + (name in ("year", "two numbers", "month and short year")) + 2 * (name in ("month, day", "day, month")),
            )


def _sound(name: str, match: re.Match[str]) -> bool:
    """Whether the numbers can be a date."""
    return name == "year" or _read(match) is not None


def moved(text: str, days: int) -> str | None:
    """A date as written, moved; None when it cannot be (a holiday, a year that is none)."""
    folded = re.sub(r"\s", " ", text)
    for name, pattern in _PATTERNS:
        padded = f"in {folded}" if name == "year" else f"on {folded}" if name in ("two numbers", "month and short year") else folded
        match = next((one for one in pattern.finditer(padded) if one.end() == len(padded) and one.start() == len(padded) - len(folded)), None)
        if match is not None and name != "holiday" and _sound(name, match):
            return _write(match, days)
    return None


def _number(groups: dict[str, str | None], *names: str) -> int | None:
    return next((int(value.strip("'")) for name in names if (value := groups.get(name))), None)


def _year(groups: dict[str, str | None]) -> int | None:
    text = groups.get("year")
    if text is None:
        return None
    number = int(text.strip("'"))
    if len(text.strip("'")) > 2:
        return number
    return number + (2000 if number < 50 else 1900)


def _read(match: re.Match[str]) -> tuple[datetime.date, bool] | None:
    """The date and whether the day stands first; None when there is none such."""
    groups = match.groupdict()
    month, day, day_first = _number(groups, "m", "m2"), _number(groups, "d", "d2", "day"), False
    if groups.get("mon"):
        month = _MONTH[str(groups["mon"]).lower()]
    if groups.get("a"):
        first, second = int(str(groups["a"])), int(str(groups["b"]))
        day_first = first > 12 or ((groups.get("s") or "").strip() == "." and second <= 12)
        month, day = (second, first) if day_first else (first, second)
    if month is None and day is None and groups.get("year"):
        month = 7
    year = _year(groups)
    try:
        return datetime.date(year if year is not None else 2001, month or 0, day if day is not None else 1), day_first
    except ValueError:
        return None


def _write(match: re.Match[str], days: int) -> str | None:
    """The text of a match with its numbers and month moved."""
    read = _read(match)
    if read is None:
        return None
    groups = match.groupdict()
    try:
        new = read[0] + datetime.timedelta(days=days)
        later = _later(groups, read[0], days)
    except (ValueError, OverflowError):
        return None
    first, second = (new.day, new.month) if read[1] else (new.month, new.day)
    wide = all(len(groups[name] or "00") == 2 for name in ("a", "b", "m", "m2", "d", "d2") if name in groups)

    def like(old: str, number: int) -> str:
        return _digits(old, number, wide=wide and not groups.get("mon"))

    values: dict[str, Callable[[str], str]] = {
        "year": lambda old: like(old, new.year), "m": lambda old: like(old, new.month), "m2": lambda old: like(old, new.month),
        "d": lambda old: like(old, new.day), "d2": lambda old: like(old, new.day), "day": lambda old: like(old, new.day),
        "a": lambda old: like(old, first), "b": lambda old: like(old, second), "mon": lambda old: _month_like(old, new.month),
        "wd": lambda old: _weekday_like(old, new),
    }  # fmt: skip
    if later is not None:
        values |= {"a2": lambda old: like(old, later.month), "b2": lambda old: like(old, later.day), "day2": lambda old: like(old, later.day)}
        values["year"] = lambda old: like(old, later.year)
        if groups.get("day2") and later.month != new.month:  # March 30-31 became two months: written out
            old = str(groups["mon"])
            return " to ".join(f"{_month_like(old, one.month)} {one.day}, {one.year}" for one in (new, later))
    pieces, at = [], match.start()
    for name in sorted((name for name in values if groups.get(name)), key=match.start):
        pieces += [match.string[at : match.start(name)], values[name](match[name])]
        at = match.end(name)
    return _ordinal("".join([*pieces, match.string[at : match.end()]]))


def _later(groups: dict[str, str | None], first: datetime.date, days: int) -> datetime.date | None:
    """The end of a range, moved."""
    if groups.get("a2"):
        return datetime.date(first.year, int(str(groups["a2"])), int(str(groups["b2"]))) + datetime.timedelta(days=days)
    if groups.get("day2"):
        return first.replace(day=int(str(groups["day2"]))) + datetime.timedelta(days=days)
    return None


def _digits(old: str, number: int, *, wide: bool) -> str:
    """A number with the digits that the old one had: 03 stays two digits wide, '15 stays short."""
    if old.startswith("'"):
        return f"'{number % 100:02d}"
    if len(old) == 2 and number > 99:
        return f"{number % 100:02d}"
    return f"{number:0{len(old)}d}" if wide or old.startswith("0") or len(old) == 4 else str(number)


def _month_like(old: str, month: int) -> str:
    """The month in the language, length and case of the old one, as far as the table of names tells."""
    column = _NAMES[_MONTH[old.lower()]].split().index(old.lower())
    english = calendar.month_name[month] if column == 0 else calendar.month_abbr[month]
    new = english if column < 2 or len(old) <= 4 else calendar.month_name[month]
    return new.upper() if old.isupper() else new.lower() if old.islower() else new


def _weekday_like(old: str, day: datetime.date) -> str:
    """The day of the week, as long and in the case that the old one had."""
    new = calendar.day_name[day.weekday()] if len(old) > 4 else calendar.day_abbr[day.weekday()]
    return new.upper() if old.isupper() else new.lower() if old.islower() else new


def _ordinal(text: str) -> str:
    """3rd moved to 4 becomes 4th."""

    def right(match: re.Match[str]) -> str:
        day = int(match[1])
        return match[1] + ("th" if 10 < day < 20 else {1: "st", 2: "nd", 3: "rd"}.get(day % 10, "th"))

    return re.sub(r"\b(\d{1,2})(?:st|nd|rd|th)\b", right, text)
