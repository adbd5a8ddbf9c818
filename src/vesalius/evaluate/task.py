"""One evaluation from a name to a page: ask, record, resume where it was stopped, score, and score again without the model.

In: a suite, a model, a data root and a run folder. Out: in that folder `items.jsonl`, `baselines.jsonl`, `readings.jsonl` (what was said),
`provenance.json` (by whom, from what), `results.json` and `page.html` (what follows from it; remade by `rescore` at any time).
"""

from __future__ import annotations

import dataclasses
import json
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from vesalius import provenance
from vesalius.data.base import Dataset, dataset
from vesalius.data.splits import unit_hash
from vesalius.domain.exchange import Question, Split
from vesalius.domain.reading import Reading
from vesalius.domain.study import Study
from vesalius.errors import DataMissing, InterruptedWork, UserError
from vesalius.evaluate import baselines as baseline_table
from vesalius.evaluate import fitted, plan, vqa
from vesalius.evaluate.ask import Asker, open_study
from vesalius.evaluate.page import write_page
from vesalius.evaluate.record import Item, OutputError, RecordFormatError, append, keep, mend, read_items, read_rows, write_json
from vesalius.models import cards
from vesalius.models.base import GREEDY, GenerativeModel, card_json
from vesalius.reader import Reader, bank_of
from vesalius.safety.policy import Policy, default_policy

ITEMS, READINGS, PROVENANCE, RESULTS, PAGE = "items.jsonl", "readings.jsonl", "provenance.json", "results.json", "page.html"
GO_ON = "give the same command again, with --resume: it continues where it was stopped"
SEED = 0
DEFAULT_QUESTIONED = 60
_SAME_RUN = ("suite", "model", "policy", "protocols", "reworded")

Progress = Callable[[int, int, str], None]


class OtherRunError(UserError):
    """A run folder holds records of another model, policy, data or plan."""


class AsksStudies(Protocol):
    """What reads the questioned subset: `vesalius.reader.Reader`."""

    def ask(self, study: Study, question: str | Question) -> Reading:
        """Answer one question about a study, question the answer, decide."""
        ...


@dataclasses.dataclass(frozen=True)
class Identity:
    """What must be the same for two halves of a run to be one run; stored in the configuration of `provenance.json`."""

    suite: str
    model: Mapping[str, Any]
    policy: Mapping[str, str]
    protocols: tuple[str, ...]
    reworded: int


def run(
    suite: str,
    model: str,
    root: str | Path,
    out: str | Path,
    *,
    limit: int | None = None,
    baselines: bool | Sequence[str] = True,
    questioned: int | None = None,
    progress: Progress | None = None,
    model_object: GenerativeModel | None = None,
    policy: Policy | None = None,
    protocols: Sequence[str] | None = None,
    reworded: int = 100,
    reader: AsksStudies | None = None,
    device: str = "auto",
    precision: str = "auto",
) -> dict[str, Any]:
    """Evaluate a model on a suite; continue when `out` holds an unfinished run of the same.

    Args:
        suite: a name of `plan.SUITES`.
        model: name in the table of models; a label when `model_object` is given.
        root: the data root.
        out: folder of the run, made when absent.
        limit: at most so many test and so many development items (whole images by a fixed hash); None: all. A later run may ask for more.
        baselines: whether to fit the suite's baselines, or their names.
        questioned: number of test items of the first protocol read through the gate, by a fixed hash; None: 60; 0: none.
        progress: called with (done, total, what).
        model_object: a model that is already there.
        policy: of the gate; None: the one that ships.
        protocols: split protocols to report; None: the suite's.
        reworded: number of test items of each protocol asked in generated wordings.
        reader: what reads the questioned subset; None: `Reader(model, policy)` with training images of the data root as other patients.
        device, precision: as `cards.load`; no matter when `model_object` is given.

    Returns:
        The results, as in `results.json`.

    Raises:
        UnknownName: no such suite, model, protocol or baseline. DataMissing: no data. OutputError: the folder cannot be written.
        OtherRunError: the folder holds another run. RecordFormatError: its records are damaged. InvalidValue: a number out of range.
        InterruptedWork: stopped from the keyboard; the same call continues.
    """
    started = time.monotonic()
    chosen, root, out, tell = plan.suite(suite), Path(root), Path(out), progress or _nobody
    if not root.is_dir():
        raise DataMissing(f"the data root {root} is not a folder", remedy="give --data the folder that holds the data sets")
    data = dataset(chosen.dataset)
    names = _baseline_names(chosen, baselines)
    if model_object is None:
        cards.check(model)  # a misspelt model is told before anything is read
    visits = plan.plan(chosen, data, root, protocols=protocols, limit=limit, reworded=reworded)
    data_hash = _data_hash(data, root)
    open_folder(out)
    asked = model_object if model_object is not None else cards.load(model, device=device, precision=precision)
    if cards.where(asked):
        tell(0, 1, f"{model} {cards.where(asked)}")
    rules = policy or default_policy()
    identity = Identity(chosen.name, model_identity(model, asked), rules.identity(), tuple(protocols or chosen.protocols), reworded)
    count = DEFAULT_QUESTIONED if questioned is None else questioned
    before = _begin(out, identity, data_hash, {"limit": limit, "questioned": count, "baselines": names, "sampling": dataclasses.asdict(GREEDY)})
    try:
        items = _plain(visits, asked, root, out / ITEMS, tell)
        _mend_baselines(out / fitted.FILE)
        fitted.fit_and_record(data, root, out, protocols=identity.protocols, names=names, progress=tell)
        first = [item for item in items if f"{identity.protocols[0]}/{Split.TEST}" in item.parts]
        _questioned(first, reader or (lambda: Reader(asked, rules, bank=bank_of(root))), root, out / READINGS, count, tell)
    except KeyboardInterrupt:
        raise InterruptedWork(f"the run in {out} was stopped", remedy=GO_ON) from None
    finally:
        _clock(out, before, started)
    tell(0, 1, "scoring")
    return rescore(out)


def rescore(run: str | Path, *, replicates: int = 2000) -> dict[str, Any]:
    """Score a recorded run again and remake its `results.json` and `page.html`; no model and no data are needed.

    Raises:
        RecordFormatError: the folder holds no run, or damaged records. OutputError: the results cannot be written.
    """
    folder = Path(run)
    made = read_provenance(folder)
    items = read_items(folder / ITEMS)
    if not items:
        raise RecordFormatError(f"{folder} holds no recorded items", remedy="give the folder of a run that has asked at least one image")
    readings, _ = read_rows(folder / READINGS)
    results = vqa.score(items, baselines=fitted.by_protocol(folder / fitted.FILE), readings=readings, replicates=replicates, seed=SEED)
    results = {"suite": made["config"]["suite"], "notes": list(made["config"].get("notes", ())), **results}
    write_json(folder / RESULTS, results)
    write_page(folder / PAGE, results, made)
    return results


def read_provenance(folder: Path) -> dict[str, Any]:
    """The record of who made a run.

    Raises:
        RecordFormatError: there is none, or it is damaged.
    """
    path = folder / PROVENANCE
    try:
        made = json.loads(path.read_text(encoding="utf-8"))
        _ = made["config"]["suite"], made["config"]["model"], made["data_hash"]
    except OSError as error:
        raise RecordFormatError(
            f"{folder} is not the folder of a run ({PROVENANCE}: {error.strerror})", remedy="give the --out of an earlier evaluation"
        ) from error
    except (ValueError, KeyError, TypeError) as error:
        raise RecordFormatError(f"{path}: is damaged ({type(error).__name__}: {error})", remedy="restore the file, or start a new run folder") from error
    return dict(made)


def open_folder(out: Path) -> None:
    """Make the run folder and prove that it can be written.

    Raises:
        OutputError: it cannot.
    """
    try:
        out.mkdir(parents=True, exist_ok=True)
        probe = out / ".probe"
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise OutputError(f"the run folder {out} cannot be written ({error.strerror})", remedy="give --out a folder that you may write to") from error


def _baseline_names(chosen: plan.Suite, wanted: bool | Sequence[str]) -> list[str]:
    if isinstance(wanted, bool):
        left_out = {"kernel-svm": not chosen.kernel, "question-only": not chosen.question_only}
        every = [name for name in baseline_table.TABLE if not left_out.get(name)]
        return every if wanted else []
    fitted.check_names(wanted)
    return list(wanted)


def _data_hash(data: Dataset, root: Path) -> str:
    annotations, images = data.files(root)
    return provenance.hash_files([path for path in (*annotations, *images) if path.is_file()], root=root)


def model_identity(name: str, model: GenerativeModel) -> dict[str, Any]:
    """A model as a run's provenance has it: its card, what it was called, and what it says of its weights."""
    stated = getattr(model, "identity", None)
    return {**card_json(model.card), "called": name, "identity": dict(stated) if isinstance(stated, Mapping) else {}}


def same_model(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Whether two records of `model_identity` are of one model: what a card says of it may be put in better words meanwhile."""
    return all(one.get(key) == other.get(key) for key in ("name", "revision", "identity"))


def _begin(out: Path, identity: Identity, data_hash: str, how: Mapping[str, Any]) -> provenance.Provenance:
    """The provenance of the whole run, checked against what the folder already holds.

    Raises:
        OtherRunError: the folder belongs to another run.
    """
    card = dataset(plan.suite(identity.suite).dataset).card
    notes = [f"Split “{p.name.replace('_', ' ')}”: {p.note}." for p in card.protocols if p.name in identity.protocols]
    config = {**dataclasses.asdict(identity), **how, "notes": [*notes, *card.caveats]}
    made = provenance.record(seed=SEED, data_hash=data_hash, config=config)
    if not (out / PROVENANCE).exists():
        if (out / ITEMS).exists():
            raise OtherRunError(f"{out} holds records of unknown origin ({PROVENANCE} is missing)", remedy="give --out a new folder")
        write_json(out / PROVENANCE, made.to_json())
        return made
    old = read_provenance(out)
    for key in _SAME_RUN:
        if not (same_model(old["config"]["model"], made.config[key]) if key == "model" else old["config"].get(key) == made.config[key]):
            raise OtherRunError(
                f"{out} holds a run with another {key} ({_brief(old['config'].get(key))})", remedy="give --out a new folder, or the same settings"
            )
    if old["data_hash"] != data_hash:
        raise OtherRunError(f"{out} holds a run on other data (hash {old['data_hash'][:12]}, now {data_hash[:12]})", remedy="give --out a new folder")
    return dataclasses.replace(made, created=old["created"], wall_seconds=old.get("wall_seconds"))


def _brief(value: object) -> str:
    if isinstance(value, Mapping):
        parts = [str(value[key]) for key in ("name", "revision", "version") if value.get(key)]
        return " ".join(parts) or "another one"
    return str(value)


def _clock(out: Path, made: provenance.Provenance, started: float) -> None:
    """Add the time of this call to the wall time of the run."""
    spent = round((made.wall_seconds or 0.0) + time.monotonic() - started, 3)
    write_json(out / PROVENANCE, dataclasses.replace(made, wall_seconds=spent).to_json())


def _plain(visits: Sequence[plan.Visit], model: GenerativeModel, root: Path, path: Path, tell: Progress) -> list[Item]:
    mend(path)
    recorded = read_items(path)
    done = {item.id for item in recorded}
    asker = Asker(model, root)
    total = sum(len(visit.askings) for visit in visits)
    for visit in visits:
        left = tuple(asking for asking in visit.askings if asking.exchange.id not in done)
        if left:
            tell(len(done), total, "asking")
            fresh = asker.visit(dataclasses.replace(visit, askings=left))
            append(path, [item.to_json() for item in fresh])
            recorded += fresh
            done |= {item.id for item in fresh}
    return recorded


def _mend_baselines(path: Path) -> None:
    """Drop the rows of a baseline that was not recorded to its end: it is fitted again, and no row shall stand there twice."""
    mend(path)
    rows, whole = read_rows(path)[0], fitted.read_baselines(path)
    kept = [row for row in rows if (row["protocol"], row["baseline"]) in whole]
    if len(kept) < len(rows):
        keep(path, kept)


def _questioned(items: Sequence[Item], reader: AsksStudies | Callable[[], AsksStudies], root: Path, path: Path, count: int, tell: Progress) -> None:
    """Read a subset of items through the gate: the first by a fixed hash."""
    mend(path)
    done = {row["id"] for row in read_rows(path)[0]}
    chosen = sorted(items, key=lambda item: unit_hash(item.id, salt="questioned"))[:count]
    left = [item for item in chosen if item.id not in done]
    if not left:
        return
    gate = reader() if callable(reader) else reader
    for place, item in enumerate(left):
        tell(len(chosen) - len(left) + place, len(chosen), "questioning")
        reading = gate.ask(open_study(root, item.exchange.image, item.exchange.tags), item.exchange.question)
        append(path, [{"id": item.id, **reading.to_json()}])


def _nobody(done: int, total: int, what: str) -> None:
    """Progress that nobody watches."""
