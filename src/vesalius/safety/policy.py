"""What may be released: limits on every signal, findings that always go to a physician, calibration, audit, scope, certificate, in one versioned TOML file.

In: a TOML file. Out: a frozen `Policy`, checked as a whole, with a SHA-256 that stands beside every decision made under it.
"""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import importlib.resources
import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from vesalius import config
from vesalius.domain.decision import Verdict
from vesalius.domain.exchange import Answer, Outcome
from vesalius.errors import ConfigError, InvalidValue, UnknownName
from vesalius.metrics.calibration import Calibration, from_json
from vesalius.safety.certificate import SMALLER_IS_WORSE as SMALLER_IS_WORSE
from vesalius.safety.certificate import Certificate
from vesalius.safety.scope import Scope
from vesalius.safety.watch import Watch


@dataclasses.dataclass(frozen=True)
class Limit:
    """Two limits on one signal.

    Args:
        caveat, refer: beyond them (strictly) the answer is caveated or referred.
        missing: verdict when the signal was not measured: CAVEATED or REFERRED.
        message: what people are told when the answer is referred.
    """

    caveat: float
    refer: float
    missing: Verdict
    message: str

    def __post_init__(self) -> None:
        if not all(math.isfinite(v) and 0 <= v <= 1 for v in (self.caveat, self.refer)):
            raise InvalidValue(f"limits must lie in [0, 1] (got caveat {self.caveat}, refer {self.refer})")
        if self.missing is Verdict.RELEASED:
            raise InvalidValue("a missing signal may not release an answer", remedy='set missing to "caveated" or "referred"')
        if not self.message.strip():
            raise InvalidValue("a limit needs a message", remedy="say what the reader of a referred answer is told")


@dataclasses.dataclass(frozen=True)
class Limits:
    """One `Limit` for each signal of `domain.decision.Signals`, under its name."""

    uncertainty: Limit
    flip_rate: Limit
    image_reliance: Limit
    hallucination_risk: Limit
    bias_score: Limit
    out_of_scope: Limit

    def __post_init__(self) -> None:
        for name, limit in self.items().items():
            strict = limit.refer <= limit.caveat if name in SMALLER_IS_WORSE else limit.refer >= limit.caveat
            if not strict:
                raise InvalidValue(f"limits of {name}: refer ({limit.refer:g}) must be no milder than caveat ({limit.caveat:g})", remedy="exchange them")

    def items(self) -> Mapping[str, Limit]:
        """Signal name to limit."""
        return {f.name: getattr(self, f.name) for f in dataclasses.fields(self)}


@dataclasses.dataclass(frozen=True)
class Calibrations:
    """Fitted maps as `metrics.calibration` writes them: `closed` for yes/no answers, `open` for free text; and where they come from.

    Args:
        model: the model they were fitted for; the answers of any other stay uncalibrated. None: of whichever model the policy gates.
    """

    closed: Mapping[str, Any] | None = None
    open: Mapping[str, Any] | None = None
    source: str | None = None
    model: str | None = None

    def __post_init__(self) -> None:
        for table in (self.closed, self.open):
            if table is not None:
                from_json(table)


@dataclasses.dataclass(frozen=True)
class AuditedGap:
    """A measured gap of one group, and the patients it rests on."""

    gap: float
    n: int

    def __post_init__(self) -> None:
        if not (math.isfinite(self.gap) and 0 <= self.gap <= 1) or self.n < 0:
            raise InvalidValue(f"an audited gap must lie in [0, 1] and n not be negative (got {self.gap}, {self.n})")


@dataclasses.dataclass(frozen=True)
class Audit:
    """Gaps by attribute and group ("sex" -> "F" -> gap, n), and where they were measured."""

    gaps: Mapping[str, Mapping[str, AuditedGap]]
    source: str
    minimum_n: int = 20


@dataclasses.dataclass(frozen=True)
class Policy:
    """The rules of one gate.

    Args:
        name, version: of the file; change the version with every change.
        limits: on the signals.
        always_refer: findings that always go to a physician.
        max_missing: an answer with more missing signals is referred.
        calibration, audit: measured on the model that is gated; None when nobody did.
        scope: narrows the scope that the model's card declares; None leaves it.
        certificate: a risk score with a threshold that was proved; it takes the place of the limits on the signals it weighs. None: limits alone.
    """

    name: str
    version: str
    limits: Limits
    always_refer: tuple[Watch, ...]
    max_missing: int
    calibration: Calibrations | None = None
    audit: Audit | None = None
    scope: Scope | None = None
    certificate: Certificate | None = None

    def __post_init__(self) -> None:
        if not self.name.strip() or not self.version.strip():
            raise InvalidValue("a policy needs a name and a version", remedy="give both")
        if self.max_missing < 0:
            raise InvalidValue(f"max_missing must not be negative (got {self.max_missing})")

    def calibrator(self, answer: Answer, model: str | None = None) -> Calibration | None:
        """The fitted map for this kind of answer of this model, or None."""
        if self.calibration is None or (model is not None and self.calibration.model not in (None, model)):
            return None
        table = self.calibration.closed if answer.outcome in (Outcome.YES, Outcome.NO) else self.calibration.open
        return None if table is None else from_json(table)

    def gaps(self) -> dict[str, dict[str, dict[str, Any]]]:
        """The audit as `signals.bias_score` takes it; empty without one."""
        if self.audit is None:
            return {}
        return {attribute: {group: {"gap": g.gap, "n": g.n} for group, g in rows.items()} for attribute, rows in self.audit.gaps.items()}

    def digest(self) -> str:
        """SHA-256 over the content: comments and layout of the file do not matter, every value does."""
        content = dataclasses.asdict(self)
        if self.certificate is None:  # a policy without one keeps the digest it had before there were certificates
            del content["certificate"]
        return hashlib.sha256(json.dumps(content, sort_keys=True, ensure_ascii=False, default=_plain).encode()).hexdigest()

    def identity(self) -> dict[str, str]:
        """Name, version and digest, to stand beside a decision."""
        return {"name": self.name, "version": self.version, "sha256": self.digest()}


def _plain(value: Any) -> Any:  # noqa: ANN401
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError(f"{type(value).__name__} is not JSON")  # our own bug: a policy holds TOML values only


def read_policy(path: str | Path, *, overrides: Sequence[str] = ()) -> Policy:
    """A policy from a TOML file; every key must be known and every limit given.

    Args:
        path: the file.
        overrides: `limits.uncertainty.refer=0.6`, as on the command line.

    Raises:
        ConfigError: unreadable, not TOML, a key unknown or missing, a value of the wrong type or out of range.
    """
    try:
        return config.read(path, Policy, overrides=overrides)
    except ConfigError:
        raise
    except (InvalidValue, UnknownName) as error:
        raise ConfigError(f"{path}: {error.what}", remedy=error.remedy) from error


@functools.cache
def default_policy() -> Policy:
    """The policy that ships with the package (`safety/default_policy.toml`)."""
    text = importlib.resources.files("vesalius.safety").joinpath("default_policy.toml").read_text(encoding="utf-8")
    return config.parse(text, Policy, where="default_policy.toml")
