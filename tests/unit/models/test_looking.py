"""Maps: equal to what hiding each window by hand gives; they change with the weights, and find what decides."""

import numpy as np
import pytest
import torch

from tests.checkpoints import llava_med as tiny
from vesalius.domain.exchange import Answer, Outcome, Question
from vesalius.domain.study import Image, Intensity, Modality, single
from vesalius.errors import InvalidValue
from vesalius.models import llava_med, looking
from vesalius.models.base import Sampling

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


@pytest.mark.parametrize("method", sorted(looking.METHODS))
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
        looking.side_of(torch.zeros(1, 24, 3))


def test_a_stretched_picture_is_covered_whole():
    grid = torch.zeros(5, 5)
    grid[0] = 1.0
    padded, stretched = looking.to_image(grid, 20, 100), looking.to_image(grid, 20, 100, padded=False)
    assert padded[0].max() < 0.1  # the first row of cells lies in the border
    assert stretched[0].min() > 0.9
