"""Attacks: on a linear model their effect is known in closed form; they stay in their ball, and the control is weaker."""

import pytest
import torch
from torch import nn

from vesalius.errors import InvalidValue
from vesalius.models import attacks

EPS = 8 / 255
ALL = {
    "fgsm": attacks.fgsm,
    "pgd": attacks.pgd,
    "apgd": attacks.apgd,
    "noise": lambda loss, x, eps: attacks.noise(loss, x, eps, torch.Generator().manual_seed(0)),
}


def inner(count=3):
    return 0.2 + 0.6 * torch.rand(count, 1, 6, 6, generator=torch.Generator().manual_seed(1))


@pytest.fixture(scope="module")
def weights():
    return torch.randn(1, 6, 6, generator=torch.Generator().manual_seed(2))


@pytest.fixture(scope="module")
def linear(weights):
    return lambda x: (x * weights).sum((1, 2, 3))


@pytest.fixture(scope="module")
def bent():
    torch.manual_seed(3)
    model = nn.Sequential(nn.Flatten(), nn.Linear(36, 40), nn.Tanh(), nn.Linear(40, 40), nn.Tanh(), nn.Linear(40, 1))
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(4)
    return lambda x: model(x)[:, 0]


@pytest.mark.parametrize("name", ["fgsm", "pgd", "apgd"])
def test_a_linear_loss_grows_by_eps_times_its_weights(name, linear, weights):
    x = inner()
    grown = ALL[name](linear, x, EPS).loss - linear(x)
    assert grown == pytest.approx(torch.full((3,), EPS * float(weights.abs().sum())), rel=1e-4)


@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize("eps", [0.0, EPS, 0.5])
def test_every_picture_stays_in_the_ball_and_on_the_display(name, eps, bent):
    x = torch.rand(4, 1, 6, 6, generator=torch.Generator().manual_seed(4))
    found = ALL[name](bent, x, eps)
    for picture in (found.picture, found.last):
        assert float((picture - x).abs().max()) <= eps + 1e-6
        assert float(picture.min()) >= 0
        assert float(picture.max()) <= 1


@pytest.mark.parametrize("name", ALL)
def test_nothing_changes_without_eps(name, bent):
    x = inner()
    assert torch.equal(ALL[name](bent, x, 0.0).picture, x)


@pytest.mark.parametrize("name", ALL)
def test_the_loss_told_is_that_of_the_picture(name, bent):
    found = ALL[name](bent, inner(), EPS)
    assert bent(found.picture).detach() == pytest.approx(found.loss, abs=1e-4)


@pytest.mark.parametrize("name", ["pgd", "apgd"])
def test_many_steps_are_at_least_as_strong_as_one(name, bent):
    x = inner(16)
    one, many = attacks.fgsm(bent, x, 0.1).loss, ALL[name](bent, x, 0.1).loss
    assert (many >= one - 1e-4).float().mean() >= 0.9  # no theorem picture by picture: a step of eps can jump over a valley
    assert float(many.mean()) > float(one.mean())


@pytest.mark.parametrize("name", ["fgsm", "pgd", "apgd"])
def test_noise_of_the_same_size_is_weaker(name, linear, bent):
    for loss in (linear, bent):
        x = inner(16)
        assert float((ALL[name](loss, x, EPS).loss - ALL["noise"](loss, x, EPS).loss).min()) > 0


def test_noise_moves_every_value_by_eps(linear):
    x = inner()
    assert (ALL["noise"](linear, x, EPS).picture - x).abs() == pytest.approx(torch.full_like(x, EPS), abs=1e-6)


@pytest.mark.parametrize("name", ALL)
def test_twice_is_the_same(name, bent):
    assert torch.equal(ALL[name](bent, inner(), EPS).picture, ALL[name](bent, inner(), EPS).picture)


@pytest.mark.parametrize("attack", [attacks.pgd, attacks.apgd])
def test_an_attack_stops_where_it_has_won(attack, linear):
    calls = []

    def counted(x):
        calls.append(len(x))
        return linear(x)

    x = inner(1)
    attack(counted, x, EPS, until=float(linear(x)) - 1)
    assert len(calls) == 1


@pytest.mark.parametrize("x", [torch.full((1, 1, 2, 2), 1.5), torch.zeros(2, 2), torch.full((1, 1, 2, 2), torch.nan)])
def test_bad_pictures_are_refused(x, linear):
    for attack in ALL.values():
        with pytest.raises(InvalidValue, match="from 0 to 1"):
            attack(linear, x, EPS)


def test_a_negative_size_is_refused(linear):
    with pytest.raises(InvalidValue, match="eps"):
        attacks.fgsm(linear, inner(), -0.1)
