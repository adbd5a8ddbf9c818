"""A 95 % interval must hold the truth about 95 times in 100, on data where answers of one patient resemble each other."""

import numpy as np

from vesalius.metrics.statistics import cluster_mean, cluster_ratio

TRUTH = 0.6


def _clustered(rng, patients=60):
    size = rng.integers(1, 8, patients)
    # Beta(3, 2) has mean 0.6: patients differ, answers about one patient are alike.
    patient = np.repeat(np.arange(patients), size)
    return (rng.random(len(patient)) < rng.beta(3, 2, patients)[patient]).astype(float), patient


def test_cluster_bootstrap_covers_and_ignoring_clusters_does_not():
    rng = np.random.default_rng(20)
    held = naive = 0
    runs = 500
    for run in range(runs):
        values, patient = _clustered(rng)
        proper = cluster_mean(values, patient, replicates=400, seed=run)
        ignoring = cluster_mean(values, None, replicates=400, seed=run)
        held += proper.low <= TRUTH <= proper.high
        naive += ignoring.low <= TRUTH <= ignoring.high
    assert 0.92 <= held / runs <= 0.98
    assert naive / runs < held / runs - 0.04


def test_order_of_answers_does_not_matter():
    rng = np.random.default_rng(0)
    values, patient = _clustered(rng)
    order = rng.permutation(len(values))
    first, second = cluster_ratio(values, np.ones_like(values), patient), cluster_ratio(values[order], np.ones_like(values), patient[order])
    assert np.allclose([first.value, first.low, first.high], [second.value, second.low, second.high], atol=1e-12)
