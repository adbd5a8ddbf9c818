"""What a DICOM header says becomes the facts of an image; what it does not say stays unknown."""

from __future__ import annotations

import logging
import threading
import warnings
from pathlib import Path

import numpy as np
import pytest
from pydicom.data import get_testdata_file
from pydicom.dataset import Dataset

from tests.unit.formats import drawn
from tests.unit.formats.drawn import item
from vesalius import formats
from vesalius.domain.study import Image, Intensity, Laterality, LookupTable, Modality, Window
from vesalius.errors import UnreadableStudy
from vesalius.formats import header

AXIAL = [1, 0, 0, 0, 1, 0]


def read(tmp_path: Path, pixels: np.ndarray = drawn.RAMP, *, frames: str = "choose", **elements: object) -> Image:
    return formats.read(drawn.write(tmp_path / "x.dcm", pixels, **elements), frames=frames).image  # type: ignore[arg-type]


def test_everything_a_header_may_leave_open_is_unknown(tmp_path: Path) -> None:
    image = read(tmp_path)
    unknown = ("body_part", "spacing", "orientation", "position", "slice_thickness", "view", "laterality", "burned_in", "lossy", "pad")
    assert [getattr(image, name) for name in unknown] == [None] * len(unknown)
    assert (image.voi, image.overlays, image.inverted, image.intensity) == ((), (), False, Intensity.RELATIVE)
    assert (image.source, image.uid, image.transfer_syntax) == ("x.dcm", "1.2.3.4", "1.2.840.10008.1.2.1")


def test_a_full_header(tmp_path: Path) -> None:
    image = read(
        tmp_path,
        BodyPartExamined="CHEST",
        PixelSpacing=[0.5, 0.25],
        ImageOrientationPatient=AXIAL,
        ImagePositionPatient=[1, 2, 3],
        SliceThickness=5,
        ImageLaterality="L",
        BurnedInAnnotation="YES",
        LossyImageCompression="01",
        WindowCenter=[40, -600],
        WindowWidth=[400, 1500],
        WindowCenterWidthExplanation=["SOFT", "LUNG"],
        PhotometricInterpretation="MONOCHROME1",
    )
    assert (image.body_part, image.spacing, image.position, image.slice_thickness) == ("CHEST", (0.5, 0.25), (1, 2, 3), 5)
    assert (image.orientation, image.view, image.laterality) == (tuple(AXIAL), "AXIAL", Laterality.LEFT)
    assert (image.burned_in, image.lossy, image.inverted) == (True, True, True)
    assert image.voi == (Window(40, 400, "LINEAR", "SOFT"), Window(-600, 1500, "LINEAR", "LUNG"))


@pytest.mark.parametrize(
    ("elements", "intensity"),
    [
        ({"Modality": "CT", "RescaleSlope": 1, "RescaleIntercept": -1024}, Intensity.HOUNSFIELD),
        ({"Modality": "CT", "RescaleSlope": 1, "RescaleIntercept": -1024, "RescaleType": "HU"}, Intensity.HOUNSFIELD),
        ({"Modality": "CT", "RescaleSlope": 1, "RescaleIntercept": -1024, "RescaleType": "US"}, Intensity.RELATIVE),
        ({"Modality": "CT", "RescaleSlope": 1, "RescaleIntercept": -1024, "ImageType": ["ORIGINAL", "PRIMARY", "LOCALIZER"]}, Intensity.RELATIVE),
        ({"Modality": "CT"}, Intensity.RELATIVE),
        ({"Modality": "MR", "RescaleSlope": 2, "RescaleIntercept": 0, "RescaleType": "normalized"}, Intensity.RELATIVE),
        ({"Modality": "PT", "RescaleSlope": 2, "RescaleIntercept": 0, "Units": "BQML"}, Intensity.QUANTITATIVE),
        ({"Modality": "PT", "RescaleSlope": 2, "RescaleIntercept": 0, "Units": "CNTS"}, Intensity.RELATIVE),
        ({"Modality": "RTDOSE", "DoseGridScaling": 0.001, "DoseUnits": "GY"}, Intensity.QUANTITATIVE),
    ],
)
def test_what_a_value_means(elements: dict[str, object], intensity: Intensity, tmp_path: Path) -> None:
    assert read(tmp_path, **elements).intensity is intensity


def test_rescale_padding_and_dose(tmp_path: Path) -> None:
    image = read(tmp_path, RescaleSlope="2", RescaleIntercept="-100", PixelPaddingValue=50)
    np.testing.assert_array_equal(image.pixels[0], drawn.RAMP * 2.0 - 100)
    assert image.pad == 0
    np.testing.assert_allclose(read(tmp_path, Modality="RTDOSE", DoseGridScaling="0.001").pixels[0], drawn.RAMP * 0.001, rtol=1e-6)
    signed = drawn.RAMP.astype(np.int16) - 500
    assert read(tmp_path, signed, PixelPaddingValue=-500).pad == -500


def test_an_unknown_modality_is_other(tmp_path: Path) -> None:
    assert read(tmp_path, Modality="RTDOSE").modality is Modality.OT
    assert read(tmp_path, Modality=None).modality is Modality.OT


def test_spacing_prefers_the_patient_then_the_detector_then_the_film(tmp_path: Path) -> None:
    elements = {"NominalScannedPixelSpacing": [0.3, 0.3]}
    assert read(tmp_path, **elements).spacing == (0.3, 0.3)
    elements["ImagerPixelSpacing"] = [0.2, 0.2]
    assert read(tmp_path, **elements).spacing == (0.2, 0.2)
    elements["PixelSpacing"] = [0.1, 0.1]
    assert read(tmp_path, **elements).spacing == (0.1, 0.1)
    assert read(tmp_path, PixelSpacing=[0, 0.1]).spacing is None


def test_ultrasound_spacing_needs_one_region_in_centimetres(tmp_path: Path) -> None:
    region = {"PhysicalUnitsXDirection": 3, "PhysicalUnitsYDirection": 3, "PhysicalDeltaX": 0.02, "PhysicalDeltaY": -0.03}
    assert read(tmp_path, SequenceOfUltrasoundRegions=[item(**region)]).spacing == pytest.approx((0.3, 0.2))
    other = {**region, "PhysicalDeltaX": 0.05}
    assert read(tmp_path, SequenceOfUltrasoundRegions=[item(**region), item(**other)]).spacing is None
    seconds = {**region, "PhysicalUnitsXDirection": 4}
    assert read(tmp_path, SequenceOfUltrasoundRegions=[item(**seconds)]).spacing is None


@pytest.mark.parametrize(
    ("cosines", "view"),
    [
        (AXIAL, "AXIAL"),
        ([0, 1, 0, 0, 0, -1], "SAGITTAL"),
        ([1, 0, 0, 0, 0, -1], "CORONAL"),
        ([1, 0, 0, 0, 0.7071068, 0.7071068], "OBLIQUE"),
        ([1, 0, 0, 0, 0.9659258, 0.258819], "AXIAL"),
        ([1, 0, 0, 1, 0, 0], None),
        ([0, 0, 0, 0, 0, 0], None),
    ],
)
def test_the_plane_of_a_slice(cosines: list[float], view: str | None, tmp_path: Path) -> None:
    assert read(tmp_path, ImageOrientationPatient=cosines).view == view


def test_view_by_position_by_code_and_never_by_free_text(tmp_path: Path) -> None:
    code = [item(CodeValue="R-10226", CodingSchemeDesignator="SRT", CodeMeaning="medio-lateral oblique")]
    assert read(tmp_path, ViewCodeSequence=code).view == "MEDIO-LATERAL OBLIQUE"
    assert read(tmp_path, ViewCodeSequence=code, ViewPosition="MLO").view == "MLO"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert read(tmp_path, ViewPosition="<script>").view is None


def test_body_part_by_code(tmp_path: Path) -> None:
    assert read(tmp_path, AnatomicRegionSequence=[item(CodeMeaning="Abdomen")]).body_part == "ABDOMEN"


def test_a_window_that_breaks_the_standard_is_left_out(tmp_path: Path) -> None:
    assert read(tmp_path, WindowCenter=[10, 20], WindowWidth=[0, 5]).voi == (Window(20, 5),)
    assert read(tmp_path, WindowCenter=10, WindowWidth=20, VOILUTFunction="CUBIC").voi == ()


def test_a_broken_voi_table_is_left_out_but_a_broken_modality_table_is_refused(tmp_path: Path) -> None:
    short = item(LUTDescriptor=[64, 0, 12], LUTData=b"\1\0" * 5)
    assert read(tmp_path, VOILUTSequence=[short]).voi == ()
    with pytest.raises(UnreadableStudy, match="a lookup table has"):
        read(tmp_path, ModalityLUTSequence=[short])


def test_tables_come_before_windows_and_bytes_may_be_packed(tmp_path: Path) -> None:
    table = item(LUTDescriptor=[4, 7, 8], LUTData=bytes([0, 10, 20, 30]))
    first, second = read(tmp_path, VOILUTSequence=[table], WindowCenter=1, WindowWidth=2).voi
    assert isinstance(first, LookupTable)
    assert (first.first, first.bits, first.values.tolist()) == (7, 8, [0, 10, 20, 30])
    assert second == Window(1, 2)


def enhanced(**shared: object) -> dict[str, object]:
    per_frame = [
        item(
            PlanePositionSequence=[item(ImagePositionPatient=[0, 0, 10 * k])],
            PixelValueTransformationSequence=[item(RescaleSlope=k + 1, RescaleIntercept=-k, RescaleType="HU")],
            FrameVOILUTSequence=[item(WindowCenter=100 + k, WindowWidth=50)],
        )
        for k in range(3)
    ]
    groups = {
        "PixelMeasuresSequence": [item(PixelSpacing=[2, 3], SliceThickness=4)],
        "PlaneOrientationSequence": [item(ImageOrientationPatient=[0, 1, 0, 0, 0, -1])],
        "FrameAnatomySequence": [item(FrameLaterality="R", AnatomicRegionSequence=[item(CodeMeaning="Knee")])],
        **shared,
    }
    return {"SharedFunctionalGroupsSequence": [item(**groups)], "PerFrameFunctionalGroupsSequence": per_frame, "Modality": "CT"}


def test_functional_groups(tmp_path: Path) -> None:
    pixels = np.stack([drawn.RAMP] * 3)
    image = read(tmp_path, pixels, **enhanced())
    assert (image.spacing, image.slice_thickness, image.position, image.view) == ((2, 3), 4, (0, 0, 10), "SAGITTAL")
    assert (image.laterality, image.body_part, image.intensity) == (Laterality.RIGHT, "KNEE", Intensity.HOUNSFIELD)
    np.testing.assert_array_equal(image.pixels[0], drawn.RAMP * 2.0 - 1)
    assert image.voi == (Window(101, 50),)
    every = read(tmp_path, pixels, frames="all", **enhanced())
    for k in range(3):
        np.testing.assert_array_equal(every.pixels[k], drawn.RAMP * (k + 1.0) - k)
    assert every.position == (0, 0, 0)


def test_what_differs_between_frames_is_unknown(tmp_path: Path) -> None:
    elements = enhanced()
    frames = elements["PerFrameFunctionalGroupsSequence"]
    assert isinstance(frames, list)
    frames[2].PlaneOrientationSequence = [item(ImageOrientationPatient=AXIAL)]
    pixels = np.stack([drawn.RAMP] * 3)
    assert read(tmp_path, pixels, frames="all", **elements).orientation is None
    assert read(tmp_path, pixels, frames="all", **elements).view is None
    assert read(tmp_path, pixels, **elements).view == "SAGITTAL"


@pytest.mark.parametrize("kind", [np.float32, np.float64])
def test_float_pixels_and_their_holes(kind: type, tmp_path: Path) -> None:
    values = np.linspace(-1, 1, 20).reshape(4, 5).astype(kind)
    values[0, 0] = np.nan
    keyword = "FloatPixelData" if kind is np.float32 else "DoubleFloatPixelData"
    elements: dict[str, object] = {"PixelData": None, "BitsStored": None, "HighBit": None, "PixelRepresentation": None, keyword: values.tobytes()}
    image = read(tmp_path, np.zeros((4, 5), np.uint32 if kind is np.float32 else np.uint64), **elements)
    np.testing.assert_allclose(image.pixels[0].ravel()[1:], values.ravel()[1:], rtol=1e-6)
    assert image.pixels[0, 0, 0] == image.pixels.min() == values.ravel()[1].astype(np.float32)


def test_one_bit_pixels(tmp_path: Path) -> None:
    bits = np.array([[1, 0, 1, 0, 0, 1, 1, 1]] * 4, np.uint8)
    elements = {"BitsAllocated": 1, "BitsStored": 1, "HighBit": 0, "PixelData": np.packbits(bits.ravel(), bitorder="little").tobytes()}
    image = read(tmp_path, bits, **elements)
    assert image.intensity is Intensity.BINARY
    np.testing.assert_array_equal(image.pixels[0], bits)


def test_an_overlay_is_placed_and_kept_beside_the_pixels(tmp_path: Path) -> None:
    ds = drawn.dataset()
    drawing = np.ones((2, 2), bool)
    add_overlay(ds, drawing, origin=[3, 5])  # half of it lies outside
    ds.save_as(tmp_path / "o.dcm", enforce_file_format=True)
    image = formats.read(tmp_path / "o.dcm").image
    (overlay,) = image.overlays
    expected = np.zeros((4, 5), bool)
    expected[2:4, 4] = True
    np.testing.assert_array_equal(overlay.mask, expected)
    assert (overlay.label, overlay.kind) == ("LESION", "R")
    np.testing.assert_array_equal(image.pixels[0], drawn.RAMP)


def add_overlay(ds: Dataset, mask: np.ndarray, origin: list[int]) -> None:
    shape = mask.shape[-2:]
    data = np.packbits(mask.ravel(), bitorder="little").tobytes()
    for element, vr, value in (
        (0x0010, "US", shape[0]),
        (0x0011, "US", shape[1]),
        (0x0040, "CS", "R"),
        (0x0050, "SS", origin),
        (0x0100, "US", 1),
        (0x0102, "US", 0),
        (0x1500, "LO", "LESION"),
        (0x3000, "OW", data + b"\0" * (len(data) % 2)),
    ):
        ds.add_new((0x6000, element), vr, value)


def test_overlay_frames_follow_the_frames_kept(tmp_path: Path) -> None:
    ds = drawn.dataset(np.zeros((3, 4, 5), np.uint16))
    masks = np.zeros((2, 4, 5), bool)
    masks[0, 0, 0] = masks[1, 1, 1] = True
    add_overlay(ds, masks, origin=[1, 1])
    ds.add_new((0x6000, 0x0015), "IS", 2)
    ds.add_new((0x6000, 0x0051), "US", 2)  # the first plane belongs to the second frame
    ds.save_as(tmp_path / "o.dcm", enforce_file_format=True)
    (overlay,) = formats.read(tmp_path / "o.dcm", frames="all").image.overlays
    assert [np.argwhere(m).tolist() for m in overlay.mask] == [[], [[0, 0]], [[1, 1]]]


def test_an_overlay_in_unused_bits(tmp_path: Path) -> None:
    mask = np.eye(4, 5, dtype=bool)
    ds = drawn.dataset(drawn.RAMP | (mask.astype(np.uint16) << 14), BitsStored=12, HighBit=11)
    for element, vr, value in ((0x0010, "US", 4), (0x0011, "US", 5), (0x0040, "CS", "G"), (0x0050, "SS", [1, 1]), (0x0100, "US", 16), (0x0102, "US", 14)):
        ds.add_new((0x6000, element), vr, value)
    ds.save_as(tmp_path / "o.dcm", enforce_file_format=True)
    image = formats.read(tmp_path / "o.dcm").image
    np.testing.assert_array_equal(image.overlays[0].mask, mask)
    np.testing.assert_array_equal(image.pixels[0], drawn.RAMP)


def test_a_malformed_overlay_is_left_out(tmp_path: Path) -> None:
    ds = drawn.dataset()
    add_overlay(ds, np.ones((2, 2), bool), origin=[1, 1])
    ds[0x6000, 0x0010].value = 60_000
    ds.save_as(tmp_path / "o.dcm", enforce_file_format=True)
    assert formats.read(tmp_path / "o.dcm").image.overlays == ()


def test_the_marked_lesion_of_a_real_image() -> None:
    image = formats.read(str(get_testdata_file("examples_overlay.dcm", download=False))).image
    assert image.overlays[0].mask.shape == (300, 484)
    assert image.overlays[0].mask.any()


def palette(**elements: object) -> dict[str, object]:
    facts: dict[str, object] = {"PhotometricInterpretation": "PALETTE COLOR"}
    for colour in ("Red", "Green", "Blue"):
        facts[f"{colour}PaletteColorLookupTableDescriptor"] = [4, 0, 16]
        facts[f"{colour}PaletteColorLookupTableData"] = np.array([0, 0x1111, 0x8888, 0xFFFF], "<u2").tobytes()
    return {**facts, **elements}


INDICES = np.array([[0, 1, 2, 3, 9]] * 4, np.uint8)


def test_a_palette(tmp_path: Path) -> None:
    image = read(tmp_path, INDICES, **palette(BluePaletteColorLookupTableData=np.array([9, 9, 9, 9], "<u2").tobytes()))
    assert image.intensity is Intensity.COLOUR
    assert image.pixels[0, 0].tolist() == [[0, 0, 0], [0x11, 0x11, 0], [0x88, 0x88, 0], [255, 255, 0], [255, 255, 0]]


def test_a_16_bit_palette_that_holds_8_bits_is_not_black(tmp_path: Path) -> None:
    dim = np.array([0, 10, 20, 255], "<u2").tobytes()
    elements = {f"{c}PaletteColorLookupTableData": dim for c in ("Red", "Green", "Blue")}
    assert read(tmp_path, INDICES, **palette(**elements)).pixels[0, 0, :4, 0].tolist() == [0, 10, 20, 255]


@pytest.mark.parametrize(
    ("words", "why"),
    [
        ([0, 1, 5] + [1, 65535, 7] * 2000, "it expands beyond 65,536 entries"),
        ([0, 1, 5] + [2, 65535, 0, 0] * 100, "is not allowed here"),  # repeats itself
        ([1, 5, 5], "it begins with a linear segment"),
        ([7, 5, 5], "segment type 7 is not allowed here"),
        ([0, 1, 5, 1, 9], "index out of range"),
    ],
)
def test_segmented_palettes_cannot_explode(words: list[int], why: str, tmp_path: Path) -> None:
    elements: dict[str, object] = {f"{c}PaletteColorLookupTableData": None for c in ("Red", "Green", "Blue")}
    elements |= {f"Segmented{c}PaletteColorLookupTableData": np.array(words, "<u2").tobytes() for c in ("Red", "Green", "Blue")}
    with pytest.raises(UnreadableStudy, match=why):
        read(tmp_path, INDICES, **palette(**elements))


def test_a_segmented_palette_repeats_a_segment(tmp_path: Path) -> None:
    words = [0, 2, 0x1000, 0x2000, 2, 1, 0, 0]  # two entries, then the first segment again
    elements: dict[str, object] = {f"{c}PaletteColorLookupTableData": None for c in ("Red", "Green", "Blue")}
    elements |= {f"Segmented{c}PaletteColorLookupTableData": np.array(words, "<u2").tobytes() for c in ("Red", "Green", "Blue")}
    assert read(tmp_path, INDICES, **palette(**elements)).pixels[0, 0, :4, 0].tolist() == [0x10, 0x20, 0x10, 0x20]


def test_a_missing_palette_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UnreadableStudy, match="its descriptor is missing"):
        read(tmp_path, INDICES, PhotometricInterpretation="PALETTE COLOR")


def test_warnings_of_pydicom_go_to_our_debug_log(caplog: pytest.LogCaptureFixture, recwarn: pytest.WarningsRecorder) -> None:
    with caplog.at_level(logging.DEBUG):
        formats.read(str(get_testdata_file("MR_small_padded.dcm", download=False)))
    assert not recwarn.list
    ours = [r for r in caplog.records if r.name == "vesalius.formats"]
    assert any("bytes of excess padding" in r.getMessage() for r in ours)
    assert all(r.levelno == logging.DEBUG for r in ours)
    assert not [r for r in caplog.records if r.name.startswith("pydicom")]


def test_what_pydicom_logs_of_a_failure_goes_to_our_debug_log_and_all_is_put_back(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    logger = logging.getLogger("pydicom")
    before = (list(logger.handlers), logger.propagate)
    path = drawn.write(tmp_path / "x.dcm", syntax="1.2.840.10008.1.2.5", frames=[b"\2\0\0\0" + b"\7" * 68])
    with caplog.at_level(logging.DEBUG), pytest.raises(UnreadableStudy, match="cannot be decoded"):
        formats.read(path)
    assert [r.getMessage() for r in caplog.records if "pydicom.pixels.decoders" in r.getMessage()]
    assert {r.name for r in caplog.records} == {"vesalius.formats"}
    assert (list(logger.handlers), logger.propagate) == before


def test_other_threads_are_still_heard_while_a_file_is_read(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG), header.quiet():
        thread = threading.Thread(target=logging.getLogger("pydicom.other").warning, args=("from elsewhere",))
        thread.start()
        thread.join()
        logging.getLogger("pydicom.here").warning("from here")
    assert [(r.name, r.levelno) for r in caplog.records] == [("pydicom.other", logging.WARNING), ("vesalius.formats", logging.DEBUG)]


def test_malformed_values_are_unknown() -> None:
    ds = drawn.dataset(WindowCenter="1")
    ds["WindowCenter"]._value = "x"  # as a lenient parser leaves it
    assert header.number(ds, "WindowCenter") is None
    assert header.numbers(drawn.dataset(PixelSpacing=[1, 2]), "PixelSpacing", 3) is None
    assert header.items(drawn.dataset(), "PatientID") == []
