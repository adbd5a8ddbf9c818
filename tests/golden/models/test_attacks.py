"""FGSM, PGD and Auto-PGD against torchattacks 3.5.1 (MIT) on a small seeded network: the same pictures.

`attacks.npz` holds what torchattacks gave on torch 2.13.0 for `network()` and `pictures()`: FGSM; PGD of 10 steps of eps / 4 from the picture; one run of
APGD of 10 and of 30 steps (cross-entropy, rho 0.75) from the stored starts. The margin has the
cross-entropy's order and its gradient's sign, hence the same steps.
"""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from vesalius.models import attacks

THEIRS = np.load(Path(__file__).with_name("attacks.npz"))
LEVELS = (8, 24)


def network():
    generator = torch.Generator().manual_seed(11)
    made = nn.Sequential(nn.Conv2d(1, 6, 3, 2, 1), nn.Tanh(), nn.Conv2d(6, 8, 3, 2, 1), nn.Tanh(), nn.Flatten(), nn.Linear(32, 2))
    with torch.no_grad():
        for parameter in made.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator) * 0.4)
    return made.eval()


def pictures():
    return torch.rand(6, 1, 8, 8, generator=torch.Generator().manual_seed(12))


@pytest.fixture(scope="module")
def loss():
    model, y = network(), torch.from_numpy(THEIRS["y"])

    def margin(x):
        logits = model(x)
        return torch.where(y == 1, logits[:, 0] - logits[:, 1], logits[:, 1] - logits[:, 0])

    return margin


@pytest.mark.parametrize("k", LEVELS)
def test_fgsm_gives_the_same_pictures(loss, k):
    assert attacks.fgsm(loss, pictures(), k / 255).last.numpy() == pytest.approx(THEIRS[f"fgsm_{k}"], abs=1e-6)


@pytest.mark.parametrize("k", LEVELS)
def test_pgd_ends_at_the_same_pictures(loss, k):
    assert attacks.pgd(loss, pictures(), k / 255).last.numpy() == pytest.approx(THEIRS[f"pgd_{k}"], abs=1e-6)


@pytest.mark.parametrize("k", LEVELS)
def test_auto_pgd_finds_the_same_pictures(loss, k):
    found = attacks.apgd(loss, pictures(), k / 255, start=torch.from_numpy(THEIRS[f"start_{k}"]))
    assert found.picture.numpy() == pytest.approx(THEIRS[f"apgd_{k}_10"], abs=1e-6)


@pytest.mark.parametrize("k", LEVELS)
def test_auto_pgd_finds_as_large_a_loss_in_more_steps(loss, k):
    found = attacks.apgd(loss, pictures(), k / 255, steps=30, start=torch.from_numpy(THEIRS[f"start_{k}"]))
    with torch.no_grad():
        assert found.loss.numpy() == pytest.approx(loss(torch.from_numpy(THEIRS[f"apgd_{k}_30"])).numpy(), abs=1e-4)
