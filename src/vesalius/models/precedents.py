"""Yes or no by precedent: a kernel machine over what was asked of which training image, beside the fusion.

In: what the language model made of a question's words [..., 576], mean-pooled features of the tower [..., 1280]. Out: a margin, positive for yes.
On frozen features a kernel machine generalises from a few thousand yes/no answers better than a network trained on them alone (docs/log.md); the two
err differently, so their sum is better than either. It is fitted in closed form (`train/precedents.py`) and is two small matrix products to ask.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

QUESTION, IMAGE, PRIOR = 2.0, 0.5, 0.3  # widths of the two kernels, share of the question alone


class Precedents(nn.Module):
    """margin = s(question) kq(question) W ki(image), with kq = exp(-2 (1 - cosine)), ki = 0.3 + exp(-|difference|^2 / 2 / dimensions), inputs standardised.

    To a kernel, a question and its negation are nearly the same; s in [-1, 1] tells which way round it is asked, and turns the margin.

    Args:
        questions, images: how many are remembered. turned: whether there is such an s; without it s is 1.
    """

    asked: Tensor
    asked_mean: Tensor
    asked_deviation: Tensor
    shown: Tensor
    shown_mean: Tensor
    shown_deviation: Tensor
    weights: Tensor
    direction: Tensor
    weight: Tensor
    turn: Tensor
    turn_bias: Tensor

    def __init__(self, questions: int, images: int, *, width: int, depth: int, turned: bool = False) -> None:
        super().__init__()
        self.turned = turned
        turns: dict[str, tuple[int, ...]] = {"turn": (width,), "turn_bias": (1,)} if turned else {}
        for name, shape in {
            "asked": (questions, width),  # standardised, of length 1
            "asked_mean": (width,),
            "asked_deviation": (width,),
            "shown": (images, depth),  # standardised
            "shown_mean": (depth,),
            "shown_deviation": (depth,),
            "weights": (questions, images),  # W
            "direction": (width,),  # added once to a state, it raises log p(yes) / p(no) by 1
            "weight": (1,),  # of the margin beside the fusion's, from the development split
            **turns,  # of a logistic regression on the words
        }.items():
            self.register_buffer(name, torch.zeros(shape))

    def speak(self, words: Tensor, pooled: Tensor) -> Tensor:
        """What to add to final-normed states so that they say the margin: [..., width]."""
        added: Tensor = (self.weight * self(words, pooled))[..., None] * self.direction
        return added

    def forward(self, words: Tensor, pooled: Tensor) -> Tensor:
        """Words [..., width] and pooled features [..., depth], broadcast against each other -> margins [...]."""
        standardised = standard(words, self.asked_mean, self.asked_deviation, unit=True)
        asked = question_kernel(standardised, self.asked) @ self.weights
        shown = image_kernel(standard(pooled, self.shown_mean, self.shown_deviation), self.shown)
        margin: Tensor = (asked * shown).sum(-1)
        return margin * self.way(standardised) if self.turned else margin

    def way(self, standardised: Tensor) -> Tensor:
        """Which way round a question is asked: near 1 as most are, near -1 negated; [..., width] of length 1 -> [...]."""
        score: Tensor = standardised * standardised.shape[-1] ** 0.5 @ self.turn + self.turn_bias[0]
        return torch.tanh(score / 2)


def standard(x: Tensor, mean: Tensor, deviation: Tensor, *, unit: bool = False) -> Tensor:
    """Standardised in float32; with `unit` also of length 1."""
    scaled = (x.float() - mean) / deviation
    return functional.normalize(scaled, dim=-1) if unit else scaled


def question_kernel(a: Tensor, b: Tensor) -> Tensor:
    """exp(-2 (1 - cosine)) of unit vectors [..., width] and [n, width] -> [..., n]."""
    return torch.exp(QUESTION * (a @ b.T - 1))


def image_kernel(a: Tensor, b: Tensor) -> Tensor:
    """0.3 + exp(-|a - b|^2 / 2 / depth) of [..., depth] and [n, depth] -> [..., n]."""
    squared = a.square().sum(-1, keepdim=True) + b.square().sum(-1) - 2 * a @ b.T
    return PRIOR + torch.exp(-IMAGE * squared.clamp(min=0) / a.shape[-1])
