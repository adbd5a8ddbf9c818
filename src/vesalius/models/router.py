"""What kind of picture this is: X-ray, CT, MR, ultrasound, ECG strip, plot or table, histopathology, photograph, or something else.

In: a rendered picture. Out: a `Route`: the kind and the probabilities of all kinds. Multinomial logistic regression on mean-pooled features of
EfficientNet-Lite0 with its published ImageNet weights; its own weights ship with the package and are made by `python -m vesalius.train.router`.
"""

from __future__ import annotations

import dataclasses
import enum
import functools
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vesalius.errors import WeightsError
from vesalius.models import checkpoint, efficientnet

SHIPPED = Path(__file__).with_name("router_weights")
WEIGHTS, ABOUT = "router.safetensors", "about.json"
PREPARATION = efficientnet.Preparation(size=224)
THRESHOLD = 0.5  # a kind is named when it is more probable than all others together; below, the picture is "other"
_BATCH = 16


class Kind(enum.StrEnum):
    """What the router tells apart."""

    XRAY = "X-ray"
    CT = "CT"
    MR = "MR"
    ULTRASOUND = "ultrasound"
    ECG = "ECG strip"
    PLOT = "plot or table"
    HISTOPATHOLOGY = "histopathology"
    PHOTOGRAPH = "photograph"
    OTHER = "other"


KINDS = tuple(Kind)


@dataclasses.dataclass(frozen=True)
class Route:
    """Where a picture goes.

    Args:
        kind: the most probable one, or `Kind.OTHER` when none reaches `THRESHOLD`.
        probability: of the most probable kind, named or not. probabilities: of all kinds; they sum to 1.
    """

    kind: Kind
    probability: float
    probabilities: Mapping[Kind, float]


class Router:
    """Tells kinds of pictures apart.

    Args:
        tower: with the published weights. tensors: "mean" and "scale" of the features [1280], "weight" [kinds, 1280], "bias" [kinds].
        about: what is known of how they were made.

    Raises:
        WeightsError: a tensor is absent or of another shape.
    """

    def __init__(self, tower: efficientnet.EfficientNetLite0, tensors: Mapping[str, Tensor], about: Mapping[str, Any] | None = None) -> None:
        shapes = {"mean": (efficientnet.WIDTH,), "scale": (efficientnet.WIDTH,), "weight": (len(KINDS), efficientnet.WIDTH), "bias": (len(KINDS),)}
        wrong = [name for name, shape in shapes.items() if name not in tensors or tuple(tensors[name].shape) != shape]
        if wrong:
            remedy = "install the package again, or run: python -m vesalius.train.router"
            raise WeightsError(f"the router's weights do not fit (first at {wrong[0]!r})", remedy=remedy)
        self.tower, self.about = tower, dict(about or {})
        self._parts = {name: tensors[name].float() for name in shapes}

    def routes(self, pictures: Sequence[NDArray[np.uint8]]) -> list[Route]:
        """The route of each picture, as `formats.pixels.render` gives them."""
        return [] if not pictures else [_route(row) for row in probabilities(self._parts, pooled(self.tower, pictures)).tolist()]

    def route(self, picture: NDArray[np.uint8]) -> Route:
        """The route of one picture."""
        return self.routes([picture])[0]


@torch.inference_mode()
def pooled(tower: efficientnet.EfficientNetLite0, pictures: Sequence[NDArray[np.uint8]]) -> Tensor:
    """Mean features of rendered pictures, [n, 1280] float32."""
    out = []
    for low in range(0, len(pictures), _BATCH):
        batch = torch.stack([efficientnet.prepare(picture, PREPARATION) for picture in pictures[low : low + _BATCH]])
        out.append(tower(batch.to(next(tower.parameters()).device)).mean(1).cpu())
    return torch.cat(out)


def probabilities(parts: Mapping[str, Tensor], features: Tensor) -> Tensor:
    """[n, 1280] -> [n, kinds]."""
    return torch.softmax(((features - parts["mean"]) / parts["scale"]) @ parts["weight"].T + parts["bias"], dim=-1)


def _route(row: Sequence[float]) -> Route:
    by_kind = dict(zip(KINDS, row, strict=True))
    best = max(by_kind, key=lambda kind: by_kind[kind])
    return Route(best if by_kind[best] >= THRESHOLD else Kind.OTHER, by_kind[best], by_kind)


@functools.lru_cache(maxsize=2)
def load(folder: Path = SHIPPED) -> Router:
    """The router with the weights that ship, or with those of a folder.

    Raises:
        WeightsError: the file is absent or damaged. MissingExtra: the tower's weights are not installed.
    """
    tensors = checkpoint.read_file(folder / WEIGHTS)
    about = json.loads((folder / ABOUT).read_text(encoding="utf-8")) if (folder / ABOUT).exists() else {}
    return Router(efficientnet.load(), tensors, about)
