import numpy as np
import pytest

from vesalius.metrics import resample
from vesalius.metrics.resample import bootstrap_weights, numbered_rows, shuffles, weighted_auroc, weighted_average_precision
from vesalius.metrics.selective import auroc


def test_every_stratum_keeps_its_size():
    weights = np.concatenate(list(bootstrap_weights([3, 7], 50, np.random.default_rng(0))))
    assert weights.shape == (50, 10)
    assert (weights[:, :3].sum(axis=1) == 3).all()
    assert (weights[:, 3:].sum(axis=1) == 7).all()
    assert weights.std() > 0


def test_blocks_hold_all_replicates(monkeypatch):
    monkeypatch.setattr(resample, "_BLOCK", 35)
    assert [len(w) for w in bootstrap_weights([10], 8, np.random.default_rng(0))] == [3, 3, 2]


def test_labels_are_shuffled_within_their_kind_only():
    labels, within = np.array([0, 0, 1, 1, 2, 2]), np.array([0, 0, 0, 0, 1, 1])
    drawn = np.concatenate(list(shuffles(labels, within, 40, np.random.default_rng(0))))
    assert (drawn[:, 4:] == 2).all()
    assert (np.sort(drawn[:, :4], axis=1) == [0, 0, 1, 1]).all()
    assert len(np.unique(drawn, axis=0)) > 3


def test_weights_are_repetitions(monkeypatch):
    rng = np.random.default_rng(1)
    score, label, codes = np.round(rng.random(80), 1), rng.random(80) < 0.4, rng.integers(0, 20, 80)
    weights = np.concatenate(list(bootstrap_weights([20], 6, rng)))
    repeated = [np.repeat(np.arange(80), row[codes].astype(int)) for row in weights]
    expected = [auroc(score[i], label[i]) for i in repeated]
    assert weighted_auroc(score, label, codes)(weights) == pytest.approx(expected)
    monkeypatch.setattr(resample, "_PAIRS", 0)
    monkeypatch.setattr(resample, "_BLOCK", 200)
    assert weighted_auroc(score, label, codes)(weights) == pytest.approx(expected)


@pytest.mark.parametrize("most", [0, 10**9])
def test_pairs_are_formed_within_a_question(monkeypatch, most):
    monkeypatch.setattr(resample, "_PAIRS", most)
    score, label = np.array([0.9, 0.8, 0.2, 0.1]), np.array([1, 1, 0, 0])
    one = np.ones((1, 4))
    assert weighted_auroc(score, label, np.arange(4))(one)[0] == 1.0
    assert np.isnan(weighted_auroc(score, label, np.arange(4), ["a", "a", "b", "b"])(one)[0])
    assert weighted_auroc(score, label, np.arange(4), ["a", "b", "a", "b"])(one)[0] == 1.0
    assert weighted_auroc([0.9, 0.2, 0.1, 0.8], [1, 0, 1, 0], np.arange(4), ["a", "a", "b", "b"])(one)[0] == 0.5
    assert np.isnan(weighted_auroc([], [], np.empty(0, dtype=int))(np.ones((1, 0)))[0])


def test_average_precision_by_hand():
    found = weighted_average_precision([0.9, 0.8, 0.7, 0.7], [1, 0, 1, 0], np.arange(4))
    assert found(np.ones((1, 4)))[0] == pytest.approx(0.5 * 1 + 0.5 * 0.5)
    assert found(np.array([[0.0, 1, 2, 1]]))[0] == pytest.approx(0.5)
    assert np.isnan(found(np.array([[0.0, 1, 0, 1]]))[0])
    assert np.isnan(weighted_average_precision([], [], np.empty(0, dtype=int))(np.ones((1, 0)))[0])


def test_rows_are_numbered():
    assert len(set(numbered_rows(np.array([[True, False], [True, False], [False, True]])).tolist())) == 2
