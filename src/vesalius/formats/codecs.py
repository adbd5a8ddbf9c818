"""Which installed decoder reads which transfer syntax, and what a compressed frame says of itself before it is decoded.

In: a transfer syntax UID, or the bytes of one compressed frame. Out: the name of the decoder, or the frame's own dimensions; else an error in words.
The first installed decoder of the list decides alone, so the same installation always gives the same pixels. Decoders are Apache, MIT or BSD licensed:
`pylibjpeg` is asked for the syntaxes of pylibjpeg-openjpeg only, never for those of pylibjpeg-libjpeg (GPL).
GDCM, which ends its process on some damaged streams, works in a process of its own (`isolated`) and only where nothing else reads.
"""

from __future__ import annotations

import contextlib
import dataclasses
import os
from collections.abc import Iterator, Mapping
from pathlib import Path

from vesalius.errors import MissingExtra, UnreadableStudy

_OPENJPEG = ("pylibjpeg", "pillow")
_HTJ2K = ("pylibjpeg",)
_CHARLS = ("pyjpegls",)
_LIBJPEG = ("pillow",)

DECODERS: Mapping[str, tuple[str, ...]] = {
    "1.2.840.10008.1.2": (),  # implicit little endian, native
    "1.2.840.10008.1.2.1": (),  # explicit little endian
    "1.2.840.10008.1.2.1.99": (),  # deflated
    "1.2.840.10008.1.2.2": (),  # explicit big endian
    "1.2.840.10008.1.2.5": ("pydicom",),  # RLE
    "1.2.840.10008.1.2.4.50": _LIBJPEG,  # JPEG baseline
    "1.2.840.10008.1.2.4.51": _LIBJPEG,  # JPEG extended; 12 bit: GDCM, see `decode`
    "1.2.840.10008.1.2.4.57": ("gdcm",),  # JPEG lossless
    "1.2.840.10008.1.2.4.70": ("gdcm",),  # JPEG lossless, first-order prediction
    "1.2.840.10008.1.2.4.80": _CHARLS,  # JPEG-LS lossless
    "1.2.840.10008.1.2.4.81": _CHARLS,  # JPEG-LS near-lossless
    "1.2.840.10008.1.2.4.90": _OPENJPEG,  # JPEG 2000 lossless
    "1.2.840.10008.1.2.4.91": _OPENJPEG,  # JPEG 2000
    "1.2.840.10008.1.2.4.201": _HTJ2K,  # HTJ2K lossless
    "1.2.840.10008.1.2.4.202": _HTJ2K,  # HTJ2K lossless RPCL
    "1.2.840.10008.1.2.4.203": _HTJ2K,  # HTJ2K
}
"""Transfer syntax UID to decoders by preference; an empty tuple needs none."""

EXPLICIT_LITTLE = "1.2.840.10008.1.2.1"
JPEG_EXTENDED = "1.2.840.10008.1.2.4.51"
JPEG_LOSSLESS = "1.2.840.10008.1.2.4.70"
WITHOUT_CODESTREAM = frozenset({"1.2.840.10008.1.2.5"})
"""Compressed syntaxes whose frames do not state their own dimensions: RLE."""
_JP2 = b"\0\0\0\x0cjP  \r\n\x87\n"
_LOSSY = frozenset({"1.2.840.10008.1.2.4.50", JPEG_EXTENDED, "1.2.840.10008.1.2.4.81"})


def is_lossy(syntax: str) -> bool | None:
    """True when the encoding always loses information; None when it does not tell (a lossless file may have been lossy once)."""
    return True if syntax in _LOSSY else None


def decoder_for(syntax: str, path: str | Path) -> str:
    """Name of the pydicom plug-in that will decode a transfer syntax; "" when none is needed.

    Raises:
        UnreadableStudy: no permitted decoder reads it.
        MissingExtra: one does, but it is not installed.
    """
    from pydicom.pixels.decoders.base import get_decoder
    from pydicom.uid import UID

    if syntax not in DECODERS:
        name = UID(syntax).name or "unknown"
        what = f"is encoded as {name} ({syntax})" if name != syntax else f"is encoded in the unknown transfer syntax {syntax}"
        raise UnreadableStudy(
            path, f"{what}, which no decoder here reads", remedy="convert it to Explicit VR Little Endian, for example with dcmconv or gdcmconv"
        )
    wanted = DECODERS[syntax]
    if not wanted:
        return ""
    installed = get_decoder(UID(syntax)).available_plugins
    for name in wanted:
        if name in installed:
            return name
    raise MissingExtra(f"{path}: is encoded as {UID(syntax).name}, and no decoder for it is installed", remedy="run: pip install 'vesalius[codecs]'")


@dataclasses.dataclass(frozen=True)
class Codestream:
    """What a JPEG, JPEG-LS or JPEG 2000 frame says of itself; `complete` is False when bytes are missing at its end."""

    rows: int
    cols: int
    samples: int
    bits: int
    complete: bool


def inspect_frame(frame: bytes) -> Codestream | None:
    """Read the dimensions in a compressed frame without decoding it; None when it is of none of the three families (RLE).

    JPEG and JPEG-LS: ITU-T T.81 B.2.2, T.87 C.2.2. JPEG 2000: T.800 A.5.1 (SIZ) and A.4.2 (SOT).
    """
    code = frame[_codestream_start(frame) :] if frame.startswith(_JP2) else frame
    if code.startswith(b"\xff\x4f\xff\x51"):
        return _inspect_j2k(code)
    return _inspect_jpeg(frame) if frame[:2] == b"\xff\xd8" else None


def _codestream_start(frame: bytes) -> int:
    """Where the codestream begins in a JP2 file, which DICOM forbids and some write (T.800 I.4); the end of the frame when the boxes lead nowhere."""
    at = len(_JP2)
    while at + 8 <= len(frame):
        if frame[at + 4 : at + 8] == b"jp2c":
            return at + 8
        length = int.from_bytes(frame[at : at + 4], "big")
        if length < 8:  # a box that does not move on would be walked for ever, by pydicom too
            break
        at += length
    return len(frame)


def _inspect_jpeg(frame: bytes) -> Codestream | None:
    at = 2
    while at + 9 < len(frame):
        if frame[at] != 0xFF:
            return None
        marker = frame[at + 1]
        if marker == 0xFF:  # fill byte
            at += 1
            continue
        # SOF0..SOF15 without DHT, JPG and DAC; SOF55 of JPEG-LS
        if marker in (0xF7, *range(0xC0, 0xD0)) and marker not in (0xC4, 0xC8, 0xCC):
            rows, cols = int.from_bytes(frame[at + 5 : at + 7], "big"), int.from_bytes(frame[at + 7 : at + 9], "big")
            return Codestream(rows, cols, frame[at + 9], frame[at + 4], complete=b"\xff\xd9" in frame[-64:])
        at += 2 if 0xD0 <= marker <= 0xD8 or marker == 1 else 2 + int.from_bytes(frame[at + 2 : at + 4], "big")
    return None


def _inspect_j2k(code: bytes) -> Codestream | None:
    if len(code) < 46:
        return None
    x1, y1, x0, y0, tile_w, tile_h = (int.from_bytes(code[at : at + 4], "big") for at in range(8, 32, 4))
    samples, bits = int.from_bytes(code[40:42], "big"), (code[42] & 0x7F) + 1
    sound = tile_w > 0 and tile_h > 0 and x1 > x0 and y1 > y0
    return Codestream(y1 - y0, x1 - x0, samples, bits, complete=sound and _tiles_complete(code))


def _tiles_complete(code: bytes) -> bool:
    """Walk main header segments, then tile-parts by their stated length (Psot), to the end of the codestream."""
    at = 2
    while at + 12 <= len(code):
        marker, length = code[at : at + 2], int.from_bytes(code[at + 2 : at + 4], "big")
        if marker == b"\xff\xd9":
            return True
        if marker == b"\xff\x90":
            part = int.from_bytes(code[at + 6 : at + 10], "big")
            if part == 0:  # the last tile-part: up to the end
                return b"\xff\xd9" in code[-64:]
            at += part
        elif code[at] == 0xFF and length >= 2:
            at += 2 + length
        else:
            return False
    # a missing EOC marker is common and harmless; a tile-part that runs past the end is not
    return at <= len(code)


def check_frame(frame: bytes, path: str | Path, *, rows: int, cols: int, samples: int, allocated: int) -> Codestream | None:
    """Compare a compressed frame with the header, before a decoder allocates what the frame claims.

    Raises:
        UnreadableStudy: other dimensions, or truncated.
    """
    found = inspect_frame(frame)
    if found is None:
        return None
    if (found.rows, found.cols, found.samples) != (rows, cols, samples):
        raise UnreadableStudy(
            path,
            f"the compressed pixels are {found.cols} x {found.rows} with {found.samples} sample(s), the header says {cols} x {rows} with {samples}",
            remedy="export it again, one of them is damaged",
        )
    if found.bits > allocated:
        raise UnreadableStudy(path, f"the compressed pixels claim {found.bits} bits, the header {allocated}", remedy="export it again, one of them is damaged")
    if not found.complete:
        raise UnreadableStudy(path, "the compressed pixel data is truncated or damaged", remedy="export it again")
    return found


@contextlib.contextmanager
def silent_stderr() -> Iterator[None]:
    """Send what C libraries write to file descriptor 2 to nowhere; Python's own `sys.stderr` is restored with it."""
    try:
        kept = os.dup(2)
    except OSError:  # no terminal at all
        yield
        return
    try:
        with open(os.devnull, "wb") as nowhere:  # noqa: PTH123 - a device, not a path
            os.dup2(nowhere.fileno(), 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
