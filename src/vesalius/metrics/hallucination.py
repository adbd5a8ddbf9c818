"""Signs that an answer is made up, from what a model says when it is asked several times: entropies over meanings, support, VASE, contradiction, CHAIR.

In: a label of meaning for each sample (equal labels = equal meaning; who clusters is the caller's business), log-probabilities, sets of findings.
Out: plain numbers. Larger is worse but for `support`. What cannot be computed is None. Entropies are in nats unless the name says otherwise.

Names disagree across implementations, and so do the numbers; each function says whose it is. One case to tell them apart: ten samples of the picture mean A,
ten samples of the distorted picture mean B, the greedy answer means A:

    semantic entropy 0; VASE 0.191; VASE with clipping 0; had the distorted picture said A too: 0, 0, 0, though the model may never have looked.
"""

from __future__ import annotations

from collections.abc import Collection, Hashable, Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from vesalius.errors import InvalidValue

FloatArray = NDArray[np.float64]

DSE_SAMPLES, DSE_LIMIT = 15, 0.3  # what arXiv 2510.09256 drew, and above what it refused (it also tried 0.6)
_PLUS = 1e-10  # inside the logarithm of VASE, as in its authors' code


def labels(keys: Sequence[Hashable | None]) -> tuple[int, ...]:
    """Numbers of meanings in the order in which they first occur; None, an answer that could not be read, is a meaning of its own each time."""
    seen: dict[Hashable, int] = {}
    return tuple(seen.setdefault(("unreadable", place) if key is None else ("read", key), len(seen)) for place, key in enumerate(keys))


def shares(of: Sequence[int], log_likelihood: ArrayLike | None = None, *, slots: int | None = None) -> FloatArray:
    """Probability of each meaning, estimated from samples.

        p_c = sum_{i in c} exp(l_i) / sum_i exp(l_i)        with log-likelihoods (the "Rao" estimate of Farquhar et al. 2024, l_i per token: length-normalised)
        p_c = n_c / N                                       without

    Repeated samples count as often as they were drawn, in both, as in the authors' code.

    Args:
        of: (N,) label of each sample, 0 or more. log_likelihood: (N,) natural logarithms. slots: length of the result; None: the largest label + 1.

    Returns:
        (slots,) sums to 1; empty without samples.

    Raises:
        InvalidValue: lengths differ, a label is negative or does not fit, a log-likelihood is not finite.
    """
    place = np.asarray(of, dtype=np.intp)
    wide = slots if slots is not None else (int(place.max()) + 1 if place.size else 0)
    if place.ndim != 1 or (place < 0).any() or (place >= wide).any():
        raise InvalidValue(f"labels must be numbers from 0 to {wide - 1}, one for each sample", remedy="number the meanings with `labels`")
    if not place.size:
        return np.zeros(wide)
    logs = np.zeros(place.size) if log_likelihood is None else np.asarray(log_likelihood, dtype=np.float64)
    if logs.shape != place.shape or not np.isfinite(logs).all():
        raise InvalidValue(f"each of {place.size} samples needs one finite log-likelihood (got {logs.size})", remedy="leave it out where it is unknown")
    weight = np.exp(logs - logs.max())
    return np.asarray(np.bincount(place, weight, minlength=wide) / weight.sum(), dtype=np.float64)


def entropy(p: ArrayLike) -> float:
    """-sum p ln p in nats, 0 ln 0 = 0.

    Raises:
        InvalidValue: not a distribution.
    """
    q = np.asarray(p, dtype=np.float64)
    if q.ndim != 1 or not q.size or (q < 0).any() or abs(q.sum() - 1) > 1e-6:
        raise InvalidValue("an entropy needs probabilities that sum to 1")
    q = q[q > 0]
    return float(-(q * np.log(q)).sum()) + 0.0  # never -0.0


def semantic_entropy(of: Sequence[int], log_likelihood: ArrayLike) -> float | None:
    """Semantic entropy of Farquhar et al. (Nature 630, 2024): entropy over meanings weighted by sequence likelihood, nats, 0 to ln N.

    Checked against the authors' code (`logsumexp_by_id`, `predictive_entropy_rao`) and hedge-bench 0.1.2 (`sentence_semantic_entropy`). None with fewer than
    two samples.
    """
    return entropy(shares(of, log_likelihood)) if len(of) >= 2 else None


def discrete_semantic_entropy(of: Sequence[int]) -> float | None:
    """The discrete variant (same paper, `cluster_assignment_entropy`): p_c = n_c / N, nats, 0 to ln N. None with fewer than two samples."""
    return entropy(shares(of)) if len(of) >= 2 else None


def dse(of: Sequence[int]) -> float | None:
    """DSE of Wienholt et al. (arXiv 2510.09256): the discrete variant in decimal logarithms, 0 to log10 N (1.176 for its 15 samples).

    The same samples give 1/2.303 of the discrete variant: its limit of 0.3 is 0.69 nats, and a tie of two meanings (0.301) is just refused. With another
    number of samples the limit means something else. None with fewer than two samples.
    """
    value = discrete_semantic_entropy(of)
    return None if value is None else value / float(np.log(10))


def predictive_entropy(log_likelihood: ArrayLike) -> float | None:
    """-(1/N) sum l_i: the entropy over words that semantic entropy is to improve on (Kuhn et al. 2023); None without samples."""
    logs = np.asarray(log_likelihood, dtype=np.float64)
    return float(-logs.mean()) if logs.size else None


def support(greedy: int, of: Sequence[int]) -> float | None:
    """RadFlag's support in the form of hedge-bench 0.1.2 (`radflag`): the share of samples that mean what the greedy answer means. None without samples.

    RadFlag itself (arXiv 2411.00299) asks of each sentence of a report which share of sampled reports entails it: see `claim_support`.
    """
    return sum(label == greedy for label in of) / len(of) if of else None


def claim_support(entails: ArrayLike) -> FloatArray:
    """RadFlag (arXiv 2411.00299): for each claim of the greedy answer the share of samples that entail it.

    Args:
        entails: (claims, samples) booleans.

    Returns:
        (claims,) in [0, 1]; empty when there is no sample or no claim.
    """
    table = np.asarray(entails, dtype=np.float64)
    return table.mean(axis=1) if table.ndim == 2 and table.size else np.empty(0)


def contradiction(denies: ArrayLike) -> float | None:
    """Claim-level contradiction: the largest share of samples that deny a claim of the greedy answer, 0 to 1. None without claims or samples.

    Silence is no contradiction: a sample may neither entail a claim nor deny it, so 1 - support and contradiction differ for open answers.

    Args:
        denies: (claims, samples) booleans.
    """
    table = claim_support(denies)
    return float(table.max()) if table.size else None


def vase(clean: ArrayLike, distorted: ArrayLike, alpha: float = 1.0) -> float:
    """VASE, "vision-amplified semantic entropy" (Liao et al., MICCAI 2025, arXiv 2503.20504), on shares of meanings.

        H(softmax(P_clean + alpha (P_clean - P_distorted)))        nats, 0 (one meaning) to ln K

    The formula of the authors' code and of hedge-bench 0.1.2, which agree. What differs is what it is fed:
    - the paper draws the clean samples from *weakly transformed* pictures;
    - the authors' code and hedge-bench draw them from the picture itself, and count a meaning that only the greedy answer has as a slot of its own.
    The softmax is taken of probabilities, not of logits: it flattens, and every slot adds to the value, also an empty one. Two sets that agree on A give 0
    with one slot and 0.582 with an empty second one. With many meanings VASE is near ln K: it counts meanings more than it weighs them.

    Args:
        clean, distorted: (K,) shares over the same slots (`shares` with one numbering for all samples).

    Raises:
        InvalidValue: not two distributions over the same slots.
    """
    logits = _contrast(clean, distorted, alpha)
    q = np.exp(logits - logits.max())
    q /= q.sum()
    return max(0.0, float(-(q * np.log(q + _PLUS)).sum()))


def vase_clipped(clean: ArrayLike, distorted: ArrayLike, alpha: float = 1.0) -> float:
    """VASE as Aranya & Desai (arXiv 2603.22623) restate it: negative parts of (1 + alpha) P_clean - alpha P_distorted cut off, the rest scaled to 1.

    They do so for every token over the vocabulary; here over meanings. Nats, 0 to ln K. ln K when nothing is left, as in their code.

    Raises:
        InvalidValue: as `vase`.
    """
    left = np.clip(_contrast(clean, distorted, alpha), 0, None)
    return entropy(left / left.sum() if left.sum() > 0 else np.full(left.size, 1 / left.size))


def l_vase(clean: ArrayLike, distorted: ArrayLike, alpha: float = 0.5) -> float:
    """L-VASE (arXiv 2603.22623): H(softmax((1 + alpha) logits_clean - alpha logits_distorted)), for one token, nats, 0 to ln V. Their alpha is 0.5.

    Raises:
        InvalidValue: logits of two lengths, fewer than two, or not finite.
    """
    a, b = np.asarray(clean, dtype=np.float64), np.asarray(distorted, dtype=np.float64)
    if a.ndim != 1 or a.shape != b.shape or a.size < 2 or not (np.isfinite(a) & np.isfinite(b)).all():
        raise InvalidValue("L-VASE needs two lists of finite logits of one length, of at least two tokens")
    logits = (1 + alpha) * a - alpha * b
    q = np.exp(logits - logits.max())
    return entropy(q / q.sum())


def l_vase_yes_no(clean: float, distorted: float, alpha: float = 0.5) -> float:
    """`l_vase` of the first word of a yes/no answer, over the two tokens yes and no alone, in bits: 0 (sure, more so than without the picture) to 1.

    A restriction of L-VASE to what every model of this package reports; the original takes the whole vocabulary and all words of a description.

    Args:
        clean, distorted: P(yes) among {yes, no} for the picture and for the distorted one.

    Raises:
        InvalidValue: not a probability.
    """
    p = np.asarray([clean, distorted], dtype=np.float64)
    if not ((p >= 0) & (p <= 1)).all():
        raise InvalidValue(f"P(yes) must lie in [0, 1] (got {clean}, {distorted})")
    p = np.clip(p, 1e-12, 1 - 1e-12)
    yes, no = np.log(p), np.log1p(-p)
    return l_vase([yes[0], no[0]], [yes[1], no[1]], alpha) / float(np.log(2))


def _contrast(clean: ArrayLike, distorted: ArrayLike, alpha: float) -> FloatArray:
    p, q = np.asarray(clean, dtype=np.float64), np.asarray(distorted, dtype=np.float64)
    if p.ndim != 1 or p.shape != q.shape or not p.size or min(p.min(), q.min()) < 0 or max(abs(p.sum() - 1), abs(q.sum() - 1)) > 1e-6:
        raise InvalidValue("VASE contrasts two distributions over the same meanings", remedy="number the meanings of all samples together")
    return p + alpha * (p - q)


def self_contradiction(expected: Sequence[bool], said: Sequence[bool | None]) -> float | None:
    """Share of yes/no questions about the model's own answer that it answers against it ("Is this answer correct?" no; "Is it wrong?" yes).

    Args:
        expected: True where yes would agree with the answer. said: True for yes, False for no, None for anything else, which is left out.

    Returns:
        0 to 1; None when nothing was readable. 0.5 with one question of each polarity is the mark of a model that always says the same.

    Raises:
        InvalidValue: lengths differ.
    """
    if len(expected) != len(said):
        raise InvalidValue(f"each question needs an answer (got {len(expected)} and {len(said)})")
    told = [s != e for e, s in zip(expected, said, strict=True) if s is not None]
    return sum(told) / len(told) if told else None


def chair_counts(mentioned: Sequence[Collection[str]], present: Sequence[Collection[str]]) -> tuple[FloatArray, FloatArray, FloatArray]:
    """What CHAIR is made of (Rohrbach et al., EMNLP 2018, objects of a caption; here findings of a text).

        CHAIR_i = sum false / sum mentions        CHAIR_s = texts with false > 0 / texts        recall = sum found / sum present

    A finding counts once in a text, however often it is named. CHAIR_i has no value when nothing is mentioned: a model that says nothing invents nothing.

    Returns:
        false mentions, mentions, and present findings that were mentioned, each (texts,).

    Raises:
        InvalidValue: lengths differ.
    """
    if len(mentioned) != len(present):
        raise InvalidValue(f"each text needs its findings (got {len(mentioned)} texts and {len(present)} sets)")
    rows = [(len(set(m) - set(p)), len(set(m)), len(set(m) & set(p))) for m, p in zip(mentioned, present, strict=True)]
    table = np.asarray(rows, dtype=np.float64).reshape(-1, 3)
    return table[:, 0], table[:, 1], table[:, 2]


def chair(mentioned: Sequence[Collection[str]], present: Sequence[Collection[str]]) -> tuple[float | None, float | None]:
    """(CHAIR_i, CHAIR_s), each in [0, 1]; None where nothing is mentioned, or no text was given. See `chair_counts`."""
    false, named, _ = chair_counts(mentioned, present)
    return (float(false.sum() / named.sum()) if named.sum() else None), (float((false > 0).mean()) if false.size else None)
