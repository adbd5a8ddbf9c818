"""An evaluation from nothing to a page, stopped, resumed, scored again, and refused where it must be."""

import dataclasses
import json

import pytest

from tests.evaluate_miniature import IMAGES, FakeModel, slake
from vesalius.errors import DataMissing, InterruptedWork, InvalidValue, UnknownName
from vesalius.evaluate import results, task
from vesalius.evaluate.record import OutputError, RecordFormatError
from vesalius.evaluate.task import OtherRunError
from vesalius.safety.policy import default_policy

QUICK = {"baselines": ("majority",), "questioned": 3, "reworded": 6}


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    return slake(tmp_path_factory.mktemp("root"))


@pytest.fixture(scope="module")
def finished(root, tmp_path_factory):
    out = tmp_path_factory.mktemp("run")
    model = FakeModel(wrong=0.15, without_image=True)
    return out, model, task.run("slake", "fake", root, out, model_object=model, **QUICK)


def test_a_run_leaves_records_results_provenance_and_a_page(finished):
    out, _, found = finished
    assert {p.name for p in out.iterdir()} >= {"items.jsonl", "baselines.jsonl", "readings.jsonl", "provenance.json", "results.json", "page.html"}
    part = found["parts"]["official/test"]
    assert part["items"] == IMAGES
    assert set(part["systems"]) == {"model", "blank image", "another patient's image", "no image", "majority"}
    assert part["systems"]["model"]["overall"]["value"] > part["systems"]["blank image"]["overall"]["value"]
    assert part["reliance"]["grounded"]["value"] > 0.1
    assert part["flips"]["generated"]["items"] == 6
    assert part["gate"]["n"] == 3
    made = json.loads((out / "provenance.json").read_text())
    assert made["wall_seconds"] > 0
    assert made["config"]["model"]["called"] == "fake"


def test_each_image_is_encoded_about_once_with_its_blank(finished):
    _, model, _ = finished
    images = len({key for key, _ in model.asked})
    assert model.encoded <= 2.5 * images


def test_a_perfect_model_is_scored_perfect(root, tmp_path):
    found = task.run("slake", "fake", root, tmp_path / "run", model_object=FakeModel(), baselines=False, questioned=0, reworded=0)
    part = found["parts"]["official/test"]
    assert part["systems"]["model"]["overall"]["value"] == 1.0
    assert part["reliance"]["grounded"]["value"] == 1.0
    assert part["reliance"]["auroc"]["answer"]["value"] == 1.0
    assert part["gate"] is None


def test_scoring_again_needs_no_model_and_gives_the_same(finished):
    out, _, found = finished
    (out / "page.html").unlink()
    again = task.rescore(out)
    assert json.dumps(again, sort_keys=True) == json.dumps(found, sort_keys=True)
    assert (out / "page.html").is_file()


def test_a_stopped_run_continues_and_ends_as_if_it_had_not_been_stopped(root, finished, tmp_path):
    whole, _, _ = finished
    out = tmp_path / "run"
    stopped = FakeModel(wrong=0.15, without_image=True)
    stopped.stop_after = 9
    with pytest.raises(InterruptedWork, match="same command again"):
        task.run("slake", "fake", root, out, model_object=stopped, **QUICK)
    before = (out / "items.jsonl").read_text().count("\n")
    with (out / "items.jsonl").open("a") as stream:
        stream.write('{"format": 1, "id": "sla')  # killed while writing
    model = FakeModel(wrong=0.15, without_image=True)
    task.run("slake", "fake", root, out, model_object=model, **QUICK)
    lines = [sorted((folder / "items.jsonl").read_text().splitlines()) for folder in (out, whole)]
    assert 0 < before < len(lines[0])
    assert lines[0] == lines[1]
    ours, theirs = (json.loads((folder / "results.json").read_text())["parts"]["official/test"]["systems"] for folder in (out, whole))
    assert ours == theirs


def test_a_finished_run_asks_nothing_again(root, finished):
    out, _, _ = finished
    model = FakeModel(wrong=0.15, without_image=True)
    task.run("slake", "fake", root, out, model_object=model, **QUICK)
    assert model.asked == []


def test_a_run_goes_on_when_its_models_card_was_put_in_other_words(root, finished):
    out, _, _ = finished
    model = FakeModel(wrong=0.15, without_image=True)
    model.card = dataclasses.replace(model.card, summary="the same model, told in other words")
    task.run("slake", "fake", root, out, model_object=model, **QUICK)
    assert model.asked == []


def test_a_run_with_a_limit_can_be_made_whole(root, tmp_path):
    out, how = tmp_path / "run", {"baselines": False, "questioned": 0, "reworded": 0}
    few = task.run("slake", "fake", root, out, model_object=FakeModel(), limit=5, **how)
    assert few["parts"]["official/test"]["items"] == 5
    every = task.run("slake", "fake", root, out, model_object=FakeModel(), **how)
    assert every["parts"]["official/test"]["items"] == IMAGES


def test_another_model_policy_or_plan_is_refused(root, finished):
    out, _, _ = finished
    with pytest.raises(OtherRunError, match="another model"):
        task.run("slake", "fake", root, out, model_object=FakeModel(revision="2"), **QUICK)
    policy = default_policy()
    changed = type(policy)(**{**{f: getattr(policy, f) for f in policy.__dataclass_fields__}, "version": "other"})
    with pytest.raises(OtherRunError, match="another policy"):
        task.run("slake", "fake", root, out, model_object=FakeModel(), policy=changed, **QUICK)
    with pytest.raises(OtherRunError, match="another reworded"):
        task.run("slake", "fake", root, out, model_object=FakeModel(), **{**QUICK, "reworded": 7})


def test_other_data_is_refused(tmp_path, finished):
    out, _, _ = finished
    other = slake(tmp_path / "root")
    path = other / "slake" / "validate.json"
    path.write_text(path.read_text().replace("Heart", "Liver"))
    with pytest.raises(OtherRunError, match="other data"):
        task.run("slake", "fake", other, out, model_object=FakeModel(), **QUICK)


def test_records_without_provenance_are_refused(root, tmp_path):
    (tmp_path / "items.jsonl").write_text("")
    with pytest.raises(OtherRunError, match="unknown origin"):
        task.run("slake", "fake", root, tmp_path, model_object=FakeModel(), **QUICK)


@pytest.mark.parametrize(
    ("suite", "model", "how", "expected"),
    [
        ("slakes", "fake", {}, "did you mean 'slake'"),
        ("slake", "pockett", {}, "did you mean 'pocket'"),
        ("slake", "pocket", {"baselines": ("majorty",)}, "did you mean 'majority'"),
    ],
)
def test_misspelt_names_are_answered_with_the_nearest(root, tmp_path, suite, model, how, expected):
    with pytest.raises(UnknownName, match=expected):
        task.run(suite, model, root, tmp_path / "run", **how)
    assert not (tmp_path / "run").exists()


def test_a_missing_data_root_and_a_missing_set_are_told(root, tmp_path):
    with pytest.raises(DataMissing, match="not a folder"):
        task.run("slake", "fake", tmp_path / "nowhere", tmp_path / "run", model_object=FakeModel())
    with pytest.raises(DataMissing, match="vqa-rad"):
        task.run("vqa-rad", "fake", root, tmp_path / "run", model_object=FakeModel())


def test_a_folder_that_cannot_be_written_is_refused_before_anything_is_asked(root, tmp_path):
    (tmp_path / "file").write_text("")
    model = FakeModel()
    with pytest.raises(OutputError, match="cannot be written"):
        task.run("slake", "fake", root, tmp_path / "file" / "run", model_object=model)
    assert model.encoded == 0


def test_a_model_whose_confidence_is_no_number_is_refused(root, tmp_path):
    with pytest.raises(InvalidValue, match="confidence"):
        task.run("slake", "fake", root, tmp_path / "run", model_object=FakeModel(broken=float("nan")), **QUICK)


def test_what_is_no_run_cannot_be_scored(tmp_path, finished):
    with pytest.raises(RecordFormatError, match="not the folder of a run"):
        task.rescore(tmp_path)
    (tmp_path / "provenance.json").write_text("{")
    with pytest.raises(RecordFormatError, match="damaged"):
        task.rescore(tmp_path)
    (tmp_path / "provenance.json").write_text((finished[0] / "provenance.json").read_text())
    with pytest.raises(RecordFormatError, match="no recorded items"):
        task.rescore(tmp_path)


def test_the_results_page_of_several_runs_is_written_from_their_records(finished, tmp_path, capsys):
    out, _, found = finished
    page = tmp_path / "results.md"
    assert results.main([str(out), str(out), "-o", str(page)]) == 0
    text = page.read_text()
    assert text.count("## fake on slake") == 2
    closed = found["parts"]["official/test"]["systems"]["model"]["closed"]
    assert f"{100 * closed['value']:.1f} ({100 * closed['low']:.1f}–{100 * closed['high']:.1f}), n {closed['n']}" in text
    assert json.loads((out / "provenance.json").read_text())["data_hash"][:16] in text
    assert results.main([str(tmp_path), "-o", str(page)]) == 2
    assert "rescore" in capsys.readouterr().err
    assert results.main([f"{out}:official", "-o", str(page)]) == 0
    assert "### official, test" in page.read_text()
    results.put_section(page, "speed", "## Speed\n\nslow")
    results.put_section(page, "size", "## Size\n\nsmall")
    results.put_section(page, "speed", "## Speed\n\nfast")
    assert results.main([str(out), "-o", str(page)]) == 0
    again = page.read_text()
    assert again.startswith("# Results")
    assert again.index("## fake on slake") < again.index("## Speed\n\nfast") < again.index("## Size\n\nsmall")
    assert "slow" not in again.partition("## Speed")[2]
    assert results.main([f"{out}:nobody", "-o", str(page)]) == 2
    assert "it has official" in capsys.readouterr().err
    assert results.main(["--help"]) == 0
    assert results.main([]) == 2
    assert results.main(["-o"]) == 2
