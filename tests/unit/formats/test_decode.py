"""Decoding: claims are held to bounds before anything is allocated; what is damaged is refused with its own kind of error."""

from __future__ import annotations

import io
import re
import struct
import tracemalloc
import zlib
from pathlib import Path

import numpy as np
import pydicom
import pytest
from PIL import Image as Pillow
from pydicom.data import get_testdata_file
from pydicom.encaps import encapsulate, get_frame
from pydicom.uid import JPEG2000Lossless, JPEGBaseline8Bit, RLELossless

from tests.unit.formats import drawn
from vesalius import formats
from vesalius.errors import InvalidValue, MissingExtra, UnreadableStudy
from vesalius.formats import bounds, codecs
from vesalius.formats.header import NotAnImage


def refused(path: Path, words: str, kind: type[Exception] = UnreadableStudy, **options: object) -> None:
    with pytest.raises(kind, match=re.escape(words)) as caught:
        formats.read(path, **options)  # type: ignore[arg-type]
    assert type(caught.value) is kind
    assert str(path) in str(caught.value)


def j2k() -> bytes:
    ds = pydicom.dcmread(str(get_testdata_file("MR_small_jp2klossless.dcm", download=False)))
    return bytes(get_frame(ds.PixelData, 0, number_of_frames=1))


def j2k_file(path: Path, frame: bytes, **elements: object) -> Path:
    pixels = np.zeros((64, 64), np.int16)
    return drawn.write(path, pixels, syntax=JPEG2000Lossless, frames=[frame], **elements)


def test_truncated_pixels(tmp_path: Path) -> None:
    path = drawn.write(tmp_path / "x.dcm")
    path.write_bytes(path.read_bytes()[:-6])
    refused(path, "is truncated, it holds 34 of 40 bytes of pixels: copy or export it again")


def test_truncated_header(tmp_path: Path) -> None:
    path = drawn.write(tmp_path / "x.dcm")
    whole = path.read_bytes()
    for length in range(150, len(whole) - 50, 37):
        path.write_bytes(whole[:length])
        with pytest.raises(UnreadableStudy):
            formats.read(path)


@pytest.mark.parametrize(
    "name", ["MR_small_RLE.dcm", "MR_small_jp2klossless.dcm", "MR_small_jpeg_ls_lossless.dcm", "SC_rgb_jpeg_gdcm.dcm", "SC_rgb_jpeg_dcmtk.dcm"]
)
@pytest.mark.parametrize("part", [0.5, 0.8, 0.95])
def test_truncated_compressed_files(name: str, part: float, tmp_path: Path) -> None:
    whole = Path(str(get_testdata_file(name, download=False))).read_bytes()
    start = whole.find(b"\xe0\x7f\x10\x00O")
    end = whole.find(b"\xfe\xff\xdd\xe0", start)
    assert 0 < start < end
    path = tmp_path / name
    path.write_bytes(whole[: start + int((end - start) * part)])
    with pytest.raises(UnreadableStudy):
        formats.read(path)


@pytest.mark.parametrize("part", [0.3, 0.7, 0.97])
def test_truncated_jpeg_2000_codestream_in_a_sound_file(part: float, tmp_path: Path) -> None:
    frame = j2k()
    assert np.ptp(formats.read(j2k_file(tmp_path / "good.dcm", frame)).image.pixels) > 0
    refused(j2k_file(tmp_path / "x.dcm", frame[: int(len(frame) * part)]), "the compressed pixel data is truncated or damaged")


def test_corrupt_jpeg_2000(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    frame = j2k()
    at = frame.find(b"\xff\x52")  # the coding style: without it nothing can be decoded
    refused(j2k_file(tmp_path / "x.dcm", frame[: at + 9] + b"\x4d" + frame[at + 10 :]), "its pixels cannot be decoded (Error decoding the J2K data")
    refused(j2k_file(tmp_path / "z.dcm", frame[: at + 2] + b"\xff" * 12 + frame[at + 14 :]), "the compressed pixel data is truncated or damaged")
    refused(j2k_file(tmp_path / "y.dcm", b"no codestream at all" * 9), "do not begin as their encoding demands")
    assert capfd.readouterr().err == ""


def test_a_compressed_frame_that_claims_more_than_the_header(tmp_path: Path) -> None:
    frame = j2k()
    huge = frame[:8] + struct.pack(">II", 60_000, 60_000) + frame[16:]
    refused(j2k_file(tmp_path / "x.dcm", huge), "the compressed pixels are 60000 x 60000 with 1 sample(s), the header says 64 x 64")
    stream = io.BytesIO()
    Pillow.new("L", (300, 200)).save(stream, "JPEG")
    path = drawn.write(tmp_path / "y.dcm", np.zeros((4, 5), np.uint8), syntax=JPEGBaseline8Bit, frames=[stream.getvalue()])
    refused(path, "the compressed pixels are 300 x 200")


@pytest.mark.parametrize("elements", [{"Rows": 65535, "Columns": 65535}, {"NumberOfFrames": 2_000_000_000}])
@pytest.mark.parametrize("compressed", [True, False])
def test_absurd_dimensions_are_refused_before_allocation(elements: dict[str, int], compressed: bool, tmp_path: Path) -> None:
    path = j2k_file(tmp_path / "x.dcm", j2k(), **elements) if compressed else drawn.write(tmp_path / "x.dcm", **elements)
    formats.read(drawn.write(tmp_path / "warm.dcm"))
    tracemalloc.start()
    refused(path, "claims", frames="all")
    assert tracemalloc.get_traced_memory()[1] < 20e6
    tracemalloc.stop()


def test_many_frames_are_refused_only_when_they_are_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = drawn.write(tmp_path / "x.dcm", np.zeros((10, 4, 5), np.uint8))
    monkeypatch.setattr(bounds, "MAX_FILE_VALUES", 100)
    refused(path, "one file may hold 100: choose one frame with frames=K", frames="all")
    assert formats.read(path, frames=3).image.frames == 1


@pytest.mark.parametrize("keyword", ["Rows", "Columns", "BitsAllocated"])
def test_missing_dimensions(keyword: str, tmp_path: Path) -> None:
    refused(drawn.write(tmp_path / "x.dcm", **{keyword: None}), "the header has no")


@pytest.mark.parametrize("keyword", ["Rows", "Columns"])
def test_zero_dimensions(keyword: str, tmp_path: Path) -> None:
    refused(drawn.write(tmp_path / "x.dcm", **{keyword: 0}), "in 1 frames of 1 samples")


@pytest.mark.parametrize("keyword", ["PixelRepresentation", "PhotometricInterpretation"])
def test_missing_elements_that_decoding_needs(keyword: str, tmp_path: Path) -> None:
    refused(drawn.write(tmp_path / "x.dcm", **{keyword: None}), "cannot be decoded")


@pytest.mark.parametrize(("allocated", "stored"), [(0, 0), (3, 3), (128, 16), (16, 17), (16, 0)])
def test_impossible_bits(allocated: int, stored: int, tmp_path: Path) -> None:
    refused(drawn.write(tmp_path / "x.dcm", BitsAllocated=allocated, BitsStored=stored), f"claims {stored} bits stored in {allocated} allocated")


def test_no_pixels(tmp_path: Path) -> None:
    refused(drawn.write(tmp_path / "a.dcm", PixelData=None), "has an image header but no pixels")
    refused(drawn.write(tmp_path / "b.dcm", None), "is DICOM without pixel data", NotAnImage)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("test-SR.dcm", "is a structured report, it has no pixels"),
        ("rtplan.dcm", "is a radiotherapy plan"),
        ("rtstruct.dcm", "is a radiotherapy structure set"),
        ("waveform_ecg.dcm", "is a waveform"),
    ],
)
def test_objects_without_pixels_are_named(name: str, words: str) -> None:
    refused(Path(str(get_testdata_file(name, download=False))), words, NotAnImage)


@pytest.mark.parametrize(
    ("syntax", "words"),
    [("1.2.840.10008.1.2.4.100", "is encoded as MPEG2"), ("1.2.3.4.5", "is encoded in the unknown transfer syntax 1.2.3.4.5, which no decoder here reads")],
)
def test_unknown_syntax(syntax: str, words: str, tmp_path: Path) -> None:
    path = drawn.write(tmp_path / "x.dcm", syntax=JPEG2000Lossless, frames=[b"\0" * 8])
    padded = syntax + "\0" * (len(syntax) % 2)
    old = b"UI\x16\x00" + b"1.2.840.10008.1.2.4.90"
    raw = path.read_bytes()
    assert old in raw
    new = b"UI" + struct.pack("<H", len(padded)) + padded.encode()
    raw = raw.replace(old, new)
    length = struct.unpack("<I", raw[140:144])[0] + len(new) - len(old)
    path.write_bytes(raw[:140] + struct.pack("<I", length) + raw[144:])
    refused(path, words)


def test_a_decoder_that_is_not_installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pydicom.pixels.common.CoderBase.available_plugins", ())
    refused(j2k_file(tmp_path / "x.dcm", j2k()), "no decoder for it is installed: run: pip install 'vesalius[codecs]'", MissingExtra)


def test_no_gpl_decoder_is_ever_named() -> None:
    libjpeg = {"50", "51", "57", "70", "80", "81"}
    assert all("pylibjpeg" not in names for uid, names in codecs.DECODERS.items() if uid.rpartition(".")[2] in libjpeg and ".4." in uid)


@pytest.mark.parametrize("slope", ["nan", "inf", "abc"])
def test_rescale_that_is_no_number(slope: str, tmp_path: Path) -> None:
    path = drawn.write(tmp_path / "x.dcm", RescaleIntercept="0", RescaleSlope="777")
    path.write_bytes(path.read_bytes().replace(b"777 ", slope.encode().ljust(4)))
    refused(path, "RescaleSlope in the header is not a finite number")


def test_rescale_by_zero(tmp_path: Path) -> None:
    refused(drawn.write(tmp_path / "x.dcm", RescaleIntercept="0", RescaleSlope="0"), "the rescale slope in the header is 0")


def test_rescale_beyond_all_numbers(tmp_path: Path) -> None:
    refused(drawn.write(tmp_path / "x.dcm", drawn.RAMP + 1, RescaleSlope="1e300", RescaleIntercept="0"), "has no finite pixel value")


def test_frames_are_chosen(tmp_path: Path) -> None:
    pixels = np.arange(5 * 20, dtype=np.uint8).reshape(5, 4, 5)
    path = drawn.write(tmp_path / "x.dcm", pixels)
    np.testing.assert_array_equal(formats.read(path).image.pixels[0], pixels[2])
    np.testing.assert_array_equal(formats.read(path, frames="all").image.pixels, pixels)
    np.testing.assert_array_equal(formats.read(path, frames=4).image.pixels[0], pixels[4])
    refused(path, "frame 5 does not exist, there are frames 0 to 4", InvalidValue, frames=5)
    with pytest.raises(InvalidValue, match="must be 'choose', 'all' or a number"):
        formats.read(path, frames="middle")  # type: ignore[arg-type]


def test_fewer_compressed_frames_than_the_header_names(tmp_path: Path) -> None:
    path = j2k_file(tmp_path / "x.dcm", j2k(), NumberOfFrames=3)
    for frames in ("all", "choose"):
        with pytest.raises(UnreadableStudy):
            formats.read(path, frames=frames)  # type: ignore[arg-type]


def test_damaged_run_lengths(tmp_path: Path) -> None:
    path = drawn.write(tmp_path / "x.dcm", syntax=RLELossless, frames=[struct.pack("<16I", 2, 64, 9999, *[0] * 13) + b"\x01\x02\x03\x04"])
    refused(path, "its pixels cannot be decoded")


def test_a_deflated_file_that_inflates_without_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "x.dcm"
    head = Path(str(get_testdata_file("image_dfl.dcm", download=False))).read_bytes()
    start = 144 + struct.unpack("<I", head[140:144])[0]
    engine = zlib.compressobj(9, zlib.DEFLATED, -15)
    path.write_bytes(head[:start] + engine.compress(b"\0" * 2**25) + engine.flush())
    assert path.stat().st_size < 2**16
    monkeypatch.setattr(bounds, "MAX_FILE_BYTES", 2**24)
    refused(path, "inflates to more than 16,777,216 bytes")


def test_a_file_beyond_the_bound(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bounds, "MAX_FILE_BYTES", 100)
    refused(drawn.write(tmp_path / "x.dcm"), "more than 100")


def test_sequences_nested_without_end(tmp_path: Path) -> None:
    path = drawn.write(tmp_path / "x.dcm")
    nest = b"\x40\x00\x75\x02SQ\0\0\xff\xff\xff\xff\xfe\xff\x00\xe0\xff\xff\xff\xff" * 5000
    path.write_bytes(path.read_bytes()[: path.read_bytes().find(b"\x28\x00\x02\x00")] + nest)
    with pytest.raises(UnreadableStudy):
        formats.read(path)


def test_colour_spaces_that_are_not_read(tmp_path: Path) -> None:
    refused(drawn.write(tmp_path / "x.dcm", np.zeros((4, 4, 3), np.uint8), PhotometricInterpretation="HSV"), "has the colour space HSV with 3 sample(s)")


def test_without_meta_information(tmp_path: Path) -> None:
    path = drawn.write(tmp_path / "x.dcm")
    raw = path.read_bytes()
    path.write_bytes(raw[144 + struct.unpack("<I", raw[140:144])[0] :])
    image = formats.read(path).image
    np.testing.assert_array_equal(image.pixels[0], drawn.RAMP)
    assert image.transfer_syntax == "1.2.840.10008.1.2.1"


def test_jp2_boxes_that_lead_nowhere_do_not_hang(tmp_path: Path) -> None:
    jp2 = b"\0\0\0\x0cjP  \r\n\x87\n"
    ds = pydicom.dcmread(str(get_testdata_file("GDCMJ2K_TextGBR.dcm", download=False)))
    real = bytes(get_frame(ds.PixelData, 0, number_of_frames=1))
    assert real.startswith(jp2)
    assert codecs.inspect_frame(real) == codecs.Codestream(400, 400, 3, 8, complete=True)
    stuck = jp2 + struct.pack(">I4sI", 0, b"ftyp", 0) + struct.pack(">I4s", 0, b"jp2c") + j2k()
    refused(j2k_file(tmp_path / "x.dcm", stuck), "do not begin as their encoding demands")


def test_codestreams_say_their_own_size() -> None:
    found = codecs.inspect_frame(j2k())
    assert found == codecs.Codestream(64, 64, 1, 16, complete=True)
    assert codecs.inspect_frame(b"\xff\xd8\xff\xc0\x00\x0b\x08\x00\x10\x00\x20\x01\x01\x11\x00") == codecs.Codestream(16, 32, 1, 8, complete=False)
    for nonsense in (b"", b"\xff\xd8", b"\xff\x4f\xff\x51\0", b"\xff\xd8\0\0\0\0\0\0\0\0\0\0\0\0"):
        assert codecs.inspect_frame(nonsense) is None
    assert encapsulate([j2k()])
