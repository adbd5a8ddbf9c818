"""How far the words of a report overlap with those of another: BLEU-1..4, ROUGE-L, METEOR. None of them knows what is true; see `labels` for that.

In: a hypothesis (what a model wrote) and a reference. Out: scores in [0, 1].
Tokenisation, one for all three: lower case, every run of characters other than a-z and 0-9 separates (that of the library rouge-score), so "3.5" is two tokens
and punctuation is none. Numbers from another tokenisation are not comparable; most published BLEU of reports keeps full stops as tokens.
"""

from __future__ import annotations

import itertools
import math
import re
from collections import Counter
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from vesalius.metrics.stem import stem

ORDER = 4
METEOR_ALPHA, METEOR_BETA, METEOR_GAMMA = 0.9, 3.0, 0.5
_SEPARATOR = re.compile(r"[^a-z0-9]+")


def tokens(text: str) -> list[str]:
    """The tokens of a text, in order; see the module."""
    return _SEPARATOR.sub(" ", text.lower()).split()


def bleu_counts(hypothesis: str, reference: str) -> NDArray[np.float64]:
    """What BLEU of a corpus is summed from, for one pair.

    Returns:
        (2 + 2 * ORDER,): tokens of the hypothesis, of the reference, then clipped matches of 1- to 4-grams, then 1- to 4-grams of the hypothesis.
    """
    said, wanted = tokens(hypothesis), tokens(reference)
    matches, totals = [], []
    for n in range(1, ORDER + 1):
        mine, theirs = _grams(said, n), _grams(wanted, n)
        matches.append(sum((mine & theirs).values()))
        totals.append(max(0, len(said) - n + 1))
    return np.asarray([len(said), len(wanted), *matches, *totals], dtype=np.float64)


def _grams(words: Sequence[str], n: int) -> Counter[tuple[str, ...]]:
    return Counter(tuple(words[i : i + n]) for i in range(len(words) - n + 1))


def corpus_bleu(counts: NDArray[np.float64], order: int = ORDER) -> float | None:
    """BLEU-`order` of a corpus, without smoothing (Papineni et al., ACL 2002).

    exp(min(0, 1 - r/c)) * exp(mean_n log p_n), p_n = sum of clipped matches / sum of n-grams over all pairs, c and r the total lengths.

    Args:
        counts: (pairs, 2 + 2 * ORDER) of `bleu_counts`.

    Returns:
        In [0, 1]; 0 when no n-gram of some order matches; None when there is no reference token, or the hypotheses hold no n-gram of some order though
        they hold words (every one is too short for this order: nothing was measured).
    """
    sums = np.asarray(counts, dtype=np.float64).reshape(-1, 2 + 2 * ORDER).sum(axis=0)
    said, wanted, matches, totals = sums[0], sums[1], sums[2 : 2 + order], sums[2 + ORDER : 2 + ORDER + order]
    if wanted == 0:
        return None
    if said == 0:
        return 0.0
    if (totals == 0).any():
        return None
    return 0.0 if (matches == 0).any() else float(_brevity(said, wanted) * math.exp(float(np.log(matches / totals).mean())))


def sentence_bleu(hypothesis: str, reference: str, order: int = ORDER) -> float:
    """BLEU-`order` of one pair, smoothed as sacrebleu does ("exp", with effective order; Chen & Cherry 2014, method 3).

    The k-th order without a match has p_n = 1 / (2^k * n-grams); orders longer than the hypothesis are left out of the mean. In [0, 1]; 0 when no word matches.
    """
    counts = bleu_counts(hypothesis, reference)
    said, wanted, matches, totals = counts[0], counts[1], counts[2 : 2 + order], counts[2 + ORDER : 2 + ORDER + order]
    if not matches.any():
        return 0.0
    logs, missed = [], 0
    for match, total in zip(matches, totals, strict=True):
        if total == 0:
            break
        missed += match == 0
        logs.append(math.log(match / total) if match else -math.log(2**missed * total))
    return float(_brevity(said, wanted) * math.exp(sum(logs) / len(logs)))


def _brevity(said: float, wanted: float) -> float:
    return 1.0 if said >= wanted else math.exp(1 - wanted / said)


def rouge_l(hypothesis: str, reference: str) -> float:
    """ROUGE-L (Lin, 2004) of the whole texts, F with beta = 1: harmonic mean of |LCS| / |hypothesis| and |LCS| / |reference|, in tokens, not stemmed.

    In [0, 1]; 0 when either text is empty. Equal to `rougeL` of rouge-score.
    """
    said, wanted = tokens(hypothesis), tokens(reference)
    common = _longest_common(said, wanted)
    return 2 * common / (len(said) + len(wanted)) if common else 0.0


def _longest_common(first: Sequence[str], second: Sequence[str]) -> int:
    """Length of the longest common subsequence, a row at a time."""
    row = [0] * (len(second) + 1)
    for word in first:
        diagonal = 0
        for place, other in enumerate(second, start=1):
            above = row[place]
            row[place] = diagonal + 1 if word == other else max(above, row[place - 1])
            diagonal = above
    return row[-1]


def meteor(hypothesis: str, reference: str) -> float:
    """METEOR with the stages exact and stem, "METEOR (exact, stem)": no synonyms, because those need WordNet (Banerjee & Lavie, 2005; Lavie & Agarwal, 2007).

    m matched words; P = m / |hypothesis|, R = m / |reference|; F = P R / (0.9 P + 0.1 R); (1 - 0.5 (chunks / m)^3) F. Words are matched from the last to
    the first, first whole, then by Porter's stem, which is what nltk does; the paper's alignment has the fewest crossings, so it can differ where words recur.
    In [0, 1]; 0 when nothing matches. The exact copy of a text of m words gets 1 - 0.5 / m^3, not 1.
    """
    said, wanted = tokens(hypothesis), tokens(reference)
    pairs = sorted(_aligned(said, wanted))
    if not pairs:
        return 0.0
    precision, recall = len(pairs) / len(said), len(pairs) / len(wanted)
    mean = precision * recall / (METEOR_ALPHA * precision + (1 - METEOR_ALPHA) * recall)
    chunks = 1 + sum((b[0] - a[0], b[1] - a[1]) != (1, 1) for a, b in itertools.pairwise(pairs))
    return float((1 - METEOR_GAMMA * (chunks / len(pairs)) ** METEOR_BETA) * mean)


def _aligned(said: Sequence[str], wanted: Sequence[str]) -> list[tuple[int, int]]:
    pairs: list[tuple[int, int]] = []
    mine, theirs = list(range(len(said))), list(range(len(wanted)))
    forms: tuple[Callable[[str], str], ...] = (str, stem)
    for form in forms:
        places: dict[str, list[int]] = {}
        for j in theirs:
            places.setdefault(form(wanted[j]), []).append(j)
        found = [(i, places[key].pop()) for i in reversed(mine) if places.get(key := form(said[i]))]
        pairs += found
        mine = sorted(set(mine) - {i for i, _ in found})
        theirs = sorted(set(theirs) - {j for _, j in found})
    return pairs
