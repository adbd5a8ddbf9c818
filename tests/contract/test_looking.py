"""Every family says where it looks by every method that its parts allow, and refuses the others in words; other weights, another map."""

import numpy as np
import pytest
import torch
from scipy.stats import spearmanr

from tests.checkpoints.table import BUILDERS
from vesalius.domain.exchange import Answer, Outcome, Question
from vesalius.domain.study import Image, Intensity, Modality, single
from vesalius.errors import InvalidValue
from vesalius.models import looking
from vesalius.models.base import LooksAt
from vesalius.models.cards import MODELS

QUESTION, ANSWER = Question("Is there a mass in the liver?"), Answer("yes", Outcome.YES)
# (family, method) that cannot be, and what is said of it
REFUSED = {
    ("med-flamingo-9b", "rollout"): "through the gates of this model: look by occlusion or gradient",
    ("chexagent-8b", "rollout"): "through the queries to 16 patches: look by occlusion or gradient",
    **{(name, "rollout"): "cannot be followed in this model: look by occlusion or gradient" for name in ("biomedclip", "medsiglip")},
    **{("visual-med-alpaca-7b", method): "cannot say where it looks" for method in looking.METHODS},
}
STOCK = ("medgemma-4b", "lingshu-7b", "qwen2.5-vl")  # of the text that is scored there another test asks
CASES = [(name, method) for name in BUILDERS for method in looking.METHODS]


def _study(seed, shape=(60, 50)):
    pixels = np.random.default_rng(seed).uniform(0, 1000, (1, *shape)).astype(np.float32)
    return single(Image(pixels, Intensity.RELATIVE, Modality.CR, body_part="CHEST"))


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    return {}, tmp_path_factory


def _folder(folders, name):
    made, factory = folders
    if name not in made:
        made[name] = BUILDERS[name](factory.mktemp("family"))
    return made[name]


@pytest.fixture(scope="module")
def models():
    return {}


@pytest.fixture
def family(request, folders, models):
    name, method = request.param
    if name not in models:
        models[name] = MODELS.load(name)(weights=_folder(folders, name), dtype=torch.float32)
    return name, models[name], method


@pytest.mark.parametrize("family", CASES, indirect=True, ids="-".join)
def test_a_map_lies_over_the_picture_or_is_refused_in_words(family):
    name, model, method = family
    assert isinstance(model, LooksAt)
    if (name, method) in REFUSED:
        with pytest.raises(InvalidValue, match=REFUSED[name, method]):
            model.saliency(_study(0), QUESTION, ANSWER, method=method)
        return
    for shape in ((60, 50), (30, 90)):
        found, told = model.saliency(_study(0, shape), QUESTION, ANSWER, method=method)
        assert found.shape == shape
        assert found.dtype == np.float32
        assert np.isfinite(found).all()
        assert 0 <= found.min() <= found.max() <= 1
        assert told.startswith(method)
        np.testing.assert_array_equal(found, model.saliency(_study(0, shape), QUESTION, ANSWER, method=method)[0])


@pytest.mark.parametrize("family", [case for case in CASES if case not in REFUSED], indirect=True, ids="-".join)
def test_other_weights_give_another_map(family, folders):
    """As in Adebayo et al. 2018 (arXiv 1810.03292): every weight takes another's place in its own tensor. Rollout keeps what order alone gives."""
    name, model, method = family
    other = MODELS.load(name)(weights=_folder(folders, name), dtype=torch.float32)
    module = next(part for part in vars(other).values() if isinstance(part, torch.nn.Module))
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for _, parameter in sorted(module.named_parameters()):
            parameter.copy_(parameter.flatten()[torch.randperm(parameter.numel(), generator=generator)].view_as(parameter))
    ranks = []
    for seed in range(8):
        maps = [one.saliency(_study(seed), QUESTION, ANSWER, method=method)[0].ravel() for one in (model, other)]
        if all(m.std() > 0 for m in maps):  # what only speaks against the answer is a map of zeros
            ranks.append(float(spearmanr(*maps).statistic))
    assert len(ranks) >= 3
    assert abs(np.mean(ranks)) < (0.7 if method == "rollout" else 0.5)


@pytest.mark.parametrize(
    "family", [case for case in CASES if case[1] == "rollout" and case not in REFUSED and case[0] not in STOCK], indirect=True, ids="-".join
)
def test_attention_is_followed_in_the_text_that_is_scored(family):
    _, model, _ = family
    with torch.no_grad():
        pixels = model.pixels(_study(0))
        memory = model.composition.see(pixels)
        score = model.score_of(QUESTION.text, "yes a mass", pixels)
        embeds, at = score.laid_out(memory)
        torch.testing.assert_close(embeds[:, at], model.composition.projector(memory))
        watching = looking.Rollout(torch.eye(embeds.shape[1])[:, at])
        hidden = model.composition.decoder.states(embeds, torch.arange(embeds.shape[1])[None], watching)
        logprobs = model.composition.decoder.logits(hidden[0, -len(score.targets) :]).float().log_softmax(-1)
        assert float(logprobs.gather(1, score.targets[:, None]).sum()) == pytest.approx(float(score(memory)), abs=1e-3)
        assert float(watching.flow.sum(1).max()) <= 1 + 1e-5
        assert float(watching.flow[: at.start].abs().max()) == 0  # nothing before the image has seen it


def test_the_shipped_model_shows_what_its_fusions_look_at():
    model = MODELS.load("pocket")()
    found, told = model.saliency(_study(0), QUESTION, Answer("Yes", Outcome.YES), method="rollout")
    assert found.shape == (60, 50)
    assert 0 <= found.min() < found.max() == 1
    assert told == "attention of the readout of 9 x 9 image tokens"
    other, _ = model.saliency(_study(0), Question("Is this a CT?"), Answer("Yes", Outcome.YES), method="rollout")
    assert float(spearmanr(found.ravel(), other.ravel()).statistic) < 0.99
