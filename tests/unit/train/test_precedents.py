"""Fitting precedents: equal to scikit-learn's kernel ridge, and weighed by what helps on held-out answers."""

import numpy as np
import pytest
import torch
from sklearn.kernel_ridge import KernelRidge

from vesalius.errors import InvalidValue
from vesalius.models.precedents import image_kernel, question_kernel
from vesalius.train.examples import Example
from vesalius.train.precedents import RIDGE, fit, same_spread


def _material(questions=6, images=8):
    generator = torch.Generator().manual_seed(3)
    words = {f"q{i}": torch.randn(12, generator=generator) for i in range(questions)}
    features = {f"{i}.png": torch.rand(2, 9, 10, generator=generator) for i in range(images)}
    examples = [
        Example(m, q, "yes" if (i + j) % 3 else "no", "s", closed=True) for i, q in enumerate(words) for j, m in enumerate(features) if (i * j) % 4 != 3
    ]
    return examples, words, features


def test_margins_equal_an_independent_kernel_ridge():
    examples, words, features = _material()
    made = fit(examples, torch.ones(12), words, features)
    names_q, names_i = sorted(words), sorted(features)
    rows = [names_q.index(e.question) for e in examples]
    cols = [names_i.index(e.image) for e in examples]
    kq, ki = question_kernel(made.asked, made.asked).numpy(), image_kernel(made.shown, made.shown).numpy()
    kernel = kq[np.ix_(rows, rows)] * ki[np.ix_(cols, cols)]
    model = KernelRidge(alpha=RIDGE, kernel="precomputed").fit(kernel, [1.0 if e.answer == "yes" else -1.0 for e in examples])
    expected = model.predict(kernel)
    ours = [float(made(words[e.question], features[e.image][0].mean(0))) for e in examples]
    np.testing.assert_allclose(ours, expected, atol=2e-4)


def test_the_direction_turns_one_margin_into_one_unit_of_yes_against_no():
    examples, words, features = _material()
    yes_no = torch.arange(1.0, 13.0)
    assert float(fit(examples, yes_no, words, features).direction @ yes_no) == pytest.approx(1.0)


def test_open_examples_alone_give_no_precedents():
    with pytest.raises(InvalidValue, match="yes/no"):
        fit([Example("a", "q", "lung", "s", closed=False)], torch.ones(2), {}, {})


def test_the_weight_makes_both_margins_vary_alike_in_each_group():
    fused = torch.tensor([-2.0, 2.0, -6.0, 6.0])
    margins = torch.tensor([-1.0, 1.0, -1.0, 1.0])
    assert same_spread(fused, margins, ["a", "a", "b", "b"]) == pytest.approx((2 + 6) / 2)
    assert same_spread(fused, torch.zeros(4), ["a", "a", "b", "b"]) == 0
    assert same_spread(fused[:1], margins[:1], ["a"]) == 0
