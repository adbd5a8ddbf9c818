"""The package's own arithmetic against scikit-learn, scipy, sacrebleu and rouge-score, to 1e-6."""

import warnings

import numpy as np
import pytest

from vesalius.metrics.calibration import brier, fit_isotonic, fit_temperature, reliability
from vesalius.metrics.selective import auroc
from vesalius.metrics.statistics import clopper_pearson, cluster_bootstrap, wilson
from vesalius.metrics.text import bleu1, normalise, token_f1, token_recall

TEXTS = [
    ("the right lower lobe shows a dense consolidation", "right lower lobe consolidation"),
    ("consolidation", "dense consolidation in the right lower lobe"),
    ("left left left kidney", "left kidney and right kidney"),
    ("no acute findings", "enlarged heart"),
    ("T2 weighted MRI of the brain", "t2 weighted mri of the brain"),
    ("nodule", "nodule"),
]


def _scores(seed=0, n=400):
    rng = np.random.default_rng(seed)
    score = np.round(rng.random(n), 2)  # many ties
    return score, (rng.random(n) < score).astype(int)


def test_auroc():
    metrics = pytest.importorskip("sklearn.metrics")
    for seed in range(5):
        score, label = _scores(seed)
        assert auroc(score, label) == pytest.approx(metrics.roc_auc_score(label, score), abs=1e-6)


def test_brier_and_reliability_table():
    metrics, calibration = pytest.importorskip("sklearn.metrics"), pytest.importorskip("sklearn.calibration")
    score, label = np.random.default_rng(3).random(500), np.random.default_rng(4).integers(0, 2, 500)
    assert brier(score, label) == pytest.approx(metrics.brier_score_loss(label, score), abs=1e-6)
    true, predicted = calibration.calibration_curve(label, score, n_bins=15)
    table = reliability(score, label, 15)
    assert table.accuracy == pytest.approx(true, abs=1e-6)
    assert table.confidence == pytest.approx(predicted, abs=1e-6)


def test_isotonic():
    isotonic = pytest.importorskip("sklearn.isotonic")
    score, label = _scores(7)
    theirs = isotonic.IsotonicRegression(y_min=0, y_max=1, out_of_bounds="clip").fit(score, label)
    ours = fit_isotonic(score, label)
    grid = np.linspace(0, 1, 997)
    assert [ours(v) for v in grid] == pytest.approx(theirs.predict(grid), abs=1e-6)


def test_platt_without_smoothing_is_logistic_regression():
    linear = pytest.importorskip("sklearn.linear_model")
    from vesalius.metrics.calibration import _logits, _newton

    score, label = np.clip(_scores(8)[0], 0.01, 0.99), _scores(8)[1]
    z = _logits(score)
    theirs = linear.LogisticRegression(C=1e10, tol=1e-10, max_iter=1000).fit(z[:, None], label)
    slope, intercept = _newton(np.stack([z, np.ones_like(z)], axis=1), label.astype(float))
    assert slope == pytest.approx(theirs.coef_[0, 0], abs=1e-4)
    assert intercept == pytest.approx(theirs.intercept_[0], abs=1e-4)


def test_temperature_is_the_likelihood_optimum():
    optimize = pytest.importorskip("scipy.optimize")
    score, label = np.clip(_scores(9)[0], 0.01, 0.99), _scores(9)[1]
    z = np.log(score / (1 - score))

    def loss(log_t):
        x = z / np.exp(log_t)
        return (np.logaddexp(0, x) - label * x).sum()

    best = optimize.minimize_scalar(loss, bounds=(-4, 4), method="bounded", options={"xatol": 1e-10})
    assert fit_temperature(score, label).temperature == pytest.approx(np.exp(best.x), rel=1e-5)


@pytest.mark.parametrize(("k", "n"), [(0, 12), (1, 30), (23, 158), (59, 59), (5000, 20000)])
def test_binomial_intervals(k, n):
    stats = pytest.importorskip("scipy.stats")
    for confidence in (0.9, 0.95, 0.99):
        for ours, method in ((clopper_pearson, "exact"), (wilson, "wilson")):
            theirs = stats.binomtest(k, n).proportion_ci(confidence, method)
            mine = ours(k, n, confidence=confidence)
            assert (mine.low, mine.high) == pytest.approx((theirs.low, theirs.high), abs=1e-6)


def test_bootstrap_of_single_answers_is_scipys_percentile_interval():
    stats = pytest.importorskip("scipy.stats")
    values = np.random.default_rng(0).normal(size=80)
    theirs = stats.bootstrap((values,), np.mean, n_resamples=20_000, method="percentile", rng=1).confidence_interval
    mine = cluster_bootstrap(lambda v: float(v.mean()), values, clusters=None, replicates=20_000)
    # two Monte Carlo runs: their ends agree to the noise of 20,000 draws, not to 1e-6
    assert (mine.low, mine.high) == pytest.approx((theirs.low, theirs.high), abs=0.01)


@pytest.mark.parametrize(("prediction", "gold"), TEXTS)
def test_bleu1(prediction, gold):
    sacrebleu = pytest.importorskip("sacrebleu")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        metric = sacrebleu.BLEU(max_ngram_order=1, tokenize="none", smooth_method="none", effective_order=True, force=True)
        theirs = metric.sentence_score(normalise(prediction), [normalise(gold)]).score / 100
    assert bleu1(prediction, gold) == pytest.approx(theirs, abs=1e-6)


@pytest.mark.parametrize(("prediction", "gold"), TEXTS)
def test_token_overlap_is_rouge_1(prediction, gold):
    rouge_scorer = pytest.importorskip("rouge_score.rouge_scorer")
    theirs = rouge_scorer.RougeScorer(["rouge1"], use_stemmer=False).score(normalise(gold), normalise(prediction))["rouge1"]
    assert token_f1(prediction, gold) == pytest.approx(theirs.fmeasure, abs=1e-6)
    assert token_recall(prediction, gold) == pytest.approx(theirs.recall, abs=1e-6)
