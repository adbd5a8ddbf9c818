"""Groups and findings against fairlearn and scikit-learn, to 1e-6."""

import numpy as np
import pytest

from vesalius.metrics.fairness import Combined, answer_measures, association, compare, one_less
from vesalius.metrics.findings import Told, best_f1_threshold, counts, macro, ranking, rates
from vesalius.metrics.groups import CalibrationError, Separation
from vesalius.metrics.resample import bootstrap_weights, weighted_auroc, weighted_average_precision

FEW = {"replicates": 20, "permutations": 0, "minimum": 1}
ODDS = (Combined("equalized_odds", ("tpr", "fpr")), Combined("average_odds", ("tpr", "fpr"), "mean"))


def _answers(seed, n=600):
    rng = np.random.default_rng(seed)
    group = rng.choice(["18-39", "40-59", "60-79"], n, p=[0.2, 0.5, 0.3])
    gold = rng.random(n) < 0.4
    said = np.where(gold, rng.random(n) < np.where(group == "60-79", 0.6, 0.8), rng.random(n) < 0.2)
    return group, gold, said, np.round(np.clip(0.5 * said + rng.normal(0.25, 0.2, n), 0, 1), 2)


@pytest.mark.parametrize("seed", range(4))
def test_groups_and_gaps_as_fairlearn(seed):
    theirs = pytest.importorskip("fairlearn.metrics")
    group, gold, said, _ = _answers(seed)
    found = compare(answer_measures(gold, said, np.ones(len(gold), bool)), list(group), np.arange(len(gold)), combined=ODDS, **FEW)
    given = {"y_true": gold, "y_pred": said, "sensitive_features": group}
    frames = {"tpr": theirs.true_positive_rate, "fpr": theirs.false_positive_rate, "positive_rate": theirs.selection_rate}
    for name, function in frames.items():
        frame = theirs.MetricFrame(metrics=function, **given)
        for value in np.unique(group):
            assert found[name].groups[value].value == pytest.approx(frame.by_group[value], abs=1e-6)
        assert found[name].gap.value == pytest.approx(frame.difference(), abs=1e-6)
    assert found["positive_rate"].gap.value == pytest.approx(theirs.demographic_parity_difference(**given), abs=1e-6)
    assert found["tpr"].gap.value == pytest.approx(theirs.equal_opportunity_difference(**given), abs=1e-6)
    assert found["equalized_odds"].gap.value == pytest.approx(theirs.equalized_odds_difference(**given), abs=1e-6)
    assert found["average_odds"].gap.value == pytest.approx(theirs.equalized_odds_difference(**given, agg="mean"), abs=1e-6)
    tnr = theirs.MetricFrame(metrics=theirs.true_negative_rate, **given).difference()
    tpr = theirs.MetricFrame(metrics=theirs.true_positive_rate, **given).difference()
    assert one_less(found["average_odds"], "eod").gap.value == pytest.approx(1 - (tpr + tnr) / 2, abs=1e-6)


def test_auroc_and_calibration_by_group():
    metrics = pytest.importorskip("sklearn.metrics")
    calibration = pytest.importorskip("sklearn.calibration")
    group, gold, _, score = _answers(9)
    every = np.ones(len(gold), bool)
    found = compare([Separation("auroc", score, gold, every), CalibrationError("ece", score, gold, every)], list(group), np.arange(len(gold)), **FEW)
    for value in np.unique(group):
        inside = group == value
        assert found["auroc"].groups[value].value == pytest.approx(metrics.roc_auc_score(gold[inside], score[inside]), abs=1e-6)
        table = calibration.calibration_curve(gold[inside], score[inside], n_bins=15)
        sizes = np.bincount(np.digitize(score[inside], np.linspace(0, 1, 16)[1:-1], right=True), minlength=15)
        assert found["ece"].groups[value].value == pytest.approx((sizes[sizes > 0] * np.abs(table[0] - table[1])).sum() / inside.sum(), abs=1e-6)


@pytest.mark.parametrize("seed", range(3))
def test_resampled_rankings_as_scikit_learn_with_sample_weights(seed):
    metrics = pytest.importorskip("sklearn.metrics")
    _, gold, _, score = _answers(seed, 300)
    codes = np.random.default_rng(seed).integers(0, 60, 300)
    auroc, precision = weighted_auroc(score, gold, codes), weighted_average_precision(score, gold, codes)
    for weights in bootstrap_weights([20, 40], 5, np.random.default_rng(1)):
        for row, area, average in zip(weights, auroc(weights), precision(weights), strict=True):
            assert area == pytest.approx(metrics.roc_auc_score(gold, score, sample_weight=row[codes]), abs=1e-6)
            assert average == pytest.approx(metrics.average_precision_score(gold, score, sample_weight=row[codes]), abs=1e-6)


def _findings(seed):
    rng = np.random.default_rng(seed)
    names = np.tile(["A", "B", "C", "D"], 150)
    gold = rng.random(600) < np.tile([0.5, 0.2, 0.05, 0.3], 150)
    score = np.round(np.clip(0.3 * gold + rng.random(600) * 0.7, 0, 1), 2)
    said = (score > np.tile([0.5, 0.5, 0.5, 2.0], 150)).astype(float)  # D is never said
    return names, gold, said, score


@pytest.mark.parametrize("seed", range(3))
def test_findings_as_scikit_learn(seed):
    metrics = pytest.importorskip("sklearn.metrics")
    names, gold, said, score = _findings(seed)
    told = Told(list(names), gold, said, score, [str(i // 4) for i in range(600)])
    table, spoken, scores = (a.reshape(150, 4) for a in (gold, said.astype(bool), score))
    for average in ("micro", "macro"):
        p, r, f, _ = metrics.precision_recall_fscore_support(table, spoken, average=average, zero_division=0)
        if average == "micro":
            found = rates(counts(told, unread="negative"), told.clusters, replicates=20)
        else:
            found = macro(told, unread="negative", replicates=20)
        assert [found[name].value for name in ("precision", "recall", "f1")] == pytest.approx([p, r, f], abs=1e-6)
    ranks = ranking(told, replicates=20)
    assert ranks["macro"]["auroc"].value == pytest.approx(metrics.roc_auc_score(table, scores, average="macro"), abs=1e-6)
    assert ranks["macro"]["auprc"].value == pytest.approx(metrics.average_precision_score(table, scores, average="macro"), abs=1e-6)
    for place, name in enumerate("ABCD"):
        own = told.only(names == name)
        found = rates(counts(own, unread="negative"), own.clusters, replicates=20)
        p, r, f, _ = metrics.precision_recall_fscore_support(table[:, place], spoken[:, place], average="binary", zero_division=0)
        assert (found["precision"].value or 0.0, found["recall"].value, found["f1"].value) == pytest.approx((p, r, f), abs=1e-6)
        assert ranks["findings"][name]["auroc"].value == pytest.approx(metrics.roc_auc_score(table[:, place], scores[:, place]), abs=1e-6)


@pytest.mark.parametrize("seed", range(5))
def test_threshold_of_the_largest_f1(seed):
    metrics = pytest.importorskip("sklearn.metrics")
    _, gold, _, score = _findings(seed)
    threshold = best_f1_threshold(score, gold)
    p, r, t = metrics.precision_recall_curve(gold, score)
    f1 = 2 * p * r / np.maximum(p + r, 1e-12)
    best = f1[:-1].max()
    assert metrics.f1_score(gold, score >= threshold) == pytest.approx(best, abs=1e-6)
    assert threshold == pytest.approx(t[np.flatnonzero(f1[:-1] >= best - 1e-12)[0]])


def test_association_as_scipy():
    contingency = pytest.importorskip("scipy.stats.contingency")
    rng = np.random.default_rng(0)
    first, second = rng.choice(list("ab"), 200), rng.choice(list("xyz"), 200)
    table = [[int(((first == a) & (second == b)).sum()) for b in "xyz"] for a in "ab"]
    found = association(list(first), list(second), np.arange(200), permutations=50)
    assert found.v == pytest.approx(contingency.association(np.asarray(table), method="cramer"), abs=1e-9)
