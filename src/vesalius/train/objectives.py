"""The terms of `pocket`'s loss, and the development metrics that choose its weights.

In: a composition and an `ImageBatch`. Out: sums by term: `answer` (cross-entropy of the answer's tokens), `consistency` (two wordings of a question
should be as sure of the same thing), `contrast` (the image that says yes should be surer of yes than the one that says no).
Consistency alone would collapse to one answer for everything (arXiv 2603.00148); the recipe gives `answer` its weight beside it.
"""

from __future__ import annotations

import dataclasses
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from vesalius.metrics.selective import auroc
from vesalius.models.composition import Composition, Prompt
from vesalius.models.decoder import Causal
from vesalius.train.batches import IGNORE, Collate, ImageBatch, ImageItem

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
        fused, first = self.fused(module, batch)
        keep = batch.targets != IGNORE
        logits = functional.linear(fused, self.vocabulary(module))
        losses = functional.cross_entropy(logits, batch.targets[keep], reduction="none", label_smoothing=_SMOOTHING if module.training else 0.0)
        sums = {"answer": (losses * batch.weights[:, None].expand_as(keep)[keep]).sum()}
        margin = self.margin(module, fused[first])
        if len(batch.consistency):
            a, b, polarity = batch.consistency.unbind(1)
            sums["consistency"] = (torch.sigmoid(margin[a]) - torch.sigmoid(margin[b] * polarity)).square().sum()
        if len(batch.contrast):
            yes, no = batch.contrast.unbind(1)
            sums["contrast"] = functional.softplus(margin[no] - margin[yes]).sum()
        return sums

    def fused(self, module: Composition, batch: ImageBatch) -> tuple[Tensor, Tensor]:
        """States after the fusion at the positions of answer tokens, row by row [tokens, width], and the index of each row's first [M]."""
        tower: Any = module.tower
        memory = tower.project(batch.image) if batch.seen else tower.above(batch.image)
        hidden = self._hidden(module, batch) if batch.deep else batch.states
        keep = batch.targets != IGNORE
        counts = keep.sum(1)
        row = torch.arange(len(keep), device=keep.device).repeat_interleave(counts)
        fused: Tensor = module.readout(hidden[:, : keep.shape[1]][keep][:, None], memory, batch.words[row], batch.rows[row])  # type: ignore[misc]
        return fused[:, 0], counts.cumsum(0) - counts

    def _hidden(self, module: Composition, batch: ImageBatch) -> Tensor:
        lm: Any = module.lm
        positions = torch.arange(batch.states.shape[1], device=batch.states.device).expand(len(batch.states), -1)
        top = lm.model.norm(lm.layers_between(batch.states, positions, Causal(), self.first, lm.layers))
        picked: Tensor = top.gather(1, batch.places[:, :, None].expand(-1, -1, top.shape[-1]))
        return picked

    def vocabulary(self, module: Composition) -> Tensor:
        """Rows of the vocabulary matrix of the candidates, [C, width]."""
        head: Any = module.lm.lm_head
        rows: Tensor = head.weight[self.candidates.to(head.weight.device)]
        return rows

    def margin(self, module: Composition, first: Tensor) -> Tensor:
        """Log p(yes) - log p(no) of first tokens [M, width] -> [M], among the wordings of yes and no that compete."""
        head: Any = module.lm.lm_head
        yes, no = self.wordings()
        return functional.linear(first, head.weight[yes]).logsumexp(1) - functional.linear(first, head.weight[no]).logsumexp(1)

    def wordings(self) -> tuple[list[int], list[int]]:
        """Ids of the wordings of yes and of no that compete."""
        said = set(self.candidates.tolist())
        return [t for t in self.prompt.yes if t in said], [t for t in self.prompt.no if t in said]


def development(loss: Answers, held: Sequence[ImageItem], collate: Collate, *, size: int = 16) -> Callable[[nn.Module], Mapping[str, float]]:
    """A function from the module to development metrics.

    Closed questions count as right when the margin has the right sign, open ones when every token of the answer is the most probable candidate
    (teacher-forced: equal to greedy decoding for exact matches). `score` is the mean of the data sets' accuracies, the AUROC of pneumonia among them.
    """

    def look(module: Any) -> Mapping[str, float]:  # noqa: ANN401 - a module with the composition's parts
        right: dict[str, list[float]] = defaultdict(list)
        findings: dict[str, tuple[list[float], list[bool]]] = defaultdict(lambda: ([], []))
        for start in range(0, len(held), size):
            chosen = list(held[start : start + size])
            batch = collate(chosen)
            fused, first = loss.fused(module, batch)
            exact = _exact(functional.linear(fused, loss.vocabulary(module)).argmax(-1), batch.targets)
            margin = loss.margin(module, fused[first])
            for i, example in enumerate(e for item in chosen for e in item.examples):
                ok = bool((margin[i] > 0) == (example.answer == "yes")) if example.closed else bool(exact[i])
                right[f"{example.source} {'closed' if example.closed else 'open'}"].append(ok)
                if "pneumonia" in example.question.lower() and example.source.startswith("nih"):
                    findings["pneumonia"][0].append(float(margin[i]))
                    findings["pneumonia"][1].append(example.answer == "yes")
        metrics = {name: float(np.mean(values)) for name, values in right.items()}
        for name, (scores, labels) in findings.items():
            area = auroc(np.array(scores), np.array(labels))
            metrics[f"{name} auroc"] = 0.5 if area is None else area
        of_interest = [v for k, v in metrics.items() if not (k.startswith("nih") and k.endswith("closed"))]
        return {**metrics, "score": float(np.mean(of_interest))}

    return look


def _exact(best: Tensor, targets: Tensor) -> Tensor:
    """Whether every token of each row is the best one: [tokens] of the positions that `targets` [M, T] keeps -> [M]."""
    keep = targets != IGNORE
    wrong = torch.zeros_like(targets)
    wrong[keep] = (best != targets[keep]).long()
    return wrong.sum(1) == 0
