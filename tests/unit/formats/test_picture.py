"""Pictures: every mode keeps its values, declared facts fill the gaps, and what is broken is refused in one sentence."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as Pillow

from vesalius import formats
from vesalius.domain.study import Image, Intensity, Modality
from vesalius.errors import InvalidValue, UnreadableStudy
from vesalius.formats import bounds
from vesalius.formats.pixels import render

GREY = (np.arange(48, dtype=np.uint8) * 5).reshape(6, 8)
COLOUR = np.stack([GREY, GREY[::-1], 255 - GREY], axis=-1)


def read(path: Path, picture: Pillow.Image | None = None, **options: object) -> Image:
    if picture is not None:
        picture.save(path, **options)  # type: ignore[arg-type]
    return formats.read(path).image


@pytest.mark.parametrize("name", ["x.png", "x.tif", "x.bmp", "x.gif"])
def test_grey_keeps_its_values_and_is_shown_as_it_is(name: str, tmp_path: Path) -> None:
    image = read(tmp_path / name, Pillow.fromarray(GREY))
    assert image.intensity is Intensity.RELATIVE
    np.testing.assert_array_equal(image.pixels[0], GREY)
    np.testing.assert_array_equal(render(image), GREY)


@pytest.mark.parametrize("name", ["x.png", "x.tif", "x.bmp"])
def test_colour(name: str, tmp_path: Path) -> None:
    image = read(tmp_path / name, Pillow.fromarray(COLOUR))
    assert image.intensity is Intensity.COLOUR
    np.testing.assert_array_equal(render(image), COLOUR)


@pytest.mark.parametrize("name", ["x.png", "x.tif"])
def test_16_bit_grey_keeps_its_values_and_is_shown_by_percentiles(name: str, tmp_path: Path) -> None:
    deep = (GREY.astype(np.uint16) + 1) * 16
    image = read(tmp_path / name, Pillow.fromarray(deep))
    np.testing.assert_array_equal(image.pixels[0], deep)
    assert np.ptp(render(image)) > 240  # 12-bit content in 16 bits is not shown black


def test_big_endian_16_bit_tiff(tmp_path: Path) -> None:
    deep = (GREY.astype(int) * 200).astype(">u2")
    Pillow.frombytes("I;16B", (8, 6), deep.tobytes()).save(tmp_path / "x.tif")
    np.testing.assert_array_equal(read(tmp_path / "x.tif").pixels[0], deep)


def test_float_tiff_with_holes(tmp_path: Path) -> None:
    values = GREY.astype(np.float32) - 100
    values[0, 0] = np.nan
    image = read(tmp_path / "x.tif", Pillow.fromarray(values))
    assert image.pixels[0, 0, 0] == image.pixels.min() == -95
    np.testing.assert_array_equal(image.pixels[0].ravel()[1:], values.ravel()[1:])


def test_a_jpeg_is_lossy_and_grey_in_three_channels_is_grey(tmp_path: Path) -> None:
    image = read(tmp_path / "x.jpg", Pillow.fromarray(GREY).convert("RGB"), quality=100, subsampling=0)
    assert image.lossy is True
    assert image.intensity is Intensity.RELATIVE
    assert np.abs(image.pixels[0] - GREY).max() <= 3
    assert read(tmp_path / "x.png", Pillow.fromarray(GREY)).lossy is None


def test_one_bit(tmp_path: Path) -> None:
    image = read(tmp_path / "x.png", Pillow.fromarray(GREY > 100))
    assert image.intensity is Intensity.BINARY
    np.testing.assert_array_equal(image.pixels[0], GREY > 100)


def test_a_palette(tmp_path: Path) -> None:
    indexed = Pillow.fromarray(COLOUR).quantize(16)
    np.testing.assert_array_equal(render(read(tmp_path / "x.png", indexed)), np.asarray(indexed.convert("RGB")))


def test_transparency_lies_over_black(tmp_path: Path) -> None:
    alpha = np.full((6, 8), 255, np.uint8)
    alpha[0, :4], alpha[1, :4] = 0, 128
    image = read(tmp_path / "x.png", Pillow.fromarray(np.dstack([COLOUR, alpha])))
    assert not image.pixels[0, 0, :4].any()
    np.testing.assert_allclose(image.pixels[0, 1, :4], COLOUR[1, :4] * (128 / 255), atol=1)
    np.testing.assert_array_equal(image.pixels[0, 2:], COLOUR[2:])
    grey = read(tmp_path / "g.png", Pillow.fromarray(np.dstack([GREY, alpha]), "LA"))
    assert not grey.pixels[0, 0, :4].any()
    np.testing.assert_allclose(grey.pixels[0, 1, :4], GREY[1, :4] * (128 / 255), atol=1)
    np.testing.assert_array_equal(grey.pixels[0, 2:], GREY[2:])


def test_cmyk(tmp_path: Path) -> None:
    picture = Pillow.new("CMYK", (8, 8), (0, 255, 255, 0))
    assert read(tmp_path / "x.tif", picture).pixels[0, 0, 0].tolist() == [255, 0, 0]
    red = read(tmp_path / "x.jpg", picture).pixels[0, 4, 4].astype(int)
    assert np.abs(red - [255, 0, 0]).max() <= 3


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation(orientation: int, tmp_path: Path) -> None:
    exif = Pillow.Exif()
    exif[0x0112] = orientation
    turns = {1: 0, 2: None, 3: 2, 4: None, 5: None, 6: 3, 7: None, 8: 1}
    image = read(tmp_path / "x.png", Pillow.fromarray(GREY), exif=exif)
    assert image.pixels.shape[1:] == ((8, 6) if orientation >= 5 else (6, 8))
    mirrored = {2: GREY[:, ::-1], 4: GREY[::-1], 5: GREY.T, 7: GREY[::-1, ::-1].T}
    turn = turns[orientation]
    expected = mirrored[orientation] if turn is None else np.rot90(GREY, turn)
    np.testing.assert_array_equal(image.pixels[0], expected)


@pytest.mark.parametrize("name", ["x.gif", "x.png", "x.tif"])
def test_frames(name: str, tmp_path: Path) -> None:
    pictures = [Pillow.fromarray(np.roll(GREY, k, axis=1)) for k in range(5)]
    pictures[0].save(tmp_path / name, save_all=True, append_images=pictures[1:])
    every = formats.read(tmp_path / name, frames="all").image
    assert every.frames == 5
    for k in range(5):
        np.testing.assert_array_equal(every.pixels[k], np.roll(GREY, k, axis=1))
    np.testing.assert_array_equal(formats.read(tmp_path / name).image.pixels[0], np.roll(GREY, 2, axis=1))
    np.testing.assert_array_equal(formats.read(tmp_path / name, frames=4).image.pixels[0], np.roll(GREY, 4, axis=1))
    with pytest.raises(InvalidValue, match="frame 5 does not exist"):
        formats.read(tmp_path / name, frames=5)


def test_pages_of_different_sizes(tmp_path: Path) -> None:
    Pillow.fromarray(GREY).save(tmp_path / "x.tif", save_all=True, append_images=[Pillow.fromarray(GREY[:3])])
    with pytest.raises(UnreadableStudy, match="pages of different sizes: choose one with frames=K"):
        formats.read(tmp_path / "x.tif", frames="all")
    assert formats.read(tmp_path / "x.tif", frames=1).image.rows == 3


def test_declared_facts(tmp_path: Path) -> None:
    Pillow.fromarray(GREY).save(tmp_path / "x.png")
    image = formats.read(tmp_path / "x.png", modality="CR", body_part="chest", view="PA").image
    assert (image.modality, image.body_part, image.view, image.source) == (Modality.CR, "CHEST", "PA", "x.png")
    plain = formats.read(tmp_path / "x.png")
    assert (plain.modality, plain.body_part, plain.image.view, plain.deidentified, plain.patient.key) == (Modality.OT, None, None, False, None)


def test_a_directory_of_pictures_is_one_series_in_order(tmp_path: Path) -> None:
    for k in (10, 9, 1):
        Pillow.fromarray(GREY).save(tmp_path / f"slice{k}.png")
    assert [i.source for i in formats.read(tmp_path)] == ["slice1.png", "slice9.png", "slice10.png"]


@pytest.mark.parametrize("name", ["x.png", "x.jpg", "x.tif", "x.bmp", "x.gif"])
@pytest.mark.parametrize("part", [0.15, 0.6, 0.9])
def test_truncated(name: str, part: float, tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (40, 50), np.uint8)
    path = tmp_path / name
    Pillow.fromarray(noise).save(path)
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * part)])
    with pytest.raises(UnreadableStudy, match="is truncated or damaged") as caught:
        formats.read(path)
    assert "BytesIO" not in str(caught.value)


def bomb(path: Path, side: int) -> Path:
    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = chunk(b"IHDR", struct.pack(">IIBBBBB", side, side, 8, 0, 0, 0, 0))
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + head + chunk(b"IDAT", zlib.compress(b"\0" * 10_000)) + chunk(b"IEND", b""))
    return path


def test_decompression_bombs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UnreadableStudy, match="refused as a decompression bomb"):
        formats.read(bomb(tmp_path / "a.png", 60_000))
    monkeypatch.setattr(bounds, "MAX_FRAME_VALUES", 10_000)
    with pytest.raises(UnreadableStudy, match=r"claims 200 x 200 pixels.* one frame may hold 10,000"):
        formats.read(bomb(tmp_path / "b.png", 200))


def test_sixteen_bit_white_is_zero(tmp_path: Path) -> None:
    deep = GREY.astype(np.uint16) * 100
    Pillow.fromarray(deep).save(tmp_path / "x.tif", tiffinfo={262: 0})
    assert read(tmp_path / "x.tif").inverted
    Pillow.fromarray(deep).save(tmp_path / "y.tif")
    assert not read(tmp_path / "y.tif").inverted


@pytest.mark.data
def test_a_film_and_its_picture_agree(data_root: Path) -> None:
    files = sorted((data_root / "phi_dicom").rglob("*"))
    film = next((f for f in files if f.suffix == ".dcm"), None)
    if film is None:
        pytest.skip("the data root has no phi_dicom/*.dcm")
    study = formats.read(film)
    assert study.modality is Modality.CR
    assert not study.deidentified
    assert render(study.image).std() > 20
