"""CheXagent-2 against its official code (under transformers 4.40.0): logits, token ids and pixels of a tiny checkpoint in the official layout."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from tests.checkpoints import chexagent as tiny
from vesalius.models import checkpoint, chexagent, llava

GOLDEN = np.load(Path(__file__).with_name("chexagent.npz"))
TOLERANCE = 1e-5
CASES = ["one", "two", "none", "ragged"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tiny.official(tmp_path_factory.mktemp("chexagent"))


@pytest.fixture(scope="module")
def model(folder):
    return tiny.load(folder)


def _given(case):
    pixels = torch.from_numpy(GOLDEN[f"{case}_pixels"])
    return json.loads(str(GOLDEN[f"{case}_rows"])), pixels if len(pixels) else None


def _logits(composition, case):
    return torch.cat(chexagent.logits(composition, *_given(case))).numpy()[:, ::7]


@pytest.mark.parametrize("case", CASES)
def test_logits_are_those_of_the_official_code(model, case):
    np.testing.assert_allclose(_logits(model.composition, case), GOLDEN[f"{case}_logits"], rtol=0, atol=TOLERANCE)


@pytest.mark.parametrize("wrong", ["the stored norm", "another layer", "no positions"])
def test_another_feature_would_be_noticed(folder, wrong):
    model = tiny.load(folder).composition
    if wrong == "the stored norm":
        norm = {n: t for n, t in checkpoint.read(folder).items() if "post_layernorm" in n}
        model.tower.forward = lambda pixels: torch.nn.functional.layer_norm(
            model.tower.vision.states(pixels), (32,), *(norm[f"model.visual.model.post_layernorm.{k}"] for k in ("weight", "bias")), 1e-6
        )
    elif wrong == "another layer":
        model.tower.forward = lambda pixels: model.tower.vision.states(pixels, -2)
    else:
        model.projector.pos_embed.zero_()
    assert np.abs(_logits(model, "one") - GOLDEN["one_logits"]).max() > 1e3 * TOLERANCE


@pytest.mark.parametrize("case", CASES)
def test_logits_are_those_of_the_library_s_parts(folder, model, case):
    """SigLIP and Phi as transformers has them today, the projector in plain torch, and the places of the images written out."""
    from transformers import PhiConfig, PhiForCausalLM, SiglipVisionConfig, SiglipVisionModel

    held, size = checkpoint.read(folder), tiny.Size()
    vision = SiglipVisionModel(SiglipVisionConfig(**{k: v for k, v in tiny.vision_config(size).items() if k != "model_type"})).eval()
    own = {n.removeprefix("model.visual.model."): t for n, t in held.items() if n.startswith("model.visual.model.")}
    inside = getattr(vision, "vision_model", vision)
    inside.load_state_dict(own)
    language = PhiForCausalLM(PhiConfig(**tiny.text_config(size), attn_implementation="eager")).eval()
    language.load_state_dict({n: t for n, t in held.items() if not n.startswith("model.visual.")})
    visual = {n.removeprefix("model.visual."): t for n, t in held.items() if n.startswith("model.visual.")}
    rows, pixels = _given(case)
    made, at = [], 0
    with torch.no_grad():
        for row in rows:
            parts = []
            for token in row:
                if token == llava.IMAGE:
                    x = inside.encoder(inputs_embeds=inside.embeddings(pixels[at : at + 1])).last_hidden_state[0] + visual["pos_embed"]
                    x = torch.nn.functional.gelu(x @ visual["attn_pool.0.weight"].T + visual["attn_pool.0.bias"])
                    x = x @ visual["attn_pool.2.weight"].T + visual["attn_pool.2.bias"]
                    x = (x - x.mean(-1, keepdim=True)) / (x.var(-1, unbiased=False, keepdim=True) + 1e-6).sqrt()
                    parts.append((x * visual["ln_post.weight"] + visual["ln_post.bias"]) @ visual["proj"])
                    at += 1
                else:
                    parts.append(held["model.embed_tokens.weight"][token][None])
            made.append(language(inputs_embeds=torch.cat(parts)[None]).logits[0])
    for ours, theirs in zip(chexagent.logits(model.composition, rows, pixels), made, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=0, atol=TOLERANCE)


@pytest.mark.parametrize("number", range(11))
def test_prompts_are_those_of_the_official_code(model, number):
    case = json.loads(str(GOLDEN["prompts"]))[number]
    text = chexagent.prompt_text([tuple(turn) for turn in case["turns"]], system=case["system"], images=case["images"])
    assert text == case["text"]
    assert list(model.prompt.around(text)) == case["ids"]


@pytest.mark.parametrize("number", [0, 4, 5, 7])
def test_the_engine_asks_with_the_same_ids(model, number):
    """The chunks around the image are cut where the official tokenizer cuts, also before blanks and line breaks."""
    case = json.loads(str(GOLDEN["prompts"]))[number]
    assert [*model.prompt.before, llava.IMAGE, *model.prompt.between, *model.prompt.question(case["turns"][0][0])] == case["ids"]


@pytest.mark.parametrize("number", range(20))
def test_pixels_are_those_of_the_published_processor(number):
    from transformers.models.siglip.image_processing_pil_siglip import SiglipImageProcessorPil

    rng = np.random.default_rng(number)
    rows, cols = (int(n) for n in rng.integers(5, 900, 2))
    rendered = rng.integers(0, 256, (rows, cols) if number % 3 == 0 else (rows, cols, 3), dtype=np.uint8)
    processor = SiglipImageProcessorPil(size={"height": 512, "width": 512}, resample=3, image_mean=[0.5] * 3, image_std=[0.5] * 3)
    expected = processor(Image.fromarray(rendered).convert("RGB"), return_tensors="np")["pixel_values"][0]
    np.testing.assert_allclose(chexagent.prepare(rendered).numpy(), expected, rtol=0, atol=1e-5)
