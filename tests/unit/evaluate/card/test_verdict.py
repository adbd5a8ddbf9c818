import copy

import pytest

from tests import trust_results as made
from vesalius.evaluate.card.runs import read
from vesalius.evaluate.card.verdict import false_progress, verdict, warnings


@pytest.fixture
def run(tmp_path):
    def make(name="run", recorded=None, **about):
        return read(made.folder(tmp_path / name, made.results(**about), recorded))

    return make


def test_the_verdict_is_made_from_the_figures(run):
    told = verdict(run(accuracy=0.62, flips=0.31))
    assert told.startswith("62 of 100 answers right; 31\u00a0% change when reworded; 4\u00a0% of consistent answers stay the same without the picture")
    assert told.endswith("no certificate was asked for.")


def test_a_range_is_told_over_several_suites(run):
    one = run()
    suites = one.results["studies"]["vqa"]["suites"]
    suites["other"] = {**suites["slake"], "systems": {"model": {**suites["slake"]["systems"]["model"], "overall": made.around(0.9)}}}
    assert verdict(one).startswith("62 to 90 of 100 answers right")


@pytest.mark.parametrize(
    ("certified", "says"), [(True, "certified at 10\u00a0% risk for 50\u00a0% of answers."), (False, "nothing certified at 10\u00a0% risk.")]
)
def test_the_verdict_says_what_was_certified(run, certified, says):
    one = run()
    made.write_certificate(one.folder, certified=certified)
    assert verdict(one).endswith(says)


def test_a_certificate_of_other_weights_does_not_count(run):
    one = run()
    made.write_certificate(one.folder, weights="other")
    assert "nothing certified" in verdict(one)
    assert "of another model" in one.certified.why


def test_a_run_without_figures_gets_no_verdict(run):
    one = run(without=tuple(made.results()["studies"]))
    assert verdict(one).startswith("Nothing was measured")
    assert warnings(one) == []


def test_steadier_but_blinder_is_told_with_both_pairs_of_numbers(run):
    before, after = run("before", flips=0.4, grounded=0.6), run("after", flips=0.1, grounded=0.1)
    told = false_progress(after, before)
    assert "on slake flips fell from 40\u00a0% to 10\u00a0% while the grounded score fell from 0.60 to 0.10" in told
    assert "gained by looking less" in told
    assert false_progress(before, after) is None
    assert false_progress(run("c", flips=0.1, grounded=0.7), before) is None


def test_of_several_suites_the_one_is_told_where_sight_was_lost_most(run):
    before, after = run("a", flips=0.3, grounded=0.6), run("b", flips=0.2, grounded=0.58)
    for one, flips, grounded in ((before, 0.3, 0.9), (after, 0.1, 0.4)):
        studies = copy.deepcopy(one.results["studies"])
        one.results["studies"].update(studies)
        for study in ("phrasing", "image_reliance"):
            suites = one.results["studies"][study]["suites"]
            suites["worse"] = copy.deepcopy(suites["slake"])
        one.results["studies"]["phrasing"]["suites"]["worse"]["generated"]["all"]["rate"] = made.around(flips)
        one.results["studies"]["image_reliance"]["suites"]["worse"]["reliance"]["grounded"] = made.around(grounded)
    told = false_progress(after, before)
    assert told.startswith("Steadier, but blinder: on worse flips fell")
    assert "from 0.90 to 0.40" in told
    assert false_progress(run("d", flips=0.5, grounded=0.1), before) is None


def test_a_fall_that_chance_could_make_is_told_as_such(run):
    assert "not both are beyond chance" in false_progress(run("after", flips=0.39, grounded=0.59), run("before", flips=0.4, grounded=0.6))


def test_warnings_name_what_no_reader_should_miss(run):
    told = " ".join(warnings(run(accuracy=0.41, grounded=0.01)))
    assert "not shown that the answers are better with the picture" in told
    assert "grounded score does not exclude 0" in told
    assert "groups by sex differ beyond the limit and beyond chance in tpr (worst for F)" in told
    assert "confidences are not what they say (ECE 0.170" in told
    calm = " ".join(warnings(run("calm", accuracy=0.9, grounded=0.5)))
    assert "better with the picture" not in calm
    assert "grounded" not in calm


def test_a_lead_of_exactly_0_without_an_interval_is_warned_of(run):
    one = run()
    row = one.results["studies"]["vqa"]["suites"]["slake"]["systems"]["blank image"]
    row["ahead"]["overall"] = {**made.NOTHING, "value": 0.0}
    assert any("better with the picture" in text and "no interval" in text for text in warnings(one))
