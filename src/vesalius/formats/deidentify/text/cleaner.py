"""Reports and text elements of a header without what identifies: found by rules, by the header's names, by a second finder; replaced by surrogates.

In: a text. Out: `Cleaned`. Each patient has a cleaner of their own:

```python
cleaner = TextCleaner(key, identity=patient_identity(dataset, key), names=[str(dataset.PatientName)], shift_days=key.shift(identity))
cleaner.clean(report).text
deidentify(dataset, profile, key, cleaners=Cleaners(text=cleaner.as_tag_cleaner()))
```

The result is looked at again until nothing more is found in it, so that cleaning it again changes nothing.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Sequence

from vesalius.errors import UserError
from vesalius.formats.deidentify.pseudonyms import Key
from vesalius.formats.deidentify.text import dates, fold, lexicon, rules
from vesalius.formats.deidentify.text.header_names import HeaderNames
from vesalius.formats.deidentify.text.names import Finder
from vesalius.formats.deidentify.text.persons import Persons
from vesalius.formats.deidentify.text.spans import Cleaned, Find, Span, Zone, render, settle, source_offset
from vesalius.formats.deidentify.text.surrogates import Surrogates

LONGEST = 2_000_000
"""Signs of one text; a longer one is no report."""
_ROUNDS = 6
_WIDTHS = {"SH": 16, "CS": 16, "AE": 16, "LO": 64, "PN": 64}


class TextCleaner:
    """Cleans the texts of one patient.

    Args:
        key: the pseudonym key.
        identity: the text that the patient's pseudonym and shift derive from (`walk.patient_identity`); empty: none is known.
        names: names and numbers of the study's header, as they stand there; what this key made is no name.
        shift_days: by how many days dates are moved, as the header's are; None: dates become `[DATE]`; 0: they are moved already and stay.
        finder: a second finder for prose, `PresidioFinder()` or one's own; None: rules only.
    """

    def __init__(self, key: Key, *, identity: str = "", names: Sequence[str] = (), shift_days: int | None = None, finder: Finder | None = None) -> None:
        self._surrogates = Surrogates(key, identity)
        self._short = Surrogates(key, identity, short=True)
        number = identity.partition("\0")[0]
        given = [str(name) for name in names if name and not key.made_patient(str(name)) and not self._surrogates.made_name(str(name))]
        self._names = HeaderNames([*given, *([number] if sum(sign.isdigit() for sign in number) > 2 and not key.made_patient(number) else [])])
        self._days, self._finder = shift_days, finder

    def __repr__(self) -> str:
        return f"TextCleaner({self._names!r}, finder={self._finder and _name(self._finder)!r})"

    def clean(self, text: str) -> Cleaned:
        """The text without what identifies.

        Raises:
            UserError: the text has more than two million signs; the message holds none of it.
        """
        return self._clean(text, self._surrogates)

    def as_tag_cleaner(self) -> Callable[[str, str], str]:
        """A function of keyword and text, for `Cleaners(text=...)`; only sentences are shown to the second finder, labels are too short for it."""

        def cleaned(keyword: str, text: str) -> str:
            result = self._clean(text, self._surrogates).text
            return result if len(result) <= max(_width(keyword), len(text)) else self._clean(text, self._short).text

        return cleaned

    def _clean(self, text: str, surrogates: Surrogates) -> Cleaned:
        if len(text) > LONGEST:
            raise UserError(f"the text has more than {LONGEST:,} signs", remedy="split it into its reports")
        finds: list[Find] = []
        cleaned = Cleaned(text, ())
        for _ in range(_ROUNDS):
            new = [self._back(one, cleaned.spans) for one in self._found(cleaned.text, surrogates, cleaned.spans)]
            if not new:
                break
            finds = sorted([*finds, *new], key=lambda one: one.start)
            cleaned = render(text, finds, lambda find: self._stand_in(find, text, surrogates))
        if self._finder is None or not fold.prose(cleaned.text):
            return cleaned
        return dataclasses.replace(cleaned, finders=("rules", _name(self._finder)))

    def _found(self, text: str, surrogates: Surrogates, spans: Sequence[Span]) -> list[Find]:
        """What is to be replaced in a text, apart from what was replaced already."""
        if not any(sign.isalnum() for sign in text):
            return []
        views = fold.views(text)
        zones = [*surrogates.zones(text), *((span.surrogate_start, span.surrogate_end) for span in spans if span.surrogate_end > span.surrogate_start)]
        found = [*self._names.find(views), *rules.find(views), *Persons(views).find()]
        if self._days != 0:
            found += [one for one in dates.find(views.loose, cased=views.cased) if self._days is not None or one.rule != "year"]
        settled = settle(found, _merged(zones), text)
        if self._finder is not None and fold.prose(text):
            settled += self._second(views, self._finder, [*zones, *((one.start, one.end) for one in settled)])
            settled = settle(settled, _merged(zones), text)
        return [one for one in settled if one.kind != "age" or text[one.start : one.end] != "90+"]

    def _second(self, views: fold.Views, finder: Finder, taken: Sequence[Zone]) -> list[Find]:
        """The second finder's names: those that are no words of a report and no eponyms. It sees what is found already as plain stand-ins."""
        seen = list(views.loose)
        for start, end in taken:
            seen[start:end] = ("Smith" + " " * (end - start))[: end - start] if end - start > 4 else "X" * (end - start)
        small = set(re.findall(r"\b[a-z]{3,}\b", views.loose))
        found: list[Find] = []
        for start, end, kind in finder("".join(seen)):
            if kind == "place":
                words = re.findall(r"[A-Za-z][\w'-]*", views.loose[start:end])
                if any(_proper(word, small) for word in words) and not lexicon.eponym(views.loose, start, end):
                    found.append(Find(start, end, kind, _name(finder), 80))
                continue
            for match in re.finditer(r"[A-Za-z][A-Za-z']*", views.loose[start:end]):
                low, high = start + match.start(), start + match.end() - 2 * match[0].endswith("'s")
                if _proper(match[0], small) and not lexicon.eponym(views.loose, start, end) and not lexicon.eponym(views.loose, low, high):
                    found.append(Find(low, high, kind, _name(finder), 80, stands_for=match[0]))
        return found

    @staticmethod
    def _back(find: Find, spans: Sequence[Span]) -> Find:
        return dataclasses.replace(find, start=source_offset(spans, find.start), end=source_offset(spans, find.end, ending=True))

    def _stand_in(self, find: Find, text: str, surrogates: Surrogates) -> str:
        value = text[find.start : find.end]
        if find.kind == "person" and sum(sign.isalpha() for sign in value) == 1:
            return surrogates.other("initials", value)
        if find.kind == "person" and all(word.lower() in lexicon.words("particles") for word in value.split()) and find.stands_for.lower() != value.lower():
            return ""  # `de la ` before a name that the header has
        if find.kind == "person":
            return surrogates.name(find.stands_for or value, value[-len(find.stands_for) :] if find.stands_for else value)
        if find.kind == "date":
            moved = dates.moved(fold.plain(value), self._days) if self._days is not None else None
            return surrogates.other("date", value) if moved is None else surrogates.marked(moved)
        if find.kind == "place" and find.rule == "hospital":
            return surrogates.name(value)
        return surrogates.other(find.kind, value)


def _name(finder: Finder) -> str:
    return str(getattr(finder, "name", type(finder).__name__))


def _proper(word: str, small: set[str]) -> bool:
    acronym = word.isupper() and len(word) < 5
    return (
        len(word) > 2
        and not acronym
        and word[0].isupper()
        and not any(sign.isdigit() for sign in word)
        and not lexicon.known(word)
        and word.lower() not in small
        and set(word.lower()) != {"x"}
    )


def _merged(zones: Sequence[Zone]) -> list[Zone]:
    merged: list[Zone] = []
    for start, end in sorted(zones):
        if merged and start < merged[-1][1]:
            merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
        else:
            merged.append((start, end))
    return merged


def _width(keyword: str) -> int:
    """How many characters an attribute takes; of one that is not known, sixteen."""
    from pydicom.datadict import dictionary_VR, tag_for_keyword

    tag = tag_for_keyword(keyword)
    if tag is None:
        return 16
    return _WIDTHS.get(dictionary_VR(tag).split(" or ", maxsplit=1)[0], 10240)
