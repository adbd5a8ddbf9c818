import math

import pytest

from vesalius.domain.exchange import Answer, Outcome, Rewording
from vesalius.domain.study import Patient, Sex
from vesalius.errors import InvalidValue
from vesalius.metrics.calibration import Temperature
from vesalius.metrics.text import read_outcome
from vesalius.safety.scope import Scope, ScopeFacts
from vesalius.safety.signals import (
    bias_score,
    flip_rate,
    hallucination_risk,
    image_reliance,
    out_of_scope,
    patient_group,
    semantic_entropy,
    uncertainty,
)


def _a(text, **facts):
    return Answer(text, read_outcome(text), **facts)


def _r(polarity=1):
    return Rewording("in other words?", "lexical", polarity, "test")


def test_uncertainty_is_one_at_chance():
    same = Temperature(1.0)
    assert uncertainty(_a("yes", confidence=0.5), same).value == pytest.approx(1.0)
    assert uncertainty(_a("yes", confidence=0.9), same).value == pytest.approx(0.2)
    assert uncertainty(_a("yes", confidence=0.3), same).value == 1.0  # worse than guessing is not better than guessing
    assert uncertainty(_a("left lung", confidence=0.9), same).value == pytest.approx(0.1)
    assert uncertainty(_a("axial", confidence=0.25), same, options=4).value == pytest.approx(1.0)


def test_uncertainty_uses_the_calibration_and_says_when_there_is_none():
    hot = uncertainty(_a("yes", confidence=0.9), Temperature(3.0))
    assert hot.value > 0.5
    assert hot.reason is None
    raw = uncertainty(_a("yes", confidence=0.9), None)
    assert raw.value == pytest.approx(0.2)
    assert "uncalibrated" in raw.reason


def test_uncertainty_falls_back_to_p_yes_of_the_answer_given():
    assert uncertainty(_a("no", p_yes=0.1), Temperature(1.0)).value == pytest.approx(0.2, abs=1e-6)
    assert uncertainty(_a("yes", p_yes=0.9), Temperature(1.0)).value == pytest.approx(0.2, abs=1e-6)
    missing = uncertainty(_a("left lung", p_yes=0.9), None)
    assert missing.value is None
    assert "no confidence" in missing.reason
    with pytest.raises(InvalidValue, match="two options"):
        uncertainty(_a("axial", confidence=0.9), None, options=1)


def test_flip_rate_is_polarity_normalised():
    answers = [(_r(), _a("yes")), (_r(-1), _a("no")), (_r(-1), _a("yes")), (_r(), _a("yes and no"))]
    signal = flip_rate(_a("yes"), answers)
    assert signal.value == 0.5
    assert signal.reason == "2 of 4 rewordings changed the answer, 1 of them unreadable"
    assert flip_rate(_a("yes"), answers[:2]).value == 0.0


def test_flip_rate_of_open_answers_compares_meaning():
    assert flip_rate(_a("subdural haemorrhage"), [(_r(), _a("Subdural hemorrhage.")), (_r(), _a("epidural hemorrhage"))]).value == 0.5


def test_flip_rate_without_rewording_or_reading():
    assert flip_rate(_a("yes"), []).value is None
    assert flip_rate(_a(""), [(_r(), _a("yes"))]).value == 1.0


def test_image_reliance():
    answer = _a("yes", p_yes=0.9)
    blind = {"blank": _a("yes", p_yes=0.9), "other": _a("yes", p_yes=0.9)}
    assert image_reliance(answer, blind).value == 0.0
    assert image_reliance(answer, {"blank": _a("yes", p_yes=0.6)}).value == pytest.approx(0.3)
    assert image_reliance(answer, {"blank": _a("no", p_yes=0.49)}).value == 1.0
    mixed = image_reliance(answer, {"blank": _a("yes", p_yes=0.7), "other": _a("cannot be determined")})
    assert mixed.value == pytest.approx(0.6)
    assert mixed.reason == "blank 0.20, other 1.00"


def test_image_reliance_of_open_answers():
    assert image_reliance(_a("left lung"), {"blank": _a("The left lung"), "other": _a("liver")}).value == 0.5


def test_image_reliance_is_missing_rather_than_flattering():
    assert image_reliance(_a("yes"), {}).value is None
    assert image_reliance(_a(""), {"blank": _a("yes")}).value is None
    assert image_reliance(_a("yes"), {"blank": _a("")}).value is None
    # an unreadable control proves nothing: the others decide
    assert image_reliance(_a("yes", p_yes=0.9), {"blank": _a("?"), "other": _a("yes", p_yes=0.9)}).value == 0.0


def test_hallucination_risk_of_short_answers():
    samples = [_a("yes"), _a("Yes, there is"), _a("no"), _a("")]
    signal = hallucination_risk(_a("yes"), samples)
    assert signal.value == 0.5
    assert "2 of 4 samples agree" in signal.reason
    assert "semantic entropy" in signal.reason
    assert hallucination_risk(_a("yes"), [_a("yes")] * 3).value == 0.0
    assert hallucination_risk(_a("yes"), []).value is None
    assert hallucination_risk(_a(""), [_a("yes")]).value == 1.0


def test_hallucination_risk_of_a_report_is_that_of_its_least_supported_claim():
    answer = _a("The heart is enlarged. There is a mass in the left upper lobe.")
    samples = [_a("Enlarged heart. No mass."), _a("The heart is enlarged."), _a("Cardiac enlargement. Mass in the left upper lobe."), _a("?")]
    signal = hallucination_risk(answer, samples)
    assert signal.value == 0.75
    assert "mass in the left upper lobe" in signal.reason
    assert hallucination_risk(answer, samples, claims=["the heart is enlarged"]).value == 0.25


def test_semantic_entropy():
    assert semantic_entropy([_a("yes")] * 4) == 0.0
    assert semantic_entropy([_a("yes"), _a("no")]) == pytest.approx(1.0)
    assert semantic_entropy([_a(""), _a("?")]) == pytest.approx(1.0)
    assert semantic_entropy([_a("yes"), _a("yes"), _a("no"), _a("no")]) == pytest.approx(math.log(2) / math.log(4))
    assert semantic_entropy([_a("yes")]) is None


AUDIT = {"sex": {"F": {"gap": 0.08, "n": 90}, "M": {"gap": 0.0, "n": 80}, "O": {"gap": 0.9, "n": 3}}, "age": {"80+": {"gap": 0.02, "n": 40}}}


@pytest.mark.parametrize(
    ("group", "value", "words"),
    [
        ({"sex": "F", "age": "80+"}, 0.08, "sex F"),
        ({"sex": "M", "age": "80+"}, 0.02, "age 80+"),
        ({"sex": None, "age": "80+"}, 0.08, "sex unknown"),
        ({"sex": "O", "age": "80+"}, 0.08, "sex unknown or not audited"),
        ({"sex": None, "age": None}, None, "no audited group"),
        ({"age": "0-17"}, None, "no audited group"),
    ],
)
def test_bias_score(group, value, words):
    signal = bias_score(group, AUDIT)
    assert signal.value == value
    assert words in signal.reason


def test_bias_score_without_audit_and_with_a_bad_one():
    assert bias_score({"sex": "F"}, {}).value is None
    with pytest.raises(InvalidValue, match="sex"):
        bias_score({"sex": "F"}, {"sex": {"F": {"gap": 1.5, "n": 100}}})


def test_patient_group():
    assert patient_group(Patient()) == {"sex": None, "age": None}
    assert patient_group(Patient(sex=Sex.FEMALE, age_years=17.9)) == {"sex": "F", "age": "0-17"}
    assert [patient_group(Patient(age_years=a))["age"] for a in (18, 59, 60, 80, 130)] == ["18-39", "40-59", "60-79", "80+", "80+"]


def test_out_of_scope_is_the_worst_violation_with_all_reasons():
    signal = out_of_scope(ScopeFacts("Is it?", "MR", None, None), Scope(("CR",), ("CHEST",)))
    assert signal.value == 1.0
    assert all(w in signal.reason for w in ("modality MR", "body part is unknown", "not measured"))


def test_answers_with_text_outcome_are_not_read_again():
    # A model may call a reading TEXT that begins with "no" ("no man's land"): its word counts.
    said = Answer("left lung", Outcome.TEXT)
    assert flip_rate(said, [(_r(), said)]).value == 0.0
