"""The walk through a dataset and all its sequences: each element is kept, removed, emptied, replaced, cleaned or given a new UID.

In: a dataset, profile, key, cleaners. Out: a new dataset and the records. The source is only read. What cannot be read or is not what its tag says is removed.
"""

from __future__ import annotations

import dataclasses
import enum
import functools
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from vesalius.errors import UserError
from vesalius.formats import header
from vesalius.formats.deidentify import values
from vesalius.formats.deidentify.claims import WRITTEN
from vesalius.formats.deidentify.private import Safe
from vesalius.formats.deidentify.profile import Profile, Resolved
from vesalius.formats.deidentify.pseudonyms import STANDARD_ROOT, Key
from vesalius.formats.deidentify.table import Rule, table

if TYPE_CHECKING:
    from pydicom.dataelem import DataElement, RawDataElement
    from pydicom.dataset import Dataset
    from pydicom.tag import BaseTag

_MAX_DEPTH = 64
_NAME, _ID, _AGE, _DOCUMENT, _TIMEZONE = 0x00100010, 0x00100020, 0x00101010, 0x00420011, 0x00080201
_OVERLAY_DATA, _CHARACTERISTICS, _TEXT_VALUE = 0x3000, 0x00080300, 0x0040A160
_ITEM_STARTS = (b"\xfe\xff\x00\xe0", b"\xff\xfe\xe0\x00")

# Not in the table, yet no place for them in a de-identified file: an encrypted copy of what was removed, and what belongs to signatures that are removed.
_ALSO_REMOVED = {0x04000500: "encrypted attributes", 0x4FFE0001: "parameters of removed signatures"}


@dataclasses.dataclass(frozen=True)
class Action:
    """What was done to one element.

    Attributes:
        path: the tags from the main dataset down, with item numbers from 0: `(0040,A730)[0].(0040,A123)`.
        rule: why: `basic` or an option with the table's code, or a rule of this package in words.
        action: D dummy, Z emptied, X removed, K kept by an option, C cleaned or shifted, U new UID, U* its items' UIDs.
        digest: 32 hexadecimal digits of HMAC-SHA-256 of tag and value before; never the value.
        vr: the value representation in the source.
    """

    path: str
    rule: str
    action: str
    digest: str
    vr: str


@dataclasses.dataclass(frozen=True)
class Cleaners:
    """Functions that clean what only its content can tell; options that need an absent one are refused.

    Attributes:
        text: given the attribute's keyword (or tag) and a text, the text without anything that identifies.
        overlay: given the dataset and the group (60xx), the overlay's bits without text that identifies, or None to remove the overlay.
    """

    text: Callable[[str, str], str] | None = None
    overlay: Callable[[Dataset, int], bytes | None] | None = None


class _Mode(enum.Enum):
    PLAIN = "the table decides; what it does not name stays"
    DUMMY = "inside a sequence that is replaced: what the table does not name becomes a dummy"
    CLEAN = "inside a sequence that is cleaned: text that the table does not name goes through the cleaner"


def patient_identity(dataset: Dataset, key: Key) -> str | None:
    """The text that pseudonym and shift derive from: Patient ID and issuer, else name and birth date; a pseudonym of this key stands for itself."""
    number, name = header.text(dataset, "PatientID"), header.text(dataset, "PatientName")
    own = next((text for text in (number, name) if text and key.made_patient(text)), None)
    if own is not None:
        return own
    if number:
        issuer = header.text(dataset, "IssuerOfPatientID")
        return f"{number}\0{issuer}" if issuer else number
    return f"\0{name}\0{header.text(dataset, 'PatientBirthDate') or ''}" if name else None


@functools.lru_cache(maxsize=8192)
def _rule(tag: int) -> Rule | None:
    return table().rule(tag)


@functools.lru_cache(maxsize=8192)
def _allowed(tag: int) -> tuple[str, ...]:
    """The VRs that the data dictionary gives a tag; empty when it does not know the tag."""
    from pydicom.datadict import dictionary_VR

    try:
        return tuple(dictionary_VR(tag).split(" or "))
    except KeyError:
        return ()


class Walk:
    """One dataset's de-identification; `records` fills as it goes."""

    def __init__(self, profile: Profile, key: Key, cleaners: Cleaners, *, days: int, safe: Safe) -> None:
        self.profile, self.key, self.cleaners, self.days, self.safe = profile, key, cleaners, days, safe
        self.records: list[Action] = []
        self._resolved: dict[str, Resolved] = {}

    def dataset(self, source: Dataset, where: str = "", mode: _Mode = _Mode.PLAIN, depth: int = 0) -> Dataset:
        """A new dataset from a source or from an item of one of its sequences.

        Raises:
            UserError: sequences nested deeper than 64, or an embedded document that the profile does not allow to replace.
        """
        from pydicom.dataset import Dataset

        if depth > _MAX_DEPTH:
            raise UserError(f"the header nests sequences deeper than {_MAX_DEPTH}", remedy="give a file whose header is sound")
        held: dict[BaseTag, DataElement | RawDataElement] = {}
        self.overlays = self._overlays(source) if depth == 0 else {}
        for tag in sorted(source.keys(), key=int):  # plain numbers compare fast
            number = int(tag)
            if depth == 0 and number in WRITTEN:
                continue
            path = f"{where}({number >> 16:04X},{number & 0xFFFF:04X})"
            try:
                element = source[tag]
                element.value  # noqa: B018 - some values are converted only when asked for
            except header.parser_failures():
                raw = getattr(source.get_item(tag), "value", None)
                self._record(tag, path, "cannot be read", "X", raw if isinstance(raw, bytes) else b"", "UN")
                continue
            result = self._element(source, element, path, mode, depth)
            if result is not None:
                held[tag] = result
        new = Dataset(held)
        self._creators(source, new, where)
        new.is_undefined_length_sequence_item = getattr(source, "is_undefined_length_sequence_item", False)
        return new

    def _record(self, tag: int, path: str, rule: str, action: str, value: bytes, vr: str) -> None:
        self.records.append(Action(path, rule, action, self.key.record(int(tag), value), vr))

    def _removed(self, element: DataElement, path: str, rule: str) -> DataElement | None:
        self._record(element.tag, path, rule, "X", self._bytes(element), element.VR)
        return None

    @staticmethod
    def _bytes(element: DataElement) -> bytes:
        try:
            return values.canonical(element)
        except header.parser_failures():
            return b""

    def _element(self, source: Dataset, element: DataElement, path: str, mode: _Mode, depth: int) -> DataElement | None:
        number = int(element.tag)
        group, place = number >> 16, number & 0xFFFF
        if number == _DOCUMENT and element.value and not self.profile.replace_encapsulated_document:
            raise UserError(
                "the file embeds a document (0042,0011), which is not cleaned", remedy="leave it out, or set replace_encapsulated_document to empty it"
            )
        if group % 2:
            return self._private(source, element, path, mode, depth)
        rule = _rule(number)
        if 0x5000 <= group <= 0x50FF:
            return self._removed(element, path, "curve, basic X")
        if 0x6000 <= group <= 0x60FF:
            return self._overlay(element, path)
        if number in _ALSO_REMOVED or (number == _CHARACTERISTICS and not self.profile.retain_safe_private):
            return self._removed(element, path, _ALSO_REMOVED.get(number, "describes removed private blocks"))
        if rule is not None:
            return self._ruled(source, element, rule, path, mode, depth)
        if place == 0 or group <= 0x0004 or not _allowed(number):
            return self._removed(element, path, "not an attribute of a data set" if place == 0 or group <= 0x0004 else "unknown attribute")
        if self._misfit(element):
            return self._removed(element, path, "not of the tag's value representation")
        if element.VR == "SQ":
            return self._sequence(element, path, mode, depth)
        return self._unruled(source, element, path, mode)

    @staticmethod
    def _misfit(element: DataElement) -> bool:
        """Whether the file gives text, numbers, bytes or items where the tag has another of these: the table does not speak of what may stand there."""
        allowed, vr = _allowed(int(element.tag)), element.VR
        if isinstance(element.value, bytes) and element.value[:4] in _ITEM_STARTS and vr == "UN":
            return True
        if vr in ("DS", "IS") and not values.numeric(element.value):
            return True
        return bool(allowed and vr not in allowed and element.value) and values.kind(vr) not in {values.kind(one) for one in allowed}

    def _unruled(self, source: Dataset, element: DataElement, path: str, mode: _Mode) -> DataElement | None:
        """An attribute that the table does not name: it stays, unless the sequence around it is replaced or cleaned, or it is prose and there is a cleaner."""
        if not element.value and element.value != 0:
            return values.copied(element)
        if mode is _Mode.PLAIN and int(element.tag) == _TEXT_VALUE:
            return self._changed(element, path, "text of a content item", "D", values.REMOVED)
        if mode is _Mode.PLAIN:
            prose = (
                self.cleaners.text is not None and element.VR in values.PROSE and not values.technical(element, header.text(source, "CodingSchemeDesignator"))
            )
            return self._cleaned_if_needed(element, path, "text that the table does not name") if prose else values.copied(element)
        if element.VR == "UI":
            return values.copied(element) if self.profile.retain_uids else self._renamed(element, path, "inside a sequence")
        if mode is _Mode.CLEAN:
            free = element.VR in values.TEXTS - {"CS", "PN"} and not values.technical(element, header.text(source, "CodingSchemeDesignator"))
            return self._cleaned(element, path, "inside a cleaned sequence") if free else values.copied(element)
        if element.VR == "CS" and all(str(one) in values.STRUCTURE for one in values.many(element.value)):
            return values.copied(element)
        return self._changed(element, path, "inside a replaced sequence", "D", values.dummy(element.VR, element.value))

    def _ruled(self, source: Dataset, element: DataElement, rule: Rule, path: str, mode: _Mode, depth: int) -> DataElement | None:
        resolved = self._resolved.get(rule.tag) or self._resolved.setdefault(rule.tag, self.profile.resolve(rule))
        if resolved.action in ("K", "C", "U*") and self._misfit(element):
            return self._removed(element, path, "not of the tag's value representation")
        if resolved.option == "retain_longitudinal_full_dates" and not values.temporal(element.VR, element.value):
            resolved = self.profile.basic(rule)
        if resolved.action == "C":
            cleaned = self._clean_ruled(element, resolved, path, depth)
            if cleaned is not None:
                return cleaned
            resolved = self.profile.basic(rule)
        return self._apply(source, element, resolved, path, mode, depth)

    def _apply(self, source: Dataset, element: DataElement, resolved: Resolved, path: str, mode: _Mode, depth: int) -> DataElement | None:
        action, reason, empty = resolved.action, resolved.reason, not element.value and element.value != 0
        if action == "X":
            return self._removed(element, path, reason)
        if action == "K":
            self._record(element.tag, path, reason, "K", self._bytes(element), element.VR)
            if element.VR == "SQ":
                return self._sequence(element, path, mode, depth)
            kept = values.copied(element)
            if element.tag == _AGE:
                kept.value = values.capped(kept.value)
            return kept
        if action == "U*":
            self._record(element.tag, path, reason, "U*", self._bytes(element), element.VR)
            return self._sequence(element, path, mode, depth)
        if empty:
            return values.copied(element)
        if action == "U":
            return self._renamed(element, path, reason) if element.VR == "UI" else self._removed(element, path, reason)
        if element.tag in (_NAME, _ID):
            identity = patient_identity(source, self.key) or str(element.value)
            return self._changed(element, path, reason, action, self.key.patient(identity))
        if action == "Z":
            return self._changed(element, path, reason, action, None)
        if element.VR == "SQ":
            self._record(element.tag, path, reason, "D", self._bytes(element), element.VR)
            return self._sequence(element, path, _Mode.DUMMY, depth)
        if element.VR == "UI":
            return self._renamed(element, path, reason, action)
        vr = self._vr(element)
        return self._changed(element, path, reason, action, [] if vr == "SQ" else values.dummy(vr, element.value))

    def _clean_ruled(self, element: DataElement, resolved: Resolved, path: str, depth: int) -> DataElement | None:
        """The element cleaned as an option says; None when it cannot be, and the Basic Profile has the word."""
        if resolved.option == "retain_longitudinal_modified_dates":
            try:
                if element.tag == _TIMEZONE:
                    return self._changed(element, path, resolved.reason, "C", values.offset(element.value))
                return self._changed(element, path, resolved.reason, "C", values.shifted(element.VR, element.value, self.days))
            except ValueError:
                return None
        if self.cleaners.text is None:
            return None
        if element.VR == "SQ":
            self._record(element.tag, path, resolved.reason, "C", self._bytes(element), element.VR)
            return self._sequence(element, path, _Mode.CLEAN, depth)
        return self._cleaned(element, path, resolved.reason) if element.VR in values.TEXTS - {"PN"} else None

    def _cleaned(self, element: DataElement, path: str, reason: str) -> DataElement:
        """Each text through the cleaner; what the cleaner fails on becomes a dummy, for its error may hold the text."""
        from pydicom.datadict import keyword_for_tag

        name = keyword_for_tag(element.tag) or path
        try:
            texts = [self.cleaners.text(name, str(one)) for one in values.many(element.value)] if self.cleaners.text else [values.REMOVED]
        except Exception:  # noqa: BLE001 - foreign code; its message must not get out
            texts, reason = [values.REMOVED], f"{reason}, the cleaner failed"
        return self._changed(element, path, reason, "C", texts if len(texts) > 1 else texts[0] if texts else "")

    def _cleaned_if_needed(self, element: DataElement, path: str, reason: str) -> DataElement:
        """The element cleaned; what the cleaner leaves alone stays, byte by byte and without a record."""
        cleaned = self._cleaned(element, path, reason)
        if values.many(cleaned.value) == [str(one) for one in values.many(element.value)]:
            self.records.pop()
            return values.copied(element)
        return cleaned

    def _renamed(self, element: DataElement, path: str, reason: str, action: str = "U") -> DataElement:
        uids = [str(one) for one in values.many(element.value)]
        new = [self.key.uid(uid) for uid in uids]
        if new == uids and all(uid.startswith(STANDARD_ROOT) for uid in uids):
            return values.copied(element)
        return self._changed(element, path, reason, action, new if len(new) > 1 else new[0])

    @staticmethod
    def _vr(element: DataElement) -> str:
        allowed = _allowed(int(element.tag))
        return element.VR if not allowed or element.VR in allowed else allowed[0]

    def _changed(self, element: DataElement, path: str, reason: str, action: str, value: Any) -> DataElement:  # noqa: ANN401
        from pydicom.config import IGNORE
        from pydicom.dataelem import DataElement, empty_value_for_VR

        self._record(element.tag, path, reason, action, self._bytes(element), element.VR)
        vr = self._vr(element)
        return DataElement(element.tag, vr, empty_value_for_VR(vr) if value is None else value, validation_mode=IGNORE)

    def _sequence(self, element: DataElement, path: str, mode: _Mode, depth: int) -> DataElement:
        from pydicom.dataelem import DataElement
        from pydicom.sequence import Sequence

        if element.VR != "SQ":
            return DataElement(element.tag, "SQ", Sequence())
        items = [self.dataset(item, f"{path}[{number}].", mode, depth + 1) for number, item in enumerate(element.value)]
        new = DataElement(element.tag, "SQ", Sequence(items))
        new.is_undefined_length = element.is_undefined_length
        return new

    def _private(self, source: Dataset, element: DataElement, path: str, mode: _Mode, depth: int) -> DataElement | None:
        tag = element.tag
        if not self.profile.retain_safe_private or mode is _Mode.DUMMY:
            return self._removed(element, path, "basic X")
        if tag.is_private_creator:
            return None  # decided when it is known whether anything of its block stays
        creator = _creator(source, tag.group, tag.element >> 8)
        by = self.safe.covers(creator, tag.group, tag.element & 0xFF) if creator and tag.element >= 0x1000 else None
        vr, reason = element.VR, f"retain_safe_private C, safe by the {by}"
        if by is None or vr == "PN" or self._misfit(element):
            return self._removed(element, path, "basic X")
        if vr in ("DA", "DT", "TM") and not self.profile.retain_longitudinal_full_dates:
            try:
                if self.profile.retain_longitudinal_modified_dates:
                    return self._changed(element, path, reason, "C", values.shifted(vr, element.value, self.days))
            except ValueError:
                pass
            return self._removed(element, path, "basic X")
        if vr == "UI" and element.value and not self.profile.retain_uids:
            return self._renamed(element, path, reason)
        self._record(tag, path, reason, "K", self._bytes(element), vr)
        return self._sequence(element, path, mode, depth) if vr == "SQ" else values.copied(element)

    def _creators(self, source: Dataset, new: Dataset, where: str) -> None:
        """Keep the creators of blocks of which something stayed, remove the others."""
        if not self.profile.retain_safe_private:
            return
        used = {(tag.group, tag.element >> 8) for tag in list(new.keys()) if tag.is_private}
        for tag in sorted(source.keys()):
            if not tag.is_private_creator or tag in new:
                continue
            if (tag.group, tag.element) in used:
                new[tag] = values.copied(source[tag])
            else:
                self._removed(source[tag], f"{where}({tag.group:04X},{tag.element:04X})", "basic X")

    def _overlays(self, source: Dataset) -> dict[int, bytes]:
        """The cleaned bits of each overlay that stays; without Clean Graphics none does."""
        found: dict[int, bytes] = {}
        if not self.profile.clean_graphics or self.cleaners.overlay is None:
            return found
        for group in range(0x6000, 0x6100, 2):
            if (group, _OVERLAY_DATA) not in source:
                continue
            try:
                bits = self.cleaners.overlay(source, group)
            except Exception:  # noqa: BLE001 - foreign code; its message must not get out
                continue
            if bits is not None:
                found[group] = bits
        return found

    def _overlay(self, element: DataElement, path: str) -> DataElement | None:
        bits = self.overlays.get(element.tag.group)
        if bits is None:  # a plane without its bits, or with a label only, is no overlay
            return self._removed(element, path, "overlay, basic X")
        if element.tag.element == _OVERLAY_DATA:
            return self._changed(element, path, "clean_graphics C", "C", bits)
        return self._cleaned(element, path, "clean_graphics C") if element.VR in values.TEXTS - {"CS"} else values.copied(element)


def _creator(source: Dataset, group: int, block: int) -> str | None:
    try:
        return str(source[group, block].value).strip(" \0") or None
    except header.parser_failures():
        return None
