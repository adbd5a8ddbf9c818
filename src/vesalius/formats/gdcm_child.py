"""The program of a child process that decodes JPEG frames with GDCM; run by `isolated`, never imported.

In (standard input): per frame a header of `FRAME` and the compressed bytes. Out (standard output): the length of the decoded frame, 0 when it failed,
and its bytes.
GDCM ends its process on some damaged streams. Here it may: the reader that asked lives on. Nothing but GDCM is imported, so the child starts quickly.
"""

from __future__ import annotations

import struct
import sys
from typing import Any

import gdcm

FRAME = struct.Struct("<6I16s32sQ")  # rows, columns, samples, bits allocated, bits stored, signed, photometric, transfer syntax, length


def decode(header: tuple[Any, ...], frame: bytes) -> bytes:
    """One frame to raw values, colour by pixel."""
    rows, cols, samples, allocated, stored, signed, photometric, syntax, _ = header
    fragment = gdcm.Fragment()
    fragment.SetByteStringValue(frame)
    fragments = gdcm.SequenceOfFragments.New()
    fragments.AddFragment(fragment)
    element = gdcm.DataElement(gdcm.Tag(0x7FE0, 0x0010))
    element.SetValue(fragments.__ref__())
    image = gdcm.Image()
    image.SetNumberOfDimensions(2)
    image.SetDimensions((cols, rows, 1))
    image.SetDataElement(element)
    kind = gdcm.PhotometricInterpretation.GetPIType(photometric.rstrip(b"\0").decode())
    image.SetPhotometricInterpretation(gdcm.PhotometricInterpretation(kind))
    if samples > 1:
        image.SetPlanarConfiguration(0)
    image.SetTransferSyntax(gdcm.TransferSyntax(gdcm.TransferSyntax.GetTSType(syntax.rstrip(b"\0").decode())))
    image.SetPixelFormat(gdcm.PixelFormat(samples, allocated, stored, stored - 1, signed))
    return (image.GetBuffer() or "").encode("utf-8", "surrogateescape")


def main() -> None:
    """Answer until standard input ends."""
    while len(head := sys.stdin.buffer.read(FRAME.size)) == FRAME.size:
        header = FRAME.unpack(head)
        try:
            values = decode(header, sys.stdin.buffer.read(header[-1]))
        except Exception:  # noqa: BLE001 - whatever it is, the frame could not be decoded; the parent says so
            values = b""
        sys.stdout.buffer.write(struct.pack("<Q", len(values)) + values)
        sys.stdout.buffer.flush()


if __name__ == "__main__":
    main()
