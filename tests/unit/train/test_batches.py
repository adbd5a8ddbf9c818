"""Batches: counts are sums, pairs are what they claim, deep and final states speak of the same positions."""

import torch

from vesalius.train.batches import IGNORE, Collate, ImageItem, _contrasts, _wordings
from vesalius.train.examples import Example
from vesalius.train.features import Texts


def _example(image, question, answer, group="", polarity=1):
    return Example(image, question, answer, "s", closed=answer in ("yes", "no"), group=group, polarity=polarity)


def _collate(finals=None):
    deep = {("q", "yes"): torch.arange(12.0).view(6, 2).half(), ("longer", "a b"): torch.arange(16.0).view(8, 2).half()}
    targets = {("q", "yes"): (5, 2), ("longer", "a b"): (7, 8, 2)}
    if finals:
        finals = {p: t[-len(targets[p]) :] for p, t in deep.items()}
    features = {"a.png": torch.zeros(1, 3, 4, 4).half(), "b.png": torch.ones(2, 3, 4, 4).half()}
    words = {"q": torch.tensor([1.0, 2.0]).half(), "longer": torch.tensor([3.0, 4.0]).half()}
    return Collate(features, Texts(deep, targets, words), finals, {2: 0, 5: 1, 7: 2, 8: 3}, draw=False)


def _items():
    first, second = _example("a.png", "q", "yes"), _example("b.png", "longer", "a b")
    return [ImageItem("a.png", (first,), (1.0,)), ImageItem("b.png", (second,), (1.0,))]


def test_deep_places_point_at_the_predecessors_of_the_answer():
    batch = _collate()(_items())
    assert batch.deep
    assert batch.places[0, :2].tolist() == [4, 5]
    assert batch.places[1].tolist() == [5, 6, 7]
    assert batch.targets.tolist() == [[1, 0, IGNORE], [2, 3, 0]]


def test_final_states_are_those_at_the_places():
    deep, final = _collate()(_items()), _collate(finals=True)(_items())
    gathered = deep.states.gather(1, deep.places[:, :, None].expand(-1, -1, 2))
    keep = deep.targets != IGNORE
    torch.testing.assert_close(gathered[keep], final.states[keep])


def test_counts_are_of_answer_tokens():
    assert _collate()(_items()).counts == {"answer": 5.0, "consistency": 0.0, "contrast": 0.0}


def test_wordings_pair_within_a_group_with_their_relative_polarity():
    rows = [_example("a", "1", "yes", "g"), _example("a", "2", "no", "g", -1), _example("a", "3", "no", "g", -1), _example("a", "4", "yes", "h")]
    assert _wordings(rows).tolist() == [[0, 1, -1], [1, 2, 1]]


def test_contrasts_pair_the_same_words_with_opposite_answers():
    rows = [_example("a", "Q", "yes"), _example("b", "q", "no"), _example("c", "other", "no")]
    assert _contrasts(rows).tolist() == [[0, 1]]
    assert _contrasts(rows[2:]).shape == (0, 2)


def test_each_row_brings_its_questions_words():
    assert _collate()(_items()).words.tolist() == [[1.0, 2.0], [3.0, 4.0]]


def test_held_out_images_are_shown_as_they_are_and_training_images_in_any_view():
    import dataclasses
    import random

    collate = _collate()
    collate = dataclasses.replace(collate, features={**collate.features, "b.png": torch.stack((torch.ones(3, 4, 4), torch.full((3, 4, 4), 7.0))).half()})
    held, trained = _items(), dataclasses.replace(collate, draw=True)
    assert {float(collate(held).image[1].max()) for _ in range(20)} == {1.0}
    random.seed(0)
    assert {float(trained(held).image[1].max()) for _ in range(20)} == {1.0, 7.0}
