"""The terms of `pocket`'s loss.

In: a composition and an `ImageBatch`. Out: sums by term: `answer` (cross-entropy of the answer's tokens), `consistency` (two wordings of a question
should be as sure of the same thing), `contrast` (the image that says yes should be surer of yes than the one that says no).
Consistency alone would collapse to one answer for everything (arXiv 2603.00148); the recipe gives `answer` its weight beside it.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any, cast

import torch
from torch import Tensor
from torch.nn import functional

from vesalius.models import efficientnet
from vesalius.models.composition import Composition, Prompt
from vesalius.models.decoder import Causal
from vesalius.train.batches import IGNORE, ImageBatch, Shown
from vesalius.train.views import change

_SMOOTHING = 0.02  # mined labels are wrong more often than that


@dataclasses.dataclass(frozen=True, eq=False)
class Answers:
    """A `Loss`.

    Args:
        candidates: token ids that compete. prompt: names the first tokens of yes and no. first: the first layer with adapters.
    """

    candidates: Tensor
    prompt: Prompt
    first: int
    terms: tuple[str, ...] = ("answer", "consistency", "contrast")

    def __call__(self, module: Composition, batch: ImageBatch) -> Mapping[str, Tensor]:
        """Sums by term."""
        members, first = self.members(module, batch)
        parts = [self._terms(module, batch, fused, first) for fused in members]
        return {term: torch.stack([part[term] for part in parts]).mean(0) for term in parts[0]}

    def _terms(self, module: Composition, batch: ImageBatch, fused: Tensor, first: Tensor) -> dict[str, Tensor]:
        """Sums by term of one fusion: each answers for itself, or they would lean on one another and stop differing."""
        keep = batch.targets != IGNORE
        logits = self.logits(module, fused)
        smoothing = _SMOOTHING if module.training else 0.0
        sums = {"answer": functional.cross_entropy(logits, batch.targets[keep], reduction="sum", label_smoothing=smoothing)}
        margin = self.margin(module, fused[first])
        if len(batch.consistency):
            a, b, polarity = batch.consistency.unbind(1)
            sums["consistency"] = (torch.sigmoid(margin[a]) - torch.sigmoid(margin[b] * polarity)).square().sum()
        if len(batch.contrast):
            yes, no = batch.contrast.unbind(1)
            sums["contrast"] = functional.softplus(margin[no] - margin[yes]).sum()
        return sums

    def fused(self, module: Composition, batch: ImageBatch) -> tuple[Tensor, Tensor]:
        """What the readout as a whole makes of the states at the answer's tokens, row by row [tokens, width], and the index of each row's first [M]."""
        at, first = self._asked(module, batch)
        states: Tensor = cast(Any, module.readout)(*at)
        return states[:, 0].float(), first

    def members(self, module: Composition, batch: ImageBatch) -> tuple[Tensor, Tensor]:
        """As `fused`, of each fusion for itself: [K, tokens, width]."""
        at, first = self._asked(module, batch)
        states: Tensor = cast(Any, module.readout).members(*at)
        return states[:, :, 0].float(), first

    def _asked(self, module: Composition, batch: ImageBatch) -> tuple[tuple[Tensor, Tensor, Tensor, Tensor], Tensor]:
        """What the readout is given, one answer token a row, and the index of each wording's first."""
        tower: Any = module.tower
        memory = {Shown.PIXELS: tower, Shown.LOWER: tower.above, Shown.FEATURES: tower.project}[batch.shown](_image(batch))
        hidden = self._hidden(module, batch) if batch.deep else batch.states
        keep = batch.targets != IGNORE
        counts = keep.sum(1)
        row = torch.arange(len(keep), device=keep.device).repeat_interleave(counts)
        return (hidden[:, : keep.shape[1]][keep][:, None], memory, batch.words[row], batch.rows[row]), counts.cumsum(0) - counts

    def _hidden(self, module: Composition, batch: ImageBatch) -> Tensor:
        lm: Any = module.lm
        positions = torch.arange(batch.states.shape[1], device=batch.states.device).expand(len(batch.states), -1)
        top = lm.model.norm(lm.layers_between(batch.states, positions, Causal(), self.first, lm.layers))
        picked: Tensor = top.gather(1, batch.places[:, :, None].expand(-1, -1, top.shape[-1]))
        return picked

    def logits(self, module: Composition, fused: Tensor) -> Tensor:
        """States [..., width] -> logits of the candidates [..., C]."""
        return _speak(module, fused, self.candidates)

    def margin(self, module: Composition, first: Tensor) -> Tensor:
        """Log p(yes) - log p(no) of first tokens [M, width] -> [M], among the wordings of yes and no that compete."""
        yes, no = self.wordings()
        return _speak(module, first, torch.tensor(yes)).logsumexp(1) - _speak(module, first, torch.tensor(no)).logsumexp(1)

    def wordings(self) -> tuple[list[int], list[int]]:
        """Ids of the wordings of yes and of no that compete."""
        said = set(self.candidates.tolist())
        return [t for t in self.prompt.yes if t in said], [t for t in self.prompt.no if t in said]


def _image(batch: ImageBatch) -> Tensor:
    """What the part of the tower that is not cached gets."""
    if batch.shown is not Shown.PIXELS:
        return batch.image
    pixels = efficientnet.normalise(batch.image)
    # the layout that convolutions are fast in
    return (change(pixels, batch.changes) if len(batch.changes) else pixels).contiguous(memory_format=torch.channels_last)


def _speak(module: Composition, states: Tensor, tokens: Tensor) -> Tensor:
    """Logits of some tokens, in float32 whatever the rest computes in: margins are compared to their last digits."""
    head: Any = module.lm.lm_head
    rows = head.weight[tokens.to(head.weight.device)]
    with torch.autocast(states.device.type, enabled=False):
        return functional.linear(states.float(), rows.float())
