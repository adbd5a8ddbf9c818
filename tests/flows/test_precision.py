"""Device and precision as a person chooses them: told on standard error, kept in the reading and the run, refused in one sentence."""

import json

import pytest

from tests.checkpoints import llava_med
from tests.evaluate_miniature import slake
from vesalius.models import memory

QUESTION = "Is there a lesion in the liver?"
FEW = ("--samples", "2", "--rewordings", "2")


def refused(said):
    assert said.code == 2
    assert said.out == ""
    assert "Traceback" not in said.err
    return said.err.strip().splitlines()[-1]


def test_pocket_answers_in_int8_and_says_so(vesalius, dicom):
    def ask(*words):
        return vesalius("ask", dicom("examples_overlay.dcm"), QUESTION, *FEW, "--json", *words)

    said = ask("--precision", "int8", "--device", "cpu")
    assert said.code in (0, 3)
    assert said.err.count("pocket on cpu in int8, computed in float32") == 1
    reading = said.json
    assert (reading["model"]["device"], reading["model"]["dtype"]) == ("cpu", "int8, computed in float32")
    again = ask("--precision", "int8").json
    for kept in (reading, again):
        del kept["timing"]
    assert again == reading
    wide = ask("--precision", "float32")
    assert "pocket on cpu in float32" in wide.err
    assert wide.json["model"]["dtype"] == "float32"
    assert abs(wide.json["confidence"] - reading["confidence"]) < 0.2
    assert wide.json["confidence"] != reading["confidence"]  # it was another arithmetic


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("--precision", "int4"), "int4 needs a GPU: give --precision int8, which needs none."),
        (("--device", "cuda:99"), "cuda:99 is not here"),
        (("--device", "abacus"), "no device is called 'abacus': give auto, cpu, cuda or cuda:1."),
        (("--precision", "int9"), "'--precision'"),
        (("--precision", "int8", "--model", "standin"), "standin does not let device or precision be chosen: leave them out."),
    ],
)
def test_what_cannot_be_had_is_refused_in_one_sentence(vesalius, dicom, words, told):
    assert told in refused(vesalius("ask", dicom("CT_small.dcm"), QUESTION, *words))


def test_a_model_too_large_is_refused_with_the_precision_that_fits(vesalius, dicom, tmp_path, monkeypatch):
    folder = llava_med.official(tmp_path, llava_med.Size(inner=2000))
    monkeypatch.setattr(memory, "room", lambda device: 1_400_000)
    words = ("ask", dicom("examples_overlay.dcm"), QUESTION, "--model", f"llava-med-1.5-7b:{folder}", *FEW)
    told = refused(vesalius(*words, "--precision", "float32"))
    assert told.endswith("are free: load it with precision int8, which fits.")
    assert vesalius(*words, "--precision", "int8").code in (0, 3)


def test_an_evaluation_keeps_where_it_was_made(vesalius, tmp_path):
    out = tmp_path / "run"
    words = ("evaluate", "slake", "--data", slake(tmp_path, images=6), "--out", out, "--no-baselines", "--questioned", "0", "--reworded", "0", "--limit", "2")
    said = vesalius(*words, "--precision", "int8")
    assert said.code == 0, said.err
    assert "pocket on cpu in int8, computed in float32" in said.err
    held = json.loads((out / "provenance.json").read_text())["config"]["model"]["identity"]
    assert (held["device"], held["dtype"]) == ("cpu", "int8, computed in float32")
    assert "another model" in refused(vesalius(*words, "--precision", "float32", "--resume"))
