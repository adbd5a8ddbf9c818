"""Under a certificate too: a worse signal never releases more, nor does a missing one; a stricter threshold never releases more."""

import dataclasses

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.invariant.safety.test_gate_properties import ANSWERS, GRAVITY, NAMES, QUESTIONS, SIGNALS, UNIT, policies
from vesalius.domain.decision import Signal
from vesalius.safety.certificate import SCORED, SMALLER_IS_WORSE, Certificate, RiskScore
from vesalius.safety.gate import decide

MODEL = {"name": "m"}


@st.composite
def certified(draw):
    weights = draw(st.dictionaries(st.sampled_from(SCORED), st.floats(0, 10), min_size=1))
    score = RiskScore(weights, draw(st.floats(-10, 10)), draw(st.sampled_from(["logistic", "identity"])))
    made = Certificate(0.1, 0.95, draw(UNIT), score, "walk", 1, 1, 1, 0, 0.0, 1.0, "", "gate", MODEL)
    return dataclasses.replace(draw(policies()), certificate=made)


def _gravity(signals, policy, question, answer):
    return GRAVITY[decide(signals, policy, question=question, answer=answer, model=MODEL).verdict]


@settings(max_examples=100, deadline=None)
@given(certified(), SIGNALS, st.sampled_from(NAMES), UNIT, UNIT, QUESTIONS, ANSWERS)
def test_a_worse_signal_never_releases_more(policy, signals, name, first, second, question, answer):
    better, worse = (max(first, second), min(first, second)) if name in SMALLER_IS_WORSE else (min(first, second), max(first, second))
    before = dataclasses.replace(signals, **{name: Signal(better)})
    after = dataclasses.replace(signals, **{name: Signal(worse)})
    assert _gravity(after, policy, question, answer) >= _gravity(before, policy, question, answer)


@settings(max_examples=100, deadline=None)
@given(certified(), SIGNALS, st.sampled_from(NAMES), UNIT, QUESTIONS, ANSWERS)
def test_taking_a_passing_signal_away_never_releases_more(policy, signals, name, value, question, answer):
    limit = policy.limits.items()[name]
    passing = max(value, limit.caveat) if name in SMALLER_IS_WORSE else min(value, limit.caveat)
    measured = dataclasses.replace(signals, **{name: Signal(passing)})
    missing = dataclasses.replace(signals, **{name: Signal(None, "not measured")})
    assert _gravity(missing, policy, question, answer) >= _gravity(measured, policy, question, answer)


@settings(max_examples=100, deadline=None)
@given(certified(), SIGNALS, UNIT, QUESTIONS, ANSWERS)
def test_a_stricter_threshold_never_releases_more(policy, signals, threshold, question, answer):
    stricter = dataclasses.replace(policy.certificate, threshold=min(threshold, policy.certificate.threshold))
    assert _gravity(signals, dataclasses.replace(policy, certificate=stricter), question, answer) >= _gravity(signals, policy, question, answer)


@settings(max_examples=100, deadline=None)
@given(certified(), SIGNALS, QUESTIONS, ANSWERS)
def test_another_model_never_releases_anything(policy, signals, question, answer):
    assert GRAVITY[decide(signals, policy, question=question, answer=answer, model={"name": "other"}).verdict] == 2
