import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vesalius.errors import InvalidValue
from vesalius.metrics.fairness import (
    ABOVE,
    BELOW,
    UNTOLD,
    Combined,
    answer_measures,
    association,
    compare,
    film_measures,
    films,
    holm,
    one_less,
    verdict,
)
from vesalius.metrics.groups import CalibrationError, Grouping, Separation, Share
from vesalius.metrics.statistics import Interval, clopper_pearson, cluster_ratio

ODDS = (Combined("equalized_odds", ("tpr", "fpr")),)


def clinic(seed, patients=150, worse=0.0):
    """Patients of one to six answers that resemble each other; a third of them is F, whose findings are missed by `worse` more often."""
    rng = np.random.default_rng(seed)
    cluster = np.repeat(np.arange(patients), rng.integers(1, 7, patients))
    group = np.where(np.arange(patients) % 3 == 0, "F", "M")[cluster]
    skill = rng.beta(4, 2, patients)[cluster]
    gold = rng.random(len(cluster)) < 0.4
    said = rng.random(len(cluster)) < np.where(gold, skill - worse * (group == "F"), 0.3 * skill)
    return cluster, group, gold, said


def compared(cluster, group, gold, said, **more):
    given = {"combined": ODDS, "replicates": 200, "permutations": 200, **more}
    return compare(answer_measures(gold, said, np.ones(len(gold), bool)), list(group), cluster, **given)


def test_worked_example():
    group = ["F"] * 4 + ["M"] * 4
    gold, said = np.array([1, 1, 0, 0, 1, 1, 0, 0], bool), np.array([1, 0, 1, 0, 1, 1, 0, 0], bool)
    found = compare(answer_measures(gold, said, np.ones(8, bool)), group, np.arange(8), combined=ODDS, minimum=1, replicates=50, permutations=50)
    assert {g: i.value for g, i in found["tpr"].groups.items()} == {"F": 0.5, "M": 1.0}
    assert {g: i.value for g, i in found["fpr"].groups.items()} == {"F": 0.5, "M": 0.0}
    assert (found["tpr"].gap.value, found["tpr"].worst) == (0.5, "F")
    assert (found["positive_rate"].gap.value, found["positive_rate"].worst) == (0.0, None)
    assert found["equalized_odds"].gap.value == 0.5
    assert one_less(found["equalized_odds"], "x").gap.value == 0.5
    assert found["tpr"].groups["M"].low == pytest.approx(clopper_pearson(2, 2).low)
    assert found["tpr"].gap.n == 4


def test_unread_answers_and_unknown_groups_are_left_out():
    gold, said = np.ones(6, bool), np.array([1, 1, 0, 1, 1, 0], bool)
    read = np.array([1, 1, 0, 1, 1, 1], bool)
    found = compare(answer_measures(gold, said, read), ["F", "F", "F", "M", "M", None], range(6), minimum=1, replicates=20, permutations=0)
    assert {g: (i.value, i.n) for g, i in found["tpr"].groups.items()} == {"F": (1.0, 2), "M": (1.0, 2)}
    assert found["tpr"].p_value is None
    empty = compare(answer_measures(gold, said, read), [None] * 6, range(6), combined=ODDS)
    assert empty["tpr"].gap.value is None
    assert empty["equalized_odds"].gap.method == "nothing was measured"


def test_small_groups_are_left_out_by_what_a_measure_rests_on():
    cluster, group, gold, said = clinic(0)
    group = np.where(cluster < 30, "O", group)
    gold = gold & ((group != "O") | (cluster < 5))  # 30 patients, few of them with a finding
    found = compared(cluster, group, gold, said)
    assert "O" in found["fpr"].groups
    assert found["tpr"].too_small["O"] < 20
    assert set(found["tpr"].groups) == {"F", "M"}
    alone = compared(cluster, group, gold, said, minimum=1000)
    assert alone["tpr"].gap.value is None
    assert "fewer than two groups" in alone["tpr"].gap.method
    assert "tpr, fpr" in alone["equalized_odds"].gap.method


def test_intervals_of_groups_are_those_of_a_cluster_bootstrap():
    cluster, group, gold, said = clinic(1)
    found = compared(cluster, group, gold, said, replicates=4000, permutations=0)["positive_rate"].groups["M"]
    own = group == "M"
    theirs = cluster_ratio(said[own].astype(float), np.ones(own.sum()), cluster[own], replicates=4000)
    assert (found.value, found.n, found.clusters) == (theirs.value, theirs.n, theirs.clusters)
    assert (found.low, found.high) == pytest.approx((theirs.low, theirs.high), abs=0.01)


def test_a_true_difference_is_found_and_its_group_named():
    found = compared(*clinic(2, patients=400, worse=0.35), permutations=1000)
    assert found["tpr"].worst == "F"
    assert found["tpr"].gap.low > 0.05
    assert found["tpr"].p_value == pytest.approx(1 / 1001)
    assert verdict(found["tpr"].gap, found["tpr"].p_value) == ABOVE
    assert verdict(found["fpr"].gap, found["fpr"].p_value) != ABOVE


def test_a_gap_of_nothing_is_not_certain_when_groups_are_small():
    never = compare([Share("rate", np.zeros(60, bool), np.ones(60, bool), "high")], ["F", "M"] * 30, np.arange(60), replicates=500, permutations=200)["rate"]
    assert (never.gap.value, never.gap.low) == (0.0, 0.0)
    assert never.gap.high > 0.05
    assert verdict(never.gap, never.p_value) == UNTOLD
    assert never.p_value is None  # nothing differs, so nothing was tested
    many = compare([Share("rate", np.zeros(4000, bool), np.ones(4000, bool))], ["F", "M"] * 2000, np.arange(4000), replicates=500, permutations=0)["rate"]
    assert verdict(many.gap, None) == BELOW


def test_a_ranking_that_never_varies_has_no_interval():
    gold = np.tile([True, False], 60)
    found = compare(
        [Separation("auroc", gold.astype(float), gold, np.ones(120, bool))], ["F", "F", "M", "M"] * 30, np.arange(120), replicates=50, permutations=20
    )
    assert found["auroc"].groups["F"].value == 1.0
    assert found["auroc"].groups["F"].low is None
    assert found["auroc"].gap.high is None
    assert verdict(found["auroc"].gap, None) == UNTOLD


def test_patients_in_two_groups_are_drawn_together_and_not_shuffled():
    cluster, group, gold, said = clinic(3)
    group[cluster < 10] = np.where(np.arange((cluster < 10).sum()) % 2, "F", "M")
    found = compared(cluster, group, gold, said)
    assert 0 < found["positive_rate"].mixed <= 10
    grouping = Grouping.of(list(group), cluster)
    assert sum(grouping.sizes) == grouping.k == 150
    assert grouping.mixed.sum() == found["positive_rate"].mixed
    assert len(grouping.sizes) == 3


def test_a_confounder_explains_a_gap():
    rng = np.random.default_rng(4)
    view = rng.choice(["AP", "PA"], 600)
    group = np.where(rng.random(600) < np.where(view == "AP", 0.8, 0.2), "F", "M")
    right = rng.random(600) < np.where(view == "AP", 0.6, 0.9)
    share = [Share("accuracy", right, np.ones(600, bool), "low")]
    given = {"replicates": 50, "permutations": 500}
    assert compare(share, list(group), np.arange(600), **given)["accuracy"].p_value < 0.01
    assert compare(share, list(group), np.arange(600), within=list(view), **given)["accuracy"].p_value > 0.05
    assert association(list(group), list(view), np.arange(600)).p_value < 0.01


def test_association():
    assert association(["a", "a", "b", "b"], ["x", "x", "y", "y"], range(4)).v == pytest.approx(1.0)
    assert association(["a", "a"], ["x", "y"], range(2)).v is None
    assert association([], [], []).v is None
    rng = np.random.default_rng(0)
    cluster = np.repeat(np.arange(60), 10)  # one label a patient: 600 films are no 600 witnesses
    first, second = rng.choice(list("ab"), 60)[cluster], rng.choice(list("xy"), 60)[cluster]
    assert association(list(first), list(second), cluster).p_value > 0.05


def test_films_that_were_missed():
    names = ["a", "a", "b", "b", "c", "c", "d", "d", "e"]
    nan = np.nan
    gold = [1, 0, 1, 1, 0, 0, 0, nan, 1]
    said = [0, 0, 0, 1, 0, 1, 0, 0, nan]
    found = films(names, gold, said)
    assert found.diseased.tolist() == [True, True, False, False, True]
    assert found.healthy.tolist() == [False, False, True, False, False]  # of d one label is unknown
    assert found.said_any.tolist() == [False, True, True, False, False]
    assert found.told.tolist() == [True, True, True, True, False]
    under, over = film_measures(found, "_x")
    assert (under.name, under.hits.sum(), under.counted.sum()) == ("underdiagnosis_x", 1, 2)
    assert (over.hits.sum(), over.counted.sum()) == (1, 1)


def test_holm():
    assert holm([0.01, 0.04, 0.03, None]) == pytest.approx([0.03, 0.06, 0.06, None])
    assert holm([0.5, 0.9]) == [1.0, 1.0]
    assert holm([]) == []


@given(st.lists(st.floats(0, 1), min_size=1, max_size=12))
def test_holm_keeps_order_and_never_lowers(p_values):
    corrected = holm(p_values)
    assert all(c >= p for p, c in zip(p_values, corrected, strict=True))
    assert all((a <= b) or (p > q) for (p, a), (q, b) in itertools.combinations(sorted(zip(p_values, corrected, strict=True)), 2))


def test_verdict():
    def gap(low, high):
        return Interval(0.1, low, high, 100, 50, "m")

    assert verdict(gap(0.0, 0.04), 0.9) == BELOW
    assert verdict(gap(0.06, 0.2), 0.01) == ABOVE
    assert verdict(gap(0.06, 0.2), 0.2) == verdict(gap(0.06, 0.2), None) == verdict(gap(0.01, 0.2), 0.01) == verdict(gap(None, None), 0.01) == UNTOLD
    assert verdict(gap(0.06, 0.2), 0.01, limit=0.1) == UNTOLD


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000))
def test_the_order_of_answers_and_the_names_of_groups_change_nothing(seed):
    cluster, group, gold, said = clinic(seed, patients=60)
    order = np.random.default_rng(seed).permutation(len(cluster))
    renamed = {"F": "z", "M": "a"}
    first = compared(cluster, group, gold, said, replicates=20, permutations=0, minimum=1)
    second = compared(cluster[order], [renamed[g] for g in group[order]], gold[order], said[order], replicates=20, permutations=0, minimum=1)
    for name in ("tpr", "fpr", "positive_rate", "equalized_odds"):
        assert first[name].gap.value == pytest.approx(second[name].gap.value, abs=1e-12)
        assert {renamed[g]: i.value for g, i in first[name].groups.items()} == pytest.approx({g: i.value for g, i in second[name].groups.items()})


def test_a_null_model_is_not_called_unfair():
    draws, unfair, small_p, covers = 400, 0, 0, 0
    for seed in range(draws):
        found = compared(*clinic(seed, patients=120), replicates=150, permutations=150, seed=seed)
        corrected = holm([found[name].p_value for name in found])
        unfair += any(verdict(found[name].gap, p) == ABOVE for name, p in zip(found, corrected, strict=True))
        small_p += found["equalized_odds"].p_value <= 0.05
        covers += found["tpr"].gap.low == 0
    assert unfair <= 0.05 * draws
    assert small_p <= 0.075 * draws  # 5 % and three standard errors
    assert covers >= 0.91 * draws


def test_intervals_of_a_rate_hold_the_truth():
    draws, held = 400, {"F": 0, "M": 0}
    for seed in range(draws):
        cluster, group, _, said = clinic(10_000 + seed, patients=180)
        found = compare([Share("rate", said, np.ones(len(said), bool))], list(group), cluster, replicates=300, permutations=0, seed=seed)["rate"].groups
        truth = 0.4 * 4 / 6 + 0.6 * 0.3 * 4 / 6
        for name, interval in found.items():
            held[name] += interval.low <= truth <= interval.high
    assert all(0.93 <= count / draws <= 0.97 for count in held.values()), held


@pytest.mark.parametrize(
    "call",
    [
        lambda: compare([Share("a", np.ones(3, bool), np.ones(3, bool))], ["F", "M"], [0, 1]),
        lambda: compare([Share("a", np.ones(2, bool), np.ones(2, bool))], ["F", "M"], [0, 1], replicates=0),
        lambda: compare([Share("a", np.ones(2, bool), np.ones(2, bool))], ["F", "M"], [0, 1], combined=ODDS),
        lambda: Share("a", np.ones((2, 2), bool), np.ones((2, 2), bool)),
        lambda: CalibrationError("a", np.array([1.2]), np.ones(1, bool), np.ones(1, bool)),
        lambda: CalibrationError("a", np.array([0.2]), np.ones(1, bool), np.ones(1, bool), bins=0),
        lambda: Separation("a", np.array([np.inf]), np.ones(1, bool), np.ones(1, bool)),
        lambda: Separation("a", np.array([0.5]), np.ones(2, bool), np.ones(1, bool)),
        lambda: Grouping.of(["F"], [1, 2]),
        lambda: films(["a"], [1, 0], [1, 0]),
        lambda: holm([1.2]),
        lambda: association(["a"], ["b", "c"], [0]),
    ],
)
def test_bad_input_is_refused(call):
    with pytest.raises(InvalidValue):
        call()
