"""What a gate does with recorded cases: which it refers, how often it is wrong on the rest, in all and by group.

In: `Case`s, a policy, the identity of the model. Out: booleans, shares with intervals clustered by patient or image, exact intervals by group.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vesalius.domain.decision import Verdict
from vesalius.evaluate.certify_cases import GATE, Case, patient
from vesalius.evaluate.record import Item
from vesalius.metrics.statistics import clopper_pearson, cluster_ratio
from vesalius.safety import signals as measure
from vesalius.safety.certificate import SCORED, Certificate, GroupRisk, RiskScore
from vesalius.safety.gate import decide
from vesalius.safety.policy import Policy
from vesalius.safety.watch import Watch, watched

SEED = 0
_IDENTITY = ("name", "revision", "weights", "device", "dtype", "precision", "predictions")

Flags = NDArray[np.bool_]


class Gate:
    """A policy's gate on recorded cases of one model. Signals of plain answers lack some by their nature, so there `max_missing` has no say."""

    def __init__(self, policy: Policy, identity: Mapping[str, str], measured: str) -> None:
        self.policy = policy if measured == GATE else dataclasses.replace(policy, max_missing=len(SCORED) + 1)
        self.identity = identity
        self._found: dict[str, frozenset[str]] = {}

    def refers(self, cases: Sequence[Case], score: RiskScore | None = None) -> Flags:
        """Which cases it refers; with a score, for reasons other than how large that score is."""
        made = None if score is None else Certificate(0.5, 0.95, 1.0, score, "walk", 1, 1, 1, 0, 0.0, 1.0, "", GATE, self.identity)
        policy = dataclasses.replace(self.policy, certificate=made)
        return np.asarray([self._refers(case, policy) for case in cases], dtype=bool)

    def _refers(self, case: Case, policy: Policy) -> bool:
        question, answer = case.item.exchange.question.text, case.item.answer
        names = self._watched(question) | self._watched(answer.text)
        watches: tuple[Watch, ...] = tuple(watch for watch in policy.always_refer if watch.finding in names)
        rules = dataclasses.replace(policy, always_refer=watches)  # the same decision, without matching every phrase again for every case
        return decide(case.signals, rules, question=question, answer=answer, model=self.identity).verdict is Verdict.REFERRED

    def _watched(self, text: str) -> frozenset[str]:
        if text not in self._found:
            self._found[text] = frozenset(watched(text, self.policy.always_refer))
        return self._found[text]


def identity_of(model: Mapping[str, Any]) -> dict[str, str]:
    """Who answered, as a run's provenance has it, in the words that a reader tells the gate."""
    told = {**model, **(model.get("identity") or {})}
    found = {key: str(told[key]) for key in _IDENTITY if told.get(key) is not None}
    prompt = told.get("prompt")
    return found if prompt is None else {**found, "prompt": str(prompt)}


def groups(proof: Sequence[Case], accepted: Flags, tags: Sequence[str]) -> tuple[GroupRisk, ...]:
    """For each value of each tag: errors among the accepted by group, with exact two-sided intervals."""
    found = []
    for tag in dict.fromkeys(tags):
        values = [group_of(case.item, tag) for case in proof]
        for value in sorted({v for v in values if v}):
            inside = [i for i, v in enumerate(values) if v == value]
            kept = [i for i in inside if accepted[i]]
            errors = sum(proof[i].wrong for i in kept)
            interval = clopper_pearson(errors, len(kept))
            found.append(GroupRisk(tag, value, len(inside), len(kept), errors, interval.value, interval.low, interval.high))
    return tuple(found)


def group_of(item: Item, tag: str) -> str | None:
    """The group of an item by a tag: sex and band of age as the gate has them, else the tag as it is; None where it is not recorded."""
    if tag in ("sex", "age"):
        return measure.patient_group(patient(item))[tag]
    return item.exchange.tags.get(tag)


def shares(rows: Sequence[Case], accepted: Flags) -> dict[str, Any]:
    """Coverage, risk of what is accepted, and the same where a blank image is answered wrongly; intervals clustered by patient or image."""
    wrong = np.asarray([case.wrong for case in rows], dtype=bool)
    needed = np.asarray([bool(case.needed) for case in rows], dtype=bool)
    clusters = [case.cluster for case in rows]

    def share(hits: Flags, of: Flags) -> dict[str, Any]:
        inside = [c for c, kept in zip(clusters, of, strict=True) if kept]
        return cluster_ratio(hits[of].astype(float), np.ones(len(inside)), inside, seed=SEED).to_json()

    everything = np.ones_like(wrong)
    return {
        "n": len(rows),
        "coverage": share(accepted, everything),
        "coverage_image_needed": share(accepted, needed),
        "base_risk": share(wrong, everything),
        "accepted_risk": share(wrong, accepted),
        "accepted_risk_image_needed": share(wrong, accepted & needed),
    }
