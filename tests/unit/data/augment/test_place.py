"""Where pixels, marks and header facts go: exactly where the map says, clipped and dropped as stated."""

import dataclasses

import numpy as np
import pytest

from vesalius.data.augment import place
from vesalius.data.augment.place import Affine, Amounts, affine, corners_of
from vesalius.data.augment.sample import Box, Point, Sample
from vesalius.domain.finding import Region
from vesalius.domain.study import Image, Intensity, Modality, Overlay, Window

GREY = Window(127.5, 255.0, "LINEAR_EXACT")


def picture(pixels, **more):
    facts = {"intensity": Intensity.RELATIVE, "modality": Modality.CT, "voi": (GREY,)} | more
    return Image(np.asarray(pixels, np.float32)[None], **facts)


def blank(rows=60, cols=80, **more):
    return picture(np.zeros((rows, cols)), **more)


def spot(rows=61, cols=61, at=(30, 30)):
    y, x = np.mgrid[:rows, :cols]
    return 200 * np.exp(-((y - at[0]) ** 2 + (x - at[1]) ** 2) / 8.0)


def middle(image):
    shown = image.pixels[0].astype(float)
    y, x = np.mgrid[: shown.shape[0], : shown.shape[1]]
    return (shown * (x + 0.5)).sum() / shown.sum(), (shown * (y + 0.5)).sum() / shown.sum()


def test_a_quarter_turn_to_the_left_puts_the_right_border_on_top():
    pixels = np.zeros((9, 9))
    pixels[4, 8] = 100
    turned = place.move_image(picture(pixels), affine(picture(pixels), Amounts(rotation=90)))
    assert np.unravel_index(turned.pixels[0].argmax(), (9, 9)) == (0, 4)


@pytest.mark.parametrize(
    "amounts", [Amounts(rotation=17), Amounts(scale=1.2), Amounts(across=5, down=-3), Amounts(crop=0.2, x=0.3, y=0.6), Amounts(mirror=True)]
)
def test_pixels_and_points_go_to_the_same_place(amounts):
    image = picture(spot(at=(35, 24)))
    where = affine(image, amounts)
    moved = place.move_image(image, where)
    assert middle(moved) == pytest.approx(where(np.array([(24.5, 35.5)]))[0], abs=0.05)


def test_a_map_and_its_inverse_are_nothing():
    where = affine(blank(), Amounts(rotation=33, scale=1.3, across=4, down=-7, crop=0.1, x=0.2, y=0.9))
    points = np.random.default_rng(0).uniform(0, 80, (20, 2))
    assert where.then(where.inverse())(points) == pytest.approx(points, abs=1e-9)
    assert where.inverse()(where(points)) == pytest.approx(points, abs=1e-9)


def test_nothing_moves_nothing():
    assert affine(blank(), Amounts()) == Affine()
    assert Amounts().nothing
    assert Amounts(rotation=4, scale=1.1, across=3, crop=0.1).lessened(0).nothing


def test_a_circle_in_millimetres_stays_a_circle_where_pixels_are_oblong():
    image = blank(101, 101, spacing=(2.0, 1.0))
    angles = np.linspace(0, 2 * np.pi, 40)
    circle = np.stack([50.5 + 20 * np.cos(angles), 50.5 + 10 * np.sin(angles)], axis=1)  # 20 mm
    turned = affine(image, Amounts(rotation=30))(circle)
    radius = np.hypot((turned[:, 0] - 50.5) * 1.0, (turned[:, 1] - 50.5) * 2.0)
    assert radius == pytest.approx(20)


def test_millimetres_between_two_places_stay_whatever_is_done():
    image = blank(spacing=(0.7, 0.5), orientation=(1, 0, 0, 0, 1, 0), position=(1, 2, 3))
    for amounts in (Amounts(rotation=9), Amounts(scale=1.1), Amounts(crop=0.2, x=0.1, y=0.9), Amounts(rotation=-6, scale=0.9, across=3, down=2, crop=0.1)):
        where = affine(image, amounts)
        moved = place.move_image(image, where)
        ends = np.array([(20.0, 15.0), (60.0, 40.0)])
        before, after = np.diff(ends, axis=0)[0], np.diff(where(ends), axis=0)[0]
        assert np.hypot(after[0] * moved.spacing[1], after[1] * moved.spacing[0]) == pytest.approx(np.hypot(before[0] * 0.5, before[1] * 0.7))


def test_a_pixel_keeps_its_place_in_the_patient():
    image = blank(spacing=(0.7, 0.5), orientation=(0, 1, 0, 0, 0, -1), position=(10.0, 20.0, 30.0))

    def in_patient(picture, point):
        row, column = np.array(picture.orientation[:3]), np.array(picture.orientation[3:])
        return np.array(picture.position) + row * (point[0] - 0.5) * picture.spacing[1] + column * (point[1] - 0.5) * picture.spacing[0]

    where = affine(image, Amounts(rotation=8, scale=1.07, across=2, down=-3, crop=0.1, x=0.4, y=0.2))
    moved = place.move_image(image, where)
    for point in ((0.5, 0.5), (33.0, 21.0)):
        assert in_patient(moved, where(np.array([point]))[0]) == pytest.approx(in_patient(image, point))
    row, column = moved.orientation[:3], moved.orientation[3:]
    assert np.dot(row, column) == pytest.approx(0, abs=1e-12)
    assert np.linalg.norm(row) == pytest.approx(1)


def test_a_mirrored_body_has_no_place_in_the_patient():
    image = blank(spacing=(1, 1), orientation=(1, 0, 0, 0, 1, 0), position=(0, 0, 0), uid="1.2")
    moved = place.move_image(image, affine(image, Amounts(mirror=True)))
    assert (moved.orientation, moved.position, moved.uid, moved.spacing) == (None, None, None, (1, 1))


def test_a_mirror_exchanges_left_and_right_exactly():
    pixels = np.random.default_rng(0).uniform(0, 255, (12, 17)).astype(np.float32)
    moved = place.move_image(picture(pixels), affine(picture(pixels), Amounts(mirror=True)))
    assert moved.pixels[0] == pytest.approx(pixels[:, ::-1], abs=1e-3)


def test_a_box_is_the_bounds_of_its_turned_corners():
    image = blank(100, 100)
    sample = Sample(image, boxes=(Box("a", Region(40, 30, 60, 50)),))
    boxes, fates = place.move_boxes(sample, affine(image, Amounts(rotation=45)), 0.5)
    half = 10 * np.sqrt(2)
    # its middle (50, 40) lies 10 above the picture's, and goes to the left
    x, y = 50 - 10 * np.sin(np.pi / 4), 50 - 10 * np.cos(np.pi / 4)
    r = boxes[0].region
    assert (r.x0, r.y0, r.x1, r.y1) == pytest.approx((x - half, y - half, x + half, y + half))
    assert not fates


def test_a_box_at_the_border_is_clipped_or_dropped_and_told():
    image = blank(100, 100)
    sample = Sample(image, boxes=(Box("stays", Region(50, 50, 60, 60)), Box("half", Region(0, 10, 20, 30)), Box("gone", Region(0, 60, 4, 64))))
    boxes, fates = place.move_boxes(sample, affine(image, Amounts(across=-10)), 0.5)
    assert [b.name for b in boxes] == ["stays", "half"]
    assert boxes[1].region == Region(0, 10, 10, 30)
    assert [(f.name, f.kept) for f in fates] == [("half", True), ("gone", False)]
    assert fates[0].visible == pytest.approx(0.5)
    assert [b.name for b in place.move_boxes(sample, affine(image, Amounts(across=-10)), 0.51)[0]] == ["stays"]


def test_a_turned_box_at_the_border_is_bounded_by_what_is_seen_of_it():
    image = blank(100, 100)
    where = affine(image, Amounts(rotation=20))
    sample = Sample(image, boxes=(Box("a", Region(60, 2, 98, 30)),))
    cut, share = place.seen(where(corners_of(60, 2, 98, 30)), 100, 100)
    (box,), (fate,) = place.move_boxes(sample, where, 0.1)
    fine = np.random.default_rng(0).uniform((60, 2), (98, 30), (200_000, 2))
    inside = where(fine)
    inside = inside[((inside >= 0) & (inside <= 100)).all(1)]
    assert share == fate.visible == pytest.approx(len(inside) / 200_000, abs=0.005)
    bounds = (*inside.min(0), *inside.max(0))
    assert (box.region.x0, box.region.y0, box.region.x1, box.region.y1) == pytest.approx(bounds, abs=0.5)
    assert len(cut) >= 4


def test_a_point_outside_is_dropped_and_told():
    image = blank(100, 100)
    sample = Sample(image, points=(Point("in", 50, 50), Point("out", 2, 50)))
    points, fates = place.move_points(sample, affine(image, Amounts(across=-10)))
    assert points == (Point("in", 40, 50),)
    assert [(f.kind, f.name, f.visible, f.kept) for f in fates] == [("point", "out", 0.0, False)]


def test_a_mask_moves_with_its_pixels_and_an_empty_one_stays():
    image = blank(100, 100)
    mask = np.zeros((100, 100), bool)
    mask[20:40, 30:50] = True
    sample = Sample(image, masks={"organ": mask, "none": np.zeros((100, 100), bool)})
    masks, fates = place.move_masks(sample, affine(image, Amounts(across=10, down=5)), 0.5)
    assert np.array_equal(masks["organ"], np.roll(mask, (5, 10), (0, 1)))
    assert not masks["none"].any()
    assert not fates
    masks, fates = place.move_masks(sample, affine(image, Amounts(across=-45)), 0.5)
    assert "organ" not in masks
    assert [(f.name, f.visible, f.kept) for f in fates] == [("organ", 0.25, False)]


def test_graphics_of_the_header_move_too():
    mask = np.zeros((30, 30), bool)
    mask[10:14, 3:9] = True
    image = blank(30, 30, overlays=(Overlay(mask), Overlay(np.stack([mask]), kind="R")))
    moved = place.move_image(image, affine(image, Amounts(across=4)))
    assert np.array_equal(moved.overlays[0].mask, np.roll(mask, 4, 1))
    assert np.array_equal(moved.overlays[1].mask[0], np.roll(mask, 4, 1))


@pytest.mark.parametrize(
    ("facts", "outside"),
    [
        ({}, 0.0),
        ({"inverted": True}, 255.0),  # high is shown black
        ({"intensity": Intensity.HOUNSFIELD, "voi": (Window(40, 80),)}, -1000.0),
        ({"pad": -2000.0, "intensity": Intensity.HOUNSFIELD}, -2000.0),
        ({"modality": Modality.CR, "voi": ()}, 50.0),
    ],
)
def test_what_comes_into_view_is_padding_or_air_or_black(facts, outside):
    pixels = np.full((20, 20), 100.0)
    pixels[:10] = 50.0
    moved = place.move_image(picture(pixels, **facts), affine(blank(20, 20), Amounts(across=5)))
    assert moved.pixels[0, 15, :5] == pytest.approx(np.full(5, outside), abs=1)
    assert moved.pixels[0, 15, 5:] == pytest.approx(np.full(15, 100.0))


def test_padding_is_never_mixed_with_measurements():
    pixels = np.full((40, 40), 30.0)
    pixels[:, :10] = -2000
    image = picture(pixels, pad=-2000.0, intensity=Intensity.HOUNSFIELD)
    moved = place.move_image(image, affine(image, Amounts(rotation=10)))
    assert set(np.unique(moved.pixels < -1000.5)) == {False, True}
    assert (moved.pixels[moved.pixels < -1000.5] == -2000).all()
    # at its edge a body is half air at most; mixed with padding it would be -985
    assert moved.pixels[moved.pixels != -2000].min() > -600


def test_bicubic_never_leaves_the_old_range():
    pixels = np.random.default_rng(1).choice([0.0, 255.0], (50, 50))
    moved = place.move_image(picture(pixels), affine(blank(50, 50), Amounts(rotation=7, scale=1.05)))
    assert moved.pixels.min() >= 0
    assert moved.pixels.max() <= 255


def test_a_binary_image_stays_binary_and_colour_stays_colour():
    bits = picture(np.random.default_rng(1).integers(0, 2, (30, 30)), intensity=Intensity.BINARY, modality=Modality.SEG)
    assert set(np.unique(place.move_image(bits, affine(bits, Amounts(rotation=20))).pixels)) == {0.0, 1.0}
    rgb = Image(np.random.default_rng(1).integers(0, 256, (2, 30, 40, 3), dtype=np.uint8), Intensity.COLOUR, Modality.XC)
    moved = place.move_image(rgb, affine(rgb, Amounts(mirror=True)))
    assert moved.pixels.dtype == np.uint8
    assert np.array_equal(moved.pixels, rgb.pixels[:, :, ::-1])


def test_frames_move_alike():
    pixels = np.stack([spot(), spot() * 0.5]).astype(np.float32)
    image = dataclasses.replace(picture(spot()), pixels=pixels)
    moved = place.move_image(image, affine(image, Amounts(rotation=15)))
    assert moved.pixels[1] == pytest.approx(moved.pixels[0] * 0.5, abs=1e-3)


def test_a_single_pixel_can_be_moved():
    image = blank(1, 1)
    assert place.move_image(image, affine(image, Amounts(rotation=9, scale=0.9, crop=0.1))).pixels.shape == (1, 1, 1)
