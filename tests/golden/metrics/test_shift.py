"""The balanced error against scikit-learn's balanced accuracy, which MedMNIST-C's evaluation uses."""

import numpy as np
import pytest

from vesalius.metrics.shift import balanced_error


@pytest.mark.parametrize("seed", range(5))
def test_balanced_error(seed):
    metrics = pytest.importorskip("sklearn.metrics")
    rng = np.random.default_rng(seed)
    gold, said = rng.random(200) < 0.2, rng.random(200) < 0.5
    assert balanced_error(gold == said, gold) == pytest.approx(1 - metrics.balanced_accuracy_score(gold, said), abs=1e-12)
