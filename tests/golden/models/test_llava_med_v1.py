"""LLaVA-Med v1.0 against its official code: logits, token ids, pixels and sums of differences of a tiny checkpoint in the official layout."""

import hashlib
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from tests.checkpoints import llava_med_v1 as tiny
from vesalius.models import checkpoint, llava, llava_med_v1

GOLDEN = np.load(Path(__file__).with_name("llava_med_v1.npz"))
BIOMEDICAL = np.load(Path(__file__).with_name("llava_med_v1_biomedclip.npz"))
TOLERANCE = 1e-5


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tiny.official(tmp_path_factory.mktemp("llava-med-v1"))


@pytest.fixture(scope="module")
def load(folder):
    return lambda **options: llava_med_v1.load(weights=folder, dtype=torch.float32, **options)


@pytest.fixture(scope="module")
def models(load):
    return {name: load(conversation=name) for name in llava_med_v1.SYSTEMS}


def _logits(composition, case, golden=GOLDEN):
    pixels = torch.from_numpy(golden[f"{case}_pixels"])
    made = llava.logits(composition, json.loads(str(golden[f"{case}_rows"])), pixels if len(pixels) else None)
    return torch.cat(made).numpy()[:, ::7]


@pytest.mark.parametrize("case", ["one", "none", "ragged"])
def test_logits_are_those_of_the_official_code(models, case):
    np.testing.assert_allclose(_logits(models["simple"].composition, case), GOLDEN[f"{case}_logits"], rtol=0, atol=TOLERANCE)


def test_another_feature_layer_would_be_noticed(load):
    wrong = load()
    wrong.composition.tower.layer = -1
    assert np.abs(_logits(wrong.composition, "one") - GOLDEN["one_logits"]).max() > 1e3 * TOLERANCE


@pytest.fixture(scope="module")
def biomedical(load, tmp_path_factory):
    folder = tiny.biomedical(tmp_path_factory.mktemp("biomedical"))
    return lambda **changes: (tiny.reconfigure(folder, **changes), llava_med_v1.load(weights=folder, dtype=torch.float32))[1]


@pytest.mark.parametrize("case", ["one", "none", "ragged"])
def test_with_biomedclip_s_tower_logits_are_those_of_the_official_code(biomedical, case):
    """The official code with timm 0.9.12 and open_clip 2.23.0."""
    np.testing.assert_allclose(_logits(biomedical().composition, case, BIOMEDICAL), BIOMEDICAL[f"{case}_logits"], rtol=0, atol=TOLERANCE)


@pytest.mark.parametrize("layer", range(-3, 3))
def test_of_biomedclip_s_last_three_states_the_same_one_is_seen(biomedical, layer):
    model = biomedical(mm_vision_select_layer=layer)
    seen = model.composition.see(torch.from_numpy(BIOMEDICAL["one_pixels"]))[0, ::3].detach().numpy()
    np.testing.assert_allclose(seen, BIOMEDICAL[f"features_{layer}"], rtol=0, atol=TOLERANCE)
    if layer % 3 != 1:
        assert np.abs(_logits(model.composition, "one", BIOMEDICAL) - BIOMEDICAL["one_logits"]).max() > 1e3 * TOLERANCE


@pytest.mark.parametrize("number", range(12))
def test_prompts_are_those_of_the_official_code(models, number):
    case = json.loads(str(GOLDEN["prompts"]))[number]
    turns = [tuple(turn) for turn in case["turns"]]
    text = llava_med_v1.prompt_text(turns, conversation=case["conversation"], images=case["images"], marked=case["marked"])
    assert text == case["text"]
    prompt = models[case["conversation"]].prompt
    assert list(prompt.around(text)) == case["ids"]
    assert case["full"] == len(case["ids"]) + (255 if case["images"] else 0)
    if len(turns) == 1 and case["images"] and case["marked"]:  # the engine asks with the same ids
        assert [*prompt.before, *prompt.question(turns[0][0])] == case["ids"]


def test_sums_of_differences_are_those_of_the_official_code(tmp_path):
    made = llava_med_v1.apply_delta(tiny.base(tmp_path / "base"), tiny.delta(tmp_path / "delta"), tmp_path / "target")
    digest = hashlib.sha256()
    for name, tensor in sorted(checkpoint.read(made).items()):
        digest.update(name.encode() + tensor.contiguous().numpy().tobytes())
    assert digest.hexdigest() == str(GOLDEN["delta_sha256"])


@pytest.mark.parametrize("number", range(12))
def test_pixels_are_those_of_the_official_processor(number):
    """The processor of openai/clip-vit-large-patch14: shorter side to 224, middle cut out; equal but for the rounding of the last step."""
    from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil

    rng = np.random.default_rng(number)
    rows, cols = (int(n) for n in rng.integers(30, 700, 2))
    shape = (rows, cols) if number % 3 == 0 else (rows, cols, 3)
    rendered = rng.integers(0, 256, shape, dtype=np.uint8)
    processor = CLIPImageProcessorPil(size={"shortest_edge": 224}, crop_size={"height": 224, "width": 224})
    expected = processor(Image.fromarray(rendered).convert("RGB"), return_tensors="np")["pixel_values"][0]
    np.testing.assert_allclose(llava_med_v1.prepare(rendered).numpy(), expected, rtol=0, atol=1e-5)
