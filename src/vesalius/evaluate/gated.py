"""What the gate does: referral rates, errors caught, risk of what is released, from readings of a stated subset.

In: items, and for some of them the `Reading` as JSON. Out: shares with intervals clustered by image.
The answer judged is the one of the reading. An answer counts as accepted when it is released or caveated.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from vesalius.domain.decision import Verdict
from vesalius.domain.exchange import Answer, Outcome
from vesalius.errors import InvalidValue
from vesalius.evaluate.accuracy import Scorer, is_right
from vesalius.evaluate.confidence import ranking
from vesalius.evaluate.record import Item
from vesalius.metrics.selective import auroc
from vesalius.metrics.statistics import Interval, cluster_bootstrap, cluster_ratio

_RANK = {str(Verdict.RELEASED): 2.0, str(Verdict.CAVEATED): 1.0, str(Verdict.REFERRED): 0.0}
_SMALLER_IS_WORSE = ("image_reliance",)


def gate(items: Sequence[Item], readings: Sequence[Mapping[str, Any]], scorer: Scorer) -> dict[str, Any] | None:
    """The gate on the items that were read; None when none was.

    Args:
        readings: `Reading.to_json()` with the `id` of the item.

    Raises:
        InvalidValue: a reading has no known verdict.
    """
    known = {item.id: item for item in items}
    rows = [(known[str(r["id"])], r) for r in readings if r["id"] in known]
    if not rows:
        return None
    chosen = [item for item, _ in rows]
    for item, reading in rows:
        if reading["decision"] not in _RANK:
            raise InvalidValue(f"{item.id}: {reading['decision']!r} is no verdict", remedy="record the readings again")
    wrong = np.asarray([not is_right(_answer(reading), item.exchange) for item, reading in rows])
    referred = np.asarray([reading["decision"] == str(Verdict.REFERRED) for _, reading in rows])
    needed = np.asarray([item.blank is not None and not is_right(item.blank, item.exchange) for item in chosen])
    verdicts = Counter(reading["decision"] for _, reading in rows)
    rank = np.asarray([_RANK[r["decision"]] + 0.5 * (1.0 - _uncertainty(r)) for _, r in rows])
    share = _Shares(chosen, scorer)
    return {
        "n": len(rows),
        "verdicts": {str(v): {"count": verdicts[str(v)], "share": scorer.mean([r["decision"] == str(v) for _, r in rows], chosen).to_json()} for v in Verdict},
        "coverage": share(~referred, np.ones_like(referred)),
        "base_risk": share(wrong, np.ones_like(referred)),
        "accepted_risk": share(wrong, ~referred),
        "accepted_risk_image_needed": share(wrong, ~referred & needed),
        "image_needed": share(needed, np.ones_like(referred)),
        "error_capture": share(referred, wrong),
        "over_referral": share(referred, ~wrong),
        "concerns": dict(Counter(str(c["name"]) for _, r in rows for c in r["concerns"]).most_common()),
        "signals": _signals(rows, wrong, scorer),
        "ranking": ranking(rank, wrong.astype(float), [item.exchange.cluster for item in chosen], scorer),
        "seconds": _seconds(rows),
    }


class _Shares:
    def __init__(self, items: Sequence[Item], scorer: Scorer) -> None:
        self.clusters, self.scorer = [item.exchange.cluster for item in items], scorer

    def __call__(self, hits: np.ndarray, of: np.ndarray) -> dict[str, Any]:
        """Hits among those that count; n and clusters are of those that count."""
        counted = [c for c, inside in zip(self.clusters, of, strict=True) if inside]
        if not counted:
            return Interval(None, None, None, 0, 0, "nothing was measured").to_json()
        return cluster_ratio(hits[of].astype(float), np.ones(len(counted)), counted, replicates=self.scorer.replicates, seed=self.scorer.seed).to_json()


def _answer(reading: Mapping[str, Any]) -> Answer:
    return Answer(reading["answer"], Outcome(reading["outcome"]))


def _uncertainty(reading: Mapping[str, Any]) -> float:
    value = reading["signals"]["uncertainty"]["value"]
    return 1.0 if value is None else float(value)


def _signals(rows: Sequence[tuple[Item, Mapping[str, Any]]], wrong: np.ndarray, scorer: Scorer) -> dict[str, Any]:
    """For each signal: on how many items it was measured, and how well it tells wrong answers from right ones (AUROC, larger = more suspect)."""
    found = {}
    for name in rows[0][1]["signals"]:
        measured = [(r["signals"][name]["value"], bad, item.exchange.cluster) for (item, r), bad in zip(rows, wrong, strict=True)]
        told = [(-v if name in _SMALLER_IS_WORSE else v, bad, cluster) for v, bad, cluster in measured if v is not None]
        columns = ([row[i] for row in told] for i in range(3))
        score, label, clusters = columns
        tells = cluster_bootstrap(auroc, np.asarray(score, float), np.asarray(label, float), clusters=clusters, replicates=500, seed=scorer.seed)
        found[name] = {"measured": len(told), "tells_wrong": tells.to_json()}
    return found


def _seconds(rows: Sequence[tuple[Item, Mapping[str, Any]]]) -> dict[str, float] | None:
    times = [float(r["timing"]["total"]) for _, r in rows if "total" in r.get("timing", {})]
    return {"median": float(np.median(times)), "most": max(times)} if times else None
