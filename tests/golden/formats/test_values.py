"""Pixel values and displayed values equal pydicom's own functions, and a second, independent decoder for two transfer syntaxes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom.data import get_testdata_file
from pydicom.pixels import apply_color_lut, apply_modality_lut, apply_rescale, apply_voi_lut, apply_windowing, convert_color_space, pixel_array

from tests.unit.formats import drawn
from vesalius import formats
from vesalius.formats.pixels import render

pytestmark = pytest.mark.filterwarnings("ignore")


def sample(name: str) -> str:
    path = get_testdata_file(name, download=False)
    assert path is not None
    return str(path)


def shown_by_pydicom(values: np.ndarray, low: float, high: float) -> np.ndarray:
    return np.rint((values - low) / (high - low) * 255)


@pytest.mark.parametrize("name", ["CT_small.dcm", "MR_small.dcm", "693_J2KI.dcm", "J2K_pixelrep_mismatch.dcm", "examples_overlay.dcm"])
def test_modality_values_are_apply_rescale_of_pixel_array(name: str) -> None:
    ds = pydicom.dcmread(sample(name))
    plugin = "pylibjpeg" if ds.file_meta.TransferSyntaxUID.is_compressed else ""
    expected = apply_rescale(pixel_array(ds, decoding_plugin=plugin), ds)
    np.testing.assert_array_equal(formats.read(sample(name)).image.pixels[0], expected.astype(np.float32))


@pytest.mark.parametrize("name", ["MR_small.dcm", "693_J2KI.dcm", "J2K_pixelrep_mismatch.dcm", "examples_overlay.dcm"])
def test_windows_are_apply_windowing(name: str) -> None:
    ds = pydicom.dcmread(sample(name))
    values = apply_modality_lut(pixel_array(ds), ds)
    image = formats.read(sample(name)).image
    for index, window in enumerate(image.voi):
        expected = apply_windowing(values, ds, index=index)
        low, high = _range(ds)
        np.testing.assert_allclose(render(image, voi=index), shown_by_pydicom(expected, low, high), atol=1)
        assert window.width > 1
    assert len(image.voi) == pydicom.dcmread(sample(name))["WindowCenter"].VM


def _range(ds: pydicom.Dataset) -> tuple[float, float]:
    """The output range of apply_windowing: that of the stored bits, rescaled."""
    low, high = (-(2 ** (ds.BitsStored - 1)), 2 ** (ds.BitsStored - 1) - 1) if ds.PixelRepresentation else (0, 2**ds.BitsStored - 1)
    slope, intercept = float(ds.get("RescaleSlope", 1)), float(ds.get("RescaleIntercept", 0))
    return low * slope + intercept, high * slope + intercept


# not LINEAR with width 1, where pydicom divides by zero: the standard's threshold is tested in the unit tests
@pytest.mark.parametrize(
    ("function", "width"), [(f, w) for f in ("LINEAR", "LINEAR_EXACT", "SIGMOID") for w in (300.0, 37.5, 1.0) if (f, w) != ("LINEAR", 1.0)]
)
def test_each_window_function_is_pydicoms(function: str, width: float, tmp_path: Path) -> None:
    values = np.linspace(0, 4095, 400).astype(np.uint16).reshape(20, 20)
    path = drawn.write(tmp_path / "w.dcm", values, BitsStored=12, HighBit=11, WindowCenter=1000, WindowWidth=width, VOILUTFunction=function)
    expected = apply_windowing(values, pydicom.dcmread(path))
    np.testing.assert_array_equal(render(formats.read(path).image), shown_by_pydicom(expected, 0, 4095))


def test_voi_table_is_apply_voi_lut(tmp_path: Path) -> None:
    values = np.arange(100, dtype=np.uint16).reshape(10, 10)
    lut = drawn.item(LUTDescriptor=[64, 20, 12], LUTData=(np.linspace(4095, 0, 64) ** 2 / 4095).astype("<u2").tobytes(), LUTExplanation="CURVE")
    path = drawn.write(tmp_path / "v.dcm", values, BitsStored=12, HighBit=11, VOILUTSequence=[lut], WindowCenter=50, WindowWidth=20)
    image = formats.read(path).image
    expected = apply_voi_lut(values, pydicom.dcmread(path))
    np.testing.assert_array_equal(render(image), shown_by_pydicom(expected.astype(float), 0, 4095))
    assert [getattr(v, "explanation", None) for v in image.voi] == ["CURVE", None]
    np.testing.assert_array_equal(render(image, voi=1), shown_by_pydicom(apply_windowing(values, pydicom.dcmread(path)), 0, 4095))


def test_modality_table_is_apply_modality_lut(tmp_path: Path) -> None:
    values = np.arange(100, dtype=np.uint16).reshape(10, 10)
    table = drawn.item(LUTDescriptor=[50, 30, 16], LUTData=(1000 + 7 * np.arange(50)).astype("<u2").tobytes(), ModalityLUTType="OD")
    path = drawn.write(tmp_path / "m.dcm", values, ModalityLUTSequence=[table])
    np.testing.assert_array_equal(formats.read(path).image.pixels[0], apply_modality_lut(values, pydicom.dcmread(path)))


def test_palette_is_apply_color_lut() -> None:
    ds = pydicom.dcmread(sample("examples_palette.dcm"))
    expected = apply_color_lut(pixel_array(ds), ds)
    np.testing.assert_array_equal(formats.read(sample("examples_palette.dcm")).image.pixels[0], expected >> 8)


@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize("signed", [False, True])
def test_segmented_palette_is_apply_color_lut(bits: int, signed: bool, tmp_path: Path) -> None:
    values = np.arange(0, 100, dtype=np.int8 if signed else np.uint8).reshape(10, 10)
    top = 2**bits - 1
    kind = "u1" if bits == 8 else "<u2"
    elements: dict[str, object] = {"PhotometricInterpretation": "PALETTE COLOR"}
    for colour, end in (("Red", top), ("Green", top // 3), ("Blue", 0)):
        elements[f"{colour}PaletteColorLookupTableDescriptor"] = [64, 10, bits]
        words = [0, 3, 0, top // 2, 5, 1, 61, end]  # three entries, then a line of 61
        elements[f"Segmented{colour}PaletteColorLookupTableData"] = np.array(words, kind).tobytes()
    path = drawn.write(tmp_path / "p.dcm", values, **elements)
    expected = apply_color_lut(values, pydicom.dcmread(path))
    np.testing.assert_array_equal(formats.read(path).image.pixels[0], expected >> (bits - 8))


def test_ybr_is_convert_color_space() -> None:
    ds = pydicom.dcmread(sample("SC_ybr_full_422_uncompressed.dcm"))
    raw = pixel_array(ds, raw=True)
    expected = convert_color_space(raw, "YBR_FULL", "RGB")
    np.testing.assert_array_equal(formats.read(sample("SC_ybr_full_422_uncompressed.dcm")).image.pixels[0], expected)
    assert not np.array_equal(raw, expected)


JPEG_2000 = ["MR_small_jp2klossless.dcm", "GDCMJ2K_TextGBR.dcm", "examples_jpeg2k.dcm", "J2K_pixelrep_mismatch.dcm"]


@pytest.mark.parametrize("name", JPEG_2000)
def test_jpeg_2000_equals_a_second_decoder(name: str) -> None:
    pytest.importorskip("gdcm")
    pytest.importorskip("openjpeg")
    ds = pydicom.dcmread(sample(name))
    other = apply_modality_lut(pixel_array(ds, decoding_plugin="gdcm"), ds)
    np.testing.assert_array_equal(formats.read(sample(name)).image.pixels[0], other)


@pytest.mark.parametrize("name", ["MR_small_jpeg_ls_lossless.dcm", "JPEGLSNearLossless_08.dcm", "JPEGLSNearLossless_16.dcm", "SC_rgb_jls_lossy_line.dcm"])
def test_jpeg_ls_equals_a_second_decoder(name: str) -> None:
    pytest.importorskip("gdcm")
    pytest.importorskip("jpeg_ls")
    ds = pydicom.dcmread(sample(name))
    np.testing.assert_array_equal(formats.read(sample(name)).image.pixels[0], pixel_array(ds, decoding_plugin="gdcm"))


@pytest.mark.parametrize("name", ["MR_small_RLE.dcm", "MR_small_jp2klossless.dcm", "MR_small_jpeg_ls_lossless.dcm", "MR_small_bigendian.dcm"])
def test_one_image_in_five_encodings_is_one_image(name: str) -> None:
    np.testing.assert_array_equal(formats.read(sample(name)).image.pixels, formats.read(sample("MR_small.dcm")).image.pixels)


@pytest.mark.parametrize("name", ["JPGExtended.dcm", "JPEG-lossy.dcm"])
def test_12_bit_jpeg_equals_gdcms_own_reader(name: str) -> None:
    gdcm = pytest.importorskip("gdcm")
    reader = gdcm.ImageReader()
    reader.SetFileName(sample(name))
    assert reader.Read()
    expected = np.frombuffer(reader.GetImage().GetBuffer().encode("utf-8", "surrogateescape"), np.uint16)
    pixels = formats.read(sample(name)).image.pixels
    np.testing.assert_array_equal(pixels.ravel(), expected)
    assert pixels.max() == 264  # the same bone scan, compressed in another way:
    original = formats.read(sample("JPEG2000.dcm")).image.pixels
    assert np.corrcoef(pixels.ravel(), original.ravel())[0, 1] > 0.9
