import json

import pytest

from tests import trust_results as made
from vesalius.evaluate.card.headline import SPECS, headline, of
from vesalius.evaluate.card.properties import PROPERTIES, properties
from vesalius.evaluate.trust import STUDIES


def test_a_figure_carries_its_value_interval_n_study_and_suite():
    row = next(f for f in headline(made.results(accuracy=0.62)) if f.name == "accuracy").to_json()
    assert (row["value"], row["low"], row["high"], row["n"]) == (0.62, pytest.approx(0.57), pytest.approx(0.67), 100)
    assert (row["study"], row["suite"], row["part"], row["better"], row["unit"]) == ("vqa", "slake", None, "higher", "share")
    json.dumps(row)


def test_a_star_below_no_suites_is_a_part_of_the_study():
    traps = of(made.results(), "premise_accepted")
    assert [(f.suite, f.part) for f in traps] == [(None, "organ"), (None, "lesion")]
    gaps = of(made.results(), "accuracy_gap")
    assert [(f.suite, f.part) for f in gaps] == [("slake", "sex")]


def test_steps_of_a_list_are_parts_by_their_size():
    assert [(f.part, f.value) for f in of(made.results(), "attack_success")] == [("1/255", 0.45), ("4/255", 0.9)]


def test_a_figure_without_a_value_is_no_headline():
    results = made.results()
    results["studies"]["vqa"]["suites"]["slake"]["systems"]["model"]["overall"] = made.NOTHING
    assert "accuracy" not in {f.name for f in headline(results)}


def test_every_figure_is_of_a_study_of_the_suite_and_every_property_of_a_figure():
    assert {spec.study for spec in SPECS.values()} <= set(STUDIES)
    assert {name for about in PROPERTIES for name in about.figures} <= set(SPECS)
    assert {about.study for about in PROPERTIES} <= set(STUDIES)


def test_there_are_twelve_properties_and_each_says_why_it_has_no_figure():
    shown = properties(made.results(without=("vqa", "phrasing", "shift", "sycophancy", "fairness")))
    assert len(shown) == 12
    why = {p.about.key: p.why for p in shown if not p.figures}
    assert why["accuracy"] == why["shift"] == "it was left out on purpose"
    nothing = properties({"studies": {}, "skipped": {}})
    assert all(not p.figures and "is not part of this run" in p.why for p in nothing)


def test_the_least_favourable_suite_leads():
    results = made.results()
    suites = results["studies"]["vqa"]["suites"]
    suites["better"] = {**suites["slake"], "systems": {"model": {**suites["slake"]["systems"]["model"], "overall": made.around(0.9)}}}
    flips = results["studies"]["phrasing"]["suites"]
    flips["flippant"] = {
        **flips["slake"],
        "generated": {**flips["slake"]["generated"], "all": {**flips["slake"]["generated"]["all"], "rate": made.around(0.8)}},
    }
    found = {p.about.key: p.figures for p in properties(results)}
    assert [f.suite for f in found["accuracy"]] == ["slake", "better"]
    assert [f.suite for f in found["flips"]] == ["flippant", "slake"]


def test_results_of_another_shape_give_nothing_instead_of_an_error():
    assert headline({"studies": {"vqa": {"suites": []}, "phrasing": {"suites": {"slake": None}}, "shift": None}}) == []
