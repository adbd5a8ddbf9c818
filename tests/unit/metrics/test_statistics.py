import time

import numpy as np
import pytest

from vesalius.errors import InvalidValue
from vesalius.metrics.statistics import (
    Interval,
    clopper_pearson,
    cluster_bootstrap,
    cluster_mean,
    cluster_ratio,
    paired_difference,
    permutation_gap_null,
    wilson,
)


def test_interval_speaks():
    assert Interval(0.5, 0.4, 0.6, 10, 10, "m").text() == "50.0 % (40.0 to 60.0; n 10)"
    assert Interval(0.5, 0.4, 0.6, 10, 4, "m").text(percent=False) == "0.500 (0.400 to 0.600; n 10, 4 clusters)"
    assert Interval(None, None, None, 0, 0, "nothing was measured").text() == "not defined: nothing was measured (n 0)"
    assert "a single cluster" in cluster_mean([1, 0], ["p", "p"]).text()
    assert cluster_mean([1, 0, 1], None).to_json()["n"] == 3


def test_clusters_widen_the_interval():
    rng = np.random.default_rng(0)
    truth = np.repeat(rng.random(50) < 0.5, 20).astype(float)  # all answers about a patient agree
    patients = np.repeat(np.arange(50), 20)
    inside, alone = cluster_mean(truth, patients), cluster_mean(truth, None)
    assert inside.value == alone.value == truth.mean()
    assert (inside.high - inside.low) > 3 * (alone.high - alone.low)
    assert (inside.n, inside.clusters) == (1000, 50)


def test_fast_and_general_bootstrap_agree():
    rng = np.random.default_rng(1)
    patients = rng.integers(0, 40, 300)
    values = (rng.random(300) < 0.3 + 0.4 * (patients % 2)).astype(float)
    fast = cluster_mean(values, patients, seed=3)
    slow = cluster_bootstrap(lambda v: float(v.mean()), values, clusters=patients, seed=3)
    assert fast.value == pytest.approx(slow.value, abs=1e-12)
    assert (fast.low, fast.high) == pytest.approx((slow.low, slow.high), abs=1e-12)


def test_bootstrap_is_seeded():
    values, clusters = np.arange(30.0), np.arange(30) // 3
    assert cluster_mean(values, clusters, seed=1) == cluster_mean(values, clusters, seed=1)
    assert cluster_mean(values, clusters, seed=1) != cluster_mean(values, clusters, seed=2)


def test_several_arrays_stay_aligned():
    x = np.arange(100.0)
    interval = cluster_bootstrap(lambda a, b: float(np.abs(a - b).max()), x, x.copy(), clusters=None, replicates=50)
    assert (interval.value, interval.low, interval.high) == (0.0, 0.0, 0.0)


def test_agreeing_answers_do_not_get_an_interval_of_no_width():
    zero = cluster_mean(np.zeros(60), np.arange(60) // 2)
    assert (zero.value, zero.low) == (0.0, 0.0)
    assert zero.high == pytest.approx(clopper_pearson(0, 30).high)
    one = cluster_mean(np.ones(30), None)
    assert one.high == 1.0
    assert one.low == pytest.approx(clopper_pearson(30, 30).low)
    # a mean of 0 that is not unanimous keeps the bootstrap
    assert "bootstrap" in cluster_mean([1.0, -1.0] * 20, None).method


def test_ratio():
    interval = cluster_ratio([1, 0, 2], [2, 0, 4], ["a", "b", "c"])
    assert interval.value == 0.5
    nothing = cluster_ratio([0, 0], [0, 0], None)
    assert nothing.value is None
    assert nothing.method == "nothing was measured"


def test_undefined_statistics_are_said_not_guessed():
    assert cluster_bootstrap(lambda v: 1.0, [], clusters=[]).value is None
    assert cluster_bootstrap(lambda v: float("nan"), [1, 2], clusters=None).value is None
    assert cluster_bootstrap(lambda v: None, [1, 2], clusters=None).low is None
    rare = cluster_bootstrap(lambda v: 1.0 if v.sum() else None, [1, 0, 0, 0], clusters=None, replicates=200)
    assert "undefined on" in rare.method
    calls = iter([1.0] + [None] * 100)
    never = cluster_bootstrap(lambda v: next(calls), [1, 2, 3], clusters=None, replicates=100)
    assert never.value == 1.0
    assert never.low is None
    assert cluster_bootstrap(lambda v: 1.0, [1, 2], clusters=["p", "p"]).low is None


def test_paired_difference():
    a, b = np.array([1, 1, 0, 1.0] * 10), np.array([1, 0, 0, 0.0] * 10)
    interval = paired_difference(a, b, np.arange(40) // 4)
    assert interval.value == 0.5
    same = paired_difference(a, a, None)
    assert (same.value, same.low) == (0.0, None)
    assert paired_difference([], [], None).value is None


def test_binomial_intervals():
    assert wilson(0, 10).low == 0.0
    assert wilson(10, 10).high == 1.0
    assert clopper_pearson(0, 10).low == 0.0
    assert clopper_pearson(0, 10).high == pytest.approx(1 - 0.025**0.1)
    assert clopper_pearson(10, 10).high == 1.0
    assert wilson(0, 0).value is None
    assert clopper_pearson(0, 0).value is None
    # 23 flips of 158: the interval stated for that published figure
    assert (round(wilson(23, 158).low, 2), round(wilson(23, 158).high, 2)) == (0.10, 0.21)


def test_gap_of_equal_groups_is_not_significant_and_of_unequal_ones_is():
    rng = np.random.default_rng(0)
    patients = np.arange(600) // 3
    groups = np.where(patients % 2, "F", "M")
    equal = permutation_gap_null((rng.random(600) < 0.7).astype(float), groups, patients, replicates=300)
    assert equal.gap > 0
    assert equal.null_mean > 0
    assert equal.p_value > 0.05
    unequal = permutation_gap_null((rng.random(600) < np.where(groups == "F", 0.9, 0.5)).astype(float), groups, patients, replicates=300)
    assert unequal.p_value < 0.01
    assert unequal.gap > unequal.null_high


def test_gap_leaves_small_groups_out_and_says_so():
    gap = permutation_gap_null(np.ones(50), ["F"] * 45 + ["O"] * 5, None)
    assert gap.gap is None
    assert gap.groups == {"F": 1.0}
    assert gap.too_small == {"O": 5}
    assert permutation_gap_null([], [], None).gap is None


@pytest.mark.parametrize(
    "call",
    [
        lambda: cluster_mean([1, float("nan")], None),
        lambda: cluster_mean([[1, 2]], None),
        lambda: cluster_mean([1, 2], ["p"]),
        lambda: cluster_mean([1, 2], None, replicates=0),
        lambda: cluster_mean([1, 2], None, confidence=1.0),
        lambda: cluster_ratio([1], [1, 2], None),
        lambda: cluster_ratio([1], [-1], None),
        lambda: cluster_bootstrap(lambda: 1.0, clusters=None),
        lambda: cluster_bootstrap(lambda a, b: 1.0, [1], [1, 2], clusters=None),
        lambda: paired_difference([1], [1, 2], None),
        lambda: wilson(3, 2),
        lambda: clopper_pearson(-1, 2),
        lambda: permutation_gap_null([1, 0], ["F", "M"], ["p", "p"]),
        lambda: permutation_gap_null([1, 0], ["F"], None),
    ],
)
def test_bad_input_is_refused(call):
    with pytest.raises(InvalidValue):
        call()


def test_a_hundred_thousand_answers_take_seconds():
    values = np.random.default_rng(0).random(100_000) < 0.5
    start = time.process_time()
    cluster_mean(values, None)
    assert time.process_time() - start < 15  # about 2 s; the bound leaves room for a slow machine
