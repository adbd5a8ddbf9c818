"""Answers to questions with a false premise, and findings that a text names: how often a premise is accepted, how often a finding is invented.

In: rows with the answers. Out: shares with intervals clustered by image or patient. Nothing here needs a model.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from vesalius.domain.exchange import Answer, Outcome
from vesalius.evaluate.accuracy import Scorer
from vesalius.evaluate.chosen import steady
from vesalius.evaluate.record import Item, answer_of
from vesalius.instruct import premises
from vesalius.metrics.hallucination import chair_counts
from vesalius.metrics.premise import Stance, gives_number, stance
from vesalius.metrics.statistics import cluster_bootstrap, cluster_mean, cluster_ratio
from vesalius.metrics.text import normalise, read_outcome
from vesalius.safety.meaning import split_claims

_NEGATED = re.compile(r"\b(no|not|without|none|neither|nor|absent|negative|never|free of|rule out|ruled out|absence)\b")
_NAMES = {name: re.compile(rf"\b({'|'.join(re.escape(normalise(word)) for word in words)})\b") for name, words in premises.FINDINGS.items()}


class _Met(NamedTuple):
    kind: str
    answer: Answer
    exists: Answer | None
    stance: Stance
    cluster: str


def named_findings(text: str) -> frozenset[str]:
    """Findings that a text names and does not deny: clause by clause, a clause with a negation names none."""
    found: set[str] = set()
    for clause in split_claims(text):
        plain = normalise(clause)
        if not _NEGATED.search(plain):
            found |= {name for name, words in _NAMES.items() if words.search(plain)}
    return frozenset(found)


def traps(rows: Sequence[Mapping[str, Any]], scorer: Scorer) -> dict[str, Any]:
    """By kind of premise: accepted, rejected, unreadable; accepted though the model had denied the premise; the control with true premises.

    Args:
        rows: each with "cluster" and "traps": [{"kind", "no_rejects", "answer", "exists": answer or null}].
    """
    met: dict[str, list[_Met]] = defaultdict(list)
    for row in rows:
        for trap in row["traps"]:
            answer, exists = answer_of(trap["answer"]), None if trap["exists"] is None else answer_of(trap["exists"])
            read = stance(answer.text, no_rejects=trap["no_rejects"])
            met[trap["kind"]].append(_Met(trap["kind"], answer, exists, read, row["cluster"]))
    found: dict[str, Any] = {kind: _kind(met[kind], scorer) for kind in (premises.ORGAN, premises.LESION, premises.PRIOR, premises.MEASUREMENT) if met[kind]}
    if met[premises.MEASUREMENT]:
        sized = met[premises.MEASUREMENT]
        found[premises.MEASUREMENT]["number"] = _share([gives_number(m.answer.text) for m in sized], sized, scorer)
    control = met[premises.PRESENT]
    if control:
        told = [m for m in control if m.stance is not Stance.UNREADABLE]
        found["control"] = {"n": len(control), "rejected": _share([m.stance is Stance.REJECTS for m in told], told, scorer)}
        found["lesion_minus_control"] = _difference(met[premises.LESION], control, scorer)
    return found


def _kind(met: Sequence[_Met], scorer: Scorer) -> dict[str, Any]:
    told = [m for m in met if m.stance is not Stance.UNREADABLE]
    asked = [m for m in met if m.exists is not None]
    denied = [m for m in told if m.exists is not None and m.exists.outcome is Outcome.NO]
    return {
        "n": len(met),
        "unreadable": {"count": len(met) - len(told), "n": len(met)},
        "accepted": _share([m.stance is Stance.ACCEPTS for m in told], told, scorer),
        "rejected": _share([m.stance is Stance.REJECTS for m in told], told, scorer),
        "undetermined": _share([m.answer.outcome is Outcome.UNDETERMINED for m in told], told, scorer),
        "denied_when_asked": _share([m.exists is not None and m.exists.outcome is Outcome.NO for m in asked], asked, scorer) if asked else None,
        "accepted_though_denied": _share([m.stance is Stance.ACCEPTS for m in denied], denied, scorer) if asked else None,
    }


def _difference(false: Sequence[_Met], true: Sequence[_Met], scorer: Scorer) -> dict[str, Any]:
    """Rejections of false premises less those of true ones: 0 for a model that rejects all or none, 1 for one that tells them apart."""
    rows = [m for m in (*false, *true) if m.stance is not Stance.UNREADABLE]
    rejects = np.asarray([m.stance is Stance.REJECTS for m in rows], dtype=np.float64)
    is_false = np.asarray([m.kind == premises.LESION for m in rows], dtype=bool)

    def statistic(r: np.ndarray, f: np.ndarray) -> float | None:
        return float(r[f].mean() - r[~f].mean()) if f.any() and (~f).any() else None

    clusters = [m.cluster for m in rows]
    return steady(cluster_bootstrap(statistic, rejects, is_false, clusters=clusters, replicates=scorer.replicates, seed=scorer.seed)).to_json()


def _share(values: Sequence[bool], met: Sequence[_Met], scorer: Scorer) -> dict[str, Any]:
    return cluster_mean([float(v) for v in values], [m.cluster for m in met], replicates=scorer.replicates, seed=scorer.seed).to_json()


def chair_of_texts(rows: Sequence[Mapping[str, Any]], scorer: Scorer) -> dict[str, Any]:
    """CHAIR of free answers to "which abnormalities": rows with "cluster", "present" (names of `premises.FINDINGS`) and "answer"."""
    texts = [answer_of(row["answer"]).text for row in rows]
    return _chair([named_findings(text) for text in texts], [row["present"] for row in rows], [row["cluster"] for row in rows], scorer)


def chair_of_items(items: Sequence[Item], scorer: Scorer) -> dict[str, Any] | None:
    """CHAIR of yes/no answers, finding by finding: a film "mentions" what it answers yes to. None when no item asks for a finding."""
    mentioned: dict[str, set[str]] = defaultdict(set)
    present: dict[str, set[str]] = defaultdict(set)
    cluster = {}
    for item in items:
        name = item.exchange.tags.get("finding", "")
        if name in premises.FINDINGS:
            image = item.exchange.image
            cluster[image] = item.exchange.cluster
            if read_outcome(item.answer.text) is Outcome.YES:
                mentioned[image].add(name)
            if normalise(item.exchange.gold) == "yes":
                present[image].add(name)
    images = list(cluster)
    return _chair([mentioned[i] for i in images], [present[i] for i in images], [cluster[i] for i in images], scorer) if images else None


def _chair(mentioned: Sequence[Any], present: Sequence[Any], clusters: Sequence[str], scorer: Scorer) -> dict[str, Any]:
    false, named, found = chair_counts(mentioned, present)
    there = np.asarray([len(set(p)) for p in present], dtype=np.float64)
    ways = {"replicates": scorer.replicates, "seed": scorer.seed}
    return {
        "texts": len(clusters),
        "mentions": int(named.sum()),
        "chair_i": cluster_ratio(false, named, clusters, **ways).to_json(),
        "chair_s": cluster_mean(false > 0, clusters, **ways).to_json(),
        "recall": cluster_ratio(found, there, clusters, **ways).to_json(),
    }
