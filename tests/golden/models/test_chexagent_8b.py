"""CheXagent's first version against its official modelling code (under transformers 4.40.0), and against BLIP-2's parts of today's library."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from tests.checkpoints import chexagent_8b as tiny
from vesalius.models import checkpoint, chexagent_8b

GOLDEN = np.load(Path(__file__).with_name("chexagent_8b.npz"))  # seed 0 of the checkpoint, 7 of the films
TOLERANCE = 1e-5
CASES = ["one", "two", "none", "ragged"]
PROMPTS = json.loads(str(GOLDEN["prompts"]))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tiny.official(tmp_path_factory.mktemp("chexagent-8b"))


@pytest.fixture(scope="module")
def model(folder):
    return tiny.load(folder)


def _given(case):
    held, at, films = json.loads(str(GOLDEN[f"{case}_rows"])), 0, []
    for count in held["films"]:
        films.append(torch.from_numpy(GOLDEN[f"{case}_films"][at : at + count]) if count else None)
        at += count
    return held["rows"], films


def _logits(composition, case):
    return torch.cat(chexagent_8b.logits(composition, *_given(case))).numpy()[:, ::7]


@pytest.mark.parametrize("case", CASES)
def test_logits_are_those_of_the_official_code(model, case):
    np.testing.assert_allclose(_logits(model.composition, case), GOLDEN[f"{case}_logits"], rtol=0, atol=TOLERANCE)


@pytest.mark.parametrize("wrong", ["another layer", "before the final norm", "no class token"])
@pytest.mark.parametrize("case", ["one", "two"])
def test_another_feature_would_be_noticed(folder, wrong, case):
    model = tiny.load(folder).composition
    vision = model.tower.vision
    model.tower.forward = {
        "another layer": lambda pixels: vision.post_layernorm(vision.states(pixels, -2)),
        "before the final norm": vision.states,
        "no class token": lambda pixels: vision(pixels)[:, 1:],
    }[wrong]
    assert np.abs(_logits(model, case) - GOLDEN[f"{case}_logits"]).max() > 1e3 * TOLERANCE


def test_films_read_one_by_one_would_be_noticed(model):
    """Two films are one memory of the queries: no mean or sum of what each gives alone."""
    rows, films = _given("two")
    alone = [chexagent_8b.logits(model.composition, rows, [film[None]])[0] for film in films[0]]
    mean = torch.stack(alone).mean(0).numpy()[:, ::7]
    assert np.abs(mean - GOLDEN["two_logits"]).max() > 1e3 * TOLERANCE


@pytest.mark.parametrize("case", CASES)
def test_logits_are_those_of_the_library_s_parts(folder, model, case):
    """The tower and the Q-Former of BLIP-2 and Mistral as transformers has them today; what stands before what is written out."""
    from transformers import Blip2QFormerConfig, Blip2QFormerModel, Blip2VisionConfig, Blip2VisionModel, MistralConfig, MistralForCausalLM

    held, config = checkpoint.read(folder), tiny.config(tiny.Size())

    def part(prefix):
        return {n.removeprefix(prefix): t for n, t in held.items() if n.startswith(prefix)}

    def known(name):
        return {k: v for k, v in config[name].items() if k not in ("model_type", "architectures")}

    vision = Blip2VisionModel(Blip2VisionConfig(**known("vision_config"), hidden_act="gelu", layer_norm_eps=1e-6, attn_implementation="eager")).eval()
    vision.load_state_dict(part("vision_model."))
    former = Blip2QFormerModel(Blip2QFormerConfig(**known("qformer_config"), attn_implementation="eager")).eval()
    former.load_state_dict(part("qformer."))
    language = MistralForCausalLM(MistralConfig(**known("text_config"), attn_implementation="eager")).eval()
    language.load_state_dict(part("language_model."))
    rows, films = _given(case)
    made = []
    with torch.no_grad():
        for row, few in zip(rows, films, strict=True):
            embeds = held["language_model.model.embed_tokens.weight"][row]
            if few is not None:
                states = vision(pixel_values=few).last_hidden_state.flatten(0, 1)[None]
                read = former(query_embeds=held["query_tokens"], encoder_hidden_states=states).last_hidden_state[0]
                embeds = torch.cat((read @ held["language_projection.weight"].T + held["language_projection.bias"], embeds))
            made.append(language(inputs_embeds=embeds[None]).logits[0])
    for ours, theirs in zip(chexagent_8b.logits(model.composition, rows, films), made, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=0, atol=TOLERANCE)


@pytest.mark.parametrize("number", range(10))
def test_prompts_are_those_of_the_published_kind_of_tokenizer(model, number):
    case = PROMPTS[number]
    assert case["ids"] == case["fast"]  # both of the library's tokenizers agree
    assert chexagent_8b.prompt_text(case["question"]) == case["text"]
    assert list(model.prompt.around(case["text"])) == case["ids"]
    assert [*model.prompt.before, *model.prompt.between, *model.prompt.question(case["question"])] == case["ids"]


@pytest.mark.parametrize("number", range(20))
def test_pixels_are_those_of_the_library_s_processor(number):
    from transformers.models.blip.image_processing_pil_blip import BlipImageProcessorPil

    rng = np.random.default_rng(number)
    rows, cols = (int(n) for n in rng.integers(5, 900, 2))
    rendered = rng.integers(0, 256, (rows, cols) if number % 3 == 0 else (rows, cols, 3), dtype=np.uint8)
    processor = BlipImageProcessorPil(size={"height": 448, "width": 448})
    expected = processor(Image.fromarray(rendered).convert("RGB"), return_tensors="np")["pixel_values"][0]
    np.testing.assert_allclose(chexagent_8b.prepare(rendered).numpy(), expected, rtol=0, atol=1e-5)
