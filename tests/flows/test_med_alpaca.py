"""Visual Med-Alpaca from the picture to the gate: real pictures go to different experts, and one of them is asked like any model."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image as Picture
from pydicom.data import get_testdata_file

from vesalius import formats
from vesalius.data import nih_cxr
from vesalius.domain.exchange import Outcome, Question, Split
from vesalius.models import experts, med_alpaca
from vesalius.models.router import Kind
from vesalius.train.drawn import draw_strip, figure

NAME = "visual-med-alpaca-pocket"


@pytest.fixture
def model():
    return med_alpaca.load()


def test_whoever_answers_is_part_of_what_the_model_is(model):
    assert model.identity["radiology"] == model.find(Kind.CT).model.identity["weights"] != ""


@pytest.fixture
def picture(tmp_path):
    """A study of a picture, read from a file like a user's."""

    def read(shown):
        path = tmp_path / "picture.png"
        Picture.fromarray(shown).save(path)
        return formats.read(path)

    return read


@pytest.fixture
def strip():
    recording = experts.read_waveform(Path(get_testdata_file("waveform_ecg.dcm", download=False)))
    return draw_strip(recording, 6, 2, (480, 900), 4.0, np.random.default_rng(1), grid=True)


@pytest.mark.weights
def test_pictures_go_to_the_experts_for_their_kind(model, picture, strip, dicom):
    shown = {
        Kind.ECG: picture(strip),
        Kind.PLOT: picture(figure("histogram", np.random.default_rng(7))),
        Kind.ULTRASOUND: formats.read(dicom("examples_ybr_color.dcm")),
        Kind.CT: formats.read(dicom("J2K_pixelrep_mismatch.dcm")),
        Kind.MR: formats.read(dicom("examples_overlay.dcm")),
    }
    told = {kind: model.explain(model.encode(study)) for kind, study in shown.items()}
    assert {kind: row["type"] for kind, row in told.items()} == {kind: str(kind) for kind in shown}
    assert [told[kind]["expert"] for kind in shown] == ["ECG", "plot", "none", "radiology", "radiology"]
    assert "about 61 a minute" in told[Kind.ECG]["expert_text"]
    assert told[Kind.ULTRASOUND]["expert_confidence"] == 0
    assert told[Kind.CT]["expert_text"].startswith("Modality: ")


@pytest.mark.weights
@pytest.mark.data
def test_a_chest_film_goes_to_radiology(model, data_root):
    film = next(f for f in nih_cxr.DATASET.films(data_root) if f.split is Split.TEST)
    seen = model.encode(formats.read(data_root / film.image, modality="CR", body_part="CHEST"))
    told = model.explain(seen)
    assert (told["type"], told["expert"]) == ("X-ray", "radiology")
    assert "chest" in told["expert_text"].lower() or "lung" in told["expert_text"].lower()
    [said] = model.answer(seen, [Question("Is this an X-ray?")])
    assert said.outcome is Outcome.YES
    [again] = model.answer(seen, [Question("Is this an X-ray?")])
    assert again == said


@pytest.mark.weights
def test_it_is_questioned_like_any_model(vesalius, dicom, tmp_path):
    said = vesalius("ask", dicom("J2K_pixelrep_mismatch.dcm"), "Is this a CT scan?", "--model", NAME, "--out", tmp_path / "out", "--json")
    assert said.code in (0, 3)
    assert said.json["model"]["name"] == NAME
    assert said.json["answer"] in ("yes", "no")
    assert (tmp_path / "out" / "evidence.png").stat().st_size > 10_000


@pytest.mark.weights
def test_without_an_expert_the_gate_refers(vesalius, dicom):
    said = vesalius("ask", dicom("examples_ybr_color.dcm"), "Is there a mass?", "--model", NAME, "--json")
    assert said.code == 3
    assert said.json["decision"] == "referred"
