"""Where an answer comes from, for any composition: occlusion of image tokens, and gradient x activation.

In: a composition, its prompt, an image's memory [1, N, D] with N cells of a square grid, a question and an answer. Out: a grid of non-negative weights, and
the picture's own shape again. Nothing here says that a model is right: a map shows what the answer depends on, as far as the method can.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from types import MappingProxyType

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from vesalius.errors import InvalidValue, nearest
from vesalius.models.composition import Composition, Prompt
from vesalius.models.decoder import Causal, Tap

Score = Callable[[Tensor], Tensor]  # memories [B, N, D] -> natural log-probability of the answer [B]
_BATCH = 16  # memories in one pass of a language model


class AnswerScore:
    """How probable an answer is, as a function of what the image's memory is: memories [B, N, D] -> natural log-probabilities [B].

    Where the image is no prefix, the language model does not depend on it and runs once for all memories.
    """

    def __init__(self, composition: Composition, prompt: Prompt, question: str, answer: str) -> None:
        self.composition, self.prompt = composition, prompt
        device = next(composition.parameters()).device
        said = list(prompt.answer(answer)) or [prompt.stop[0]]
        self.asked = len(prompt.question(question))
        self.ids = torch.tensor([[*prompt.question(question), *said[:-1]]], device=device)
        self.targets = torch.tensor(said, device=device)
        self._read: tuple[Tensor, Tensor | None] | None = None

    def __call__(self, memory: Tensor) -> Tensor:
        """See the class."""
        words = len(self.prompt.before) + len(self.prompt.between)
        if self.composition.prefix(memory[:1], self.prompt).shape[1] > words:
            return torch.cat([self._through_prefix(part) for part in torch.split(memory, _BATCH)])
        if self._read is None:
            self._read = _read_once(self.composition, self.prompt, self.ids, self.asked)
        hidden, heard = self._read
        return torch.cat([self._total(self.composition.read(hidden, m[None], heard), 1) for m in memory])

    def _through_prefix(self, memory: Tensor) -> Tensor:
        count, place = len(memory), torch.arange(self.ids.shape[1], device=self.ids.device)[None].expand(len(memory), -1)
        own, picks = place < self.asked - len(self.prompt.after), place >= self.asked - 1
        return self._total(self.composition(memory, self.prompt, self.ids.expand(count, -1), picks, asked=own), count)

    def _total(self, logits: Tensor, count: int) -> Tensor:
        chosen = torch.log_softmax(logits.float().view(count, len(self.targets), -1), -1).gather(2, self.targets.expand(count, -1)[..., None])
        return chosen.sum((1, 2))


@torch.no_grad()
def _read_once(composition: Composition, prompt: Prompt, ids: Tensor, asked: int) -> tuple[Tensor, Tensor | None]:
    """Final states at the answer's positions [1, T, width], and what the readout hears of the question."""
    head = (*prompt.before, *prompt.between)
    whole = torch.cat((torch.tensor([list(head)], dtype=torch.long, device=ids.device), ids), dim=1)
    positions = torch.arange(whole.shape[1], device=ids.device)[None]
    decoder = composition.decoder
    tap = None if composition.listens is None else Tap(composition.listens)
    hidden = decoder.states(decoder.embed(whole), positions, Causal(), tap=tap)[:, len(head) + asked - 1 :]
    if tap is None or tap.states is None:
        return hidden, None
    return hidden, tap.states[:, len(head) : len(head) + asked - len(prompt.after)].mean(1)


@torch.inference_mode()
def occlusion(score: Score, memory: Tensor, *, window: int = 3) -> tuple[Tensor, str]:
    """How much less probable the answer becomes when a window of cells is hidden behind the mean of all.

    Args:
        memory: [1, N, D]. window: side of the hidden square, in cells; odd.

    Returns:
        A grid [side, side] >= 0, and the method's name.
    """
    side = side_of(memory)
    masks = windows(side, window).to(memory.device)
    hidden = torch.where(masks[:, :, None], memory.mean(1, keepdim=True), memory)
    values = score(torch.cat((memory, hidden)))
    drop = (values[0] - values[1:]).clamp(min=0)
    grid = (masks.float().T @ drop) / masks.float().sum(0)
    return grid.view(side, side), f"occlusion of {window} x {window} of {side} x {side} image tokens"


def gradient(score: Score, memory: Tensor) -> tuple[Tensor, str]:
    """Gradient of the answer's log-probability times activation, summed over channels; what speaks against the answer counts as nothing.

    Returns:
        A grid [side, side] >= 0, and the method's name.
    """
    side = side_of(memory)
    with torch.enable_grad():
        moving = memory.detach().clone().requires_grad_(True)
        (slope,) = torch.autograd.grad(score(moving).sum(), moving)
    return (slope * memory).sum(-1).clamp(min=0).detach().view(side, side), f"gradient x activation of {side} x {side} image tokens"


METHODS: Mapping[str, Callable[[Score, Tensor], tuple[Tensor, str]]] = MappingProxyType({"occlusion": occlusion, "gradient": gradient})


def method(name: str) -> Callable[[Score, Tensor], tuple[Tensor, str]]:
    """A method by name.

    Raises:
        InvalidValue: there is none.
    """
    if name not in METHODS:
        guess = nearest(name, METHODS)
        raise InvalidValue(f"no way of looking is called {name!r}", remedy=f"did you mean {guess!r}?" if guess else f"use {' or '.join(METHODS)}")
    return METHODS[name]


def side_of(memory: Tensor) -> int:
    """Side of the square grid that the cells of a memory [1, N, D] form.

    Raises:
        InvalidValue: N is not a square number.
    """
    side = math.isqrt(memory.shape[1])
    if side**2 != memory.shape[1]:
        raise InvalidValue(f"{memory.shape[1]} image tokens form no square grid", remedy="this model cannot say where it looks")
    return side


def windows(side: int, window: int) -> Tensor:
    """[side^2, side^2] True where the window around a cell hides another."""
    y, x = torch.meshgrid(torch.arange(side), torch.arange(side), indexing="ij")
    at = torch.stack((y.flatten(), x.flatten()), 1)
    return ((at[:, None] - at[None]).abs() <= window // 2).all(-1)


def to_image(grid: Tensor, rows: int, cols: int, *, padded: bool = True) -> NDArray[np.float32]:
    """A grid over the picture as it was displayed, in [0, 1].

    Args:
        rows, cols: of the picture. padded: whether it was padded to a square before it was seen; else it was stretched.
    """
    shape = (max(rows, cols),) * 2 if padded else (rows, cols)
    whole = functional.interpolate(grid[None, None].float(), size=shape, mode="bicubic", align_corners=False)[0, 0].clamp(min=0)
    top, left = ((shape[0] - rows) // 2, (shape[1] - cols) // 2)
    inner = whole[top : top + rows, left : left + cols].cpu().numpy().astype(np.float32)
    peak = float(inner.max())
    return inner / peak if peak > 0 else inner
