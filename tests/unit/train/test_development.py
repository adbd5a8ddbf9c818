"""Development metrics by hand: what counts as right, as steady, as knowing a blank picture."""

import pytest
import torch

from vesalius.train.batches import IGNORE, Collate
from vesalius.train.development import Development, _exact, _steady
from vesalius.train.examples import Example
from vesalius.train.features import Texts


def _example(question, answer, *, image="a.png", source="slake", group="", polarity=1, reworded=False):
    return Example(image, question, answer, source, answer in ("yes", "no"), group, polarity, reworded)


def test_an_answer_is_exact_when_every_token_is():
    targets = torch.tensor([[1, 2, IGNORE], [3, IGNORE, IGNORE]])
    assert _exact(torch.tensor([1, 2, 3]), targets).tolist() == [True, True]
    assert _exact(torch.tensor([1, 0, 3]), targets).tolist() == [False, True]


def test_a_rewording_is_steady_when_it_says_the_same_of_the_picture():
    first = _example("is there x", "yes", group="g")
    same = _example("x there", "yes", group="g", reworded=True)
    negated = _example("is x absent", "no", group="g", polarity=-1, reworded=True)
    alone = _example("y there", "yes", group="h", reworded=True)
    assert _steady([(first, True, 1.0), (same, True, 0.2), (negated, True, -0.5), (alone, True, 1.0)]) == [True, True]
    assert _steady([(first, False, -1.0), (same, True, 0.2), (negated, True, -0.5)]) == [False, False]


class _Loss:
    """Is sure of yes wherever the state says so, and always right in open questions."""

    def fused(self, module, batch):
        counts = (batch.targets != IGNORE).sum(1)
        return batch.states[batch.targets != IGNORE], counts.cumsum(0) - counts

    def logits(self, module, fused):
        return fused

    def margin(self, module, fused):
        return fused[:, 1] - fused[:, 0]


@pytest.mark.parametrize("probed", [True, False])
def test_trust_is_of_right_steady_and_blank(probed):
    held = [_example("q", "yes"), _example("r", "no"), _example("o", "lung")]
    probes = [_example("q", "yes", group="g", source="again"), _example("t", "yes", group="g", source="again", reworded=True)]
    probes += [_example("q", "unknown", image="blank:0.5", source="blanks")]
    said = {"q": 1, "r": 1, "o": 2, "t": 0}  # token that the model says
    tokens = {"no": 0, "yes": 1, "lung": 2, "unknown": 3}
    pairs = {(e.question, e.answer) for e in (*held, *probes)}
    finals = {(q, a): torch.nn.functional.one_hot(torch.tensor([said[q]]), 4).half() for q, a in pairs}
    texts = Texts({}, {(q, a): (tokens[a],) for q, a in pairs}, {q: torch.zeros(2).half() for q, _ in pairs})
    images = {name: torch.zeros(1, 3, 2, 2) for name in ("a.png", "blank:0.5")}
    collate = Collate(images, texts, finals, {i: i for i in range(4)}, draw=False)
    metrics = Development(_Loss(), held, collate, probes if probed else ())(torch.nn.Linear(1, 1))
    assert metrics["slake closed"] == 0.5
    assert metrics["slake open"] == 1.0
    assert metrics["score"] == 0.75
    if probed:
        assert (metrics["steady"], metrics["blank"]) == (0.0, 0.0)
        assert metrics["trust"] == 0.375
    else:
        assert "trust" not in metrics
