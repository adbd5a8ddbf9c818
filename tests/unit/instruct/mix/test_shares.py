"""Shares by temperature: exact expected counts, nothing more than there is, whole numbers that add up."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vesalius.errors import InvalidValue
from vesalius.instruct.mix.shares import expected, whole

SIZES = st.dictionaries(st.sampled_from("abcdef"), st.integers(0, 5000), min_size=1)


def test_at_temperature_one_shares_are_as_the_sizes():
    assert expected({"a": 900, "b": 100}, 50) == pytest.approx({"a": 45, "b": 5})


def test_temperature_takes_the_root_of_the_sizes():
    found = expected({"a": 90_000, "b": 10_000}, 4000, temperature=2)
    assert found == pytest.approx({"a": 3000, "b": 1000})  # 300 to 100
    found = expected({"a": 80_000, "b": 10_000}, 3000, temperature=3)
    assert found == pytest.approx({"a": 2000, "b": 1000})  # 2 to 1


def test_a_high_temperature_makes_shares_equal():
    assert expected({"a": 90_000, "b": 1000}, 1000, temperature=1e9) == pytest.approx({"a": 500, "b": 500}, rel=1e-6)


def test_a_low_temperature_overflows_nothing():
    assert expected({"a": 5000, "b": 4000}, 100, temperature=1e-3) == pytest.approx({"a": 100, "b": 0})


def test_a_weight_multiplies_a_share():
    assert expected({"a": 1000, "b": 1000}, 400, weights={"a": 3}) == pytest.approx({"a": 300, "b": 100})


def test_what_a_small_source_lacks_goes_to_the_others_by_the_same_rule():
    found = expected({"a": 10_000, "b": 2500, "c": 4}, 304, temperature=2, weights={"c": 100})
    assert found == pytest.approx({"c": 4, "a": 200, "b": 100})


def test_more_than_there_is_gives_all():
    assert expected({"a": 3, "b": 2, "c": 0}, 99) == {"a": 3, "b": 2, "c": 0}


def test_largest_remainders():
    assert whole({"a": 1.6, "b": 1.3, "c": 0.1}) == {"a": 2, "b": 1, "c": 0}
    assert whole({"a": 0.5, "b": 0.5}) == {"a": 1, "b": 0}


@given(SIZES, st.integers(0, 20_000), st.floats(0.05, 50))
def test_shares_add_up_and_no_source_gives_more_than_it_has(sizes, total, temperature):
    shares = expected(sizes, total, temperature=temperature)
    taken = whole(shares)
    assert math.isclose(sum(shares.values()), min(total, sum(sizes.values())), abs_tol=1e-6)
    assert sum(taken.values()) == min(total, sum(sizes.values()))
    for name, size in sizes.items():
        assert 0 <= taken[name] <= size
        assert abs(taken[name] - shares[name]) < 1 + 1e-6


@pytest.mark.parametrize("wrong", [{"total": -1}, {"temperature": 0}, {"temperature": math.nan}, {"weights": {"a": 0}}, {"sizes": {"a": -1}}])
def test_numbers_out_of_range_are_refused(wrong):
    with pytest.raises(InvalidValue):
        expected(**{"sizes": {"a": 1}, "total": 1, **wrong})
