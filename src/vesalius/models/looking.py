"""Where an answer comes from, for any model whose image has cells: occlusion, gradient x activation, attention rollout.

In: how probable an answer is given an image's memory [1, N, D], N cells of a grid. Out: a grid of weights >= 0, and the picture's own shape again. Nothing
here says that a model is right: a map shows what an answer depends on, as far as its method can.

- occlusion: what the answer loses when a part of the picture is hidden behind its mean colour (where the picture is not at hand, tokens behind the mean of
  all). It asks the model itself and is slow; a picture with a hole is like none that the model has seen.
- gradient: what the answer would lose to a small change, cell by cell. One pass; noisy, and blind where the model is saturated.
- rollout (Abnar & Zuidema 2020, arXiv 2005.00928): where attention leads, from the positions that speak the answer down to the patches: of each layer half
  what a position held itself, half what it looked at. It is no cause: values, MLPs and signs are not in it. It hardly depends on which answer was given (the
  first word's position is the same for all), and causal attention favours what stands early in the row, the upper rows of an image. Where an image speaks
  through a readout beside the language model, the map is that readout's own attention, and its name says so.

The gradient is of the tower's cells, not of the picture. A tower that attends spreads what stands in one place over many cells: in a model of two such
layers, trained to tell a bright square, the square was found by the gradient in 4 of 49 pictures at most, by hiding cells in 1, by hiding pixels in 32 to 35.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import NoReturn

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from vesalius.errors import InvalidValue, nearest
from vesalius.models.composition import Composition, Prompt
from vesalius.models.decoder import Causal, Rollout, Tap

Score = Callable[[Tensor], Tensor]  # memories [B, N, D] -> natural log-probability of the answer [B]
Look = Callable[..., tuple[Tensor, str]]  # (score, memory, shape=...) -> a grid >= 0, and the method's name
_BATCH = 16  # memories in one pass of a language model
_MOST = 1024  # windows that are hidden, one after the other


class AnswerScore:
    """How probable an answer is, as a function of what the image's memory is: memories [B, N, D] -> natural log-probabilities [B].

    Where the image is no prefix, the language model does not depend on it and runs once for all memories.

    Args:
        pixels: [1, 3, S, S] of the image, for `without` to hide parts of, and for `flow` to follow attention through its tower too.
    """

    def __init__(self, composition: Composition, prompt: Prompt, question: str, answer: str, pixels: Tensor | None = None) -> None:
        self.composition, self.prompt, self.pixels = composition, prompt, pixels
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

    @property
    def sees_pixels(self) -> bool:
        """Whether the picture is at hand, for `without`."""
        return self.pixels is not None

    @torch.no_grad()
    def without(self, masks: Tensor, rows: int, cols: int) -> Tensor:
        """Log-probabilities [B] of the answer when parts of the picture are hidden behind its mean colour.

        Args:
            masks: [B, rows x cols] True where a cell of a grid over the picture is hidden.
        """
        assert self.pixels is not None
        return self(seen_without(self.composition, self.pixels, masks, rows, cols))

    @torch.no_grad()
    def flow(self, memory: Tensor) -> tuple[Tensor, str]:
        """How much of each cell attention brings to where the answer is spoken: [N] float32, and what was followed.

        Args:
            memory: [1, N, D].

        Raises:
            InvalidValue: the image's cells are not its tokens, or it is seen without attention.
        """
        embeds, at = self.laid_out(memory)
        length, cells, count = embeds.shape[1], memory.shape[1], at.stop - at.start
        if not count:
            return self._of_readout(memory)
        if count != cells:
            _refuse(f"attention cannot be followed from {count} image tokens to {cells} cells")
        start = torch.eye(length, device=embeds.device)[:, at]
        watching = Rollout(start)
        self.composition.decoder.states(embeds, torch.arange(length, device=embeds.device)[None], watching)
        weights = watching.flow[-len(self.targets) :].mean(0)
        tower = self.composition.tower
        through = getattr(getattr(tower, "vision", None), "rollout", None)  # as `vit.VisionTransformer` has it
        if self.pixels is None or through is None:
            return weights, "rollout through the language model"
        return weights @ through(self.pixels, getattr(tower, "layer", -1)), "rollout through tower and language model"

    def laid_out(self, memory: Tensor) -> tuple[Tensor, slice]:
        """The whole text with one image [1, N, D] as embeddings [1, T, width], the last rows those that speak the answer; and where its tokens stand."""
        prefix = self.composition.prefix(memory, self.prompt)
        first, last = len(self.prompt.before), prefix.shape[1] - len(self.prompt.between)
        return torch.cat((prefix, self.composition.decoder.embed(self.ids).to(prefix.dtype)), 1), slice(first, last)

    def _of_readout(self, memory: Tensor) -> tuple[Tensor, str]:
        attention = getattr(self.composition.readout, "attention", None)
        if attention is None:
            _refuse("this model does not attend to its image")
        hidden, heard = _read_once(self.composition, self.prompt, self.ids, self.asked)
        return attention(hidden, memory, heard)[0].float().mean(0), "attention of the readout"

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


@torch.no_grad()
def occlusion(score: Score, memory: Tensor, *, shape: tuple[int, int] | None = None, window: int = 3) -> tuple[Tensor, str]:
    """How much less probable the answer becomes when a window of the picture is hidden behind its mean colour, or of cells behind the mean of all.

    Every cell is the middle of a window; where that would be more than 1,024, windows are wider and their middles further apart. In a grid that is no larger
    than the window, single cells are hidden.

    Args:
        score: with `without(masks, rows, cols)` and `sees_pixels`, as `AnswerScore`, where pixels can be hidden. memory: [1, N, D].
        shape: rows and columns of the grid; None takes a square. window: side of the hidden square, in cells; odd.

    Returns:
        A grid [rows, columns] >= 0, and the method's name.
    """
    rows, cols = shape or square(memory)
    step = math.ceil((rows * cols / _MOST) ** 0.5)
    window = max(window, 2 * step + 1) if step > 1 else window if window < max(rows, cols) else 1  # one that hides everything finds nothing
    masks = windows(rows, cols, window, step).to(memory.device)
    whole, parts = score(memory)[0], torch.split(masks, _BATCH)
    if getattr(score, "sees_pixels", False):
        lost, what = [whole - score.without(part, rows, cols) for part in parts], "parts of the picture"  # type: ignore[attr-defined]
    else:
        mean = memory.mean(1, keepdim=True)
        lost, what = [whole - score(torch.where(part[:, :, None], mean, memory)) for part in parts], "image tokens"
    drop = torch.cat(lost).clamp(min=0)
    grid = (masks.to(drop.dtype).T @ drop) / masks.sum(0)
    return grid.view(rows, cols), f"occlusion of {window} x {window} of {rows} x {cols} {what}"


def gradient(score: Score, memory: Tensor, *, shape: tuple[int, int] | None = None) -> tuple[Tensor, str]:
    """Gradient of the answer's log-probability times activation, summed over channels; what speaks against the answer counts as nothing.

    Args:
        memory: [1, N, D]. shape: as in `occlusion`.

    Returns:
        A grid [rows, columns] >= 0, and the method's name.
    """
    rows, cols = shape or square(memory)
    with torch.enable_grad():
        moving = memory.detach().clone().requires_grad_(True)
        (slope,) = torch.autograd.grad(score(moving).sum(), moving)
    return (slope * memory).sum(-1).clamp(min=0).detach().view(rows, cols), f"gradient x activation of {rows} x {cols} image tokens"


def rollout(score: Score, memory: Tensor, *, shape: tuple[int, int] | None = None) -> tuple[Tensor, str]:
    """Where attention leads from the answer's positions; see the module's text for what that is and is not.

    Args:
        score: with a method `flow(memory)`, as `AnswerScore`. memory: [1, N, D]. shape: as in `occlusion`.

    Returns:
        A grid [rows, columns] >= 0, and what was followed.

    Raises:
        InvalidValue: attention cannot be followed in this model.
    """
    rows, cols = shape or square(memory)
    flow = getattr(score, "flow", None)
    if flow is None:
        _refuse("attention cannot be followed in this model")
    weights, name = flow(memory)
    return weights.clamp(min=0).view(rows, cols), f"{name} of {rows} x {cols} image tokens"


METHODS: Mapping[str, Look] = MappingProxyType({"occlusion": occlusion, "gradient": gradient, "rollout": rollout})


def method(name: str) -> Look:
    """A method by name.

    Raises:
        InvalidValue: there is none.
    """
    if name not in METHODS:
        guess = nearest(name, METHODS)
        raise InvalidValue(f"no way of looking is called {name!r}", remedy=f"did you mean {guess!r}?" if guess else f"use {' or '.join(METHODS)}")
    return METHODS[name]


def _refuse(what: str) -> NoReturn:
    raise InvalidValue(what, remedy="look by occlusion or gradient")


def square(memory: Tensor) -> tuple[int, int]:
    """Rows and columns of the square grid that the cells of a memory [1, N, D] form.

    Raises:
        InvalidValue: N is not a square number.
    """
    side = math.isqrt(memory.shape[1])
    if side**2 != memory.shape[1]:
        raise InvalidValue(f"{memory.shape[1]} image tokens form no square grid", remedy="this model cannot say where it looks")
    return side, side


def hide(pixels: Tensor, masks: Tensor, rows: int, cols: int) -> Tensor:
    """Copies of a picture [1, 3, H, W] with parts of it behind its mean colour: [B, 3, H, W].

    Args:
        masks: [B, rows x cols] True where a cell of a grid over the picture is hidden.
    """
    there = functional.interpolate(masks.view(-1, 1, rows, cols).float(), size=pixels.shape[-2:], mode="nearest").bool()
    return torch.where(there, pixels.mean((2, 3), keepdim=True), pixels)


def seen_without(composition: Composition, pixels: Tensor, masks: Tensor, rows: int, cols: int) -> Tensor:
    """Memories [B, N, D] of copies of a picture, each with another part hidden; see `hide`."""
    few = len(masks) if pixels.is_cuda else 2  # a CPU's cache holds no more of a convolutional tower's layers: 16 at once take twice as long each
    return torch.cat([composition.see(hide(pixels, part, rows, cols)) for part in torch.split(masks, few)])


def windows(rows: int, cols: int, window: int, step: int = 1) -> Tensor:
    """[windows, rows x cols] True where a window hides a cell; their middles lie `step` apart, and together they hide every cell."""
    y, x = torch.meshgrid(torch.arange(rows), torch.arange(cols), indexing="ij")
    at = torch.stack((y.flatten(), x.flatten()), 1)
    middles = (at % step == min(step // 2, rows - 1, cols - 1)).all(1)
    return ((at[middles][:, None] - at[None]).abs() <= window // 2).all(-1)


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


def to_middle(grid: Tensor, rows: int, cols: int) -> NDArray[np.float32]:
    """As `to_image`, where only the middle square of the picture was seen; what lies outside it counts as nothing."""
    side = min(rows, cols)
    top, left = (rows - side) // 2, (cols - side) // 2
    whole = np.zeros((rows, cols), dtype=np.float32)
    whole[top : top + side, left : left + side] = to_image(grid, side, side)
    return whole
