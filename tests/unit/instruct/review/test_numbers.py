"""Acceptance bounds and agreement: textbook values, other libraries' values, and what happens at the edges."""

import math
import random

import pytest

from vesalius.errors import InvalidValue
from vesalius.instruct.review import acceptance, agreement

# scipy 1.17.1, hypergeom.cdf over every number of wrong items in the lot
BOUNDS = {(0, 59, 1000): 0.048, (2, 100, 400): 0.055, (5, 60, 60): 5 / 60, (1, 30, 77): 9 / 77, (0, 1, 5): 0.8}
# Krippendorff, Content Analysis: four coders, twelve units, nominal alpha 0.743
CODERS = ("1 2 3 3 2 1 4 1 2 . . .", "1 2 3 3 2 2 4 1 2 5 . 3", ". 3 3 3 2 3 4 2 2 5 1 .", "1 2 3 3 2 4 4 1 2 5 1 .")
# Fleiss' kappa 0.210: ten subjects, fourteen raters, five categories (counts)
FLEISS = ("0 0 0 0 14", "0 2 6 4 2", "0 0 3 5 6", "0 3 9 2 0", "2 2 8 1 1", "7 7 0 0 0", "3 2 6 3 0", "2 5 3 2 2", "6 5 2 1 0", "0 2 2 3 7")


@pytest.mark.parametrize(("given", "bound"), BOUNDS.items())
def test_the_bound_is_the_exact_one(given, bound):
    assert acceptance.most_wrong(*given) == pytest.approx(bound, abs=1e-12)


def test_a_lot_that_was_read_whole_has_no_uncertainty_and_an_unread_one_no_bound():
    assert acceptance.most_wrong(3, 40, 40) == 3 / 40
    assert acceptance.most_wrong(0, 0, 40) == 1.0


def test_59_right_ones_accept_a_large_lot_at_5_percent_and_fewer_do_a_small_one():
    assert acceptance.plan(10**6, target=0.05).n == 59
    assert acceptance.plan(200, target=0.05).n == 47
    assert acceptance.plan(10**6, target=0.05, allowed=1).n == 93


def test_a_lot_above_the_target_is_accepted_in_at_most_5_percent_of_draws():
    size, wrong, target = 400, 21, 0.05  # 5.25 %
    n = acceptance.plan(size, target=target, allowed=1).n
    chance, lot = random.Random(0), [1] * wrong + [0] * (size - wrong)
    passed = sum(acceptance.decide(sum(chance.sample(lot, n)), n, size, target=target).accepted for _ in range(400))
    assert passed / 400 <= 0.05 + 3 * math.sqrt(0.05 * 0.95 / 400)
    assert passed > 0


def test_one_unsafe_answer_is_enough_to_reject():
    assert acceptance.decide(0, 100, 1000, target=0.05).accepted
    assert not acceptance.decide(1, 400, 1000, target=0.05, unsafe=1).accepted


def test_how_many_more_must_be_read_is_told_only_where_it_helps():
    short = acceptance.decide(0, 30, 1000, target=0.05)
    assert not short.accepted
    assert acceptance.decide(0, 30 + short.more, 1000, target=0.05).accepted
    assert not acceptance.decide(0, 29 + short.more, 1000, target=0.05).accepted
    assert acceptance.decide(60, 100, 1000, target=0.05).more is None


@pytest.mark.parametrize("given", [(2, 1, 5), (0, 6, 5), (-1, 2, 5), (0, 0, 0)])
def test_counts_that_cannot_be_are_refused(given):
    with pytest.raises(InvalidValue):
        acceptance.most_wrong(*given)


@pytest.mark.parametrize("target", [0, 1, -0.1, 1.5])
def test_a_target_outside_0_to_1_is_refused(target):
    with pytest.raises(InvalidValue):
        acceptance.plan(100, target=target)


def _table(lines):
    return [[None if v == "." else v for v in row] for row in zip(*(line.split() for line in lines), strict=True)]


def test_krippendorffs_own_example_gives_his_alpha():
    assert agreement.krippendorff(_table(CODERS)) == pytest.approx(0.743, abs=5e-4)


def test_the_usual_example_gives_fleiss_kappa():
    table = [[str(k) for k, n in enumerate(line.split()) for _ in range(int(n))] for line in FLEISS]
    assert agreement.fleiss(table) == pytest.approx(0.210, abs=5e-4)


def test_cohens_kappa_is_chance_corrected():
    # 20 both yes, 15 both no, 5 and 10 split: po 0.7, pe 0.5
    first = ["y"] * 20 + ["y"] * 5 + ["n"] * 10 + ["n"] * 15
    second = ["y"] * 20 + ["n"] * 5 + ["y"] * 10 + ["n"] * 15
    assert agreement.cohen(first, second) == pytest.approx(0.4)


def test_where_everybody_says_one_thing_there_is_no_kappa():
    assert agreement.cohen(["y"] * 5, ["y"] * 5) is None
    assert agreement.krippendorff([["y", "y"]] * 5) is None
    assert agreement.fleiss([["y", "y"]] * 5) is None
    assert agreement.krippendorff([["y", None]] * 5) is None


def test_unequal_readings_have_no_fleiss_kappa_but_an_alpha():
    table = [["y", "y", None], ["n", "n", "n"], ["y", "n", "n"], ["n", "n", None]]
    with pytest.raises(InvalidValue):
        agreement.fleiss([[v for v in row if v] for row in table])
    found = agreement.intervals(table, ["A", "B", "C"], replicates=50)
    assert "fleiss kappa" not in found
    assert found["krippendorff alpha"].value == pytest.approx(agreement.krippendorff(table))
    assert set(found) == {"percent agreement", "krippendorff alpha", "cohen kappa A, B", "cohen kappa A, C", "cohen kappa B, C"}


def test_the_interval_of_alpha_holds_the_truth_and_repeats():
    chance = random.Random(1)
    table = [[v, v if chance.random() < 0.7 else chance.choice("abc")] for v in (chance.choice("abc") for _ in range(150))]
    found = agreement.intervals(table, ["A", "B"], replicates=200)["krippendorff alpha"]
    assert found.low < 0.7 < found.high
    assert found == agreement.intervals(table, ["A", "B"], replicates=200)["krippendorff alpha"]
