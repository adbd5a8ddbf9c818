"""GDCM decodes in a process of its own: it may die of a damaged stream, the reader may not."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom.data import get_testdata_file
from pydicom.encaps import get_frame
from pydicom.uid import JPEGLosslessSV1

from tests.unit.formats import drawn
from vesalius import formats
from vesalius.errors import UnreadableStudy
from vesalius.formats import codecs, decode, gdcm_child, isolated
from vesalius.formats.isolated import Isolated

pytest.importorskip("gdcm")

WIDE = np.zeros((100, 100, 3), np.uint8)


def frame() -> bytes:
    ds = pydicom.dcmread(str(get_testdata_file("SC_rgb_jpeg_gdcm.dcm", download=False)))
    return bytes(get_frame(ds.PixelData, 0, number_of_frames=1))


def damaged() -> bytes:
    """A marker segment whose first byte is lost: GDCM 3.2 ends its process on it."""
    whole = frame()
    return whole[:2] + b"\0" + whole[3:]


def claim() -> decode.Claim:
    return decode.Claim(100, 100, 1, 3, 8, 8, "RGB", "PixelData", str(JPEGLosslessSV1))


def test_both_sides_speak_the_same_header() -> None:
    assert isolated._HEADER.format == gdcm_child.FRAME.format


def test_a_frame_is_decoded_and_the_process_serves_again() -> None:
    expected = pydicom.dcmread(str(get_testdata_file("SC_rgb_jpeg_gdcm.dcm", download=False))).pixel_array
    with Isolated() as gdcm:
        for _ in range(2):
            values = gdcm.decode(frame(), claim(), signed=False, photometric="RGB")
            assert values is not None
            np.testing.assert_array_equal(np.frombuffer(values, np.uint8).reshape(100, 100, 3), expected)
        child = gdcm._child
        assert child is not None
        assert child.poll() is None
    assert child.poll() is not None, "the child ends with its owner"


def test_a_process_that_dies_is_replaced() -> None:
    with Isolated() as gdcm:
        first = gdcm._running()
        assert gdcm.decode(damaged(), claim(), signed=False, photometric="RGB") is None
        assert first.poll() is not None
        assert gdcm.decode(frame(), claim(), signed=False, photometric="RGB") is not None
        assert gdcm._child is not None
        gdcm._child.kill()
        gdcm._child.wait()
        assert gdcm.decode(frame(), claim(), signed=False, photometric="RGB") is not None


def test_a_process_that_does_not_answer_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asleep = tmp_path / "asleep.py"
    asleep.write_text("import time; time.sleep(60)")
    monkeypatch.setattr(isolated, "_PROGRAM", asleep)
    monkeypatch.setattr(isolated, "_PATIENCE", 0.2)
    with Isolated() as gdcm:
        assert gdcm.decode(frame(), claim(), signed=False, photometric="RGB") is None


def test_a_damaged_lossless_jpeg_is_refused_in_words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
    good = drawn.write(tmp_path / "good.dcm", WIDE, syntax=JPEGLosslessSV1, frames=[frame()])
    assert formats.read(good).image.pixels.any()
    path = drawn.write(tmp_path / "bad.dcm", WIDE, syntax=JPEGLosslessSV1, frames=[damaged()])
    with pytest.raises(UnreadableStudy, match="do not begin as their encoding demands"):
        formats.read(path)
    monkeypatch.setattr(codecs, "inspect_frame", lambda frame: codecs.Codestream(100, 100, 3, 8, complete=True))  # what our own look does not find
    with pytest.raises(UnreadableStudy, match=re.escape(f"{path}: its pixels cannot be decoded (damaged JPEG): export it again.")):
        formats.read(path)
    assert capfd.readouterr() == ("", "")


def test_a_stream_that_claims_impossible_bits_is_refused_before_decoding(tmp_path: Path) -> None:
    whole = frame()
    at = whole.find(b"\xff\xc3")
    path = drawn.write(tmp_path / "x.dcm", WIDE, syntax=JPEGLosslessSV1, frames=[whole[: at + 4] + b"\xff" + whole[at + 5 :]])
    with pytest.raises(UnreadableStudy, match="the compressed pixels claim 255 bits, the header 8"):
        formats.read(path)


def test_gdcm_is_used_only_where_nothing_else_reads() -> None:
    assert {uid for uid, names in codecs.DECODERS.items() if "gdcm" in names} == {"1.2.840.10008.1.2.4.57", "1.2.840.10008.1.2.4.70"}
