"""What a questioned answer is: `Reading`, the answer with everything that was asked of it and what was decided.

In: answers, signals and a decision (from `reader`). Out: one noun that the command line prints, `evidence` draws and `evaluate` stores.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vesalius.domain.decision import Decision, Signals
from vesalius.domain.exchange import Answer, Question, Rewording


@dataclasses.dataclass(frozen=True, eq=False)
class Saliency:
    """Where an answer came from: `map` (rows, cols) in [0, 1] over the displayed image, and the method that made it."""

    map: NDArray[np.float32]
    method: str


@dataclasses.dataclass(frozen=True, eq=False)
class Reading:
    """One question, answered, questioned, decided.

    Args:
        rewordings: each rewording with the answer it got, in its own polarity (not yet normalised).
        controls: "blank", "other patient", ... to the answer that the wrong picture got.
        samples: answers drawn at temperature > 0 to the original wording.
        timing: seconds by step.
        evidence: names of files written.
        model, policy: name, version and hash of each.
    """

    question: Question
    answer: Answer
    decision: Decision
    signals: Signals
    rewordings: tuple[tuple[Rewording, Answer], ...] = ()
    controls: Mapping[str, Answer] = dataclasses.field(default_factory=dict)
    samples: tuple[Answer, ...] = ()
    saliency: Saliency | None = None
    model: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    policy: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    timing: Mapping[str, float] = dataclasses.field(default_factory=dict)
    evidence: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """The object that `ask --json` prints; keys as in the command line's documentation."""
        return {
            "question": self.question.text,
            "answer": self.answer.text,
            "outcome": str(self.answer.outcome),
            "confidence": self.answer.confidence,
            "decision": str(self.decision.verdict),
            "concerns": [dataclasses.asdict(c) for c in self.decision.concerns],
            "signals": {k: {"value": s.value, "reason": s.reason} for k, s in self.signals.items().items()},
            "paraphrases": [
                {"text": r.text, "family": r.family, "polarity": r.polarity, "rule": r.rule, "answer": a.text, "outcome": str(a.outcome)}
                for r, a in self.rewordings
            ],
            "controls": {k: {"answer": a.text, "outcome": str(a.outcome), "p_yes": a.p_yes} for k, a in self.controls.items()},
            "samples": [a.text for a in self.samples],
            "evidence": list(self.evidence),
            "model": dict(self.model),
            "policy": dict(self.policy),
            "timing": dict(self.timing),
        }
