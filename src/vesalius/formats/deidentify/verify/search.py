"""Searching for what was removed in all that is left.

In: `Secrets`, and the result: datasets, raw bytes, texts, words read in pixels, file names. Out: `Hit`s, sure ones and doubtful ones, and what was searched.
"""

from __future__ import annotations

import dataclasses
import datetime
import functools
import math
import re
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from vesalius.formats import header
from vesalius.formats.deidentify.verify.secrets import Kind, Secret, Secrets, values
from vesalius.formats.deidentify.verify.variants import alike, date_forms, date_of, fold, name_words, words

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

_TECHNICAL = frozenset({Kind.UID, Kind.DATE})
_NO_DAYS = (datetime.date(1900, 1, 1), datetime.date(1, 1, 1))  # written in place of a date by us and others: an archive may have been cleaned before
_SHORTEST_IN_BYTES = 6
_RLE = "1.2.840.10008.1.2.5"
_UID = 24  # digits and dots of a new UID at least; identifiers are shorter
_SHORTEST_ID, _SHORTEST_TEXT, _LONGEST_WINDOW = 4, 6, 5


@dataclasses.dataclass(frozen=True)
class Hit:
    """A secret that was found.

    Args:
        kind: of the secret. removed_at, found_at: paths or names of places. variant: in which form. sure: else it may be a coincidence.
    """

    kind: Kind
    removed_at: str
    found_at: str
    variant: str
    sure: bool


@dataclasses.dataclass(frozen=True)
class Place:
    """Something that is given away.

    Args:
        name: what it is called in hits. dataset: read again from what was written. raw: its bytes. texts: free text by name. read: words read in its pixels.
    """

    name: str
    dataset: Dataset | None = dataclasses.field(default=None, repr=False)
    raw: bytes | None = dataclasses.field(default=None, repr=False)
    texts: tuple[tuple[str, str], ...] = dataclasses.field(default=(), repr=False)
    read: tuple[str, ...] = dataclasses.field(default=(), repr=False)


@dataclasses.dataclass(frozen=True)
class Verdict:
    """What the second reader says. searched: number of values, texts, words in pixels, bytes. secrets: how many were searched for, by kind."""

    hits: tuple[Hit, ...]
    searched: dict[str, int]
    secrets: dict[str, int]

    @property
    def clean(self) -> bool:
        """Whether nothing was found for sure."""
        return not any(hit.sure for hit in self.hits)


@dataclasses.dataclass(frozen=True)
class _Text:
    """A searched text: where it stands, its words, and whether it is written by people (then misspellings count) or as a code."""

    where: str
    path: str
    folded: str
    words: tuple[str, ...]
    value: str
    kind: Kind | None
    free: bool


def verify(secrets: Secrets, places: Sequence[Place]) -> Verdict:
    """Search every place for every secret.

    Returns:
        The hits in the order of the places; each secret at most once in each text.
    """
    searched = {"values": 0, "texts": 0, "words in pixels": 0, "bytes": 0}
    hits: dict[Hit, None] = {}
    hunt = _Hunt(secrets)
    for place in places:
        for text in _texts(place, searched):
            hits |= dict.fromkeys(hunt.within(text))
        if place.raw is not None:
            searched["bytes"] += len(place.raw)
            hits |= dict.fromkeys(hunt.raw(place))
    return Verdict(tuple(hits), searched, secrets.counts)


def _texts(place: Place, searched: dict[str, int]) -> Iterator[_Text]:
    if place.dataset is not None:
        for path, (kind, found) in values(place.dataset):
            for value in found:
                searched["values"] += 1
                yield _text(place, path, value, kind)
    for name, value in place.texts:
        searched["texts"] += 1
        yield _text(place, name, value, None)
    for value in place.read:
        searched["words in pixels"] += 1
        yield _text(place, "pixels", value, None)
    yield dataclasses.replace(_text(place, "file name", place.name, None), where="a file's name")


def _text(place: Place, path: str, value: str, kind: Kind | None) -> _Text:
    return _Text(f"{place.name} {path}", path, fold(value), tuple(words(value)), value, kind, kind in (None, Kind.TEXT, Kind.NAME))


class _Hunt:
    """The secrets, prepared once for many texts."""

    def __init__(self, secrets: Secrets) -> None:
        self.unchanged = secrets.unchanged
        self.names = [(s, found) for s in secrets.of(Kind.NAME) if (found := name_words(s.value))]
        self.numbers = [(s, whole) for s in secrets.of(Kind.IDENTIFIER) if len(whole := "".join(words(s.value))) >= _SHORTEST_ID]
        days = ((s, date_of(s.value)) for s in secrets.of(Kind.DATE))
        self.dates = [(s, day, date_forms(day)) for s, day in days if day is not None and day not in _NO_DAYS]
        self.uids = {s.value: s for s in secrets.of(Kind.UID)}
        self.sentences = [(s, tuple(found)) for s in secrets.of(Kind.TEXT) if len("".join(found := words(s.value))) >= _SHORTEST_TEXT]

    def within(self, text: _Text) -> Iterator[Hit]:
        """Hits in one text."""
        if text.kind not in _TECHNICAL:
            yield from self._names(text)
            yield from self._sentences(text)
        if text.kind is not Kind.UID:
            yield from self._numbers(text)
            yield from self._dates(text)
        for uid, secret in self.uids.items():
            if uid in text.value and (uid == text.value or re.search(rf"(?<![\d.]){re.escape(uid)}(?!\.?\d)", text.value)):
                yield _hit(secret, text, "as it was", sure=True)

    def raw(self, place: Place) -> Iterator[Hit]:
        """Hits in the bytes of a file, whatever they mean; what only the values of pixels spell is doubtful: a dark picture of 8 bits is full of digits."""
        low = (place.raw or b"").lower()
        start, end = _values_of_pixels(place)
        apart = low[:start] + b"\0" + low[end:]
        told = [s for s, name in self.names if not all(_usual(word) for word in name)]  # `Medical` of a hospital's name stands in the maker's, too
        for secret in (*told, *(s for s, _ in self.numbers)):
            spelled = [secret.value.lower().encode(coding, "ignore") for coding in ("utf-8", "latin-1", "utf-16-le")]
            if len(secret.value) < _SHORTEST_IN_BYTES or not any(one in low for one in spelled):
                continue
            standing = [one for one in spelled if one in apart]
            chance = "among the values of pixels" if not standing else "within a UID" if all(_only_in_uids(one, apart) for one in standing) else ""
            yield Hit(secret.kind, secret.where, f"{place.name} bytes", f"as it was, {chance}" if chance else "as it was", sure=not chance)

    def _names(self, text: _Text) -> Iterator[Hit]:
        here = set(text.words)
        for secret, name in self.names:
            found = [w for w in name if w in here]
            if len(set(found)) >= 2 or (found and len(name) == 1 and not _usual(found[0])):
                yield _hit(secret, text, "words of a name", sure=True)
            elif found:
                own = found[0] == name[0] and len(found[0]) >= 4 and not _usual(found[0])  # the family name comes first
                yield _hit(secret, text, "a word of a name", sure=own and text.free)
            elif text.free and any(alike(w, other) for w in name for other in here):
                yield _hit(secret, text, "a word like a name", sure=False)

    def _numbers(self, text: _Text) -> Iterator[Hit]:
        windows = _windows(text.words)
        for secret, whole in self.numbers:
            if whole in windows:
                yield _hit(secret, text, "number or code", sure=len(whole) >= 5)
            elif len(whole) >= 7 and whole in "".join(text.words):
                yield _hit(secret, text, "number or code, within another", sure=False)

    def _dates(self, text: _Text) -> Iterator[Hit]:
        for secret, day, forms in self.dates:
            if text.kind is Kind.DATE:
                if date_of(text.value) == day:  # shifted dates of one patient may meet: only what nobody moved is sure
                    yield _hit(secret, text, "as a date", sure=(text.path, text.value) in self.unchanged)
            elif any(form.search(text.folded) for form in forms):
                yield _hit(secret, text, "as a date in words", sure=text.kind is None or text.kind is Kind.TEXT)

    def _sentences(self, text: _Text) -> Iterator[Hit]:
        for secret, spoken in self.sentences:
            if spoken == text.words or (len(spoken) >= 3 and _holds(text.words, spoken)):
                yield _hit(secret, text, "as it was", sure=False)


def _values_of_pixels(place: Place) -> tuple[int, int]:
    """From where to where the values of pixels stand in the bytes: uncompressed, without what stands behind them, or as RLE; (0, 0): cannot be told."""
    dataset, raw = place.dataset, place.raw or b""
    meta = getattr(dataset, "file_meta", None)
    if dataset is None or meta is None:
        return 0, 0
    pixels, syntax = dataset.get("PixelData"), meta.get("TransferSyntaxUID")
    if syntax == _RLE and isinstance(pixels, bytes) and (start := raw.find(pixels)) >= 0:
        return start, start + len(pixels)
    if getattr(syntax, "is_encapsulated", True):
        return 0, 0
    sizes = [header.number(dataset, name) for name in ("Rows", "Columns", "SamplesPerPixel", "BitsAllocated")]
    if not isinstance(pixels, bytes) or not pixels or None in sizes:
        return 0, 0
    needed = math.prod(int(size or 0) for size in sizes) * int(header.number(dataset, "NumberOfFrames") or 1) // 8
    start = raw.find(pixels)
    return (start, start + min(needed, len(pixels))) if start >= 0 and needed > 0 else (0, 0)


def _only_in_uids(digits: bytes, raw: bytes) -> bool:
    """Whether digits stand only inside of long runs of digits and dots: in a thousand new UIDs six given digits occur by chance in one study of twenty."""
    if not digits.isdigit():
        return False
    for found in re.finditer(digits, raw):
        before, after = raw[max(0, found.start() - _UID) : found.start()], raw[found.end() : found.end() + _UID]
        run = sum(len(match[0]) for match in (re.search(rb"[\d.]*\Z", before), re.match(rb"[\d.]*", after)) if match)
        if run + len(digits) < _UID:
            return False
    return True


def _hit(secret: Secret, text: _Text, variant: str, *, sure: bool) -> Hit:
    return Hit(secret.kind, secret.where, text.where, variant, sure)


def _windows(spoken: tuple[str, ...]) -> set[str]:
    """Up to five neighbouring words as one, so that 123-45-6789 is 123456789."""
    return {"".join(spoken[i : i + n]) for n in range(1, _LONGEST_WINDOW + 1) for i in range(len(spoken) - n + 1)}


def _holds(spoken: tuple[str, ...], wanted: tuple[str, ...]) -> bool:
    return any(spoken[i : i + len(wanted)] == wanted for i in range(len(spoken) - len(wanted) + 1))


@functools.lru_cache(maxsize=1)
def _vocabulary() -> frozenset[str]:
    """The words of the standard's own dictionary: a name that is one of them (Young's modulus, Head) proves nothing alone."""
    from pydicom._dicom_dict import DicomDictionary
    from pydicom._uid_dict import UID_dictionary

    texts = [entry[2] for entry in DicomDictionary.values()] + [entry[0] for entry in UID_dictionary.values()]
    return frozenset(word for text in texts for word in words(text))


def _usual(word: str) -> bool:
    return word in _vocabulary()
