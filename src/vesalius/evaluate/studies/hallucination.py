"""What a model makes up: which signal tells its wrong answers from its right ones, whether it accepts false premises, and findings it invents.

In: test items of the suites at hand (or of the data sets), asked greedily, ten times at temperature 1, on a barely changed and on a veiled picture, with
the answer put back, in other words; questions with a false premise; "which abnormalities". Rows are of two kinds, "signals" and "traps".
Out: {"asked": {"samples", "temperature", "weak", "veiled"}, "names": {signal: what it is},
 "groups": {"all": `spread.compare`, "closed", "open" and each suite: the same without curves},
 "traps": {"organ" | "lesion" | "prior" | "measurement": {"n", "unreadable", "accepted", "rejected", "undetermined", "denied_when_asked",
   "accepted_though_denied"}, "measurement"."number", "control": {"n", "rejected"}, "lesion_minus_control"},
 "chair": {"texts": CHAIR of free answers, "answers": CHAIR of recorded yes/no answers, each {"texts", "mentions", "chair_i", "chair_s", "recall"} or null}}

Settings: samples (10), temperature (1.0), suites, images (60 of each suite for the signals), premised (30 of each suite for premises and findings; the limit of
the whole suite if that is smaller), rewordings (3).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from vesalius import config
from vesalius.data.nih_cxr import DATASET as NIH
from vesalius.data.slake import DATASET as SLAKE
from vesalius.domain.exchange import Answer, Exchange, Question, Split
from vesalius.errors import DataMissing, InvalidValue
from vesalius.evaluate import premised, spread, veil
from vesalius.evaluate.accuracy import Scorer, is_closed, is_right
from vesalius.evaluate.chosen import asked_of, choose, exchange_json, exchange_of, fewest
from vesalius.evaluate.probe import Probe, Prober, Shown
from vesalius.evaluate.record import answer_json, answer_of
from vesalius.evaluate.study import Bench, Row, Skip, Tell
from vesalius.instruct import premises
from vesalius.instruct.phrasing import reword
from vesalius.models.base import GREEDY, Sampling

_SUITES = ("vqa-rad", "slake")
_PREMISED = ("slake", "nih-cxr")  # where what is absent is annotated, and no picture carries a ruler of its own
_LONGER = Sampling(max_new_tokens=48)  # room to say that it cannot be told


@dataclasses.dataclass(frozen=True)
class _Ways:
    """Settings of this study."""

    samples: int = 10
    temperature: float = 1.0
    rewordings: int = 3
    premised: int = 30
    images: int | None = 60
    suites: tuple[str, ...] = _SUITES

    @classmethod
    def of(cls, settings: Mapping[str, Any]) -> _Ways:
        made = config.build(settings, cls, where="the settings of the study hallucination")
        if made.samples < 2 or made.temperature <= 0 or made.rewordings < 0 or made.premised < 0:
            what = f"samples {made.samples}, temperature {made.temperature}, rewordings {made.rewordings}, premised {made.premised}"
            raise InvalidValue(f"settings of the study hallucination are out of range ({what})", remedy="give at least 2 samples at a positive temperature")
        return made


@dataclasses.dataclass(frozen=True)
class Hallucination:
    """See the module."""

    name: str = "hallucination"
    title: str = "What it makes up"

    def collect(self, bench: Bench, tell: Tell) -> Iterator[Row] | Skip:
        """See the module."""
        if bench.prober is None:
            return Skip("there is no model to ask again, only its recorded answers")
        ways = _Ways.of(bench.settings)
        images = fewest(bench.limit, ways.images)
        chosen = [(suite, x) for suite in ways.suites for x in choose(asked_of(bench, suite), images=images, salt=self.name)]
        films = [pair for suite in _PREMISED for pair in _films(bench, suite, fewest(bench.limit, ways.premised))]
        if not chosen and not films:
            return Skip(f"none of the data sets {', '.join(dict.fromkeys((*ways.suites, *_PREMISED)))} is below the data root")
        return self._rows(bench, bench.prober, ways, chosen, films, tell)

    def _rows(
        self, bench: Bench, prober: Prober, ways: _Ways, chosen: Sequence[tuple[str, Exchange]], films: Sequence[tuple[str, Exchange, _Known]], tell: Tell
    ) -> Iterator[Row]:
        total = len(chosen) + len(films)
        for now, (suite, exchange) in enumerate(chosen, start=1):
            name = f"signals/{exchange.id}"
            if name not in bench.done:
                yield {"id": name, "kind": "signals", **exchange_json(exchange, suite), **_draw(prober, exchange, ways, bench.seed)}
            tell(now, total)
        for now, (suite, exchange, known) in enumerate(films, start=len(chosen) + 1):
            name = f"premises/{exchange.image}"
            if name not in bench.done:
                base = {"suite": suite, "image": exchange.image, "cluster": exchange.cluster}
                yield {"id": name, "kind": "traps", **base, **_premises(prober, exchange, known)}
            tell(now, total)

    def score(self, rows: Sequence[Row], bench: Bench, scorer: Scorer) -> Mapping[str, Any]:
        """See the module."""
        ways = _Ways.of(bench.settings)
        weighed = [(row["suite"], exchange_of(row), _weigh(row)) for row in rows if row["kind"] == "signals"]
        groups = {"all": weighed, "closed": [w for w in weighed if is_closed(w[1])], "open": [w for w in weighed if not is_closed(w[1])]}
        groups |= {suite: [w for w in weighed if w[0] == suite] for suite in dict.fromkeys(w[0] for w in weighed)}
        met = [row for row in rows if row["kind"] == "traps"]
        free = [row for row in met if row["findings"] is not None]
        texts = [{"cluster": row["cluster"], **row["findings"]} for row in free]
        return {
            "asked": {"samples": ways.samples, "temperature": ways.temperature, "weak": veil.WEAK, "veiled": veil.VEILED},
            "names": dict(spread.SIGNALS),
            "groups": {name: spread.compare([w[2] for w in inside], scorer, whole=name == "all") for name, inside in groups.items() if inside},
            "traps": premised.traps(met, scorer),
            "chair": {
                "texts": premised.chair_of_texts(texts, scorer) if texts else None,
                "answers": premised.chair_of_items(bench.test_items("nih-cxr"), scorer),
            },
        }


@dataclasses.dataclass(frozen=True)
class _Known:
    """What is annotated on a picture: findings (None: not known) and organs."""

    findings: frozenset[str] | None
    organs: tuple[str, ...] = ()


def _draw(prober: Prober, exchange: Exchange, ways: _Ways, seed: int) -> dict[str, Any]:
    """Everything that is asked for the signals of one question."""
    question, options = exchange.question.text, exchange.question.options
    shown = {change: Shown.of(exchange.image, exchange.tags, change) for change in ("", veil.WEAK, veil.VEILED)}
    hot = [Sampling(ways.temperature, seed=seed * 1000 + n) for n in range(ways.samples)]
    drawn = {change: [Probe(shown[change], exchange.question, way) for way in hot] for change in shown}
    wordings = reword(question, most=ways.rewordings, seed=seed)
    first = [
        Probe(shown[""], exchange.question),
        *drawn[""],
        *(Probe(shown[""], Question(w.text, options)) for w in wordings),
        *drawn[veil.WEAK],
        Probe(shown[veil.VEILED], exchange.question),
        *drawn[veil.VEILED],
    ]
    said = iter([answer_json(a, exchange.id) for a in prober.ask(first, veil.CHANGES)])
    found: dict[str, Any] = {"answer": next(said), "clean": [next(said) for _ in hot]}
    found["reworded"] = [{"text": w.text, "polarity": w.polarity, "answer": next(said)} for w in wordings]
    found |= {"weak": [next(said) for _ in hot], "veiled_answer": next(said), "veiled": [next(said) for _ in hot]}
    answer = found["answer"]["text"]
    asked = premises.put_back(question, answer) if answer.strip() and len(question) + len(answer) < 1800 else ()
    back = prober.ask([Probe(shown[""], Question(text)) for text, _ in asked])
    found["put_back"] = [{"agrees": agrees, "answer": answer_json(a, exchange.id)} for (_, agrees), a in zip(asked, back, strict=True)]
    return found


def _weigh(row: Row) -> spread.Weighed:
    answer = answer_of(row["answer"])
    drawn = spread.Drawn(
        answer,
        _answers(row["clean"]),
        _answers(row["weak"]),
        _answers(row["veiled"]),
        answer_of(row["veiled_answer"]),
        [(part["agrees"], answer_of(part["answer"])) for part in row["put_back"]],
        [(part["polarity"], answer_of(part["answer"])) for part in row["reworded"]],
    )
    return spread.Weighed(spread.signals(drawn), not is_right(answer, exchange_of(row)), row["cluster"])


def _answers(rows: Sequence[Mapping[str, Any]]) -> list[Answer]:
    return [answer_of(row) for row in rows]


def _films(bench: Bench, suite: str, images: int | None) -> list[tuple[str, Exchange, _Known]]:
    """One question of each chosen picture, which stands for the picture, and what is annotated on it."""
    if bench.root is None:
        return []
    known: dict[str, _Known] = {}
    try:
        if suite == "slake":
            for a in SLAKE.attributes(bench.root, Split.TEST):
                names = [name for name, _ in a.regions]
                lesions = premises.canonical(names)
                known[a.image] = _Known(lesions or None, tuple(names))  # a film without any box may just not have been annotated
        else:
            known = {film.image: _Known(premises.canonical(film.labels)) for film in NIH.films(bench.root)}
    except DataMissing:
        return []
    return [(suite, x, known.get(x.image, _Known(None))) for x in choose(asked_of(bench, suite), images=images, salt="premises")]


def _premises(prober: Prober, exchange: Exchange, known: _Known) -> dict[str, Any]:
    """Questions with a premise about one picture and, on chest films with known findings, which abnormalities are seen."""
    shown = Shown.of(exchange.image, exchange.tags)
    asked = premises.traps(exchange.image, exchange.tags.get("body_part"), known.findings, known.organs)
    free = known.findings is not None
    probes = [Probe(shown, Question(trap.question), _LONGER) for trap in asked]
    probes += [Probe(shown, Question(trap.exists), GREEDY) for trap in asked if trap.exists is not None]
    probes += [Probe(shown, Question(premises.WHICH_FINDINGS), _LONGER)] if free else []
    said = [answer_json(a, exchange.image) for a in prober.ask(probes)]
    first, rest = said[: len(asked)], iter(said[len(asked) :])
    met = [
        {**dataclasses.asdict(t), "answer": a, "exists_text": t.exists, "exists": None if t.exists is None else next(rest)}
        for t, a in zip(asked, first, strict=True)
    ]
    return {"traps": met, "findings": {"present": sorted(known.findings or ()), "answer": next(rest)} if free else None}


STUDY = Hallucination()
