"""Drawing tokens: the distribution is the model's, the stream is the ask's own."""

import numpy as np
import pytest
import torch

from vesalius.models.base import Sampling
from vesalius.models.draw import climb, generator, ladder, yes_and_no
from vesalius.models.record import Ask


def ask(question="is it", seed=0):
    return Ask(None, question, Sampling(1.0, 4, seed))


def test_draws_follow_the_distribution_at_the_temperature():
    logits = torch.tensor([0.0, 1.0, 2.0, -torch.inf])
    steps = ladder(torch.log_softmax(logits, 0), 2.0)
    random = np.random.default_rng(0)
    counts = np.bincount([climb(steps, random) for _ in range(20000)], minlength=4) / 20000
    np.testing.assert_allclose(counts, torch.softmax(logits / 2, 0).numpy(), atol=0.015)
    assert counts[3] == 0


def test_the_stream_depends_on_seed_and_question_alone():
    first = generator(ask()).random(5)
    np.testing.assert_array_equal(first, generator(ask()).random(5))
    assert not np.array_equal(first, generator(ask(seed=1)).random(5))
    assert not np.array_equal(first, generator(ask("is it not")).random(5))


def test_the_highest_draw_stays_inside_the_vocabulary():
    class Top:
        def random(self):
            return np.nextafter(1.0, 0.0)

    assert climb(np.array([0.1, 0.3, 0.3]), Top()) == 1  # the last token has no weight and is never drawn


@pytest.mark.parametrize(("yes", "no", "expected"), [(0.3, 0.1, (0.75, 0.4)), (0.0, 0.0, (0.5, 0.0)), (0.0, 0.2, (0.0, 0.2)), (1.0, 1e-9, (1.0, 1.0))])
def test_yes_among_yes_and_no(yes, no, expected):
    assert yes_and_no(yes, no) == pytest.approx(expected)
    assert all(0 <= v <= 1 for v in yes_and_no(yes, no))
