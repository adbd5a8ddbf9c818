import numpy as np
import pytest

from vesalius.errors import InvalidValue
from vesalius.metrics.logistic import fit_logistic, sigmoid


def _cases(seed=0, n=300, weights=(2.0, 1.0, -1.5)):
    rng = np.random.default_rng(seed)
    x = rng.random((n, len(weights)))
    return x, (rng.random(n) < sigmoid(x @ np.asarray(weights) - 1)).astype(int)


def _loss(x, y, intercept, weights, ridge=1.0):
    z = x @ weights + intercept
    return float(np.logaddexp(0, z).sum() - (y * z).sum() + ridge / 2 * (weights**2).sum())


def test_no_weight_is_negative_and_no_step_that_keeps_it_so_is_better():
    x, y = _cases()
    intercept, weights = fit_logistic(x, y)
    assert (weights >= 0).all()
    assert weights[2] == 0.0
    least = _loss(x, y, intercept, weights)
    rng = np.random.default_rng(1)
    for _ in range(200):
        step = rng.normal(0, 0.05, 4)
        assert _loss(x, y, intercept + step[0], np.maximum(weights + step[1:], 0)) >= least - 1e-9


def test_the_order_of_rows_hardly_matters():
    x, y = _cases()
    order = np.random.default_rng(2).permutation(len(x))
    intercept, weights = fit_logistic(x, y)
    again, same = fit_logistic(x[order], y[order])
    assert again == pytest.approx(intercept, abs=1e-7)
    assert same == pytest.approx(weights, abs=1e-7)


def test_more_ridge_smaller_weights():
    x, y = _cases()
    assert fit_logistic(x, y, ridge=100.0)[1].sum() < fit_logistic(x, y)[1].sum()


@pytest.mark.parametrize(
    ("x", "y", "how"),
    [
        ([[0.1], [0.2]], [0, 0], {}),
        ([[0.1], [0.2]], [0, 2], {}),
        ([[0.1], [np.nan]], [0, 1], {}),
        ([0.1, 0.2], [0, 1], {}),
        ([[0.1], [0.2]], [0], {}),
        ([[0.1], [0.2]], [0, 1], {"ridge": 0.0}),
    ],
)
def test_what_cannot_be_fitted_is_refused(x, y, how):
    with pytest.raises(InvalidValue):
        fit_logistic(x, y, **how)
