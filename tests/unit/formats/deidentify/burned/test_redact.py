import io

import numpy as np
import pydicom
import pytest
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGLSLossless,
    RLELossless,
)

from tests.unit.formats.deidentify.burned.drawn import BOX, Fixed, box
from tests.unit.formats.deidentify.made import KEY
from tests.unit.formats.drawn import dataset, item
from vesalius.errors import UnreadableStudy
from vesalius.formats.deidentify.burned.redact import cover, redact

ROWS, COLS = 32, 48
TEXT = box(8, 4, 24, 12)
COVERED = cover(BOX, (ROWS, COLS))


def values(kind: str, *shape: int, low: int = 0, high: int = 200) -> np.ndarray:
    return np.random.default_rng(0).integers(low, high, shape).astype(kind)


def again(ds: pydicom.Dataset) -> pydicom.Dataset:
    """Written to a file and read back."""
    stream = io.BytesIO()
    ds.save_as(stream, enforce_file_format=True)
    return pydicom.dcmread(io.BytesIO(stream.getvalue()))


def raw(ds: pydicom.Dataset) -> np.ndarray:
    from pydicom.pixels import pixel_array

    return pixel_array(ds, raw=True)


def changed(before: np.ndarray, after: np.ndarray) -> np.ndarray:
    """Pixels [rows, cols] that differ in any frame and any sample."""
    differs = before != after
    while differs.ndim > 2:
        differs = differs.any(axis=-1) if differs.shape[-1] in (3, 4) and differs.shape[:2] == (ROWS, COLS) else differs.any(axis=0)
        if differs.ndim == 3 and differs.shape[-1] == 3:
            differs = differs.any(axis=-1)
    return differs


@pytest.mark.parametrize("kind", ["u1", "u2", "i2", "u4", "i1"])
@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, ImplicitVRLittleEndian, ExplicitVRBigEndian, DeflatedExplicitVRLittleEndian])
def test_only_the_box_is_filled_and_with_one_value(kind, syntax):
    low = -100 if kind.startswith("i") else 0
    film = values(kind, ROWS, COLS, low=low, high=100)
    order = ">" if syntax == ExplicitVRBigEndian else "<"
    source = dataset(film, syntax=syntax)
    source.PixelData = film.astype(film.dtype.newbyteorder(order)).tobytes()
    source = again(source)
    before = raw(source)
    assert np.array_equal(before, film)
    done = redact(source, Fixed(TEXT))
    after = raw(again(done.dataset))
    assert np.array_equal(after[~COVERED], before[~COVERED])
    assert set(after[COVERED].tolist()) == {before.min()}
    assert np.array_equal(raw(source), before)
    assert done.dataset.file_meta.TransferSyntaxUID == syntax


def test_bytes_in_words_of_big_endian_are_filled_where_they_are():
    film = values("u1", ROWS, COLS)
    source = dataset(film, syntax=ExplicitVRBigEndian)
    source.PixelData = film.reshape(-1, 2)[:, ::-1].tobytes()
    source["PixelData"].VR = "OW"
    source = again(source)
    before = raw(source)
    assert np.array_equal(before, film)
    after = raw(again(redact(source, Fixed(TEXT)).dataset))
    assert np.array_equal(changed(before, after) & ~COVERED, np.zeros_like(COVERED))
    assert np.ptp(after[COVERED]) == 0


def test_white_is_zero_is_filled_with_black():
    film = values("u2", ROWS, COLS)
    after = raw(redact(dataset(film, PhotometricInterpretation="MONOCHROME1"), Fixed(TEXT)).dataset)
    assert set(after[COVERED].tolist()) == {film.max()}


@pytest.mark.parametrize("planar", [0, 1])
@pytest.mark.parametrize("space", ["RGB", "YBR_FULL"])
@pytest.mark.parametrize("frames", [1, 3])
def test_colour_is_filled_with_black_in_both_layouts_and_all_frames(planar, space, frames):
    film = values("u1", frames, ROWS, COLS, 3)
    source = dataset(film, PhotometricInterpretation=space, PlanarConfiguration=planar)
    source.PixelData = (film.transpose(0, 3, 1, 2) if planar else film).tobytes()
    after = raw(redact(source, Fixed(TEXT)).dataset).reshape(film.shape)
    assert np.array_equal(after[:, ~COVERED], film[:, ~COVERED])
    assert {tuple(v) for v in after[:, COVERED].reshape(-1, 3).tolist()} == {(0, 0, 0) if space == "RGB" else (0, 128, 128)}


def test_colour_that_two_pixels_share_goes_from_both():
    stored = values("u1", ROWS, COLS // 2, 4)
    source = dataset(np.zeros((ROWS, COLS, 3), np.uint8), PhotometricInterpretation="YBR_FULL_422")
    source.PixelData = stored.tobytes()
    after = np.frombuffer(redact(source, Fixed(TEXT)).dataset.PixelData, np.uint8).reshape(stored.shape)
    pairs = COVERED.reshape(ROWS, -1, 2).any(axis=2)
    assert np.array_equal(after[~pairs], stored[~pairs])
    assert {tuple(v) for v in after[pairs].tolist()} == {(0, 0, 128, 128)}


def test_a_palette_is_filled_with_its_darkest_colour():
    film = values("u1", ROWS, COLS, high=4)
    source = dataset(film, PhotometricInterpretation="PALETTE COLOR")
    for name, table in (("Red", b"\xff\x40\x01\x80"), ("Green", b"\xff\x40\x02\x80"), ("Blue", b"\xff\x40\x01\x00")):
        setattr(source, f"{name}PaletteColorLookupTableDescriptor", [4, 0, 8])
        setattr(source, f"{name}PaletteColorLookupTableData", table)
    after = raw(redact(source, Fixed(TEXT)).dataset)
    assert set(after[COVERED].tolist()) == {2}
    assert np.array_equal(after[~COVERED], film[~COVERED])


def test_one_bit_pixels_are_filled_across_bytes_and_frames():
    film = values("u1", 3, 31, 45, high=2)
    source = dataset(film, BitsAllocated=1, BitsStored=1, HighBit=0)
    source.PixelData = np.packbits(film.ravel(), bitorder="little").tobytes() + b"\0"
    done = redact(source, Fixed(TEXT)).dataset
    after = np.unpackbits(np.frombuffer(done.PixelData, np.uint8), count=film.size, bitorder="little").reshape(film.shape)
    covered = cover(BOX, film.shape[1:])
    assert not after[:, covered].any()
    assert np.array_equal(after[:, ~covered], film[:, ~covered])


def test_float_pixels_are_filled():
    film = np.random.default_rng(0).normal(size=(ROWS, COLS)).astype(np.float32)
    source = dataset(None, FloatPixelData=film.tobytes(), Rows=ROWS, Columns=COLS, SamplesPerPixel=1, PhotometricInterpretation="MONOCHROME2", BitsAllocated=32)
    after = np.frombuffer(redact(source, Fixed(TEXT)).dataset.FloatPixelData, np.float32).reshape(film.shape)
    assert set(after[COVERED].tolist()) == {float(film.min())}
    assert np.array_equal(after[~COVERED], film[~COVERED])


@pytest.mark.parametrize("syntax", [RLELossless, JPEGLSLossless, JPEG2000Lossless])
@pytest.mark.parametrize("shape", [(ROWS, COLS), (2, ROWS, COLS), (ROWS, COLS, 3)])
@pytest.mark.parametrize("kind", ["u1", "u2", "i2"])
def test_what_was_encoded_without_loss_is_again_or_is_stored_plain(syntax, shape, kind):
    if shape[-1] == 3 and kind != "u1":
        pytest.skip("colour of more than 8 bits is not made here")
    film = values(kind, *shape, low=-100 if kind == "i2" else 0, high=100)
    source = dataset(film)
    try:
        source.compress(syntax, generate_instance_uid=False)
    except (RuntimeError, NotImplementedError, ValueError):
        pytest.skip("no encoder for this is installed")
    source = again(source)
    before = raw(source)
    done = again(redact(source, Fixed(TEXT)).dataset)
    after = raw(done)
    lies = changed(before, after)
    assert lies.any()
    assert not (lies & ~COVERED).any()
    assert done.file_meta.TransferSyntaxUID in (syntax, ExplicitVRLittleEndian)
    if syntax == RLELossless:
        assert done.file_meta.TransferSyntaxUID == syntax
    assert done.Rows == ROWS
    assert np.array_equal(raw(source), before)


def jpeg(film: np.ndarray) -> bytes:
    from PIL import Image

    stream = io.BytesIO()
    Image.fromarray(film).save(stream, "JPEG", quality=90)
    return stream.getvalue()


@pytest.mark.parametrize("colour", [False, True])
def test_what_lost_once_is_stored_plain_and_loses_no_more(colour):
    film = values("u1", ROWS, COLS, *((3,) if colour else ()))
    space = "YBR_FULL_422" if colour else "MONOCHROME2"
    source = again(dataset(film, syntax=JPEGBaseline8Bit, frames=[jpeg(film)], PhotometricInterpretation=space))
    before = source.pixel_array
    done = again(redact(source, Fixed(TEXT)).dataset)
    assert done.file_meta.TransferSyntaxUID == ExplicitVRLittleEndian
    assert done.LossyImageCompression == "01"
    assert done.LossyImageCompressionMethod == "ISO_10918_1"
    after = done.pixel_array
    assert np.array_equal(after[~COVERED], before[~COVERED])
    assert np.ptp(after[COVERED].reshape(-1, 3 if colour else 1), axis=0).max() == 0


def test_pixels_without_text_keep_their_bytes():
    film = values("u1", ROWS, COLS)
    source = again(dataset(film, syntax=JPEGBaseline8Bit, frames=[jpeg(film)]))
    done = redact(source, Fixed())
    assert done.dataset.PixelData == source.PixelData
    assert done.dataset.file_meta.TransferSyntaxUID == JPEGBaseline8Bit
    assert (done.boxes, done.unsure, done.frames_read) == ((), (), 1)
    plain = dataset(values("u2", ROWS, COLS))
    assert redact(plain, Fixed()).dataset.PixelData == plain.PixelData


def test_words_of_the_list_stay():
    film = values("u1", ROWS, COLS)
    done = redact(dataset(film), Fixed(box(8, 4, 24, 12, "PORTABLE", 0.9)))
    assert np.array_equal(raw(done.dataset), film)
    assert done.dataset.BurnedInAnnotation == "NO"


def test_a_word_of_the_list_that_was_hardly_read_goes_and_is_listed():
    done = redact(dataset(values("u1", ROWS, COLS)), Fixed(box(8, 4, 24, 12, "PORTABLE", 0.45)))
    assert np.ptp(raw(done.dataset)[COVERED]) == 0
    assert len(done.boxes) == len(done.unsure) == 1


def test_a_doubtful_box_is_left_only_on_demand_and_never_silently():
    film = values("u1", ROWS, COLS)
    doubtful = box(8, 4, 24, 12, "D0E", 0.45)
    left = redact(dataset(film), Fixed(doubtful), keep_unsure=True)
    assert np.array_equal(raw(left.dataset), film)
    assert left.boxes == ()
    assert [(u.filled, u.score) for u in left.unsure] == [(False, 0.45)]
    assert left.dataset.BurnedInAnnotation == "YES"
    assert "DeidentificationMethodCodeSequence" not in left.dataset
    filled = redact(dataset(film), Fixed(doubtful))
    assert [u.filled for u in filled.unsure] == [True]
    assert filled.dataset.BurnedInAnnotation == "NO"


def test_the_header_says_what_was_done_and_keeps_earlier_codes_once():
    source = dataset(values("u1", ROWS, COLS), BurnedInAnnotation="YES")
    source.DeidentificationMethodCodeSequence = [
        item(CodeValue="113100", CodingSchemeDesignator="DCM", CodeMeaning="Basic"),
        item(CodeValue="113101", CodingSchemeDesignator="DCM", CodeMeaning="Clean Pixel Data Option"),
    ]
    clean = redact(source, Fixed(TEXT)).dataset
    assert clean.BurnedInAnnotation == "NO"
    assert [i.CodeValue for i in clean.DeidentificationMethodCodeSequence] == ["113100", "113101"]
    assert source.BurnedInAnnotation == "YES"


def test_a_head_scan_is_marked():
    done = redact(dataset(values("u2", ROWS, COLS), Modality="CT", BodyPartExamined="HEAD"), Fixed())
    assert done.dataset.RecognizableVisualFeatures == "YES"
    assert "face" in done.reasons[0]


def test_the_text_is_in_no_repr_and_the_digest_needs_the_key():
    done = redact(dataset(values("u1", ROWS, COLS)), Fixed(TEXT), key=KEY)
    assert "DOE" not in repr(done)
    assert "DOE" not in repr(TEXT)
    assert done.boxes[0].text == "DOE JOHN"
    assert done.boxes[0].digest == KEY.record(0x7FE00010, b"DOE JOHN")
    assert redact(dataset(values("u1", ROWS, COLS)), Fixed(TEXT)).boxes[0].digest is None


class Seeing:
    """Finds what is brighter than 250, as one box: text that stands in one frame only."""

    def read(self, grey):
        bright = np.argwhere(grey > 250)
        if not bright.size:
            return ()
        (y0, x0), (y1, x1) = bright.min(axis=0), bright.max(axis=0) + 1
        return (box(x0, y0, x1, y1),)


def test_a_text_of_one_frame_goes_from_all_and_no_frame_is_missed():
    from tests.unit.formats.deidentify.burned.drawn import letters

    still = letters("", rows=64, cols=160, ground=60, noise=2)
    for index in range(6):
        film = np.stack([still] * 6)
        film[index] = letters("DOE JOHN", rows=64, cols=160, at=(20, 20), ground=60, level=255, noise=2)
        done = redact(dataset(film), Seeing())
        after = raw(done.dataset)
        assert (after[index] > 250).sum() == 0
        assert done.frames_read == min(index, 1) + 1
        assert done.boxes[0].frame == index
        place = after[index] != film[index]
        assert (after[:, place] == after[0, place][0]).all()


def test_equal_frames_are_read_once_and_all_on_demand():
    film = np.stack([values("u1", ROWS, COLS)] * 5)
    assert redact(dataset(film), Fixed()).frames_read == 1
    assert redact(dataset(film), Fixed(), every_frame=True).frames_read == 5


class Twice:
    """Sees a second text only when the first is gone."""

    def read(self, grey):
        first, second = box(2, 2, 20, 8, "DOE"), box(26, 18, 44, 26, "JOHN")
        return (first,) if np.ptp(grey[2:8, 2:20]) else (second,) if np.ptp(grey[18:26, 26:44]) else ()


def test_a_picture_is_read_again_after_filling():
    done = redact(dataset(values("u1", ROWS, COLS)), Twice())
    assert [b.text for b in done.boxes] == ["DOE", "JOHN"]
    assert np.ptp(raw(done.dataset)[18:26, 26:44]) == 0


@pytest.mark.parametrize("sign", [0, 1])
def test_what_hides_in_unused_bits_is_cleared(sign):
    shown = values("i2" if sign else "u2", ROWS, COLS, low=-500 if sign else 0, high=500)
    hidden = shown.view(np.uint16).copy() & 0x0FFF
    hidden[:8] |= 0x8000
    source = dataset(hidden, BitsStored=12, HighBit=11, PixelRepresentation=sign)
    source.add_new(0x60000010, "US", ROWS)
    source.add_new(0x60000011, "US", COLS)
    source.add_new(0x60000100, "US", 16)
    source.add_new(0x60000102, "US", 15)
    done = redact(source, Fixed())
    stored = np.frombuffer(done.dataset.PixelData, "i2" if sign else "u2").reshape(ROWS, COLS)
    assert np.array_equal(stored, shown)
    assert "unused bits" in done.reasons[0]
    assert not [tag for tag in done.dataset.keys() if tag.group == 0x6000]  # noqa: SIM118 - tags


def test_an_overlay_with_data_of_its_own_is_left_to_the_header():
    source = dataset(values("u2", ROWS, COLS))
    source.add_new(0x60003000, "OW", b"\0" * (ROWS * COLS // 8))
    assert (0x6000, 0x3000) in redact(source, Fixed()).dataset


def test_bytes_behind_the_pixels_are_removed():
    source = dataset(values("u1", ROWS, COLS))
    source.PixelData = source.PixelData + b"DOE JOHN 1970"
    done = redact(source, Fixed())
    assert len(done.dataset.PixelData) == ROWS * COLS
    assert "behind" in done.reasons[0]


def test_outside_of_ultrasound_regions_is_filled_on_demand():
    region = item(RegionLocationMinX0=10, RegionLocationMinY0=6, RegionLocationMaxX1=39, RegionLocationMaxY1=29)
    film = values("u1", ROWS, COLS)
    source = dataset(film, SequenceOfUltrasoundRegions=[region])
    inside = np.zeros((ROWS, COLS), bool)
    inside[6:30, 10:40] = True
    after = raw(redact(source, Fixed(), outside_regions=True).dataset)
    assert np.array_equal(after[inside], film[inside])
    assert np.ptp(after[~inside]) == 0
    assert np.array_equal(raw(redact(source, Fixed()).dataset), film)
    broken = dataset(film, SequenceOfUltrasoundRegions=[item(RegionLocationMinX0=10)])
    assert np.array_equal(raw(redact(broken, Fixed(), outside_regions=True).dataset), film)


def test_a_slanted_box_is_filled_with_its_margin():
    slanted = np.array([[10, 6], [30, 14], [28, 19], [8, 11]], float)
    mask = cover(slanted, (ROWS, COLS))
    assert mask[12, 19]
    assert not mask[6, 28]
    assert not mask[18, 10]
    assert mask.sum() > 20 * 5


@pytest.mark.parametrize("polygon", [[[5, 5]] * 4, [[-9, -9], [99, -9], [99, 99], [-9, 99]], [[5, 5], [20, 5], [20, 5], [5, 5]]])
def test_points_lines_and_boxes_beyond_the_border_have_a_cover(polygon):
    assert cover(np.array(polygon, float), (ROWS, COLS)).any()


def test_an_object_without_pixels_comes_back_as_it_is():
    source = dataset(None, Modality="SR")
    done = redact(source, Fixed(TEXT))
    assert done.dataset == source
    assert "BurnedInAnnotation" not in done.dataset


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"PixelData": b""}, "truncated"),
        ({"PixelData": b"\0" * 10}, "truncated"),
        ({"Rows": 0}, "claims"),
        ({"Rows": 65535, "Columns": 65535, "NumberOfFrames": 9999}, "claims"),
        ({"BitsAllocated": 12}, "bits"),
        ({"Rows": None}, "Rows"),
    ],
)
def test_damaged_pixels_are_refused_in_words(change, word):
    with pytest.raises(UnreadableStudy, match=word):
        redact(dataset(values("u2", ROWS, COLS), **change), Fixed(TEXT))


def test_a_truncated_jpeg_is_refused_in_words():
    film = values("u1", ROWS, COLS)
    with pytest.raises(UnreadableStudy):
        redact(dataset(film, syntax=JPEGBaseline8Bit, frames=[jpeg(film)[:200]]), Fixed(TEXT))


def test_twice_is_the_same_as_once():
    once = again(redact(dataset(values("u1", ROWS, COLS)), Fixed(TEXT)).dataset)
    twice = again(redact(once, Fixed(TEXT)).dataset)
    assert twice == once


def test_comments_inside_compressed_pixels_are_blanked():
    film = values("u1", ROWS, COLS)
    stream = jpeg(film)
    comment, camera = b"DOE JOHN 1970", b"Exif\0\0DOE JOHN"
    planted = stream[:2] + b"".join(b"\xff" + m + (len(t) + 2).to_bytes(2, "big") + t for m, t in ((b"\xfe", comment), (b"\xe1", camera))) + stream[2:]
    source = again(dataset(film, syntax=JPEGBaseline8Bit, frames=[planted]))
    done = redact(source, Fixed())
    assert b"DOE" not in done.dataset.PixelData
    assert len(done.dataset.PixelData) == len(source.PixelData)
    assert np.array_equal(again(done.dataset).pixel_array, source.pixel_array)
    assert "comments" in done.reasons[0]
    assert b"DOE" in source.PixelData
