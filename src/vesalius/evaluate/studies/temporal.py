"""What became of a finding between two films: improving, stable or worsening, against what is known, and against the films swapped.

In: `followups.of_root`. A model that sees one film at a time does not compare films: it is asked about each, and the change is derived from the difference of
P(yes), with a margin fitted on development pairs (`temporal.fit_margin`). A model with `compare(prior, current, questions)` is asked for the change itself, in
both orders. What neither film's labels name is no item; the questions and pictures themselves do not depend on gold.

Out, JSON-ready; an interval is `Interval.to_json()`, clustered by patient:
    {"compares_films": bool, "note": sentence, "margin": None or {"value", "fitted_on", "n", "patients", "macro_accuracy"}, "sources": {source: {
        "gold": sentence, "pairs", "patients", "items", "classes": {change: n},
        "derived": FIGURES of the margin, "by_words": FIGURES of the answers' words alone (no -> yes worsening, yes -> no improving),
        "rise_auroc": interval (of the difference of P(yes), worsening against improving; needs no margin),
        "moved": interval (mean absolute difference of P(yes)), "contradiction": interval (of findings and normality that the margin both calls changed: share
            that moves the same way, more of the finding and more normal at once),
        "direct": None, or FIGURES with "reversal": {"consistent", "consistent_when_changed": intervals, "unread": {"count", "n"}}}}}
    FIGURES: {"unread": {"count", "n"}, "said": {change: n}, and where something is known: "accuracy", "macro_accuracy", "same_view": intervals, "recall":
        {change: interval}, "majority": {"class", "from", "accuracy", "macro_accuracy"}, "ahead_of_majority": interval, "confusion": {gold: {said: n}}}
"""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple, Protocol, runtime_checkable

import numpy as np

from vesalius.domain.exchange import Answer, Outcome, Question, Split
from vesalius.domain.study import Study
from vesalius.evaluate.accuracy import Scorer
from vesalius.evaluate.followups import GOLD, NORMAL, Pair, of_root
from vesalius.evaluate.probe import Probe, Prober, Shown
from vesalius.evaluate.record import answer_json
from vesalius.evaluate.study import Bench, Row, Skip, Tell
from vesalius.metrics.selective import auroc
from vesalius.metrics.statistics import Interval, cluster_bootstrap
from vesalius.metrics.temporal import Change, change_of, fit_margin, macro_accuracy, read_change
from vesalius.metrics.text import read_outcome

NOTE = (
    "The model sees one film at a time and does not compare films. Change is the difference of its P(yes) for a finding between the two, beyond a margin "
    "fitted on development pairs; it turns over when the films are swapped whatever the model is like: reversal consistency would say nothing and is not given."
)
NOTE_DIRECT = "The model was shown both films and asked for the change, in both orders."
_CLASSES = tuple(Change)
_UNREAD = len(_CLASSES)
_OPTIONS = tuple(str(change) for change in _CLASSES)
Figures = dict[str, Any]


@runtime_checkable
class ComparesFilms(Protocol):
    """A model that can be shown two films of one patient at once."""

    def compare(self, prior: Study, current: Study, questions: Sequence[Question]) -> list[Answer]:
        """Answers to questions on what became of something, in their order."""
        ...


class Point(NamedTuple):
    """A finding of a pair as it is scored."""

    row: Row
    finding: str
    gold: Change | None
    moved: float | None
    words: Change | None
    normal: float | None


@dataclasses.dataclass(frozen=True)
class Temporal:
    """See the module."""

    name: str = "temporal"
    title: str = "Change over time"

    def collect(self, bench: Bench, tell: Tell) -> Iterator[Row] | Skip:
        """One row a pair of films, of test and development patients."""
        if bench.prober is None or bench.root is None:
            return Skip("there is no model to ask about two films of a patient")
        pairs = of_root(bench.root, bench.limit)
        if not any(pair.split == Split.TEST for pair in pairs):
            return Skip("no data set with several films of a patient is below the data root")
        return self._rows(bench.prober, bench, pairs, tell)

    def _rows(self, prober: Prober, bench: Bench, pairs: Sequence[Pair], tell: Tell) -> Iterator[Row]:
        for done, pair in enumerate(pairs):
            tell(done, len(pairs))
            if pair.id not in bench.done:
                yield _row(prober, pair)

    def score(self, rows: Sequence[Row], bench: Bench, scorer: Scorer) -> Mapping[str, Any]:  # noqa: ARG002
        """See the module."""
        learned = [point for row in rows if row["split"] == Split.DEVELOPMENT for point in _points(row) if point.gold is not None]
        margin = _margin(learned)
        majority = Counter(point.gold for point in learned).most_common(1)
        direct = any(row["direct"] is not None for row in rows)
        tested = [row for row in rows if row["split"] == Split.TEST]
        sources = {}
        for source in dict.fromkeys(row["source"] for row in tested):
            inside = [row for row in tested if row["source"] == source]
            sources[source] = _of_source(source, inside, margin, majority[0][0] if majority else None, scorer)
        return {"compares_films": direct, "note": NOTE_DIRECT if direct else NOTE, "margin": margin, "sources": sources}


def _row(prober: Prober, pair: Pair) -> dict[str, Any]:
    films = {"prior": Shown.of(pair.prior, pair.facts), "current": Shown.of(pair.current, pair.facts)}
    questions = [*(question for _, question in pair.asked.values()), NORMAL]
    said = {film: [answer_json(a, pair.id) for a in prober.ask([Probe(shown, q) for q in questions])] for film, shown in films.items()}
    asked = [
        {"finding": name, "gold": pair.gold.get(name), "prior": said["prior"][place], "current": said["current"][place]}
        for place, name in enumerate(pair.asked)
    ]
    return {
        "id": pair.id,
        "source": pair.source,
        "split": str(pair.split),
        "cluster": pair.cluster,
        "image": pair.current,
        "prior": pair.prior,
        "same_view": pair.same_view,
        "days": pair.days,
        "asked": asked,
        "normal": {film: said[film][-1] for film in films},
        "direct": _compared(prober, pair, films),
    }


def _compared(prober: Prober, pair: Pair, films: Mapping[str, Shown]) -> dict[str, list[dict[str, Any]]] | None:
    """Answers to the change itself, with the films in order and swapped; None when the model cannot be shown two."""
    model = prober.model
    if not isinstance(model, ComparesFilms):
        return None
    prior, current = prober.study(films["prior"]), prober.study(films["current"])
    questions = [Question(f"Compared with the earlier film, is the {words} improving, stable or worsening?", _OPTIONS) for words, _ in pair.asked.values()]
    orders = {"forward": (prior, current), "backward": (current, prior)}
    return {name: [answer_json(a, pair.id) for a in model.compare(*order, questions)] for name, order in orders.items()}


def _moved(answers: Mapping[str, Any]) -> float | None:
    before, after = answers["prior"]["p_yes"], answers["current"]["p_yes"]
    return None if before is None or after is None else float(after - before)


def _words(answers: Mapping[str, Any]) -> Change | None:
    before, after = (read_outcome(answers[film]["text"]) for film in ("prior", "current"))
    if not {before, after} <= {Outcome.YES, Outcome.NO}:
        return None
    return Change.STABLE if before is after else Change.WORSENING if after is Outcome.YES else Change.IMPROVING


def _points(row: Row) -> list[Point]:
    normal = _moved(row["normal"])
    return [Point(row, a["finding"], None if a["gold"] is None else Change(a["gold"]), _moved(a), _words(a), normal) for a in row["asked"]]


def _margin(points: Sequence[Point]) -> Figures | None:
    told = [(point.moved, point.gold, point.row) for point in points if point.moved is not None and point.gold is not None]
    gold = [g for _, g, _ in told]
    value = fit_margin([m for m, _, _ in told], gold)
    if value is None:
        return None
    return {
        "value": value,
        "fitted_on": ", ".join(f"{source} development pairs" for source in sorted({row["source"] for _, _, row in told})),
        "n": len(told),
        "patients": len({row["cluster"] for _, _, row in told}),
        "macro_accuracy": macro_accuracy(gold, [change_of(m, value) for m, _, _ in told]),
    }


def _of_source(source: str, rows: Sequence[Row], margin: Figures | None, majority: Change | None, scorer: Scorer) -> Figures:
    points = [point for row in rows for point in _points(row)]
    known = [point for point in points if point.gold is not None]
    moved = [point for point in points if point.moved is not None]
    derived = [None if margin is None else change_of(point.moved, margin["value"]) for point in points]
    return {
        "gold": GOLD[source],
        "pairs": len(rows),
        "patients": len({row["cluster"] for row in rows}),
        "items": len(points),
        "classes": {str(c): sum(point.gold is c for point in known) for c in _CLASSES},
        "derived": None if margin is None else _figures(points, derived, majority, scorer),
        "by_words": _figures(points, [point.words for point in points], majority, scorer),
        "rise_auroc": _rise(known, scorer).to_json(),
        "moved": scorer.of([abs(point.moved) for point in moved if point.moved is not None], [point.row["cluster"] for point in moved]).to_json(),
        "contradiction": None if margin is None else _contradiction(points, margin["value"], scorer).to_json(),
        "direct": _direct(rows, points, majority, scorer),
    }


def _figures(points: Sequence[Point], said: Sequence[Change | None], majority: Change | None, scorer: Scorer) -> Figures:
    told = [(p, s) for p, s in zip(points, said, strict=True) if p.gold is not None]
    counted: Figures = {
        "unread": {"count": sum(s is None for s in said), "n": len(said)},
        "said": {str(c): sum(s is c for s in said) for c in _CLASSES},
    }
    if not told:
        return counted
    right, clusters = [s is p.gold for p, s in told], [p.row["cluster"] for p, _ in told]
    same = [place for place, (p, _) in enumerate(told) if p.row["same_view"]]
    return {
        **counted,
        "accuracy": scorer.of(right, clusters).to_json(),
        "macro_accuracy": _macro([p.gold for p, _ in told if p.gold], [s for _, s in told], clusters, scorer).to_json(),
        "same_view": scorer.of([right[i] for i in same], [clusters[i] for i in same]).to_json(),
        "recall": {str(c): _over(told, clusters, c, scorer).to_json() for c in _CLASSES},
        **_beside(told, right, clusters, majority, scorer),
        "confusion": {str(g): dict(Counter(str(s) if s else "unread" for p, s in told if p.gold is g)) for g in _CLASSES},
    }


def _over(told: Sequence[tuple[Point, Change | None]], clusters: Sequence[str], change: Change, scorer: Scorer) -> Interval:
    inside = [place for place, (p, _) in enumerate(told) if p.gold is change]
    return scorer.of([told[i][1] is change for i in inside], [clusters[i] for i in inside])


def _macro(gold: Sequence[Change], said: Sequence[Change | None], clusters: Sequence[str], scorer: Scorer) -> Interval:
    def of(codes: Any, spoken: Any) -> float | None:  # noqa: ANN401 - arrays of codes
        shares = [float((spoken[codes == c] == c).mean()) for c in np.unique(codes)]
        return float(np.mean(shares)) if shares else None

    codes = [_CLASSES.index(g) for g in gold]
    spoken = [_UNREAD if s is None else _CLASSES.index(s) for s in said]
    return cluster_bootstrap(of, codes, spoken, clusters=list(clusters), replicates=scorer.replicates, seed=scorer.seed)


def _beside(told: Sequence[tuple[Point, Change | None]], right: Sequence[bool], clusters: Sequence[str], majority: Change | None, scorer: Scorer) -> Figures:
    """The majority baseline, and the lead over it."""
    gold = [p.gold for p, _ in told if p.gold]
    chosen = majority or Counter(gold).most_common(1)[0][0]
    hits = [g is chosen for g in gold]
    return {
        "majority": {
            "class": str(chosen),
            "from": "development pairs" if majority else "these pairs themselves",
            "accuracy": scorer.of(hits, clusters).to_json(),
            "macro_accuracy": macro_accuracy(gold, [chosen] * len(gold)),
        },
        "ahead_of_majority": scorer.paired(right, hits, clusters).to_json(),
    }


def _rise(known: Sequence[Point], scorer: Scorer) -> Interval:
    told = [(p.moved, p.gold is Change.WORSENING, p.row["cluster"]) for p in known if p.moved is not None and p.gold is not Change.STABLE]
    moved, worse, clusters = [m for m, _, _ in told], [int(w) for _, w, _ in told], [cluster for _, _, cluster in told]
    return cluster_bootstrap(auroc, moved, worse, clusters=clusters, replicates=scorer.replicates, seed=scorer.seed)


def _contradiction(points: Sequence[Point], margin: float, scorer: Scorer) -> Interval:
    """Of findings that changed on a film whose normality changed too: share in which both went the same way."""
    both = [(change_of(p.moved, margin), change_of(p.normal, margin), p.row["cluster"]) for p in points]
    told = [(f is n, cluster) for f, n, cluster in both if f not in (None, Change.STABLE) and n not in (None, Change.STABLE)]
    return scorer.of([c for c, _ in told], [cluster for _, cluster in told])


def _direct(rows: Sequence[Row], points: Sequence[Point], majority: Change | None, scorer: Scorer) -> Figures | None:
    if not rows or any(row["direct"] is None for row in rows):
        return None
    forward, backward = ([read_change(a["text"]) for row in rows for a in row["direct"][order]] for order in ("forward", "backward"))
    clusters = [point.row["cluster"] for point in points]
    read = [(f, b, cluster) for f, b, cluster in zip(forward, backward, clusters, strict=True) if f is not None and b is not None]

    def turned(belongs: Callable[[Change], bool]) -> Figures:
        kept = [(b is f.reversed(), cluster) for f, b, cluster in read if belongs(f)]
        return scorer.of([t for t, _ in kept], [cluster for _, cluster in kept]).to_json()

    reversal = {
        "consistent": turned(lambda _: True),
        "consistent_when_changed": turned(lambda first: first is not Change.STABLE),
        "unread": {"count": len(points) - len(read), "n": len(points)},
    }
    return {**_figures(points, forward, majority, scorer), "reversal": reversal}


STUDY = Temporal()
