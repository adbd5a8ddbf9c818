"""The Q-Former of BLIP-2 (Li et al. 2023, arXiv 2301.12597), native and without a framework: learned queries that look at each other and at an image.

In: queries [B, Q, width] and the states of an image tower [B, N, outside]. Out: the queries after the last layer [B, Q, width].
Only the half for images is here; the half that reads text is in no checkpoint of the families that use this.
Attribute names are the published parameter names, so a checkpoint needs its prefix changed and nothing else.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn
from torch.nn import functional

from vesalius.errors import InvalidValue, WeightsError
from vesalius.models.bert import Intermediate, Output


@dataclasses.dataclass(frozen=True)
class Shape:
    """The numbers that define one Q-Former.

    Args:
        inner: width inside the MLP. every: how many layers it is from one that looks at the image to the next; the first one does.
        outside: width of the image's states. eps: of the layer norms.

    Raises:
        InvalidValue: a width that its heads do not divide, or `every` below 1.
    """

    width: int = 768
    inner: int = 3072
    layers: int = 12
    heads: int = 12
    every: int = 2
    outside: int = 1408
    eps: float = 1e-12

    def __post_init__(self) -> None:
        if self.heads < 1 or self.width % self.heads:
            raise InvalidValue(f"a width of {self.width} cannot be split into {self.heads} heads", remedy="correct the checkpoint's configuration")
        if self.every < 1:
            raise InvalidValue(f"every layer or every n-th looks at the image, n cannot be {self.every}", remedy="correct the checkpoint's configuration")


def read_shape(config: Mapping[str, Any], *, outside: int) -> Shape:
    """A shape from a published `qformer_config`; what it leaves out is as published.

    Args:
        outside: width of the image tower, which counts whatever the configuration says.

    Raises:
        WeightsError: another activation or kind of positions than this file implements. InvalidValue: as `Shape`.
    """
    for key, known in (("hidden_act", "gelu"), ("position_embedding_type", "absolute")):
        if config.get(key, known) != known:
            raise WeightsError(f"a Q-Former with {key} {config[key]!r} is not known", remedy=f"known: {known}")
    return Shape(
        width=int(config.get("hidden_size", Shape.width)),
        inner=int(config.get("intermediate_size", Shape.inner)),
        layers=int(config.get("num_hidden_layers", Shape.layers)),
        heads=int(config.get("num_attention_heads", Shape.heads)),
        every=int(config.get("cross_attention_frequency", Shape.every)),
        outside=outside,
        eps=float(config.get("layer_norm_eps", Shape.eps)),
    )


class _Heads(nn.Module):
    def __init__(self, shape: Shape, inside: int) -> None:
        super().__init__()
        self.heads = shape.heads
        self.query = nn.Linear(shape.width, shape.width)
        self.key, self.value = nn.Linear(inside, shape.width), nn.Linear(inside, shape.width)

    def forward(self, x: Tensor, seen: Tensor) -> Tensor:
        query, key, value = (part.view(*part.shape[:2], self.heads, -1).transpose(1, 2) for part in (self.query(x), self.key(seen), self.value(seen)))
        return functional.scaled_dot_product_attention(query, key, value).transpose(1, 2).flatten(2)


class _Attention(nn.Module):
    def __init__(self, shape: Shape, inside: int) -> None:
        super().__init__()
        self.attention, self.output = _Heads(shape, inside), Output(shape.width, shape.width, shape.eps)

    def forward(self, x: Tensor, seen: Tensor) -> Tensor:
        out: Tensor = self.output(self.attention(x, seen), x)
        return out


class _Layer(nn.Module):
    def __init__(self, shape: Shape, number: int) -> None:
        super().__init__()
        self.attention = _Attention(shape, shape.width)
        self.crossattention = _Attention(shape, shape.outside) if number % shape.every == 0 else None
        self.intermediate_query = Intermediate(shape.width, shape.inner)
        self.output_query = Output(shape.inner, shape.width, shape.eps)

    def forward(self, x: Tensor, image: Tensor) -> Tensor:
        x = self.attention(x, x)
        if self.crossattention is not None:
            x = self.crossattention(x, image)
        out: Tensor = self.output_query(self.intermediate_query(x), x)
        return out


class _Encoder(nn.Module):
    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.layer = nn.ModuleList(_Layer(shape, number) for number in range(shape.layers))


class QFormer(nn.Module):
    """A Q-Former; every query looks at every state of the image, the class token's with them.

    Args:
        shape: its numbers.
    """

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.shape = shape
        self.layernorm = nn.LayerNorm(shape.width, eps=shape.eps)
        self.encoder = _Encoder(shape)

    def forward(self, queries: Tensor, image: Tensor) -> Tensor:
        """[B, Q, width] queries and [B, N, outside] states of images -> [B, Q, width]."""
        x: Tensor = self.layernorm(queries)
        for layer in self.encoder.layer:
            x = layer(x, image)
        return x
