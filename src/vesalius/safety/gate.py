"""The gate: signals and a policy to a decision. A pure function; it knows no model and remembers nothing.

In: `Signals`, a `Policy`, the question, the answer and the identity of whoever gave it. Out: a `Decision` with every concern, the gravest first.
A worse signal never releases more, and taking a passing signal away never releases more: both are tested as properties.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from vesalius.domain.decision import Concern, Decision, Signal, Signals, Verdict
from vesalius.domain.exchange import Answer, Outcome
from vesalius.metrics.text import is_yes_no_question
from vesalius.safety.certificate import ALWAYS_LIMITED, Certificate
from vesalius.safety.policy import SMALLER_IS_WORSE, Limit, Policy
from vesalius.safety.watch import watched

_GRAVITY = {Verdict.RELEASED: 0, Verdict.CAVEATED: 1, Verdict.REFERRED: 2}

Weighed = tuple[Verdict, Concern]


def decide(signals: Signals, policy: Policy, *, question: str, answer: Answer, model: Mapping[str, Any] | None = None) -> Decision:
    """What happens to an answer: the gravest verdict of all its concerns, released when it has none.

    1. an answer that could not be read, or that says the question cannot be determined, is referred;
    2. a yes/no question answered otherwise, and another question answered by yes or no, gets a caveat;
    3. a question or answer that mentions a finding of `policy.always_refer` is referred;
    4. each signal beyond its limit is caveated or referred; a missing one as the policy says, never released;
    5. more missing signals than `policy.max_missing` are referred;
    6. under a certificate a risk score above its threshold is referred, and so is every answer of another model than the certified one. The signals that
       the score weighs are then caveated by 4, no longer referred: the score was proved to do that.

    Args:
        question: as asked. answer: as given to the original words.
        model: name, revision, weights, ... of the model that answered; matters under a certificate alone, where None is a caveat.
    """
    weighed = [
        *_outcome(question, answer),
        *_always(policy, question, answer),
        *_certified(signals, policy.certificate, model),
        *(found for name, signal in signals.items().items() if (found := _signal(name, signal, policy.limits.items()[name], _weighs(policy, name)))),
        *_missing(signals, policy),
    ]
    weighed.sort(key=lambda w: -_GRAVITY[w[0]])  # stable: within a verdict the order above remains
    return Decision(weighed[0][0] if weighed else Verdict.RELEASED, tuple(concern for _, concern in weighed))


def _outcome(question: str, answer: Answer) -> list[Weighed]:
    if answer.outcome is Outcome.UNPARSED:
        return [(Verdict.REFERRED, Concern("outcome", None, None, "The answer could not be read: physician review required"))]
    if answer.outcome is Outcome.UNDETERMINED:
        return [(Verdict.REFERRED, Concern("outcome", None, None, "The model says that this cannot be determined: physician review required"))]
    asked_yes_no, said_yes_no = is_yes_no_question(question), answer.outcome in (Outcome.YES, Outcome.NO)
    if asked_yes_no == said_yes_no:
        return []
    reason = "The question asks for yes or no; the answer is neither" if asked_yes_no else "The answer is yes or no; the question does not ask for that"
    return [(Verdict.CAVEATED, Concern("outcome", None, None, reason))]


def _always(policy: Policy, question: str, answer: Answer) -> list[Weighed]:
    asked, said = watched(question, policy.always_refer), watched(answer.text, policy.always_refer)
    found = []
    for watch in policy.always_refer:
        where = " and ".join(w for w, names in (("question", asked), ("answer", said)) if watch.finding in names)
        if where:
            reason = f"Always referred to a physician: {watch.finding} (mentioned in the {where})"
            found.append((Verdict.REFERRED, Concern("always_refer", None, None, reason)))
    return found


def _certified(signals: Signals, certificate: Certificate | None, model: Mapping[str, Any] | None) -> list[Weighed]:
    if certificate is None:
        return []
    found = []
    another, otherwise = ([], ["the gate was not told which model answers"]) if model is None else certificate.differs(model)
    if another:
        reason = f"The certificate was made for another model ({', '.join(another)}): physician review required"
        found.append((Verdict.REFERRED, Concern("certificate", None, None, reason)))
    elif otherwise:
        found.append((Verdict.CAVEATED, Concern("certificate", None, None, f"The certificate may not hold: {', '.join(otherwise)}")))
    risk = certificate.score(signals)
    if risk > certificate.threshold:
        reason = f"Estimated risk {risk:.3f} is above the certified limit {certificate.threshold:.3f}: physician review required"
        found.append((Verdict.REFERRED, Concern("certified_risk", risk, certificate.threshold, reason)))
    return found


def _weighs(policy: Policy, name: str) -> bool:
    return policy.certificate is not None and name in policy.certificate.score.weights and name not in ALWAYS_LIMITED


def _signal(name: str, signal: Signal, limit: Limit, weighed: bool) -> Weighed | None:
    """The limits on one signal; where a certified score weighs it, its limit to refer at is one to caveat at."""
    if weighed:
        limit = dataclasses.replace(limit, refer=0.0 if name in SMALLER_IS_WORSE else 1.0, missing=Verdict.CAVEATED)
    words = name.replace("_", " ")
    if signal.value is None:
        return limit.missing, Concern(name, None, None, f"{words} was not measured: {signal.reason}")
    note = f" ({signal.reason})" if signal.reason else ""
    side = "below" if name in SMALLER_IS_WORSE else "above"
    if _beyond(name, signal.value, limit.refer):
        reason = f"{limit.message}: {words} {signal.value:.2f} is {side} the limit {limit.refer:.2f}{note}"
        return Verdict.REFERRED, Concern(name, signal.value, limit.refer, reason)
    if _beyond(name, signal.value, limit.caveat):
        return Verdict.CAVEATED, Concern(name, signal.value, limit.caveat, f"{words} {signal.value:.2f} is {side} {limit.caveat:.2f}{note}")
    return None


def _beyond(name: str, value: float, limit: float) -> bool:
    return value < limit if name in SMALLER_IS_WORSE else value > limit


def _missing(signals: Signals, policy: Policy) -> list[Weighed]:
    names = [name for name, signal in signals.items().items() if signal.value is None]
    if len(names) <= policy.max_missing:
        return []
    reason = f"Not questioned enough: {len(names)} signals are missing ({', '.join(names)}): physician review required"
    return [(Verdict.REFERRED, Concern("missing_signals", None, float(policy.max_missing), reason))]
