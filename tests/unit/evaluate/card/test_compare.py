import dataclasses
import math

import numpy as np
import pytest

from tests import trust_results as made
from vesalius.errors import ConfigError, UnknownName
from vesalius.evaluate.card.compare import Rule, differences, judge, read_rules, unpaired
from vesalius.evaluate.card.headline import Figure
from vesalius.evaluate.card.runs import read
from vesalius.metrics.statistics import wilson


def _run(path, recorded=None, **about):
    return read(made.folder(path, made.results(**about), recorded))


@pytest.fixture
def pair(tmp_path):
    """Right 80 then 60 of 100, flips 10 then 30, on the same items."""
    return _run(tmp_path / "old", made.items(80, 10), accuracy=0.8, flips=0.1), _run(tmp_path / "new", made.items(60, 30), accuracy=0.6, flips=0.3)


def _of(changes, name):
    return next(d for d in changes if d.name == name)


def test_differences_are_paired_on_the_same_items(pair):
    changes = differences(*pair)
    accuracy, flips = _of(changes, "accuracy"), _of(changes, "flip_rate")
    assert accuracy.paired
    assert (accuracy.first, accuracy.second, accuracy.value, accuracy.n) == (0.8, 0.6, pytest.approx(-0.2), 100)
    assert accuracy.low < -0.2 < accuracy.high < 0
    assert flips.paired
    assert flips.value == pytest.approx(0.2)


def test_figures_that_are_no_mean_over_items_are_compared_unpaired_and_say_so(pair):
    ece = _of(differences(*pair), "ece")
    assert not ece.paired
    assert ece.method.startswith("unpaired")


def test_without_records_the_difference_is_unpaired(tmp_path):
    changes = differences(_run(tmp_path / "a", accuracy=0.8), _run(tmp_path / "b", accuracy=0.6))
    assert not _of(changes, "accuracy").paired


def test_an_item_whose_gold_answer_or_question_is_another_is_not_the_same(tmp_path):
    old, new = made.items(80, 10), made.items(60, 10)
    new[0] = dataclasses.replace(new[0], exchange=dataclasses.replace(new[0].exchange, gold="no"))
    new[1] = dataclasses.replace(new[1], exchange=dataclasses.replace(new[1].exchange, image="other.png"))
    accuracy = _of(differences(_run(tmp_path / "a", old), _run(tmp_path / "b", new)), "accuracy")
    assert accuracy.n == 98
    assert "2 items are in one run alone" in accuracy.method


def _figure(value, low, high):
    return Figure("ece", "", "calibration", "s", None, {"value": value, "low": low, "high": high, "n": 10, "clusters": 10, "method": ""}, "lower", "number")


def test_the_unpaired_interval_is_that_of_mover():
    # Newcombe (Statistics in Medicine 17, 1998), method 10: 56/70 - 48/80 with Wilson ends is 0.0524 to 0.3339; second less first turns the sign
    a, b = wilson(56, 70), wilson(48, 80)
    d = unpaired(_figure(a.value, a.low, a.high), _figure(b.value, b.low, b.high))
    assert (d.value, d.low, d.high) == (pytest.approx(-0.2), pytest.approx(-0.3339, abs=5e-5), pytest.approx(-0.0524, abs=5e-5))
    alone = unpaired(_figure(0.8, None, None), _figure(0.6, 0.5, 0.7))
    assert alone.low is None
    assert "no interval" in alone.method


def test_the_unpaired_interval_of_normal_estimates_is_the_usual_one():
    rng = np.random.default_rng(0)
    for a, b, s, t in rng.uniform(0.1, 0.9, (20, 4)):
        d = unpaired(_figure(a, a - 1.96 * s, a + 1.96 * s), _figure(b, b - 1.96 * t, b + 1.96 * t))
        assert d.high - d.value == pytest.approx(1.96 * math.hypot(s, t))


def _rules(tmp_path, text):
    path = tmp_path / "regress.toml"
    path.write_text(text)
    return read_rules(path)


def _failed(pair, tmp_path, text):
    return [f.regression for f in judge(*pair, _rules(tmp_path, text))]


def test_a_drop_beyond_chance_is_a_regression(pair, tmp_path):
    assert _failed(pair, tmp_path, '[[rule]]\nfigure = "accuracy"\nworse_by = 0.02') == [True]
    assert _failed(pair[::-1], tmp_path, '[[rule]]\nfigure = "accuracy"') == [False]


def test_a_rise_of_flips_is_a_regression_for_lower_is_better(pair, tmp_path):
    assert _failed(pair, tmp_path, '[[rule]]\nfigure = "flip_rate"\ndirection = "higher"') == [True]


def test_worse_by_is_a_least_distance(pair, tmp_path):
    assert _failed(pair, tmp_path, '[[rule]]\nfigure = "accuracy"\nworse_by = 0.25') == [False]
    assert _failed(pair, tmp_path, '[[rule]]\nfigure = "accuracy"\nworse_by = 0.2') == [True]


def test_a_change_within_chance_fails_by_point_alone(tmp_path):
    pair = _run(tmp_path / "a", made.items(80, 10)), _run(tmp_path / "b", made.items(79, 10))
    assert _failed(pair, tmp_path, '[[rule]]\nfigure = "accuracy"') == [False]
    assert _failed(pair, tmp_path, '[[rule]]\nfigure = "accuracy"\nby = "point"') == [True]


def test_what_is_not_measured_any_more_is_a_regression_and_what_never_was_is_not(pair, tmp_path):
    old = pair[0]
    lost = _run(tmp_path / "lost", without=("vqa",))
    rule = '[[rule]]\nfigure = "accuracy"'
    found = judge(old, lost, _rules(tmp_path, rule))
    assert [f.regression for f in found] == [True]
    assert "not any more" in found[0].line
    never = judge(lost, old, _rules(tmp_path, rule))
    assert [f.regression for f in never] == [False]
    assert "nothing to compare with" in never[0].line


def test_a_misspelt_figure_is_answered_with_the_nearest(tmp_path):
    with pytest.raises(UnknownName, match="did you mean 'accuracy'"):
        _rules(tmp_path, '[[rule]]\nfigure = "acuracy"')


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "missing key 'rule'"),
        ("rule = []", "has no rule"),
        ('[[rule]]\nfigure = "accuracy"\nworse = 1', "did you mean 'worse_by'"),
        ('[[rule]]\nfigure = "accuracy"\nworse_by = -0.1', "not 0 or more"),
        ('[[rule]]\nfigure = "accuracy"\nby = "eye"', "'eye' is unknown"),
        ('[[rule]]\nfigure = "accuracy"\ndirection = "higher"', "it is lower values that are worse"),
        ('[[rule]]\nfigure = "gate_coverage"', "does not say where worse lies"),
        ("[[rule", "not valid TOML"),
    ],
)
def test_a_rule_that_cannot_be_meant_is_refused(tmp_path, text, why):
    with pytest.raises(ConfigError, match=why):
        _rules(tmp_path, text)


def test_a_figure_without_a_better_side_takes_the_direction_of_the_rule():
    assert Rule("gate_coverage", direction="lower").direction == "lower"
    assert Rule("accuracy").direction == "lower"
    assert Rule("ece").direction == "higher"
