"""Precedents: the kernels are the formulas, and what is said changes log p(yes) / p(no) by exactly the weighed margin."""

import numpy as np
import pytest
import torch
from sklearn.gaussian_process.kernels import RBF

from vesalius.models.precedents import Precedents, image_kernel, question_kernel, standard


@pytest.fixture
def precedents():
    torch.manual_seed(0)
    made = Precedents(5, 4, width=8, depth=6)
    for name, buffer in made.named_buffers():
        buffer.copy_(torch.rand(buffer.shape) + 0.5 if "deviation" in name else torch.randn(buffer.shape))
    made.asked.copy_(torch.nn.functional.normalize(made.asked, dim=1))
    return made


def test_the_image_kernel_is_an_rbf_above_a_floor():
    a, b = torch.randn(3, 6), torch.randn(4, 6)
    # |d|^2 / 2 / depth is an RBF of length sqrt(depth)
    np.testing.assert_allclose(image_kernel(a, b), 0.3 + RBF(6**0.5)(a.numpy(), b.numpy()), rtol=1e-5)


def test_the_question_kernel_is_one_for_the_same_question_and_an_rbf_of_unit_vectors():
    a, b = (torch.nn.functional.normalize(torch.randn(n, 8), dim=1) for n in (3, 4))
    np.testing.assert_allclose(question_kernel(a, b), RBF(0.5**0.5)(a.numpy(), b.numpy()), rtol=1e-5)
    torch.testing.assert_close(question_kernel(a, a).diagonal(), torch.ones(3))


def test_a_margin_is_the_sum_over_all_precedents(precedents):
    words, pooled = torch.randn(8), torch.randn(6)
    asked = question_kernel(standard(words, precedents.asked_mean, precedents.asked_deviation, unit=True), precedents.asked)
    shown = image_kernel(standard(pooled, precedents.shown_mean, precedents.shown_deviation), precedents.shown)
    expected = sum(asked[q] * precedents.weights[q, i] * shown[i] for q in range(5) for i in range(4))
    torch.testing.assert_close(precedents(words, pooled), expected)


def test_what_is_said_moves_yes_against_no_by_the_weighed_margin(precedents):
    yes, no = torch.randn(8), torch.randn(8)
    precedents.direction.copy_((yes - no) / (yes - no).square().sum())
    words, pooled = torch.randn(3, 1, 8), torch.randn(3, 1, 6)
    moved = precedents.speak(words, pooled) @ (yes - no)
    torch.testing.assert_close(moved, precedents.weight * precedents(words, pooled))
