"""The late fusion: silent when untrained, position by position, the same for shared and expanded images."""

import pytest
import torch

from vesalius.models.readout import LateFusion


@pytest.fixture
def fusion():
    torch.manual_seed(0)
    made = LateFusion(32, heads=2, head_dim=8, rank=16).eval()
    torch.nn.init.normal_(made.out.weight, std=0.2)
    return made


def test_untrained_it_changes_nothing():
    hidden = torch.randn(2, 3, 32)
    assert torch.equal(LateFusion(32).eval()(hidden, torch.randn(2, 9, 32)), hidden)


def test_positions_do_not_see_each_other(fusion):
    hidden, memory = torch.randn(2, 5, 32), torch.randn(2, 9, 32)
    torch.testing.assert_close(fusion(hidden[:, 3:4], memory), fusion(hidden, memory)[:, 3:4])


def test_rows_name_the_image_each_wording_asks(fusion):
    hidden, memory, rows = torch.randn(3, 2, 32), torch.randn(2, 9, 32), torch.tensor([1, 0, 1])
    torch.testing.assert_close(fusion(hidden, memory, rows), fusion(hidden, memory[rows]))


def test_one_image_serves_every_row(fusion):
    hidden, memory = torch.randn(4, 2, 32), torch.randn(1, 9, 32)
    torch.testing.assert_close(fusion(hidden, memory), fusion(hidden, memory.expand(4, -1, -1)))


def test_the_image_matters_and_its_order_does_not(fusion):
    hidden, memory = torch.randn(1, 1, 32), torch.randn(1, 9, 32)
    assert not torch.allclose(fusion(hidden, memory), fusion(hidden, torch.randn(1, 9, 32)))
    torch.testing.assert_close(fusion(hidden, memory), fusion(hidden, memory.flip(1)))


def test_attention_is_a_distribution_over_the_image(fusion):
    attention = fusion.attention(torch.randn(2, 3, 32), torch.randn(2, 9, 32))
    assert attention.shape == (2, 3, 9)
    torch.testing.assert_close(attention.sum(-1), torch.ones(2, 3))
