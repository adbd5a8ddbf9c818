"""How a token is drawn: inverse CDF with one uniform number for each token, from a stream that belongs to one ask alone.

In: log-probabilities [vocabulary], a temperature, an ask. Out: a token. No global randomness: what else is asked cannot move a draw.
"""

from __future__ import annotations

import hashlib

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from vesalius.models.record import Ask


def yes_and_no(yes: float, no: float) -> tuple[float, float]:
    """(probability of yes among the two, probability of either)."""
    either = yes + no
    return (min(1.0, yes / either) if either > 0 else 0.5), min(1.0, either)


def generator(ask: Ask) -> np.random.Generator:
    """A row's own randomness, from its seed and its question: what else is in the call cannot move it."""
    return randomness(ask.sampling.seed, ask.question)


def randomness(seed: int, text: str) -> np.random.Generator:
    """The stream of a seed and a question's words."""
    words = np.frombuffer(hashlib.sha256(text.encode()).digest(), dtype=np.uint32)
    return np.random.default_rng(np.random.SeedSequence([seed, *words.tolist()]))


def ladder(logprobs: Tensor, temperature: float) -> NDArray[np.float64]:
    """Cumulative weights of the vocabulary at a temperature; [vocabulary] float64, not normalised."""
    scaled = logprobs.double().cpu().numpy() / temperature
    return np.cumsum(np.exp(scaled - scaled.max()))


def climb(steps: NDArray[np.float64], random: np.random.Generator) -> int:
    """Inverse-CDF draw: one uniform number for each token, so a draw depends on nothing but the row's own stream."""
    return int(min(np.searchsorted(steps, random.random() * steps[-1], side="right"), len(steps) - 1))
