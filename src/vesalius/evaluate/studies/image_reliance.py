"""Does an answer need the picture: blank, mean and other patients' pictures, and the place that the question is about hidden against any other place.

In: recorded items (blank, swap, partners with known answers), and asked here: SLAKE's boxes hidden behind the picture's mean, against an equal area that
touches no box of that name; and the mean of 24 training pictures of the same kind. Out: {"suites": {name: {"reliance": ..., "quadrants": ..., "agreement":
{"blank" | "nothing": interval}, "mean_image": {"changed", "accuracy"}}}, "occlusion": {"target_changed", "elsewhere_changed", "difference", "by": {name:
...}, "share_hidden"}}. See `behaviour.reliance` for opposite (O), same (S) and grounded = O + S - 1.

Three traps of such figures (docs/studies/image_reliance.md): a question whose blank answer happens to be the right one looks unreliant; random swaps keep
half of all yes/no answers; consistency and reliance are partly one thing, for a model that ignores the picture has less to vary.
"""

from __future__ import annotations

import dataclasses
import re
import sys
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image as Picture

from vesalius.data import slake
from vesalius.data.base import dataset
from vesalius.data.splits import unit_hash
from vesalius.domain.exchange import Exchange, Split
from vesalius.domain.finding import Region
from vesalius.domain.study import Study, single
from vesalius.errors import DataMissing
from vesalius.evaluate import behaviour
from vesalius.evaluate.accuracy import Scorer, is_right
from vesalius.evaluate.ask import open_study
from vesalius.evaluate.plan import SUITES
from vesalius.evaluate.plan import suite as plain_suite
from vesalius.evaluate.probe import Change, Probe, Shown
from vesalius.evaluate.record import Item, answer_json, answer_of
from vesalius.evaluate.study import Bench, Row, Skip, Tell
from vesalius.formats.pixels import render

_LESION = re.compile(r"edema|tumor|cancer|mass|nodule|pneumonia|effusion|atelectasis|cardiomegaly|infiltrat|pneumothorax|lesion", re.IGNORECASE)
_ASKS_LESION = re.compile(r"abnormal|disease|normal|healthy|lesion|tumou?r|edema|cancer|mass|damage", re.IGNORECASE)
_OF_MEAN = 24  # training pictures in a mean
_SIDE = 256
_TRIES = 64  # places at which an equal area may lie
_CALL = 8  # questions asked together
_MEANS = 40  # images of each suite asked behind a mean, unless the settings say otherwise (`mean_images`)

Plan = tuple[dict[str, Any], dict[str, Probe], dict[str, Change]]  # row, probes by name, changes


@dataclasses.dataclass(frozen=True)
class ImageReliance:
    """See the module."""

    name: str = "image_reliance"
    title: str = "Looking at the picture"

    def collect(self, bench: Bench, tell: Tell) -> Iterator[Row] | Skip:
        """Rows of two kinds, "occlusion" and "mean"."""
        if bench.prober is None or bench.root is None:
            return iter(()) if _controlled(bench) else Skip("there is no model to ask, and no recorded answer to a control")
        return self._rows(bench, tell)

    def _rows(self, bench: Bench, tell: Tell) -> Iterator[Row]:
        plans = [*_occlusions(bench), *_means(bench)]
        left = [plan for plan in plans if plan[0]["id"] not in bench.done]
        for start in range(0, len(left), _CALL):
            tell(len(plans) - len(left) + start, len(plans))
            yield from _asked(left[start : start + _CALL], bench)

    def score(self, rows: Sequence[Row], bench: Bench, scorer: Scorer) -> Mapping[str, Any]:
        """See the module."""
        found: dict[str, Any] = {"suites": {}, "occlusion": _occlusion_figures([r for r in rows if r["kind"] == "occlusion"], scorer)}
        means: dict[str, list[Row]] = defaultdict(list)
        for row in rows:
            if row["kind"] == "mean":
                means[row["suite"]].append(row)
        for suite in bench.items:
            items = bench.test_items(suite)
            if _controls(items) or means[suite]:
                found["suites"][suite] = {
                    "reliance": behaviour.reliance(items, scorer),
                    "quadrants": behaviour.quadrants(items, scorer),
                    "agreement": {name: _agreement(items, name, scorer) for name in ("blank", "nothing")},
                    "mean_image": _mean_figures(means[suite], {item.id: item for item in items}, scorer),
                }
        return found


def _asked(plans: Sequence[Plan], bench: Bench) -> Iterator[Row]:
    """Rows of some plans, asked together."""
    if bench.prober is None:
        return
    changes = {name: change for _, _, made in plans for name, change in made.items()}
    said = iter(bench.prober.ask([probe for _, probes, _ in plans for probe in probes.values()], changes))
    for row, probes, _ in plans:
        yield {**row, **{name: answer_json(next(said), row["id"]) for name in probes}}


def _controls(items: Sequence[Item]) -> bool:
    return any(item.blank is not None or item.swap is not None or item.partners for item in items)


def _controlled(bench: Bench) -> bool:
    return any(_controls(bench.test_items(suite)) for suite in bench.items)


def _agreement(items: Sequence[Item], which: str, scorer: Scorer) -> dict[str, Any]:
    """T: share of answers that a control without content leaves as they are."""
    told = [(item, now) for item in items if (other := getattr(item, which)) is not None and (now := behaviour.changed(item.answer, other)) is not None]
    return scorer.mean([not now for _, now in told], [item for item, _ in told]).to_json()


def about(question: str, region: str) -> bool:
    """Whether a question is about what a box is called: its name, or "abnormal", "disease", "healthy" for a lesion."""
    words = [word for word in region.lower().split() if word not in ("left", "right")]
    text = question.lower()
    if _LESION.search(region):
        return bool(_ASKS_LESION.search(text)) or all(word in text for word in words)
    return bool(words) and all(word.rstrip("s") in text for word in words)


def _occlusions(bench: Bench) -> list[Plan]:
    """(row, probes by name, changes) for each question that is about a box of its image."""
    try:
        known = slake.DATASET.attributes(bench.root, Split.TEST)  # type: ignore[arg-type]
        asked = slake.DATASET.exchanges(bench.root, Split.TEST)  # type: ignore[arg-type]
    except DataMissing:
        return []
    chosen = sorted((a for a in known if a.regions), key=lambda a: unit_hash(a.image, salt="occlusion"))[: bench.limit]
    questions: dict[str, list[Exchange]] = defaultdict(list)
    for exchange in asked:
        questions[exchange.image].append(exchange)
    found = []
    for facts in chosen:
        for name in sorted({name for name, _ in facts.regions}):
            boxes = [region for other, region in facts.regions if other == name]
            found += [_occlusion(exchange, name, boxes) for exchange in questions[facts.image] if about(exchange.question.text, name)]
    return found


def _occlusion(exchange: Exchange, name: str, boxes: Sequence[Region]) -> Plan:
    key = f"occlusion:{exchange.id}:{name}"
    marks = "; ".join(f"{b.x0:g},{b.y0:g},{b.x1:g},{b.y1:g}" for b in boxes)
    hidden, other = f"hidden {marks}", f"hidden elsewhere {marks} {key}"
    changes: dict[str, Change] = {hidden: lambda study: cover(study, boxes), other: lambda study: cover(study, elsewhere(study, boxes, key))}
    probes = {
        "answer": Probe(Shown.of(exchange.image, exchange.tags), exchange.question),
        "target": Probe(Shown.of(exchange.image, exchange.tags, hidden), exchange.question),
        "elsewhere": Probe(Shown.of(exchange.image, exchange.tags, other), exchange.question),
    }
    row = {"id": key, "kind": "occlusion", "image": exchange.image, "cluster": exchange.cluster, "region": name, "gold": exchange.gold}
    return row, probes, changes


def cover(study: Study, boxes: Sequence[Region]) -> Study:
    """The study with boxes of its key image behind the image's mean."""
    image = study.image
    pixels = image.pixels.copy()
    mean = image.pixels.astype(np.float64).mean(axis=(0, 1, 2))
    for box in boxes:
        y0, y1, x0, x1 = (round(v) for v in (box.y0, box.y1, box.x0, box.x1))
        pixels[:, y0:y1, x0:x1] = np.rint(mean) if image.is_colour else mean
    return single(dataclasses.replace(image, pixels=pixels, overlays=(), uid=None), patient=study.patient, deidentified=study.deidentified)


def elsewhere(study: Study, boxes: Sequence[Region], key: str) -> list[Region]:
    """For each box one of the same size that touches none of them, by a fixed draw; as far away as 64 tries find where none is free."""
    draw = np.random.default_rng([*key.encode()])
    rows, cols = study.image.rows, study.image.cols
    found = []
    for box in boxes:
        width, height = min(box.x1 - box.x0, cols), min(box.y1 - box.y0, rows)
        best: tuple[float, Region] | None = None
        for _ in range(_TRIES):
            x, y = draw.uniform(0, max(cols - width, 0)), draw.uniform(0, max(rows - height, 0))
            place = Region(x, y, x + width, y + height)
            shared = sum(_overlap(place, other) for other in boxes)
            if best is None or shared < best[0]:
                best = (shared, place)
            if not shared:
                break
        if best is not None:
            found.append(best[1])
    return found


def _overlap(a: Region, b: Region) -> float:
    return max(0.0, min(a.x1, b.x1) - max(a.x0, b.x0)) * max(0.0, min(a.y1, b.y1) - max(a.y0, b.y0))


def _means(bench: Bench) -> list[Plan]:
    """Questions of test images, asked of the mean of training pictures of the same kind."""
    found = []
    most = min(int(bench.settings.get("mean_images", _MEANS)), bench.limit or sys.maxsize)
    for suite in bench.items:
        if suite not in SUITES or bench.root is None:
            continue
        items = bench.test_items(suite)
        images = sorted({item.exchange.image for item in items}, key=lambda image: unit_hash(image, salt="mean"))[:most]
        kept = set(images)
        pool = _pool(bench, suite)
        for item in items:
            tags = item.exchange.tags
            kind = (tags.get("modality", ""), tags.get("body_part", ""))
            like = pool.get(kind, ())
            if item.exchange.image not in kept or len(like) < 2:
                continue
            change = f"mean of {len(like)} training pictures of {suite}, {' '.join(kind)}"
            probes = {"mean": Probe(Shown.of(item.exchange.image, tags, change), item.exchange.question)}
            row = {"id": f"mean:{suite}:{item.id}", "kind": "mean", "suite": suite, "item": item.id, "cluster": item.exchange.cluster}
            found.append((row, probes, {change: _to_mean(bench, like)}))
    return found


def _pool(bench: Bench, suite: str) -> dict[tuple[str, str], tuple[tuple[str, Mapping[str, str]], ...]]:
    """Training pictures by modality and body part, at most 24 of each, by a fixed hash."""
    seen: dict[str, Mapping[str, str]] = {}
    chosen = plain_suite(suite)
    for exchange in dataset(chosen.dataset).exchanges(bench.root, Split.TRAIN, chosen.protocols[0]):  # type: ignore[arg-type]
        seen.setdefault(exchange.image, exchange.tags)
    grouped: dict[tuple[str, str], list[tuple[str, Mapping[str, str]]]] = defaultdict(list)
    for image in sorted(seen, key=lambda name: unit_hash(name, salt="mean")):
        grouped[seen[image].get("modality", ""), seen[image].get("body_part", "")].append((image, seen[image]))
    return {kind: tuple(rows[:_OF_MEAN]) for kind, rows in grouped.items()}


def _to_mean(bench: Bench, like: Sequence[tuple[str, Mapping[str, str]]]) -> Change:
    held: list[NDArray[np.float64]] = []

    def change(study: Study) -> Study:
        if not held:
            held.append(np.mean([_small(open_study(bench.root, image, tags)) for image, tags in like], axis=0))  # type: ignore[arg-type]
        image = study.image
        shown = np.asarray(Picture.fromarray(held[0].astype(np.float32)).resize((image.cols, image.rows), Picture.Resampling.BILINEAR)) / 255
        low, high = float(image.pixels.min()), float(image.pixels.max())
        pixels = np.empty_like(image.pixels)
        pixels[:] = (low + shown * (high - low))[None, ..., None] if image.is_colour else (low + shown * (high - low))[None]
        return single(dataclasses.replace(image, pixels=pixels, overlays=(), uid=None), patient=study.patient, deidentified=study.deidentified)

    return change


def _small(study: Study) -> NDArray[np.float64]:
    picture = Picture.fromarray(render(study.image)).convert("L").resize((_SIDE, _SIDE), Picture.Resampling.BILINEAR)
    return np.asarray(picture, dtype=np.float64)


def _mean_figures(rows: Sequence[Row], items: Mapping[str, Item], scorer: Scorer) -> dict[str, Any]:
    known = [(items[row["item"]], answer_of(row["mean"])) for row in rows if row["item"] in items]
    told = [(item, now) for item, answer in known if (now := behaviour.changed(item.answer, answer)) is not None]
    return {
        "changed": scorer.mean([now for _, now in told], [item for item, _ in told]).to_json(),
        "accuracy": scorer.mean([is_right(answer, item.exchange) for item, answer in known], [item for item, _ in known]).to_json(),
    }


def _occlusion_figures(rows: Sequence[Row], scorer: Scorer) -> dict[str, Any]:
    """Change when the target is hidden against change when an equal area elsewhere is: paired, clustered by image."""
    kept = []
    for row in rows:
        first = answer_of(row["answer"])
        moved = [behaviour.changed(first, answer_of(row[name])) for name in ("target", "elsewhere")]
        if None not in moved:
            kept.append((row, float(bool(moved[0])), float(bool(moved[1]))))
    by: dict[str, list[tuple[Row, float, float]]] = defaultdict(list)
    for entry in kept:
        by["lesions" if _LESION.search(entry[0]["region"]) else "organs"].append(entry)
    return {"unreadable": len(rows) - len(kept), **_pairs(kept, scorer), "by": {name: _pairs(part, scorer) for name, part in sorted(by.items())}}


def _pairs(rows: Sequence[tuple[Row, float, float]], scorer: Scorer) -> dict[str, Any]:
    clusters = [row["cluster"] for row, _, _ in rows]
    target, other = [t for _, t, _ in rows], [e for _, _, e in rows]
    return {
        "target_changed": scorer.of(target, clusters).to_json(),
        "elsewhere_changed": scorer.of(other, clusters).to_json(),
        "difference": scorer.paired(target, other, clusters).to_json(),
    }


STUDY = ImageReliance()
