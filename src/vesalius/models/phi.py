"""The Phi shape of decoder (Phi-2) in plain torch: attention and MLP side by side behind one norm, rotary positions on a part of each head, biases everywhere.

In: embeddings and their positions. Out: a `Decoder` (parameter names as published for `PhiForCausalLM`).
Architecture: Gunasekar et al. 2023 (arXiv 2306.11644) and the configuration of microsoft/phi-2; partial rotary positions as in GPT-NeoX (arXiv 2204.06745).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from vesalius.errors import WeightsError
from vesalius.models.decoder import Attention, Layered, rotary_angles

_ACTIVATIONS = ("gelu_new", "gelu_pytorch_tanh", "gelu_fast")  # three names of the same function


@dataclasses.dataclass(frozen=True)
class Shape:
    """The numbers that define one model of this shape; `rotary` of each head's dimensions carry positions."""

    vocabulary: int
    width: int
    inner: int
    layers: int
    heads: int
    kv_heads: int
    rotary: int
    context: int
    rope_theta: float
    eps: float

    @property
    def head_dim(self) -> int:
        """Dimensions of one head."""
        return self.width // self.heads


def read_shape(config: Mapping[str, Any]) -> Shape:
    """A `Shape` from the published `config.json`, of either layout (`rope_theta` and `partial_rotary_factor` at the top or inside `rope_parameters`).

    Raises:
        WeightsError: a number is absent, or an architecture or position scheme that this file does not implement.
    """
    rope = config.get("rope_parameters") or config.get("rope_scaling") or {}
    scheme, activation = rope.get("rope_type", rope.get("type", "default")), config.get("hidden_act", "gelu_new")
    if scheme != "default" or activation not in _ACTIVATIONS or config.get("qk_layernorm") or config.get("tie_word_embeddings"):
        what = f"a model with {scheme!r} positions and the activation {activation!r} is not of the plain Phi-2 shape"
        raise WeightsError(what, remedy="wrap it in TransformersDecoder instead")
    try:
        width, heads = int(config["hidden_size"]), int(config["num_attention_heads"])
        shape = Shape(
            vocabulary=int(config["vocab_size"]),
            width=width,
            inner=int(config["intermediate_size"]),
            layers=int(config["num_hidden_layers"]),
            heads=heads,
            kv_heads=int(config.get("num_key_value_heads") or heads),
            rotary=int(float(rope.get("partial_rotary_factor", config.get("partial_rotary_factor", 0.5))) * (width // heads)),
            context=int(config["max_position_embeddings"]),
            rope_theta=float(rope.get("rope_theta", config.get("rope_theta", 10000.0))),
            eps=float(config.get("layer_norm_eps", 1e-5)),
        )
    except (KeyError, TypeError, ValueError, ZeroDivisionError) as error:
        raise WeightsError(f"the configuration is not of a Phi model ({type(error).__name__}: {error})", remedy="fetch config.json again") from error
    if width % heads or heads % shape.kv_heads or shape.rotary % 2:
        raise WeightsError(f"{heads} heads of which {shape.rotary} dimensions turn do not divide a width of {width}", remedy="fetch config.json again")
    return shape


def _turn(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Rotary positions on the first dimensions of each head, halves convention; the rest passes. x [B, heads, T, D]; cos, sin [B, 1, T, rotary]."""
    turned, rest = x[..., : cos.shape[-1]], x[..., cos.shape[-1] :]
    first, second = turned.chunk(2, dim=-1)
    return torch.cat((turned * cos + torch.cat((-second, first), dim=-1) * sin, rest), dim=-1)


class _Attention(nn.Module):
    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.head_dim = shape.head_dim
        self.q_proj = nn.Linear(shape.width, shape.width)
        self.k_proj = nn.Linear(shape.width, shape.kv_heads * shape.head_dim)
        self.v_proj = nn.Linear(shape.width, shape.kv_heads * shape.head_dim)
        self.dense = nn.Linear(shape.width, shape.width)

    def heads(self, x: Tensor) -> Tensor:
        """[B, T, heads x D] -> [B, heads, T, D]."""
        return x.view(*x.shape[:2], -1, self.head_dim).transpose(1, 2)


class _MLP(nn.Module):
    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.fc1, self.fc2 = nn.Linear(shape.width, shape.inner), nn.Linear(shape.inner, shape.width)

    def forward(self, x: Tensor) -> Tensor:
        return cast(Tensor, self.fc2(functional.gelu(self.fc1(x), approximate="tanh")))


class _Layer(nn.Module):
    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.self_attn = _Attention(shape)
        self.mlp = _MLP(shape)
        self.input_layernorm = nn.LayerNorm(shape.width, eps=shape.eps)

    def forward(self, x: Tensor, cos: Tensor, sin: Tensor, layer: int, attention: Attention, keep: Tensor | None = None) -> Tensor:
        """With `keep`, keys and values are stored for all positions but only the kept ones are computed further."""
        own, y = self.self_attn, self.input_layernorm(x)
        attention.store(layer, _turn(own.heads(own.k_proj(y)), cos, sin), own.heads(own.v_proj(y)))
        if keep is not None:
            if not len(keep):
                return x[:, :0]
            x, y, cos, sin = x[:, keep], y[:, keep], cos[:, :, keep], sin[:, :, keep]
        read = attention.read(layer, _turn(own.heads(own.q_proj(y)), cos, sin), kept=keep is not None)
        return cast(Tensor, own.dense(read.transpose(1, 2).flatten(2)) + self.mlp(y) + x)


class _Body(nn.Module):
    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.embed_tokens = nn.Embedding(shape.vocabulary, shape.width)
        self.layers = nn.ModuleList(_Layer(shape) for _ in range(shape.layers))
        self.final_layernorm = nn.LayerNorm(shape.width, eps=shape.eps)


class Phi(Layered):
    """A `Decoder`. Make it on the meta device where a checkpoint is about to replace the weights: it costs nothing there.

    Args:
        shape: its numbers.
    """

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.shape = shape
        self.layers, self.kv_heads, self.head_dim = shape.layers, shape.kv_heads, shape.head_dim
        self.width, self.context = shape.width, shape.context
        self.model = _Body(shape)
        self.lm_head = nn.Linear(shape.width, shape.vocabulary)

    def _normed(self, x: Tensor) -> Tensor:
        return cast(Tensor, self.model.final_layernorm(x))

    def _angles(self, positions: Tensor, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
        return rotary_angles(positions, self.shape.rotary, self.shape.rope_theta, dtype)
