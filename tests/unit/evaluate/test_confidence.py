import numpy as np

from tests.unit.evaluate.answers import item, said
from vesalius.evaluate import confidence
from vesalius.evaluate.accuracy import Scorer

SCORER = Scorer(replicates=100, seed=0)


def _items(n, part, *, seed, sure=0.9, right=0.6):
    rng = np.random.default_rng(seed)
    return [item(i, "yes", said("yes" if rng.random() < right else "no", confidence=sure - 0.2 * rng.random()), part=part) for i in range(n)]


def test_the_map_comes_from_development_answers_and_mends_an_overconfident_model():
    maps = confidence.fit(_items(200, "official/development", seed=1))
    assert maps["closed"]["n"] == 200
    assert maps["open"]["map"] is None
    assert "0 development answers" in maps["open"]["reason"]
    table = confidence.calibrate(_items(300, "official/test", seed=2), maps, SCORER)["closed"]
    assert table["raw"]["ece"]["value"] > 0.15
    assert table["calibrated"]["ece"]["value"] < table["raw"]["ece"]["value"] / 2
    assert table["raw"]["ece_if_calibrated"]["high"] < table["raw"]["ece"]["value"]


def test_test_answers_do_not_move_the_map():
    development = _items(100, "official/development", seed=1)
    before = confidence.fit(development)
    confidence.calibrate(_items(300, "official/test", seed=2, right=0.1), before, SCORER)
    assert confidence.fit(development) == before


def test_too_few_development_answers_give_no_map_and_say_so():
    maps = confidence.fit(_items(10, "official/development", seed=1))
    assert maps["closed"]["map"] is None
    assert confidence.calibrate(_items(20, "official/test", seed=2), maps, SCORER)["closed"]["calibrated"] is None


def test_only_right_answers_give_no_map_and_say_so():
    maps = confidence.fit(_items(50, "official/development", seed=1, right=2.0))
    assert maps["closed"]["map"] is None
    assert maps["closed"]["reason"]


def test_answers_without_confidence_are_counted_not_guessed():
    items = [*_items(20, "official/test", seed=1), item(99, "yes", "yes")]
    table = confidence.calibrate(items, confidence.fit([]), SCORER)
    assert table["without_confidence"] == 1
    assert table["all"]["raw"]["ece"]["n"] == 20


def test_confidence_of_a_yes_no_answer_falls_back_to_its_probability():
    assert confidence.confidence_of(said("no", p_yes=0.2)) == 0.8
    assert confidence.confidence_of(said("lung", p_yes=0.2)) is None


def test_a_ranking_by_truth_has_no_excess_and_perfect_separation():
    items = [item(i, "yes", said("yes" if i % 2 else "no", confidence=0.9 if i % 2 else 0.3)) for i in range(20)]
    table = confidence.select(items, confidence.fit([]), SCORER)
    assert table["excess_aurc"]["value"] == 0.0
    assert table["auroc_right_wrong"]["value"] == 1.0
    assert table["curve"]["risk"][-1] == 0.5


def test_no_confidence_at_all_gives_empty_tables():
    table = confidence.select([item(1, "yes", "yes")], confidence.fit([]), SCORER)
    assert table["n"] == 0
    assert table["aurc"]["value"] is None
