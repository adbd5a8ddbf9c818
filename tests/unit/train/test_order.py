from collections import Counter

import numpy as np
import pytest

from vesalius.errors import InvalidValue
from vesalius.train.order import Shuffled, mixed


def _flat(batches, epoch):
    return [i for batch in batches.epoch(epoch) for i in batch]


def test_an_epoch_is_every_item_once_in_a_new_order():
    batches = Shuffled(list(range(23)), 4, seed=1)
    assert len(batches) == 6
    assert sorted(_flat(batches, 0)) == sorted(_flat(batches, 1)) == list(range(23))
    assert _flat(batches, 0) != _flat(batches, 1)
    assert [len(b) for b in batches.epoch(0)] == [4, 4, 4, 4, 4, 3]


def test_the_order_depends_on_seed_and_epoch_alone():
    one, two = Shuffled(list(range(50)), 4, seed=1), Shuffled(list(range(50)), 4, seed=1)
    _flat(one, 0)  # what was drawn before plays no part
    np.random.seed(0)  # noqa: NPY002
    assert list(one.epoch(7)) == list(two.epoch(7))
    assert _flat(one, 0) != _flat(Shuffled(list(range(50)), 4, seed=2), 0)


@pytest.mark.parametrize("settings", [{}, {"length": float}, {"weights": np.arange(1, 51)}, {"length": float, "weights": np.arange(1, 51), "size": 80}])
def test_an_epoch_can_be_entered_anywhere(settings):
    batches = Shuffled(list(range(50)), 4, seed=1, **settings)
    whole = list(batches.epoch(3))
    assert len(whole) == len(batches)
    for start in range(len(whole) + 1):
        assert list(batches.epoch(3, start)) == whole[start:]


def test_entering_late_collates_nothing_before():
    seen = []
    batches = Shuffled(list(range(20)), 4, seed=1, collate=lambda chosen: seen.append(tuple(chosen)))
    list(batches.epoch(0, 3))
    assert len(seen) == 2


def test_similar_lengths_come_together_in_random_order():
    lengths = np.random.default_rng(0).integers(1, 100, 400)
    batches = Shuffled([int(n) for n in lengths], 8, seed=1, length=float)
    drawn = list(batches.epoch(0))
    assert sorted(i for b in drawn for i in b) == sorted(lengths)
    spread = np.mean([max(b) - min(b) for b in drawn])
    plain = np.mean([max(b) - min(b) for b in Shuffled([int(n) for n in lengths], 8, seed=1).epoch(0)])
    assert spread < 5 < 50 < plain
    means = [np.mean(b) for b in drawn]
    assert abs(np.corrcoef(means, range(len(means)))[0, 1]) < 0.5
    assert [sorted(b) for b in batches.epoch(1)] != [sorted(b) for b in drawn]


def test_weights_hold_within_every_epoch():
    weights = np.array([1.0, 2.0, 0.0, 0.5, 1.5])
    batches = Shuffled(list("abcde"), 2, seed=1, weights=weights, size=20)
    for epoch in range(20):
        count = Counter(_flat(batches, epoch))
        expected = dict(zip("abcde", weights / weights.sum() * 20, strict=True))
        assert all(abs(count[k] - expected[k]) < 1 for k in "abcde"), count
        assert sum(count.values()) == 20


def test_the_fingerprint_tells_data_apart():
    base = {"items": list(range(9)), "batch_size": 2, "seed": 1}
    changes = [{}, {"items": list(range(8))}, {"batch_size": 3}, {"seed": 2}, {"length": float}, {"weights": np.ones(9)}, {"size": 5}, {"name": "v2"}]
    prints = [Shuffled(**{**base, **c}).fingerprint for c in changes]
    assert len(set(prints)) == len(prints)
    assert Shuffled(**base).fingerprint == prints[0]


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"items": []}, "no items"),
        ({"batch_size": 0}, "batch_size must be >= 1"),
        ({"seed": -1}, "seed >= 0"),
        ({"size": 0}, "size must be 1 to 5"),
        ({"size": 6}, "size must be 1 to 5"),
        ({"weights": [1, 2]}, "weights must be 5"),
        ({"weights": [1, 2, 3, 4, float("nan")]}, "finite"),
        ({"weights": [1, 2, 3, 4, -1]}, ">= 0"),
        ({"weights": [0] * 5}, "not all 0"),
    ],
)
def test_wrong_orders_are_refused(changes, says):
    with pytest.raises(InvalidValue, match=says):
        Shuffled(**{"items": list(range(5)), "batch_size": 2, "seed": 1, **changes})


def test_mixing_gives_sources_their_shares_and_answers_the_same_chance():
    sources = ["rad"] * 6 + ["slake"] * 3 + ["other"]
    answers = ["no", "no", "no", "yes", None, None, None, "yes", "no", None]
    weights = mixed(sources, {"rad": 3, "slake": 1}, answers)
    assert weights.sum() == pytest.approx(1)
    assert weights[:6].sum() == pytest.approx(0.75)
    assert weights[6:9].sum() == pytest.approx(0.25)
    assert weights[9] == 0
    assert weights[:3].sum() == pytest.approx(weights[3])  # "no" three times is "yes" once
    assert weights[:4].sum() == pytest.approx(0.75 * 4 / 6)  # yes/no questions keep their share among the others
    assert weights[4] == pytest.approx(0.75 / 6)


def test_mixing_without_shares_keeps_sizes():
    assert mixed(["a", "a", "b"], {}) == pytest.approx([1 / 3] * 3)


@pytest.mark.parametrize(
    ("arguments", "says"), [((["a"], {"b": 1}), "no item belongs"), (([], {}), "no item belongs"), ((["a"], {}, [None, None]), "an answer for each")]
)
def test_wrong_mixtures_are_refused(arguments, says):
    with pytest.raises(InvalidValue, match=says):
        mixed(*arguments)
