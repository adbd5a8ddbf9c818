"""The same questions on films of other views and of another hospital: what the answers show, with gold answers and without.

In: recorded items of NIH films; answers on films from Hannover. Out: figures of each group and gaps between them, for the study `shift`.
A gap between groups is no effect of the view or of the hospital alone: those who are filmed lying down are sicker, and other patients come.
"""

from __future__ import annotations

import dataclasses
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from vesalius.data import nih_cxr
from vesalius.domain.exchange import Answer, Outcome
from vesalius.evaluate.accuracy import Scorer, answers_yes_no, is_right
from vesalius.evaluate.confidence import confidence_of
from vesalius.evaluate.record import Item, answer_of
from vesalius.metrics import shift as metrics
from vesalius.metrics.selective import auroc
from vesalius.metrics.statistics import cluster_bootstrap, cluster_mean
from vesalius.metrics.text import normalise, read_outcome

NIH, HANNOVER, VIEWS = "nih-cxr", "hannover", ("PA", "AP")
_REPLICATES = 500  # of statistics that are no means

Row = Mapping[str, Any]


def bootstrap(statistic: Callable[..., float | None], arrays: Sequence[Sequence[Any]], clusters: Sequence[str], scorer: Scorer) -> dict[str, Any]:
    """The interval of any statistic of arrays, clusters resampled; none where no resample differs (an AUROC of 1 is not certain)."""
    data = [np.asarray(array) for array in arrays]
    made = cluster_bootstrap(statistic, *data, clusters=clusters, replicates=min(_REPLICATES, scorer.replicates), seed=scorer.seed)
    if made.low is not None and made.low == made.high:
        made = dataclasses.replace(made, low=None, high=None, method="every resample gives the same")
    return made.to_json()


def _mean(values: Sequence[float], told: Sequence[_Told], scorer: Scorer) -> dict[str, Any]:
    return cluster_mean(values, [t.cluster for t in told], replicates=scorer.replicates, seed=scorer.seed).to_json()


def view(items: Sequence[Item], scorer: Scorer) -> dict[str, Any] | None:
    """Recorded findings of NIH films by view: raw gaps (AP minus PA), and with the same mixture of findings and gold answers in both."""
    asked = [i for i in items if normalise(i.exchange.gold) in ("yes", "no") and i.exchange.tags.get("view") in VIEWS]
    groups = {name: [i for i in asked if i.exchange.tags["view"] == name] for name in VIEWS}
    if not all(groups.values()):
        return None
    found: dict[str, Any] = {}
    for name, inside in groups.items():
        found[name] = {
            "films": len({i.exchange.image for i in inside}),
            "accuracy": scorer.mean([is_right(i.answer, i.exchange) for i in inside], inside).to_json(),
            "said_yes": scorer.mean([read_outcome(i.answer.text) is Outcome.YES for i in inside], inside).to_json(),
            "gold_yes": scorer.mean([normalise(i.exchange.gold) == "yes" for i in inside], inside).to_json(),
        }
    right, ap = [is_right(i.answer, i.exchange) for i in asked], [i.exchange.tags["view"] == "AP" for i in asked]
    strata, clusters = [f"{i.exchange.tags.get('finding')} {normalise(i.exchange.gold)}" for i in asked], [i.exchange.cluster for i in asked]
    drawn = [i for i in asked if i.answer.p_yes is not None]
    scores = ([i.answer.p_yes for i in drawn], [normalise(i.exchange.gold) == "yes" for i in drawn], [i.exchange.tags["view"] == "AP" for i in drawn])
    found["accuracy_gap"] = bootstrap(_gap, (right, ap), clusters, scorer)
    found["accuracy_gap_standardised"] = bootstrap(metrics.standardised_gap, (right, ap, strata), clusters, scorer)
    found["auroc_gap"] = bootstrap(_auroc_gap, scores, [i.exchange.cluster for i in drawn], scorer)
    return found


def _gap(values: NDArray[Any], second: NDArray[np.bool_]) -> float | None:
    """Mean of the second group minus that of the first."""
    return float(values[second].mean() - values[~second].mean()) if second.any() and not second.all() else None


def _auroc_gap(scores: NDArray[Any], gold: NDArray[Any], second: NDArray[np.bool_]) -> float | None:
    after, before = auroc(scores[second], gold[second]), auroc(scores[~second], gold[~second])
    return None if after is None or before is None else after - before


class _Told(NamedTuple):
    """One answer of a source."""

    finding: str
    cluster: str
    answer: Answer
    gold: str | None


def source(items: Sequence[Item], rows: Sequence[Row], scorer: Scorer) -> dict[str, Any] | None:
    """Answers on films of two hospitals: without gold answers in one, only their distribution; the view alone is known in both."""
    if not items or not rows:
        return None
    told = {
        NIH: [_Told(i.exchange.tags.get("finding", ""), i.exchange.cluster, i.answer, i.exchange.gold) for i in items],
        HANNOVER: [_Told(a["item"], row["cluster"], answer_of(a), a["gold"]) for row in rows for a in row["answers"]],
    }
    found: dict[str, Any] = {}
    values: dict[str, list[tuple[float, str, bool]]] = defaultdict(list)
    for place, answers in told.items():
        asked, views = [t for t in answers if t.finding != "view"], [t for t in answers if t.finding == "view"]
        measured: dict[str, tuple[list[float], list[_Told]]] = {
            "yes": ([float(read_outcome(t.answer.text) is Outcome.YES) for t in asked], asked),
            "confidence": ([c for t in asked if (c := confidence_of(t.answer)) is not None], [t for t in asked if confidence_of(t.answer) is not None]),
            "view_accuracy": ([float(normalise(t.answer.text) == normalise(t.gold or "")) for t in views], views),
        }
        found[place] = {name: _mean(numbers, whose, scorer) for name, (numbers, whose) in measured.items()}
        found[place]["not_yes_or_no"] = {"count": sum(not answers_yes_no(t.answer) for t in asked), "n": len(asked)}
        for name, (numbers, whose) in measured.items():
            values[name] += [(number, f"{place} {t.cluster}", place == HANNOVER) for number, t in zip(numbers, whose, strict=True)]
    found["gaps"] = {name: bootstrap(_gap, ([v for v, _, _ in x], [s for _, _, s in x]), [c for _, c, _ in x], scorer) for name, x in values.items()}
    found["findings"] = {
        name: {place: _share_yes([t for t in answers if t.finding == name], scorer) for place, answers in told.items()}
        for name in (*nih_cxr.FINDING_QUESTIONS, "normal")
    }
    return found


def _share_yes(told: Sequence[_Told], scorer: Scorer) -> dict[str, Any]:
    return _mean([read_outcome(t.answer.text) is Outcome.YES for t in told], told, scorer)
