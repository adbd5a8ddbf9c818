import json

import pytest

from tests.unit.evaluate.answers import item, said
from vesalius.evaluate import vqa


def _items():
    return [item(i, "yes" if i % 2 else "no", said("yes" if i % 2 else "no", p_yes=0.6 + 0.01 * i if i % 2 else 0.4)) for i in range(12)]


def test_only_test_parts_are_scored_and_development_fits_the_map():
    development = [item(100 + i, "yes", said("yes" if i % 3 else "no", confidence=0.8), part="official/development") for i in range(60)]
    found = vqa.score([*_items(), *development], replicates=50)
    assert list(found["parts"]) == ["official/test"]
    assert found["parts"]["official/test"]["items"] == 12
    assert found["calibration"]["official"]["closed"]["n"] == 60
    assert found["items"] == 72


def test_scoring_is_a_pure_function_of_the_records():
    first, second = (vqa.score(_items(), replicates=50) for _ in range(2))
    assert first == second
    json.dumps(first, allow_nan=False)


def test_order_of_the_records_changes_no_value():
    def values(items):
        part = vqa.score(items, replicates=50)["parts"]["official/test"]
        return [part["systems"][name]["overall"]["value"] for name in part["systems"]], part["reliance"]["grounded"]["value"]

    assert values(_items()) == values(_items()[::-1])


def test_findings_are_ranked_by_the_probability_of_yes():
    rows = [item(i, "yes" if i % 2 else "no", said("no", p_yes=0.4 if i % 2 else 0.3), blank="no", tags={"finding": "Pneumonia"}) for i in range(10)]
    table = vqa.score(rows, replicates=50)["parts"]["official/test"]["findings"]["Pneumonia"]
    assert table["positives"] == 5
    assert table["auroc"]["model"]["value"] == 1.0  # all answers are no, and yet the ranking is perfect
    assert table["accuracy"]["value"] == 0.5
    assert table["auroc"]["blank image"]["value"] is None


def test_a_baseline_stands_in_its_own_protocol_only():
    items = [*_items(), item(200, "yes", "yes", part="image_disjoint/test")]
    found = vqa.score(items, baselines={"official": {"majority": {i.id: said("yes") for i in items}}}, replicates=50)
    assert "majority" in found["parts"]["official/test"]["systems"]
    assert "majority" not in found["parts"]["image_disjoint/test"]["systems"]


def test_no_items_give_no_parts():
    assert vqa.score([])["parts"] == {}


@pytest.mark.parametrize("gold", ["yes", "left lung"])
def test_a_model_that_gives_no_probabilities_is_scored_all_the_same(gold):
    found = vqa.score([item(i, gold, gold) for i in range(4)], replicates=50)["parts"]["official/test"]
    assert found["systems"]["model"]["overall"]["value"] == 1.0
    assert found["selective"]["n"] == 0


def test_one_positive_film_gives_an_auroc_but_no_interval():
    rows = [item(i, "no" if i else "yes", said("no", p_yes=0.1 if i else 0.4), tags={"finding": "Hernia"}) for i in range(10)]
    found = vqa.score(rows, replicates=50)["parts"]["official/test"]["findings"]["Hernia"]["auroc"]["model"]
    assert found["value"] == 1.0
    assert found["low"] is None
    assert "only 1 clusters" in found["method"]
