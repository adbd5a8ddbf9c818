"""Maps: equal to what is found by hand or by the library's own attentions; they change with the weights, and find what decides."""

import numpy as np
import pytest
import torch
from torch import nn

from tests.checkpoints import llava_med as tiny
from tests.invariant import tiny as smaller
from vesalius.cli.ask import LOOKS
from vesalius.domain.exchange import Answer, Outcome, Question
from vesalius.domain.study import Image, Intensity, Modality, single
from vesalius.errors import InvalidValue
from vesalius.models import chexagent, llava_med, looking
from vesalius.models.base import Sampling
from vesalius.models.composition import Composition, MLPProjector, Prompt
from vesalius.models.llama import Llama, Shape
from vesalius.models.readout import LateFusion
from vesalius.models.vit import VisionShape, VisionTransformer

SIZE = tiny.Size(image=70)  # 5 x 5 image tokens
QUESTION = Question("Is there a mass in the liver?")


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return llava_med.load(weights=tiny.official(tmp_path_factory.mktemp("m"), SIZE), dtype=torch.float32)


def _image(pixels):
    return Image(pixels=pixels[None].astype(np.float32), intensity=Intensity.RELATIVE, modality=Modality.CR)


@pytest.fixture(scope="module")
def score(model):
    return looking.AnswerScore(model.composition, model.prompt, QUESTION.text, "yes")


@pytest.fixture(scope="module")
def memory(model):
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        return model.composition.see(torch.randn(1, 3, 70, 70, generator=generator))


def test_the_score_is_the_engine_s(model, score, memory):
    with torch.no_grad():
        whole = model.engine.score(model.engine.encode_memory(memory)[0], QUESTION.text, ["yes"])[0]
        assert whole - float(score(memory)) < 0  # the engine counts the end of the answer too
        assert float(score(torch.cat((memory, memory)))[1]) == pytest.approx(float(score(memory)), abs=1e-4)


def test_occlusion_is_what_hiding_by_hand_gives(score, memory):
    grid, name = looking.occlusion(score, memory, window=1)
    with torch.no_grad():
        by_hand = []
        for cell in range(25):
            changed = memory.clone()
            changed[0, cell] = memory[0].mean(0)
            by_hand.append(max(0.0, float(score(memory) - score(changed))))
    torch.testing.assert_close(grid.flatten(), torch.tensor(by_hand), atol=1e-4, rtol=1e-3)
    assert "occlusion of 1 x 1 of 5 x 5" in name


def test_the_gradient_is_a_first_guess_at_occlusion_with_nothing(score, memory):
    """For a small step the drop equals gradient x activation."""
    grid, _ = looking.gradient(score, memory)
    cell = int(grid.flatten().argmax())
    smaller = memory.clone()
    smaller[0, cell] *= 1 - 1e-2
    with torch.no_grad():
        drop = float(score(memory) - score(smaller)) / 1e-2
    assert drop == pytest.approx(float(grid.flatten()[cell]), rel=0.1)


@pytest.mark.parametrize("method", sorted(looking.METHODS))
def test_other_weights_give_another_map(model, tmp_path, memory, method):
    other = llava_med.load(weights=tiny.official(tmp_path, SIZE, seed=9), dtype=torch.float32)
    maps = []
    for one in (model, other):
        said = one.engine.answer(one.engine.encode_memory(memory)[0], [QUESTION.text], Sampling(0.0, 4))[0].text
        maps.append(looking.METHODS[method](looking.AnswerScore(one.composition, one.prompt, QUESTION.text, said), memory)[0].flatten())
    assert all(float(m.max()) > 0 for m in maps)
    assert abs(float(torch.corrcoef(torch.stack(maps))[0, 1])) < 0.7


@pytest.mark.parametrize("method", ["gradient", "occlusion"])
@pytest.mark.parametrize("cell", [0, 7, 12, 24])
def test_the_cell_that_decides_is_found(method, cell):
    """An answer that is probable by one bright cell alone."""
    memory = torch.rand(1, 25, 4) * 0.1
    memory[0, cell] = 3.0
    grid, _ = looking.METHODS[method](lambda m: torch.log_softmax(torch.stack((m[..., 0].amax(1), torch.ones(len(m))), 1), 1)[:, 0], memory)
    found = divmod(int(grid.flatten().argmax()), 5)
    assert max(abs(found[0] - cell // 5), abs(found[1] - cell % 5)) <= 1  # a window of three cells around it


def test_the_map_lies_over_the_picture(model):
    pixels = np.zeros((40, 90))
    pixels[5:15, 60:80] = 1000
    study = single(_image(pixels))
    answer = Answer("yes", Outcome.YES)
    for method in looking.METHODS:
        drawn, name = model.saliency(study, QUESTION, answer, method=method)
        assert drawn.shape == (40, 90)
        assert 0 <= drawn.min() <= drawn.max() <= 1
        assert name.startswith(method)
    with pytest.raises(InvalidValue, match="did you mean 'gradient'"):
        model.saliency(study, QUESTION, answer, method="gradiant")


def test_tokens_that_form_no_grid_are_refused():
    with pytest.raises(InvalidValue, match="24 image tokens form no square grid"):
        looking.square(torch.zeros(1, 24, 3))


def test_a_stretched_picture_is_covered_whole():
    grid = torch.zeros(5, 5)
    grid[0] = 1.0
    padded, stretched = looking.to_image(grid, 20, 100), looking.to_image(grid, 20, 100, padded=False)
    assert padded[0].max() < 0.1  # the first row of cells lies in the border
    assert stretched[0].min() > 0.9


def test_only_the_middle_square_is_covered_where_only_it_was_seen():
    found = looking.to_middle(torch.ones(5, 5), 20, 50)
    assert found.shape == (20, 50)
    assert found[:, 15:35].min() == 1
    assert found[:, :15].max() == found[:, 35:].max() == 0


@pytest.mark.parametrize(("rows", "cols"), [(3, 7), (50, 60), (1, 5), (97, 98)])
def test_windows_cover_a_grid_of_any_shape_and_are_not_too_many(rows, cols):
    asked = []

    def score(memories):
        asked.append(len(memories))
        return memories[:, 1, 0]

    memory = torch.arange(rows * cols, dtype=torch.float32).flip(0)[None, :, None]
    grid, name = looking.occlusion(score, memory, shape=(rows, cols))
    assert grid.shape == (rows, cols)
    assert torch.isfinite(grid).all()
    assert sum(asked) <= 1025
    assert int(grid.flatten().argmax()) in (0, 1)
    assert f"of {rows} x {cols} image tokens" in name


def test_a_grid_no_larger_than_the_window_is_hidden_cell_by_cell():
    grid, name = looking.occlusion(lambda m: m[:, 2, 0], torch.tensor([[[0.0], [0.0], [4.0], [0.0]]]))
    assert grid.tolist() == [[0.0, 0.0], [3.0, 0.0]]
    assert "1 x 1 of 2 x 2" in name


def test_the_command_line_names_every_method():
    assert tuple(looking.METHODS) == LOOKS


def _rolled(attentions):
    """Rollout as it is defined, of attentions [1, heads, T, T] from the first layer to the last."""
    out = torch.eye(attentions[0].shape[-1])
    for attention in attentions:
        mixed = attention[0].mean(0) + torch.eye(len(out))
        out = mixed / mixed.sum(1, keepdim=True) @ out
    return out


@pytest.mark.parametrize("wrap", [False, True])
def test_rollout_of_a_language_model_is_that_of_the_library_s_attentions(wrap):
    lm = smaller.hosted()
    with torch.no_grad():
        memory = torch.randn(1, 9, 12, generator=torch.Generator().manual_seed(2))
        model, prompt = smaller.composed(smaller.hosted(), readout=False, wrap=wrap)
        score = looking.AnswerScore(model, prompt, "is there a mass", "yes seen")
        embeds, at = score.laid_out(memory)
        attentions = lm.model(inputs_embeds=embeds, output_attentions=True).attentions
        torch.testing.assert_close(embeds[:, at], model.projector(memory))
    found, name = looking.rollout(score, memory)
    expected = _rolled(attentions)[-2:, at].mean(0).view(3, 3)
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-6)
    assert name == "rollout through the language model of 3 x 3 image tokens"


@pytest.mark.parametrize("layer", [-1, -2, 0])
def test_rollout_of_a_tower_is_that_of_the_library_s_attentions(layer):
    from transformers import CLIPVisionConfig, CLIPVisionModel

    size = tiny.Size(image=70)
    torch.manual_seed(0)
    theirs = CLIPVisionModel(CLIPVisionConfig(**tiny.vision_config(size), initializer_factor=8.0, attn_implementation="eager")).eval()
    ours = VisionTransformer(VisionShape(70, 14, 32, 48, 3, 4))
    ours.load_state_dict({n.removeprefix("vision_model."): t for n, t in theirs.state_dict().items() if not n.endswith("position_ids")})
    pixels = torch.randn(1, 3, 70, 70)
    with torch.no_grad():
        attentions = theirs(pixels, output_attentions=True).attentions
    kept = len(attentions) + 1 + layer if layer < 0 else layer
    expected = _rolled(attentions[:kept])[1:, 1:] if kept else torch.eye(25)
    torch.testing.assert_close(ours.rollout(pixels, layer), expected, rtol=0, atol=1e-6)


def test_rollout_follows_tower_and_language_model(model, memory):
    pixels = torch.randn(1, 3, 70, 70, generator=torch.Generator().manual_seed(0))
    whole = looking.AnswerScore(model.composition, model.prompt, QUESTION.text, "yes", pixels)
    upper, _ = looking.AnswerScore(model.composition, model.prompt, QUESTION.text, "yes").flow(memory)
    tower = model.composition.tower
    found, name = looking.rollout(whole, memory)
    torch.testing.assert_close(found.flatten(), upper @ tower.vision.rollout(pixels, tower.layer), rtol=0, atol=1e-7)
    assert name.startswith("rollout through tower and language model")
    assert 0 < float(found.sum()) < 1  # words and the class token have the rest


def test_an_image_beside_the_language_model_shows_the_readout_s_attention():
    torch.manual_seed(0)

    class Nothing(nn.Module):
        def forward(self, memory):
            return memory[:, :0]

    fusion = LateFusion(32, heads=2, head_dim=8, rank=16).eval()
    composition = Composition(nn.Identity(), Nothing(), smaller.native(smaller.hosted()), fusion).eval()
    score = looking.AnswerScore(composition, Prompt(smaller.tokenizer(), smaller.TEMPLATE), "is there a mass", "yes seen")
    memory = torch.randn(1, 9, 32)
    grid, name = looking.rollout(score, memory)
    assert name == "attention of the readout of 3 x 3 image tokens"
    assert float(grid.sum()) == pytest.approx(1, abs=1e-5)
    with torch.no_grad():
        fusion.key.weight.zero_()
    flat, _ = looking.rollout(score, memory)
    torch.testing.assert_close(flat, torch.full((3, 3), 1 / 9))


def test_where_attention_cannot_be_followed_another_way_is_named():
    memory = torch.randn(1, 9, 12)
    with pytest.raises(InvalidValue, match="cannot be followed in this model: look by occlusion or gradient"):
        looking.rollout(lambda m: m.sum((1, 2)), memory)
    model, prompt = smaller.composed(smaller.hosted(), readout=False, wrap=False)
    model.projector = MLPProjector(12, 32, tokens=4)
    with pytest.raises(InvalidValue, match="from 4 image tokens to 9 cells"):
        looking.rollout(looking.AnswerScore(model, prompt, "is there a mass", "yes"), memory)
    model.projector = type("None", (nn.Module,), {"forward": lambda _, m: torch.zeros(len(m), 0, 32)})()
    with pytest.raises(InvalidValue, match="does not attend to its image"):
        looking.rollout(looking.AnswerScore(model, prompt, "is there a mass", "yes"), memory)


SIDE, PATCH, WIDTH = 7, 4, 32
BRIGHT, EVEN, SLOW = 0, 1, 15  # channels: brightness, always 1; and one that positions hardly turn


def _square(seed, cell, light=2.0):
    """Noise and a bright square of one patch."""
    pixels = torch.randn(1, 3, SIDE * PATCH, SIDE * PATCH, generator=torch.Generator().manual_seed(seed)) * 0.2
    y, x = (PATCH * c for c in divmod(cell, SIDE))
    pixels[:, :, y : y + PATCH, x : x + PATCH] += light
    return pixels


@torch.no_grad()
def _made(*, attends):
    """A model that says yes where the mean brightness of what it reads is high: by hand, so that what decides is known.

    Args:
        attends: whether it looks at bright cells more; else at all positions alike.
    """
    tower = chexagent.Tower(VisionShape(SIDE * PATCH, PATCH, WIDTH, 8, 0, 1, class_token=False, pre_norm=False, bias=True))
    lm = Llama(Shape(64, WIDTH, 8, 1, 1, 1, WIDTH, 256, 1e4, 1e-5, tied=False))
    model, prompt = Composition(tower, nn.Identity(), lm), Prompt(smaller.tokenizer(), smaller.TEMPLATE)
    for name, parameter in model.named_parameters():
        parameter.fill_(float("norm" in name and name.endswith("weight")))
    cells, layer = tower.vision.embeddings.patch_embedding, lm.model.layers[0].self_attn
    cells.weight[BRIGHT] = 1 / cells.weight[BRIGHT].numel()
    cells.bias[EVEN] = lm.model.embed_tokens.weight[:, EVEN] = 1.0
    layer.v_proj.weight[BRIGHT, BRIGHT], layer.o_proj.weight[BRIGHT, BRIGHT] = 1.0, 20.0
    if attends:
        layer.k_proj.weight[SLOW, BRIGHT], layer.q_proj.weight[SLOW, EVEN] = 1.0, 1.0
    lm.lm_head.weight[prompt.answer("yes")[0], BRIGHT] = lm.lm_head.weight[prompt.answer("no")[0], EVEN] = 1.0
    return model.eval(), prompt


@pytest.mark.parametrize("attends", [False, True])
@pytest.mark.parametrize("method", sorted(looking.METHODS))
def test_the_square_that_decides_is_pointed_at(method, attends):
    model, prompt = _made(attends=attends)
    hits, spread = 0, []
    for cell in range(SIDE**2):
        pixels = _square(cell, cell)
        with torch.no_grad():
            memory = model.see(pixels)
        score = looking.AnswerScore(model, prompt, "is there a mass", "yes", pixels)
        grid, _ = looking.METHODS[method](score, memory)
        found = divmod(int(grid.flatten().argmax()), SIDE)
        hits += max(abs(found[0] - cell // SIDE), abs(found[1] - cell % SIDE)) <= (method == "occlusion")  # its window reaches one cell further
        spread.append(float(grid.max() / grid.min().clamp(min=1e-12)))
    if method == "rollout" and not attends:
        assert max(spread) == pytest.approx(1, abs=1e-4)  # the answer depends on the square, but attention did not choose it: the map is flat
    else:
        assert hits >= 45  # of 49


class _Mixing(nn.Module):
    """A tower whose every cell holds the mean of all: no cell alone says where something stood."""

    def __init__(self, tower):
        super().__init__()
        self.tower = tower

    def forward(self, pixels):
        seen = self.tower(pixels)
        return seen.mean(1, keepdim=True).expand_as(seen)


def test_hidden_pixels_find_the_square_where_hidden_tokens_cannot():
    model, prompt = _made(attends=False)
    model.tower = _Mixing(model.tower)
    hits = {True: 0, False: 0}
    for cell in range(SIDE**2):
        pixels = _square(cell, cell)
        with torch.no_grad():
            memory = model.see(pixels)
        for at_hand in hits:
            score = looking.AnswerScore(model, prompt, "is there a mass", "yes", pixels if at_hand else None)
            grid, name = looking.occlusion(score, memory)
            assert ("parts of the picture" in name) is at_hand
            found = divmod(int(grid.flatten().argmax()), SIDE)
            hits[at_hand] += max(abs(found[0] - cell // SIDE), abs(found[1] - cell % SIDE)) <= 1
    assert hits[True] >= 45  # of 49
    assert hits[False] <= 15  # the nine cells around the first of equals, and chance


def test_what_is_hidden_is_a_square_of_the_mean_colour():
    pixels = torch.rand(1, 3, 28, 28, generator=torch.Generator().manual_seed(0))
    (hidden,) = looking.hide(pixels, torch.arange(49)[None] == 9, 7, 7)
    changed = (hidden != pixels[0]).all(0)
    assert changed.sum() == 16
    assert changed[4:8, 8:12].all()
    torch.testing.assert_close(hidden[:, 4, 8], pixels[0].mean((1, 2)))


def test_without_the_square_the_answer_is_another():
    """What the pointing tests rest on."""
    model, prompt = _made(attends=False)
    for pixels, more in ((_square(0, 20), True), (_square(0, 20, light=0.0), False)):
        with torch.no_grad():
            yes, no = (float(looking.AnswerScore(model, prompt, "is there a mass", w)(model.see(pixels))) for w in ("yes", "no"))
        assert (yes > no) is more
