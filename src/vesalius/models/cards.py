"""The models by name, and what is true of them without loading anything.

In: a name. Out: its `ModelCard`, or the loader behind it. No torch here: `vesalius models` answers at once.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from vesalius.errors import WeightsError
from vesalius.models.base import GenerativeModel, ModelCard, Task
from vesalius.registry import Table, unknown

MODELS = Table("model", {"pocket": "vesalius.models.pocket:load"})

_POCKET = ModelCard(
    name="pocket",
    summary="EfficientNet-Lite0, MLP projectors and SmolLM2-135M-Instruct: small, offline on two CPU cores, trained by a staged curriculum",
    tasks=(Task.VQA, Task.FINDINGS),
    licence="Apache-2.0",
    modalities=("CR", "DX", "CT", "MR"),
    body_parts=("CHEST", "ABDOMEN", "HEAD", "BRAIN", "PELVIS", "NECK"),
    languages=("en",),
    context=8192,
    image_tokens=81,
    parameters=149_144_384,
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


def check(name: str) -> None:
    """Whether a model can be meant by "NAME" or "NAME:WEIGHTS", without loading anything.

    Raises:
        UnknownName: no model is called that. WeightsError: the folder of weights is absent.
    """
    model, where = _parts(name)
    MODELS.target(model)
    if where is not None and not Path(where).is_dir():
        raise WeightsError(f"{where}: not a folder of weights", remedy=f"give the folder that 'vesalius train' wrote, or {model!r} alone")


def load(name: str) -> GenerativeModel:
    """The model called "NAME", with the weights that ship or are published; or "NAME:WEIGHTS", with those in a folder that training wrote.

    Raises:
        As `check`, and what the model's own loader raises.
    """
    check(name)
    model, where = _parts(name)
    make = MODELS.load(model)
    loaded: GenerativeModel = make() if where is None else make(weights=Path(where))
    return loaded


def _parts(name: str) -> tuple[str, str | None]:
    model, colon, where = name.partition(":")
    return model, where if colon else None


def card(name: str) -> ModelCard:
    """The card of one of our own models.

    Raises:
        UnknownName: no model of ours is called that; models of other packages bring their card when loaded.
    """
    if name not in CARDS:
        raise unknown("model", name, list(CARDS))
    return CARDS[name]
