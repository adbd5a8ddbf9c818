"""One record of a shard: a key, perhaps a picture, and facts.

In: bytes and a mapping. Out: a `Record`, and the names of its members in a tar: `KEY.SUFFIX` and `KEY.json`, as WebDataset has them.
Nothing that could run when it is read is let in: no pickles, no names with a path.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import re
from collections.abc import Mapping
from typing import Any

from vesalius.errors import InvalidValue

SUFFIXES = frozenset({"jpg", "jpeg", "png", "webp", "tif", "tiff", "bmp", "dcm", "jp2"})
FACTS = "json"
_LONGEST, _BEGINNING = 90, 48  # letters of a key; a tar has room for 100 in a name
_KEY = re.compile(r"[A-Za-z0-9_=+-][A-Za-z0-9_=+@,-]{0,89}")
_UNSAFE = re.compile(r"[^A-Za-z0-9_+-]")


@dataclasses.dataclass(frozen=True)
class Record:
    """What is written and read.

    Args:
        key: unique in its set; letters, digits and _ = + - @ , up to 90 of them (`key_of` makes one of any name).
        facts: JSON values: exchanges, report, boxes, tags, ...
        image: the bytes of a picture file; None for text alone.
        suffix: what kind of file they are: jpg, png, dcm, ...; "" without a picture.

    Raises:
        InvalidValue: a key or suffix that is not allowed, a picture without suffix, or facts that are no JSON.
    """

    key: str
    facts: Mapping[str, Any]
    image: bytes | None = None
    suffix: str = ""

    def __post_init__(self) -> None:
        if not _KEY.fullmatch(self.key):
            raise InvalidValue(f"{self.key[:80]!r} cannot be the key of a record", remedy="use letters, digits and _ = + - @ , or make one with key_of")
        if (self.image is None) != (self.suffix == "") or (self.suffix and self.suffix not in SUFFIXES):
            raise InvalidValue(f"a picture of record {self.key} has the suffix {self.suffix!r}", remedy=f"use one of {', '.join(sorted(SUFFIXES))}")
        if self.image == b"":
            raise InvalidValue(f"the picture of record {self.key} is empty", remedy="leave it out, or give its bytes")
        if not isinstance(self.facts, Mapping):
            raise InvalidValue(f"the facts of record {self.key} are no mapping", remedy="give names and values")

    def text(self) -> bytes:
        """The facts as JSON, keys sorted: the same facts give the same bytes.

        Raises:
            InvalidValue: they hold something that JSON has not.
        """
        try:
            return json.dumps(dict(self.facts), sort_keys=True, ensure_ascii=False, allow_nan=False).encode()
        except (TypeError, ValueError) as error:
            raise InvalidValue(
                f"the facts of record {self.key} cannot be written as JSON ({error})", remedy="use texts, numbers, lists and mappings"
            ) from error


def key_of(name: str) -> str:
    """A key for any name, another for every other one: "vqa-rad:12" becomes "vqa-rad=3a12", and a long name its beginning and a hash.

    Raises:
        InvalidValue: the name is empty.
    """
    raw = name.encode("utf-8", "surrogatepass")
    key = _UNSAFE.sub(lambda found: "".join(f"={byte:02x}" for byte in found[0].encode("utf-8", "surrogatepass")), name)
    if not key:
        raise InvalidValue("a record without a name has no key", remedy="name it")
    return key if len(key) <= _LONGEST else f"{key[:_BEGINNING]}={hashlib.sha256(raw).hexdigest()[:40]}"


def members(record: Record) -> tuple[tuple[str, bytes], ...]:
    """Names and bytes of a record's members, the picture first."""
    picture = ((f"{record.key}.{record.suffix}", record.image),) if record.image is not None else ()
    return (*picture, (f"{record.key}.{FACTS}", record.text()))


def split_name(name: str) -> tuple[str, str] | None:
    """Key and suffix of a member; None for a name that no shard of ours can have."""
    key, dot, suffix = name.partition(".")
    return (key, suffix) if dot and _KEY.fullmatch(key) and suffix in SUFFIXES | {FACTS} else None
