"""`vesalius evaluate trust`: run on a miniature data set, stopped, continued, scored again; and on somebody else's answers alone."""

import json

import pytest

from tests.evaluate_miniature import FakeModel, slake
from vesalius.errors import InterruptedWork, InvalidValue, UnknownName, UserError
from vesalius.evaluate import trust
from vesalius.evaluate.record import OutputError, append

OWN = ("vqa", "phrasing", "image_reliance", "calibration", "selective")
SUITE = trust.Suite(plain=("slake", "nih-cxr"), studies=OWN, reworded=6, questioned=0, baselines=False, replicates=50, study_limit=4)


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    return slake(tmp_path_factory.mktemp("root"))


@pytest.fixture(scope="module")
def finished(root, tmp_path_factory):
    out = tmp_path_factory.mktemp("runs") / "trust"
    return out, trust.run("fake", root, out, suite=SUITE, model_object=FakeModel(wrong=0.2))


def test_every_study_that_the_data_allow_is_made_and_the_rest_is_told(root, finished):
    out, found = finished
    assert set(found["studies"]) == set(OWN)
    assert set(found["skipped"]) == {"nih-cxr"}
    assert "nih" in found["skipped"]["nih-cxr"]
    assert "ROOT/nih_cxr" in found["skipped"]["nih-cxr"]  # not where the data lie on this machine: cards are read elsewhere
    assert str(root) not in json.dumps(found)
    assert json.loads((out / trust.RESULTS).read_text()) == found
    assert found["studies"]["vqa"]["suites"]["slake"]["items"] == 24


def test_scoring_again_needs_no_model_and_gives_the_same_bytes(finished):
    out, _ = finished
    before = (out / trust.RESULTS).read_bytes()
    trust.rescore(out)
    assert (out / trust.RESULTS).read_bytes() == before


def test_a_stopped_run_goes_on_and_asks_nothing_twice(root, finished, tmp_path):
    model = FakeModel(wrong=0.2)
    model.stop_after = 7
    with pytest.raises(InterruptedWork):
        trust.run("fake", root, tmp_path / "run", suite=SUITE, model_object=model)
    whole = FakeModel(wrong=0.2)
    found = trust.run("fake", root, tmp_path / "run", suite=SUITE, model_object=whole)
    assert found == finished[1]
    idle = FakeModel(wrong=0.2)
    assert trust.run("fake", root, tmp_path / "run", suite=SUITE, model_object=idle) == found
    assert idle.asked == []


def test_a_full_disk_is_no_reason_to_skip_a_study(root, tmp_path, monkeypatch):
    def full(path, rows):
        if path.name == "image_reliance.jsonl":
            raise OutputError(f"{path}: cannot be written (No space left on device)", remedy="make room")
        append(path, rows)

    monkeypatch.setattr(trust, "append", full)
    with pytest.raises(OutputError, match="No space left"):
        trust.run("fake", root, tmp_path / "run", suite=SUITE, model_object=FakeModel())
    assert not (tmp_path / "run" / trust.RESULTS).exists()


def test_a_number_of_workers_that_cannot_be_is_refused(root, tmp_path):
    with pytest.raises(InvalidValue, match="cannot be 0 workers: give --workers 1 or more"):
        trust.run("fake", root, tmp_path / "run", suite=SUITE, model_object=FakeModel(), workers=0)
    with pytest.raises(InvalidValue, match="give its name, or one worker"):
        trust.run("fake", root, tmp_path / "run", suite=SUITE, model_object=FakeModel(), workers=2)


def test_another_model_is_refused(root, finished):
    with pytest.raises(UserError, match="another model"):
        trust.run("fake", root, finished[0], suite=SUITE, model_object=FakeModel(revision="2"))


def test_a_misspelt_study_is_answered_with_the_nearest(tmp_path):
    path = tmp_path / "suite.toml"
    path.write_text('studies = ["fairnes"]\n')
    with pytest.raises(UnknownName, match="did you mean 'fairness'"):
        trust.read_suite(path)
    path.write_text("studdies = []\n")
    with pytest.raises(UserError, match="did you mean 'studies'"):
        trust.read_suite(path)


def test_answers_of_somebody_else_are_enough(typed, tmp_path):
    path = tmp_path / "answers.jsonl"
    rows = [
        {
            "id": f"{n}",
            "question": "Is there an effusion?",
            "gold": "yes" if n % 2 else "no",
            "answer": "yes",
            "confidence": 0.5 + n / 100,
            "cluster": f"{n // 2}",
        }
        for n in range(20)
    ]
    path.write_text("".join(json.dumps({**row, "blank": "no"}) + "\n" for row in rows))
    said = typed("evaluate", "trust", "--predictions", path, "--out", tmp_path / "run", "--set", f"studies={json.dumps(list(OWN))}", "--set", "replicates=50")
    assert said.code == 0, said.err
    found = json.loads((tmp_path / "run" / trust.RESULTS).read_text())
    assert found["studies"]["vqa"]["suites"]["predictions"]["systems"]["model"]["overall"]["value"] == 0.5
    assert found["studies"]["image_reliance"]["suites"]["predictions"]["reliance"]["blank_changed"]["value"] == 1.0
    assert "no recorded question was asked in other words" in found["skipped"]["phrasing"]
    again = typed("evaluate", "trust", "--predictions", path, "--out", tmp_path / "run")
    assert again.code == 2
    assert "--resume" in again.err


def test_a_run_that_could_measure_nothing_is_no_success(typed, tmp_path):
    (tmp_path / "empty").mkdir()
    said = typed("evaluate", "trust", "--out", tmp_path / "run", "--data", tmp_path / "empty", "--set", 'plain=["slake"]', "--set", 'studies=["vqa"]')
    assert said.code == 2
    assert "nothing could be measured" in said.err
    assert (tmp_path / "run" / trust.RESULTS).exists()
