"""What is kept: computed once by content, whatever else is asked for beside it; equal to what the parts give directly."""

import pytest
import torch
from torch import nn

from tests.invariant.tiny import TEMPLATE, tokenizer
from vesalius.models.composition import Composition, Prompt
from vesalius.models.decoder import Causal, Tap
from vesalius.models.llama import Llama, Shape
from vesalius.train.features import Seen, Shelf, final_states, text_features


def _halves(numbers):
    return [torch.full((2,), float(n)).half() for n in numbers]


def test_a_shelf_computes_only_what_is_absent(tmp_path):
    shelf, asked = Shelf(tmp_path, "some things"), []

    def compute(numbers):
        asked.append(list(numbers))
        return _halves(numbers)

    first = shelf.take({"a": 1, "b": 2, "c": 3}, compute, lambda _: None, chunk=2)
    again = shelf.take({"c": 3, "d": 4, "a": 1}, compute, lambda _: None, chunk=2)
    assert asked == [[1, 2], [3], [4]]
    assert [float(first[k][0]) for k in "abc"] == [1, 2, 3]
    assert sorted(again) == ["a", "c", "d"]


def test_an_interrupted_shelf_goes_on_where_it_was(tmp_path):
    shelf = Shelf(tmp_path, "things")

    def stopped(numbers):
        if 3 in numbers:
            raise KeyboardInterrupt
        return _halves(numbers)

    wanted = {str(n): n for n in range(4)}
    with pytest.raises(KeyboardInterrupt):
        shelf.take(wanted, stopped, lambda _: None, chunk=1)
    asked = []
    shelf.take(wanted, lambda numbers: asked.extend(numbers) or _halves(numbers), lambda _: None, chunk=1)
    assert asked == [3]


class _Readout(nn.Module):
    def forward(self, hidden, memory, words):
        return hidden


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(0)
    lm = Llama(Shape(64, 32, 48, 4, 4, 2, 8, 128, 1e4, 1e-5, tied=True)).eval()
    return Composition(nn.Identity(), nn.Identity(), lm, _Readout(), listens=1), Prompt(tokenizer(), TEMPLATE)


def test_texts_are_what_the_language_model_says_of_them(model, tmp_path):
    composition, prompt = model
    pairs = [("is there a mass", "yes"), ("what organ is shown", "lung"), ("is the heart big", "no")]
    told = []
    texts = text_features(pairs, composition, prompt, 2, "w", tmp_path, told.append)
    finals = final_states(texts, composition, 2, "w", tmp_path, told.append)
    for question, answer in pairs:
        head, asked, said = (*prompt.before, *prompt.between), prompt.question(question), (*prompt.answer(answer), prompt.stop[0])
        ids = torch.tensor([[*head, *asked, *said[:-1]]])
        tap, positions = Tap(1), torch.arange(ids.shape[1])[None]
        with torch.no_grad():
            hidden = composition.decoder.states(composition.decoder.embed(ids), positions, Causal(), tap=tap)[0]
        own = tap.states[0, len(head) : len(head) + len(asked) - len(prompt.after)]
        torch.testing.assert_close(texts.words[question].float(), own.mean(0), atol=2e-3, rtol=2e-2)
        torch.testing.assert_close(finals[question, answer].float(), hidden[-len(said) :], atol=2e-2, rtol=2e-2)
        assert texts.targets[question, answer] == said
    before = len(told)
    text_features(pairs[::-1], composition, prompt, 2, "w", tmp_path, told.append)
    assert len(told) == before  # all of it was there


def test_a_tower_that_stands_still_sees_an_image_once():
    class Upper(nn.Module):
        def __init__(self):
            super().__init__()
            self.scale, self.stem, self.calls = nn.Parameter(torch.ones(1)), nn.Parameter(torch.ones(1)), 0
            self._blocks = nn.ModuleDict({"11": nn.ParameterList([self.scale])})  # the upper part, by the names of the published weights
            del self.scale

        def upper(self, lower):
            self.calls += 1
            return lower.flatten(2).transpose(1, 2) * self._blocks["11"][0]

        def forward(self, pixels):
            return self.upper(pixels[:, :, ::2, ::2] * self.stem)

    shown = {"a": torch.full((4, 4, 4), 255, dtype=torch.uint8), "b": torch.full((4, 4, 4), 127, dtype=torch.uint8)}
    tower = Upper()
    seen = Seen({"a": torch.ones(3, 4, 2, 2).half(), "b": torch.ones(1, 4, 2, 2).half()}, shown, tower)
    assert seen.by(tower)["a"].shape == (3, 4, 4)
    assert seen.by(tower) is seen.by(tower)
    assert tower.calls == 2
    with torch.no_grad():
        tower._blocks["11"][0].mul_(2)
    assert not seen.moved(tower)
    assert float(seen.by(tower)["b"].max()) == 2
    with torch.no_grad():
        tower.stem.mul_(3)
    assert seen.moved(tower)  # the lower features are no longer what this tower sees: it must look at the pixels
    assert float(seen.by(tower)["a"].max()) == 6
    assert seen.by(tower)["b"].shape == (1, 4, 4)
    assert float(seen.by(tower)["b"].max()) == 0
