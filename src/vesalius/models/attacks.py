"""Pictures changed by at most eps at every pixel so that a loss grows: FGSM, PGD, Auto-PGD, and random noise of the same size beside them.

In: a loss of pictures [B, C, H, W] with values in [0, 1] -> [B], larger is worse for the model. Out: `Attacked`, within eps of the picture and in [0, 1].
Nothing is random but the noise and the starts that a caller gives.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import torch
from torch import Tensor

from vesalius.errors import InvalidValue

Loss = Callable[[Tensor], Tensor]
_FIRST, _SHRINK, _LEAST = 0.22, 0.03, 0.06  # of the steps: to Auto-PGD's first check, by how much later ones come sooner, at the least


@dataclasses.dataclass(frozen=True, eq=False)
class Attacked:
    """What an attack found.

    Args:
        picture: [B, C, H, W], of the largest loss met. loss: [B], there. last: where the attack ended.
    """

    picture: Tensor
    loss: Tensor
    last: Tensor


def fgsm(loss: Loss, x: Tensor, eps: float) -> Attacked:
    """One step along the sign of the gradient (Goodfellow et al. 2015, arXiv 1412.6572).

    Raises:
        InvalidValue: a negative eps, or values outside [0, 1].
    """
    _check(x, eps)
    _, slope = _slope(loss, x)
    return _at(loss, (x + eps * slope.sign()).clamp(0, 1))


def pgd(loss: Loss, x: Tensor, eps: float, *, steps: int = 10, step: float | None = None, start: Tensor | None = None, until: float | None = None) -> Attacked:
    """Steps along the sign of the gradient, each brought back to the ball (Madry et al. 2018, arXiv 1706.06083).

    Args:
        step: length of one; eps / 4 by default. start: where to begin; `x` by default. until: stop when every picture's loss exceeds it.

    Raises:
        InvalidValue: as `fgsm`.
    """
    _check(x, eps)
    length, now = eps / 4 if step is None else step, _into_ball(x if start is None else start, x, eps)
    best = _Best()
    for _ in range(steps):
        value, slope = _slope(loss, now)
        best.see(now, value)
        if best.beyond(until):
            return Attacked(best.picture, best.loss, now)
        now = _into_ball(now + length * slope.sign(), x, eps)
    best.see(now, _value(loss, now))
    return Attacked(best.picture, best.loss, now)


def apgd(loss: Loss, x: Tensor, eps: float, *, steps: int = 10, start: Tensor | None = None, rho: float = 0.75, until: float | None = None) -> Attacked:
    """Auto-PGD (Croce & Hein 2020, arXiv 2003.01690): momentum, and a step that is halved, and taken back to the best picture, where it stops to pay.

    At each check the step is halved for pictures whose loss rose in fewer than `rho` of the steps since the last, or whose best loss and step both stayed.

    Args:
        As `pgd`.

    Raises:
        InvalidValue: as `fgsm`.
    """
    _check(x, eps)
    now = _into_ball(x if start is None else start, x, eps)
    value, slope = _slope(loss, now)
    best = _Best()
    best.see(now, value, slope)
    size = torch.full_like(value, 2 * eps)
    rises, checked, halved = torch.zeros_like(value), best.loss.clone(), torch.ones_like(value, dtype=torch.bool)
    every, since, before = max(int(_FIRST * steps), 1), 0, now
    for turn in range(steps):
        if best.beyond(until):
            break
        share = 0.75 if turn else 1.0
        moved = _into_ball(now + _wide(size) * slope.sign(), x, eps)
        before, now = now, _into_ball(now + share * (moved - now) + (1 - share) * (now - before), x, eps)
        former, (value, slope) = value, _slope(loss, now)
        rises += value > former
        best.see(now, value, slope)
        since += 1
        if since == every:
            halve = (rises <= rho * every) | (~halved & (checked >= best.loss))
            size = torch.where(halve, size / 2, size)
            now, slope = torch.where(_wide(halve), best.picture, now), torch.where(_wide(halve), best.slope, slope)
            checked, halved, rises, since = best.loss.clone(), halve, torch.zeros_like(value), 0
            every = max(every - max(int(_SHRINK * steps), 1), int(_LEAST * steps), 1)
    return Attacked(best.picture, best.loss, now)


def noise(loss: Loss, x: Tensor, eps: float, generator: torch.Generator) -> Attacked:
    """The control: every value moved by +eps or -eps at random, the largest noise that the ball holds.

    Raises:
        InvalidValue: as `fgsm`.
    """
    _check(x, eps)
    signs = torch.randint(0, 2, x.shape, generator=generator).to(x) * 2 - 1
    return _at(loss, (x + eps * signs).clamp(0, 1))


class _Best:
    """The picture of the largest loss so far, for each of a batch."""

    picture: Tensor
    loss: Tensor
    slope: Tensor

    def __init__(self) -> None:
        self._empty = True

    def see(self, picture: Tensor, value: Tensor, slope: Tensor | None = None) -> None:
        """Keep what is better."""
        slope = torch.zeros_like(picture) if slope is None else slope
        if self._empty:
            self.picture, self.loss, self.slope, self._empty = picture, value, slope, False
            return
        better = value > self.loss
        self.picture, self.slope = torch.where(_wide(better), picture, self.picture), torch.where(_wide(better), slope, self.slope)
        self.loss = torch.where(better, value, self.loss)

    def beyond(self, until: float | None) -> bool:
        """Whether every picture's loss exceeds a value."""
        return until is not None and bool((self.loss > until).all())


def _check(x: Tensor, eps: float) -> None:
    if eps < 0 or x.dim() != 4 or not bool(((x >= 0) & (x <= 1)).all()):
        raise InvalidValue(f"an attack needs pictures [B, C, H, W] with values from 0 to 1 and eps >= 0 (got {tuple(x.shape)}, eps {eps:g})")


def _wide(values: Tensor) -> Tensor:
    return values[:, None, None, None]


def _into_ball(picture: Tensor, x: Tensor, eps: float) -> Tensor:
    return torch.min(torch.max(picture, x - eps), x + eps).clamp(0, 1)


def _slope(loss: Loss, x: Tensor) -> tuple[Tensor, Tensor]:
    """Losses [B] and their gradient."""
    with torch.enable_grad():
        moving = x.detach().clone().requires_grad_(True)
        value = loss(moving)
        (slope,) = torch.autograd.grad(value.sum(), moving)
    return value.detach(), slope.detach()


@torch.no_grad()
def _value(loss: Loss, x: Tensor) -> Tensor:
    return loss(x)


def _at(loss: Loss, picture: Tensor) -> Attacked:
    return Attacked(picture, _value(loss, picture), picture)
