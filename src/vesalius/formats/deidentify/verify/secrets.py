"""What was taken out: every value that the source has somewhere and the result does not have there.

In: datasets before and after; strings that were removed from a text or from pixels. Out: `Secret`s, gathered by kind, held in memory only.
"""

from __future__ import annotations

import dataclasses
import enum
import re
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

from vesalius.formats import header

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

_STANDARD = "1.2.840.10008."
_IDENTIFIERS = re.compile(
    r"ID$|IDs$|ID(?=Sequence)|Identifier|AccessionNumber|OrderNumber|Address|Telephone|SerialNumber|Locator|Telecom|Login|InsurancePlan|BirthName|MothersBirthName"
)
_TEXT = frozenset({"AE", "LO", "LT", "SH", "ST", "UC", "UT", "UR"})
_BYTES = frozenset({"OB", "OW", "UN"})
_LARGEST = 1 << 16  # bytes of an element that are searched for words; pixels and waveforms are longer
_DEEPEST = 64
_RUN = re.compile(rb"[\x20-\x7e]{4,256}")


class Kind(enum.StrEnum):
    """What a value is, which decides in which variants it is searched for."""

    NAME = "name"
    IDENTIFIER = "identifier"
    DATE = "date"
    UID = "uid"
    TEXT = "text"


@dataclasses.dataclass(frozen=True)
class Secret:
    """A value that was taken out.

    Args:
        value: as the source had it; never shown. where: path of tags, or what the caller calls the text.
    """

    kind: Kind
    value: str = dataclasses.field(repr=False)
    where: str = ""


@dataclasses.dataclass
class Secrets:
    """A growing set of secrets of one study.

    Attributes:
        unchanged: (path, value) pairs that source and result share: where a secret still stands there, nobody moved it.
    """

    found: dict[tuple[Kind, str], Secret] = dataclasses.field(default_factory=dict, repr=False)
    unchanged: set[tuple[str, str]] = dataclasses.field(default_factory=set, repr=False)

    def add(self, kind: Kind, values: Iterable[str], where: str) -> None:
        """Values that were removed from a text or from pixels."""
        for value in values:
            value = " ".join(value.split())
            if value:
                self.found.setdefault((kind, value), Secret(kind, value, where))

    def compare(self, source: Dataset, result: Dataset) -> None:
        """What the source says and the result does not, file meta information and all depths included."""
        before, after = dict(values(source)), dict(values(result))
        for path, (kind, old) in before.items():
            new = set(after.get(path, (kind, ()))[1])
            self.unchanged |= {(path, value) for value in old if value in new}
            self.add(kind, (value for value in old if value not in new), path)

    def of(self, kind: Kind) -> list[Secret]:
        """The secrets of one kind; a text that also stands somewhere on purpose, or a UID of the standard, is none."""
        kept = {value.casefold() for _, value in self.unchanged} if kind is Kind.TEXT else set()
        return [s for s in self.found.values() if s.kind is kind and s.value.casefold() not in kept]

    @property
    def counts(self) -> dict[str, int]:
        """How many of each kind."""
        return {str(kind): len(self.of(kind)) for kind in Kind}


def values(dataset: Dataset) -> Iterator[tuple[str, tuple[Kind, tuple[str, ...]]]]:
    """(path, (kind, values)) of every element that can hold words, at all depths; numbers, times of day and long binary values hold none."""
    yield from _walk(dataset, "", 0)
    meta = getattr(dataset, "file_meta", None)
    if meta is not None:
        yield from _walk(meta, "meta ", 0)


def _walk(dataset: Dataset, above: str, depth: int) -> Iterator[tuple[str, tuple[Kind, tuple[str, ...]]]]:
    if depth > _DEEPEST:
        return
    for tag in sorted(dataset.keys()):
        path = f"{above}{tag}".replace(" ", "") if not above.startswith("meta") else f"{above}{tag}"
        try:
            element = dataset[tag]
            vr, value = str(element.VR), element.value
        except header.parser_failures():
            continue
        if vr == "SQ":
            for number, item in enumerate(value or ()):
                yield from _walk(item, f"{path}[{number}].", depth + 1)
            continue
        kind = _kind(vr, element.keyword)
        if kind is not None:
            yield path, (kind, tuple(_strings(vr, value)))


def _kind(vr: str, keyword: str) -> Kind | None:
    match vr:
        case "PN":
            return Kind.NAME
        case "UI":
            return Kind.UID
        case "DA" | "DT":
            return Kind.DATE
        case _ if vr in _TEXT:
            return Kind.IDENTIFIER if _IDENTIFIERS.search(keyword) else Kind.TEXT
        case _ if vr in _BYTES:
            return Kind.TEXT
        case _:
            return None


def _strings(vr: str, value: Any) -> Iterator[str]:  # noqa: ANN401 - DICOM values are of many types
    if vr in _BYTES:
        if isinstance(value, bytes | bytearray) and len(value) <= _LARGEST:
            yield from runs(bytes(value))
        return
    if value is None:
        return
    for one in value if isinstance(value, list | tuple) or type(value).__name__ == "MultiValue" else [value]:
        text = " ".join(str(one).replace("\0", " ").split())
        if text and not (vr == "UI" and text.startswith(_STANDARD)):
            yield text


def runs(raw: bytes) -> Iterator[str]:
    """Printable words in bytes, of one or two bytes a letter."""
    for spelled in (raw, raw.replace(b"\0", b"")):
        for match in _RUN.finditer(spelled):
            yield " ".join(match.group().decode("ascii").split())
