import dataclasses
import math

import pytest

from vesalius import config
from vesalius.domain.decision import Signal, Signals, Verdict
from vesalius.domain.exchange import Answer, Outcome
from vesalius.errors import ConfigError, InvalidValue
from vesalius.safety.certificate import Certificate, RiskScore, badness
from vesalius.safety.gate import decide
from vesalius.safety.policy import Policy, default_policy

GOOD = Signals(
    uncertainty=Signal(0.1),
    flip_rate=Signal(0.0),
    image_reliance=Signal(0.8),
    hallucination_risk=Signal(0.0),
    bias_score=Signal(0.01),
    out_of_scope=Signal(0.0),
)
MODEL = {"name": "pocket", "revision": "1", "weights": "abc", "dtype": "float32"}
SCORE = RiskScore({"uncertainty": 2.0, "flip_rate": 1.0, "image_reliance": 0.0}, -2.0)
MADE = Certificate(0.1, 0.95, 0.3, SCORE, "walk", 29, 100, 60, 1, 0.08, 0.6, "0" * 64, "gate", MODEL)


def _decide(signals=GOOD, made=MADE, model=MODEL):
    policy = dataclasses.replace(default_policy(), certificate=made)
    return decide(signals, policy, question="Is there a pleural effusion?", answer=Answer("yes", Outcome.YES, confidence=0.95), model=model)


def _names(decision):
    return [concern.name for concern in decision.concerns]


def test_the_score_by_hand():
    z = -2.0 + 2.0 * 0.1 + 1.0 * 0.0
    assert SCORE(GOOD) == pytest.approx(1 / (1 + math.exp(-z)))
    assert RiskScore({"uncertainty": 0.5, "image_reliance": 0.5}, link="identity")(GOOD) == pytest.approx(0.5 * 0.1 + 0.5 * 0.2)
    assert RiskScore({"uncertainty": 5.0}, link="identity")(dataclasses.replace(GOOD, uncertainty=Signal(0.9))) == 1.0


def test_a_signal_that_is_missing_is_as_bad_as_can_be():
    assert badness("uncertainty", None) == badness("image_reliance", None) == 1.0
    assert badness("image_reliance", 0.8) == pytest.approx(0.2)
    assert SCORE(dataclasses.replace(GOOD, flip_rate=Signal(None, "none"))) == SCORE(dataclasses.replace(GOOD, flip_rate=Signal(1.0)))


def test_at_the_threshold_an_answer_is_accepted_and_beyond_it_is_not():
    assert _decide(made=dataclasses.replace(MADE, threshold=SCORE(GOOD))).verdict is Verdict.RELEASED
    decision = _decide(made=dataclasses.replace(MADE, threshold=SCORE(GOOD) - 1e-9))
    assert decision.verdict is Verdict.REFERRED
    assert _names(decision) == ["certified_risk"]


def test_the_score_takes_the_place_of_the_limits_on_its_signals():
    decision = _decide(dataclasses.replace(GOOD, image_reliance=Signal(0.0), flip_rate=Signal(0.3)))
    assert decision.verdict is Verdict.CAVEATED
    assert _names(decision) == ["flip_rate", "image_reliance"]


@pytest.mark.parametrize("name", ["hallucination_risk", "out_of_scope", "bias_score"])
def test_the_limits_on_other_signals_stay(name):
    assert _decide(dataclasses.replace(GOOD, **{name: Signal(0.9)})).verdict is Verdict.REFERRED


def test_the_limit_on_scope_stays_even_when_it_is_weighed():
    made = dataclasses.replace(MADE, score=RiskScore({"out_of_scope": 0.0}), threshold=1.0)
    assert _decide(dataclasses.replace(GOOD, out_of_scope=Signal(0.9)), made).verdict is Verdict.REFERRED


@pytest.mark.parametrize("other", [{"weights": "def"}, {"name": "other"}, {"revision": "2"}])
def test_another_model_is_refused(other):
    decision = _decide(model=MODEL | other)
    assert decision.verdict is Verdict.REFERRED
    assert "made for another model" in decision.concerns[0].reason


def test_another_prompt_is_another_model_and_one_that_was_not_known_is_not_asked_for():
    made = dataclasses.replace(MADE, prompt="0123456789abcdef")
    assert _decide(made=made, model=MODEL | {"prompt": made.prompt}).verdict is Verdict.RELEASED
    for other in ({"prompt": "fedcba9876543210"}, {}):
        decision = _decide(made=made, model=MODEL | other)
        assert decision.verdict is Verdict.REFERRED
        assert "instead of 0123456789abcdef" in decision.concerns[0].reason
    assert _decide(model=MODEL | {"prompt": "0123456789abcdef"}).verdict is Verdict.RELEASED


def test_a_model_that_does_not_say_its_weights_is_refused():
    assert _decide(model={"name": "pocket", "revision": "1"}).verdict is Verdict.REFERRED


def test_the_same_model_in_another_precision_or_unnamed_is_a_caveat():
    assert _names(_decide(model=MODEL | {"dtype": "bfloat16"})) == ["certificate"]
    assert _decide(model=MODEL | {"dtype": "bfloat16"}).verdict is Verdict.CAVEATED
    assert _decide(model=None).verdict is Verdict.CAVEATED
    assert _decide(model=MODEL | {"device": "cuda"}).verdict is Verdict.RELEASED


def test_without_a_certificate_nobody_asks_for_the_model():
    assert _decide(made=None, model=None).verdict is Verdict.RELEASED


def test_the_digest_of_a_policy_without_a_certificate_is_what_it_was():
    assert "certificate" not in dataclasses.asdict(default_policy()) or default_policy().certificate is None
    assert dataclasses.replace(default_policy(), certificate=MADE).digest() != default_policy().digest()


@pytest.mark.parametrize(
    "bad",
    [
        lambda: RiskScore({}),
        lambda: RiskScore({"bias_score": 1.0}),
        lambda: RiskScore({"uncertainty": -0.1}),
        lambda: RiskScore({"uncertainty": math.nan}),
        lambda: RiskScore({"uncertainty": 1.0}, link="probit"),
        lambda: dataclasses.replace(MADE, threshold=1.5),
        lambda: dataclasses.replace(MADE, errors=61),
        lambda: dataclasses.replace(MADE, accepted=0, errors=0),
        lambda: dataclasses.replace(MADE, bound=0.11),
    ],
)
def test_what_proves_nothing_is_refused(bad):
    with pytest.raises(InvalidValue):
        bad()


def test_an_unknown_key_of_a_certificate_is_refused():
    with pytest.raises(ConfigError, match="unknown key 'thresold'"):
        config.parse('name = "x"\n[certificate]\nthresold = 0.1\n', Policy)
