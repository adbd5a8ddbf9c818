import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vesalius.errors import InvalidValue
from vesalius.metrics.temporal import Change, change_of, fit_margin, macro_accuracy, read_change, reversal

UP, SAME, DOWN = Change.WORSENING, Change.STABLE, Change.IMPROVING
CHANGES = st.sampled_from(list(Change))


def test_swapping_twice_is_nothing():
    assert [c.reversed() for c in (UP, SAME, DOWN)] == [DOWN, SAME, UP]
    assert all(c.reversed().reversed() is c for c in Change)


@pytest.mark.parametrize(
    ("text", "change"),
    [
        ("worsening", UP),
        ("The effusion has increased.", UP),
        ("Improved since the prior film", DOWN),
        ("resolving", DOWN),
        ("stable", SAME),
        ("There is no significant change.", SAME),
        ("Unchanged", SAME),
        ("It has not improved", None),
        ("no new consolidation", None),
        ("stable or worsening", None),
        ("better on the left, worse on the right", None),
        ("There is an effusion.", None),
        ("", None),
        ("renewed", None),
    ],
)
def test_reading_a_change(text, change):
    assert read_change(text) is change


def test_a_difference_beyond_the_margin_is_a_change():
    assert [change_of(v, 0.1) for v in (0.11, 0.1, 0.0, -0.1, -0.11, None)] == [UP, SAME, SAME, SAME, DOWN, None]
    with pytest.raises(InvalidValue):
        change_of(0.1, -0.1)


@given(st.floats(-1, 1), st.floats(0, 1))
def test_a_derived_change_always_turns_over(moved, margin):
    assert change_of(-moved, margin) is change_of(moved, margin).reversed()


def test_macro_accuracy_counts_classes_alike():
    gold = [UP] + [SAME] * 8 + [DOWN]
    assert macro_accuracy(gold, [SAME] * 10) == pytest.approx(1 / 3)
    assert macro_accuracy(gold, gold) == 1
    assert macro_accuracy([UP, UP], [UP, None]) == 0.5
    assert macro_accuracy([], []) is None
    with pytest.raises(InvalidValue):
        macro_accuracy(gold, [SAME])


def test_the_margin_that_parts_the_classes_is_found():
    moved = [0.5, 0.4, 0.05, -0.02, 0.0, -0.3, -0.6]
    gold = [UP, UP, SAME, SAME, SAME, DOWN, DOWN]
    margin = fit_margin(moved, gold)
    assert 0.05 < margin < 0.3
    assert [change_of(v, margin) for v in moved] == gold
    assert fit_margin([], []) is None
    assert fit_margin([0.2], [SAME]) == 0.2
    assert fit_margin([0.2], [UP]) == 0
    with pytest.raises(InvalidValue):
        fit_margin([np.nan], [UP])
    with pytest.raises(InvalidValue):
        fit_margin([0.1], [UP, UP])


@given(st.lists(st.tuples(st.floats(-1, 1, width=16), CHANGES), min_size=1, max_size=12))
@settings(max_examples=80, deadline=None)
def test_no_other_margin_does_better(items):
    moved, gold = [v for v, _ in items], [g for _, g in items]
    best = macro_accuracy(gold, [change_of(v, fit_margin(moved, gold)) for v in moved])
    assert all(macro_accuracy(gold, [change_of(v, t) for v in moved]) <= best + 1e-9 for t in np.linspace(0, 1, 41))


def test_reversal_by_hand():
    found = reversal([UP, DOWN, UP, SAME, SAME, UP, None], [DOWN, UP, UP, SAME, UP, None, UP])
    assert (found.n, found.unread, found.consistent) == (7, 2, 0.6)
    assert (found.changed, found.consistent_changed) == (3, pytest.approx(2 / 3))
    with pytest.raises(InvalidValue):
        reversal([UP], [])


def test_a_model_that_always_says_stable_is_consistent_and_that_says_nothing():
    found = reversal([SAME] * 3, [SAME] * 3)
    assert (found.consistent, found.changed, found.consistent_changed) == (1, 0, None)
    assert reversal([None], [UP]).consistent is None
