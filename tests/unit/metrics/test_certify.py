import math

import numpy as np
import pytest

from vesalius.errors import InvalidValue
from vesalius.metrics.certify import (
    allowed_errors,
    best_empirical,
    certify,
    claim_cut,
    conformal_quantile,
    conformal_sets,
    group_quantiles,
    keep_claims,
    minimum_accepted,
    needed_accepted,
    starting_count,
    upper_bound,
)

DRAWS = 1000
SIZES = (200, 500, 1000)


def test_the_fewest_cases_that_can_prove_a_risk():
    assert minimum_accepted(0.05, 0.95) == 59
    assert minimum_accepted(0.10, 0.95) == 29
    assert minimum_accepted(0.5, 0.75) == 2  # exactly: 0.5 squared is 0.25
    for risk in (0.05, 0.1, 0.2):
        k = minimum_accepted(risk, 0.95)
        assert upper_bound(0, k, 0.95) <= risk < upper_bound(0, k - 1, 0.95)


def test_the_bound_at_its_ends():
    assert upper_bound(0, 0, 0.95) is None
    assert upper_bound(7, 7, 0.95) == 1.0
    assert upper_bound(0, 29, 0.95) == pytest.approx(1 - 0.05 ** (1 / 29), abs=1e-9)


def test_allowed_errors_are_those_whose_bound_passes():
    table = allowed_errors(150, 0.1, 0.95)
    for k in (1, 28, 29, 45, 46, 60, 61, 150):
        passing = [e for e in range(k + 1) if upper_bound(e, k, 0.95) <= 0.1]
        assert table[k] == max(passing, default=-1)


def test_a_table_that_was_handed_out_can_be_changed_without_harm():
    allowed_errors(40, 0.1, 0.95)[:] = 99
    assert allowed_errors(40, 0.1, 0.95)[10] == -1


def test_a_walk_starts_at_the_least_count_and_later_when_cases_are_many():
    assert starting_count(200, 0.1, 0.95) == 29
    assert starting_count(500, 0.1, 0.95) == 87


def test_a_walk_by_hand():
    score = np.arange(60) / 60
    wrong = np.zeros(60)
    wrong[40] = wrong[41] = wrong[42] = 1
    found = certify(score, wrong, risk=0.1, confidence=0.95)
    # 0 errors up to 40 pass from 29 on; at 41 cases one error is one too many (46 are needed for one)
    assert (found.accepted, found.errors, found.start, found.tested) == (40, 0, 29, 13)
    assert found.threshold == score[39]
    assert found.coverage == pytest.approx(40 / 60)
    assert found.bound == pytest.approx(1 - 0.05 ** (1 / 40), abs=1e-9)


def test_a_walk_that_starts_before_the_least_count_fails_whatever_the_model():
    score, wrong = np.arange(200) / 200, np.zeros(200)
    assert certify(score, wrong, risk=0.1, confidence=0.95, start=20).threshold is None
    assert certify(score, wrong, risk=0.1, confidence=0.95).coverage == 1.0


def test_equal_scores_are_accepted_together():
    score = np.repeat([0.1, 0.2, 0.3], 30)
    wrong = np.zeros(90)
    wrong[30:33] = 1
    found = certify(score, wrong, risk=0.1, confidence=0.95)
    assert found.threshold == 0.1
    assert found.accepted == 30


def test_a_case_of_infinite_score_is_never_accepted():
    score = np.concatenate([np.arange(40) / 40, np.full(60, np.inf)])
    found = certify(score, np.zeros(100), risk=0.1, confidence=0.95)
    assert found.accepted == 40
    assert found.coverage == 0.4


def test_nothing_is_certified_and_why():
    few = certify(np.arange(20) / 20, np.zeros(20), risk=0.1, confidence=0.95)
    assert few.threshold is None
    assert few.reason == "at least 29 accepted cases are needed and only 20 of 20 can be accepted at all"
    bad = certify(np.arange(60) / 60, np.ones(60), risk=0.1, confidence=0.95)
    assert bad.threshold is None
    assert bad.reason == "29 of the 29 safest cases are wrong, at most 0 may be"
    assert bad.best == (29, 29)
    none = certify([], [], risk=0.1, confidence=0.95)
    assert none.threshold is None
    assert none.n == 0


def test_a_grid_survives_an_unlucky_start():
    score = np.arange(400) / 400
    wrong = np.zeros(400)
    wrong[0] = 1  # the very safest case is wrong
    assert certify(score, wrong, risk=0.1, confidence=0.95).threshold is None
    assert certify(score, wrong, risk=0.1, confidence=0.95, method="grid").coverage == 1.0


def test_how_many_cases_would_be_needed():
    assert needed_accepted(0.0, 0.1, 0.95) == 29
    assert needed_accepted(0.1, 0.1, 0.95) is None
    k = needed_accepted(0.05, 0.1, 0.95)
    assert upper_bound(math.ceil(0.05 * k), k, 0.95) <= 0.1
    assert 100 < k < 250


@pytest.mark.parametrize(
    "call",
    [
        lambda: certify([0.1], [0, 1], risk=0.1, confidence=0.95),
        lambda: certify([math.nan], [0], risk=0.1, confidence=0.95),
        lambda: certify([-math.inf], [0], risk=0.1, confidence=0.95),
        lambda: certify([0.1], [0.5], risk=0.1, confidence=0.95),
        lambda: certify([0.1], [0], risk=0.0, confidence=0.95),
        lambda: certify([0.1], [0], risk=0.1, confidence=1.0),
        lambda: certify([0.1], [0], risk=0.1, confidence=0.95, method="luck"),
        lambda: upper_bound(3, 2, 0.95),
        lambda: conformal_quantile([math.nan], 0.1),
        lambda: conformal_quantile([0.5], 1.0),
        lambda: conformal_sets([0.5, 0.5], 0.3),
        lambda: conformal_sets([[1.5, 0.5]], 0.3),
        lambda: conformal_sets([[0.5, 0.5]], {"a": 0.3}),
        lambda: group_quantiles([0.1, 0.2], ["a"], 0.1),
        lambda: claim_cut([0.1], [0.5]),
        lambda: claim_cut([0.1], [1, 0]),
        lambda: claim_cut([0.1], [1], share=0.0),
        lambda: needed_accepted(1.5, 0.1, 0.95),
    ],
)
def test_bad_input_is_refused(call):
    with pytest.raises(InvalidValue):
        call()


def _draw(n, i):
    """Scores, errors: P(wrong | score s) = 0.03 + 0.24 s, so the true risk of accepting s <= t is 0.03 + 0.12 t."""
    rng = np.random.default_rng([n, i])
    score = rng.random(n)
    return score, rng.random(n) < 0.03 + 0.24 * score


def _true_risk(threshold):
    return 0.03 + 0.12 * threshold


@pytest.mark.parametrize("n", SIZES)
def test_the_true_risk_exceeds_the_target_in_at_most_one_draw_in_twenty_and_the_naive_threshold_in_most(n):
    violated = dict.fromkeys(("walk", "grid", "naive"), 0)
    for i in range(DRAWS):
        score, wrong = _draw(n, i)
        for method in ("walk", "grid"):
            found = certify(score, wrong, risk=0.1, confidence=0.95, method=method)
            violated[method] += found.threshold is not None and _true_risk(found.threshold) > 0.1
        violated["naive"] += _true_risk(best_empirical(score, wrong, 0.1) or 0.0) > 0.1
    noise = 3 * math.sqrt(0.05 * 0.95 / DRAWS)
    assert violated["walk"] / DRAWS <= 0.05 + noise
    assert violated["grid"] / DRAWS <= 0.05 + noise
    assert violated["naive"] / DRAWS > 0.5


def test_the_walk_is_tight_enough_to_break_a_weaker_promise():
    """The simulation can fail: a threshold certified with 50 % confidence is not one of 95 %."""
    loose = 0
    for i in range(DRAWS):
        score, wrong = _draw(500, i)
        found = certify(score, wrong, risk=0.1, confidence=0.5, start=87)
        loose += found.threshold is not None and _true_risk(found.threshold) > 0.1
    assert loose / DRAWS > 0.08


def test_the_conformal_quantile_by_hand():
    scores = [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9]
    assert conformal_quantile(scores, 0.1) == 0.9  # ceil(10 * 0.9) = 9th
    assert conformal_quantile(scores, 0.2) == 0.8
    assert conformal_quantile(scores, 0.05) == math.inf
    assert conformal_quantile([], 0.5) == math.inf
    assert conformal_quantile(np.arange(1, 10), 0.7) == 3  # (1 - 0.7) * 10 is 3.0000000000000004 in floating point


def test_conformal_sets_by_hand():
    assert conformal_sets([[0.9, 0.1], [0.55, 0.45], [0.6, 0.4]], 0.5).tolist() == [[True, False], [True, False], [True, False]]
    assert conformal_sets([[0.55, 0.45]], 0.6).tolist() == [[True, True]]
    assert conformal_sets([[0.55, 0.45]], 0.3).tolist() == [[False, False]]
    assert conformal_sets([[0.55, 0.45]], math.inf).all()
    by_group = conformal_sets([[0.9, 0.1], [0.9, 0.1], [0.9, 0.1]], {"a": 0.2, "b": 0.05}, ["a", "b", "unseen"])
    assert by_group.tolist() == [[True, False], [False, False], [True, True]]


def _answers(rng, n, alpha=0.0):
    """Probabilities of three answers that are too sure in group "hard", and the true answer."""
    hard = rng.random(n) < 0.3
    truth = rng.integers(0, 3, n)
    logits = rng.normal(0, 1, (n, 3)) + 2.0 * np.eye(3)[truth] * np.where(hard, 0.3, 1.2)[:, None]
    p = np.exp(logits)
    return p / p.sum(axis=1, keepdims=True), truth, np.where(hard, "hard", "easy").tolist()


@pytest.mark.parametrize("n", SIZES)
def test_conformal_sets_hold_the_true_answer_often_enough_in_each_group(n):
    alpha, draws = 0.1, 1000
    held = {"all": [], "hard by group": [], "hard together": []}
    for i in range(draws):
        rng = np.random.default_rng([n, i])
        p, truth, group = _answers(rng, n)
        new, new_truth, new_group = _answers(rng, 100)
        scores = 1 - p[np.arange(n), truth]
        hard = np.asarray(new_group) == "hard"
        together = conformal_sets(new, conformal_quantile(scores, alpha))[np.arange(100), new_truth]
        apart = conformal_sets(new, group_quantiles(scores, group, alpha), new_group)[np.arange(100), new_truth]
        held["all"].append(together.mean())
        held["hard together"].append(together[hard].mean())
        held["hard by group"].append(apart[hard].mean())
    for name in ("all", "hard by group"):
        noise = 3 * np.std(held[name]) / math.sqrt(draws)
        assert 1 - alpha - noise <= np.mean(held[name]) <= 1 - alpha + 0.02 + noise
    assert np.mean(held["hard together"]) < 0.85  # what holds on the average alone


def test_the_cut_of_a_report_by_hand():
    assert claim_cut([0.9, 0.5, 0.2], [1, 1, 1]) == -math.inf
    assert claim_cut([0.9, 0.5, 0.2], [1, 0, 1]) == 0.5
    assert claim_cut([0.9, 0.5, 0.2], [0, 1, 1]) == 0.9
    assert claim_cut([], []) == -math.inf
    assert claim_cut([0.9, 0.5, 0.2, 0.1], [1, 0, 1, 0], share=0.5) == -math.inf
    assert claim_cut([0.9, 0.5, 0.2, 0.1], [1, 0, 1, 0], share=0.6) == 0.5
    assert claim_cut([0.9, 0.5, 0.2, 0.1], [1, 1, 1, 0], share=0.8) == 0.1
    assert claim_cut([0.5, 0.5], [1, 0]) == 0.5
    assert keep_claims([0.9, 0.5, 0.2], 0.5).tolist() == [True, False, False]
    assert keep_claims([0.9], math.inf).tolist() == [False]


def _report(rng):
    claims = rng.integers(1, 8)
    score = rng.random(claims).round(2)  # with ties
    return score, rng.random(claims) < 0.4 + 0.6 * score


@pytest.fixture(scope="module")
def cuts():
    """Cuts of a large pool of reports: n of them are drawn each time, because reports are what is slow to make."""
    rng = np.random.default_rng(7)
    reports = [_report(rng) for _ in range(10_000)]
    return {share: np.asarray([claim_cut(score, right, share) for score, right in reports]) for share in (1.0, 0.7)}


@pytest.mark.parametrize(("n", "share"), [(200, 1.0), (500, 1.0), (1000, 1.0), (200, 0.7)])
def test_what_is_kept_of_a_report_is_all_right_often_enough(n, share, cuts):
    alpha, draws, per_draw = 0.2, 1000, 2
    good, rng = [], np.random.default_rng(n)
    for _ in range(draws):
        quantile = conformal_quantile(rng.choice(cuts[share], n), alpha)
        for _ in range(per_draw):
            score, right = _report(rng)
            kept = keep_claims(score, quantile)
            good.append(not kept.any() or right[kept].mean() >= share)
    noise = 3 * math.sqrt(alpha * (1 - alpha) / len(good))
    assert 1 - alpha - noise <= np.mean(good)
    if share == 1.0:
        assert np.mean(good) <= 1 - alpha + 0.05
