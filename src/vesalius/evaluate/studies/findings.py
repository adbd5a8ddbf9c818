"""Which findings a model sees: precision, recall, F1, AUROC and average precision for each finding that is asked about, and over sets of them.

In: recorded items whose tags hold a `finding` and whose gold is a state of it. Out, for each suite of `suites`:

- part, images, clusters; threshold: how thresholds were chosen; not_findings: items about no finding, by tag
- findings.NAME: gold {positive, negative, uncertain, missing, not_asked}, said {yes, no, undetermined, unparsed} (where gold is positive or negative),
  prevalence, unread_negative and unread_out {precision, recall, f1}, auroc, auprc, at_threshold {threshold, development {positive, negative}} with
  {precision, recall, f1}, or with `why` and a null threshold
- sets.SET (all, nih14, chexpert14, where two members are there): members, micro {unread_negative, unread_out: {precision, recall, f1}}, macro (the same, and
  auroc, auprc), common {members, macro}: those findings alone that five patients have

"No Finding" (also asked as normality) has its own row and is not in `all`: yes means healthy there.
"""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any

import numpy as np

from vesalius.domain.exchange import Outcome
from vesalius.domain.finding import Certainty
from vesalius.evaluate.accuracy import Scorer
from vesalius.evaluate.record import Item
from vesalius.evaluate.study import Bench, Row, Skip, Tell
from vesalius.metrics import findings as metric
from vesalius.metrics.statistics import Interval, cluster_mean
from vesalius.metrics.text import read_outcome

NO_FINDING = "No Finding"
NIH14 = (
    "Atelectasis",
    "Cardiomegaly",
    "Consolidation",
    "Edema",
    "Pleural Effusion",
    "Emphysema",
    "Fibrosis",
    "Hernia",
    "Infiltration",
    "Mass",
    "Nodule",
    "Pleural Thickening",
    "Pneumonia",
    "Pneumothorax",
)
CHEXPERT14 = (
    NO_FINDING,
    "Enlarged Cardiomediastinum",
    "Cardiomegaly",
    "Lung Opacity",
    "Lung Lesion",
    "Edema",
    "Consolidation",
    "Pneumonia",
    "Atelectasis",
    "Pneumothorax",
    "Pleural Effusion",
    "Pleural Other",
    "Fracture",
    "Support Devices",
)
SETS: Mapping[str, tuple[str, ...]] = MappingProxyType({"nih14": NIH14, "chexpert14": CHEXPERT14})
_ALIASES = MappingProxyType({"effusion": "Pleural Effusion", "normal": NO_FINDING, "pulmonary fibrosis": "Fibrosis", "hiatal hernia": "Hernia"})
_KNOWN = MappingProxyType({name.casefold(): name for name in (*NIH14, *CHEXPERT14)})
_STATES = MappingProxyType(
    {
        **dict.fromkeys(("yes", "1", "1.0", "present", "positive", "true"), Certainty.PRESENT),
        **dict.fromkeys(("no", "0", "0.0", "absent", "negative", "false"), Certainty.ABSENT),
        **dict.fromkeys(("-1", "-1.0", "uncertain", "possible", "maybe", "equivocal", "indeterminate"), Certainty.UNCERTAIN),
        **dict.fromkeys(("", "nan", "none", "missing", "unknown", "unmentioned", "not mentioned", "blank"), Certainty.UNMENTIONED),
    }
)
_LEAST_TO_FIT = 5  # positive and negative development answers without which no threshold is chosen


def canonical(name: str) -> str:
    """A finding's name as CheXpert or NIH writes it, with spaces; other names stay ("Lung Tumor")."""
    plain = " ".join(name.replace("_", " ").split())
    folded = plain.casefold()
    return _ALIASES.get(folded) or _KNOWN.get(folded) or plain


def gold_state(gold: str) -> Certainty | None:
    """The state that a gold answer gives a finding; None when it is no such state ("PA")."""
    return _STATES.get(gold.strip().casefold().rstrip("."))


def finding_of(item: Item) -> str | None:
    """The finding an item asks about; None when it asks about none."""
    name = item.exchange.tags.get("finding", "").strip()
    return canonical(name) if name and gold_state(item.exchange.gold) is not None else None


def said(item: Item) -> float:
    """1 for an answer that reads as yes, 0 for no, nan for anything else."""
    return {Outcome.YES: 1.0, Outcome.NO: 0.0}.get(read_outcome(item.answer.text), float("nan"))


def told(items: Sequence[Item]) -> metric.Told:
    """Items about findings whose gold is positive or negative."""
    rows = [(name, state, item) for item in items if (name := finding_of(item)) is not None and (state := gold_state(item.exchange.gold)) in _CERTAIN]
    return metric.Told(
        [name for name, _, _ in rows],
        np.asarray([state is Certainty.PRESENT for _, state, _ in rows], dtype=bool),
        np.asarray([said(item) for _, _, item in rows], dtype=np.float64),
        np.asarray([np.nan if item.answer.p_yes is None else item.answer.p_yes for _, _, item in rows], dtype=np.float64),
        [item.exchange.cluster for _, _, item in rows],
    )


_CERTAIN = (Certainty.PRESENT, Certainty.ABSENT)


@dataclasses.dataclass(frozen=True)
class Findings:
    """See the module."""

    name: str = "findings"
    title: str = "Findings"

    def collect(self, bench: Bench, tell: Tell) -> Iterator[Row] | Skip:  # noqa: ARG002 - the items are recorded already
        """Nothing is asked: the plain evaluations have."""
        asked = any(finding_of(item) is not None for items in bench.items.values() for item in items)
        return iter(()) if asked else Skip("no recorded answer is about a named finding")

    def score(self, rows: Sequence[Row], bench: Bench, scorer: Scorer) -> Mapping[str, Any]:  # noqa: ARG002
        """See the module."""
        found = {}
        for suite in bench.items:
            items = bench.test_items(suite)
            if any(finding_of(item) is not None for item in items):
                found[suite] = _suite(items, bench.development_items(suite), scorer)
        return {"suites": found}


def _suite(items: Sequence[Item], development: Sequence[Item], scorer: Scorer) -> dict[str, Any]:
    test, fit = told(items), told(development)
    names = sorted({name for item in items if (name := finding_of(item)) is not None})
    ranks = metric.ranking(test, replicates=min(1000, scorer.replicates), seed=scorer.seed)
    images = {item.exchange.image for item in items}
    found = {name: _finding(name, items, test, fit, ranks["findings"].get(name, {}), len(images), scorer) for name in names}
    others = Counter(item.exchange.tags.get("finding", "") for item in items if finding_of(item) is None)
    everything = tuple(name for name in names if name != NO_FINDING)
    sets = {"all": everything, **{title: tuple(n for n in members if n in names) for title, members in SETS.items()}}
    return {
        "part": next(part for part in items[0].parts if part.endswith("/test")),
        "images": len(images),
        "clusters": len({item.exchange.cluster for item in items}),
        "threshold": f"P(yes) with the largest F1 on the development part, where it holds {_LEAST_TO_FIT} positives and negatives",
        "not_findings": dict(others),
        "findings": found,
        "sets": {title: _set(members, test, scorer) for title, members in sets.items() if len(members) > 1},
    }


def _finding(
    name: str, items: Sequence[Item], test: metric.Told, fit: metric.Told, ranks: Mapping[str, Interval], images: int, scorer: Scorer
) -> dict[str, Any]:
    asked = [item for item in items if finding_of(item) == name]
    states = Counter(gold_state(item.exchange.gold) for item in asked)
    own = test.only([f == name for f in test.finding])
    outcomes = Counter(read_outcome(item.answer.text) for item in asked if gold_state(item.exchange.gold) in _CERTAIN)
    return {
        "gold": {
            "positive": states[Certainty.PRESENT],
            "negative": states[Certainty.ABSENT],
            "uncertain": states[Certainty.UNCERTAIN],
            "missing": states[Certainty.UNMENTIONED],
            "not_asked": images - len({item.exchange.image for item in asked}),
        },
        "said": {
            "yes": outcomes[Outcome.YES],
            "no": outcomes[Outcome.NO],
            "undetermined": outcomes[Outcome.UNDETERMINED],
            "unparsed": outcomes[Outcome.UNPARSED] + outcomes[Outcome.TEXT],
        },
        "prevalence": cluster_mean(own.gold.astype(float), own.clusters, replicates=scorer.replicates, seed=scorer.seed).to_json(),
        "unread_negative": _rates(own, "negative", scorer),
        "unread_out": _rates(own, "out", scorer),
        **{kind: interval.to_json() for kind, interval in ranks.items()},
        "at_threshold": _tuned(name, own, fit, scorer),
    }


def _rates(rows: metric.Told, unread: str, scorer: Scorer) -> dict[str, Any]:
    made = metric.rates(metric.counts(rows, unread=unread), rows.clusters, replicates=scorer.replicates, seed=scorer.seed)
    return {name: interval.to_json() for name, interval in made.items()}


def _tuned(name: str, own: metric.Told, fit: metric.Told, scorer: Scorer) -> dict[str, Any]:
    """The finding said wherever P(yes) reaches a threshold that was chosen on development answers."""
    scored = ~np.isnan(fit.score) & np.asarray([f == name for f in fit.finding], dtype=bool)
    positive = int(fit.gold[scored].sum())
    development = {"positive": positive, "negative": int(scored.sum()) - positive}
    if min(development.values()) < _LEAST_TO_FIT:
        why = f"the development part holds {positive} positive and {development['negative']} negative scored answers, {_LEAST_TO_FIT} of each are needed"
        return {"threshold": None, "development": development, "why": why}
    threshold = metric.best_f1_threshold(fit.score[scored], fit.gold[scored]) or 0.0
    with np.errstate(invalid="ignore"):
        again = dataclasses.replace(own, said=np.where(np.isnan(own.score), np.nan, (own.score >= threshold).astype(float)))
    return {"threshold": threshold, "development": development, **_rates(again, "out", scorer)}


def _set(members: Sequence[str], test: metric.Told, scorer: Scorer) -> dict[str, Any]:
    rows = test.only([name in members for name in test.finding])
    having = Counter(name for name, _ in {(f, c) for f, c, g in zip(rows.finding, rows.clusters, rows.gold, strict=True) if g})
    common = [name for name in members if having[name] >= metric.LEAST_CLUSTERS]
    return {
        "members": list(members),
        "micro": {f"unread_{unread}": _rates(rows, unread, scorer) for unread in ("negative", "out")},
        "macro": _macro(rows, scorer),
        "common": {"members": common, "macro": _macro(rows.only([name in common for name in rows.finding]), scorer)},
    }


def _macro(rows: metric.Told, scorer: Scorer) -> dict[str, Any]:
    ranks = metric.ranking(rows, replicates=min(1000, scorer.replicates), seed=scorer.seed)["macro"]
    found: dict[str, Any] = {kind: interval.to_json() for kind, interval in ranks.items()}
    for unread in ("negative", "out"):
        made = metric.macro(rows, unread=unread, replicates=scorer.replicates, seed=scorer.seed)
        found[f"unread_{unread}"] = {name: interval.to_json() for name, interval in made.items()}
    return found


STUDY = Findings()
