"""LLaVA-Rad against its official code (commit 1fc4409 with its pinned libraries): logits, token ids, pixels and a greedy answer of a tiny checkpoint."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.checkpoints import llava_rad as tiny
from vesalius.models import llava, llava_rad
from vesalius.models.base import Sampling

GOLDEN = np.load(Path(__file__).with_name("llava_rad.npz"))
TOLERANCE = 1e-5


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tiny.official(tmp_path_factory.mktemp("llava-rad"))


@pytest.fixture(scope="module")
def model(folder):
    return llava_rad.load(weights=folder, dtype=torch.float32)


def _logits(composition, case):
    pixels = torch.from_numpy(GOLDEN[f"{case}_pixels"])
    made = llava.logits(composition, json.loads(str(GOLDEN[f"{case}_rows"])), pixels if len(pixels) else None)
    return torch.cat(made).numpy()[:, ::7]


@pytest.mark.parametrize("case", ["one", "two", "none", "ragged"])
def test_logits_are_those_of_the_official_code(model, case):
    np.testing.assert_allclose(_logits(model.composition, case), GOLDEN[f"{case}_logits"], rtol=0, atol=TOLERANCE)


def _another_layer(model, monkeypatch):
    monkeypatch.setattr(model.composition.tower, "layer", -1)


def _no_scales(model, monkeypatch):
    monkeypatch.setattr(llava_rad, "unscaled", lambda trunk: {n: t for n, t in trunk.items() if not n.endswith("gamma")})


def _no_adapter(model, monkeypatch):
    monkeypatch.setattr(llava_rad.lora, "merge", lambda *_, **__: 0)


@pytest.mark.parametrize("harm", [_another_layer, _no_scales, _no_adapter])
def test_a_wrong_layer_or_a_missing_part_would_be_noticed(folder, model, monkeypatch, harm):
    harm(model, monkeypatch)
    wrong = model if harm is _another_layer else llava_rad.load(weights=folder, dtype=torch.float32)
    assert np.abs(_logits(wrong.composition, "one") - GOLDEN["one_logits"]).max() > 1e3 * TOLERANCE


@pytest.mark.parametrize("number", range(11))
def test_prompts_are_those_of_the_official_code(model, number):
    case = json.loads(str(GOLDEN["prompts"]))[number]
    turns = [tuple(turn) for turn in case["turns"]]
    system = {} if case["system"] is None else {"system": case["system"]}
    if case["images"]:  # the published evaluation strips the question that follows the image
        turns[0] = (turns[0][0].strip(), turns[0][1])
    text = llava_rad.prompt_text(turns, images=case["images"], **system)
    assert text == case["text"]
    assert list(model.prompt.around(text)) == case["ids"]
    if len(turns) == case["images"] == 1 and not system:  # the engine asks with the same ids
        assert [*model.prompt.before, llava.IMAGE, *model.prompt.question(case["turns"][0][0])] == case["ids"]


def test_a_greedy_answer_is_that_of_the_official_code(model):
    (image,) = model.engine.encode(torch.from_numpy(GOLDEN["one_pixels"]))
    (record,) = model.engine.answer(image, [llava_rad.findings()], Sampling(max_new_tokens=12))
    assert list(record.ids) == GOLDEN["generated"].tolist()


def picture(number):
    rng = np.random.default_rng(number)
    rows, cols = (int(n) for n in rng.integers(5, 900, 2))
    grey = () if number % 3 == 0 else (3,)
    coarse = rng.integers(0, 256, (4, 5, *grey))[np.arange(rows) * 4 // rows][:, np.arange(cols) * 5 // cols]
    return ((coarse + rng.integers(0, 256, (rows, cols, *grey))) // 2).astype(np.uint8)


@pytest.mark.parametrize("number", range(20))
def test_pixels_are_those_of_the_official_processor(number):
    """open_clip's: shorter side to 518, middle cut out; equal but for the rounding of the last step."""
    made = llava_rad.prepare(picture(number))
    np.testing.assert_allclose(made[:, 5::37, 3::37].numpy(), GOLDEN["processed"][number], rtol=0, atol=1e-6)
    np.testing.assert_allclose(made.double().sum((1, 2)).numpy(), GOLDEN["processed_sums"][number], rtol=0, atol=0.01)
