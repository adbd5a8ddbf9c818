"""`render` and the tables behind it, against hand-worked values of PS3.3 C.11.2."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vesalius.domain.study import Image, Intensity, LookupTable, Modality, Window
from vesalius.errors import InvalidValue
from vesalius.formats.pixels import look_up, render, robust_window, to_rgb


def image(values: object, *voi: Window | LookupTable, intensity: Intensity = Intensity.RELATIVE, **facts: object) -> Image:
    array = np.array(values, np.uint8 if intensity is Intensity.COLOUR else np.float32)
    return Image(array[None] if intensity is Intensity.COLOUR else array.reshape(1, 1, -1), intensity, Modality.MR, voi=voi, **facts)  # type: ignore[arg-type]


def test_linear_is_the_standards_formula() -> None:
    # C.11.2.1.2.1, note: centre 2048, width 4096 maps 0..4095 to the whole range
    assert render(image([-5, 0, 2047.5, 4095, 9000], Window(2048, 4096))).tolist() == [[0, 0, 128, 255, 255]]


def test_linear_of_width_one_is_a_threshold() -> None:
    assert render(image([99, 99.5, 99.6, 100], Window(100, 1))).tolist() == [[0, 0, 255, 255]]


def test_linear_exact_and_sigmoid() -> None:
    assert render(image([0, 64, 127.5, 255], Window(127.5, 255, "LINEAR_EXACT"))).tolist() == [[0, 64, 128, 255]]
    assert render(image([-1e9, 50, 1e9], Window(50, 10, "SIGMOID"))).tolist() == [[0, 128, 255]]


def test_a_table_clips_at_its_ends() -> None:
    table = LookupTable(10, np.array([0, 100, 255], np.uint16), 8)
    assert render(image([-5, 10, 11, 12, 99], table)).tolist() == [[0, 0, 100, 255, 255]]
    assert look_up(np.array([10.6]), table).tolist() == [100]


def test_monochrome1_is_shown_inverted_by_every_way() -> None:
    for voi in (Window(2048, 4096), LookupTable(0, np.array([0, 255], np.uint16), 8), None):
        facts = (voi,) if voi else ()
        plain, turned = render(image([0, 1, 4095], *facts)), render(image([0, 1, 4095], *facts, inverted=True))
        assert (plain.astype(int) + turned).tolist() == [[255, 255, 255]]


def test_several_windows_are_chosen_by_number_or_given() -> None:
    both = image([0, 50, 100], Window(50, 101), Window(0, 101))
    assert render(both, voi=0)[0, 1] == 129
    assert render(both, voi=1)[0, 1] == 255
    assert render(both, voi=Window(101, 101))[0, 1] == 0
    for index in (2, -1):
        with pytest.raises(InvalidValue, match="does not exist: the image has 2"):
            render(both, voi=index)
    with pytest.raises(InvalidValue, match="frame 1 does not exist"):
        render(both, frame=1)


def test_without_a_window_percentiles_leave_padding_out() -> None:
    values = np.concatenate([np.full(900, -2000.0), np.linspace(0, 100, 1000)])
    shown = render(image(values, pad=-2000.0))[0]
    assert shown[:900].max() == 0
    assert shown[900] == 0
    assert shown[1400] in (127, 128)
    assert render(image(values))[0, 1400] > 240  # with the padding counted the tissue is washed out


def test_outliers_do_not_darken_the_rest() -> None:
    values = np.append(np.linspace(0, 100, 10_000), 60_000)
    assert 120 < render(image(values))[0, 5000] < 135


def test_a_small_bright_object_is_seen() -> None:
    values = np.zeros(10_000)
    values[:3] = 7
    assert render(image(values))[0, :4].tolist() == [255, 255, 255, 0]


def test_a_constant_image_is_black_and_all_padding_too() -> None:
    assert not render(image([5, 5, 5])).any()
    assert not render(image([5, 5, 5], pad=5.0)).any()
    assert robust_window(np.array([3.0])) is None


def test_binary_and_colour_need_no_window() -> None:
    assert render(image([0, 1], intensity=Intensity.BINARY)).tolist() == [[0, 255]]
    colour = image([[[1, 2, 3]]], intensity=Intensity.COLOUR)
    shown = render(colour)
    assert shown.tolist() == [[[1, 2, 3]]]
    shown[0, 0, 0] = 9  # a copy: the image stays as it is
    assert colour.pixels[0, 0, 0, 0] == 1


def test_deep_colour_keeps_its_high_bits() -> None:
    assert to_rgb(np.array([0, 255, 256, 65535], np.uint16), 16).tolist() == [0, 0, 1, 255]
    assert to_rgb(np.array([7], np.uint8), 8).tolist() == [7]


@given(
    st.lists(st.floats(-4000, 4000, width=32), min_size=2, max_size=30),
    st.floats(-3000, 3000),
    st.floats(1, 5000),
    st.sampled_from(["LINEAR", "LINEAR_EXACT", "SIGMOID"]),
)
def test_every_window_keeps_the_order_of_values(values: list[float], center: float, width: float, function: str) -> None:
    shown = render(image(sorted(values), Window(center, width, function)))[0].astype(int)
    assert (np.diff(shown) >= 0).all()
