"""What was proved of a gate and for whom: a risk score over the signals, its certified threshold, and the conditions under which the proof holds.

In: the `[certificate]` table of a policy, signals, the identity of a model. Out: the estimated risk of an answer; why a certificate does not apply.
Pure numbers: how a certificate is made stands in `evaluate.certify`.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from typing import Any

from vesalius.domain.decision import Signals
from vesalius.errors import InvalidValue

SMALLER_IS_WORSE = frozenset({"image_reliance"})
# What may enter a score. The audited gap of a patient's group may not: it is one number for many patients and would refer whole groups.
SCORED = ("uncertainty", "flip_rate", "image_reliance", "hallucination_risk", "out_of_scope")
# Their limits stay in force beside a certified score, for they say what the model was made for and how it was audited, not how sure it is.
ALWAYS_LIMITED = frozenset({"bias_score", "out_of_scope"})
_WHO = ("name", "revision", "weights", "prompt")
_WHERE = frozenset({"device"})


@dataclasses.dataclass(frozen=True)
class RiskScore:
    """From signals to an estimated risk in [0, 1]:  p = f(intercept + sum over signals of weight * badness).

    badness is the signal, 1 - signal for `image_reliance`, and 1 for a signal that was not measured. No weight is negative, so a worse or a missing signal
    never lowers the risk.

    Args:
        weights: signal to weight, at least one. intercept: of the sum.
        link: "logistic": f = 1 / (1 + exp(-z)); "identity": f = z cut to [0, 1].
    """

    weights: Mapping[str, float]
    intercept: float = 0.0
    link: str = "logistic"

    def __post_init__(self) -> None:
        unknown = [name for name in self.weights if name not in SCORED]
        if not self.weights or unknown:
            raise InvalidValue(f"a risk score needs weights of signals (unknown: {', '.join(unknown) or 'none'})", remedy=f"give some of {', '.join(SCORED)}")
        if not all(math.isfinite(w) and w >= 0 for w in self.weights.values()) or not math.isfinite(self.intercept):
            raise InvalidValue("weights of a risk score must be finite and not negative, its intercept finite")
        if self.link not in ("logistic", "identity"):
            raise InvalidValue(f"link {self.link!r} is neither 'logistic' nor 'identity'", remedy="give one of them")

    def __call__(self, signals: Signals) -> float:
        """The estimated risk of an answer with these signals."""
        known = signals.items()
        z = self.intercept + sum(weight * badness(name, known[name].value) for name, weight in self.weights.items())
        if self.link == "identity":
            return min(1.0, max(0.0, z))
        return 0.5 * (1 + math.tanh(z / 2))


def badness(name: str, value: float | None) -> float:
    """A signal turned so that larger is worse; one that was not measured is as bad as can be."""
    if value is None:
        return 1.0
    return 1 - value if name in SMALLER_IS_WORSE else value


@dataclasses.dataclass(frozen=True)
class GroupRisk:
    """Errors among the accepted calibration cases of one group, with the exact interval; it is shown, not certified."""

    tag: str
    value: str
    n: int
    accepted: int
    errors: int
    risk: float | None = None
    low: float | None = None
    high: float | None = None


@dataclasses.dataclass(frozen=True)
class Certificate:
    """That among accepted answers at most `risk` are wrong, with probability `confidence` over the calibration cases.

    Args:
        risk, confidence: what was asked for. method, start: how it was proved (`metrics.certify`).
        score: the risk score. threshold: an answer is accepted when its score is at most this, and no other rule of the policy refers it.
        n, accepted, errors, bound, coverage: on the calibration cases.
        split: SHA-256 over the ids of fitting and calibration cases. suites: where they come from.
        measured: "gate": signals as the gate measures them; "plain answers": from a record without rewordings, samples and picture quality.
        model: identity of the model (name, revision, weights, ...). prompt: the hash of what surrounds a question, where known.
        conditions: in words, when it is void. groups: accepted risk by group.
        made, command, versions: when, how, with what.
    """

    risk: float
    confidence: float
    threshold: float
    score: RiskScore
    method: str
    start: int
    n: int
    accepted: int
    errors: int
    bound: float
    coverage: float
    split: str
    measured: str
    model: Mapping[str, str]
    suites: tuple[str, ...] = ()
    prompt: str | None = None
    conditions: tuple[str, ...] = ()
    groups: tuple[GroupRisk, ...] = ()
    made: str = ""
    command: str = ""
    versions: Mapping[str, str] = dataclasses.field(default_factory=dict)

    def __post_init__(self) -> None:
        if not (0 < self.risk < 1 and 0 < self.confidence < 1 and 0 <= self.threshold <= 1):
            raise InvalidValue(f"a certificate's levels must lie in [0, 1] (got {self.risk}, {self.confidence}, threshold {self.threshold})")
        if not 0 <= self.errors <= self.accepted <= self.n or not self.accepted:
            raise InvalidValue(f"a certificate needs 0 <= errors <= accepted <= n and some accepted (got {self.errors}, {self.accepted}, {self.n})")
        if not self.bound <= self.risk:
            raise InvalidValue(f"the bound {self.bound:g} does not prove a risk of {self.risk:g}", remedy="certify again")

    def differs(self, model: Mapping[str, Any]) -> tuple[list[str], list[str]]:
        """How the model at hand is another than the certified one: what makes it another model, and what only changes how it computes."""
        held = {**self.model, **({} if self.prompt is None else {"prompt": self.prompt})}
        changed = [name for name, value in held.items() if name not in _WHERE and str(model.get(name, "unknown")) != value]
        told = {name: f"{name} {model.get(name, 'unknown')} instead of {held[name]}" for name in changed}
        return [told[name] for name in changed if name in _WHO], [told[name] for name in changed if name not in _WHO]
