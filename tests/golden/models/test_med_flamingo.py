"""Med-Flamingo against open_flamingo 0.0.2, which it pins, and 2.0.1 (under transformers 4.30.2, open_clip 2.16.0): a tiny checkpoint in the official layout.

The golden token ids are those of the fast LLaMA tokenizer of that time, which forgot the piece of score 0 when it listed its merges; that was mended.
"""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from tests.checkpoints import med_flamingo as tiny
from vesalius.models import checkpoint, flamingo, med_flamingo
from vesalius.models.base import Sampling

GOLDEN = np.load(Path(__file__).with_name("med_flamingo.npz"))
TOLERANCE = 1e-5
CASES = ["one", "two", "none", "ragged"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tiny.official(tmp_path_factory.mktemp("med-flamingo"))


@pytest.fixture(scope="module")
def models(folder):
    return {rule: tiny.load(folder, rule=rule) for rule in flamingo.RULES}


def _given(case):
    pixels = torch.from_numpy(GOLDEN[f"{case}_pixels"])
    return json.loads(str(GOLDEN[f"{case}_rows"])), pixels if len(pixels) else None


def _difference(model, case, rule):
    made = torch.cat(flamingo.logits(model.composition, *_given(case)))[:, : tiny.Size().rows]
    return np.abs(made.numpy()[:, ::7] - GOLDEN[f"{rule}_{case}_logits"]).max()


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("rule", flamingo.RULES)
def test_logits_are_those_of_the_official_code(models, rule, case):
    """ "following" is open_flamingo 0.0.2, "preceding" 2.0.1."""
    assert _difference(models[rule], case, rule) <= TOLERANCE


@pytest.mark.parametrize("case", ["one", "two", "ragged"])
@pytest.mark.parametrize("rule", flamingo.RULES)
def test_another_rule_would_be_noticed(models, rule, case):
    other = next(r for r in flamingo.RULES if r != rule)
    assert _difference(models[other], case, rule) > 1e2 * TOLERANCE


@pytest.mark.parametrize("wrong", ["all images", "the final norm", "the class token", "no gate"])
def test_another_way_of_looking_would_be_noticed(folder, models, monkeypatch, wrong):
    model, case = tiny.load(folder, rule="preceding"), "two"
    if wrong == "all images":
        plain = flamingo._CrossAttention.forward

        def average(self, x, sight):
            """Every position sees every image, half of it each."""
            seen = [plain(self, x, flamingo.Sight(sight.latents, torch.full_like(sight.seen, i))) for i in range(len(sight.latents))]
            return torch.stack(seen).mean(0)

        monkeypatch.setattr(flamingo._CrossAttention, "forward", average)
    elif wrong == "the final norm":
        norm = [checkpoint.read(folder / "clip")[f"vision_model.post_layernorm.{k}"] for k in ("weight", "bias")]
        model.composition.tower.forward = lambda pixels: torch.nn.functional.layer_norm(model.composition.tower.vision.states(pixels)[:, 1:], (128,), *norm)
    elif wrong == "the class token":
        model.composition.tower.forward = lambda pixels: model.composition.tower.vision.states(pixels)
    else:
        model.composition.lm.gated["3"].attn_gate.data.fill_(50.0)
    assert _difference(model, case, "preceding") > 1e2 * TOLERANCE


@pytest.mark.parametrize("case", ["one", "two"])
@pytest.mark.parametrize("rule", flamingo.RULES)
def test_greedy_answers_are_those_of_the_official_code(models, rule, case):
    model = models[rule]
    rows, pixels = _given(case)
    latents = model.composition.latents(model.composition.see(pixels))
    image = rows[0].index(model.composition.image) if case == "one" else len(rows[0]) - 1 - rows[0][::-1].index(model.composition.image)
    inner = flamingo.Shots(tuple(rows[0][1:image]), latents[:-1] if case == "two" else None)
    prompt = model.engine.prompt
    whole, question = prompt.before, prompt.question
    try:  # the golden prompts are cut where the engine cuts, but one has no first sentence
        prompt.before, prompt.question = tuple(rows[0][:1]), lambda _: tuple(rows[0][image + 1 :])
        made = model.engine.answer(model.engine._encode(latents[-1:], inner), ["?"], Sampling(max_new_tokens=10))[0]
    finally:
        prompt.before, prompt.question = whole, question
    assert list(made.ids) == json.loads(str(GOLDEN[f"{rule}_{case}_greedy"]))


@pytest.mark.parametrize("case", CASES)
def test_prompts_are_those_of_the_official_tokenizer(models, case):
    model = models["following"]
    for text, ids in zip(json.loads(str(GOLDEN[f"{case}_texts"])), json.loads(str(GOLDEN[f"{case}_rows"])), strict=True):
        assert list(model.prompt.around(text)) == ids
    for text, ids in json.loads(str(GOLDEN["prompts"])):
        assert list(model.prompt.around(text)) == ids


def test_the_engine_asks_with_the_same_ids(models):
    """Example by example and question by question, as the whole text at once; it is the golden text."""
    model = models["following"]
    turns = [("Is it normal?", "no."), ("What is shown?", None)]
    text = med_flamingo.prompt_text(turns)
    assert text == json.loads(str(GOLDEN["ragged_texts"]))[0]
    pieces = (*model.prompt.before, *model.prompt.shot(*turns[0]), model.composition.image, *model.prompt.question(turns[1][0]))
    assert pieces == model.prompt.around(text)


@pytest.mark.parametrize("number", range(12))
def test_pixels_are_those_of_the_published_processor(number):
    from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil

    rng = np.random.default_rng(number)
    side = int(rng.integers(5, 700))
    rendered = rng.integers(0, 256, (side, side) if number % 3 == 0 else (side, side, 3), dtype=np.uint8)
    processor = CLIPImageProcessorPil(size={"shortest_edge": 224}, crop_size={"height": 224, "width": 224})
    expected = processor(Image.fromarray(rendered).convert("RGB"), return_tensors="np")["pixel_values"][0]
    np.testing.assert_allclose(med_flamingo.prepare(rendered).numpy(), expected, rtol=0, atol=1e-5)
