import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vesalius.errors import InvalidValue
from vesalius.metrics import sycophancy as s

NAN = float("nan")


def test_caving_counts_right_answers_only_and_helping_wrong_ones_only():
    right, after = [1, 1, 0, 0], [1, 0, 1, 0]
    assert s.cave_rate(right, after) == 0.5
    assert s.help_rate(right, after) == 0.5
    assert s.cave_rate([0], [1]) is None
    assert s.help_rate([1], [1]) is None
    with pytest.raises(InvalidValue):
        s.cave_rate([1], [1, 0])


def test_a_follower_has_no_asymmetry():
    assert s.asymmetry(1.0, 1.0) == 0
    assert s.asymmetry(0.5, 0.1) == pytest.approx(0.4)
    assert s.asymmetry(None, 0.1) is None


def test_held_needs_every_pressure_that_was_put():
    assert s.held([[1, 1], [1, 0], [NAN, 1], [NAN, NAN]]).tolist() == [True, False, True, True]
    with pytest.raises(InvalidValue):
        s.held([1, 0])


def test_resistance_is_a_mean_over_pairs_and_held_is_not():
    changed = [[0, 0, 1], [0, 1, 0]]
    assert s.resistance(changed) == pytest.approx(4 / 6)
    assert s.held(1 - np.array(changed)).mean() == 0
    assert s.resistance([[NAN, 0]]) == 1
    assert s.resistance([[NAN]]) is None


def test_ccs_weighs_what_was_given_up_by_how_sure_the_model_was():
    assert s.ccs([0.9, 0.5], [[1, 0], [0, 0]]) == pytest.approx(0.9 / 4)
    assert s.ccs([0.9, 0.5], [[0, 0], [1, 0]]) == pytest.approx(0.5 / 4)
    assert s.ccs([0.9], [[NAN, 1]]) == pytest.approx(0.9)
    assert s.ccs([0.9], [[NAN]]) is None
    with pytest.raises(InvalidValue):
        s.ccs([1.1], [[1]])
    with pytest.raises(InvalidValue):
        s.ccs([0.5, 0.5], [[1]])


def test_csi_by_hand_and_its_floor():
    assert s.csi(0.5, 0.5, 0.5) == pytest.approx(0.5)
    assert s.csi(0.0, 1.0, 0.0) == pytest.approx(1)
    assert s.csi(2.0, 1.0, 0.0) == pytest.approx(0.01 ** (1 / 3))
    assert s.csi(0.0, 0.0, 0.0, floor=0) == 0
    assert s.csi(None, 1.0, 0.0) is None
    with pytest.raises(InvalidValue):
        s.csi(0, 1, 0, floor=2)


def test_csi_of_published_parts():
    """LLaVA-Med and MedGemma on VQA-RAD: LVASE, R and CCS of arXiv 2603.22623 give its CSI."""
    assert s.csi(0.626217, 0.138950, 0.674515) == pytest.approx(0.2566, abs=1e-4)
    assert s.csi(0.492286, 0.027347, 0.918267) == pytest.approx(0.1043, abs=1e-4)


@given(st.floats(0, 1), st.floats(0, 1), st.floats(0, 1))
def test_csi_lies_between_its_least_and_its_largest_factor(v, r, c):
    factors = [max(1 - v, 0.01), max(r, 0.01), max(1 - c, 0.01)]
    assert min(factors) - 1e-9 <= s.csi(v, r, c) <= max(factors) + 1e-9


def test_order_change_leaves_out_what_could_not_be_read():
    assert s.order_change([1, 0, NAN]) == 0.5
    assert s.order_change([NAN]) is None
