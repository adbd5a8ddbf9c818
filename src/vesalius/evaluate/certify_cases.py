"""The cases a certificate rests on: development items of a recorded run, one for each patient or image, with the signals that the gate would weigh.

In: a run folder (of one evaluation, or one that holds several), a policy. Out: `Case`s, split by a fixed hash into those a score is fitted on and those it is
certified on. No choice here reads an answer or a gold answer, and no test item is ever among them.
"""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from vesalius.data.splits import unit_hash
from vesalius.domain.decision import Signal, Signals
from vesalius.domain.exchange import Answer, Outcome
from vesalius.domain.study import Patient, Sex
from vesalius.errors import InvalidValue
from vesalius.evaluate import task
from vesalius.evaluate.accuracy import is_right
from vesalius.evaluate.ask import open_study
from vesalius.evaluate.record import Item, RecordFormatError, append, mend, read_items, read_rows
from vesalius.safety import signals as measure
from vesalius.safety.policy import Policy
from vesalius.safety.quality import Quality
from vesalius.safety.scope import Scope, ScopeFacts

GATE, PLAIN = "gate", "plain answers"
FIT_PER_CLUSTER = 4  # questions of a patient that are read through the gate for fitting; answers about one patient add less and less
_SIGNALS = tuple(f.name for f in dataclasses.fields(Signals))
# Stands in for a picture that a record does not describe: it raises no violation of its own.
_FINE = Quality(512, 512, 100.0, 0.0, 255.0, 0.1, 0.0, 256, 0.95, 0.0)


@dataclasses.dataclass(frozen=True)
class Folder:
    """One recorded evaluation: its name, items, readings by the id of their item, and the model's identity as the run recorded it."""

    name: str
    items: tuple[Item, ...]
    readings: Mapping[str, Mapping[str, Any]]
    model: Mapping[str, Any]
    path: Path


@dataclasses.dataclass(frozen=True)
class Case:
    """One item, what the gate weighs of it, whether its answer was wrong, and whether the picture was needed (None: not asked of a blank image)."""

    item: Item
    suite: str
    signals: Signals
    wrong: bool
    needed: bool | None

    @property
    def cluster(self) -> str:
        """Patient or image, apart from those of other suites."""
        return f"{self.suite}/{self.item.exchange.cluster}"


def read(run: Path, suite: str | None = None) -> list[Folder]:
    """The evaluations in a folder: itself, or those in its folders (as a trust run has them).

    Raises:
        RecordFormatError: it holds none, or none of that name; records are damaged. InvalidValue: they are of different models.
    """
    places = [run] if (run / task.ITEMS).exists() else sorted(p.parent for p in run.glob(f"*/{task.ITEMS}"))
    if not places:
        raise RecordFormatError(f"{run} holds no recorded items ({task.ITEMS})", remedy="give the --out of an evaluation")
    folders = [_folder(place, run) for place in places]
    if suite is not None:
        known = [f.name for f in folders]
        folders = [f for f in folders if f.name == suite]
        if not folders:
            raise RecordFormatError(f"{run} holds no evaluation called {suite!r}", remedy=f"give one of {', '.join(known)}")
    if any(f.model != folders[0].model for f in folders):
        raise InvalidValue(f"{run} holds answers of different models", remedy="certify one at a time")
    return folders


def _folder(place: Path, run: Path) -> Folder:
    at = place if (place / task.PROVENANCE).exists() else run
    config = task.read_provenance(at)["config"]
    name = config["suite"] if at == place else place.name
    readings = {str(row["id"]): row for row in read_rows(place / task.READINGS)[0]}
    return Folder(name, tuple(read_items(place / task.ITEMS)), readings, config["model"], place)


def development(folder: Folder) -> list[Item]:
    """Items that belong to development parts and to no test part."""
    return [item for item in folder.items if item.parts and all(part.endswith("/development") for part in item.parts)]


def tested(folder: Folder) -> list[Item]:
    """Items of the first test part."""
    first = next((part for item in folder.items for part in item.parts if part.endswith("/test")), None)
    return [item for item in folder.items if first in item.parts]


@dataclasses.dataclass(frozen=True)
class Split:
    """Items to fit on, every question of their patients in a fixed order; to certify on, one a patient; `development` and `clusters` count all there are."""

    fit: tuple[tuple[Folder, Item], ...]
    certify: tuple[tuple[Folder, Item], ...]
    development: int
    clusters: int

    def digest(self) -> str:
        """SHA-256 over which item is fitted on and which is certified on."""
        lines = sorted(f"{part}/{folder.name}/{item.id}" for part, rows in (("fit", self.fit), ("certify", self.certify)) for folder, item in rows)
        return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def split(folders: Sequence[Folder], *, fit: bool = True) -> Split:
    """Half of the patients (or images) to fit on, half to certify on, by a fixed hash of their names; of each to certify on one question, by a hash of its id.

    Args:
        fit: whether anything is fitted; if not, every patient is certified on.
    """
    groups: dict[tuple[str, str], list[tuple[Folder, Item]]] = {}
    for folder in folders:
        for item in development(folder):
            groups.setdefault((folder.name, item.exchange.cluster), []).append((folder, item))
    order = sorted(groups, key=lambda key: unit_hash("/".join(key), salt="certify-half"))
    half = len(order) // 2 if fit else 0
    ranked = {key: sorted(groups[key], key=lambda row: unit_hash(row[1].id, salt="certify-case")) for key in order}
    fitted = [row for key in order[:half] for row in ranked[key]]
    return Split(tuple(fitted), tuple(ranked[key][0] for key in order[half:]), sum(map(len, groups.values())), len(groups))


def untouched(folders: Sequence[Folder], chosen: Split) -> tuple[list[tuple[Folder, Item]], int]:
    """Test items of patients (or images) that had no part in the split, and how many test items are left out because theirs had."""
    used = {(folder.name, item.exchange.cluster) for folder, item in (*chosen.fit, *chosen.certify)}
    every = [(folder, item) for folder in folders for item in tested(folder)]
    rows = [(folder, item) for folder, item in every if (folder.name, item.exchange.cluster) not in used]
    return rows, len(every) - len(rows)


def to_read(chosen: Split) -> list[tuple[Folder, Item]]:
    """What must be read through the gate for a certificate on its own signals: the cases to certify on, and a few of each patient to fit on."""
    counts: dict[tuple[str, str], int] = {}
    found = list(chosen.certify)
    for folder, item in chosen.fit:
        key = (folder.name, item.exchange.cluster)
        counts[key] = counts.get(key, 0) + 1
        if counts[key] <= FIT_PER_CLUSTER:
            found.append((folder, item))
    return found


def read_through(chosen: Split, reader: Callable[[], task.AsksStudies], root: Path, tell: task.Progress) -> None:
    """Read what is not yet read through the gate, and add it to the readings of the run; stopped and called again it goes on.

    Args:
        reader: makes who reads, when there is something to read.
    """
    left = [(folder, item) for folder, item in to_read(chosen) if item.id not in folder.readings]
    for path in dict.fromkeys(folder.path for folder, _ in left):
        mend(path / task.READINGS)
    gate = reader() if left else None
    for place, (folder, item) in enumerate(left):
        tell(place, len(left), "reading development cases through the gate")
        if gate is not None:
            reading = gate.ask(open_study(root, item.exchange.image, item.exchange.tags), item.exchange.question)
            append(folder.path / task.READINGS, [{"id": item.id, **reading.to_json()}])


def measured_by(chosen: Split) -> str:
    """`GATE` when all of `to_read` was read through the gate, else `PLAIN`: the two may not be mixed."""
    return GATE if chosen.certify and all(item.id in folder.readings for folder, item in to_read(chosen)) else PLAIN


def cases(rows: Iterable[tuple[Folder, Item]], policy: Policy, measured: str) -> list[Case]:
    """The cases with their signals under a policy's calibration and audit, in the order of their ids; measured by the gate, those that were read alone."""
    found = []
    for folder, item in sorted(rows, key=lambda row: (row[0].name, row[1].id)):
        reading = folder.readings.get(item.id)
        if measured == GATE and reading is None:
            continue
        answer = item.answer if reading is None or measured == PLAIN else _answer(item, reading)
        told = _plain(folder, item, policy) if reading is None or measured == PLAIN else _read(reading)
        options = len(item.exchange.question.options)
        name = str(folder.model.get("name"))
        told |= {
            "uncertainty": measure.uncertainty(answer, policy.calibrator(answer, name), options=options if options > 1 else None),
            "bias_score": _bias(item, policy),
        }
        needed = None if item.blank is None else not is_right(item.blank, item.exchange)
        found.append(Case(dataclasses.replace(item, answer=answer), folder.name, Signals(**told), not is_right(answer, item.exchange), needed))
    return found


def _answer(item: Item, reading: Mapping[str, Any]) -> Answer:
    """The answer of a reading; the plain one where it is the same, for that has the probability of yes beside it."""
    if reading["answer"] == item.answer.text:
        return item.answer
    return Answer(reading["answer"], Outcome(reading["outcome"]), reading["confidence"])


def _read(reading: Mapping[str, Any]) -> dict[str, Signal]:
    return {name: Signal(reading["signals"][name]["value"], reading["signals"][name]["reason"]) for name in _SIGNALS}


def _plain(folder: Folder, item: Item, policy: Policy) -> dict[str, Signal]:
    controls = {name: answer for name, answer in (("blank", item.blank), ("other patient", item.swap)) if answer is not None}
    tags = item.exchange.tags
    card = folder.model
    declared = Scope(tuple(card.get("modalities") or ()), tuple(card.get("body_parts") or ()), tuple(card.get("languages") or ()))
    facts = ScopeFacts(item.exchange.question.text, tags.get("modality"), tags.get("body_part"), _FINE)
    scopes = (declared,) if policy.scope is None else (declared, policy.scope)
    return {
        "flip_rate": Signal(None, "not recorded") if item.rewordings is None else measure.flip_rate(item.answer, item.rewordings),
        "image_reliance": measure.image_reliance(item.answer, controls),
        "hallucination_risk": Signal(None, "not recorded"),
        "out_of_scope": max((measure.out_of_scope(facts, scope) for scope in scopes), key=lambda s: s.value or 0.0),
    }


def _bias(item: Item, policy: Policy) -> Signal:
    minimum = {} if policy.audit is None else {"minimum": policy.audit.minimum_n}
    return measure.bias_score(measure.patient_group(patient(item)), policy.gaps(), **minimum)


def patient(item: Item) -> Patient:
    """Sex and age as the tags of an item have them."""
    tags = item.exchange.tags
    sex = Sex(tags["sex"]) if tags.get("sex") in set(Sex) else None
    try:
        age = float(tags["age"])
    except (KeyError, ValueError):
        return Patient(sex, None)
    return Patient(sex, age if 0 <= age <= 130 else None)
