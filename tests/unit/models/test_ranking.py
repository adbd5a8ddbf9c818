"""Answers by choosing: the nearest option, shares among options, draws by their shares, silence where there is nothing to choose."""

import numpy as np
import pytest
import torch

from vesalius.domain.exchange import Answer, Outcome, Question
from vesalius.domain.study import Image, Intensity, Modality, single
from vesalius.errors import InvalidValue
from vesalius.models import looking
from vesalius.models.base import GREEDY, GenerativeModel, LooksAt, Sampling
from vesalius.models.ranking import Ranking

CLOSED, OPEN = Question("Is there a mass in the liver?"), Question("What is shown?")


class Toy(Ranking):
    """A picture is (mean of its brightest patch, 1), a text (how many o it holds, 1), both of unit length."""

    card, scale, patches = None, 5.0, 16

    def pixels(self, study):
        return torch.tensor(study.image.pixels[0]).expand(3, -1, -1)

    def see(self, pixels):
        patches = torch.nn.functional.avg_pool2d(pixels.mean(1), 4).flatten(1)
        made = torch.stack((patches.amax(1), torch.ones(len(pixels))), 1)
        return torch.nn.functional.normalize(made, dim=-1)

    def embed_images(self, studies):
        return self.see(torch.stack([self.pixels(s) for s in studies])).numpy()

    def embed_texts(self, texts):
        made = np.array([(float(text.count("o")), 1.0) for text in texts], np.float32)
        return made / np.linalg.norm(made, axis=1, keepdims=True)


def _study(at=None):
    pixels = np.zeros((1, 16, 16), np.float32)
    if at is not None:
        y, x = 4 * (at // 4), 4 * (at % 4)
        pixels[0, y : y + 4, x : x + 4] = 3.0
    return single(Image(pixels, Intensity.RELATIVE, Modality.CR))


def test_it_is_a_generative_model_that_can_say_where_it_looks():
    assert isinstance(Toy(), GenerativeModel)
    assert isinstance(Toy(), LooksAt)


def test_yes_or_no_is_chosen_where_a_question_asks_it():
    model = Toy()
    bright, dark = (model.answer(model.encode(_study(at)), [CLOSED])[0] for at in (5, None))
    assert (bright.text, bright.outcome) == ("no", Outcome.NO)  # "no" holds the o
    assert bright.p_yes == pytest.approx(1 - bright.confidence)
    assert bright.confidence > dark.confidence
    shares = np.exp(model.score(model.encode(_study(5)), CLOSED, ["yes", "no"]))
    assert shares.sum() == pytest.approx(1)
    assert bright.logprob == pytest.approx(np.log(shares[1]))


def test_the_nearest_option_of_those_that_are_named():
    question = Question(OPEN.text, ("liver", "oooo", "lung"))
    said = Toy().answer(Toy().encode(_study(3)), [question])[0]
    assert (said.text, said.outcome, said.p_yes) == ("oooo", Outcome.TEXT, None)


def test_with_nothing_to_choose_from_nothing_is_said():
    said = Toy().answer(Toy().encode(_study()), [OPEN])[0]
    assert (said.outcome, said.confidence) == (Outcome.UNDETERMINED, None)
    assert "".join(Toy().stream(Toy().encode(_study()), OPEN)) == said.text


def test_draws_follow_the_shares_and_repeat():
    model, image = Toy(), Toy().encode(_study(2))
    share = float(np.exp(model.score(image, CLOSED, ["yes", "no"]))[0])
    drawn = [model.answer(image, [CLOSED], Sampling(1.0, 4, seed))[0].text for seed in range(400)]
    assert drawn == [model.answer(image, [CLOSED], Sampling(1.0, 4, seed))[0].text for seed in range(400)]
    assert drawn.count("yes") / 400 == pytest.approx(share, abs=4 * (share * (1 - share) / 400) ** 0.5)


@pytest.mark.parametrize("at", [0, 5, 10, 15])
@pytest.mark.parametrize("method", ["occlusion", "gradient"])
def test_the_patch_that_decides_is_found(at, method):
    found, name = Toy().saliency(_study(at), CLOSED, Answer("no", Outcome.NO), method=method)
    assert name.endswith("of 4 x 4 patches")
    y, x = (int(i) for i in np.unravel_index(found.argmax(), found.shape))
    assert max(abs(y // 4 - at // 4), abs(x // 4 - at % 4)) <= (method == "occlusion")


def test_what_cannot_be_is_refused_in_words():
    model, image = Toy(), Toy().encode(_study())
    with pytest.raises(InvalidValue, match="options to choose from"):
        model.answer(image, [Question("What?", ("a", " "))])
    with pytest.raises(InvalidValue, match="as many samplings"):
        model.answer(image, [CLOSED], [GREEDY, GREEDY])
    with pytest.raises(InvalidValue, match="none of what can be chosen"):
        model.saliency(_study(), OPEN, Answer("liver", Outcome.TEXT))
    with pytest.raises(InvalidValue, match="look by occlusion or gradient"):
        model.saliency(_study(3), CLOSED, Answer("no", Outcome.NO), method="rollout")


def test_patches_cut_and_put_together_are_the_picture():
    from vesalius.models.ranking import _ChoiceScore

    seen = []
    model = Toy()
    model.see = lambda pixels: seen.append(pixels) or Toy.see(model, pixels)
    score = _ChoiceScore(model, torch.from_numpy(model.embed_texts(["o", "x"])), 0, 16)
    pixels = torch.rand(1, 3, 16, 16)
    score(score.cut(pixels))
    torch.testing.assert_close(seen[0], pixels)
    assert looking.square(score.cut(pixels)) == (4, 4)
