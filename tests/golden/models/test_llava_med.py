"""LLaVA-Med v1.5 against its official code: logits, token ids and pixels of a tiny checkpoint in the official layout."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from tests.checkpoints import llava_med as tiny
from vesalius.models import llava, llava_med

GOLDEN = np.load(Path(__file__).with_name("llava_med.npz"))
TOLERANCE = 1e-5


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tiny.official(tmp_path_factory.mktemp("llava-med"))


@pytest.fixture(scope="module")
def model(folder):
    return llava_med.load(weights=folder, dtype=torch.float32)


def _logits(composition, case):
    pixels = torch.from_numpy(GOLDEN[f"{case}_pixels"])
    made = llava.logits(composition, json.loads(str(GOLDEN[f"{case}_rows"])), pixels if len(pixels) else None)
    return torch.cat(made).numpy()[:, ::7]


@pytest.mark.parametrize("case", ["one", "two", "none", "ragged"])
def test_logits_are_those_of_the_official_code(model, case):
    np.testing.assert_allclose(_logits(model.composition, case), GOLDEN[f"{case}_logits"], rtol=0, atol=TOLERANCE)


def test_another_feature_layer_would_be_noticed(folder):
    wrong = llava_med.load(weights=folder, dtype=torch.float32)
    wrong.composition.tower.layer = -1
    assert np.abs(_logits(wrong.composition, "one") - GOLDEN["one_logits"]).max() > 1e3 * TOLERANCE


@pytest.mark.parametrize("number", range(11))
def test_prompts_are_those_of_the_official_code(model, number):
    case = json.loads(str(GOLDEN["prompts"]))[number]
    text = llava_med.prompt_text([tuple(turn) for turn in case["turns"]], system=case["system"], images=case["images"])
    assert text == case["text"]
    assert list(model.prompt.around(text)) == case["ids"]


def test_the_engine_asks_with_the_same_ids(model):
    question = "Is there a mass in the liver?"
    whole = model.prompt.around(llava_med.prompt_text([(question, None)]))
    assert (*model.prompt.before, llava.IMAGE, *model.prompt.question(question)) == whole


@pytest.mark.parametrize("number", range(20))
def test_pixels_are_those_of_the_official_processor(number):
    """Padding by the published rule, the rest by the processor it calls; equal but for the rounding of the last step."""
    from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil

    rng = np.random.default_rng(number)
    rows, cols = (int(n) for n in rng.integers(5, 700, 2))
    shape = (rows, cols) if number % 3 == 0 else (rows, cols, 3)
    rendered = rng.integers(0, 256, shape, dtype=np.uint8)
    picture = Image.fromarray(rendered).convert("RGB")
    side = max(rows, cols)
    padded = Image.new("RGB", (side, side), (122, 116, 104))
    padded.paste(picture, ((side - cols) // 2, (side - rows) // 2))
    processor = CLIPImageProcessorPil(size={"shortest_edge": 336}, crop_size={"height": 336, "width": 336})
    expected = processor(padded, return_tensors="np")["pixel_values"][0]
    np.testing.assert_allclose(llava_med.prepare(rendered).numpy(), expected, rtol=0, atol=1e-5)
