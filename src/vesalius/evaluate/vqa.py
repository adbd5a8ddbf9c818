"""Visual question answering, scored from records alone: accuracy beside what no image and simple baselines reach, flips, reliance, calibration, gate.

In: items, baseline answers, readings. Out: one JSON-ready mapping in which every figure has its interval, n and clusters.
No model and no data set is needed, so a run of last year can be scored again by this year's rules.
"""

from __future__ import annotations

import dataclasses
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from vesalius.domain.exchange import Answer
from vesalius.evaluate import accuracy, behaviour, confidence, gated
from vesalius.evaluate.accuracy import BLANK, MODEL, SWAP, Scorer
from vesalius.evaluate.record import Item, parts_of
from vesalius.metrics.selective import auroc
from vesalius.metrics.statistics import cluster_bootstrap

VERSION = 1
_TAGS = ("content", "modality", "body_part")
_LEAST_FOR_INTERVAL = 5

Baselines = Mapping[str, Mapping[str, Mapping[str, Answer]]]


def score(
    items: Sequence[Item], *, baselines: Baselines | None = None, readings: Sequence[Mapping[str, Any]] = (), replicates: int = 2000, seed: int = 0
) -> dict[str, Any]:
    """Score a run.

    Args:
        items: of all parts.
        baselines: protocol -> baseline -> id -> answer; each was fitted on the train and development rows of its protocol.
        readings: of the gate, as JSON with the `id` of their item.
        replicates, seed: of every bootstrap.

    Returns:
        `parts` ("protocol/test" -> figures), `calibration` (maps by protocol), `version`, `replicates`, `seed`.

    Raises:
        InvalidValue: a record cannot be scored.
    """
    scorer = Scorer(replicates=replicates, seed=seed)
    of_part: dict[str, list[Item]] = defaultdict(list)
    for item in items:
        for part in item.parts:
            of_part[part].append(item)
    found: dict[str, Any] = {"version": VERSION, "replicates": replicates, "seed": seed, "items": len(items), "calibration": {}, "parts": {}}
    for part in parts_of(items):
        protocol, _, split = part.rpartition("/")
        if split == "test":
            maps = confidence.fit(of_part[f"{protocol}/development"])
            found["calibration"][protocol] = maps
            found["parts"][part] = score_part(of_part[part], (baselines or {}).get(protocol, {}), maps, readings, scorer)
    return found


def score_part(
    items: Sequence[Item],
    baselines: Mapping[str, Mapping[str, Answer]],
    maps: dict[str, Any],
    readings: Sequence[Mapping[str, Any]],
    scorer: Scorer,
) -> dict[str, Any]:
    """All figures of one test part."""
    answers = accuracy.systems(items, baselines)
    return {
        "items": len(items),
        "images": len({item.exchange.image for item in items}),
        "clusters": len({item.exchange.cluster for item in items}),
        "systems": accuracy.table(items, answers, scorer),
        "by": {tag: table for tag in _TAGS if (table := accuracy.by_tag(items, answers, tag, scorer))},
        "yes_no_share": behaviour.yes_no_share(items, scorer),
        "flips": {"human": behaviour.human(items, scorer), "generated": behaviour.generated(items, scorer)},
        "reliance": behaviour.reliance(items, scorer),
        "quadrants": behaviour.quadrants(items, scorer),
        "calibration": confidence.calibrate(items, maps, scorer),
        "selective": confidence.select(items, maps, scorer),
        "gate": gated.gate(items, readings, scorer),
        "findings": findings(items, scorer),
    }


def findings(items: Sequence[Item], scorer: Scorer) -> dict[str, Any]:
    """For each finding asked about (`tags["finding"]`): AUROC of the probability of yes, with the image, blank and another patient's; and accuracy."""
    grouped: dict[str, list[Item]] = defaultdict(list)
    for item in items:
        if "finding" in item.exchange.tags and item.exchange.gold in ("yes", "no"):
            grouped[item.exchange.tags["finding"]].append(item)
    found = {}
    for name, rows in sorted(grouped.items(), key=lambda group: (-sum(i.exchange.gold == "yes" for i in group[1]), group[0])):
        found[name] = {
            "positives": sum(item.exchange.gold == "yes" for item in rows),
            "n": len(rows),
            "auroc": {MODEL: _auroc(rows, "answer", scorer), BLANK: _auroc(rows, "blank", scorer), SWAP: _auroc(rows, "swap", scorer)},
            "accuracy": scorer.mean([accuracy.is_right(item.answer, item.exchange) for item in rows], rows).to_json(),
        }
    return found


def _auroc(items: Sequence[Item], which: str, scorer: Scorer) -> dict[str, Any]:
    told = [(a.p_yes, item) for item in items if (a := getattr(item, which)) is not None and a.p_yes is not None]
    p = np.asarray([value for value, _ in told], dtype=np.float64)
    y = np.asarray([item.exchange.gold == "yes" for _, item in told], dtype=np.float64)
    clusters = [item.exchange.cluster for _, item in told]
    found = cluster_bootstrap(auroc, p, y, clusters=clusters, replicates=min(1000, scorer.replicates), seed=scorer.seed)
    rarer = min(len({c for c, label in zip(clusters, y, strict=True) if label == side}) for side in (0, 1))
    if found.value is not None and rarer < _LEAST_FOR_INTERVAL:
        # with one positive film every resample ranks it alike: the bootstrap would call an AUROC of 1 certain
        found = dataclasses.replace(found, low=None, high=None, method=f"no interval: the rarer answer has only {rarer} clusters")
    return found.to_json()
