"""Properties of augmentation over random images, marks and policies: marks follow pixels, nothing is invented, the same draw is the same picture."""

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from vesalius.data.augment import OPERATIONS, Box, Lost, MedicalAugmentation, Point, Sample, Use, place
from vesalius.data.augment.place import Amounts, affine
from vesalius.data.corruptions.display import display_of
from vesalius.domain.finding import Region
from vesalius.domain.study import Image, Intensity, Modality, Window

GREY = Window(127.5, 255.0, "LINEAR_EXACT")
AMOUNTS = st.builds(
    Amounts,
    rotation=st.floats(-15, 15),
    scale=st.floats(0.9, 1.1),
    across=st.floats(-12, 12),
    down=st.floats(-12, 12),
    crop=st.floats(0, 0.2),
    x=st.floats(0, 1),
    y=st.floats(0, 1),
    mirror=st.booleans(),
)
KINDS = st.sampled_from(
    [
        (Modality.CR, Intensity.RELATIVE),
        (Modality.MR, Intensity.RELATIVE),
        (Modality.CT, Intensity.HOUNSFIELD),
        (Modality.OT, Intensity.RELATIVE),
        (Modality.XC, Intensity.COLOUR),
        (Modality.US, Intensity.COLOUR),
        (Modality.NM, Intensity.QUANTITATIVE),
    ]
)


@st.composite
def images(draw):
    modality, intensity = draw(KINDS)
    rows, cols, seed = draw(st.integers(1, 40)), draw(st.integers(1, 40)), draw(st.integers(0, 2**32 - 1))
    random = np.random.default_rng(seed)
    spacing = draw(st.none() | st.tuples(st.floats(0.1, 3), st.floats(0.1, 3)))
    facts = {"modality": modality, "intensity": intensity, "spacing": spacing}
    if intensity is Intensity.COLOUR:
        return Image(random.integers(0, 256, (1, rows, cols, 3), dtype=np.uint8), **facts)
    pixels = random.uniform(-1000, 1000, (1, rows, cols)) if intensity is Intensity.HOUNSFIELD else random.uniform(0, 255, (1, rows, cols))
    return Image(pixels.astype(np.float32), voi=draw(st.sampled_from([(), (GREY,), (Window(40, 400),)])), inverted=draw(st.booleans()), **facts)


@st.composite
def policies(draw):
    names = draw(st.sets(st.sampled_from(sorted(OPERATIONS))))
    uses = tuple(Use(name, draw(st.sampled_from([0.3, 1.0]))) for name in sorted(names))
    return MedicalAugmentation(uses, strength=draw(st.floats(0, 1)), lost=draw(st.sampled_from(Lost)))


@settings(max_examples=60, deadline=None, derandomize=True)
@given(AMOUNTS, st.tuples(st.integers(0, 150), st.integers(0, 150)), st.tuples(st.integers(40, 110), st.integers(40, 110)))
def test_a_box_is_what_a_brute_force_moved_mask_is_bounded_by(amounts, corner, size):
    """The mask is drawn three times as fine as the picture, and its visible part bounded."""
    side, fine = 260, 3
    (x0, y0), (w, h) = corner, size
    image = Image(np.zeros((1, side, side), np.float32), Intensity.RELATIVE, Modality.CR, voi=(GREY,))
    where = affine(image, amounts)
    boxes, fates = place.move_boxes(Sample(image, boxes=(Box("b", Region(x0, y0, x0 + w, y0 + h)),)), where, 0.3)
    centres = (np.arange(side * fine) + 0.5) / fine
    grid = np.stack(np.meshgrid(centres, centres), axis=-1).reshape(-1, 2)
    back = where.inverse()(grid)
    inside = ((back[:, 0] >= x0) & (back[:, 0] <= x0 + w) & (back[:, 1] >= y0) & (back[:, 1] <= y0 + h)).reshape(side * fine, -1)
    zoom = abs(where.a * where.e - where.b * where.d)
    share = inside.sum() / fine**2 / (w * h * zoom)
    assert (fates[0].visible if fates else 1.0) == pytest.approx(share, abs=0.02)
    if not boxes:
        assert share < 0.32
        return
    rows, cols = np.nonzero(inside.any(1))[0], np.nonzero(inside.any(0))[0]
    a = (cols[0] / fine, rows[0] / fine, (cols[-1] + 1) / fine, (rows[-1] + 1) / fine)
    r = boxes[0].region
    cut = max(0, min(a[2], r.x1) - max(a[0], r.x0)) * max(0, min(a[3], r.y1) - max(a[1], r.y0))
    assert cut / ((a[2] - a[0]) * (a[3] - a[1]) + r.area - cut) >= 0.97


@settings(max_examples=60, deadline=None, derandomize=True)
@given(AMOUNTS, st.tuples(st.floats(0.1, 3), st.floats(0.1, 3)) | st.none())
def test_a_map_then_its_inverse_is_where_one_was(amounts, spacing):
    image = Image(np.zeros((1, 50, 70), np.float32), Intensity.RELATIVE, Modality.CR, spacing=spacing)
    where = affine(image, amounts)
    points = np.array([(0.0, 0.0), (70.0, 0.0), (33.3, 41.9)])
    assert where.inverse()(where(points)) == pytest.approx(points, abs=1e-7)


@settings(max_examples=25, deadline=None, derandomize=True)
@given(st.floats(-15, 15))
def test_a_turn_and_its_opposite_restore_a_smooth_picture(degrees):
    y, x = np.mgrid[:80, :80]
    pixels = (127 + 60 * np.sin(x / 9) + 60 * np.cos(y / 11)).astype(np.float32)[None]
    image = Image(pixels, Intensity.RELATIVE, Modality.CR, voi=(GREY,))
    there = place.move_image(image, affine(image, Amounts(rotation=degrees)))
    back = place.move_image(there, affine(image, Amounts(rotation=-degrees)))
    assert np.abs(back.pixels - pixels)[0, 20:60, 20:60].max() < 1.0


@settings(max_examples=60, deadline=None, derandomize=True)
@given(images(), policies(), st.integers(0, 5), st.integers(0, 2**40), st.text(max_size=20))
def test_the_same_draw_is_the_same_picture_of_the_same_shape_and_type(image, policy, epoch, seed, item):
    sample = Sample(image, boxes=(Box("all", Region(0, 0, image.cols, image.rows)),), points=(Point("p", image.cols / 2, image.rows / 2),))
    first, again = (policy.apply(sample, item=item, epoch=epoch, seed=seed) for _ in range(2))
    assert np.array_equal(first.image.pixels, again.image.pixels)
    assert (first.boxes, first.points, first.record) == (again.boxes, again.points, again.record)
    assert (first.image.pixels.shape, first.image.pixels.dtype) == (image.pixels.shape, image.pixels.dtype)
    assert first.image.intensity is image.intensity
    assert np.isfinite(first.image.pixels).all()
    if policy.lost is Lost.AVOID:
        assert len(first.boxes) == len(first.points) == 1
    for box in first.boxes:
        assert 0 <= box.region.x0 < box.region.x1 <= image.cols
        assert 0 <= box.region.y0 < box.region.y1 <= image.rows


@settings(max_examples=40, deadline=None, derandomize=True)
@given(images(), st.integers(0, 1000))
def test_no_strength_is_the_picture_itself(image, seed):
    policy = MedicalAugmentation(tuple(Use(name, 1.0) for name in OPERATIONS), strength=0.0)
    assert policy.apply(Sample(image), item="x", epoch=0, seed=seed).image is image


@settings(max_examples=60, deadline=None, derandomize=True)
@given(images(), AMOUNTS)
@example(Image(np.array([[[[95, 130, 194], [217, 207, 235]]]], np.uint8), Intensity.COLOUR, Modality.XC), Amounts(scale=0.9375))
def test_movement_invents_no_values(image, amounts):
    moved = place.move_image(image, affine(image, amounts)).pixels
    black = 0.0 if image.is_colour else float(display_of(image).pixels(np.zeros(1))[0])
    outside = min(black, place.AIR) if image.intensity is Intensity.HOUNSFIELD else black
    assert moved.min() >= min(outside, float(image.pixels.min())) - 1e-2
    assert moved.max() <= max(outside, float(image.pixels.max())) + 1e-2
