"""Properties of the gate under any policy: a worse signal never releases more, nor does taking a passing signal away."""

import dataclasses

from hypothesis import given, settings
from hypothesis import strategies as st

from vesalius.domain.decision import Signal, Signals, Verdict
from vesalius.domain.exchange import Answer, Outcome
from vesalius.safety.gate import decide
from vesalius.safety.policy import SMALLER_IS_WORSE, Limit, Limits, default_policy
from vesalius.safety.watch import Watch

GRAVITY = {Verdict.RELEASED: 0, Verdict.CAVEATED: 1, Verdict.REFERRED: 2}
NAMES = [f.name for f in dataclasses.fields(Signals)]
UNIT = st.floats(0, 1)


BASE = dataclasses.replace(default_policy(), always_refer=())  # read once; watch lists are drawn below


@st.composite
def policies(draw):
    limits = {}
    for name in NAMES:
        low, high = sorted((draw(UNIT), draw(UNIT)))
        caveat, refer = (high, low) if name in SMALLER_IS_WORSE else (low, high)
        limits[name] = Limit(caveat, refer, draw(st.sampled_from([Verdict.CAVEATED, Verdict.REFERRED])), "look")
    watches = draw(st.sampled_from([(), (Watch("effusion", ("effusion",)),)]))
    return dataclasses.replace(BASE, limits=Limits(**limits), always_refer=watches, max_missing=draw(st.integers(0, 6)))


SIGNAL = st.one_of(st.builds(Signal, UNIT), st.just(Signal(None, "not measured")))
SIGNALS = st.builds(Signals, **dict.fromkeys(NAMES, SIGNAL))
ANSWERS = st.sampled_from(
    [
        Answer("yes", Outcome.YES),
        Answer("left", Outcome.TEXT),
        Answer("", Outcome.UNPARSED),
        Answer("unclear", Outcome.UNDETERMINED),
        Answer("no effusion", Outcome.NO),
    ]
)
QUESTIONS = st.sampled_from(["Is there an effusion?", "Which side?", "Is the heart large?"])


def _gravity(signals, policy, question, answer):
    return GRAVITY[decide(signals, policy, question=question, answer=answer).verdict]


@settings(max_examples=100, deadline=None)
@given(policies(), SIGNALS, st.sampled_from(NAMES), UNIT, UNIT, QUESTIONS, ANSWERS)
def test_a_worse_signal_never_releases_more(policy, signals, name, first, second, question, answer):
    better, worse = (max(first, second), min(first, second)) if name in SMALLER_IS_WORSE else (min(first, second), max(first, second))
    before = dataclasses.replace(signals, **{name: Signal(better)})
    after = dataclasses.replace(signals, **{name: Signal(worse)})
    assert _gravity(after, policy, question, answer) >= _gravity(before, policy, question, answer)


@settings(max_examples=100, deadline=None)
@given(policies(), SIGNALS, st.sampled_from(NAMES), QUESTIONS, ANSWERS)
def test_a_missing_signal_never_releases(policy, signals, name, question, answer):
    missing = dataclasses.replace(signals, **{name: Signal(None, "not measured")})
    decision = decide(missing, policy, question=question, answer=answer)
    assert decision.verdict is not Verdict.RELEASED
    assert any(c.name == name and c.value is None and "not measured" in c.reason for c in decision.concerns)


@settings(max_examples=100, deadline=None)
@given(policies(), SIGNALS, st.sampled_from(NAMES), UNIT, QUESTIONS, ANSWERS)
def test_taking_a_passing_signal_away_never_releases_more(policy, signals, name, value, question, answer):
    limit = policy.limits.items()[name]
    passing = max(value, limit.caveat) if name in SMALLER_IS_WORSE else min(value, limit.caveat)
    measured = dataclasses.replace(signals, **{name: Signal(passing)})
    missing = dataclasses.replace(signals, **{name: Signal(None, "not measured")})
    assert _gravity(missing, policy, question, answer) >= _gravity(measured, policy, question, answer)


@settings(max_examples=100, deadline=None)
@given(policies(), SIGNALS, QUESTIONS, ANSWERS)
def test_every_decision_explains_itself_and_repeats(policy, signals, question, answer):
    decision = decide(signals, policy, question=question, answer=answer)
    assert decision == decide(signals, policy, question=question, answer=answer)
    assert (decision.verdict is Verdict.RELEASED) == (not decision.concerns)
    for concern in decision.concerns:
        assert concern.reason
        if concern.name in NAMES and concern.value is not None:
            assert concern.threshold is not None
            assert concern.value < concern.threshold if concern.name in SMALLER_IS_WORSE else concern.value > concern.threshold


@settings(max_examples=100, deadline=None)
@given(policies(), SIGNALS, QUESTIONS, ANSWERS)
def test_watching_one_more_finding_never_releases_more(policy, signals, question, answer):
    more = dataclasses.replace(policy, always_refer=(*policy.always_refer, Watch("side", ("side",))))
    assert _gravity(signals, more, question, answer) >= _gravity(signals, policy, question, answer)


BEST = {name: Signal(1.0 if name in SMALLER_IS_WORSE else 0.0) for name in NAMES}


@settings(max_examples=100, deadline=None)
@given(policies(), SIGNALS, QUESTIONS, ANSWERS)
def test_no_concern_is_outvoted(policy, signals, question, answer):
    together = _gravity(signals, policy, question, answer)
    for name, signal in signals.items().items():
        alone = Signals(**{**BEST, name: signal})
        assert together >= _gravity(alone, policy, question, answer)
