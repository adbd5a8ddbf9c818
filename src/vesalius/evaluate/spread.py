"""Signals of doubt side by side: what many samples, a distorted picture, the model's view of its own answer and other words say of one answer.

In: a `Drawn`, everything that was said to one question. Out: one number a signal, larger = more suspect, None where it is not defined; and for many of
them a table of how well each tells wrong answers from right ones.
Meanings are clustered by stated rules (`safety.meaning`), offline; a paraphrase that the rules do not know counts as another meaning.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vesalius.domain.exchange import Answer, Outcome
from vesalius.evaluate.accuracy import Scorer
from vesalius.evaluate.chosen import steady
from vesalius.evaluate.confidence import confidence_of, ranking
from vesalius.metrics import hallucination as made_up
from vesalius.metrics.phrasing import Flip, flips
from vesalius.metrics.selective import auroc
from vesalius.metrics.statistics import Interval, cluster_bootstrap, cluster_mean
from vesalius.safety.meaning import is_long, meaning_of, same_meaning, split_claims, supports

Floats = NDArray[np.float64]

SIGNALS: Mapping[str, str] = MappingProxyType(
    {
        "margin": "1 - confidence of the answer",
        "semantic_entropy": "semantic entropy, likelihood-weighted, nats (Farquhar et al. 2024)",
        "discrete_semantic_entropy": "semantic entropy, discrete, nats (Farquhar et al. 2024)",
        "dse": "discrete semantic entropy, log10 (arXiv 2510.09256)",
        "radflag": "1 - share of samples that support the answer's least supported claim (RadFlag, arXiv 2411.00299)",
        "sample_contradiction": "largest share of samples that deny a claim of the answer",
        "vase_weak": "VASE, weakly changed against veiled picture, alpha 1 (arXiv 2503.20504, as described)",
        "vase_clean": "VASE, picture itself against veiled picture, alpha 1, greedy meaning counted (authors' code, hedge-bench 0.1.2)",
        "vase_clipped": "VASE with clipping instead of softmax, alpha 1 (as restated in arXiv 2603.22623)",
        "l_vase_yes_no": "L-VASE of the first word over {yes, no}, alpha 0.5, bits (after arXiv 2603.22623)",
        "self_contradiction": "share of questions about its own answer that the model answers against it",
        "self_doubt": "1 - mean probability it gives its own answer when asked whether it is right, and whether it is wrong",
        "rewording": "share of rewordings whose answer differs",
    }
)
# Not defined for every question by their nature, so not part of the comparison on common items.
SOMETIMES = ("l_vase_yes_no", "rewording")
_YES_NO = (Outcome.YES, Outcome.NO)


@dataclasses.dataclass(frozen=True)
class Drawn:
    """What was said to one question.

    Args:
        answer: greedy. clean, weak, veiled: samples of the picture, of it barely changed, and veiled. veiled_answer: greedy, of the veiled picture.
        put_back: (whether yes agrees with the answer, what was said). reworded: (polarity, what was said).
    """

    answer: Answer
    clean: Sequence[Answer]
    weak: Sequence[Answer] = ()
    veiled: Sequence[Answer] = ()
    veiled_answer: Answer | None = None
    put_back: Sequence[tuple[bool, Answer]] = ()
    reworded: Sequence[tuple[int, Answer]] = ()


def signals(drawn: Drawn) -> dict[str, float | None]:
    """Every signal of `SIGNALS`, to twelve digits: the same split of samples, added up in another order, must be a tie."""
    return {name: None if value is None else round(value, 12) for name, value in _signals(drawn).items()}


def _signals(drawn: Drawn) -> dict[str, float | None]:
    keys = [meaning_of(a) for a in (drawn.answer, *drawn.clean, *drawn.veiled)]
    of = made_up.labels(keys)
    clean = of[1 : 1 + len(drawn.clean)]
    logs = _per_token(drawn.clean)
    certain = confidence_of(drawn.answer)
    support, denial = _claims(drawn.answer, drawn.clean)
    return {
        "margin": None if certain is None else 1 - certain,
        "semantic_entropy": None if logs is None else made_up.semantic_entropy(clean, logs),
        "discrete_semantic_entropy": made_up.discrete_semantic_entropy(clean),
        "dse": made_up.dse(clean),
        "radflag": None if support is None else 1 - support,
        "sample_contradiction": denial,
        "vase_weak": _vase(drawn.weak, drawn.veiled),
        "vase_clean": _vase(drawn.clean, drawn.veiled, greedy=drawn.answer),
        "vase_clipped": _vase(drawn.clean, drawn.veiled, clipped=True),
        "l_vase_yes_no": _l_vase(drawn),
        "self_contradiction": made_up.self_contradiction([e for e, _ in drawn.put_back], [_yes(a) for _, a in drawn.put_back]),
        "self_doubt": _self_doubt(drawn.put_back),
        "rewording": _rewording(drawn),
    }


def _per_token(samples: Sequence[Answer]) -> list[float] | None:
    """Mean log-probability of a token of each sample; None when a sample has none."""
    logs = [None if a.logprob is None else a.logprob / max(1, a.tokens) for a in samples]
    return None if not logs or any(v is None for v in logs) else [v for v in logs if v is not None]


def _vase(clean: Sequence[Answer], veiled: Sequence[Answer], *, greedy: Answer | None = None, clipped: bool = False) -> float | None:
    """VASE of two sets of samples over the meanings that occur in either; with `greedy`, its meaning has a slot too."""
    if not clean or not veiled:
        return None
    answers = [*([greedy] if greedy is not None else []), *clean, *veiled]
    of = made_up.labels([meaning_of(a) for a in answers])
    start, slots = len(answers) - len(clean) - len(veiled), max(of) + 1
    p = made_up.shares(of[start : start + len(clean)], _per_token(clean), slots=slots)
    q = made_up.shares(of[start + len(clean) :], _per_token(veiled), slots=slots)
    return made_up.vase_clipped(p, q) if clipped else made_up.vase(p, q)


def _l_vase(drawn: Drawn) -> float | None:
    seen, unseen = drawn.answer, drawn.veiled_answer
    if unseen is None or seen.outcome not in _YES_NO or seen.p_yes is None or unseen.p_yes is None:
        return None
    return made_up.l_vase_yes_no(seen.p_yes, unseen.p_yes)


def _claims(answer: Answer, samples: Sequence[Answer]) -> tuple[float | None, float | None]:
    """Support of the least supported claim, and denial of the most denied one. An unreadable answer has no support; an unreadable sample says nothing."""
    if not samples:
        return None, None
    if answer.outcome is Outcome.UNPARSED:
        return 0.0, None
    if answer.outcome is not Outcome.TEXT:
        against = answer.outcome.negated()
        return (
            sum(a.outcome is answer.outcome for a in samples) / len(samples),
            sum(a.outcome is against and against is not answer.outcome for a in samples) / len(samples),
        )
    claims = split_claims(answer.text) if is_long(answer.text) else (answer.text,)
    denied = made_up.contradiction([[_says(a, f"no {claim}") for a in samples] for claim in claims])
    if not is_long(answer.text):
        return sum(meaning_of(a) == meaning_of(answer) for a in samples) / len(samples), denied
    table = made_up.claim_support([[_says(a, claim) for a in samples] for claim in claims])
    return (float(table.min()) if table.size else None), denied


def _says(sample: Answer, claim: str) -> bool:
    return sample.outcome is not Outcome.UNPARSED and supports(sample.text, claim)


def _yes(answer: Answer) -> bool | None:
    return answer.outcome is Outcome.YES if answer.outcome in _YES_NO else None


def _self_doubt(put_back: Sequence[tuple[bool, Answer]]) -> float | None:
    """1 - P(True) of Kadavath et al. (arXiv 2207.05221), averaged over both polarities so that a model that always says yes gets 0.5."""
    told = [a.p_yes if agrees else 1 - a.p_yes for agrees, a in put_back if a.p_yes is not None]
    return 1 - sum(told) / len(told) if told and len(told) == len(put_back) else None


def _rewording(drawn: Drawn) -> float | None:
    if not drawn.reworded or drawn.answer.outcome is Outcome.UNPARSED:
        return None
    said = [a.text if a.outcome is Outcome.TEXT else a.outcome for a in (drawn.answer, *(a for _, a in drawn.reworded))]
    states = flips(said[0], said[1:], [polarity for polarity, _ in drawn.reworded], same=same_meaning)
    return float((states != Flip.SAME).mean())


@dataclasses.dataclass(frozen=True)
class Weighed:
    """Signals of one answer, whether it was wrong, and whose it is."""

    values: Mapping[str, float | None]
    wrong: bool
    cluster: str


def compare(rows: Sequence[Weighed], scorer: Scorer, *, whole: bool = True) -> dict[str, Any]:
    """How well each signal tells wrong from right, each on its own items, and all of them on the items that have all.

    Args:
        whole: with risk-coverage curves, the paired differences to the margin, the common items and the rule of DSE; without, AUROC alone (for subgroups).

    Returns:
        {"n", "wrong", "signals": {name: {"n", "mean", "auroc", "over_margin", "aurc", "excess_aurc", "curve"}}, "common": {"n", "names", "auroc": {name:
        interval}}, "dse_rule": {"limit", "coverage", "accepted_risk", "base_risk"}}. `over_margin` is the paired difference of AUROC to the margin's.
    """
    made = _one if whole else _brief
    found = {name: made([r for r in rows if r.values.get(name) is not None], name, scorer) for name in SIGNALS}
    head = {"n": len(rows), "wrong": _share([r.wrong for r in rows], rows, scorer), "signals": found}
    if not whole:
        return head
    return {**head, "common": _common(rows, scorer), "dse_rule": _dse_rule([r for r in rows if r.values.get("dse") is not None], scorer)}


def _brief(rows: Sequence[Weighed], name: str, scorer: Scorer) -> dict[str, Any]:
    wrong = np.asarray([float(r.wrong) for r in rows])
    return {"n": len(rows), "auroc": _bootstrap(auroc, [_column(rows, name), wrong], rows, scorer)}


def _one(rows: Sequence[Weighed], name: str, scorer: Scorer) -> dict[str, Any]:
    value, wrong = _column(rows, name), np.asarray([float(r.wrong) for r in rows])
    clusters = [r.cluster for r in rows]
    ranked = ranking(-value, wrong, clusters, scorer)
    both = [r for r in rows if r.values.get("margin") is not None]
    return {
        "n": len(rows),
        "mean": _share(list(value), rows, scorer),
        "auroc": ranked["auroc_right_wrong"],
        "over_margin": None if name == "margin" else _difference(both, name, scorer),
        "aurc": ranked["aurc"],
        "excess_aurc": ranked["excess_aurc"],
        "curve": ranked["curve"],
    }


def _difference(rows: Sequence[Weighed], name: str, scorer: Scorer) -> dict[str, Any]:
    def statistic(mine: Floats, margin: Floats, wrong: Floats) -> float | None:
        a, b = auroc(mine, wrong), auroc(margin, wrong)
        return None if a is None or b is None else a - b

    wrong = np.asarray([float(r.wrong) for r in rows])
    return _bootstrap(statistic, [_column(rows, name), _column(rows, "margin"), wrong], rows, scorer)


def _common(rows: Sequence[Weighed], scorer: Scorer) -> dict[str, Any]:
    """AUROC on the same items: those that have every signal which at least half of the items have."""
    names = [n for n in SIGNALS if n not in SOMETIMES and sum(r.values.get(n) is not None for r in rows) * 2 >= max(1, len(rows))]
    inside = [r for r in rows if all(r.values.get(n) is not None for n in names)] if names else []
    wrong = np.asarray([float(r.wrong) for r in inside])
    return {"n": len(inside), "names": names, "auroc": {n: _bootstrap(auroc, [_column(inside, n), wrong], inside, scorer) for n in names}}


def _dse_rule(rows: Sequence[Weighed], scorer: Scorer) -> dict[str, Any]:
    kept = [r for r in rows if (r.values["dse"] or 0.0) <= made_up.DSE_LIMIT]
    return {
        "limit": made_up.DSE_LIMIT,
        "coverage": _share([(r.values["dse"] or 0.0) <= made_up.DSE_LIMIT for r in rows], rows, scorer),
        "accepted_risk": _share([r.wrong for r in kept], kept, scorer),
        "base_risk": _share([r.wrong for r in rows], rows, scorer),
    }


def _column(rows: Sequence[Weighed], name: str) -> Floats:
    return np.asarray([r.values[name] for r in rows], dtype=np.float64)


def _share(values: Sequence[float], rows: Sequence[Weighed], scorer: Scorer) -> dict[str, Any]:
    return cluster_mean([float(v) for v in values], [r.cluster for r in rows], replicates=scorer.replicates, seed=scorer.seed).to_json()


def _bootstrap(statistic: Any, columns: Sequence[Floats], rows: Sequence[Weighed], scorer: Scorer) -> dict[str, Any]:  # noqa: ANN401
    found: Interval = cluster_bootstrap(statistic, *columns, clusters=[r.cluster for r in rows], replicates=min(500, scorer.replicates), seed=scorer.seed)
    return steady(found).to_json()
