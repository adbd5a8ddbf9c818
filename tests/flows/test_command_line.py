"""The rest of the command line, and what it must not load."""

import json
import os
import subprocess
import sys

import pytest

import vesalius as package
from vesalius.data import base
from vesalius.models.known import CARDS

HEAVY = ("torch", "transformers", "scipy", "matplotlib", "sklearn", "pydicom", "PIL", "peft")


def test_without_a_command_the_help(vesalius):
    said = vesalius()
    assert said.code == 0
    assert said.out == vesalius("--help").out
    for name in ("ask", "models", "data", "deidentify", "prepare", "validate", "instruct", "train", "evaluate"):
        assert f"  {name} " in said.out


def test_version(vesalius):
    assert vesalius("--version").out.split()[-1] == package.__version__


@pytest.mark.parametrize("name", ["ask", "models", "data", "deidentify", "prepare", "validate", "augment", "instruct", "train", "evaluate"])
def test_every_command_explains_itself(vesalius, name):
    said = vesalius(name, "--help")
    assert said.code == 0
    assert said.out.startswith("Usage: vesalius")


@pytest.mark.parametrize("words", [["--help"], ["models"], ["models", "show", "pocket"], ["data"], ["ask", "--help"], ["ask", "nothing.dcm", "Is it?"]])
def test_light_commands_stay_light(words):
    code = f"import sys; from vesalius.cli import main; main({words!r}); print(*(m for m in {HEAVY!r} if m in sys.modules), file=sys.stderr)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=120)
    assert done.stderr.splitlines()[-1].split() == []


def test_importing_the_package_loads_nothing():
    code = f"import sys, vesalius; print(*(m for m in ('numpy', 'click', *{HEAVY!r}) if m in sys.modules))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60).stdout.split() == []


def test_models_in_columns_with_an_outsiders(vesalius):
    lines = vesalius("models").out.splitlines()
    at = lines[0].index("LICENCE")
    pocket = next(line for line in lines if line.startswith("pocket"))
    assert pocket[at:].startswith(CARDS["pocket"].licence)
    assert "149 M" in pocket
    assert any(line.startswith("standin") and "another package" in line for line in lines)
    assert vesalius("models", "list").out.splitlines() == lines


def test_cards_as_text_and_json(vesalius):
    assert "cannot compare studies" in vesalius("models", "show", "pocket").out
    assert vesalius("models", "show", "pocket", "--json").json["licence"] == "Apache-2.0"
    assert vesalius("models", "show", "standin").code == 0
    assert set(vesalius("models", "list", "--json").json) >= {"pocket", "standin"}
    assert vesalius("data", "list", "--json").json["slake"]["images"] == 546
    assert "doi:10.1038/sdata.2018.251" in vesalius("data", "show", "vqa-rad").out
    assert vesalius("data", "show", "vqa-rad", "--json").json["folder"] == "vqa_rad"


def test_data_in_columns(vesalius):
    lines = vesalius("data").out.splitlines()
    assert [line.split()[0] for line in lines[1:]] == sorted(base.TABLE)
    at = lines[0].index("TRAIN")
    allowed = {line.split()[0]: line[at:].split()[0] for line in lines[1:]}
    assert allowed == {name: "yes" if base.dataset(name).card.train_allowed else "no" for name in base.TABLE}
    assert {"yes", "no"} == set(allowed.values())


@pytest.mark.parametrize(
    ("words", "answer"),
    [
        (("models", "show", "pokcet"), "did you mean 'pocket'"),
        (("data", "show", "vqarad"), "did you mean 'vqa-rad'"),
        (("data", "check", "/nowhere"), "is not a folder"),
        (("evaluate", "slak", "--out", "x"), "did you mean 'slake'"),
        (("evaluate", "slake"), "add --out RUN"),
        (("evaluate", "slake", "x"), "one word too many"),
        (("evaluate", "rescore"), "the run is missing"),
        (("evaluate", "rescore", "/nowhere"), "not the folder of a run"),
        (("evaluate", "slake", "--out", "x", "--model", "pokcet"), "did you mean 'pocket'"),
        (("evaluate", "slake", "--out", "x", "--data", "/nowhere"), "is not a folder"),
        (("train", "/nowhere.toml"), "cannot be read"),
        (("train",), "RECIPE"),
    ],
)
def test_mistakes(vesalius, monkeypatch, tmp_path, words, answer):
    monkeypatch.chdir(tmp_path)
    said = vesalius(*words)
    assert said.code == 2
    assert answer in said.err
    assert "Traceback" not in said.err
    assert said.out == ""


def test_without_a_data_root(vesalius, monkeypatch):
    monkeypatch.delenv("VESALIUS_DATA", raising=False)
    assert "VESALIUS_DATA" in vesalius("data", "check").err


def test_an_empty_data_root(vesalius, tmp_path):
    said = vesalius("data", "check", tmp_path)
    assert said.code == 2
    assert "does not hold" in said.err


def test_a_damaged_set_is_named(vesalius, tmp_path):
    (tmp_path / "hannover_cxr").mkdir()
    said = vesalius("data", "check", tmp_path, "hannover", "--json")
    assert said.code == 2
    assert said.json["hannover"]["ok"] is False
    assert "hannover" in said.err.splitlines()[-1]


@pytest.mark.data
def test_a_whole_set(vesalius, data_root):
    said = vesalius("data", "check", data_root, "hannover")
    assert said.code == 0
    assert "whole" in said.out


def test_a_run_that_exists_is_not_written_over(vesalius, tmp_path):
    (tmp_path / "items.jsonl").write_text("{}\n")
    said = vesalius("evaluate", "slake", "--out", tmp_path, "--data", tmp_path)
    assert said.code == 2
    assert "--resume" in said.err


def test_evaluate_hands_over_and_shows_intervals(vesalius, tmp_path, monkeypatch):
    got = {}

    def run(suite, model, root, out, *, progress, **how):
        got.update(how, suite=suite, model=model, root=root, out=out)
        progress(1, 2, "asking")
        figure = {"value": 0.5, "low": 0.4, "high": 0.6, "n": 10, "clusters": 5, "method": "a test"}
        return {"parts": {"official/test": {"systems": {"model": {"closed": figure, "open": {**figure, "value": None}, "overall": figure}}}}}

    monkeypatch.setattr("vesalius.evaluate.task.run", run)
    options = ("--limit", "5", "--no-baselines", "--protocol", "official", "--questioned", "0", "--reworded", "7")
    said = vesalius("evaluate", "slake", "--model", "standin", "--data", tmp_path, "--out", tmp_path / "run", *options)
    assert said.code == 0
    where = {"suite": "slake", "model": "standin", "root": tmp_path, "out": tmp_path / "run"}
    place = {"device": "auto", "precision": "auto"}
    assert got == {**where, **place, "limit": 5, "baselines": False, "policy": None, "protocols": ("official",), "questioned": 0, "reworded": 7}
    assert "50.0 (40.0 to 60.0)" in said.out
    assert said.out.splitlines()[-1] == str(tmp_path / "run" / "page.html")


def test_train_hands_over(vesalius, tmp_path, monkeypatch):
    pytest.importorskip("torch")
    recipe = tmp_path / "recipe.toml"
    stage = '[[stages]]\nname = "alignment"\ntrain = ["projector"]\nlearning_rate = 0.001\nsteps = 3\n'
    recipe.write_text(f'name = "small"\nmodel = "pocket"\nseed = 1\noutput = "{tmp_path}/out"\n{stage}')
    got = {}
    monkeypatch.setattr("vesalius.train.curriculum.run", lambda path, **how: got.update(how, path=path) or tmp_path / "out")
    said = vesalius("train", recipe, "--set", "stages.alignment.steps=5", "--resume", "--data", tmp_path, "--device", "cpu")
    assert said.code == 0
    assert got == {"path": recipe, "overrides": ("stages.alignment.steps=5",), "resume": True, "data": tmp_path, "device": "cpu"}
    assert said.out.strip() == str(tmp_path / "out")
    wrong = vesalius("train", recipe, "--set", "stages.alignmnt.steps=5")
    assert wrong.code == 2
    assert "did you mean 'alignment'" in wrong.err


def test_nobody_reads_any_more():
    read, write = os.pipe()
    os.close(read)
    done = subprocess.run([sys.executable, "-m", "vesalius", "data"], stdout=write, stderr=subprocess.PIPE, text=True, check=False, timeout=60)
    os.close(write)
    assert done.stderr == ""
    assert done.returncode == 141


def test_warnings_of_libraries_are_silent_and_ours_are_not(vesalius, dicom, tmp_path):
    (tmp_path / "a.dcm").write_bytes(dicom("CT_small.dcm").read_bytes())
    (tmp_path / "b.dcm").write_bytes(dicom("CT_small.dcm").read_bytes()[:20000])
    said = vesalius("ask", tmp_path, "Is there a fracture?", "--model", "standin", "--json")
    assert json.loads(said.out)
    assert "1 of 2 files are damaged and were left out" in said.err
    assert "Warning" not in said.err
