"""The tower: published weights fit, padding is TensorFlow's, preparation keeps the picture's shape."""

import numpy as np
import pytest
import torch

from vesalius.models import efficientnet


@pytest.fixture(scope="module")
def tower():
    return efficientnet.load()


def test_published_weights_fit_without_a_missing_name(tower):
    assert sum(p.numel() for p in tower.parameters()) == 3_371_008
    assert not tower.training


def test_grid_is_a_thirty_second_of_the_side(tower):
    with torch.inference_mode():
        assert tower(torch.zeros(2, 3, 96, 96)).shape == (2, 9, 1280)


def test_lower_then_upper_is_the_whole(tower):
    x = torch.randn(1, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        torch.testing.assert_close(tower.upper(tower.lower(x)), tower(x))


def test_a_photograph_of_stripes_is_told_from_noise(tower):
    """Untrained weights would not: features of two noise pictures are closer to each other than to stripes."""
    rng = np.random.default_rng(0)
    noise = [efficientnet.prepare(rng.integers(0, 255, (96, 96), dtype=np.uint8)) for _ in range(2)]
    stripes = efficientnet.prepare(np.tile(np.repeat(np.array([0, 255], dtype=np.uint8), 12), (96, 4)))
    with torch.inference_mode():
        a, b, c = (f / f.norm() for f in tower(torch.stack([*noise, stripes])).mean(1))
    assert float(a @ b) > float(a @ c) + 0.1


def test_same_padding_puts_the_odd_pixel_right_and_below():
    conv = efficientnet._SameConv(1, 1, 3, 2, bias=False)
    with torch.no_grad():
        conv.weight.fill_(1.0)
    x = torch.arange(16.0).view(1, 1, 4, 4)
    # total padding is 1 for 4 pixels, kernel 3, stride 2: nothing left and above, one right and below
    expected = [[x[..., 0:3, 0:3].sum(), x[..., 0:3, 2:4].sum()], [x[..., 2:4, 0:3].sum(), x[..., 2:4, 2:4].sum()]]
    torch.testing.assert_close(conv(x)[0, 0], torch.tensor([[float(v) for v in row] for row in expected]))


def test_batch_norm_neither_moves_nor_looks_at_neighbours_in_training(tower):
    before, pixels = tower._bn1.running_mean.clone(), torch.randn(2, 3, 64, 64)
    with torch.no_grad():
        alone = tower(pixels[:1])
        for module in tower.modules():
            module.training = True  # as a training loop sets it, module by module
        together = tower(pixels)
    tower.eval()
    torch.testing.assert_close(tower._bn1.running_mean, before)
    torch.testing.assert_close(together[:1], alone, atol=1e-4, rtol=1e-4)


def test_what_is_prepared_is_the_square_normalised():
    rendered = np.arange(64, dtype=np.uint8).reshape(8, 8)
    square = efficientnet.square(rendered)
    assert square.dtype == torch.uint8
    assert torch.equal(efficientnet.prepare(rendered), efficientnet.normalise(square))


@pytest.mark.parametrize("shape", [(50, 200), (200, 50), (300, 300, 3), (1, 1), (2000, 3)])
def test_preparation_pads_to_a_square_without_distortion(shape):
    prepared = efficientnet.prepare(np.full(shape, 255, dtype=np.uint8))
    assert prepared.shape == (3, 288, 288)
    white = (prepared[0] > 0.9).float().mean()
    rows, cols = shape[:2]
    assert float(white) == pytest.approx(min(rows, cols) / max(rows, cols), abs=0.02)
    assert float(prepared.max()) == pytest.approx((255 - 127) / 128)


def test_a_picture_alone_has_the_slope_that_it_has_in_company(tower):
    """As the language model sees the grid, cells first: how a slope comes back must not matter."""
    pixels = torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    weights = torch.randn(4, 1280, generator=torch.Generator().manual_seed(1))

    def slope(given):
        given = given.clone().requires_grad_(True)
        return torch.autograd.grad((tower(given) * weights).sum(), given)[0]

    torch.testing.assert_close(slope(pixels[:1]), slope(pixels)[:1], rtol=1e-3, atol=1e-6)
