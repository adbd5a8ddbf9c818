"""Keyed pseudonyms: the same patient, the same UID, the same shift of dates for everyone who holds the key, and for nobody else a way back.

In: a key file (32 random bytes, readable by its owner only). Out: `Key`, whose methods give HMAC-SHA-256 (RFC 2104) of a value for one purpose.
The secret is in no repr, exception, log or pickle; `Key.id`, a hash, names the key in records so that it can be changed and old records still be understood.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import os
import secrets
import stat
import uuid
from pathlib import Path
from typing import NoReturn

from vesalius.errors import UserError

_HEADER = "vesalius-pseudonym-key-1"
_SECRET_BYTES = 32
SHIFT_DAYS = (365, 3650)
"""A patient's dates go back by this many days, both ends included."""
STANDARD_ROOT = "1.2.840.10008."
"""UIDs below this root are the standard's own (SOP classes, well-known frames of reference); they identify nobody and stay."""


class Key:
    """A secret for pseudonyms. Two keys give unrelated pseudonyms.

    Args:
        secret: exactly 32 bytes.
    """

    __slots__ = ("_secret", "id")

    def __init__(self, secret: bytes) -> None:
        if not isinstance(secret, bytes) or len(secret) != _SECRET_BYTES:
            raise UserError("a pseudonym key has another length than 32 bytes", remedy="make one with --new-key (Key.create)")
        self._secret = secret
        self.id = hashlib.sha256(b"vesalius key id\0" + secret).hexdigest()[:12]

    def __repr__(self) -> str:
        return f"Key(id={self.id!r})"

    def __reduce__(self) -> NoReturn:
        raise TypeError("a key is not pickled; give the path of its file")

    @classmethod
    def create(cls, path: str | Path) -> Key:
        """A new key in a new file that only its owner can read (mode 0600).

        Raises:
            UserError: the file exists, or cannot be written.
        """
        secret = secrets.token_bytes(_SECRET_BYTES)
        try:
            descriptor = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
        except FileExistsError:
            raise UserError(f"{path}: exists already, and a key is never overwritten", remedy="give another path, or use that key") from None
        except OSError as error:
            raise UserError(f"{path}: cannot be written ({error.strerror})", remedy="give a path in a folder that you may write to") from None
        with os.fdopen(descriptor, "w", encoding="ascii") as stream:
            if os.name == "posix":
                os.fchmod(descriptor, 0o600)
            stream.write(f"{_HEADER} {secret.hex()}\n")
        return cls(secret)

    @classmethod
    def read(cls, path: str | Path) -> Key:
        """The key in a file.

        Raises:
            UserError: missing, readable by others, or not a key file; the message never shows what is in it.
        """
        try:
            with Path(path).open("rb") as stream:
                if os.name == "posix" and stat.S_IMODE(os.fstat(stream.fileno()).st_mode) & 0o077:
                    raise UserError(f"{path}: others than its owner have access to this key", remedy=f"run chmod 600 {path}, and make a new key if it leaked")
                text = stream.read(4096).decode("ascii", "replace")
        except OSError as error:
            raise UserError(
                f"{path}: cannot be read ({error.strerror})", remedy="give the path of a key file, or make one with --new-key (Key.create)"
            ) from None
        head, _, digits = text.strip().partition(" ")
        if head != _HEADER or len(digits) != 2 * _SECRET_BYTES or not set(digits) <= set("0123456789abcdef"):
            raise UserError(f"{path}: is not a key file", remedy="make one with --new-key (Key.create)")
        return cls(bytes.fromhex(digits))

    def digest(self, purpose: str, value: bytes) -> bytes:
        """HMAC-SHA-256 of a value, 32 bytes; digests for different purposes are unrelated."""
        return hmac.digest(self._secret, purpose.encode() + b"\0" + value, "sha256")

    def uid(self, value: str) -> str:
        """The UID that stands for a UID: `2.25.` and a UUID (RFC 9562, version 8) of 90 bits of HMAC and a check of 32.

        UIDs of the standard, empty ones, and those that this key made stay as they are, so that references hold over files, runs and machines.
        """
        value = value.strip(" \0")
        if not value or value.startswith(STANDARD_ROOT) or self._made(value):
            return value
        return self._compose(self.digest("uid", value.encode("utf-8", "replace")))

    def _compose(self, digest: bytes) -> str:
        head = int.from_bytes(digest[:12], "big") >> 6
        check = int.from_bytes(self.digest("uid check", head.to_bytes(12, "big"))[:4], "big")
        bits = head << 32 | check  # 122 bits: 48, 12 and 62 around version and variant
        number = (bits >> 74) << 80 | 0x8 << 76 | (bits >> 62 & 0xFFF) << 64 | 0b10 << 62 | bits & ((1 << 62) - 1)
        return f"2.25.{uuid.UUID(int=number).int}"

    def _made(self, value: str) -> bool:
        digits = value.removeprefix("2.25.")
        if digits == value or not digits.isascii() or not digits.isdigit() or len(digits) > 39:
            return False
        number = int(digits)
        if number >> 76 & 0xF != 0x8 or number >> 62 & 0b11 != 0b10 or number >> 128:
            return False
        bits = (number >> 80) << 74 | (number >> 64 & 0xFFF) << 62 | number & ((1 << 62) - 1)
        check = int.from_bytes(self.digest("uid check", (bits >> 32).to_bytes(12, "big"))[:4], "big")
        return bits & 0xFFFFFFFF == check and value == f"2.25.{number}"

    def patient(self, identity: str) -> str:
        """The pseudonym of a patient: `P` and 24 letters and digits (80 bits of HMAC and a check of 40); one that this key made stays."""
        if self.made_patient(identity):
            return identity
        head = self.digest("patient", identity.encode("utf-8", "replace"))[:10]
        return "P" + base64.b32encode(head + self.digest("patient check", head)[:5]).decode()

    def made_patient(self, text: str) -> bool:
        """Whether a text is a pseudonym that this key made."""
        if len(text) != 25 or text[0] != "P":
            return False
        try:
            raw = base64.b32decode(text[1:])
        except ValueError:
            return False
        return hmac.compare_digest(raw[10:], self.digest("patient check", raw[:10])[:5])

    def shift(self, identity: str) -> int:
        """By how many whole days a patient's dates are moved: negative, within `SHIFT_DAYS`."""
        low, high = SHIFT_DAYS
        return -(low + int.from_bytes(self.digest("dates", identity.encode("utf-8", "replace"))[:8], "big") % (high - low + 1))

    def record(self, tag: int, value: bytes) -> str:
        """32 hexadecimal digits that stand for a value in a record: who holds the key can test a guess, nobody else can."""
        return self.digest(f"record {tag:08X}", value).hex()[:32]
