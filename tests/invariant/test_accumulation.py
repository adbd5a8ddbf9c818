"""Accumulated micro-batches are one big batch: 1 x 8 = 8 x 1."""

import pytest
import torch

from tests.invariant.tiny_training import LOSS, Tiny, items, rows, stage
from vesalius.train.loop import fit
from vesalius.train.objective import Objective
from vesalius.train.order import Shuffled


def _plain(batch_size):
    """Same order of items whatever the batch size."""
    return Shuffled(items(40), batch_size, seed=5, collate=rows)


def _train(batch_size, accumulate, loss=LOSS, **changes):
    # AdamW moves even a weight with a gradient of 1e-9 by the whole learning rate, so that the smallest difference would show
    module = Tiny(dropout=0.0)
    steps = []
    settings = stage(batch_size=batch_size, accumulate=accumulate, steps=10, evaluate_every=None, **changes)
    fit(settings, module, _plain(batch_size), loss, on_step=steps.append, seed=1)
    return module, steps


@pytest.mark.parametrize(("batch_size", "accumulate"), [(1, 8), (2, 4), (4, 2)])
def test_accumulation_changes_nothing(batch_size, accumulate):
    whole, steps = _train(8, 1)
    parts, too = _train(batch_size, accumulate)
    for a, b in zip(steps, too, strict=True):
        assert a.loss == pytest.approx(b.loss, abs=1e-6)
        assert a.norm == pytest.approx(b.norm, abs=1e-6)
        assert a.tokens == b.tokens
    for (name, a), b in zip(whole.state_dict().items(), parts.state_dict().values(), strict=True):
        assert torch.allclose(a, b, atol=1e-6, rtol=0), name


def test_a_mean_over_each_micro_batch_would_not_do():
    """The test above can fail: averaging each micro-batch by itself, as is usual, gives another result on items of unequal length."""

    def mean_of_each(module, batch):
        given = LOSS(module, batch)
        size = len(batch.y)
        # the mean of this micro-batch, times its number of items, as if items were what counts
        return {"answer": given["answer"] / batch.counts["answer"] * size, "even": given["even"]}

    whole, _ = _train(8, 1, Objective(LOSS.terms, mean_of_each))
    parts, _ = _train(1, 8, Objective(LOSS.terms, mean_of_each))
    gap = max((a - b).abs().max() for a, b in zip(whole.state_dict().values(), parts.state_dict().values(), strict=True))
    assert gap > 1e-4


def test_the_last_window_of_an_epoch_may_be_short():
    """40 items in micro-batches of 3 by 4: 14 micro-batches, 4 steps, the last of 2."""
    _, steps = _train(3, 4)
    assert [round(s.epoch, 2) for s in steps[:5]] == [0.25, 0.5, 0.75, 1.0, 1.25]
    assert sum(s.tokens for s in steps[:4]) == sum(int(i[2]) for i in items(40))
