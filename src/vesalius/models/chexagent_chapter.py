"""CheXagent as a book chapter has it: SigLIP at 512 px, Linear, LayerNorm, GELU and Linear for each token, Phi-2; no weights of it were ever released.

In: a `Study`. Out: `Answer`s through the engine. This declares the configuration, and loads what is trained or had elsewhere: a folder like CheXagent-2's,
with `model.visual.mlp.{0,1,3}` for the projector and the architecture `CheXagentChapterForCausalLM`. Where the description is silent (which state of the
tower is read, the prompt, positions), it is as in CheXagent-2, but for positions, which the description does not add.
"""

from __future__ import annotations

from pathlib import Path
from typing import cast

from torch import Tensor, nn

from vesalius.errors import WeightsError
from vesalius.models import chexagent
from vesalius.models.cards import card
from vesalius.models.chexagent import CheXagent
from vesalius.models.quantize import Held

NAME, ARCHITECTURE = "chexagent-chapter", "CheXagentChapterForCausalLM"


class Projector(nn.Module):
    """Features to image tokens, each on its own: Linear, LayerNorm, exact GELU, Linear.

    Args:
        patches: not needed: no positions are added. inside, outside: widths of the tower and of the language model.
    """

    def __init__(self, patches: int, inside: int, outside: int) -> None:  # noqa: ARG002 - every projector of the family is made so
        super().__init__()
        self.mlp = nn.Sequential(nn.Linear(inside, outside), nn.LayerNorm(outside, eps=1e-5), nn.GELU(), nn.Linear(outside, outside))

    def forward(self, features: Tensor) -> Tensor:
        """[B, N, inside] -> [B, N, outside]."""
        return cast(Tensor, self.mlp(features))


def load(device: str = "cpu", weights: Path | None = None, *, dtype: Held | None = None) -> CheXagent:
    """The model from a checkpoint.

    Args:
        weights: the folder. dtype: None takes the fastest that the device has and the model bears.

    Raises:
        WeightsError: no folder, or one that does not hold this model.
    """
    if weights is None:
        remedy = f"train one, or use chexagent-2-3b, whose weights are published: --model {NAME}:FOLDER"
        raise WeightsError(f"the weights of {NAME} were never released, and none come with this package", remedy=remedy)
    shapes = chexagent.read_config(weights, ARCHITECTURE)
    return CheXagent(card(NAME), *chexagent.assemble(NAME, weights, shapes, Projector, device, dtype))
