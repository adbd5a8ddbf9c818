"""Development metrics that choose the weights of a stage: is it right, is it steady, does it know that it sees nothing?

In: a composition, held-out examples, and probes: rewordings of held-out questions and questions put to blank pictures. Out: metrics by name.
"""

from __future__ import annotations

import dataclasses
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from vesalius.metrics.selective import auroc
from vesalius.train.batches import IGNORE, Collate, items
from vesalius.train.examples import BLANK, Example
from vesalius.train.objectives import Answers

RIGHT, STEADY, BLIND = 0.5, 0.25, 0.25  # shares of the three in `trust`
Said = tuple[Example, bool, float]  # whether the answer is the reference, and the margin of yes over no


@dataclasses.dataclass(frozen=True, eq=False)
class Development:
    """A function from the module to development metrics.

    Closed questions count as right when the margin has the right sign, open ones when every token of the answer is the most probable candidate
    (teacher-forced: equal to greedy decoding for exact matches). `score` is the mean of the data sets' accuracies, the AUROC of pneumonia among them.
    With probes there are also `steady` (rewordings that are answered as the question itself is, polarity considered), `blank` (questions to blank
    pictures that are answered "cannot be determined"), and `trust`, half of it the score and a quarter each of these.

    Args:
        collate: draws nothing by chance. probes: examples of groups, and examples about blank pictures. size: images in a pass.
    """

    loss: Answers
    held: Sequence[Example]
    collate: Collate
    probes: Sequence[Example] = ()
    size: int = 16

    def __call__(self, module: nn.Module) -> Mapping[str, float]:
        """The metrics."""
        metrics = _accuracies(list(self._ask(module, self.held)))
        said = list(self._ask(module, self.probes))
        blank = [right for example, right, _ in said if example.image.startswith(BLANK)]
        steady = _steady([s for s in said if not s[0].image.startswith(BLANK)])
        if blank and steady:
            metrics |= {"steady": float(np.mean(steady)), "blank": float(np.mean(blank))}
            metrics["trust"] = RIGHT * metrics["score"] + STEADY * metrics["steady"] + BLIND * metrics["blank"]
        return metrics

    def _ask(self, module: Any, examples: Sequence[Example]) -> Iterator[Said]:  # noqa: ANN401 - a module with the composition's parts
        gathered = items(examples, dict.fromkeys((e.source for e in examples), 1.0))
        device = next(module.parameters()).device
        for start in range(0, len(gathered), self.size):
            chosen = gathered[start : start + self.size]
            with torch.autocast("cpu", enabled=False):  # what is cached in half precision is not autocast's to convert
                batch = self.collate(chosen).to(device)
            fused, first = self.loss.fused(module, batch)
            exact = _exact(self.loss.logits(module, fused).argmax(-1), batch.targets).tolist()
            margins = self.loss.margin(module, fused[first]).tolist()
            for example, whole, margin in zip((e for item in chosen for e in item.examples), exact, margins, strict=True):
                yield example, (margin > 0) == (example.answer == "yes") if example.closed else whole, margin


def _accuracies(said: Sequence[Said]) -> dict[str, float]:
    right: dict[str, list[bool]] = defaultdict(list)
    for example, ok, _ in said:
        right[f"{example.source} {'closed' if example.closed else 'open'}"].append(ok)
    metrics = {name: float(np.mean(values)) for name, values in right.items()}
    pneumonia = [(margin, e.answer == "yes") for e, _, margin in said if e.source.startswith("nih") and "pneumonia" in e.question.lower()]
    if pneumonia:
        area = auroc(np.array([margin for margin, _ in pneumonia]), np.array([present for _, present in pneumonia]))
        metrics["pneumonia auroc"] = 0.5 if area is None else area
    of_interest = [v for k, v in metrics.items() if not (k.startswith("nih") and k.endswith("closed"))]
    return {**metrics, "score": float(np.mean(of_interest))}


def _steady(said: Sequence[Said]) -> list[bool]:
    """For each rewording, whether it is answered as its group's question is."""
    firsts = {(e.source, e.group): margin > 0 for e, _, margin in said if not e.reworded}
    return [((margin * e.polarity) > 0) == firsts[e.source, e.group] for e, _, margin in said if e.reworded and (e.source, e.group) in firsts]


def _exact(best: Tensor, targets: Tensor) -> Tensor:
    """Whether every token of each row is the best one: [tokens] of the positions that `targets` [M, T] keeps -> [M]."""
    keep = targets != IGNORE
    wrong = (keep & False).long()
    wrong[keep] = (best != targets[keep]).long()
    return wrong.sum(1) == 0
