"""What a de-identified file says of itself: (0012,0062) to (0012,0064), (0028,0303), its meta information and its preamble.

In: the source, the new dataset, the profile, the key's id. Out: the new dataset, completed in place.
"""

from __future__ import annotations

import functools
import importlib.metadata
import re
from typing import TYPE_CHECKING

from vesalius.formats import header
from vesalius.formats.deidentify.profile import CODES, Profile
from vesalius.formats.deidentify.table import table
from vesalius.formats.deidentify.values import many

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

    from vesalius.formats.deidentify.pseudonyms import Key

WRITTEN = frozenset({0x00120062, 0x00120063, 0x00120064, 0x00280303})
"""The elements of the main dataset that are written anew, whatever the source says."""

_BASIC = ("113100", "Basic Application Confidentiality Profile")
_MEANINGS = dict([_BASIC, *CODES.values(), ("113101", "Clean Pixel Data Option"), ("113102", "Clean Recognizable Visual Features Option")])
_METHOD = re.compile(r"Vesalius [0-9a-z.+]{1,16}, PS3\.15 \d{4}[a-z] Basic Profile, key ([0-9a-f]{12})")


@functools.cache
def _version() -> str:
    try:
        return importlib.metadata.version("vesalius")[:16]
    except importlib.metadata.PackageNotFoundError:
        return "0"


def _method(key: Key) -> str:
    return f"Vesalius {_version()}, PS3.15 {table().edition} Basic Profile, key {key.id}"


def _earlier(source: Dataset) -> list[str]:
    """The method lines that this package wrote; lines of others may name somebody and go."""
    return [str(line) for line in many(header.value(source, "DeidentificationMethod")) if _METHOD.fullmatch(str(line))]


def made_by(source: Dataset, key: Key) -> bool:
    """Whether the header says that this package worked on it with this key."""
    return any(line.endswith(f"key {key.id}") for line in _earlier(source))


def write(source: Dataset, clean: Dataset, profile: Profile, key: Key) -> None:
    """Add what was done; codes of earlier steps stay when CID 7050 knows them.

    (0012,0062) is YES, but NO when the header itself says that the pixels name the patient: (0028,0301) is YES, and pixels are not cleaned here.
    """
    from pydicom.dataset import Dataset
    from pydicom.sequence import Sequence

    burned = (header.text(source, "BurnedInAnnotation") or "").upper() == "YES"
    clean.PatientIdentityRemoved = "NO" if burned else "YES"
    lines = list(dict.fromkeys([*_earlier(source), _method(key)]))
    clean.DeidentificationMethod = lines if len(lines) > 1 else lines[0]
    codes = {_BASIC[0], *(CODES[name][0] for name in profile.options)}
    codes |= {code for item in header.items(source, "DeidentificationMethodCodeSequence") if (code := header.text(item, "CodeValue")) in _MEANINGS}
    items = []
    for code in sorted(codes):
        item = Dataset()
        item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = code, "DCM", _MEANINGS[code]
        items.append(item)
    clean.DeidentificationMethodCodeSequence = Sequence(items)
    kept, moved = profile.retain_longitudinal_full_dates, profile.retain_longitudinal_modified_dates
    before = (header.text(source, "LongitudinalTemporalInformationModified") or "").upper()
    if kept:  # dates that an earlier step moved are not the true ones because this step keeps them
        clean.LongitudinalTemporalInformationModified = before if before in ("MODIFIED", "REMOVED") else "UNMODIFIED"
    else:
        clean.LongitudinalTemporalInformationModified = "MODIFIED" if moved else "REMOVED"


def write_meta(source: Dataset, clean: Dataset, profile: Profile, key: Key) -> None:
    """New meta information: what reading needs, nothing of who made or sent the file; a preamble of zeros."""
    from pydicom.dataset import FileMetaDataset
    from pydicom.uid import PYDICOM_IMPLEMENTATION_UID

    old = getattr(source, "file_meta", None) or FileMetaDataset()
    meta = FileMetaDataset()
    meta.FileMetaInformationVersion = b"\0\1"
    kind = header.text(clean, "SOPClassUID") or header.text(old, "MediaStorageSOPClassUID")
    instance = header.text(clean, "SOPInstanceUID")
    if instance is None and (stored := header.text(old, "MediaStorageSOPInstanceUID")):
        instance = stored if profile.retain_uids else key.uid(stored)
    syntax = header.text(old, "TransferSyntaxUID")
    for name, value in (("MediaStorageSOPClassUID", kind), ("MediaStorageSOPInstanceUID", instance), ("TransferSyntaxUID", syntax)):
        if value:
            setattr(meta, name, value)
    meta.ImplementationClassUID = PYDICOM_IMPLEMENTATION_UID
    meta.ImplementationVersionName = "VESALIUS"
    clean.file_meta = meta
    clean.preamble = b"\0" * 128
