"""What faults of a picture, another view and another hospital do to the answers.

In: closed questions of the test parts (gold yes or no) on pictures as they are and with each corruption of `data.corruptions` that fits their modality;
recorded items of NIH films, AP against PA; the same questions on films from Hannover. Out:

{"images", "questions", "severities", "clean": FIGURES,
 "corruptions": {name: {"title", "parameter", "geometry", "images", "questions", "levels": [{"severity", "level", FIGURES, CHANGES}],
                        "errors", "clean_error", "mean_error", "excess_error", "be", "rbe"}},
 "all": {"accuracy_change", "flips", "mean_error", "excess_error", "be", "rbe", "worst", "too_few_images"},
 "suites": {suite: {"accuracy_change", "flips"}},
 "view": {"PA": .., "AP": .., "accuracy_gap", "accuracy_gap_standardised", "auroc_gap"} | null,
 "source": {"nih-cxr": .., "hannover": .., "gaps": {"yes", "confidence", "view_accuracy"}, "findings": {name: {"nih-cxr", "hannover"}}} | null}

FIGURES: "accuracy", "auroc", "confidence", "referred", "balanced_error" (a number) and counts "undetermined", "unparsed". CHANGES, paired with the clean
picture: "accuracy_change", "auroc_change", "confidence_change", "referred_change", "flips" (an answer that cannot be read is a flip), "flips_parsed",
"harmful", "helpful". An answer counts as referred when it is neither yes nor no, or when its uncertainty is beyond the default policy's limit.
"""

from __future__ import annotations

import dataclasses
import functools
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from vesalius.data import hannover, nih_cxr
from vesalius.data.corruptions import CORRUPTIONS, corrupt_study, corruption, described, fitting
from vesalius.data.splits import unit_hash
from vesalius.domain.exchange import Answer, Outcome, Question, Split
from vesalius.domain.study import Modality
from vesalius.errors import DataMissing, InvalidValue
from vesalius.evaluate import sources
from vesalius.evaluate.accuracy import Scorer, answers_yes_no
from vesalius.evaluate.behaviour import changed
from vesalius.evaluate.confidence import confidence_of
from vesalius.evaluate.probe import Change, Probe, Prober, Shown
from vesalius.evaluate.record import Item, answer_json, answer_of
from vesalius.evaluate.sources import HANNOVER, NIH, bootstrap
from vesalius.evaluate.study import Bench, Row, Skip, Tell
from vesalius.metrics import shift as metrics
from vesalius.metrics.calibration import from_json
from vesalius.metrics.selective import auroc
from vesalius.metrics.statistics import cluster_mean, paired_difference
from vesalius.metrics.text import normalise, read_outcome
from vesalius.safety.policy import default_policy
from vesalius.safety.signals import uncertainty

_LEAST = 8  # images that a corruption needs to count in means over corruptions


@dataclasses.dataclass(frozen=True)
class Settings:
    """Of this study.

    Args:
        images: over all suites, by a fixed hash, modalities by turns. questions: closed ones for each image, by a fixed hash. findings: asked of NIH films.
        severities: asked of each corruption that has them. corruptions: names; empty: all. everything: all images that the limit allows, all severities.
        reference: of another model's run, {corruption: {"clean_error", "errors"}} as in its results: what BE and rBE divide by.
    """

    images: int = 12
    questions: int = 3
    findings: Sequence[str] = ("Pneumonia", "Effusion", "normal")
    severities: Sequence[int] = (1, 3, 5)
    corruptions: Sequence[str] = ()
    everything: bool = False
    reference: Mapping[str, Mapping[str, Any]] = dataclasses.field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.images < 1 or self.questions < 1 or not set(self.severities) <= {1, 2, 3, 4, 5} or not self.severities:
            raise InvalidValue(f"images and questions must be positive, severities 1 to 5 (got {self.images}, {self.questions}, {self.severities})")
        for name in self.corruptions:
            corruption(name)

    @property
    def asked(self) -> tuple[int, ...]:
        """Severities in order."""
        return (1, 2, 3, 4, 5) if self.everything else tuple(sorted(set(self.severities)))


def settings_of(bench: Bench) -> Settings:
    """The settings of a bench.

    Raises:
        InvalidValue: a key that there is not, a number out of range. UnknownName: no such corruption.
    """
    known = {field.name for field in dataclasses.fields(Settings)}
    if odd := sorted(set(bench.settings) - known):
        raise InvalidValue(f"the study shift has no setting {odd[0]!r}", remedy="use " + ", ".join(sorted(known)))
    return Settings(**bench.settings)


@dataclasses.dataclass(frozen=True)
class Shift:
    """See the module."""

    name: str = "shift"
    title: str = "Faults of the picture, another view, another hospital"

    def collect(self, bench: Bench, tell: Tell) -> Iterator[Row] | Skip:
        """One row for each picture and what was done to it."""
        if bench.prober is None:
            return Skip("there is no model to ask about changed pictures")
        chosen = _chosen(bench, settings_of(bench))
        if not chosen:
            return Skip("no test question of the plain evaluations has yes or no as its answer")
        return self._rows(bench, bench.prober, chosen, tell)

    def _rows(self, bench: Bench, prober: Prober, chosen: Sequence[tuple[str, list[Item]]], tell: Tell) -> Iterator[Row]:
        settings, films = settings_of(bench), _films(bench)
        total = len(chosen) + len(films)
        for done, (suite, items) in enumerate(chosen):
            tell(done, total)
            yield from _asked(suite, items, settings, bench, prober)
        for done, (row, shown, questions) in enumerate(films):
            tell(len(chosen) + done, total)
            if row["id"] not in bench.done:
                said = prober.ask([Probe(shown, question) for _, _, question in questions])
                yield {**row, "answers": [_answer(prober, name, gold, answer) for (name, gold, _), answer in zip(questions, said, strict=True)]}

    def score(self, rows: Sequence[Row], bench: Bench, scorer: Scorer) -> Mapping[str, Any]:
        """See the module."""
        settings = settings_of(bench)
        clean, pairs = _paired(rows)
        by_name = {name: [p for p in pairs if p.corruption == name] for name in CORRUPTIONS}
        tables = {name: _table(name, found, scorer, settings.reference.get(name)) for name, found in by_name.items() if found}
        return {
            "images": len({p.image for p in clean}),
            "questions": len(clean),
            "severities": list(settings.asked),
            "clean": _figures(clean, scorer),
            "corruptions": tables,
            "all": {**_moved(pairs, scorer), **_overall(tables)},
            "suites": {suite: _moved([p for p in pairs if p.suite == suite], scorer) for suite in sorted({p.suite for p in pairs})},
            "view": sources.view(bench.test_items(NIH), scorer),
            "source": sources.source(bench.test_items(NIH), [row for row in rows if row["kind"] == "source"], scorer),
        }


def _chosen(bench: Bench, settings: Settings) -> list[tuple[str, list[Item]]]:
    """(suite, questions of one image), by fixed hashes; the gold answer decides only that it is yes or no."""
    images: dict[str, dict[str, list[Item]]] = {}
    for suite in bench.items:
        closed = [item for item in bench.test_items(suite) if normalise(item.exchange.gold) in ("yes", "no")]
        if suite == NIH:
            closed = [item for item in closed if item.exchange.tags.get("finding") in settings.findings]
        grouped: dict[str, list[Item]] = defaultdict(list)
        for item in closed:
            grouped[item.exchange.image].append(item)
        if grouped:
            images[suite] = grouped
    share = None if settings.everything or not images else -(-settings.images // len(images))
    count = min((n for n in (share, bench.limit) if n is not None), default=None)
    found = []
    for suite, grouped in images.items():
        names = _mixed({name: asked[0].exchange.tags.get("modality", "") for name, asked in grouped.items()})[:count]
        found += [(suite, sorted(grouped[name], key=lambda item: unit_hash(item.id, salt="shift"))[: settings.questions]) for name in names]
    return found


def _mixed(modality: Mapping[str, str]) -> list[str]:
    """Images in the order of a fixed hash, modalities by turns: few pictures must do for the faults of all."""
    turn: Counter[str] = Counter()
    places = {}
    for name in sorted(modality, key=lambda name: unit_hash(name, salt="shift")):
        places[name] = (turn[modality[name]], unit_hash(name, salt="shift"))
        turn[modality[name]] += 1
    return sorted(places, key=lambda name: places[name])


def _asked(suite: str, items: Sequence[Item], settings: Settings, bench: Bench, prober: Prober) -> Iterator[Row]:
    """Rows of one image: the clean picture, then each corruption at each severity."""
    first = items[0].exchange
    seed = int(unit_hash(first.image, salt=f"shift {bench.seed}") * 2**31)
    modality = Modality(first.tags.get("modality", Modality.OT))
    names = [name for name in fitting(modality) if not settings.corruptions or name in settings.corruptions]
    plans: list[tuple[str, int, str]] = [("", 0, "")]
    plans += [(name, s, described(name, s, seed)) for name in names for s in settings.asked if s in corruption(name).severities]
    left = [(name, s, change) for name, s, change in plans if _id(suite, first.image, change) not in bench.done]
    changes: dict[str, Change] = {change: functools.partial(corrupt_study, name=name, severity=s, seed=seed) for name, s, change in left if name}
    said = iter(prober.ask([Probe(Shown.of(first.image, first.tags, change), item.exchange.question) for _, _, change in left for item in items], changes))
    for name, severity, change in left:
        yield {
            "id": _id(suite, first.image, change),
            "kind": "corruption" if name else "clean",
            "suite": suite,
            "image": first.image,
            "cluster": first.cluster,
            "modality": str(modality),
            "corruption": name,
            "severity": severity,
            "change": change,
            "answers": [_answer(prober, item.id, normalise(item.exchange.gold), next(said)) for item in items],
        }


def _id(suite: str, image: str, change: str) -> str:
    return f"{suite}|{image}|{change or 'clean'}"


def _answer(prober: Prober, item: str, gold: str | None, answer: Answer) -> dict[str, Any]:
    """An answer with what the gate would make of its confidence alone."""
    rules = default_policy().calibration
    table = None
    if rules is not None and rules.model in (None, prober.model.card.name):
        table = rules.closed if answers_yes_no(answer) else rules.open
    unsure = uncertainty(answer, None if table is None else from_json(table)).value
    return {"item": item, "gold": gold, "uncertainty": unsure, **answer_json(answer, item)}


def _films(bench: Bench) -> list[tuple[dict[str, Any], Shown, list[tuple[str, str | None, Question]]]]:
    """Test films of Hannover: (row, what is shown, (name, gold, question)); none where the set or the NIH items to compare with are absent."""
    if bench.root is None or not bench.test_items(NIH):
        return []
    try:
        asked = hannover.DATASET.exchanges(bench.root, Split.TEST)
    except DataMissing:
        return []
    findings = [*nih_cxr.FINDING_QUESTIONS.items(), ("normal", nih_cxr.NORMAL_QUESTION)]
    found = []
    for x in sorted(asked, key=lambda x: unit_hash(x.image, salt="shift"))[: bench.limit]:
        row = {"id": f"{HANNOVER}|{x.image}", "kind": "source", "suite": HANNOVER, "image": x.image, "cluster": x.cluster}
        questions: list[tuple[str, str | None, Question]] = [(name, None, Question(text)) for name, text in findings]
        found.append((row, Shown.of(x.image, x.tags), [*questions, ("view", x.gold, x.question)]))
    return found


class Pair(NamedTuple):
    """One question on a changed picture, and on the clean one."""

    suite: str
    image: str
    cluster: str
    corruption: str
    severity: int
    gold: str
    now: Answer
    clean: Answer
    referred: bool
    clean_referred: bool


def _paired(rows: Sequence[Row]) -> tuple[list[Pair], list[Pair]]:
    """(clean answers paired with themselves, changed ones paired with the clean); a changed picture without a clean answer is left out."""
    base = {(row["suite"], a["item"]): a for row in rows if row["kind"] == "clean" for a in row["answers"]}
    clean: list[Pair] = []
    found: list[Pair] = []
    for row in rows:
        if row["kind"] == "source":
            continue
        for a in row["answers"]:
            first = base.get((row["suite"], a["item"]))
            if first is None:
                continue
            where = (row["suite"], row["image"], row["cluster"], row["corruption"], row["severity"], a["gold"])
            pair = Pair(*where, answer_of(a), answer_of(first), _referred(a), _referred(first))
            (found if row["corruption"] else clean).append(pair)
    return clean, found


def _referred(answer: Mapping[str, Any]) -> bool:
    beyond = answer["uncertainty"] is not None and answer["uncertainty"] > default_policy().limits.uncertainty.refer
    return beyond or read_outcome(answer["text"]) not in (Outcome.YES, Outcome.NO)


def _right(answer: Answer, gold: str) -> bool:
    return read_outcome(answer.text) is Outcome(gold)


def _mean(values: Sequence[float | bool], pairs: Sequence[Any], scorer: Scorer) -> dict[str, Any]:
    clusters = [p.cluster for p in pairs]
    return cluster_mean([float(v) for v in values], clusters, replicates=scorer.replicates, seed=scorer.seed).to_json()


def _change(now: Sequence[float | bool], before: Sequence[float | bool], pairs: Sequence[Pair], scorer: Scorer) -> dict[str, Any]:
    first, second = ([float(v) for v in values] for values in (now, before))
    return paired_difference(first, second, [p.cluster for p in pairs], replicates=scorer.replicates, seed=scorer.seed).to_json()


def _figures(pairs: Sequence[Pair], scorer: Scorer) -> dict[str, Any]:
    right = [_right(p.now, p.gold) for p in pairs]
    sure = [(c, p) for p in pairs if (c := confidence_of(p.now)) is not None]
    drawn = [p for p in pairs if p.now.p_yes is not None]
    said = [read_outcome(p.now.text) for p in pairs]
    return {
        "accuracy": _mean(right, pairs, scorer),
        "auroc": bootstrap(auroc, ([p.now.p_yes for p in drawn], [p.gold == "yes" for p in drawn]), [p.cluster for p in drawn], scorer),
        "confidence": _mean([c for c, _ in sure], [p for _, p in sure], scorer),
        "referred": _mean([p.referred for p in pairs], pairs, scorer),
        "balanced_error": metrics.balanced_error(right, [p.gold == "yes" for p in pairs]),
        "undetermined": {"count": said.count(Outcome.UNDETERMINED), "n": len(said)},
        "unparsed": {"count": len(said) - sum(said.count(o) for o in (Outcome.YES, Outcome.NO, Outcome.UNDETERMINED)), "n": len(said)},
    }


def _moved(pairs: Sequence[Pair], scorer: Scorer) -> dict[str, Any]:
    """Accuracy and flips against the clean picture."""
    now, before = [_right(p.now, p.gold) for p in pairs], [_right(p.clean, p.gold) for p in pairs]
    return {"accuracy_change": _change(now, before, pairs, scorer), "flips": _mean([changed(p.clean, p.now) is not False for p in pairs], pairs, scorer)}


def _changes(pairs: Sequence[Pair], scorer: Scorer) -> dict[str, Any]:
    now, before = [_right(p.now, p.gold) for p in pairs], [_right(p.clean, p.gold) for p in pairs]
    told = [(flip, p) for p in pairs if (flip := changed(p.clean, p.now)) is not None]
    sure = [(a, b, p) for p in pairs if (a := confidence_of(p.now)) is not None and (b := confidence_of(p.clean)) is not None]
    drawn = [p for p in pairs if p.now.p_yes is not None and p.clean.p_yes is not None]
    arrays = ([p.now.p_yes for p in drawn], [p.clean.p_yes for p in drawn], [p.gold == "yes" for p in drawn])
    return {
        **_moved(pairs, scorer),
        "flips_parsed": _mean([flip for flip, _ in told], [p for _, p in told], scorer),
        "harmful": _mean([b and not a for a, b in zip(now, before, strict=True)], pairs, scorer),
        "helpful": _mean([a and not b for a, b in zip(now, before, strict=True)], pairs, scorer),
        "auroc_change": bootstrap(_auroc_change, arrays, [p.cluster for p in drawn], scorer),
        "confidence_change": _change([a for a, _, _ in sure], [b for _, b, _ in sure], [p for _, _, p in sure], scorer),
        "referred_change": _change([p.referred for p in pairs], [p.clean_referred for p in pairs], pairs, scorer),
    }


def _auroc_change(now: NDArray[Any], clean: NDArray[Any], gold: NDArray[Any]) -> float | None:
    after, before = auroc(now, gold), auroc(clean, gold)
    return None if after is None or before is None else after - before


def _table(name: str, pairs: Sequence[Pair], scorer: Scorer, reference: Mapping[str, Any] | None) -> dict[str, Any]:
    """One corruption: figures at each severity, and its errors over them."""
    kind = corruption(name)
    severities = sorted({p.severity for p in pairs})
    at = {s: [p for p in pairs if p.severity == s] for s in severities}
    levels = [{"severity": s, "level": kind.level(s), **_figures(at[s], scorer), **_changes(at[s], scorer)} for s in severities]
    base = at[severities[0]]
    clean = metrics.balanced_error([_right(p.clean, p.gold) for p in base], [p.gold == "yes" for p in base])
    errors = [level["balanced_error"] for level in levels]
    known = clean is not None and None not in errors
    mean = float(np.mean(errors)) if known else None
    be = rbe = None
    if known and reference is not None:
        be = metrics.corruption_error(errors, reference["errors"])
        rbe = metrics.relative_corruption_error(errors, float(clean or 0), reference["errors"], reference["clean_error"])
    return {
        "title": kind.title,
        "parameter": kind.parameter,
        "geometry": kind.geometry,
        "images": len({p.image for p in pairs}),
        "questions": len(base),
        "levels": levels,
        "errors": errors,
        "clean_error": clean,
        "mean_error": mean,
        "excess_error": None if mean is None or clean is None else mean - clean,
        "be": be,
        "rbe": rbe,
    }


def _overall(tables: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """Means over corruptions, and the one that costs most, of those that enough pictures had: three questions on one picture would win every time."""
    enough = {name: table for name, table in tables.items() if table["images"] >= _LEAST}
    found: dict[str, Any] = {"too_few_images": sorted(set(tables) - set(enough))}
    for key in ("mean_error", "excess_error", "be", "rbe"):
        values = [table[key] for table in enough.values() if table[key] is not None]
        found[key] = float(np.mean(values)) if values else None
    excess = {name: table["excess_error"] for name, table in enough.items() if table["excess_error"] is not None}
    found["worst"] = max(excess, key=lambda name: excess[name]) if excess else None
    return found


STUDY = Shift()
