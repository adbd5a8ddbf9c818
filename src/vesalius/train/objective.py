"""What the loop asks of a batch and of a loss: sums and counts, never means.

In: a module and a batch. Out: for each term of the loss its sum; the loop divides by the counts of the whole accumulation window, so that
batches of unequal length weigh as they should and 1 x 8 equals 8 x 1.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

import torch
from torch import Tensor

from vesalius.errors import ConfigError, nearest
from vesalius.train.recipe import Stage


class Batch(Protocol):
    """What a loss is computed on."""

    @property
    def counts(self) -> Mapping[str, float]:
        """For each term of the loss, by how many (answer tokens, items, pairs) its sum is to be divided; 0 where this batch has none."""
        ...

    @property
    def tokens(self) -> int:
        """Tokens the model reads, for the speed shown."""
        ...

    def to(self, device: torch.device) -> Any:  # noqa: ANN401 - each loss has its own batch
        """The same batch with its tensors on a device."""
        ...


class Loss(Protocol):
    """A loss of one or several terms."""

    @property
    def terms(self) -> tuple[str, ...]:
        """The names of all terms it can give."""
        ...

    def __call__(self, module: Any, batch: Any) -> Mapping[str, Tensor]:  # noqa: ANN401 - any module, its own batch
        """Each term's *sum* over the batch, a scalar; a term may be left out where its count is 0."""
        ...


@dataclasses.dataclass(frozen=True)
class Objective:
    """A function made a `Loss`.

    Args:
        terms: the names of what the function gives.
        function: (module, batch) to sums by term.
    """

    terms: tuple[str, ...]
    function: Callable[[Any, Any], Mapping[str, Tensor]]

    def __call__(self, module: Any, batch: Any) -> Mapping[str, Tensor]:  # noqa: ANN401
        """The sums."""
        return self.function(module, batch)


def term_weights(stage: Stage, terms: Sequence[str]) -> dict[str, float]:
    """The weight of each term in a stage.

    Raises:
        ConfigError: the stage weighs a term that does not exist, or some terms and not others.
    """
    for term in stage.loss:
        if term not in terms:
            guess = nearest(term, terms)
            remedy = f"did you mean {guess!r}?" if guess else f"its terms: {', '.join(terms)}"
            raise ConfigError(f"stage {stage.name!r}: the loss has no term {term!r}", remedy=remedy)
    if stage.loss:
        for term in terms:
            if term not in stage.loss:
                raise ConfigError(f"stage {stage.name!r}: loss gives no weight to the term {term!r}", remedy="give it one; 0 leaves it out")
    return {t: float(stage.loss.get(t, 1.0)) for t in terms}


def check_terms(given: Mapping[str, Tensor], counts: Mapping[str, float], terms: Sequence[str]) -> None:
    """Refuse a loss that gives what it does not declare or what no batch counts.

    Raises:
        ValueError: a mistake in the loss or the batch.
    """
    for term in given:
        if term not in terms:
            raise ValueError(f"the loss gave a term {term!r} that it does not declare ({', '.join(terms)})")
        if term not in counts:
            raise ValueError(f"no batch of the window counts the term {term!r}: the loop cannot tell what to divide it by")
