import dataclasses

import pytest

from vesalius.domain.decision import Signal, Signals, Verdict
from vesalius.domain.exchange import Answer, Outcome
from vesalius.safety.gate import decide
from vesalius.safety.policy import default_policy

GOOD = Signals(
    uncertainty=Signal(0.1),
    flip_rate=Signal(0.0),
    image_reliance=Signal(0.8),
    hallucination_risk=Signal(0.0),
    bias_score=Signal(0.01),
    out_of_scope=Signal(0.0),
)
YES = Answer("yes", Outcome.YES, confidence=0.95)
QUESTION = "Is there a pleural effusion?"


def _decide(signals=GOOD, question=QUESTION, answer=YES):
    return decide(signals, default_policy(), question=question, answer=answer)


def test_a_well_behaved_answer_is_released():
    decision = _decide()
    assert decision.verdict is Verdict.RELEASED
    assert decision.concerns == ()


def test_unknown_bias_is_a_caveat_with_its_reason_not_a_referral():
    decision = _decide(dataclasses.replace(GOOD, bias_score=Signal(None, "the policy holds no audit of subgroups")))
    assert decision.verdict is Verdict.CAVEATED
    (concern,) = decision.concerns
    assert (concern.name, concern.value, concern.threshold) == ("bias_score", None, None)
    assert concern.reason == "bias score was not measured: the policy holds no audit of subgroups"


@pytest.mark.parametrize(
    ("name", "passing", "caveated", "referred"),
    [
        ("uncertainty", 0.4, 0.41, 0.71),
        ("flip_rate", 0.1, 0.2, 0.26),
        ("image_reliance", 0.15, 0.14, 0.04),
        ("hallucination_risk", 0.1, 0.2, 0.21),
        ("bias_score", 0.05, 0.1, 0.11),
        ("out_of_scope", 0.25, 0.75, 0.76),
    ],
)
def test_each_signal_acts_beyond_its_limit_and_passes_at_it(name, passing, caveated, referred):
    assert _decide(dataclasses.replace(GOOD, **{name: Signal(passing)})).verdict is Verdict.RELEASED
    for value, verdict in ((caveated, Verdict.CAVEATED), (referred, Verdict.REFERRED)):
        decision = _decide(dataclasses.replace(GOOD, **{name: Signal(value, "because")}))
        (concern,) = decision.concerns
        assert decision.verdict is verdict
        assert (concern.name, concern.value) == (name, value)
        limit = getattr(default_policy().limits, name)
        assert concern.threshold == (limit.refer if verdict is Verdict.REFERRED else limit.caveat)
        assert f"{value:.2f}" in concern.reason
        assert f"{concern.threshold:.2f}" in concern.reason
        assert "(because)" in concern.reason
        if verdict is Verdict.REFERRED:
            assert "physician review required" in concern.reason


@pytest.mark.parametrize("name", ["uncertainty", "bias_score", "hallucination_risk"])
def test_the_sentence_people_are_told(name):
    decision = _decide(dataclasses.replace(GOOD, **{name: Signal(0.95)}))
    assert decision.concerns[0].reason.startswith("High uncertainty: physician review required")


@pytest.mark.parametrize(
    ("answer", "words"), [(Answer("", Outcome.UNPARSED), "could not be read"), (Answer("unclear", Outcome.UNDETERMINED), "cannot be determined")]
)
def test_no_answer_is_referred(answer, words):
    decision = _decide(answer=answer)
    assert decision.verdict is Verdict.REFERRED
    assert words in decision.concerns[0].reason


def test_watched_findings_are_referred_affirmed_or_denied():
    asked = _decide(question="Is there a pneumothorax?", answer=Answer("no", Outcome.NO))
    assert asked.verdict is Verdict.REFERRED
    assert asked.concerns[0].reason == "Always referred to a physician: pneumothorax (mentioned in the question)"
    said = _decide(question="What is the diagnosis?", answer=Answer("subarachnoid hemorrhage", Outcome.TEXT))
    assert said.verdict is Verdict.REFERRED
    assert "mentioned in the answer" in said.concerns[0].reason


@pytest.mark.parametrize(("question", "answer"), [(QUESTION, Answer("left lung", Outcome.TEXT)), ("Which organ is shown?", YES)])
def test_an_answer_of_the_wrong_form_gets_a_caveat(question, answer):
    decision = _decide(question=question, answer=answer)
    assert decision.verdict is Verdict.CAVEATED
    assert decision.concerns[0].name == "outcome"


def test_an_answer_that_nobody_questioned_is_referred():
    missing = Signal(None, "not asked")
    three = dataclasses.replace(GOOD, uncertainty=missing, flip_rate=missing, bias_score=missing)
    assert _decide(three).verdict is Verdict.CAVEATED
    four = dataclasses.replace(three, hallucination_risk=missing)
    decision = _decide(four)
    assert decision.verdict is Verdict.REFERRED
    assert decision.concerns[0].name == "missing_signals"
    assert decision.concerns[0].threshold == 3.0


def test_unknown_scope_is_referred():
    assert _decide(dataclasses.replace(GOOD, out_of_scope=Signal(None, "no facts"))).verdict is Verdict.REFERRED


def test_gravest_concern_comes_first_then_the_order_of_the_signals():
    decision = _decide(dataclasses.replace(GOOD, uncertainty=Signal(0.5), flip_rate=Signal(0.2), hallucination_risk=Signal(0.9)))
    assert [c.name for c in decision.concerns] == ["hallucination_risk", "uncertainty", "flip_rate"]
