"""Films and reports of a hospital become a training set in which nobody is named, nobody held out is asked about, and every instruction has its picture."""

import json

import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, generate_uid

from tests.unit.pipeline.archive.made import everything, key_file
from vesalius.data.shards import Shards
from vesalius.domain.exchange import Split
from vesalius.errors import InvalidValue
from vesalius.formats.deidentify import Profile
from vesalius.instruct import record
from vesalius.pipeline.archive import Pixels, Plan
from vesalius.pipeline.prepare import prepare

PLAN = Plan(Profile(retain_longitudinal_modified_dates=True, retain_patient_characteristics=True), Pixels(read="nothing"))
PEOPLE = ("Ludlow^Margaret", "Okonkwo^Chidi", "Sarkany^Ilona", "Featherstone^Guy", "Quill^Peter", "Haugen^Lars")


def chest(number):
    """Dark lungs beside a bright spine."""
    y, x = np.mgrid[-1:1:96j, -1:1:96j]
    lungs = np.exp(-(((np.abs(x) - 0.5) / 0.3) ** 2) - (y / 0.7) ** 2)
    return np.clip(190 - 150 * lungs + np.random.default_rng(number).normal(0, 6, x.shape), 0, 255).astype(np.uint8)


def film(folder, number, name, effusion, *, rows=96):
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.SOPClassUID = dataset.file_meta.MediaStorageSOPClassUID = "1.2.840.10008.5.1.4.1.1.1.1"
    dataset.SOPInstanceUID = dataset.file_meta.MediaStorageSOPInstanceUID = generate_uid(entropy_srcs=[f"image {number}"])
    dataset.StudyInstanceUID, dataset.SeriesInstanceUID = (generate_uid(entropy_srcs=[f"{what} {number}"]) for what in ("study", "series"))
    dataset.PatientName, dataset.PatientID, dataset.PatientSex = name, f"MRN44{number % len(PEOPLE)}1", "F" if number % len(PEOPLE) < 3 else "M"
    dataset.StudyDate, dataset.Modality, dataset.BodyPartExamined, dataset.ViewPosition = "20240311", "DX", "CHEST", "PA" if number % 2 else "AP"
    dataset.Rows, dataset.Columns, dataset.SamplesPerPixel, dataset.PhotometricInterpretation = rows, 96, 1, "MONOCHROME2"
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit, dataset.PixelRepresentation = 8, 8, 7, 0
    dataset.PixelData = chest(number).tobytes()
    folder.mkdir(parents=True)
    dataset.save_as(folder / "film.dcm", enforce_file_format=True)
    said = "There is a small left pleural effusion." if effusion else "There is no pleural effusion."
    close = "Left pleural effusion." if effusion else "No acute cardiopulmonary process."
    family = name.split("^")[0]
    (folder / "report.txt").write_text(f"Patient {family}, seen by Dr. Miriam Katz.\nFINDINGS: {said} No pneumothorax.\nIMPRESSION: {close}\n")


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("prepare")
    for number in range(12):
        film(folder / "source" / f"{number:02d}", number, PEOPLE[number % len(PEOPLE)], number // 2 % 2 == 0)
    return folder, prepare(folder / "source", folder / "out", key_file(folder), PLAN, hold=0.3, shard_size=5)


def test_every_study_arrives_and_some_patients_are_held_out(made):
    _, said = made
    assert said.archive.whole
    assert said.pictures + said.held == 12
    assert 0 < said.held < 12


def test_nobody_is_named_anywhere_below_training(made):
    folder, _ = made
    low = everything(folder / "out" / "training").lower()
    assert not [word for word in (*(p.split("^")[0].lower().encode() for p in PEOPLE), b"katz", b"mrn44") if word in low]


def test_instructions_are_of_training_patients_alone_and_their_pictures_are_there(made):
    folder, said = made
    training = folder / "out" / "training"
    rows = list(record.read(training / "instructions.jsonl"))
    held = {r.facts["patient"] for _, r in Shards(training / "shards").stream() if r.facts["split"] != "train"}
    assert held
    assert len(rows) == sum(said.instructions.values())
    assert not {row.cluster for row in rows} & held
    assert {row.split for row in rows} == {Split.TRAIN}
    assert all((training / image).exists() for row in rows for image in row.images)
    assert {"finding", "section", "summary", "view"} <= set(said.instructions)


def test_answers_about_findings_are_what_the_reports_say(made):
    folder, _ = made
    training = folder / "out" / "training"
    reports = {r.facts["image"]: r.facts["report"] for _, r in Shards(training / "shards").stream()}
    asked = [row for row in record.read(training / "instructions.jsonl") if row.task == "finding" and "effusion" in row.question.lower()]
    assert asked
    for row in asked:
        there = "There is a small left" in reports[row.images[0]]
        assert row.answer == ("yes" if there == (row.polarity == 1) else "no")


def test_a_second_run_gives_the_same_bytes(made):
    folder, _ = made
    before = {p.name: p.read_bytes() for p in (folder / "out" / "training" / "shards").glob("*.tar")} | {
        "i": (folder / "out" / "training" / "instructions.jsonl").read_bytes()
    }
    prepare(folder / "source", folder / "out", key_file(folder), PLAN, hold=0.3, shard_size=5)
    after = {p.name: p.read_bytes() for p in (folder / "out" / "training" / "shards").glob("*.tar")} | {
        "i": (folder / "out" / "training" / "instructions.jsonl").read_bytes()
    }
    assert before == after


def test_what_the_validator_calls_an_error_is_not_trained_on_and_is_told(tmp_path):
    film(tmp_path / "source" / "a", 1, PEOPLE[0], effusion=True)
    film(tmp_path / "source" / "b", 2, PEOPLE[1], effusion=False)
    path = tmp_path / "source" / "b" / "film.dcm"
    dataset = pydicom.dcmread(path)
    dataset.PatientSex = "M"
    dataset.save_as(path)
    (tmp_path / "source" / "b" / "report.txt").write_text("FINDINGS: The pregnant uterus is enlarged.\nIMPRESSION: Pregnancy of 20 weeks.\n")
    said = prepare(tmp_path / "source", tmp_path / "out", key_file(tmp_path), PLAN, hold=0)
    assert said.left_out == {"the validator found an error": 1}
    rows = [json.loads(line) for line in (tmp_path / "out" / "training" / "remarks.jsonl").read_text().splitlines()]
    assert "patient.sex" in {row["rule"] for row in rows}


def test_a_share_that_is_none_is_refused(tmp_path):
    with pytest.raises(InvalidValue, match="cannot be held out"):
        prepare(tmp_path, tmp_path / "out", tmp_path / "key", PLAN, hold=1.0)
