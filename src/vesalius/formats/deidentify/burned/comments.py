"""Text that hides in compressed pixels without being seen: comments and application segments of JPEG, JPEG-LS and JPEG 2000 streams.

In: encapsulated pixel data. Out: the same bytes with zeros in those segments; their lengths, and so every offset, stay. Kept is what decoding needs: the JFIF
header, Adobe's colour transform, SPIFF and HP's colour transform (APP8), colour profiles (ITU-T T.81 B.2.4.5 and B.2.4.6, T.87, T.800 A.9.2).
"""

from __future__ import annotations

from collections.abc import Iterator

_ITEM = b"\xfe\xff\x00\xe0"
_COMMENT, _SCAN = 0xFE, 0xDA
_APPLICATIONS = range(0xE0, 0xF0)
_KEPT = {0xE0: (b"JFIF\0",), 0xE2: (b"ICC_PROFILE\0",), 0xE8: (b"SPIFF\0", b"mrfx"), 0xEE: (b"Adobe",)}
_JFIF = 14  # bytes of its header; a small picture may follow
_J2K, _J2K_COMMENT, _J2K_TILE = b"\xff\x4f\xff\x51", b"\xff\x64", b"\xff\x90"


def blank(data: bytes) -> bytes:
    """Encapsulated pixel data without comments; a stream that cannot be walked stays as it is from there on."""
    found = bytearray(data)
    for start, end in _fragments(data):
        head = data[start : start + 4]
        places = _j2k(data, start, end) if head == _J2K else _jpeg(data, start, end) if head[:2] == b"\xff\xd8" else iter(())
        for first, last in places:
            found[first:last] = bytes(last - first)
    return bytes(found)


def _fragments(data: bytes) -> Iterator[tuple[int, int]]:
    at = 0
    while at + 8 <= len(data) and data[at : at + 4] == _ITEM:
        start = at + 8
        at = start + int.from_bytes(data[at + 4 : at + 8], "little")
        yield start, min(at, len(data))


def _jpeg(data: bytes, start: int, end: int) -> Iterator[tuple[int, int]]:
    at = start + 2
    while at + 4 <= end and data[at] == 0xFF and data[at + 1] != _SCAN:
        marker, length = data[at + 1], int.from_bytes(data[at + 2 : at + 4], "big")
        if marker == 0xFF:  # a fill byte
            at += 1
            continue
        if length < 2:
            return
        first, last = at + 4, min(at + 2 + length, end)
        kept = _KEPT.get(marker)
        if kept is not None and data[first:last].startswith(kept):
            first = first + _JFIF if marker == 0xE0 else last
        if first < last and (marker == _COMMENT or marker in _APPLICATIONS):
            yield first, last
        at += 2 + length


def _j2k(data: bytes, start: int, end: int) -> Iterator[tuple[int, int]]:
    at = start + 2
    while at + 4 <= end and data[at] == 0xFF and data[at : at + 2] != _J2K_TILE:
        length = int.from_bytes(data[at + 2 : at + 4], "big")
        if length < 2:
            return
        if data[at : at + 2] == _J2K_COMMENT:
            yield min(at + 6, end), min(at + 2 + length, end)
        at += 2 + length
