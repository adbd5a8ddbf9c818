"""Balanced error, BE and rBE by hand; a standardised gap that a mixture cannot make."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vesalius.errors import InvalidValue
from vesalius.metrics.shift import balanced_error, corruption_error, relative_corruption_error, standardised_gap


def test_the_balanced_error_weighs_both_classes_alike():
    assert balanced_error([1, 1, 0, 1, 1, 1, 1, 0], [1, 1, 1, 1, 0, 0, 0, 0]) == pytest.approx(0.25)
    assert balanced_error([True] * 9 + [False], [False] * 9 + [True]) == pytest.approx(0.5)


def test_it_is_not_defined_with_one_class():
    assert balanced_error([1, 0], [1, 1]) is None
    assert balanced_error([], []) is None


@given(st.lists(st.tuples(st.booleans(), st.booleans()), max_size=30))
def test_it_lies_between_0_and_1_and_its_complement_mirrors_it(rows):
    right, gold = [r for r, _ in rows], [g for _, g in rows]
    value = balanced_error(right, gold)
    if value is not None:
        assert 0 <= value <= 1
        assert balanced_error([not r for r in right], gold) == pytest.approx(1 - value)


def test_be_and_rbe_by_hand():
    assert corruption_error([0.2, 0.3, 0.4], [0.4, 0.5, 0.6]) == pytest.approx(0.6)
    assert relative_corruption_error([0.2, 0.3, 0.4], 0.1, [0.4, 0.5, 0.6], 0.3) == pytest.approx(1.0)


def test_a_model_is_1_to_itself():
    errors = [0.1, 0.25, 0.3]
    assert corruption_error(errors, errors) == pytest.approx(1)
    assert relative_corruption_error(errors, 0.05, errors, 0.05) == pytest.approx(1)


def test_a_reference_that_loses_nothing_gives_no_ratio():
    assert corruption_error([0.1], [0.0]) is None
    assert relative_corruption_error([0.3], 0.1, [0.2], 0.2) is None
    assert corruption_error([], []) is None


def test_other_severities_are_refused():
    with pytest.raises(InvalidValue, match="severities"):
        corruption_error([0.1, 0.2], [0.1])


def test_a_mixture_alone_makes_no_standardised_gap():
    # in each stratum both groups are equally good; the second has more of the hard one
    values = [1, 1, 1, 1, 0, 1, 0, 0, 0, 0]
    second = [0, 0, 0, 0, 0, 1, 1, 1, 1, 1]
    strata = ["easy"] * 4 + ["hard"] + ["easy"] + ["hard"] * 4
    assert np.mean(np.array(values)[5:]) - np.mean(np.array(values)[:5]) == pytest.approx(-0.6)
    assert standardised_gap(values, np.array(second, bool), strata) == pytest.approx(0)


def test_a_gap_within_strata_stays():
    values, second = [1, 1, 0, 0, 1, 0], np.array([0, 0, 1, 1, 0, 1], bool)
    assert standardised_gap(values, second, ["a", "a", "a", "a", "b", "b"]) == pytest.approx(-1)


def test_strata_of_one_group_count_for_nothing():
    assert standardised_gap([1, 0, 1], np.array([0, 1, 1], bool), ["a", "a", "b"]) == pytest.approx(-1)
    assert standardised_gap([1, 0], np.array([0, 1], bool), ["a", "b"]) is None
    assert standardised_gap([], np.array([], bool), []) is None


def test_lengths_must_agree():
    with pytest.raises(InvalidValue):
        balanced_error([1], [1, 0])
    with pytest.raises(InvalidValue):
        standardised_gap([1], np.array([True, False]), ["a"])
