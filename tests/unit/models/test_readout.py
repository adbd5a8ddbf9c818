"""The late fusion: silent when untrained, position by position, the same for shared and expanded images."""

import pytest
import torch

from vesalius.models.readout import LateFusion, Standard


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
    torch.testing.assert_close(fusion(hidden, memory, None, rows), fusion(hidden, memory[rows]))


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


def test_words_matter_and_may_be_given_by_row_or_by_position(fusion):
    hidden, memory, words = torch.randn(2, 3, 32), torch.randn(2, 9, 32), torch.randn(2, 32)
    by_row = fusion(hidden, memory, words)
    assert not torch.allclose(by_row, fusion(hidden, memory))
    torch.testing.assert_close(by_row, fusion(hidden, memory, words[:, None].expand(-1, 3, -1)))


def test_standardised_states_forget_a_loud_dimension():
    torch.manual_seed(0)
    samples = torch.randn(500, 16) * torch.tensor([1.0] * 15 + [3000.0]) + torch.tensor([0.0] * 15 + [9000.0])
    norm = Standard(16)
    norm.fit(samples)
    out = norm(samples)
    assert (out.norm(dim=1) - 4).abs().max() < 1e-4
    assert (out.std(0) / out.std(0).mean() - 1).abs().max() < 0.15
