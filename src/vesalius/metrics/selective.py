"""Answering only when sure: risk-coverage curve and its areas, AUROC, quality of a referral.

In: a score per answer (larger = surer) and its loss in [0, 1] (1 = wrong). Out: curves and numbers.
Answers with equal scores have no order: every figure is the mean over all their orders, so a constant score earns exactly the base risk.
"""

from __future__ import annotations

import dataclasses

import numpy as np
from numpy.typing import ArrayLike, NDArray

from vesalius.errors import InvalidValue

FloatArray = NDArray[np.float64]


def _pair(score: ArrayLike, loss: ArrayLike) -> tuple[FloatArray, FloatArray]:
    s, x = np.asarray(score, dtype=np.float64), np.asarray(loss, dtype=np.float64)
    if s.ndim != 1 or s.shape != x.shape:
        raise InvalidValue(f"scores and losses must be one-dimensional and of one length (got {s.shape} and {x.shape})")
    if not np.isfinite(s).all():
        raise InvalidValue("a score is not finite", remedy="give unscored answers their own column, or the lowest score")
    if not ((x >= 0) & (x <= 1)).all():
        raise InvalidValue("a loss lies outside [0, 1]", remedy="give 1 for a wrong answer and 0 for a right one")
    return s, x


def _cumulative(score: FloatArray, loss: FloatArray) -> FloatArray:
    """Expected sum of losses among the k surest answers, k = 1..n, with ties in random order."""
    order = np.argsort(-score, kind="stable")
    score, loss = score[order], loss[order]
    _, start, size = np.unique(-score, return_index=True, return_counts=True)
    # Within a tie every answer is equally likely to stand at each place, so each place costs the tie's mean loss.
    return np.cumsum(np.repeat(np.add.reduceat(loss, start) / size, size))


def risk_coverage(score: ArrayLike, loss: ArrayLike) -> tuple[FloatArray, FloatArray]:
    """Coverage k/n and risk (mean loss of the k surest answers), k = 1..n.

    Returns:
        Two (n,) arrays; empty when there are no answers.

    Raises:
        InvalidValue: shapes differ, a score is not finite, a loss lies outside [0, 1].
    """
    s, x = _pair(score, loss)
    if not len(s):
        return np.empty(0), np.empty(0)
    k = np.arange(1, len(s) + 1)
    return k / len(s), _cumulative(s, x) / k


def aurc(score: ArrayLike, loss: ArrayLike) -> float | None:
    """Area under the risk-coverage curve, (1/n) sum_k risk_k (Geifman & El-Yaniv, 2017); None without answers."""
    _, risk = risk_coverage(score, loss)
    return float(risk.mean()) if len(risk) else None


def eaurc(score: ArrayLike, loss: ArrayLike) -> float | None:
    """Excess AURC: AURC minus that of the oracle which puts the smallest losses first (Geifman et al., 2019); 0 is perfect ranking."""
    s, x = _pair(score, loss)
    area, oracle = aurc(s, x), aurc(-x, x)
    return None if area is None or oracle is None else area - oracle


def augrc(score: ArrayLike, loss: ArrayLike) -> float | None:
    """Area under the generalised risk-coverage curve, (1/n^2) sum_k sum_{i<=k} loss_i (Traub et al., 2024); None without answers."""
    s, x = _pair(score, loss)
    return float(_cumulative(s, x).sum() / len(s) ** 2) if len(s) else None


def auroc(score: ArrayLike, label: ArrayLike) -> float | None:
    """P(score of a positive > score of a negative), ties counted half (Mann-Whitney); None when a class is absent.

    Raises:
        InvalidValue: shapes differ, a score is not finite, a label is not 0 or 1.
    """
    s, y = _pair(score, np.asarray(label, dtype=np.float64))
    if not np.isin(y, (0, 1)).all():
        raise InvalidValue("a label is neither 0 nor 1", remedy="leave out what is not labelled")
    positives = int(y.sum())
    negatives = len(y) - positives
    if not positives or not negatives:
        return None
    _, inverse, size = np.unique(s, return_inverse=True, return_counts=True)
    rank = (np.cumsum(size) - (size - 1) / 2)[inverse]  # mean rank of a tie, from 1
    return float((rank[y == 1].sum() - positives * (positives + 1) / 2) / (positives * negatives))


@dataclasses.dataclass(frozen=True)
class Referral:
    """What a referral rule does. A share whose denominator is 0 is None.

    Args:
        n: answers. coverage: share accepted (not referred).
        error_capture: referred wrong / all wrong. over_referral: referred right / all right.
        base_risk: share wrong without referral. accepted_risk: share wrong among the accepted.
        accepted_risk_image_needed: the same among accepted answers whose question needs the image; None when not told which do.
    """

    n: int
    coverage: float | None
    error_capture: float | None
    over_referral: float | None
    base_risk: float | None
    accepted_risk: float | None
    accepted_risk_image_needed: float | None = None


def _share(hits: NDArray[np.bool_], of: NDArray[np.bool_]) -> float | None:
    total = int(of.sum())
    return int((hits & of).sum()) / total if total else None


def referral(referred: ArrayLike, wrong: ArrayLike, image_needed: ArrayLike | None = None) -> Referral:
    """Quality of a referral, from (n,) booleans.

    Raises:
        InvalidValue: lengths differ.
    """
    r, w = np.asarray(referred, dtype=bool), np.asarray(wrong, dtype=bool)
    needed = None if image_needed is None else np.asarray(image_needed, dtype=bool)
    if r.ndim != 1 or r.shape != w.shape or (needed is not None and needed.shape != r.shape):
        raise InvalidValue(f"referred and wrong must have one length (got {r.shape} and {w.shape})")
    everything = np.ones_like(r)
    return Referral(
        n=len(r),
        coverage=_share(~r, everything),
        error_capture=_share(r, w),
        over_referral=_share(r, ~w),
        base_risk=_share(w, everything),
        accepted_risk=_share(w, ~r),
        accepted_risk_image_needed=None if needed is None else _share(w, ~r & needed),
    )
