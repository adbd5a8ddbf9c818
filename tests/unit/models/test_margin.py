"""The margin of yes over no: the engine's own probability, with a gradient that finite differences confirm; and the scale of the display."""

import types

import numpy as np
import pytest
import torch

from tests.checkpoints import llava_med as tiny
from vesalius.domain.exchange import Question
from vesalius.domain.study import Image, Intensity, Modality, Window, single
from vesalius.errors import InvalidValue
from vesalius.models import llava_med
from vesalius.models.base import GREEDY
from vesalius.models.margin import Margin, margin, scale_of

QUESTION = "Is there a mass in the liver?"


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return llava_med.load(weights=tiny.official(tmp_path_factory.mktemp("m"), tiny.Size(image=70)), dtype=torch.float32)


def study(rows=40, cols=60, seed=0, colour=False):
    rng = np.random.default_rng(seed)
    if colour:
        return single(Image(rng.integers(0, 256, (1, rows, cols, 3), dtype=np.uint8), Intensity.COLOUR, Modality.XC))
    pixels = rng.uniform(0, 255, (1, rows, cols)).astype(np.float32)
    return single(Image(pixels, Intensity.RELATIVE, Modality.CR, voi=(Window(127.5, 255.0, "LINEAR_EXACT"),)))


def test_the_margin_is_the_logit_of_the_engine_s_yes(model):
    record = model.engine.answer(model.encode(study()), [QUESTION], GREEDY)[0]
    ours = float(margin(model, model.pixels(study()), QUESTION).detach())
    assert ours == pytest.approx(np.log(record.p_yes / (1 - record.p_yes)), abs=1e-3)


def test_a_batch_is_its_pictures_one_by_one(model):
    pictures = torch.cat([model.pixels(study(seed=seed)) for seed in (1, 2)])
    both = margin(model, pictures, QUESTION)
    assert [float(v) for v in both.detach()] == pytest.approx([float(margin(model, p[None], QUESTION).detach()) for p in pictures], abs=1e-4)


def test_its_gradient_is_what_finite_differences_give(model):
    pixels = model.pixels(study())
    lean = Margin(model, QUESTION)
    moving = pixels.clone().requires_grad_(True)
    (slope,) = torch.autograd.grad(lean(moving).sum(), moving)
    way = slope / slope.norm()
    with torch.no_grad():
        by_hand = float(lean(pixels + 0.02 * way) - lean(pixels - 0.02 * way)) / 0.04
    assert by_hand == pytest.approx(float(slope.norm()), rel=0.02)


def test_the_scale_gives_the_clean_picture_back(model):
    for each in (study(50, 50), study(50, 50, colour=True)):
        scale = scale_of(model, each)
        assert scale.input(scale.shown()) == pytest.approx(scale.pixels, abs=1e-4)
        assert scale.grey == (each.image.intensity is not Intensity.COLOUR)
        assert scale.shown().shape[1] == (1 if scale.grey else 3)


def test_beside_a_border_of_another_colour_it_does_so_to_two_grey_levels(model):
    for each in (study(40, 60), study(60, 40)):
        scale = scale_of(model, each)
        assert scale.input(scale.shown()) == pytest.approx(scale.pixels, abs=2 * max(scale.levels))


def test_one_grey_level_is_what_the_normalisation_makes_of_it(model):
    assert scale_of(model, study()).levels == pytest.approx([1 / 255 / deviation for deviation in llava_med.DEVIATION], rel=1e-3)


def test_borders_that_the_preparation_adds_are_left_alone(model):
    scale = scale_of(model, study(40, 80))
    changed = scale.input(scale.shown() * 0 + 1)
    assert 0.4 < float(scale.inside.float().mean()) < 0.6
    assert torch.equal(changed[:, :, :10], scale.pixels[:, :, :10])
    assert not torch.equal(changed[:, :, 35:], scale.pixels[:, :, 35:])


def test_a_model_that_is_not_shown_the_picture_is_refused(model):
    blind = types.SimpleNamespace(pixels=lambda _: torch.zeros(1, 3, 8, 8))
    with pytest.raises(InvalidValue, match="not shown"):
        scale_of(blind, study())


def test_a_preparation_that_bends_grey_levels_is_refused(model):
    bent = types.SimpleNamespace(pixels=lambda s: model.pixels(s).add(2).square())
    with pytest.raises(InvalidValue, match="evenly"):
        scale_of(bent, study())


def test_an_adversarial_picture_changes_what_is_said(model):
    from vesalius.models import attacks

    scale, lean = scale_of(model, study()), Margin(model, QUESTION)
    side = float(lean(scale.pixels).detach().sign())
    found = attacks.pgd(lambda z: -side * lean(scale.input(z)), scale.shown(), 0.5, steps=20)
    encoded = model.engine.encode(scale.input(found.picture))[0]
    record = model.engine.answer(encoded, [Question(QUESTION).text], GREEDY)[0]
    assert -float(found.loss[0]) == pytest.approx(side * np.log(record.p_yes / (1 - record.p_yes)), abs=1e-3)
    assert float(found.loss[0]) > -side * float(lean(scale.pixels).detach())
