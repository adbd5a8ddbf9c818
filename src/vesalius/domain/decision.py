"""What is decided: `Signals` in [0, 1] with reasons for what is missing, `Concern`, and `Decision`.

In: measured numbers. Out: released, caveated or referred, each with its reasons.
"""

from __future__ import annotations

import dataclasses
import enum
import math
from collections.abc import Mapping

from vesalius.errors import InvalidValue


class Verdict(enum.StrEnum):
    """What happens to an answer."""

    RELEASED = "released"
    CAVEATED = "caveated"
    REFERRED = "referred"


@dataclasses.dataclass(frozen=True)
class Signal:
    """A measured number in [0, 1], or None with the reason why it was not measured."""

    value: float | None
    reason: str | None = None

    def __post_init__(self) -> None:
        if self.value is None and not self.reason:
            raise InvalidValue("a signal without a value needs the reason", remedy="say why it was not measured")
        if self.value is not None and not (math.isfinite(self.value) and 0 <= self.value <= 1):
            raise InvalidValue(f"a signal must lie in [0, 1] (got {self.value})")


@dataclasses.dataclass(frozen=True)
class Signals:
    """Everything the gate weighs. In all but `image_reliance`, larger is worse; `out_of_scope` is 0 (inside) to 1 (outside)."""

    uncertainty: Signal
    flip_rate: Signal
    image_reliance: Signal
    hallucination_risk: Signal
    bias_score: Signal
    out_of_scope: Signal

    def items(self) -> Mapping[str, Signal]:
        """Name to signal, in order."""
        return {f.name: getattr(self, f.name) for f in dataclasses.fields(self)}


@dataclasses.dataclass(frozen=True)
class Concern:
    """One reason against releasing an answer as it is."""

    name: str
    value: float | None
    threshold: float | None
    reason: str


@dataclasses.dataclass(frozen=True)
class Decision:
    """The gate's word on one answer."""

    verdict: Verdict
    concerns: tuple[Concern, ...] = ()

    def __post_init__(self) -> None:
        if self.verdict is not Verdict.RELEASED and not self.concerns:
            raise InvalidValue(f"a {self.verdict} answer needs at least one concern", remedy="say why")
