"""Vision transformers as published towers have them: CLIP (Radford et al. 2021, arXiv 2103.00020) and its kin, native and without a framework.

In: pixels [B, 3, S, S], normalised as the family says. Out: the states after any layer [B, N (+ 1), width]; what they are used for is the family's.
Attribute names are the published parameter names of the CLIP layout, so a checkpoint needs its prefix changed and nothing else.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from vesalius.errors import WeightsError
from vesalius.models.decoder import followed


def quick_gelu(x: Tensor) -> Tensor:
    """X sigmoid(1.702 x), as OpenAI's CLIP was trained with."""
    return x * torch.sigmoid(1.702 * x)


ACTIVATIONS: Mapping[str, Callable[[Tensor], Tensor]] = MappingProxyType(
    {"quick_gelu": quick_gelu, "gelu": functional.gelu, "gelu_pytorch_tanh": lambda x: functional.gelu(x, approximate="tanh")}
)


@dataclasses.dataclass(frozen=True)
class VisionShape:
    """The numbers that define one tower.

    Args:
        image, patch: sides in pixels. inner: width inside the MLP. eps: of the layer norms. activation: a key of `ACTIVATIONS`.
        class_token: whether one stands before the patches. pre_norm: whether a norm follows the embeddings. bias: of the patch convolution.
    """

    image: int
    patch: int
    width: int
    inner: int
    layers: int
    heads: int
    eps: float = 1e-5
    activation: str = "quick_gelu"
    class_token: bool = True
    pre_norm: bool = True
    bias: bool = False

    @property
    def patches(self) -> int:
        """N: patches of one image."""
        return (self.image // self.patch) ** 2


def clip_shape(config: Mapping[str, Any]) -> VisionShape:
    """A shape from a published `vision_config` of CLIP; what it leaves out is as in ViT-B/32.

    Raises:
        WeightsError: an activation that this file does not implement.
    """
    activation = config.get("hidden_act", "quick_gelu")
    if activation not in ACTIVATIONS:
        raise WeightsError(f"a vision tower with the activation {activation!r} is not known", remedy=f"known: {', '.join(ACTIVATIONS)}")
    return VisionShape(
        image=int(config.get("image_size", 224)),
        patch=int(config.get("patch_size", 32)),
        width=int(config.get("hidden_size", 768)),
        inner=int(config.get("intermediate_size", 3072)),
        layers=int(config.get("num_hidden_layers", 12)),
        heads=int(config.get("num_attention_heads", 12)),
        eps=float(config.get("layer_norm_eps", 1e-5)),
        activation=activation,
    )


class _Attention(nn.Module):
    def __init__(self, shape: VisionShape) -> None:
        super().__init__()
        self.heads = shape.heads
        self.k_proj, self.v_proj = nn.Linear(shape.width, shape.width), nn.Linear(shape.width, shape.width)
        self.q_proj, self.out_proj = nn.Linear(shape.width, shape.width), nn.Linear(shape.width, shape.width)

    def follow(self, flow: Tensor, x: Tensor) -> Tensor:
        """`followed` by what the positions [T, width] of one image look at: [T, N] -> [T, N]."""
        return followed(flow, self._split(self.q_proj(x[None]))[0], self._split(self.k_proj(x[None]))[0])

    def forward(self, x: Tensor) -> Tensor:
        query, key, value = map(self._split, (self.q_proj(x), self.k_proj(x), self.v_proj(x)))
        seen = functional.scaled_dot_product_attention(query, key, value)
        out: Tensor = self.out_proj(seen.transpose(1, 2).flatten(2))
        return out

    def _split(self, x: Tensor) -> Tensor:
        """[B, T, width] -> [B, heads, T, D]."""
        return x.view(*x.shape[:2], self.heads, -1).transpose(1, 2)


class _MLP(nn.Module):
    def __init__(self, shape: VisionShape) -> None:
        super().__init__()
        self.activation = ACTIVATIONS[shape.activation]
        self.fc1, self.fc2 = nn.Linear(shape.width, shape.inner), nn.Linear(shape.inner, shape.width)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.fc2(self.activation(self.fc1(x)))
        return out


class _Layer(nn.Module):
    def __init__(self, shape: VisionShape) -> None:
        super().__init__()
        self.self_attn, self.mlp = _Attention(shape), _MLP(shape)
        self.layer_norm1, self.layer_norm2 = nn.LayerNorm(shape.width, eps=shape.eps), nn.LayerNorm(shape.width, eps=shape.eps)

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.self_attn(self.layer_norm1(x))
        out: Tensor = x + self.mlp(self.layer_norm2(x))
        return out


class _Embeddings(nn.Module):
    def __init__(self, shape: VisionShape) -> None:
        super().__init__()
        if shape.class_token:
            self.class_embedding = nn.Parameter(torch.zeros(shape.width))
        self.patch_embedding = nn.Conv2d(3, shape.width, shape.patch, shape.patch, bias=shape.bias)
        self.position_embedding = nn.Embedding(shape.patches + shape.class_token, shape.width)

    def forward(self, pixels: Tensor) -> Tensor:
        x = self.patch_embedding(pixels).flatten(2).transpose(1, 2)
        if hasattr(self, "class_embedding"):
            x = torch.cat((self.class_embedding.expand(len(x), 1, -1), x), dim=1)
        placed: Tensor = x + self.position_embedding.weight
        return placed


class _Encoder(nn.Module):
    def __init__(self, shape: VisionShape) -> None:
        super().__init__()
        self.layers = nn.ModuleList(_Layer(shape) for _ in range(shape.layers))


class VisionTransformer(nn.Module):
    """A tower.

    Args:
        shape: its numbers.
    """

    def __init__(self, shape: VisionShape) -> None:
        super().__init__()
        self.shape = shape
        self.embeddings = _Embeddings(shape)
        self.pre_layrnorm = nn.LayerNorm(shape.width, eps=shape.eps) if shape.pre_norm else nn.Identity()  # the published name has this slip
        self.encoder = _Encoder(shape)
        self.post_layernorm = nn.LayerNorm(shape.width, eps=shape.eps)

    def states(self, pixels: Tensor, layer: int = -1) -> Tensor:
        """Hidden states as published models number them: 0 are the embeddings, -1 what the last layer made, before the final norm.

        Args:
            pixels: [B, 3, S, S]. layer: from -(layers + 1) to layers.

        Returns:
            [B, N + 1, width] with a class token, else [B, N, width].
        """
        x: Tensor = self.pre_layrnorm(self.embeddings(pixels))
        for block in self._below(layer):
            x = block(x)
        return x

    @torch.no_grad()
    def rollout(self, pixels: Tensor, layer: int = -1) -> Tensor:
        """Attention rollout from the patches' hidden states back to the patches, of one image.

        Args:
            pixels: [1, 3, S, S]. layer: as `states` counts.

        Returns:
            [N, N] float32: of state i, the share that patch j has. What the class token had at the start is nobody's, so rows sum to 1 at most.
        """
        x: Tensor = self.pre_layrnorm(self.embeddings(pixels))
        flow = torch.eye(x.shape[1], device=x.device)[:, int(self.shape.class_token) :]
        for block in self._below(layer):
            flow = block.self_attn.follow(flow, block.layer_norm1(x)[0])
            x = block(x)
        return flow[int(self.shape.class_token) :]

    def _below(self, layer: int) -> Any:  # noqa: ANN401 - a part of a list of modules
        count = layer if layer >= 0 else self.shape.layers + 1 + layer
        if not 0 <= count <= self.shape.layers:
            raise IndexError(f"a tower of {self.shape.layers} layers has no hidden state {layer}")
        return self.encoder.layers[:count]

    def forward(self, pixels: Tensor) -> Tensor:
        """[B, 3, S, S] -> the last states after the final norm."""
        out: Tensor = self.post_layernorm(self.states(pixels))
        return out
