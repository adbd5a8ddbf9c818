"""The trust suite: every study of a model's behaviour that the data allows, in one folder, resumed where it was stopped, scored again without the model.

In: a suite's TOML file (or the one that ships), a model, a data root. Out: in the run folder one folder for each plain evaluation (`vqa-rad/`, ...), one file
of rows for each study, `answers.sqlite` (what was ever said, by content), `trust.json` (figures, and what was skipped and why) and `provenance.json`.
A unit of work is one plain evaluation or one study. It writes into files of its own, so that one process does all units or several share them: same rows.
"""

from __future__ import annotations

import dataclasses
import json
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from vesalius import config, provenance
from vesalius.errors import DataMissing, InterruptedWork, InvalidValue, UserError
from vesalius.evaluate import predictions, room, task
from vesalius.evaluate.accuracy import Scorer
from vesalius.evaluate.plan import SUITES
from vesalius.evaluate.plan import suite as plain_suite
from vesalius.evaluate.probe import Answers, Prober, gather
from vesalius.evaluate.record import Item, OutputError, RecordFormatError, append, mend, read_items, read_rows, write_json
from vesalius.evaluate.study import Bench, Skip, TrustStudy
from vesalius.models import cards
from vesalius.models.base import GenerativeModel
from vesalius.registry import Table
from vesalius.work import crew

RESULTS, ANSWERS, SKIPPED, PREDICTIONS = "trust.json", "answers.sqlite", "skipped.json", "predictions"
PLAIN, STUDY = "plain", "study"  # kinds of units
STUDIES = Table(
    "study",
    {
        "vqa": "vesalius.evaluate.studies.vqa:STUDY",
        "findings": "vesalius.evaluate.studies.findings:STUDY",
        "report": "vesalius.evaluate.studies.report:STUDY",
        "localisation": "vesalius.evaluate.studies.localisation:STUDY",
        "temporal": "vesalius.evaluate.studies.temporal:STUDY",
        "phrasing": "vesalius.evaluate.studies.phrasing:STUDY",
        "image_reliance": "vesalius.evaluate.studies.image_reliance:STUDY",
        "hallucination": "vesalius.evaluate.studies.hallucination:STUDY",
        "shift": "vesalius.evaluate.studies.shift:STUDY",
        "adversarial": "vesalius.evaluate.studies.adversarial:STUDY",
        "sycophancy": "vesalius.evaluate.studies.sycophancy:STUDY",
        "fairness": "vesalius.evaluate.studies.fairness:STUDY",
        "calibration": "vesalius.evaluate.studies.calibration:STUDY",
        "selective": "vesalius.evaluate.studies.selective:STUDY",
    },
    plural="studies",
)

Progress = Callable[[int, int, str], None]


@dataclasses.dataclass(frozen=True)
class Suite:
    """What a trust suite's file says.

    Args:
        plain: evaluations whose items the studies work on. studies: names, in the order in which they run.
        limit: items of each plain evaluation; None: all, or the `trust_limit` of its plain suite, where that has one.
        study_limit: images of each study; None: all. reworded, questioned, baselines: as `task.run`.
        replicates, seed: of every interval and of everything that is drawn. settings: by study.
    """

    name: str = "trust"
    plain: tuple[str, ...] = tuple(SUITES)
    studies: tuple[str, ...] = tuple(STUDIES)
    limit: int | None = None
    study_limit: int | None = 100
    reworded: int = 100
    questioned: int = 60
    baselines: bool = True
    replicates: int = 2000
    seed: int = 0
    settings: Mapping[str, Mapping[str, Any]] = dataclasses.field(default_factory=dict)


def read_suite(path: Path | None = None, *, overrides: Sequence[str] = ()) -> Suite:
    """The suite of a TOML file; None takes the one described by `Suite`'s defaults.

    Raises:
        ConfigError: unknown keys, wrong types. UnknownName: a study or a plain evaluation that there is not.
    """
    made = config.parse("", Suite, overrides=overrides) if path is None else config.read(path, Suite, overrides=overrides)
    for name in made.studies:
        STUDIES.target(name)
    for name in made.plain:
        plain_suite(name)
    return made


def run(
    model: str,
    root: Path | None,
    out: Path,
    *,
    suite: Suite | None = None,
    progress: Progress | None = None,
    model_object: GenerativeModel | None = None,
    device: str = "auto",
    precision: str = "auto",
    workers: int = 1,
    ray: str | None = None,
) -> dict[str, Any]:
    """Run a suite, or go on with it.

    Args:
        model: name in the table of models; a label when `model_object` is given. root: the data root.
        out: the run folder. progress: called with (done, total, what).
        workers: processes that share the work, each with a model of its own. ray: address of a Ray cluster on which they live; None: this machine.

    Returns:
        The results, as in `trust.json`.

    Raises:
        As `task.run`. InterruptedWork: stopped from the keyboard; the same call goes on. InvalidValue: fewer than one worker, or a model that is there
        already for several. WeightsError: no memory for so many. WorkerLost: one was killed. MissingExtra: Ray is not installed.
    """
    started, chosen, tell = time.monotonic(), suite or Suite(), progress or _nobody
    if workers < 1:
        raise InvalidValue(f"there cannot be {workers} workers", remedy="give --workers 1 or more")
    if model_object is None:
        cards.check(model)
    task.open_folder(out)
    order = Order(model, root, out, chosen, device, precision)
    with _hands(order, model_object, workers, ray, tell) as hands:
        made = _recorded(out, chosen, hands.about)
        try:
            skipped = _all_units(hands, chosen, out, tell)
        except KeyboardInterrupt:
            raise InterruptedWork(f"the run in {out} was stopped", remedy=task.GO_ON) from None
        finally:
            spent = round((made.wall_seconds or 0.0) + time.monotonic() - started, 3)
            write_json(out / task.PROVENANCE, dataclasses.replace(made, wall_seconds=spent).to_json())
    write_json(out / SKIPPED, skipped)
    tell(0, 1, "scoring")
    return rescore(out)


def run_predictions(path: Path, out: Path, *, label: str = "predictions", suite: Suite | None = None) -> dict[str, Any]:
    """Score somebody else's answers: what needs no model of the suite is measured, the rest is skipped and told.

    Args:
        path: of the answers (`predictions.read`). label: what the model is called.

    Raises:
        RecordFormatError: the file holds something else. OtherRunError: the folder holds another run.
    """
    items, chosen = predictions.read(path), suite or Suite()
    task.open_folder(out / PREDICTIONS)
    about = {"name": label, "called": label, "identity": {"predictions": provenance.sha256_file(path)}}
    made = _recorded(out, chosen, about)
    (out / PREDICTIONS / task.ITEMS).unlink(missing_ok=True)
    append(out / PREDICTIONS / task.ITEMS, [item.to_json() for item in items])
    skipped = dict.fromkeys(chosen.plain, "these are predictions: no model was asked")
    bench = Bench(items=_items(out), limit=chosen.study_limit, seed=chosen.seed)
    for name in chosen.studies:
        skipped |= _collect(name, dataclasses.replace(bench, settings=chosen.settings.get(name, {})), out, _nobody)
    write_json(out / task.PROVENANCE, made.to_json())
    write_json(out / SKIPPED, skipped)
    return rescore(out)


def rescore(out: Path) -> dict[str, Any]:
    """Score a recorded run again; no model and no data are needed.

    Raises:
        RecordFormatError: the folder holds no run, or damaged records.
    """
    made = task.read_provenance(out)
    chosen = config.build(made["config"]["trust"], Suite, where=str(out / task.PROVENANCE))
    skipped = _skipped(out)
    scorer, items, readings = Scorer(replicates=chosen.replicates, seed=chosen.seed), _items(out), _readings(out)
    found: dict[str, Any] = {}
    for name in chosen.studies:
        if name in skipped:
            continue
        study: TrustStudy = STUDIES.load(name)
        rows, _ = read_rows(out / f"{name}.jsonl")
        bench = Bench(items=items, readings=readings, settings=chosen.settings.get(name, {}), limit=chosen.study_limit, seed=chosen.seed)
        try:
            found[name] = {"title": study.title, **study.score(rows, bench, scorer)}
        except UserError as error:
            skipped[name] = str(error)
    results = {
        "version": 1,
        "suite": made["config"]["trust"],
        "model": made["config"]["model"],
        "items": {name: len(rows) for name, rows in items.items()},
        "studies": found,
        "skipped": skipped,
    }
    write_json(out / RESULTS, results)
    return results


def _skipped(out: Path) -> dict[str, str]:
    path = out / SKIPPED
    try:
        return dict(json.loads(path.read_text(encoding="utf-8"))) if path.exists() else {}
    except ValueError as error:
        raise RecordFormatError(f"{path}: is damaged ({error})", remedy="give the command of the run again") from error


def _recorded(out: Path, suite: Suite, about: Mapping[str, Any]) -> provenance.Provenance:
    made = provenance.record(seed=suite.seed, data_hash="", config={"suite": "trust", "model": about, "trust": dataclasses.asdict(suite)})
    if not (out / task.PROVENANCE).exists():
        write_json(out / task.PROVENANCE, made.to_json())
        return made
    old = task.read_provenance(out)
    if not task.same_model(old["config"]["model"], made.config["model"]):
        raise task.OtherRunError(f"{out} holds a run of another model", remedy="give --out a new folder")
    return dataclasses.replace(made, created=old["created"], wall_seconds=old.get("wall_seconds"))


@dataclasses.dataclass(frozen=True)
class Order:
    """What whoever does units of a run has to know; the arguments of `run`."""

    model: str
    root: Path | None
    out: Path
    suite: Suite
    device: str = "auto"
    precision: str = "auto"


class Hand:
    """Does units, one after the other, with a model of its own. A unit's answers lie in a file of their own, over those of earlier runs, until all are done:
    what a unit asks in one call then depends on no other unit, and so neither does the last digit of an answer.

    Args:
        order: what is to be done. model: one that is there already; None loads it.
    """

    def __init__(self, order: Order, model: GenerativeModel | None = None) -> None:
        self.order = order
        self.model = model if model is not None else cards.load(order.model, device=order.device, precision=order.precision)
        self.about = task.model_identity(order.model, self.model)
        self._bench: Bench | None = None

    def do(self, unit: crew.Unit, tell: Progress) -> dict[str, str]:
        """One plain evaluation or one study, from where it was stopped; returns why it was not made, by its name.

        Raises:
            As `task.run`. OutputError: another process does the same unit.
        """
        kind, name = unit
        # of a plain evaluation this file stays empty: it says that the unit is taken
        answers = Answers(part_of(self.order.out, name), beneath=self.order.out / ANSWERS)
        try:
            return self._plain(name, tell) if kind == PLAIN else self._study(name, answers, tell)
        finally:
            answers.close()

    def _plain(self, name: str, tell: Progress) -> dict[str, str]:
        suite, root = self.order.suite, self.order.root
        if root is None:
            return {name: "no data root was given"}
        try:
            task.run(
                name,
                self.order.model,
                root,
                self.order.out / name,
                # the first protocol alone: the studies read no other, and of another the model may have been trained on what it tests
                protocols=plain_suite(name).protocols[:1],
                limit=plain_suite(name).trust_limit if suite.limit is None else suite.limit,
                questioned=suite.questioned,
                reworded=suite.reworded,
                baselines=suite.baselines,
                progress=lambda now, total, what: tell(now, total, f"{name}: {what}"),
                model_object=self.model,
            )
        except DataMissing as error:
            return {name: _anywhere(error, root)}
        return {}

    def _study(self, name: str, answers: Answers, tell: Progress) -> dict[str, str]:
        out, root, suite = self.order.out, self.order.root, self.order.suite
        if self._bench is None:
            self._bench = Bench(root, None, _items(out), _readings(out), limit=suite.study_limit, seed=suite.seed)
        prober = None if root is None else Prober(self.model, root, answers)
        return _collect(name, dataclasses.replace(self._bench, prober=prober, settings=suite.settings.get(name, {})), out, tell)


def _anywhere(error: UserError, root: Path | None) -> str:
    """Why something was skipped, without the place of the data on this machine: cards are read elsewhere."""
    return str(error) if root is None else str(error).replace(str(root), "ROOT")


def part_of(out: Path, unit: str) -> Path:
    """Where the answers of a unit lie until all units are done."""
    return out / f"answers-{unit}.sqlite"


def _hands(order: Order, model: GenerativeModel | None, workers: int, ray: str | None, tell: Progress) -> crew.Hands:
    """Who does the units: this process, several on this machine, several of a cluster."""
    if workers == 1 and ray is None:
        return crew.Alone(Hand(order, model))
    if model is not None:
        raise InvalidValue("a model that is there already cannot be given to other processes", remedy="give its name, or one worker")
    count = min(workers, max(len(order.suite.plain), len(order.suite.studies), 1))
    maker = f"{Hand.__module__}:{Hand.__name__}"
    tell(0, 1, f"workers that load {order.model}: {count}")
    if ray is not None:
        from vesalius.work.cluster import Cluster

        return Cluster(maker, order, count, ray, device=order.device)
    room.require_room(order.model, count, order.device, order.precision)
    return crew.Crew(maker, order, count)


def _all_units(hands: crew.Hands, suite: Suite, out: Path, tell: Progress) -> dict[str, str]:
    """Every plain evaluation, then, from their items, every study; what was skipped and why, in the order of the suite."""
    gather(out / ANSWERS, [])
    skipped: dict[str, str] = {}
    for units in ([(PLAIN, name) for name in suite.plain], [(STUDY, name) for name in suite.studies]):
        found = hands.do_all(units, tell)
        for unit in units:
            skipped |= found[unit]
    gather(out / ANSWERS, [part_of(out, name) for name in (*suite.plain, *suite.studies)])
    return skipped


def _collect(name: str, bench: Bench, out: Path, tell: Progress) -> dict[str, str]:
    """Make the rows of one study, each written as it comes; returns why not, by its name."""
    study: TrustStudy = STUDIES.load(name)
    path = out / f"{name}.jsonl"
    mend(path)
    done = frozenset(str(row["id"]) for row in read_rows(path)[0])
    try:
        rows = study.collect(dataclasses.replace(bench, done=done), lambda now, total: tell(now, total, name))
        if isinstance(rows, Skip):
            return {name: rows.why}
        append(path, [])  # a study that had none to make has a file as well
        for row in rows:
            append(path, [row])
    except OutputError:  # of the disk, not of the study: the same command goes on
        raise
    except UserError as error:
        return {name: _anywhere(error, bench.root)}
    return {}


def _items(out: Path) -> dict[str, list[Item]]:
    """Recorded plain answers, by evaluation."""
    places = {name: out / name / task.ITEMS for name in (*SUITES, PREDICTIONS)}
    return {name: read_items(path) for name, path in places.items() if path.exists()}


def _readings(out: Path) -> dict[str, list[dict[str, Any]]]:
    """Readings of the gate, by evaluation."""
    return {name: read_rows(out / name / task.READINGS)[0] for name in SUITES}


def _nobody(done: int, total: int, what: str) -> None:
    """Progress that nobody watches."""
