"""Where stock models look: their own scores, the library's own attentions, and cells that lie where the picture has them."""

import numpy as np
import pytest
import torch

from tests.checkpoints import stock as tiny
from vesalius.domain.exchange import Answer, Outcome, Question
from vesalius.domain.study import Image, Intensity, Modality, single
from vesalius.errors import InvalidValue
from vesalius.models import looking, stock, stock_looking
from vesalius.models.base import LooksAt
from vesalius.models.stock_looking import StockScore, cells

FAMILIES = {"gemma": (stock.MEDGEMMA, tiny.gemma), "qwen": (stock.LINGSHU, tiny.qwen)}
QUESTION, SAID = Question("Is there a mass in the left lung?"), "Yes, a mass"
ANSWER = Answer(SAID, Outcome.TEXT)


@pytest.fixture(scope="module", params=sorted(FAMILIES))
def model(request, tmp_path_factory):
    family, build = FAMILIES[request.param]
    return stock.load(family, weights=build(tmp_path_factory.mktemp(request.param)), dtype=torch.float32, facts=tiny.card(family.name))


def _score(model, study, said=SAID):
    features, grid = model.see(study)
    return StockScore(model, grid, QUESTION.text, said, model.pixels(study)["pixel_values"]), features[None]


def test_the_score_is_that_of_the_answers_own_words(model):
    study = tiny.study()
    score, memory = _score(model, study)
    with torch.no_grad():
        found = score(torch.cat((memory, memory.flip(1))))
    ids, image = model.prompt.answer(SAID), model.encode(study)
    first, cache = model._read(image, QUESTION.text)
    rows = model._logprobs(model._run(ids[:-1], image.place + len(model.prompt.question(QUESTION.text)), cache, keep=len(ids) - 1))
    expected = float(first[ids[0]]) + sum(float(rows[i, token]) for i, token in enumerate(ids[1:]))
    assert float(found[0]) == pytest.approx(expected, abs=1e-4)
    assert abs(float(found[0] - found[1])) > 1e-3


def _rolled(attentions):
    out = torch.eye(attentions[0].shape[-1])
    for attention in attentions:
        out = (attention[0].mean(0) + torch.eye(len(out))) / 2 @ out
    return out


def test_rollout_is_that_of_the_library_s_attentions(model):
    study = tiny.study(3)
    score, memory = _score(model, study)
    found, name = score.flow(memory)
    inputs = model.inputs(memory[0], score.grid, score.words)
    before = model.model.config.get_text_config()._attn_implementation
    model.model.set_attn_implementation("eager")
    try:
        with torch.no_grad():
            attentions = model.model(**inputs, use_cache=False, output_attentions=True).attentions
            start, count = len(model.prompt.before), memory.shape[1]
            expected = _rolled(attentions)[-len(score.said) :, start : start + count].mean(0)
            if not model.family.grid:
                tower = _rolled(model.model.model.vision_tower(score.pixels, output_attentions=True).attentions)
                side = int(len(tower) ** 0.5)
                pool = torch.nn.functional.avg_pool2d(torch.eye(len(tower)).view(-1, 1, side, side), side // 2).flatten(1).T  # a token: the mean of 4 patches
                expected = expected @ pool @ tower @ (pool > 0).float().T
    finally:
        model.model.set_attn_implementation(before)
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-6)
    assert name == ("rollout through the language model" if model.family.grid else "rollout through tower and language model")


def test_following_attention_leaves_the_model_as_it_was(model, monkeypatch):
    study = tiny.study()
    score, memory = _score(model, study)
    config, before = model.model.config.get_text_config(), model.model.config.get_text_config()._attn_implementation
    with torch.no_grad():
        first = float(score(memory))
        score.flow(memory)
        assert float(score(memory)) == first
        monkeypatch.setattr(stock_looking, "followed", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            score.flow(memory)
    assert config._attn_implementation == before


def test_a_changed_place_changes_the_cell_that_lies_there(model):
    """The tower mixes places a little; in most cells what lies there moves most."""
    shape = (32, 32) if not model.family.grid else (24, 32)
    shown = np.random.default_rng(0).integers(90, 110, (1, *shape, 3), dtype=np.uint8)
    plain, grid = model.see(single(Image(shown, Intensity.COLOUR, Modality.OT)))
    rows, cols = cells(model, len(plain), grid)
    assert rows * cols == len(plain)
    hits = 0
    for cell in range(rows * cols):
        y, x = divmod(cell, cols)
        high, wide = shape[0] // rows, shape[1] // cols
        changed = shown.copy()
        changed[:, y * high : (y + 1) * high, x * wide : (x + 1) * wide] = 255
        hits += int((model.see(single(Image(changed, Intensity.COLOUR, Modality.OT)))[0] - plain).norm(dim=1).argmax()) == cell
    assert hits >= 0.75 * rows * cols


@pytest.mark.parametrize("method", sorted(looking.METHODS))
@pytest.mark.parametrize("shape", [(40, 56), (64, 24)])
def test_maps_lie_over_the_picture(model, method, shape):
    assert isinstance(model, LooksAt)
    found, name = model.saliency(tiny.study(1, shape), QUESTION, ANSWER, method=method)
    again, _ = model.saliency(tiny.study(1, shape), QUESTION, ANSWER, method=method)
    assert found.shape == shape
    assert 0 <= found.min() <= found.max() <= 1
    np.testing.assert_array_equal(found, again)
    assert name.startswith(method)


def test_bad_words_are_refused(model):
    with pytest.raises(InvalidValue, match="did you mean 'rollout'"):
        model.saliency(tiny.study(), QUESTION, ANSWER, method="rolout")
    assert np.isfinite(model.saliency(tiny.study(), QUESTION, Answer("", Outcome.UNPARSED), method="gradient")[0]).all()
