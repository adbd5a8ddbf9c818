"""The models by name, and what is true of them without loading anything.

In: a name. Out: its `ModelCard`, or the loader behind it. No torch here: `vesalius models` answers at once.
"""

from __future__ import annotations

import inspect
import sys
from pathlib import Path
from typing import Any

from vesalius.errors import ConfigError, UserError, WeightsError
from vesalius.models.base import GenerativeModel, ModelCard
from vesalius.models.known import CARDS
from vesalius.registry import Table, unknown

REMOTE = "remote"  # followed by the name of an endpoint instead of a folder
MODELS = Table(
    "model",
    {
        "pocket": "vesalius.models.pocket:load",
        "llava-med-1.5-7b": "vesalius.models.llava_med:load",
        "llava-med-1.0-7b": "vesalius.models.llava_med_v1:load",
        "llava-med-13b": "vesalius.models.llava_vicuna:load",
        "chexagent-2-3b": "vesalius.models.chexagent:load",
        "chexagent-8b": "vesalius.models.chexagent_8b:load",
        "chexagent-chapter": "vesalius.models.chexagent_chapter:load",
        "llava-rad-7b": "vesalius.models.llava_rad:load",
        "med-flamingo-9b": "vesalius.models.med_flamingo:load",
        "visual-med-alpaca-pocket": "vesalius.models.med_alpaca:load",
        "visual-med-alpaca-7b": "vesalius.models.med_alpaca_7b:load",
        "biomedclip": "vesalius.models.biomedclip:load",
        "medgemma-4b": "vesalius.models.stock:medgemma",
        "lingshu-7b": "vesalius.models.stock:lingshu",
        "qwen2.5-vl": "vesalius.models.stock:kin",
        "medsiglip": "vesalius.models.siglip:load",
        REMOTE: "vesalius.models.remote:load",
    },
)


def check(name: str) -> None:
    """Whether a model can be meant by "NAME", "NAME:WEIGHTS" or "remote:ENDPOINT", without loading anything.

    Raises:
        UnknownName: no model is called that. WeightsError: the folder of weights is absent. ConfigError: the endpoint is not described.
    """
    model, where = _parts(name)
    MODELS.target(model)
    if model == REMOTE:
        from vesalius.models.endpoint import named

        if not where:
            raise ConfigError("which endpoint is meant is missing", remedy="write remote:NAME, with NAME of your endpoints.toml")
        named(where)
    elif where is not None and not Path(where).is_dir():
        raise WeightsError(f"{where}: not a folder of weights", remedy=f"give the folder that 'vesalius train' wrote, or {model!r} alone")


def load(name: str, *, device: str = "auto", precision: str = "auto") -> GenerativeModel:
    """The model called "NAME", with the weights that ship or are published; or "NAME:WEIGHTS", with those in a folder that training wrote.

    Its `identity` says where it computes and how its weights are held.

    Args:
        device: "auto" (a GPU when there is one), "cpu", "cuda", "cuda:1", ... precision: of `memory.PRECISIONS`; "auto" is the fastest dtype there.

    Raises:
        As `check`, and what the model's own loader raises. UnknownName: no such precision.
        UserError: a device that is not here, a precision that it does not bear, or a model that knows neither. MissingExtra: as `quantize.choose`.
    """
    check(name)
    model, where = _parts(name)
    make = MODELS.load(model)
    how = _how(model, make, device, precision)
    if model == REMOTE:
        return make(name=where)  # type: ignore[no-any-return]
    loaded: GenerativeModel = make(**how) if where is None else make(weights=Path(where), **how)
    if "torch" in sys.modules and isinstance(getattr(loaded, "identity", None), dict):
        from vesalius.models.quantize import placed

        loaded.identity.update(placed(loaded))  # type: ignore[attr-defined]
    return loaded


def _how(model: str, make: Any, device: str, precision: str) -> dict[str, Any]:  # noqa: ANN401 - any callable
    """What a loader is to be given beside the weights: only what differs from its defaults, so that a model of another package may know neither."""
    takes = inspect.signature(make).parameters
    if model == REMOTE or "device" not in takes or "dtype" not in takes:
        if (device, precision) != ("auto", "auto"):
            raise UserError(f"{model} does not let device or precision be chosen", remedy="leave them out")
        return {}
    from vesalius.models import quantize

    where = quantize.find_device(device)
    kind = quantize.choose(precision, where)
    return ({} if where == "cpu" else {"device": where}) | ({} if kind is None else {"dtype": kind})


def where(model: GenerativeModel) -> str:
    """Where a loaded model computes, in words: "on cpu in float32"; empty where it does not say."""
    identity = getattr(model, "identity", None)
    known = identity if isinstance(identity, dict) else {}
    return f"on {known['device']} in {known['dtype']}" if {"device", "dtype"} <= known.keys() else ""


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
