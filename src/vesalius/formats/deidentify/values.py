"""Single values: dummies by value representation, shifted dates, and the bytes by which a record names a value.

In: a VR and a value as pydicom gives it. Out: a new value. Nothing here knows the table or the profile.
"""

from __future__ import annotations

import copy
import datetime
import math
import re
from collections.abc import MutableSequence
from typing import TYPE_CHECKING, Any

from pydicom.multival import MultiValue

if TYPE_CHECKING:
    from pydicom.dataelem import DataElement

TEXTS = frozenset({"AE", "CS", "LO", "LT", "PN", "SH", "ST", "UC", "UT"})
PROSE = frozenset({"LO", "LT", "ST", "UC", "UT"})
"""Texts in which people write sentences; SH, CS and AE hold codes."""
_NUMBERS = frozenset({"DS", "FD", "FL", "IS", "SL", "SS", "SV", "UL", "US", "UV", "AT"})
RAW = frozenset({"OB", "OD", "OF", "OL", "OV", "OW", "UN"})
_UNCHANGING = frozenset({str, bytes, int, float})  # asked first: abstract classes are slow to answer, and most values are of these
_COUNTED = frozenset({"IS", "SL", "SS", "UL", "US"})  # frames, channels and content items are counted from 1: a zero would refer to nothing
_DUMMIES = {"DA": "19000101", "TM": "000000", "DT": "19000101000000", "AS": "000Y", "UR": "urn:removed"}
REMOVED = "REMOVED"

# Defined terms that say how a report or a drawing is built, not what it says (PS3.3 C.17.3, C.18, C.10.5): without them the object is no longer valid.
_WORDS = """
CONTAINER TEXT CODE NUM PNAME DATE TIME DATETIME UIDREF IMAGE COMPOSITE WAVEFORM SCOORD SCOORD3D TCOORD TABLE CONTAINS SEPARATE
CONTINUOUS POINT MULTIPOINT POLYLINE POLYGON CIRCLE ELLIPSE ELLIPSOID INTERPOLATED SEGMENT MULTISEGMENT BEGIN END PIXEL DISPLAY
MATRIX Y N
"""
STRUCTURE = frozenset(_WORDS.split()) | {"HAS OBS CONTEXT", "HAS ACQ CONTEXT", "HAS CONCEPT MOD", "HAS PROPERTIES", "INFERRED FROM", "SELECTED FROM"}


_CODES = frozenset({0x00080100, 0x00080102, 0x00080103, 0x00080119})
_PUBLIC_SCHEMES = frozenset(["DCM", "SCT", "SRT", "SNM3", "LN", "RADLEX", "UCUM", "FMA", "UMLS", "MDC", "NCIt", "I10", "I9", "BI", "ACR", "UBERON", "RXNORM"])
_MACHINE_WORDS = ("Manufacturer", "SoftwareVersion", "CodingScheme", "Mapping", "Algorithm", "FilterType", "Kernel")


def technical(element: DataElement, scheme: str | None) -> bool:
    """Whether a text says what a machine is, or is a code of a public scheme: a text cleaner would take its words for names and its digits for numbers."""
    if int(element.tag) in _CODES:
        return scheme in _PUBLIC_SCHEMES
    return any(word in element.keyword for word in _MACHINE_WORDS)


def copied(element: DataElement) -> DataElement:
    """A copy; values that cannot change are shared, for copying them deeply takes a fifth of the time."""
    value = element.value
    new = object.__new__(type(element))
    new.__dict__.update(element.__dict__)
    if type(value) is MultiValue:  # a list of values that cannot change
        new.__dict__["_value"] = MultiValue(_same, value)
    elif type(value) not in _UNCHANGING and isinstance(value, MutableSequence | bytearray):
        return copy.deepcopy(element)
    return new


def _same(value: Any) -> Any:  # noqa: ANN401
    return value


def kind(vr: str) -> str:
    """What a VR holds: `items`, `bytes`, `numbers` or `text`."""
    return "items" if vr == "SQ" else "bytes" if vr in RAW else "numbers" if vr in _NUMBERS else "text"


def numeric(value: Any) -> bool:  # noqa: ANN401
    """Whether a DS or IS holds numbers or nothing; the parser lets other text through."""
    try:
        return all(math.isfinite(float(one)) for one in many(value) if one not in ("", None))
    except (TypeError, ValueError, ArithmeticError):
        return False


def many(value: Any) -> list[Any]:  # noqa: ANN401 - DICOM values are of many types
    """The values of an element as a list; empty for none."""
    if value is None or value == "" or value == b"":
        return []
    if type(value) in _UNCHANGING:
        return [value]
    return list(value) if isinstance(value, MultiValue | list | tuple) else [value]


def dummy(vr: str, value: Any = None) -> Any:  # noqa: ANN401
    """A value that says nothing and is valid for the VR; numbers keep their count."""
    if vr in _DUMMIES:
        return _DUMMIES[vr]
    if vr in RAW:
        return b"\0\0\0\0\0\0\0\0"
    if vr in _NUMBERS:
        said = [int(vr in _COUNTED)] * max(1, len(many(value)))
        return said if len(said) > 1 else said[0]
    return REMOVED


def shifted(vr: str, value: Any, days: int) -> Any:  # noqa: ANN401
    """A DA or DT moved by whole days, a TM as it is; time of day, fraction and offset stay.

    A DT without day or month is moved as if it were the first one, and written with the precision it had.

    Raises:
        ValueError: malformed, or moved before year 1; the message holds no value.
    """
    if vr == "TM":
        for one in many(value):
            if not re.fullmatch(r"\d{2}:?(\d{2}:?(\d{2}(\.\d{1,6})?)?)?", str(one).strip()):
                raise ValueError("not a time")
        return value
    if vr not in ("DA", "DT"):
        raise ValueError("not a date")
    moved = [_moved(vr, str(one).strip(" \0"), days) for one in many(value)]
    return moved if len(moved) > 1 else moved[0] if moved else ""


def offset(value: Any) -> Any:  # noqa: ANN401
    """An offset from UTC (`+0100`) as it is.

    Raises:
        ValueError: it is none; the message holds no value.
    """
    if not re.fullmatch(r"[+-]\d{4}", str(value).strip()):
        raise ValueError("not an offset")
    return value


def temporal(vr: str, value: Any) -> bool:  # noqa: ANN401
    """Whether a DA, DT or TM holds what its VR says; True for other VRs but text."""
    try:
        if vr in ("DA", "DT", "TM"):
            shifted(vr, value, 0)
        elif vr in TEXTS:
            offset(value)
    except ValueError:
        return False
    return True


_DA = re.compile(r"(\d{4})[.-]?(\d{2})[.-]?(\d{2})()")
_DT = re.compile(r"(\d{4})(\d{2})?(\d{2})?((?:\d{2}){0,3}(?:\.\d{1,6})?(?:[+-]\d{4})?)")


def _moved(vr: str, text: str, days: int) -> str:
    match = (_DA if vr == "DA" else _DT).fullmatch(text)
    if match is None:
        raise ValueError("not a date")
    year, month, day, rest = match.groups()
    try:
        moved = datetime.date(int(year), int(month or 1), int(day or 1)) + datetime.timedelta(days=days)
    except (ValueError, OverflowError):
        raise ValueError("not a date") from None
    text = f"{moved.year:04d}{moved.month:02d}{moved.day:02d}"
    return text[: 4 + 2 * bool(month) + 2 * bool(day)] + rest


def capped(value: Any) -> Any:  # noqa: ANN401
    """An age above 89 years becomes 90 years: so few people are older that the number alone may name one."""
    match = re.fullmatch(r"(\d{3})Y", str(value).strip())
    return "090Y" if match and int(match[1]) > 89 else value


def canonical(element: DataElement) -> bytes:
    """The bytes that stand for an element's value; sequences give their items' elements in order."""
    value = element.value
    if element.VR == "SQ":
        parts = []
        for item in value:
            parts += [b"\xfe\xff", *(f"{inner.tag:08X}".encode() + inner.VR.encode() + canonical(inner) for inner in item)]
        return b"".join(parts)
    if isinstance(value, bytes | bytearray):
        return bytes(value)
    return "\\".join(str(one) for one in many(value)).encode("utf-8", "replace")
