"""The Llama shape of decoder (Llama, SmolLM2, Mistral, Qwen2) in plain torch: a cold start without the seconds that importing a framework takes.

In: a directory with `config.json` and `model.safetensors` (parameter names as published for `LlamaForCausalLM`). Out: a `Decoder`.
Architecture: Touvron et al. 2023 (arXiv 2302.13971): RMSNorm, rotary positions, grouped queries, SwiGLU.
"""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from vesalius.errors import WeightsError
from vesalius.models.decoder import Attention, Layered, rotary_angles


@dataclasses.dataclass(frozen=True)
class Shape:
    """The numbers that define one model of this shape."""

    vocabulary: int
    width: int
    inner: int
    layers: int
    heads: int
    kv_heads: int
    head_dim: int
    context: int
    rope_theta: float
    eps: float
    tied: bool
    qkv_bias: bool = False


def read_shape(config: dict[str, Any]) -> Shape:
    """A `Shape` from the published `config.json`, of either layout (`rope_theta` at the top or inside `rope_parameters`).

    Raises:
        WeightsError: an architecture or position scheme that this file does not implement.
    """
    kind = config.get("model_type")
    rope = config.get("rope_parameters") or config.get("rope_scaling") or {}
    scheme = rope.get("rope_type", rope.get("type", "default"))
    if kind not in ("llama", "mistral", "qwen2") or scheme != "default" or config.get("hidden_act", "silu") != "silu" or config.get("mlp_bias"):
        raise WeightsError(f"a {kind!r} model with {scheme!r} positions is not of the plain Llama shape", remedy="wrap it in TransformersDecoder instead")
    heads = int(config["num_attention_heads"])
    context = int(config["max_position_embeddings"])
    window = config.get("sliding_window") if config.get("use_sliding_window", True) else None
    return Shape(
        vocabulary=int(config["vocab_size"]),
        width=int(config["hidden_size"]),
        inner=int(config["intermediate_size"]),
        layers=int(config["num_hidden_layers"]),
        heads=heads,
        kv_heads=int(config.get("num_key_value_heads") or heads),
        head_dim=int(config.get("head_dim") or config["hidden_size"] // heads),
        context=min(context, int(window or context)),
        rope_theta=float(rope.get("rope_theta", config.get("rope_theta", 10000.0))),
        eps=float(config["rms_norm_eps"]),
        tied=bool(config.get("tie_word_embeddings", False)),
        qkv_bias=bool(config.get("attention_bias", kind == "qwen2")),
    )


class _Linear(nn.Linear):
    """A linear map that draws no random numbers when it is made: they take seconds, and most are replaced at once (see `Llama`)."""

    def reset_parameters(self) -> None:
        """Leave the memory as it is: untouched, it costs nothing."""


class _Embedding(nn.Embedding):
    """As `_Linear`."""

    def reset_parameters(self) -> None:
        """Leave the memory as it is."""


class _Norm(nn.Module):
    """RMSNorm; the mean square in float32 whatever the dtype."""

    def __init__(self, width: int, eps: float) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))
        self.eps = eps

    def forward(self, x: Tensor) -> Tensor:
        wide = x.float()
        return self.weight * (wide * torch.rsqrt(wide.pow(2).mean(-1, keepdim=True) + self.eps)).to(x.dtype)


def _rotate(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Rotary positions, Su et al. 2021 (arXiv 2104.09864), halves convention. x [B, heads, T, D]; cos, sin [B, 1, T, D]."""
    first, second = x.chunk(2, dim=-1)
    return x * cos + torch.cat((-second, first), dim=-1) * sin


class _Attention(nn.Module):
    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.head_dim = shape.head_dim
        outside = shape.heads * shape.head_dim
        self.q_proj = _Linear(shape.width, outside, bias=shape.qkv_bias)
        self.k_proj = _Linear(shape.width, shape.kv_heads * shape.head_dim, bias=shape.qkv_bias)
        self.v_proj = _Linear(shape.width, shape.kv_heads * shape.head_dim, bias=shape.qkv_bias)
        self.o_proj = _Linear(outside, shape.width, bias=False)

    def heads(self, x: Tensor) -> Tensor:
        """[B, T, heads x D] -> [B, heads, T, D]."""
        return x.view(*x.shape[:2], -1, self.head_dim).transpose(1, 2)


class _MLP(nn.Module):
    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.gate_proj = _Linear(shape.width, shape.inner, bias=False)
        self.up_proj = _Linear(shape.width, shape.inner, bias=False)
        self.down_proj = _Linear(shape.inner, shape.width, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return cast(Tensor, self.down_proj(functional.silu(self.gate_proj(x)) * self.up_proj(x)))


class _Layer(nn.Module):
    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.self_attn = _Attention(shape)
        self.mlp = _MLP(shape)
        self.input_layernorm = _Norm(shape.width, shape.eps)
        self.post_attention_layernorm = _Norm(shape.width, shape.eps)

    def forward(self, x: Tensor, cos: Tensor, sin: Tensor, layer: int, attention: Attention, keep: Tensor | None = None) -> Tensor:
        """With `keep`, keys and values are stored for all positions but only the kept ones are computed further."""
        own, y = self.self_attn, self.input_layernorm(x)
        attention.store(layer, _rotate(own.heads(own.k_proj(y)), cos, sin), own.heads(own.v_proj(y)))
        if keep is not None:
            if not len(keep):
                return x[:, :0]
            x, y, cos, sin = x[:, keep], y[:, keep], cos[:, :, keep], sin[:, :, keep]
        read = attention.read(layer, _rotate(own.heads(own.q_proj(y)), cos, sin), kept=keep is not None)
        x = x + own.o_proj(read.transpose(1, 2).flatten(2))
        return cast(Tensor, x + self.mlp(self.post_attention_layernorm(x)))


class _Body(nn.Module):
    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.embed_tokens = _Embedding(shape.vocabulary, shape.width)
        self.layers = nn.ModuleList(_Layer(shape) for _ in range(shape.layers))
        self.norm = _Norm(shape.width, shape.eps)


class Llama(Layered):
    """A `Decoder`. Attribute names give the published parameter names, so checkpoints and adapters made elsewhere fit.

    Args:
        blank: leave the weights undrawn, because a checkpoint is about to replace them.
    """

    def __init__(self, shape: Shape, *, blank: bool = False) -> None:
        super().__init__()
        self.shape = shape
        self.layers, self.kv_heads, self.head_dim = shape.layers, shape.kv_heads, shape.head_dim
        self.width, self.context = shape.width, shape.context
        self.model = _Body(shape)
        self.lm_head = _Linear(shape.width, shape.vocabulary, bias=False)
        if shape.tied:
            self.lm_head.weight = self.model.embed_tokens.weight
        if not blank:
            self._draw()

    def _draw(self) -> None:
        """Random weights, as models of this shape start their training: normal, deviation 0.02, biases 0."""
        for module in self.modules():
            if isinstance(module, _Linear | _Embedding):
                nn.init.normal_(module.weight, std=0.02)
            if isinstance(module, _Linear) and module.bias is not None:
                nn.init.zeros_(module.bias)

    def _normed(self, x: Tensor) -> Tensor:
        return cast(Tensor, self.model.norm(x))

    def _angles(self, positions: Tensor, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
        return rotary_angles(positions, self.head_dim, self.shape.rope_theta, dtype)


def load(directory: Path, *, dtype: torch.dtype = torch.float32, device: str | torch.device = "cpu") -> Llama:
    """A model from `config.json` and `model.safetensors`; the file is mapped, not read, where the dtype is the stored one.

    Raises:
        WeightsError: a file is absent, or its tensors do not fit the configuration.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    remedy = "remove the directory and fetch the model again"
    try:
        shape = read_shape(json.loads((directory / "config.json").read_text(encoding="utf-8")))
        state = load_file(directory / "model.safetensors", device=str(device))
    except (OSError, ValueError, KeyError, TypeError, SafetensorError) as error:
        raise WeightsError(f"{directory}: no readable language model ({error})", remedy=remedy) from error
    model = Llama(shape, blank=True)
    if shape.tied:
        state["lm_head.weight"] = state.get("model.embed_tokens.weight", torch.empty(0))
    try:
        model.load_state_dict(state, assign=True)
    except RuntimeError as error:
        detail = str(error).strip().splitlines()[-1].strip()
        raise WeightsError(f"{directory}: the weights do not fit the configuration ({detail})", remedy=remedy) from error
    if shape.tied:
        model.lm_head.weight = model.model.embed_tokens.weight
    return model.to(dtype).eval()
