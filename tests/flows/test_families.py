"""Published families from tiny checkpoints in their official layout: a real DICOM study, through the same gate as `pocket`."""

import json

import pytest

from tests.checkpoints.table import BUILDERS


@pytest.fixture(scope="module", params=sorted(BUILDERS))
def family(request, tmp_path_factory):
    return request.param, BUILDERS[request.param](tmp_path_factory.mktemp(request.param))


def test_a_family_is_questioned_like_any_model(vesalius, dicom, family, tmp_path):
    name, folder = family
    said = vesalius("ask", dicom("examples_overlay.dcm"), "Is there a mass in the liver?", "--model", f"{name}:{folder}", "--out", tmp_path / "out", "--json")
    assert said.code == 3  # random weights agree with nobody, themselves included
    reading = said.json
    assert reading["model"]["name"] == name
    assert reading["decision"] == "referred"
    assert {"uncertainty", "flip_rate", "hallucination_risk"} & {c["name"] for c in reading["concerns"]}
    assert (tmp_path / "out" / "evidence.png").stat().st_size > 10_000
    assert json.loads((tmp_path / "out" / "reading.json").read_text())["answer"] == reading["answer"]


def test_a_family_without_weights_says_what_to_download(typed, dicom, family):
    name, _ = family
    said = typed("ask", dicom("CT_small.dcm"), "Is there a fracture?", "--model", name)
    assert said.code == 2
    assert said.err.strip().splitlines()[-1].startswith("vesalius: the weights of")
    assert f"--model {name}:FOLDER" in said.err


def test_a_checkpoint_is_converted_and_asked(vesalius, dicom, tmp_path):
    source = BUILDERS["llava-med-1.5-7b"](tmp_path / "official")
    made = vesalius("models", "convert", source, tmp_path / "new", "--layout", "transformers")
    assert made.code == 0
    assert made.out.strip() == str(tmp_path / "new")
    question = "Is there a mass in the liver?"
    before = vesalius("ask", dicom("CT_small.dcm"), question, "--model", f"llava-med-1.5-7b:{source}", "--json").json
    after = vesalius("ask", dicom("CT_small.dcm"), question, "--model", f"llava-med-1.5-7b:{tmp_path / 'new'}", "--json").json
    assert before["answer"] == after["answer"]
    again = vesalius("models", "convert", source, tmp_path / "new", "--layout", "transformers")
    assert again.code == 2
    assert "exists already" in again.err
