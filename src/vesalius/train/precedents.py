"""Fitting the precedents: kernel ridge regression in closed form, and the weight of its margin beside the fusions'.

In: yes/no examples of the training parts, words of their questions, pooled features of their images; margins on the development part.
Out: a filled `Precedents`.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from vesalius.data.splits import unit_hash
from vesalius.errors import InvalidValue
from vesalius.models.precedents import Precedents, image_kernel, question_kernel, standard
from vesalius.train.examples import Example

RIDGE = 0.1
_ROUNDS = 25  # of Newton's method: ten reach the last digit of float32
SHARES = (0.0, 0.25, 0.5, 1.0)  # of the weight under which both margins vary alike; the development part chooses, and a finer choice would be luck


def fit(
    examples: Sequence[Example],
    yes_no: Tensor,
    words: Mapping[str, Tensor],
    features: Mapping[str, Tensor],
    *,
    most: int = 4000,
    ways: Mapping[str, int] | None = None,
) -> Precedents:
    """Ridge regression of +1 (yes) and -1 (no) with the product of the two kernels, and of which way round the two questions are asked.

    Args:
        yes_no: [width] row of yes minus row of no in the vocabulary matrix. words: question to [width].
        features: image to [views, N, depth]; the first view counts. most: examples of one source; more are thinned by hash.
        ways: questions with +1, or -1 where they are a negation of what was first asked, to learn the two apart from; None: all are asked the same way.

    Raises:
        InvalidValue: no yes/no example among them.
    """
    chosen = _thin([e for e in examples if e.closed], most)
    if not chosen:
        raise InvalidValue("precedents need yes/no examples", remedy="add a source with yes/no questions to the recipe")
    questions = {q: i for i, q in enumerate(sorted({e.question for e in chosen}))}
    images = {m: i for i, m in enumerate(sorted({e.image for e in chosen}))}
    asked = torch.stack([words[q].float() for q in questions])
    shown = torch.stack([features[m][0].float().mean(0) for m in images])
    made = Precedents(len(questions), len(images), width=asked.shape[1], depth=shown.shape[1], turned=ways is not None)
    for name, rows in (("asked", asked), ("shown", shown)):
        getattr(made, f"{name}_mean").copy_(rows.mean(0))
        getattr(made, f"{name}_deviation").copy_(rows.std(0).clamp(min=1e-6))
    made.asked.copy_(standard(asked, made.asked_mean, made.asked_deviation, unit=True))
    made.shown.copy_(standard(shown, made.shown_mean, made.shown_deviation))
    rows, cols = torch.tensor([questions[e.question] for e in chosen]), torch.tensor([images[e.image] for e in chosen])
    labels = torch.tensor([1.0 if e.answer == "yes" else -1.0 for e in chosen])
    kernel = question_kernel(made.asked, made.asked)[rows][:, rows] * image_kernel(made.shown, made.shown)[cols][:, cols]
    if ways is not None:
        _learn_ways(made, ways, words)
        way = made.way(made.asked)[rows]
        kernel *= way[:, None] * way
    kernel.diagonal().add_(RIDGE)
    duals = torch.cholesky_solve(labels[:, None], torch.linalg.cholesky(kernel))[:, 0]
    made.weights.index_put_((rows, cols), duals if ways is None else duals * way, accumulate=True)
    made.direction.copy_(yes_no / yes_no.square().sum())
    return made


def _learn_ways(made: Precedents, ways: Mapping[str, int], words: Mapping[str, Tensor]) -> None:
    """Logistic regression (iterated least squares, ridge 1) of the way a question is asked on its words; both ways weigh the same."""
    names = sorted(ways)
    asked = standard(torch.stack([words[q].float() for q in names]), made.asked_mean, made.asked_deviation, unit=True).double()
    x = torch.cat((asked * asked.shape[1] ** 0.5, torch.ones(len(asked), 1, dtype=torch.double)), dim=1)
    usual = torch.tensor([float(ways[q] > 0) for q in names], dtype=torch.double)
    share = torch.where(usual > 0, len(names) / (2 * usual.sum().clamp(min=1)), len(names) / (2 * (1 - usual).sum().clamp(min=1)))
    ridge = torch.diag(torch.tensor([1.0] * (x.shape[1] - 1) + [1e-6], dtype=torch.double))
    found = torch.zeros(x.shape[1], dtype=torch.double)
    for _ in range(_ROUNDS):
        chance = torch.sigmoid(x @ found)
        slope = x.T @ (share * (usual - chance)) - ridge @ found
        bend = (x * (share * chance * (1 - chance))[:, None]).T @ x + ridge
        found += torch.linalg.solve(bend, slope)
    made.turn.copy_(found[:-1])
    made.turn_bias.copy_(found[-1:])


def same_spread(fused: Tensor, margins: Tensor, groups: Sequence[str]) -> float:
    """The weight under which both margins vary alike on the development split: the mean over the groups of std(fused) / std(margins).

    Args:
        fused, margins: [n]. groups: [n] data set of each; one that has no spread does not count.
    """
    ratios = []
    for group in sorted(set(groups)):
        here = torch.tensor([g == group for g in groups])
        spread = float(margins[here].std()) if int(here.sum()) > 1 else 0.0
        if spread > 0:
            ratios.append(float(fused[here].std()) / spread)
    return sum(ratios) / len(ratios) if ratios else 0.0


def _thin(examples: Sequence[Example], most: int) -> list[Example]:
    by_source: dict[str, list[Example]] = defaultdict(list)
    for e in examples:
        by_source[e.source].append(e)
    return [e for rows in by_source.values() for e in sorted(rows, key=lambda e: unit_hash(f"{e.image} {e.question}"))[:most]]
