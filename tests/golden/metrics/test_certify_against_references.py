"""Bounds, fits and conformal sets against scipy, scikit-learn and crepes."""

import numpy as np
import pytest

from vesalius.metrics.certify import allowed_errors, conformal_quantile, conformal_sets, group_quantiles, upper_bound
from vesalius.metrics.logistic import fit_logistic


def test_the_one_sided_bound_is_a_quantile_of_beta():
    stats = pytest.importorskip("scipy.stats")
    for k in (1, 10, 29, 59, 200, 3000):
        for e in {0, 1, k // 10, k // 2, k - 1}:
            for confidence in (0.3, 0.9, 0.95, 0.995):
                if e < k:
                    assert upper_bound(e, k, confidence) == pytest.approx(stats.beta.ppf(confidence, e + 1, k - e), abs=1e-9)


def test_allowed_errors_are_binomial_quantiles():
    stats = pytest.importorskip("scipy.stats")
    for risk in (0.02, 0.1, 0.3):
        table = allowed_errors(800, risk, 0.95)
        for k in (1, 28, 29, 100, 799, 800):
            cdf = stats.binom.cdf(np.arange(k + 1), k, risk)
            assert table[k] == np.count_nonzero(cdf <= 0.05) - 1


def test_the_free_fit_is_ridge_logistic_regression():
    linear = pytest.importorskip("sklearn.linear_model")
    rng = np.random.default_rng(0)
    for n, d in ((40, 2), (400, 5)):
        x = rng.random((n, d))
        y = (rng.random(n) < 1 / (1 + np.exp(1 - x @ np.linspace(2, -1, d)))).astype(int)
        theirs = linear.LogisticRegression(C=1.0, tol=1e-12, max_iter=10_000, solver="newton-cholesky").fit(x, y)
        intercept, weights = fit_logistic(x, y, signed=True)
        assert intercept == pytest.approx(theirs.intercept_[0], abs=1e-6)
        assert weights == pytest.approx(theirs.coef_[0], abs=1e-6)


# Levels at which alpha * (n + 1) is no whole number: there crepes includes a p-value equal to alpha, one score more than the quantile asks for.
@pytest.mark.parametrize("alpha", [0.047, 0.11, 0.26])
def test_conformal_sets_together_and_by_group(alpha):
    crepes = pytest.importorskip("crepes")
    rng = np.random.default_rng(3)
    scores, groups = rng.random(237), rng.integers(0, 3, 237)
    p = rng.dirichlet([1, 1, 1], 500)
    of = rng.integers(0, 3, 500)
    theirs = crepes.ConformalClassifier().fit(scores).predict_set(1 - p, confidence=1 - alpha, smoothing=False)
    assert (conformal_sets(p, conformal_quantile(scores, alpha)) == theirs.astype(bool)).all()
    theirs = crepes.ConformalClassifier().fit(scores, bins=groups).predict_set(1 - p, bins=of, confidence=1 - alpha, smoothing=False)
    ours = conformal_sets(p, group_quantiles(scores, [str(g) for g in groups], alpha), [str(g) for g in of])
    assert (ours == theirs.astype(bool)).all()
