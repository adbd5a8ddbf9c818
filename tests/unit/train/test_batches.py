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
    assert _collate()(_items()).counts == {"answer": 5.0, "consistency": 0.0, "contrast": 0.0, "agreement": 0.0}


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


def _grouped_items():
    def rows(image, source):
        first = [Example(image, f"{image} {n}", "yes", source, closed=True, group=f"{image} {n}") for n in range(3)]
        made = [Example(image, f"{e.question} made {k}", "no", source, closed=True, group=e.group, polarity=-1, reworded=True) for e in first for k in range(5)]
        return ImageItem(image, (*first, *made), (1.0,) * 18)

    return [rows("a.png", "s"), rows("b.png", "s"), rows("c.png", "other")]


def _drawing(**how):
    names = {e.question for item in _grouped_items() for e in item.examples}
    targets = {(q, a): (5, 2) for q in names for a in ("yes", "no")}
    finals = {p: torch.zeros(2, 2).half() for p in targets}
    texts = Texts({}, targets, {q: torch.zeros(2).half() for q in names})
    features = {f"{n}.png": torch.zeros(1, 3, 4, 4).half() for n in "abc"}
    return Collate(features, texts, finals, {2: 0, 5: 1}, **how)


def test_whole_groups_are_drawn_with_their_own_wording_and_so_many_others():
    collate = _drawing(most=4, together=2)
    picked = collate._pick(_grouped_items()[0])
    groups = {e.group: [o for o in picked if o.group == e.group] for e in picked}
    assert len(groups) == 2  # two groups of three reach four wordings
    assert all([e.reworded for e in rows] == [False, True, True] for rows in groups.values())
    batch = collate(_grouped_items()[:1])
    assert len(batch.consistency) == 4
    assert not batch.free.any()


def test_borrowed_wordings_are_asked_of_an_image_of_the_same_source_and_count_as_no_answer():
    import random

    random.seed(3)
    collate = _drawing(most=9, together=2, borrow=4.0)
    chosen = _grouped_items()
    lent = collate._borrowed(chosen, 9)
    assert lent
    for row, example in lent:
        assert example.image != chosen[row].image
        assert example.source == chosen[row].examples[0].source == "s"
    batch = collate(chosen)
    assert int(batch.free.sum()) > 0
    assert batch.counts["answer"] == 2.0 * int((~batch.free).sum())
    pairs = batch.consistency
    assert len(pairs) == batch.counts["consistency"] == batch.counts["agreement"] / 2
    assert (batch.free[pairs[:, 0]] == batch.free[pairs[:, 1]]).all()  # nothing known is compared with what is not


def test_nothing_is_borrowed_when_nothing_is_drawn():
    assert not _drawing(draw=False, borrow=4.0)(_grouped_items()).free.any()
