"""The Flamingo shape: who sees what, gates that are shut, rows that do not disturb each other, bad input."""

import pytest
import torch

from tests.checkpoints import med_flamingo as tiny
from vesalius.errors import InvalidValue
from vesalius.models import flamingo
from vesalius.models.decoder import Causal
from vesalius.models.llama import Llama, Shape

IMAGE = 9
PIXELS = torch.randn(3, 3, 28, 28, generator=torch.Generator().manual_seed(1))
LANGUAGE = Shape(vocabulary=20, width=16, inner=24, layers=4, heads=2, kv_heads=2, head_dim=8, context=32, rope_theta=1e4, eps=1e-6, tied=False)


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return tiny.load(tiny.official(tmp_path_factory.mktemp("flamingo"))).composition


@pytest.mark.parametrize(
    ("row", "following", "preceding"),
    [
        ([], [], []),
        ([1, 2], [-1, -1], [-1, -1]),
        ([IMAGE], [0], [0]),
        ([1, IMAGE, 2, 3], [0, 0, -1, -1], [-1, 0, 0, 0]),
        ([1, IMAGE, 2, IMAGE, 3], [0, 0, 1, 1, -1], [-1, 0, 0, 1, 1]),
        ([IMAGE, IMAGE, 1], [0, 1, -1], [0, 1, 1]),
    ],
)
def test_each_position_sees_one_image_or_none(row, following, preceding):
    assert flamingo.seen_images(row, IMAGE, "following") == following
    assert flamingo.seen_images(row, IMAGE, "preceding") == preceding


def _seeing():
    torch.manual_seed(0)
    lm = flamingo.SeeingLlama(LANGUAGE, 8, 2)
    for layer in lm.gated.values():
        torch.nn.init.normal_(layer.attn_gate)
        torch.nn.init.normal_(layer.ff_gate)
    return lm.eval()


def test_shut_gates_leave_the_language_model_as_it_was():
    lm = flamingo.SeeingLlama(LANGUAGE, 8, 2).eval()
    plain = Llama(LANGUAGE)
    plain.load_state_dict({n: t for n, t in lm.state_dict().items() if not n.startswith("gated.")})
    embeds, positions = torch.randn(2, 5, 16), torch.arange(5).expand(2, -1)
    sight = flamingo.Sight(torch.randn(2, 3, 8), torch.zeros(2, 5, dtype=torch.long))
    assert sorted(lm.gated) == ["1", "3"]
    with torch.no_grad():
        assert torch.equal(lm.states(embeds, positions, flamingo.SeeingCausal(sight)), plain.states(embeds, positions, Causal()))


def test_seeing_nothing_is_having_no_sight():
    lm, embeds, positions = _seeing(), torch.randn(1, 4, 16), torch.arange(4)[None]
    blind = flamingo.Sight(torch.randn(2, 3, 8), torch.full((1, 4), -1))
    with torch.no_grad():
        torch.testing.assert_close(lm.states(embeds, positions, flamingo.SeeingCausal(blind)), lm.states(embeds, positions, Causal()), rtol=0, atol=1e-6)


def test_only_the_seen_image_matters():
    lm, embeds, positions, latents = _seeing(), torch.randn(1, 4, 16), torch.arange(4)[None], torch.randn(3, 3, 8)
    made = []
    for change in (None, 0, 1):
        moved = latents.clone()
        if change is not None:
            moved[change] += 1
        with torch.no_grad():
            made.append(lm.states(embeds, positions, flamingo.SeeingCausal(flamingo.Sight(moved, torch.tensor([[-1, 1, 1, 2]])))))
    assert torch.equal(made[0], made[1])
    assert torch.equal(made[0][:, 0], made[2][:, 0])
    assert not torch.allclose(made[0][:, 1], made[2][:, 1], atol=1e-3)


@pytest.mark.parametrize("rule", flamingo.RULES)
def test_rows_do_not_disturb_each_other(model, rule):
    model.rule = rule
    image = model.image
    rows = [[1, 40, image, 41, 42, image, 43, 44, 45], [1, 50, 51], [1, image, 60]]
    try:
        together = flamingo.logits(model, rows, PIXELS[:3])
        apart = [flamingo.logits(model, rows[:1], PIXELS[:2]), flamingo.logits(model, rows[1:2]), flamingo.logits(model, rows[2:], PIXELS[2:3])]
    finally:
        model.rule = "following"
    for a, (b,) in zip(together, apart, strict=True):
        torch.testing.assert_close(a, b, rtol=0, atol=1e-5)


def test_images_and_places_must_agree_and_fit(model):
    with pytest.raises(InvalidValue, match="1 images are given and the prompts have places for 2"):
        flamingo.logits(model, [[1, model.image, model.image]], PIXELS[:1])
    with pytest.raises(InvalidValue, match="0 images are given and the prompts have places for 1"):
        flamingo.logits(model, [[1, model.image]])
    with pytest.raises(InvalidValue, match="takes 513 tokens of a context of 512"):
        flamingo.logits(model, [[1] * 513])


def test_an_unknown_rule_is_refused():
    with pytest.raises(InvalidValue, match="no rule of what is seen is called 'all'"):
        flamingo.Flamingo(torch.nn.Identity(), torch.nn.Identity(), _seeing(), image=IMAGE, rule="all")
