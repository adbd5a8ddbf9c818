"""Answer sets beside a certificate: fitted on the cases that certify, looked at on other patients, by group where the cases suffice."""

import dataclasses
import json
import math

import numpy as np
import pytest

from tests.unit.evaluate import certified_run as runs
from tests.unit.evaluate.answers import item, said
from vesalius.cli import main
from vesalius.errors import InvalidValue
from vesalius.evaluate import certify_cases as recorded
from vesalius.evaluate.certify import Request, certify
from vesalius.evaluate.certify_sets import quantile, sets
from vesalius.metrics.certify import conformal_quantile


def _folder(name="slake"):
    return recorded.Folder(name, (), {}, {}, None)


def _rows(probabilities, *, start=0, folder=None, gold="yes", each=1, **tags):
    """One question a patient with these P(yes), the right answer yes."""
    folder = folder or _folder()
    return [
        (folder, item(start + i, gold, said("yes", p_yes=float(p)), cluster=f"p{(start + i) // each}", tags={k: v[i] for k, v in tags.items()}))
        for i, p in enumerate(probabilities)
    ]


def _sets(calibration, test=(), *, alpha=0.1, confidence=0.95, tags=()):
    found = sets(calibration, test, alpha=alpha, confidence=confidence, tags=tags)
    return json.loads(json.dumps(found, allow_nan=False))


def test_by_hand():
    found = _sets(_rows(np.arange(91, 100) / 100), _rows([0.95, 0.5, 0.08, 0.99], start=100))
    assert found["q"] == pytest.approx(0.09)  # of nine scores the largest
    assert found["calibration"] == {"n": 9, "no_probability": 0, "neither_yes_nor_no": 0}
    assert found["test"]["sizes"] == {"0": 1, "1": 3, "2": 0}
    assert found["test"]["coverage"]["value"] == 0.5
    assert found["test"]["one_answer_wrong"]["value"] == pytest.approx(1 / 3)  # P(no) = 0.92 says no alone


def test_both_answers_stay_where_the_model_errs_surely():
    found = _sets(_rows([0.1] * 3 + [0.99] * 10), _rows([0.5, 0.97], start=100))
    assert found["q"] == pytest.approx(0.9)
    assert found["test"]["sizes"] == {"0": 0, "1": 1, "2": 1}
    assert found["test"]["one_answer"]["value"] == 0.5


def test_too_few_cases_exclude_nothing_and_say_so():
    found = _sets(_rows([0.99] * 8), _rows([0.99], start=100))
    assert (found["q"], found["at_least"]) == (None, None)
    assert found["why"] == "8 cases with P(yes), and 9 are the fewest: no answer can be excluded"
    assert found["test"]["sizes"] == {"0": 0, "1": 0, "2": 1}
    assert _sets(_rows([0.99] * 9))["why"] is None


def test_no_probability_anywhere_is_told():
    rows = [(_folder(), item(i, "yes", "yes", cluster=f"p{i}")) for i in range(20)]
    found = _sets(rows, rows)
    assert found["calibration"] == {"n": 0, "no_probability": 20, "neither_yes_nor_no": 0}
    assert found["q"] is None
    assert found["test"]["coverage"]["value"] is None
    assert found["leave_one_out"]["value"] is None


def test_a_right_answer_that_is_neither_yes_nor_no_is_missed():
    neither = _rows([0.9] * 2, start=50, gold="white matter")
    found = _sets(_rows([0.99] * 18) + neither, neither)
    assert found["calibration"]["neither_yes_nor_no"] == 2
    assert found["q"] is None
    assert "in more than 1 of 20 cases" in found["why"]
    assert found["test"]["coverage"]["value"] == 0
    assert found["leave_one_out"]["value"] == 0.9


@pytest.mark.parametrize("alpha", [0.05, 0.1, 0.3])
@pytest.mark.parametrize("n", [5, 9, 10, 41, 60])
def test_leaving_one_out_is_what_it_says(n, alpha):
    p = np.random.default_rng(n).random(n).round(1)  # with ties
    scores = 1 - p
    held = sum(s <= conformal_quantile(np.delete(scores, i), alpha) for i, s in enumerate(scores))
    found = _sets(_rows(p), alpha=alpha)["leave_one_out"]
    assert round(found["value"] * n) == held
    assert found["value"] >= 1 - alpha


def test_what_this_calibration_set_leaves_is_the_beta_quantile():
    stats = pytest.importorskip("scipy.stats")
    for n, alpha, confidence in ((9, 0.1, 0.95), (78, 0.1, 0.95), (500, 0.05, 0.9)):
        place = math.ceil((n + 1) * (1 - alpha) - 1e-9)
        found = quantile(np.arange(n) / n, alpha, confidence)
        assert found.at_least == pytest.approx(stats.beta.ppf(1 - confidence, place, n + 1 - place), abs=1e-9)
        assert found.above == n - place
    assert quantile([0.1] * 8, 0.1, 0.95).at_least is None


def test_what_this_calibration_set_leaves_holds_as_often_as_it_says():
    rng = np.random.default_rng(0)
    found = [quantile(rng.random(100), 0.1, 0.95) for _ in range(2000)]
    left = np.asarray([q.value for q in found])  # of uniform scores the coverage is the quantile itself
    assert abs((left >= found[0].at_least).mean() - 0.95) < 3 * math.sqrt(0.05 * 0.95 / 2000)
    assert abs(left.mean() - 0.9) < 0.005


def _mixed(rng, n, start=0):
    """Answers that are good in group A and bad in group B; P(wrong) is as the model says in A, not in B."""
    hard = rng.random(n) < 0.3
    p = np.where(hard, rng.beta(2, 2, n), rng.beta(8, 1, n))
    return _rows(p, start=start, ward=np.where(hard, "B", "A"))


def test_the_coverage_holds_on_average_and_in_each_group_with_sets_of_its_own():
    together, hard, own = [], [], []
    for seed in range(25):
        rng = np.random.default_rng(seed)
        found = _sets(_mixed(rng, 150), _mixed(rng, 300, start=1000), alpha=0.2, tags=("ward",))
        groups = {row["value"]: row for row in found["groups"]}
        together.append(found["test"]["coverage"]["value"])
        hard.append(groups["B"]["test"]["coverage"]["value"])
        own.append(groups["B"]["own"]["test"]["coverage"]["value"])
    for values in (together, own):
        assert np.mean(values) >= 0.8 - 3 * np.std(values) / 5
    assert np.mean(together) <= 0.83
    assert np.mean(hard) < 0.7
    assert groups["A"]["n"] + groups["B"]["n"] == 150


def test_a_group_with_too_few_cases_has_no_sets_of_its_own():
    calibration = _rows([0.9] * 20 + [0.9] * 5, ward=["A"] * 20 + ["B"] * 5)
    found = _sets(calibration, _rows([0.9, 0.9], start=100, ward=["B", "C"]), tags=("ward", "ward"))
    assert [(row["value"], row["n"], row["own"]["q"] is None) for row in found["groups"]] == [("A", 20, False), ("B", 5, True), ("C", 0, True)]
    assert found["groups"][1]["own"]["test"] is None
    assert "5 cases with P(yes), and 9 are the fewest" in found["groups"][1]["own"]["why"]
    assert found["groups"][2]["test"]["coverage"]["value"] == 1


def test_several_suites_are_told_apart():
    other = _folder("vqa-rad")
    found = _sets(_rows([0.9] * 10) + _rows([0.6] * 10, folder=other), _rows([0.9], start=100))
    assert [(row["tag"], row["value"], row["n"]) for row in found["groups"]] == [("suite", "slake", 10), ("suite", "vqa-rad", 10)]
    assert found["test"]["n"] == 1
    assert _sets(_rows([0.9] * 10))["groups"] == []


def test_the_interval_on_test_items_is_clustered_by_patient():
    rows = _rows(np.tile([0.99, 0.01], 50), start=100, each=10)
    found = _sets(_rows([0.9] * 20), rows)["test"]["coverage"]
    assert (found["n"], found["clusters"]) == (100, 10)


def test_a_certified_run_has_them_beside_its_certificate(tmp_path):
    rows = runs.items(60) + runs.items(30, part="official/test", start=1000, seed=1) + runs.items(5, part="official/test", start=0, each=1, seed=2)
    rows = [dataclasses.replace(row, exchange=dataclasses.replace(row.exchange, id=f"{place}")) for place, row in enumerate(rows)]
    run = runs.write(tmp_path / "run", rows)
    found = certify(run, Request(score="uncertainty", groups=("ward",))).report["sets"]
    cases = recorded.split(recorded.read(run), fit=False).certify
    assert found["calibration"]["n"] == len(cases) == 60
    assert found["test"]["n"] == 60  # patients that certify are left out
    assert {(row["tag"], row["value"]) for row in found["groups"]} >= {("sex", "F"), ("view", "PA"), ("ward", "A")}
    assert found["alpha"] == 0.1
    assert found["q"] == conformal_quantile([1 - item.answer.p_yes for _, item in cases], 0.1)


def test_nothing_certified_still_has_sets(tmp_path):
    found = certify(runs.write(tmp_path / "run", runs.items(60, slope=2.0)), Request())
    assert found.policy is None
    assert found.report["sets"]["q"] is not None


@pytest.mark.parametrize("bad", [{"alpha": 0.0}, {"alpha": 1.0}, {"alpha": math.nan}, {"confidence": 1.0}])
def test_levels_that_mean_nothing_are_refused(bad):
    with pytest.raises(InvalidValue):
        _sets(_rows([0.9] * 20), **bad)


def test_the_command_tells_the_sets_and_that_they_hold_on_average(tmp_path, capsys):
    run = runs.write(tmp_path / "run", runs.items(60) + runs.items(30, part="official/test", start=1000, seed=1))
    main(["certify", str(run), "--score", "uncertainty", "--risk", "0.2"])
    said = capsys.readouterr().out
    assert "Answer sets: yes, no, or both, of which at most 20% miss the right answer, on average over calibration sets; not certified." in said
    assert "of 60 sets" in said
    assert "OWN Q" in said
    main(["certify", str(run), "--score", "uncertainty", "--risk", "0.01"])
    assert "no sets   60 cases with P(yes), and 99 are the fewest" in capsys.readouterr().out
