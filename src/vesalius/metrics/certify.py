"""Promises that hold with a stated probability: a risk certified for what is accepted, conformal answer sets, conformal factuality.

In: for each calibration case a score and whether the answer was wrong. Out: the loosest threshold whose true risk is bounded, or why there is none; quantiles
and sets. Every promise needs independent cases like those to come: one question a patient, nothing chosen by looking at them, the same model, prompt and site.
"""

from __future__ import annotations

import dataclasses
import functools
import math
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from vesalius.errors import InvalidValue

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

METHODS = ("walk", "grid")
_LARGE = 500  # cases from which a walk starts at several times the least count
_TIMES = 3
_STEPS = 10
_MOST_NEEDED = 100_000


def _levels(risk: float, confidence: float) -> None:
    if not 0 < risk < 1 or not 0 < confidence < 1:
        raise InvalidValue(f"risk and confidence must lie in (0, 1) (got {risk}, {confidence})", remedy="give shares, such as 0.10 and 0.95")


def minimum_accepted(risk: float, confidence: float) -> int:
    """Fewest accepted cases, all right, that can prove a risk: k >= ln(delta) / ln(1 - risk) with delta = 1 - confidence (5 % at 95 %: 59; 10 %: 29).

    Raises:
        InvalidValue: a level outside (0, 1).
    """
    _levels(risk, confidence)
    return math.ceil(math.log1p(-confidence) / math.log1p(-risk) - 1e-9)


def upper_bound(errors: int, accepted: int, confidence: float) -> float | None:
    """One-sided Clopper-Pearson bound of the risk, BetaInv(confidence; errors + 1, accepted - errors); None when nothing was accepted, 1 when all are wrong.

    Raises:
        InvalidValue: errors outside 0..accepted, confidence outside (0, 1).
    """
    _levels(0.5, confidence)
    if not 0 <= errors <= accepted:
        raise InvalidValue(f"errors must lie in 0..accepted (got {errors} of {accepted})")
    if errors == accepted:
        return 1.0 if accepted else None
    ways = np.asarray([math.lgamma(accepted + 1) - math.lgamma(i + 1) - math.lgamma(accepted - i + 1) for i in range(errors + 1)])
    i = np.arange(errors + 1)
    low, high = 0.0, 1.0
    while high - low > 1e-12:  # P(X <= errors) falls with p
        p = (low + high) / 2
        tail = float(np.exp(ways + i * math.log(p) + (accepted - i) * math.log1p(-p)).sum())
        low, high = (p, high) if tail > 1 - confidence else (low, p)
    return (low + high) / 2


def allowed_errors(n: int, risk: float, confidence: float) -> IntArray:
    """For k = 0..n accepted cases the most errors whose upper bound is still at most `risk`; -1 where none is.

    The bound is at most r exactly when P(X <= errors) <= delta for X ~ Binomial(k, r), so one table of binomial tails serves a whole walk.

    Raises:
        InvalidValue: a level outside (0, 1).
    """
    _levels(risk, confidence)
    return _allowed(n, risk, 1 - confidence).copy()


@functools.lru_cache(maxsize=16)
def _allowed(n: int, risk: float, delta: float) -> IntArray:
    found = np.full(n + 1, -1, dtype=np.int64)
    mass = np.zeros(n + 1)  # of Binomial(k, risk), one trial added at a time: sums of positive terms, so nothing cancels
    mass[0] = 1.0
    for k in range(1, n + 1):
        mass[1 : k + 1] = mass[1 : k + 1] * (1 - risk) + mass[:k] * risk
        mass[0] *= 1 - risk
        found[k] = np.searchsorted(np.cumsum(mass[: k + 1]), delta * (1 + 1e-12), side="right") - 1
    return found


def needed_accepted(rate: float, risk: float, confidence: float) -> int | None:
    """About how many accepted cases would prove `risk` when a share `rate` of them is wrong; None when no number would (or more than 100,000).

    Raises:
        InvalidValue: a level outside (0, 1), a rate outside [0, 1].
    """
    least = minimum_accepted(risk, confidence)
    if not 0 <= rate <= 1:
        raise InvalidValue(f"a rate must lie in [0, 1] (got {rate})")
    if rate >= risk:
        return None
    k = least
    while k <= _MOST_NEEDED:
        if (upper_bound(math.ceil(rate * k - 1e-9), k, confidence) or 0.0) <= risk:
            return k
        k += max(1, k // 50)
    return None


def starting_count(n: int, risk: float, confidence: float) -> int:
    """Accepted cases at which a walk begins, from counts alone: the least that can pass, or three times that with at least 500 cases.

    A walk that begins earlier fails at its first step whatever the model; one that begins at the least itself needs a run without a single error.
    """
    least = minimum_accepted(risk, confidence)
    return min(n, _TIMES * least) if n >= _LARGE else least


@dataclasses.dataclass(frozen=True)
class Certified:
    """What was proved.

    Args:
        threshold: cases whose score is at most this are accepted; None when nothing is certified, and then `reason` says why.
        accepted, errors, bound, coverage: at that threshold, on the n calibration cases; None without one.
        start: accepted cases at which the tests began. tested: number of thresholds that were tested.
        best: for nothing certified: (accepted, errors) of the first threshold tested; None when none could be.
    """

    method: str
    risk: float
    confidence: float
    n: int
    start: int
    tested: int
    threshold: float | None = None
    accepted: int | None = None
    errors: int | None = None
    bound: float | None = None
    coverage: float | None = None
    reason: str | None = None
    best: tuple[int, int] | None = None


def _ordered(score: ArrayLike, wrong: ArrayLike) -> tuple[FloatArray, IntArray, IntArray, int]:
    """Distinct finite scores ascending, cases accepted and errors among them at each, and n."""
    s, w = np.asarray(score, dtype=np.float64), np.asarray(wrong, dtype=np.float64)
    if s.ndim != 1 or s.shape != w.shape:
        raise InvalidValue(f"scores and errors must be one-dimensional and of one length (got {s.shape} and {w.shape})")
    if np.isnan(s).any() or (s == -np.inf).any():
        raise InvalidValue("a score is not a number", remedy="give infinity to a case that is never accepted")
    if not np.isin(w, (0, 1)).all():
        raise InvalidValue("an error is neither 0 nor 1", remedy="leave out what was not judged")
    finite = np.isfinite(s)
    values, place = np.unique(s[finite], return_inverse=True)
    accepted = np.cumsum(np.bincount(place, minlength=len(values)))
    errors = np.cumsum(np.bincount(place, weights=w[finite], minlength=len(values)).round().astype(np.int64))
    return values, accepted.astype(np.int64), errors.astype(np.int64), len(s)


def certify(score: ArrayLike, wrong: ArrayLike, *, risk: float, confidence: float, method: str = "walk", start: int | None = None) -> Certified:
    """The loosest threshold whose true risk among accepted cases is at most `risk`, with probability `confidence` over the calibration cases.

    walk: thresholds at the distinct scores, from the strictest that accepts at least `start` cases to the loosest; at each the exact binomial bound is held
    against `risk`; the first failure ends the walk and the last that passed is kept. Each test has the whole delta, because a walk makes at most one mistake
    first (fixed-sequence testing; Learn-then-Test, arXiv 2110.01052; selective guaranteed risk, arXiv 1705.08500).
    grid: ten thresholds chosen by counts alone, evenly from `start` to all, each tested at delta / 10 (Bonferroni); the loosest that passes is kept. It
    survives an unlucky start and pays for it everywhere.

    Args:
        score: (n,) larger is riskier; infinity is never accepted. wrong: (n,) 1 for a wrong answer. Equal scores are accepted together.
        start: accepted cases at which testing begins; None: `starting_count`. It must be fixed before anybody has looked at `wrong`.

    Raises:
        InvalidValue: shapes differ, a score that is no number, an error that is not 0 or 1, a level outside (0, 1), an unknown method.
    """
    _levels(risk, confidence)
    if method not in METHODS:
        raise InvalidValue(f"no way of certifying is called {method!r}", remedy=f"give one of {', '.join(METHODS)}")
    values, accepted, errors, n = _ordered(score, wrong)
    first = starting_count(n, risk, confidence) if start is None else start
    delta = 1 - confidence
    level = confidence if method == "walk" else 1 - delta / _STEPS
    if method == "grid":
        first = max(first, minimum_accepted(risk, level)) if start is None else first
    place = int(np.searchsorted(accepted, first))
    if place >= len(values):
        can = int(accepted[-1]) if len(values) else 0
        why = f"at least {first} accepted cases are needed and only {can} of {n} can be accepted at all"
        return Certified(method, risk, confidence, n, first, 0, reason=why)
    steps = np.arange(place, len(values)) if method == "walk" else _grid(accepted, first)
    allowed = allowed_errors(int(accepted[-1]), risk, level)
    passes = errors[steps] <= allowed[accepted[steps]]
    tested = len(steps)
    if method == "walk":
        failed = np.flatnonzero(~passes)
        tested = int(failed[0]) + 1 if len(failed) else len(steps)
        passes[tested:] = False
    best = (int(accepted[steps[0]]), int(errors[steps[0]]))
    if not passes.any():
        most = int(allowed[best[0]])
        room = f"at most {most} may be" if most >= 0 else "none would be enough"
        why = f"{best[1]} of the {best[0]} safest cases are wrong, {room}"
        return Certified(method, risk, confidence, n, first, tested, reason=why, best=best)
    at = int(steps[np.flatnonzero(passes)[-1]])
    k, e = int(accepted[at]), int(errors[at])
    return Certified(method, risk, confidence, n, first, tested, float(values[at]), k, e, upper_bound(e, k, level), k / n, best=best)


def _grid(accepted: IntArray, first: int) -> NDArray[np.intp]:
    counts = np.linspace(first, int(accepted[-1]), _STEPS).round()
    return np.unique(np.searchsorted(accepted, counts))


def best_empirical(score: ArrayLike, wrong: ArrayLike, risk: float) -> float | None:
    """The loosest threshold whose *observed* risk is at most `risk`; None when there is none. It promises nothing: chance chose it, and it is here to compare.

    Raises:
        InvalidValue: as `certify`.
    """
    values, accepted, errors, _ = _ordered(score, wrong)
    good = np.flatnonzero(errors <= risk * accepted + 1e-12)
    return float(values[good[-1]]) if len(good) else None


def conformal_quantile(scores: ArrayLike, alpha: float) -> float:
    """The ceil((n + 1)(1 - alpha))-th smallest calibration score; infinity when n is too small for that (n < 1/alpha - 1), so that everything is included.

    For exchangeable scores, P(new score <= quantile) >= 1 - alpha (Vovk et al., 2005; Angelopoulos & Bates, arXiv 2107.07511).

    Raises:
        InvalidValue: scores not finite, alpha outside (0, 1).
    """
    values = np.sort(np.asarray(scores, dtype=np.float64))
    if values.ndim != 1 or np.isnan(values).any():
        raise InvalidValue("conformal scores must be one-dimensional numbers", remedy="leave out what was not scored, and count it")
    _levels(alpha, 0.5)
    place = math.ceil((len(values) + 1) * (1 - alpha) - 1e-9)
    return float(values[place - 1]) if place <= len(values) else math.inf


def group_quantiles(scores: ArrayLike, groups: Sequence[str], alpha: float) -> dict[str, float]:
    """`conformal_quantile` within each group (Mondrian): the coverage then holds in every group, not on the average alone.

    Raises:
        InvalidValue: as there, or lengths differ.
    """
    values, labels = np.asarray(scores, dtype=np.float64), np.asarray([str(g) for g in groups])
    if values.shape != labels.shape:
        raise InvalidValue(f"groups must have one entry per score (got {len(labels)} for {values.shape})")
    return {str(name): conformal_quantile(values[labels == name], alpha) for name in np.unique(labels)}


def conformal_sets(probabilities: ArrayLike, quantile: float | Mapping[str, float], groups: Sequence[str] | None = None) -> NDArray[np.bool_]:
    """Which answers cannot be excluded: those with 1 - p <= q, where q was computed from the calibration scores 1 - p(true answer).

    Args:
        probabilities: (n, answers) in [0, 1]. quantile: one for all, or by group; a group that was not calibrated excludes nothing.
        groups: (n,) group of each case; needed with quantiles by group.

    Returns:
        (n, answers) booleans. A set of one is an answer; an empty or larger one is a referral.

    Raises:
        InvalidValue: probabilities outside [0, 1], groups missing or of another length.
    """
    p = np.asarray(probabilities, dtype=np.float64)
    if p.ndim != 2 or not ((p >= 0) & (p <= 1)).all():
        raise InvalidValue(f"probabilities must be a table of numbers in [0, 1] (got shape {p.shape})", remedy="give one row per case")
    if isinstance(quantile, Mapping):
        if groups is None or len(groups) != len(p):
            raise InvalidValue("quantiles by group need the group of each case")
        cut = np.asarray([quantile.get(str(g), math.inf) for g in groups]).reshape(-1, 1)
    else:
        cut = np.full((len(p), 1), quantile)
    return 1 - p <= cut


def claim_cut(scores: ArrayLike, right: ArrayLike, share: float = 1.0) -> float:
    """The largest score c of a report at which keeping the claims that score at least c leaves fewer than `share` of them right; -infinity when none does.

    Keeping the claims above the conformal quantile of this number over calibration reports leaves at least `share` of the kept claims right, with
    probability 1 - alpha (Mohri & Hashimoto, arXiv 2402.10978). With share = 1 it is the highest score of a wrong claim.

    Args:
        scores: (claims,) larger is surer. right: (claims,) 1 for a claim that holds. No claims: -infinity, nothing can be wrong.

    Raises:
        InvalidValue: lengths differ, a score not finite, `right` not 0 or 1, share outside (0, 1].
    """
    s, y = np.asarray(scores, dtype=np.float64), np.asarray(right, dtype=np.float64)
    if s.ndim != 1 or s.shape != y.shape or not np.isfinite(s).all() or not np.isin(y, (0, 1)).all():
        raise InvalidValue("claims need a finite score each, and 1 or 0 for right or wrong")
    if not 0 < share <= 1:
        raise InvalidValue(f"share must lie in (0, 1] (got {share})")
    failing = [float(c) for c in np.unique(s) if y[s >= c].mean() < share]
    return max(failing, default=-math.inf)


def keep_claims(scores: ArrayLike, quantile: float) -> NDArray[np.bool_]:
    """Which claims are kept: those that score above (not at) the quantile of `claim_cut`."""
    return np.asarray(scores, dtype=np.float64) > quantile
