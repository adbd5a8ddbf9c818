"""The terms of the loss: answers side by side are what each is alone, borrowed wordings teach no answer, a teacher's mean is what both wordings learn."""

import copy
import dataclasses

import pytest
import torch

from vesalius.models import efficientnet, llama, pocket
from vesalius.train.batches import IGNORE, ImageBatch, Shown
from vesalius.train.objectives import Answers

YES, NO, STOP = 3, 4, 2


class _Prompt:
    yes, no = (YES,), (NO,)


@pytest.fixture(scope="module")
def composition():
    torch.manual_seed(0)
    made = pocket.build(llama.Llama(llama.Shape(40, pocket.WIDTH, 8, 9, 9, 3, 64, 512, 1e5, 1e-5, tied=True)), efficientnet.EfficientNetLite0())
    for fusion in made.readout.fusions:
        torch.nn.init.normal_(fusion.out.weight, std=0.05)
    return made.eval()


def _batch():
    """Two images; three wordings of the first (one of one token more), one of the second and one that it borrows."""
    torch.manual_seed(1)
    targets = torch.tensor([[YES, STOP, IGNORE], [NO, STOP, IGNORE], [7, 8, STOP], [YES, STOP, IGNORE], [NO, STOP, IGNORE]])
    return ImageBatch(
        image=torch.randn(2, 9, efficientnet.WIDTH),
        changes=torch.zeros(0, 9),
        rows=torch.tensor([0, 0, 0, 1, 1]),
        words=torch.randn(5, pocket.WIDTH),
        states=torch.randn(5, 3, pocket.WIDTH),
        places=torch.arange(3).expand(5, -1),
        targets=targets,
        consistency=torch.tensor([[0, 1, -1], [3, 4, -1]]),
        contrast=torch.zeros(0, 2, dtype=torch.long),
        free=torch.tensor([False, False, False, False, True]),
        deep=False,
        shown=Shown.FEATURES,
    )


def _loss(teacher=None):
    return Answers(torch.arange(40), _Prompt(), pocket.FIRST_ADAPTED, teacher)


def test_answers_side_by_side_are_what_each_is_alone(composition):
    batch, loss = _batch(), _loss()
    together, first = loss.fused(composition, batch)
    for row in range(5):
        alone = dataclasses.replace(
            batch,
            image=batch.image[batch.rows[row]][None],
            rows=torch.zeros(1, dtype=torch.long),
            **{name: getattr(batch, name)[row : row + 1] for name in ("words", "states", "places", "targets", "free")},
        )
        states, _ = loss.fused(composition, alone)
        torch.testing.assert_close(together[first[row] : first[row] + len(states)], states, atol=1e-4, rtol=1e-4)


def test_a_borrowed_wording_teaches_no_answer_but_is_compared(composition):
    batch, loss = _batch(), _loss()
    other = dataclasses.replace(batch, targets=batch.targets.clone())
    other.targets[4, 0] = 9
    one, two = loss(composition, batch), loss(composition, other)
    assert torch.equal(one["answer"], two["answer"])
    known = dataclasses.replace(batch, free=torch.zeros(5, dtype=torch.bool))
    assert float(loss(composition, known)["answer"]) > float(one["answer"])
    assert float(one["consistency"]) > 0


def test_without_a_teacher_there_is_no_agreement(composition):
    assert "agreement" not in _loss().terms
    assert "agreement" not in _loss()(composition, _batch())


def test_agreement_is_least_where_both_wordings_say_the_teachers_mean(composition):
    batch, teacher = _batch(), copy.deepcopy(composition.readout)
    loss = _loss(teacher)
    assert loss.terms[-1] == "agreement"
    at = loss._asked(composition, batch)
    margin = loss.margin(composition, teacher(*at.readout)[at.image, at.place].float()[at.first])
    expected = torch.sigmoid(torch.stack(((margin[0] - margin[1]) / 2, (margin[3] - margin[4]) / 2)))
    torch.testing.assert_close(loss._taught(composition, batch, at), expected)
    entropy = float(2 * -(expected * expected.log() + (1 - expected) * (1 - expected).log()).sum())
    assert float(loss(composition, batch)["agreement"]) >= entropy
