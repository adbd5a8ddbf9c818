"""The models by name, and what is true of them without loading anything.

In: a name. Out: its `ModelCard`, or the loader behind it. No torch here: `vesalius models` answers at once.
"""

from __future__ import annotations

from collections.abc import Mapping

from vesalius.models.base import ModelCard, Task
from vesalius.registry import Table, unknown

MODELS = Table("model", {"pocket": "vesalius.models.pocket:load"})

_POCKET = ModelCard(
    name="pocket",
    summary="EfficientNet-Lite0, an MLP projector and SmolLM2-135M-Instruct: small, offline on two CPU cores, trained by a staged curriculum",
    tasks=(Task.VQA, Task.FINDINGS),
    licence="Apache-2.0",
    modalities=("CR", "DX", "CT", "MR"),
    body_parts=("CHEST", "ABDOMEN", "HEAD", "BRAIN", "PELVIS", "NECK"),
    languages=("en",),
    context=8192,
    image_tokens=81,
    parameters=141_340_928,
    source="recipes/pocket.toml",
    revision="1",
    limits=(
        "answers in a few words; it does not write reports",
        "was trained on a few thousand question-answer pairs; it is a demonstration of the method, not a diagnostic device",
        "sees one picture at 288 x 288 pixels: small lesions, fine fractures and faint lines are below its resolution",
        "cannot compare studies, measure sizes, or locate a finding in coordinates",
    ),
)
CARDS: Mapping[str, ModelCard] = {_POCKET.name: _POCKET}


def card(name: str) -> ModelCard:
    """The card of one of our own models.

    Raises:
        UnknownName: no model of ours is called that; models of other packages bring their card when loaded.
    """
    if name not in CARDS:
        raise unknown("model", name, list(CARDS))
    return CARDS[name]
