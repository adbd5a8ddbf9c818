"""GDCM in a process of its own: a damaged stream can end that process, not ours.

In: compressed JPEG frames. Out: raw values, or None for a frame that cannot be decoded. The child is started at the first frame and serves until closed;
one that died or does not answer in time is replaced at the next frame.
"""

from __future__ import annotations

import struct
import subprocess
import sys
import threading
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from vesalius.formats.decode import Claim

_PROGRAM = Path(__file__).with_name("gdcm_child.py")
_HEADER = struct.Struct("<6I16s32sQ")  # as `gdcm_child.FRAME`
_PATIENCE = 120.0  # seconds for one frame


class Isolated:
    """A decoding process; use it as a context manager."""

    def __init__(self) -> None:
        self._child: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Isolated:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """End the child."""
        child, self._child = self._child, None
        if child is not None:
            child.kill()
            child.communicate()

    def decode(self, frame: bytes, claim: Claim, *, signed: bool, photometric: str) -> bytes | None:
        """One frame.

        Args:
            frame: a JPEG stream.
            claim: dimensions and bits of the header, already held to the stream's own.
            signed: pixel representation.
            photometric: photometric interpretation.

        Returns:
            Little-endian values, colour by pixel; None when GDCM cannot decode the frame, died of it, or took too long.
        """
        head = _HEADER.pack(
            claim.rows, claim.cols, claim.samples, claim.allocated, claim.stored, int(signed), photometric.encode(), claim.syntax.encode(), len(frame)
        )
        child = self._running()
        source, sink = child.stdout, child.stdin
        if source is None or sink is None:
            return None
        watch = threading.Timer(_PATIENCE, child.kill)
        watch.start()
        try:
            sink.write(head + frame)
            sink.flush()
            length = source.read(8)
            expected = claim.rows * claim.cols * claim.samples * claim.allocated // 8
            if len(length) < 8 or struct.unpack("<Q", length)[0] != expected:
                self.close()  # it died, or answers something else: whatever follows could not be trusted
                return None
            values = source.read(expected)
            return values if len(values) == expected else None
        except OSError:
            self.close()
            return None
        finally:
            watch.cancel()

    def _running(self) -> subprocess.Popen[bytes]:
        if self._child is None or self._child.poll() is not None:
            # -P: the folder of the program holds modules whose names the standard library uses too
            command = [sys.executable, "-P", str(_PROGRAM)]
            self._child = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        return self._child
