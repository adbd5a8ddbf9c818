import pytest
from hypothesis import given
from hypothesis import strategies as st

from vesalius.domain.finding import Region
from vesalius.errors import DataMissing, InvalidValue
from vesalius.instruct.build import boxes

_SIDE = st.integers(10, 4000)


@given(_SIDE, _SIDE, st.lists(st.tuples(*[st.floats(0, 1)] * 4), max_size=5))
def test_boxes_round_trip_to_half_a_thousandth_of_a_side(width, height, shares):
    made = []
    for a, b, c, d in shares:
        (x0, x1), (y0, y1) = sorted((a * width, b * width)), sorted((c * height, d * height))
        if (x1 - x0) / width > 0.002 and (y1 - y0) / height > 0.002:
            made.append(Region(x0, y0, x1, y1))
    again = boxes.read(boxes.write(made, width, height), width, height)
    assert len(again) == len(made)
    for first, second in zip(sorted(made, key=lambda r: (r.x0, r.y0, r.x1, r.y1)), again, strict=True):
        assert max(abs(first.x0 - second.x0), abs(first.x1 - second.x1)) <= 0.00051 * width
        assert max(abs(first.y0 - second.y0), abs(first.y1 - second.y1)) <= 0.00051 * height


def test_the_convention_is_shares_from_the_upper_left():
    assert boxes.write([Region(10, 40, 30, 100)], 100, 200) == "[0.100, 0.200, 0.300, 0.500]"
    assert boxes.write([], 100, 200) == "none"
    assert boxes.write([Region(60, 0, 70, 9), Region(5, 0, 9, 9)], 100, 10).startswith("[0.050")


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "None",
        "[0.1, 0.2, 0.3, 0.4]",
        "[0.100, 0.200, 0.300, 0.400] or so",
        "[0.300, 0.200, 0.100, 0.400]",
        "[0.100, 0.200, 1.300, 0.400]",
        "none none",
    ],
)
def test_what_is_no_box_is_refused(text):
    with pytest.raises(InvalidValue):
        boxes.read(text, 100, 100)


def test_boxes_over_the_edge_and_without_width_are_refused_and_cut():
    for region in (Region(0, 0, 101, 50), Region(10, 10, 10.01, 50)):
        with pytest.raises(InvalidValue):
            boxes.write([region], 100, 100)
    assert boxes.inside(Region(90, 0, 120, 50), 100, 100) == Region(90, 0, 100, 50)
    assert boxes.inside(Region(120, 0, 130, 50), 100, 100) is None


def test_a_file_that_is_no_picture_has_no_size(tmp_path):
    for name, content in (("empty", b""), ("text", b"drawn"), ("half", b"\xff\xd8\xff\xe0")):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(DataMissing, match=name):
            boxes.size(tmp_path / name)
    with pytest.raises(DataMissing):
        boxes.size(tmp_path / "absent")
