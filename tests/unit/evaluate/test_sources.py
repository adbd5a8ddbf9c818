"""Gaps between views and hospitals, from items by hand."""

import pytest

from tests.unit.evaluate.answers import item, said
from vesalius.evaluate import sources
from vesalius.evaluate.accuracy import Scorer
from vesalius.evaluate.record import answer_json

SCORER = Scorer(replicates=200, seed=0)


def film(number, view, gold, answer, p_yes, finding="Pneumonia"):
    return item(number, gold, said(answer, max(p_yes, 1 - p_yes), p_yes), tags={"view": view, "finding": finding})


@pytest.fixture(scope="module")
def items():
    rows = []
    for i in range(12):
        gold = "yes" if i % 2 else "no"
        rows.append(film(i, "PA", gold, gold, 0.9 if gold == "yes" else 0.1))
        rows.append(film(100 + i, "AP", gold, "no", 0.3 if gold == "yes" else 0.2))
    return rows


def test_gaps_are_the_second_view_minus_the_first(items):
    found = sources.view(items, SCORER)
    assert found["PA"]["accuracy"]["value"] == 1
    assert found["AP"]["accuracy"]["value"] == pytest.approx(0.5)
    assert found["accuracy_gap"]["value"] == found["accuracy_gap_standardised"]["value"] == pytest.approx(-0.5)
    assert found["auroc_gap"]["value"] == pytest.approx(0)
    assert found["AP"]["said_yes"]["value"] == 0


def test_another_mixture_of_gold_answers_is_taken_out():
    # both views: yes is found never, no always; AP has more yes
    rows = [film(i, "PA", "yes" if i < 2 else "no", "no", 0.1) for i in range(10)] + [
        film(100 + i, "AP", "yes" if i < 8 else "no", "no", 0.1) for i in range(10)
    ]
    found = sources.view(rows, SCORER)
    assert found["accuracy_gap"]["value"] == pytest.approx(-0.6)
    assert found["accuracy_gap_standardised"]["value"] == pytest.approx(0)


def test_one_view_alone_makes_no_comparison(items):
    assert sources.view([i for i in items if i.exchange.tags["view"] == "PA"], SCORER) is None
    assert sources.view([], SCORER) is None


def test_films_of_another_hospital_are_compared_by_their_answers(items):
    view = [film(200 + i, "PA", "PA", "PA", 0.5, finding="view") for i in range(4)]
    rows = [
        {
            "cluster": f"h{i}",
            "answers": [
                {"item": "Pneumonia", "gold": None, **answer_json(said("yes", 0.6, 0.6), "x")},
                {"item": "view", "gold": "PA", **answer_json(said("AP", 0.9), "x")},
            ],
        }
        for i in range(6)
    ]
    found = sources.source([*items, *view], rows, SCORER)
    assert found["hannover"]["yes"]["value"] == 1
    assert found["nih-cxr"]["yes"]["value"] == pytest.approx(0.25)
    assert found["gaps"]["yes"]["value"] == pytest.approx(0.75)
    assert found["gaps"]["view_accuracy"]["value"] == pytest.approx(-1)
    assert found["findings"]["Pneumonia"]["hannover"]["n"] == 6
    assert found["findings"]["Effusion"]["hannover"]["value"] is None
    assert found["hannover"]["not_yes_or_no"] == {"count": 0, "n": 6}


def test_a_statistic_that_does_not_vary_has_no_interval():
    made = sources.bootstrap(lambda x: float(x.max()), ([1.0, 1.0, 1.0],), ["a", "b", "c"], SCORER)
    assert (made["value"], made["low"], made["high"]) == (1.0, None, None)
