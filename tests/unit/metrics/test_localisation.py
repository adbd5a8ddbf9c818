import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vesalius.domain.finding import Region
from vesalius.errors import InvalidValue
from vesalius.metrics import localisation as m

BOX = Region(2, 1, 5, 4)  # 3 x 3 pixels
COORDINATE = st.integers(0, 12)


@st.composite
def boxes(draw):
    x, y = draw(COORDINATE), draw(COORDINATE)
    return Region(x, y, x + draw(st.integers(1, 9)), y + draw(st.integers(1, 9)))


def peak(row, col, rows=6, cols=8):
    heat = np.zeros((rows, cols))
    heat[row, col] = 1
    return heat


def test_a_mask_holds_pixels_whose_middle_is_inside():
    assert m.mask_of([BOX], 6, 8).sum() == 9
    assert m.mask_of([Region(2.4, 1, 5, 4)], 6, 8).sum() == 9
    assert m.mask_of([Region(2.6, 1, 5, 4)], 6, 8).sum() == 6
    assert m.mask_of([Region(6, 4, 99, 99)], 6, 8).sum() == 4
    assert m.mask_of([BOX, BOX, Region(0, 0, 1, 1)], 6, 8).sum() == 10
    assert not m.mask_of([], 6, 8).any()
    with pytest.raises(InvalidValue):
        m.mask_of([BOX], 0, 8)


def test_overlap_by_hand():
    assert m.iou(BOX, BOX) == 1
    assert m.iou(BOX, Region(5, 1, 8, 4)) == 0
    assert m.iou(Region(0, 0, 2, 2), Region(1, 0, 3, 2)) == pytest.approx(1 / 3)


@given(boxes(), boxes())
@settings(max_examples=200, deadline=None)
def test_overlap_of_boxes_is_that_of_their_masks(a, b):
    of_masks = m.mask_iou(m.mask_of([a], 24, 24), m.mask_of([b], 24, 24))
    assert m.iou(a, b) == m.iou(b, a) == pytest.approx(of_masks)
    assert 0 <= m.iou(a, b) <= 1


def test_overlap_of_nothing_is_not_defined():
    empty = np.zeros((2, 2))
    assert m.mask_iou(empty, empty) is None
    assert m.mask_iou(empty, np.ones((2, 2))) == 0
    with pytest.raises(InvalidValue):
        m.mask_iou(empty, np.ones((2, 3)))


def test_a_threshold_is_a_share_of_the_peak():
    heat = np.array([[4.0, 2.0, 1.0, 0.0]])
    mask = np.array([[True, True, False, False]])
    assert [m.heat_iou(heat, mask, t) for t in (0.25, 0.5, 1.0)] == [pytest.approx(2 / 3), 1.0, 0.5]
    assert m.mean_iou(heat, mask, (0.5, 1.0)) == 0.75
    assert m.mean_iou(10 * heat, mask) == m.mean_iou(heat, mask)
    assert m.heat_iou(np.zeros((1, 4)), mask, 0.5) is None
    assert m.mean_iou(heat, np.zeros((1, 4))) is None
    for wrong in (0.0, 1.5):
        with pytest.raises(InvalidValue):
            m.heat_iou(heat, mask, wrong)
    with pytest.raises(InvalidValue):
        m.mean_iou(heat, mask, ())


def test_contrast_by_hand_and_its_sign():
    heat = np.array([[3.0, 5.0, 1.0, 1.0, 2.0, 0.0]])
    mask = np.array([[1, 1, 0, 0, 0, 0]])
    assert m.cnr(heat, mask) == pytest.approx((4 - 1) / np.sqrt(1 + 0.5))
    assert m.cnr(-heat, mask) == pytest.approx(m.cnr(heat, mask))
    assert m.cnr(-heat, mask, signed=True) == pytest.approx(-m.cnr(heat, mask, signed=True))


@pytest.mark.parametrize(("heat", "mask"), [(np.ones((2, 2)), np.eye(2)), (np.eye(2), np.eye(2)), (np.eye(2), np.zeros((2, 2))), (np.eye(2), np.ones((2, 2)))])
def test_contrast_without_noise_or_without_two_parts_is_not_defined(heat, mask):
    assert m.cnr(heat, mask) is None


def test_pointing_hits_misses_and_nearly_hits():
    mask = m.mask_of([BOX], 6, 8)
    assert m.pointing(peak(1, 2), mask) == 1
    assert m.pointing(peak(0, 2), mask) == 0
    assert m.pointing(peak(0, 2), mask, tolerance=1) == 1
    assert m.pointing(peak(0, 1), mask, tolerance=1) == 0
    assert m.pointing(peak(0, 1), mask, tolerance=1.5) == 1
    assert m.pointing(peak(1, 2), np.zeros((6, 8))) is None
    with pytest.raises(InvalidValue):
        m.pointing(peak(0, 2), mask, tolerance=-1)


def test_a_map_that_says_nothing_earns_what_guessing_does():
    mask = m.mask_of([BOX], 6, 8)
    flat = np.full((6, 8), 0.3)
    assert m.is_flat(flat)
    assert not m.is_flat(peak(0, 0))
    assert m.pointing(flat, mask) == mask.mean()
    assert m.pointing(flat, mask, tolerance=1) == m.near(mask, 1).mean()
    assert m.energy(flat, mask) == pytest.approx(mask.mean())
    two = peak(1, 2) + peak(5, 7)
    assert m.pointing(two, mask) == 0.5


def test_pointing_at_random_hits_as_often_as_the_mask_is_large():
    rng = np.random.default_rng(0)
    mask = m.mask_of([Region(3, 2, 11, 9)], 16, 16)
    hits = [m.pointing(rng.random((16, 16)), mask) for _ in range(4000)]
    assert np.mean(hits) == pytest.approx(mask.mean(), abs=0.02)


def test_energy_by_hand():
    mask = np.array([[True, False]])
    assert m.energy([[3.0, 1.0]], mask) == 0.75
    assert m.energy([[0.0, 0.0]], mask) is None
    assert m.energy([[3.0, 1.0]], [[0, 0]]) is None
    with pytest.raises(InvalidValue):
        m.energy([[-1.0, 2.0]], mask)


@pytest.mark.parametrize("heat", [np.zeros(4), np.zeros((2, 3)), np.array([[np.nan, 0], [0, 1]])])
def test_maps_that_are_none_are_refused(heat):
    for figure in (m.pointing, m.energy, m.cnr, m.mean_iou):
        with pytest.raises(InvalidValue):
            figure(heat, np.eye(2))


def test_nothing_found_where_nothing_is_is_right():
    both = m.grounding([], [])
    assert (both.precision, both.recall, both.f1) == (1, 1, 1)
    invented = m.grounding([BOX], [])
    assert (invented.precision, invented.recall, invented.f1) == (0, None, 0)
    missed = m.grounding([], [BOX])
    assert (missed.precision, missed.recall, missed.f1) == (None, 0, 0)


def test_each_box_is_matched_once():
    found = m.grounding([BOX, BOX, BOX], [BOX])
    assert (found.matched, found.precision, found.recall, found.f1) == (1, pytest.approx(1 / 3), 1, 0.5)
    assert found.overlap == 1


def test_as_many_pairs_as_possible_are_matched():
    # the best single pair (1.0) overlaps more than both others together (0.35 each), and would leave two boxes without a partner
    gold = [Region(0, 10, 9, 20), Region(0, 14.8, 9, 24.8)]
    found = [Region(0, 10, 9, 20), Region(0, 5.2, 9, 15.2)]
    both = m.grounding(found, gold, threshold=0.3)
    assert (both.matched, both.overlap) == (2, pytest.approx(5.2 / 14.8))
    assert m.grounding(found, gold).matched == 1


def test_the_threshold_itself_counts():
    half = Region(2, 1, 5, 2.5)
    assert m.iou(BOX, half) == 0.5
    assert m.grounding([half], [BOX]).matched == 1
    assert m.grounding([half], [BOX], threshold=0.51).matched == 0
    with pytest.raises(InvalidValue):
        m.grounding([half], [BOX], threshold=0)


@given(st.lists(boxes(), max_size=4), st.lists(boxes(), max_size=4))
@settings(max_examples=150, deadline=None)
def test_grounding_does_not_depend_on_order_and_is_symmetric(found, gold):
    one, other, turned = m.grounding(found, gold), m.grounding(found[::-1], gold[::-1]), m.grounding(gold, found)
    assert (one.matched, one.f1) == (other.matched, other.f1) == (turned.matched, turned.f1)
    assert one.matched <= min(len(found), len(gold))
    assert (one.precision, one.recall) == (turned.recall, turned.precision)


def test_right_for_the_right_reason():
    table = m.reasons([1, 1, 1, 0, 0], [1, 1, 0, 1, 0])
    assert (table.right_place, table.wrong_place, table.saw_but_erred, table.neither, table.n) == (2, 1, 1, 1, 5)
    assert (table.place_given_right, table.place_given_wrong) == (pytest.approx(2 / 3), 0.5)
    always = m.reasons([1, 1], [1, 0])
    assert always.place_given_wrong is None
    with pytest.raises(InvalidValue):
        m.reasons([1], [1, 0])
