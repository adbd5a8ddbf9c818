"""The default model: shipped weights fit, merged adapters equal live ones, answers are answers, a map points into the picture."""

import numpy as np
import pytest
import torch
from pydicom.data import get_testdata_file

from vesalius import formats
from vesalius.domain.exchange import Outcome, Question
from vesalius.models import efficientnet, llama, looking, pocket
from vesalius.models.base import GenerativeModel, Sampling


def _small():
    torch.manual_seed(0)
    return llama.Llama(llama.Shape(40, pocket.WIDTH, 8, pocket.FIRST_ADAPTED + 2, 9, 3, 64, 512, 1e5, 1e-5, tied=True))


def test_merged_adapters_equal_live_ones():
    live = pocket.adapt(pocket.build(_small(), efficientnet.EfficientNetLite0())).eval()
    for name, tensor in live.named_parameters():
        if ".lora_B." in name:
            torch.nn.init.normal_(tensor, std=0.1)
    adapters = {n: t.detach().clone() for n, t in live.state_dict().items() if ".lora_" in n}
    assert len(adapters) == 2 * 2 * 2  # two layers, query and value, A and B
    merged = _small().eval()
    from vesalius.models.decoder import Causal

    x = torch.randn(1, 5, pocket.WIDTH)
    positions = torch.arange(5)[None]
    plain = merged.states(x, positions, Causal())
    pocket.merge(merged, adapters)
    expected = live.lm.states(x, positions, Causal())
    assert not torch.allclose(plain, expected, atol=1e-3)
    torch.testing.assert_close(merged.states(x, positions, Causal()), expected, atol=1e-4, rtol=1e-4)


def test_damaged_shipped_weights_say_so(tmp_path):
    from vesalius.errors import WeightsError

    (tmp_path / "pocket.safetensors").write_bytes(b"not weights")
    with pytest.raises(WeightsError, match="install the package again"):
        pocket.read_shipped(tmp_path)
    with pytest.raises(WeightsError):
        pocket.read_shipped(tmp_path / "absent")


def test_shipped_weights_are_small_enough_to_ship():
    assert (pocket.SHIPPED / "pocket.safetensors").stat().st_size < 40_000_000


def test_a_map_of_a_wide_picture_is_cut_out_of_the_square():
    grid = torch.zeros(9, 9)
    grid[4, 0] = 1.0
    drawn = looking.to_image(grid, 50, 200)
    assert drawn.shape == (50, 200)
    assert drawn.max() == 1.0
    assert np.unravel_index(drawn.argmax(), drawn.shape)[1] < 30


@pytest.fixture(scope="module")
def model():
    return pocket.load()


@pytest.fixture(scope="module")
def study():
    return formats.read(get_testdata_file("examples_overlay.dcm", download=False))


@pytest.mark.weights
def test_it_satisfies_the_protocol(model):
    assert isinstance(model, GenerativeModel)


@pytest.mark.weights
def test_answers_do_not_depend_on_what_else_is_asked(model, study):
    encoded = model.encode(study)
    questions = [Question("Is there a lesion in the liver?"), Question("What modality is used to take this image?"), Question("Is this a CT?")]
    together = model.answer(encoded, questions)
    assert [a.text for a in together] == [model.answer(encoded, [q])[0].text for q in questions]
    assert all(a.confidence is not None for a in together)
    assert together[0].outcome in (Outcome.YES, Outcome.NO)
    assert together[0].p_yes is not None


@pytest.mark.weights
def test_streaming_says_the_same(model, study):
    encoded, question = model.encode(study), Question("Which organ system is imaged?")
    assert "".join(model.stream(encoded, question)).strip() == model.answer(encoded, [question])[0].text


@pytest.mark.weights
def test_scores_rank_the_answer_first(model, study):
    encoded, question = model.encode(study), Question("Is this an MRI?")
    said = model.answer(encoded, [question], Sampling(max_new_tokens=4))[0]
    scores = model.score(encoded, question, ["yes", "no"])
    assert ("yes", "no")[int(scores.argmax())] == said.text
    assert (scores < 0).all()


@pytest.mark.weights
def test_the_map_covers_the_picture_and_names_its_method(model, study):
    question = Question("Is there a lesion in the liver?")
    answer = model.answer(model.encode(study), [question])[0]
    drawn, method = model.saliency(study, question, answer)
    assert drawn.shape == (study.image.rows, study.image.cols)
    assert 0 <= drawn.min() <= drawn.max() <= 1
    assert "occlusion" in method


@pytest.mark.weights
def test_blind_weights_see_one_grey_level_whatever_is_shown(model, study, monkeypatch):
    monkeypatch.setitem(model.identity, "blind", True)
    grey = model.pixels(study)
    assert all(len(channel.unique()) == 1 for channel in grey[0])


def test_a_reading_without_precedents_is_the_fusions_mean_and_with_them_moves_yes_against_no():
    torch.manual_seed(0)
    fusions = [pocket.LateFusion(pocket.WIDTH).eval() for _ in range(2)]
    for fusion in fusions:
        torch.nn.init.normal_(fusion.out.weight, std=0.1)
    plain = pocket.Reading(fusions).eval()
    hidden, memory, words = torch.randn(2, 1, pocket.WIDTH), torch.randn(2, 81, 2 * pocket.WIDTH + 1280), torch.randn(2, pocket.WIDTH)
    each = [fusion(hidden, memory[..., i * pocket.WIDTH : (i + 1) * pocket.WIDTH], words) for i, fusion in enumerate(fusions)]
    torch.testing.assert_close(plain.members(hidden, memory, words), torch.stack(each))
    assert not torch.allclose(each[0], each[1], atol=0.1)
    torch.testing.assert_close(plain(hidden, memory, words), (each[0] + each[1]) / 2)
    precedents = pocket.Precedents(3, 2, width=pocket.WIDTH, depth=1280)
    for name, buffer in precedents.named_buffers():
        buffer.copy_(torch.ones(buffer.shape) if "deviation" in name else torch.randn(buffer.shape))
    both = pocket.Reading(fusions, precedents)(hidden, memory, words)
    pooled = memory[..., 2 * pocket.WIDTH :].mean(1)
    expected = precedents.weight * precedents(words, pooled)
    torch.testing.assert_close((both - plain(hidden, memory, words))[:, 0], expected[:, None] * precedents.direction)
    rows = torch.tensor([1, 0])
    swapped = pocket.Reading(fusions, precedents)(hidden, memory, words, rows)
    torch.testing.assert_close(swapped, pocket.Reading(fusions, precedents)(hidden, memory[rows], words))


@pytest.mark.weights
def test_the_card_counts_what_is_there(model):
    assert model.card.parameters == sum(p.numel() for p in model.composition.parameters())
