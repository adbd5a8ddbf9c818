"""Does the model look at the right place, and does a right answer come from there: maps and named boxes against boxes of organs and findings.

In: `places.of_root`: for each name that a test picture has boxes of, the yes/no question whether it is there, asked of the picture and of a blank one; for
each method a map of where the answer comes from; of a model that names boxes, its boxes. Settings: `methods` (("gradient", "rollout")), `costly`
(("occlusion",): made for one place on each of the first `costly_images` (10) pictures of a data set), `tolerance` (0.03 of the longer side).

Out, JSON-ready; an interval is `Interval.to_json()`, clustered by patient or picture:
    {"places": n, "pictures": n, "thresholds": [...], "match": 0.5, "skipped": {method: {"why", "count"}}, "groups": {group: {
        "places", "pictures": counts,
        "yes", "yes_of_blank": intervals (the right answer is always yes), "unreadable": {"count", "n"},
        "share": interval (of the picture in the boxes: chance of pointing, and of energy), "middle": interval (hits of the picture's middle point),
        "maps": {method: {"by": [names], "n", "flat": {"count", "n"}, "hit", "chance", "above_chance", "above_middle", "hit_near", "chance_near",
            "above_chance_near", "energy", "energy_above_chance", "cnr", "cnr_signed", "miou", "iou_of_whole_picture": intervals,
            "reasons": {"right_place", "wrong_place", "saw_but_erred", "neither": counts, "n", "place_given_right", "chance_given_right",
                "place_given_wrong": intervals}}},
        "boxes": None, or {"n", "unreadable": {"count", "n"}, "without": {"count", "n"}, "precision", "recall", "f1", "pointing": intervals}}}}
Groups are "all", each data set, and SLAKE's "slake, organ" and "slake, lesion".
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vesalius.domain.exchange import Answer, Outcome, Question
from vesalius.domain.finding import Region
from vesalius.domain.study import Study
from vesalius.errors import InvalidValue
from vesalius.evaluate.accuracy import Scorer
from vesalius.evaluate.ask import blank
from vesalius.evaluate.places import Place, of_root
from vesalius.evaluate.probe import Change, Probe, Prober, Shown
from vesalius.evaluate.record import answer_json
from vesalius.evaluate.study import Bench, Row, Skip, Tell
from vesalius.metrics import localisation as metric
from vesalius.metrics.statistics import cluster_ratio
from vesalius.metrics.text import read_outcome
from vesalius.models.base import LooksAt, Sampling, Task

_BLANK: Mapping[str, Change] = {"blank": blank}
_LOCATE = "Please locate the following phrase: {phrase}"  # as CheXagent was taught to be asked
_BOXES = Sampling(max_new_tokens=128)
Figures = dict[str, Any]


@dataclasses.dataclass(frozen=True)
class Localisation:
    """See the module."""

    name: str = "localisation"
    title: str = "The right place"

    def collect(self, bench: Bench, tell: Tell) -> Iterator[Row] | Skip:
        """One row a place."""
        if bench.prober is None or bench.root is None:
            return Skip("there is no model to ask about the places of a picture")
        looks, names = isinstance(bench.prober.model, LooksAt), Task.GROUNDING in bench.prober.model.card.tasks
        if not looks and not names:
            return Skip("the model can neither say where an answer comes from nor name a box")
        places, absent = of_root(bench.root, bench.limit)
        if not places:
            return Skip(f"no data set with boxes is below the data root ({next(iter(absent.values()))})")
        return self._rows(bench.prober, bench, places, tell)

    def _rows(self, prober: Prober, bench: Bench, places: Sequence[Place], tell: Tell) -> Iterator[Row]:
        plan = _methods(places, bench.settings)
        for done, place in enumerate(places):
            tell(done, len(places))
            if place.id not in bench.done:
                yield _row(prober, place, plan[place.id], float(bench.settings.get("tolerance", 0.03)))

    def score(self, rows: Sequence[Row], bench: Bench, scorer: Scorer) -> Mapping[str, Any]:  # noqa: ARG002
        """See the module."""
        groups: dict[str, Callable[[Row], bool]] = {"all": lambda _: True}
        for source in dict.fromkeys(row["source"] for row in rows):
            groups[source] = lambda row, source=source: row["source"] == source  # type: ignore[misc]
        for kind in dict.fromkeys(row["kind"] for row in rows if row["source"] == "slake"):
            groups[f"slake, {kind}"] = lambda row, kind=kind: row["source"] == "slake" and row["kind"] == kind  # type: ignore[misc]
        found = {name: _group([row for row in rows if belongs(row)], scorer) for name, belongs in groups.items()} if rows else {}
        return {
            "places": len(rows),
            "pictures": len({row["image"] for row in rows}),
            "thresholds": list(metric.THRESHOLDS),
            "match": metric.MATCH,
            "skipped": _refusals(rows),
            "groups": found,
        }


def _methods(places: Sequence[Place], settings: Mapping[str, Any]) -> dict[str, tuple[str, ...]]:
    """Methods by place: costly ones for the first place of each of the first pictures of a data set."""
    usual, costly = tuple(settings.get("methods", ("gradient", "rollout"))), tuple(settings.get("costly", ("occlusion",)))
    most = int(settings.get("costly_images", 10))
    seen: dict[str, set[str]] = {}
    found = {}
    for place in places:
        images = seen.setdefault(place.source, set())
        first = place.image not in images and len(images) < most
        images.add(place.image)
        found[place.id] = usual + (costly if first else ())
    return found


def _row(prober: Prober, place: Place, methods: Sequence[str], tolerance: float) -> dict[str, Any]:
    shown = Shown.of(place.image, place.facts)
    said, without = prober.ask([Probe(shown, place.question), Probe(dataclasses.replace(shown, change="blank"), place.question)], _BLANK)
    study = prober.study(shown)
    regions = _fitted(place, study)
    mask = metric.mask_of(regions, study.image.rows, study.image.cols)
    maps, refused = _maps(prober.model, study, place.question, said, methods, regions, tolerance)
    return {
        "id": place.id,
        "source": place.source,
        "image": place.image,
        "cluster": place.cluster,
        "name": place.name,
        "kind": place.kind,
        "question": place.question.text,
        "answer": answer_json(said, place.id),
        "blank": answer_json(without, place.id),
        "gold": [_corners(region) for region in regions],
        "share": float(mask.mean()),
        "middle": bool(mask[mask.shape[0] // 2, mask.shape[1] // 2]),
        "maps": maps,
        "refused": refused,
        "boxes": _named(prober, shown, place, study),
    }


def _fitted(place: Place, study: Study) -> tuple[Region, ...]:
    """Boxes in pixels of the picture as it lies there."""
    if place.size is None:
        return place.regions
    return tuple(region.scaled(study.image.cols / place.size[0], study.image.rows / place.size[1]) for region in place.regions)


def _corners(region: Region) -> list[float]:
    return [region.x0, region.y0, region.x1, region.y1]


def _maps(
    model: Any,  # noqa: ANN401 - any model; only one that looks is asked
    study: Study,
    question: Question,
    answer: Answer,
    methods: Sequence[str],
    regions: Sequence[Region],
    tolerance: float,
) -> tuple[dict[str, Figures], dict[str, str]]:
    """Figures of each method's map; and of methods that the model does not allow, why."""
    found: dict[str, Figures] = {}
    refused: dict[str, str] = {}
    if not isinstance(model, LooksAt):
        return found, {"maps": "the model cannot say where an answer comes from"}
    for method in methods:
        try:
            heat, name = model.saliency(study, question, answer, method=method)
            found[method] = {"by": name, **measure(heat, regions, study, tolerance)}
        except InvalidValue as error:  # a method that the model does not allow, or a map that is none
            refused[method] = str(error)
    return found, refused


def measure(heat: NDArray[np.float32], regions: Sequence[Region], study: Study, tolerance: float) -> Figures:
    """What a row keeps of a map: figures that need the map itself.

    Args:
        heat: [rows, columns], any size. regions: in pixels of the study's picture. tolerance: share of the map's longer side.
    """
    rows, cols = heat.shape
    fitted = [region.scaled(cols / study.image.cols, rows / study.image.rows) for region in regions]
    mask = metric.mask_of(fitted, rows, cols)
    reach = tolerance * max(rows, cols)
    around = metric.near(mask, reach)
    return {
        "flat": metric.is_flat(heat),
        "share": float(mask.mean()),
        "hit": metric.pointing(heat, mask),
        "share_near": float(around.mean()),
        "hit_near": metric.pointing(heat, around) if mask.any() else None,
        "energy": metric.energy(np.clip(heat, 0, None), mask),
        "cnr": metric.cnr(heat, mask),
        "cnr_signed": metric.cnr(heat, mask, signed=True),
        "iou": {f"{threshold:g}": metric.heat_iou(heat, mask, threshold) for threshold in metric.THRESHOLDS},
        "miou": metric.mean_iou(heat, mask),
    }


def _named(prober: Prober, shown: Shown, place: Place, study: Study) -> dict[str, Any] | None:
    """Boxes that the model names for the phrase; None when it names none at all, of anything."""
    if Task.GROUNDING not in prober.model.card.tasks:
        return None
    from vesalius.models.chexagent import boxes  # brings torch, which only a model that is there needs

    said = prober.ask([Probe(shown, Question(_LOCATE.format(phrase=place.phrase)), _BOXES)])[0]
    found = boxes(said.text, rows=study.image.rows, cols=study.image.cols)
    return {"text": said.text, "found": [_corners(b.region) for b in found if b.region], "unreadable": sum(b.region is None for b in found)}


def _refusals(rows: Sequence[Row]) -> Figures:
    found: Figures = {}
    for row in rows:
        for method, why in row["refused"].items():
            found.setdefault(method, {"why": why, "count": 0})["count"] += 1
    return found


def _group(rows: Sequence[Row], scorer: Scorer) -> Figures:
    clusters = [row["cluster"] for row in rows]
    outcomes = [read_outcome(row["answer"]["text"]) for row in rows]
    return {
        "places": len(rows),
        "pictures": len({row["image"] for row in rows}),
        "yes": scorer.of([outcome is Outcome.YES for outcome in outcomes], clusters).to_json(),
        "yes_of_blank": scorer.of([read_outcome(row["blank"]["text"]) is Outcome.YES for row in rows], clusters).to_json(),
        "unreadable": {"count": sum(outcome not in (Outcome.YES, Outcome.NO) for outcome in outcomes), "n": len(rows)},
        "share": scorer.of([row["share"] for row in rows], clusters).to_json(),
        "middle": scorer.of([row["middle"] for row in rows], clusters).to_json(),
        "maps": {method: _of_method(rows, method, scorer) for method in dict.fromkeys(method for row in rows for method in row["maps"])},
        "boxes": _of_boxes([row for row in rows if row["boxes"] is not None], scorer),
    }


def _of_method(rows: Sequence[Row], method: str, scorer: Scorer) -> Figures:
    kept = [row for row in rows if method in row["maps"]]
    made = [row["maps"][method] for row in kept]

    def mean(of: Callable[[Mapping[str, Any]], float | None]) -> Figures:
        told = [(value, row["cluster"]) for row, figures in zip(kept, made, strict=True) if (value := of(figures)) is not None]
        return scorer.of([value for value, _ in told], [cluster for _, cluster in told]).to_json()

    def above(name: str, other: Callable[[Row, Mapping[str, Any]], float]) -> Figures:
        told = [(f[name], other(row, f), row["cluster"]) for row, f in zip(kept, made, strict=True) if f[name] is not None]
        return scorer.paired([a for a, _, _ in told], [b for _, b, _ in told], [cluster for _, _, cluster in told]).to_json()

    return {
        "by": sorted({figures["by"] for figures in made}),
        "n": len(made),
        "flat": {"count": sum(figures["flat"] for figures in made), "n": len(made)},
        "hit": mean(lambda f: f["hit"]),
        "chance": mean(lambda f: None if f["hit"] is None else f["share"]),
        "above_chance": above("hit", lambda _, f: f["share"]),
        "above_middle": above("hit", lambda row, _: float(row["middle"])),
        "hit_near": mean(lambda f: f["hit_near"]),
        "chance_near": mean(lambda f: None if f["hit_near"] is None else f["share_near"]),
        "above_chance_near": above("hit_near", lambda _, f: f["share_near"]),
        "energy": mean(lambda f: f["energy"]),
        "energy_above_chance": above("energy", lambda _, f: f["share"]),
        "cnr": mean(lambda f: f["cnr"]),
        "cnr_signed": mean(lambda f: f["cnr_signed"]),
        "miou": mean(lambda f: f["miou"]),
        "iou_of_whole_picture": mean(lambda f: None if f["miou"] is None else f["share"]),
        "reasons": _reasons(kept, method, scorer),
    }


def _reasons(rows: Sequence[Row], method: str, scorer: Scorer) -> Figures:
    """Right answers and right places, on answers that read as yes or no and maps that point somewhere."""
    told = []
    for row in rows:
        outcome, figures = read_outcome(row["answer"]["text"]), row["maps"][method]
        if outcome in (Outcome.YES, Outcome.NO) and figures["hit"] is not None and not figures["flat"]:
            told.append((row["cluster"], outcome is Outcome.YES, figures["hit"] >= 0.5, figures["share"]))
    right, place = np.asarray([r for _, r, _, _ in told], dtype=bool), np.asarray([p for _, _, p, _ in told], dtype=bool)
    share, clusters = np.asarray([s for _, _, _, s in told], dtype=float), [c for c, _, _, _ in told]

    def ratio(top: NDArray[Any], bottom: NDArray[Any]) -> Figures:
        return cluster_ratio(top.astype(float), bottom.astype(float), clusters, replicates=scorer.replicates, seed=scorer.seed).to_json()

    counted = metric.reasons(right, place)
    return {
        **dataclasses.asdict(counted),
        "n": counted.n,
        "place_given_right": ratio(right & place, right),
        "chance_given_right": ratio(right * share, right),
        "place_given_wrong": ratio(~right & place, ~right),
    }


def _of_boxes(rows: Sequence[Row], scorer: Scorer) -> Figures | None:
    """Precision and recall over all boxes, F1 as the mean over phrases; pointing by the middle of the first box."""
    if not rows:
        return None
    clusters = [row["cluster"] for row in rows]
    gold = [[Region(*corners) for corners in row["gold"]] for row in rows]
    found = [[Region(*corners) for corners in row["boxes"]["found"]] for row in rows]
    each = [metric.grounding(f, g) for f, g in zip(found, gold, strict=True)]

    def ratio(top: Sequence[int], bottom: Sequence[int]) -> Figures:
        return cluster_ratio(top, bottom, clusters, replicates=scorer.replicates, seed=scorer.seed).to_json()

    return {
        "n": len(rows),
        "unreadable": {
            "count": sum(row["boxes"]["unreadable"] for row in rows),
            "n": sum(row["boxes"]["unreadable"] + len(f) for row, f in zip(rows, found, strict=True)),
        },
        "without": {"count": sum(not f for f in found), "n": len(rows)},
        "precision": ratio([g.matched for g in each], [g.found for g in each]),
        "recall": ratio([g.matched for g in each], [g.gold for g in each]),
        "f1": scorer.of([g.f1 for g in each], clusters).to_json(),
        "pointing": scorer.of([bool(f) and _inside(f[0], g) for f, g in zip(found, gold, strict=True)], clusters).to_json(),
    }


def _inside(box: Region, gold: Sequence[Region]) -> bool:
    x, y = (box.x0 + box.x1) / 2, (box.y0 + box.y1) / 2
    return any(g.x0 <= x < g.x1 and g.y0 <= y < g.y1 for g in gold)


STUDY = Localisation()
