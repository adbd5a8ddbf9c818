"""From a directory of studies to a training set in one run: de-identified, read a second time, validated, cut into shards, asked about.

In: a source, a destination, a key, a `Plan`. Out: `release/` and `private/` of the de-identification; `training/` with pictures, shards, remarks, instructions
for `vesalius train`; a `Prepared`. What patients are held out of training is decided by a hash of their pseudonym.
"""

from __future__ import annotations

import dataclasses
import json
import shutil
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

from vesalius.data.shards import Record, key_of, write
from vesalius.data.splits import part
from vesalius.data.validate import ClinicalValidator
from vesalius.domain.exchange import Exchange, Question, Split
from vesalius.errors import InvalidValue
from vesalius.instruct import record as instructions
from vesalius.instruct import templates
from vesalius.instruct.build import names
from vesalius.instruct.build.desk import Desk
from vesalius.instruct.build.study import How, Material, Study
from vesalius.instruct.build.tasks import FAMILIES
from vesalius.pipeline import released
from vesalius.pipeline.archive import Plan, Summary, deidentify_archive
from vesalius.pipeline.released import Released

Tell = Callable[[int, int, str], None]
SOURCE = "own"
ORIGIN = "our labeler's reading of the report"


@dataclasses.dataclass(frozen=True)
class Prepared:
    """What was made.

    Args:
        archive: of the de-identification. pictures, held: pictures for training, and of held-out patients. left_out: reason -> images.
        remarks: severity -> number, of the validator. instructions: task -> number. unused: task -> reason -> number.
    """

    archive: Summary
    pictures: int
    held: int
    left_out: Mapping[str, int]
    remarks: Mapping[str, int]
    instructions: Mapping[str, int]
    unused: Mapping[str, Mapping[str, int]]


def prepare(
    source: Path,
    destination: Path,
    key_file: Path,
    plan: Plan,
    *,
    how: How | None = None,
    hold: float = 0.1,
    workers: int = 1,
    shard_size: int = 1000,
    licence: str = "of the hospital: not stated",
    tell: Tell = lambda *_: None,
) -> Prepared:
    """Make a training set of a directory of DICOM studies and reports.

    Args:
        source, destination, key_file, plan, workers, tell: as `deidentify_archive`. how: of the instructions. hold: share of patients that are not trained on.
        shard_size: pictures in a shard. licence: under which the hospital lets the set be used, for its records.

    Raises:
        UserError: as `deidentify_archive`. InvalidValue: a share that is none.
    """
    if not 0 <= hold < 1:
        raise InvalidValue(f"a share of {hold:g} cannot be held out", remedy="give 0 or more and less than 1")
    archive = deidentify_archive(source, destination, key_file, plan, workers=workers, tell=tell)
    training = destination / "training"
    shutil.rmtree(training, ignore_errors=True)
    (training / "images").mkdir(parents=True)
    found = _read(destination / "release", training, tell)
    split = {one.patient: part(one.patient, development=hold, salt="prepare") for one in found}
    tell(0, 1, "writing shards")
    about = {"set": SOURCE, "licence": licence, "held_out": hold, "plan": plan.digest()}
    write(_records(found, split, training), training / "shards", shard_size=shard_size, about=about)
    counts, unused = _instruct(found, split, training, how or How(), licence)
    remarks = Counter(str(remark.severity) for one in found for checked in one.remarks for remark in checked.remarks)
    left: Counter[str] = sum((one.left_out for one in found), Counter())
    pictures = Counter(split[one.patient] for one in found for _ in one.pictures)
    made = Prepared(archive, pictures[Split.TRAIN], pictures.total() - pictures[Split.TRAIN], dict(left), dict(remarks), counts, unused)
    (training / "summary.json").write_text(json.dumps(dataclasses.asdict(made), indent=1, sort_keys=True), encoding="utf-8")
    return made


def _read(release: Path, training: Path, tell: Tell) -> list[Released]:
    folders, validator = list(released.studies(release)), ClinicalValidator()
    found: list[Released] = []
    with (training / "remarks.jsonl").open("w", encoding="utf-8") as stream:
        for number, folder in enumerate(folders):
            tell(number, len(folders), "validating")
            one = released.read(folder, training / "images", validator)
            found.append(one)
            for checked in one.remarks:
                for remark in checked.remarks:
                    row = {"patient": one.patient, "study": one.study, **remark.to_json()}
                    stream.write(json.dumps(row, ensure_ascii=False) + "\n")
    return found


def _records(found: Sequence[Released], split: Mapping[str, Split], training: Path) -> Iterator[Record]:
    for one in found:
        told = released.facts(one)
        for picture in one.pictures:
            seen: dict[str, Any] = {"modality": picture.modality, "body_part": picture.body_part, "view": picture.view, "image": picture.name}
            facts = {**told, **seen, "split": str(split[one.patient])}
            yield Record(key_of(picture.name), facts, (training / picture.name).read_bytes(), "png")


def _instruct(
    found: Sequence[Released], split: Mapping[str, Split], training: Path, how: How, licence: str
) -> tuple[dict[str, int], dict[str, dict[str, int]]]:
    train = [one for one in found if split[one.patient] is Split.TRAIN and one.pictures]
    held = {one.patient for one in found if split[one.patient] is not Split.TRAIN}
    held |= {picture.name for one in found if one.patient in held for picture in one.pictures}
    asked = tuple(exchange for one in train for exchange in _described(one))
    material = Material(licence, tuple(_study(one) for one in train), asked=asked, held=frozenset(held))
    counts: Counter[str] = Counter()
    unused: dict[str, dict[str, int]] = {}

    def rows() -> Iterator[instructions.Instruction]:
        for task, make in FAMILIES.items():
            desk = Desk(training, SOURCE, task, material, how)
            for row in make(desk):
                counts[task] += 1
                yield row
            if desk.left_out:
                unused[task] = dict(desk.left_out)

    instructions.write(rows(), training / "instructions.jsonl")
    return dict(counts), unused


def _study(one: Released) -> Study:
    images, views = tuple(p.name for p in one.pictures), tuple(p.view for p in one.pictures)
    stated = {name: state for label, state in one.states.items() if (name := names.named(label))}
    facts = {"modality": one.pictures[0].modality, "body_part": one.pictures[0].body_part}
    return Study(
        id=f"{SOURCE}:{one.study}",
        source=SOURCE,
        cluster=one.patient,
        images=images,
        views=views,
        states=names.settled(stated),
        origin=ORIGIN,
        sex=one.sex,
        facts={name: value for name, value in facts.items() if value},
        sections=(lambda: one.sections) if one.sections else None,
    )


def _described(one: Released) -> Iterator[Exchange]:
    """What the header states of each picture, as questions."""
    for picture in one.pictures:
        facts = {"modality": picture.modality, "body_part": picture.body_part}
        for number, (question, answer) in enumerate(templates.describe({name: value for name, value in facts.items() if value})):
            closed = answer.lower() in ("yes", "no")
            name = f"{SOURCE}:{Path(picture.name).stem}:{number}"
            yield Exchange(name, picture.name, Question(question), answer, closed, one.patient, Split.TRAIN, tags=MappingProxyType(facts))
