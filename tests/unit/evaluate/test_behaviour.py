import pytest

from tests.unit.evaluate.answers import item, said
from vesalius.domain.exchange import Rewording
from vesalius.evaluate import behaviour
from vesalius.evaluate.accuracy import Scorer
from vesalius.evaluate.record import Partner

SCORER = Scorer(replicates=200, seed=0)


def _pair(number, first, second, relation, golds=("yes", "yes")):
    tags = {"relation": relation}
    a = item(number, golds[0], first, tags=tags, pair=f"p{number}", cluster=f"c{number}")
    return [a, item(number + 1000, golds[1], second, tags=tags, pair=f"p{number}", phrase="para", cluster=f"c{number}")]


def test_strict_pairs_flip_when_answers_differ_and_inversions_when_they_agree():
    items = [*_pair(1, "yes", "no", "strict"), *_pair(2, "yes", "yes", "strict"), *_pair(3, "yes", "yes", "inversion", ("yes", "no"))]
    items += [*_pair(4, "yes", "no", "inversion", ("yes", "no")), *_pair(5, "yes", "no", "subsumes")]
    table = behaviour.human(items, SCORER)
    assert table["strict"]["pairs"] == 2
    assert table["strict"]["rate"]["value"] == 0.5
    assert table["strict"]["harmful"]["value"] == 0.5
    assert table["inversion"]["rate"]["value"] == 0.5


def test_an_unreadable_answer_is_a_state_of_its_own():
    table = behaviour.human([*_pair(1, "yes", "yes and no", "strict"), *_pair(2, "yes", "yes", "strict")], SCORER)["strict"]
    assert table["unparsed"] == 1
    assert table["rate"]["value"] == 0.5
    assert table["rate_parsed"]["value"] == 0.0


def test_half_of_a_pair_is_no_pair():
    assert behaviour.human(_pair(1, "yes", "no", "strict")[:1], SCORER)["strict"]["pairs"] == 0


def _reworded(number, answer, *wordings, **more):
    told = tuple((Rewording(f"w{i}", family, polarity, "r"), said(text)) for i, (family, polarity, text) in enumerate(wordings))
    return item(number, "yes", answer, rewordings=told, **more)


def test_generated_wordings_by_family_with_polarity():
    items = [_reworded(1, "yes", ("negation", -1, "no"), ("typo", 1, "no")), _reworded(2, "yes", ("negation", -1, "yes"), ("typo", 1, "yes"))]
    table = behaviour.generated(items, SCORER)
    assert table["items"] == 2
    assert table["families"]["negation"]["rate"]["value"] == 0.5
    assert table["families"]["typo"]["rate"]["value"] == 0.5
    assert table["any_flip"]["value"] == 1.0
    assert table["worst_case_accuracy"]["value"] == 0.0
    assert table["accuracy"]["value"] == 1.0


def test_quadrants_place_each_item_once():
    items = [
        _reworded(1, "yes", ("typo", 1, "yes"), blank="no"),
        _reworded(2, "yes", ("typo", 1, "yes"), blank="yes"),
        _reworded(3, "yes", ("typo", 1, "no"), blank="no"),
        _reworded(4, "yes", ("typo", 1, "no"), blank="yes"),
        _reworded(5, "yes", ("typo", 1, "no"), blank="yes and no"),
    ]
    table = behaviour.quadrants(items, SCORER)["generated"]
    assert (table["n"], table["unreadable"]) == (4, 1)
    assert [table[name]["share"]["value"] for name in behaviour.QUADRANTS] == [0.25] * 4


def test_a_model_that_ignores_the_image_is_not_grounded():
    items = [item(i, "yes" if i % 2 else "no", "yes", blank="yes", swap="yes") for i in range(8)]
    table = behaviour.reliance(items, SCORER)
    assert table["opposite"]["value"] == 0.0
    assert table["same"]["value"] == 1.0
    assert table["grounded"]["value"] == 0.0
    assert table["blank_changed"]["value"] == 0.0


def test_a_perfect_model_is_grounded_and_the_images_of_its_own_cluster_prove_nothing():
    items = [item(i, "yes" if i % 2 else "no", "yes" if i % 2 else "no") for i in range(8)]
    assert behaviour.reliance(items, SCORER)["grounded"]["value"] == 1.0
    together = [item(i, "yes" if i % 2 else "no", "yes" if i % 2 else "no", cluster="one") for i in range(8)]
    assert behaviour.reliance(together, SCORER)["grounded"]["value"] is None


def test_partners_count_and_training_images_among_them_are_told():
    partners = (Partner("a.png", "a", "no", "train", said("no")), Partner("b.png", "b", "yes", "test", said("yes")))
    table = behaviour.reliance([item(1, "yes", "yes", partners=partners)], SCORER)
    assert table["opposite"]["value"] == 1.0
    assert table["same"]["value"] == 1.0
    assert table["training_images_among_partners"] == {"count": 1, "n": 2}


@pytest.mark.parametrize(("first", "second", "expected"), [("yes", "no", True), ("yes", "yes", False), ("lung", "the Lung", False), ("lung", "yes", True)])
def test_changed(first, second, expected):
    assert behaviour.changed(said(first), said(second)) is expected


def test_an_unreadable_answer_neither_changed_nor_stayed():
    assert behaviour.changed(said("yes"), said("")) is None


def test_always_no_shows_in_the_share_of_yes():
    items = [item(i, "yes" if i % 2 else "no", "no") for i in range(8)]
    share = behaviour.yes_no_share(items, SCORER)
    assert (share["said"]["value"], share["gold"]["value"]) == (0.0, 0.5)
