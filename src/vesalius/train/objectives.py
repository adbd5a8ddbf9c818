"""The terms of `pocket`'s loss.

In: a composition and an `ImageBatch`. Out: sums by term: `answer` (cross-entropy of the answer's tokens), `consistency` (two wordings of a question
should be as sure of the same thing), `contrast` (the image that says yes should be surer of yes than the one that says no), `agreement` (two wordings should
both be as sure as a teacher was of the two on average: steadier without forgetting, and what it knew of images and of wordings that nobody labelled too).
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
from vesalius.models.pocket import Reading
from vesalius.train.batches import IGNORE, ImageBatch, Shown
from vesalius.train.views import change

_SMOOTHING = 0.02  # mined labels are wrong more often than that


@dataclasses.dataclass(frozen=True, eq=False)
class _Asked:
    """Answer tokens, by image.

    Args:
        readout: states [B, Q, width], memory [B, N, depth], words [B, Q, width]; an image with fewer than Q tokens has zeros behind them.
        image, place: [tokens] where each token stands. row: [tokens] its wording. first: [M] each wording's first token.
    """

    readout: tuple[Tensor, Tensor, Tensor]
    image: Tensor
    place: Tensor
    row: Tensor
    first: Tensor


@dataclasses.dataclass(frozen=True, eq=False)
class Answers:
    """A `Loss`.

    Args:
        candidates: token ids that compete. prompt: names the first tokens of yes and no. first: the first layer with adapters.
        teacher: a readout as it was before, with its precedents; None leaves `agreement` out.
    """

    candidates: Tensor
    prompt: Prompt
    first: int
    teacher: Reading | None = None

    @property
    def terms(self) -> tuple[str, ...]:
        """The names of the terms; without a teacher there is no `agreement`."""
        return ("answer", "consistency", "contrast", *(() if self.teacher is None else ("agreement",)))

    def __call__(self, module: Composition, batch: ImageBatch) -> Mapping[str, Tensor]:
        """Sums by term."""
        at = self._asked(module, batch)
        fused = cast(Any, module.readout).members(*at.readout)[:, at.image, at.place].float()
        taught = None if self.teacher is None or not len(batch.consistency) else self._taught(module, batch, at)
        parts = [self._terms(module, batch, states, at, taught) for states in fused]
        return {term: torch.stack([part[term] for part in parts]).mean(0) for term in parts[0]}

    def _terms(self, module: Composition, batch: ImageBatch, fused: Tensor, at: _Asked, taught: Tensor | None) -> dict[str, Tensor]:
        """Sums by term of one fusion: each answers for itself, or they would lean on one another and stop differing."""
        known = ~batch.free[at.row]
        targets = batch.targets[batch.targets != IGNORE][known]
        smoothing = _SMOOTHING if module.training else 0.0
        logits = self.logits(module, fused[known])
        sums = {"answer": functional.cross_entropy(logits, targets, reduction="sum", label_smoothing=smoothing)}
        margin = self.margin(module, fused[at.first])
        if len(batch.consistency):
            a, b, polarity = batch.consistency.unbind(1)
            sums["consistency"] = (torch.sigmoid(margin[a]) - torch.sigmoid(margin[b] * polarity)).square().sum()
            if taught is not None:
                both = torch.stack((margin[a], margin[b] * polarity))
                sums["agreement"] = functional.binary_cross_entropy_with_logits(both, taught.expand_as(both), reduction="sum")
        if len(batch.contrast):
            yes, no = batch.contrast.unbind(1)
            sums["contrast"] = functional.softplus(margin[no] - margin[yes]).sum()
        return sums

    @torch.no_grad()
    def _taught(self, module: Composition, batch: ImageBatch, at: _Asked) -> Tensor:
        """For each pair of wordings the probability of yes (to the first) by the mean of the teacher's two margins: [P]."""
        states = cast(Reading, self.teacher)(*at.readout)[at.image, at.place].float()
        margin = self.margin(module, states[at.first])
        a, b, polarity = batch.consistency.unbind(1)
        return torch.sigmoid((margin[a] + margin[b] * polarity) / 2)

    def fused(self, module: Composition, batch: ImageBatch) -> tuple[Tensor, Tensor]:
        """What the readout as a whole makes of the states at the answer's tokens, row by row [tokens, width], and the index of each row's first [M]."""
        at = self._asked(module, batch)
        states: Tensor = cast(Any, module.readout)(*at.readout)
        return states[at.image, at.place].float(), at.first

    def _asked(self, module: Composition, batch: ImageBatch) -> _Asked:
        """What the readout is given: all answer tokens of an image side by side, so that its keys and values are there once."""
        tower: Any = module.tower
        memory = {Shown.PIXELS: tower, Shown.LOWER: tower.above, Shown.FEATURES: tower.project}[batch.shown](_image(batch))
        hidden = self._hidden(module, batch) if batch.deep else batch.states
        keep = batch.targets != IGNORE
        counts = keep.sum(1)
        row = torch.arange(len(keep), device=keep.device).repeat_interleave(counts)
        image = batch.rows[row]
        of_image = torch.bincount(image, minlength=len(memory))
        order = torch.argsort(image, stable=True)
        place = torch.empty_like(image)
        place[order] = torch.arange(len(image), device=image.device) - (of_image.cumsum(0) - of_image)[image[order]]
        states = hidden[:, : keep.shape[1]][keep]
        shape = (len(memory), int(of_image.max()), states.shape[1])
        side = [x.new_zeros(shape).index_put((image, place), x) for x in (states, batch.words[row].to(states.dtype))]
        return _Asked((side[0], memory, side[1]), image, place, row, counts.cumsum(0) - counts)

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
