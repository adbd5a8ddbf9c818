"""What a causal language model is to a composition: `Decoder`, how it attends (`Attention`), and an adapter for `transformers` models.

In: embeddings and their positions, plus the `Attention` that keeps keys and values. Out: final-normed hidden states, and logits on demand.
The language model never sees a mask or a cache: who may look at whom is the `Attention`'s business alone. So the same decoder trains on padded
batches, prefills an image once and continues a tree of questions from it.
"""

from __future__ import annotations

from typing import Any, Protocol, cast

import torch
from torch import Tensor, nn
from torch.nn import functional

_NAME = "vesalius"  # of our attention function in transformers' table


class Attention(Protocol):
    """Who may look at whom in one forward pass: keeps the keys and values of a layer, then answers its queries."""

    def store(self, layer: int, keys: Tensor, values: Tensor) -> None:
        """Keep keys and values [B, kv_heads, T, D] of all positions of this pass (positions already rotated in)."""
        ...

    def read(self, layer: int, queries: Tensor, *, kept: bool = False) -> Tensor:
        """Attend. Queries [B, heads, T, D]; with `kept`, of the kept positions only. Same shape out."""
        ...


class Tap:
    """Keeps the states that enter one layer of a pass: what the lower layers made of the words.

    Args:
        layer: index of the layer whose input is kept (0: the embeddings).
    """

    def __init__(self, layer: int) -> None:
        self.layer = layer
        self.states: Tensor | None = None  # [B, T, width] after the pass


class Decoder(Protocol):
    """A causal language model in parts."""

    layers: int
    kv_heads: int
    head_dim: int
    width: int
    context: int

    def embed(self, ids: Tensor) -> Tensor:
        """[...] token ids -> [..., width]."""
        ...

    def states(self, embeds: Tensor, positions: Tensor, attention: Attention, keep: Tensor | None = None, tap: Tap | None = None) -> Tensor:
        """[B, T, width] embeddings at `positions` [B, T] -> final-normed hidden states [B, T or len(keep), width]; `tap` keeps others on the way."""
        ...

    def logits(self, hidden: Tensor) -> Tensor:
        """[..., width] -> [..., vocabulary]."""
        ...


class Causal:
    """Every position sees itself and what stands before it in its row: training, on right-padded batches.

    Padding stands on the right, so no real position ever sees it and no mask is needed.
    """

    def store(self, layer: int, keys: Tensor, values: Tensor) -> None:  # noqa: ARG002 - the layer is whatever is read next
        """Keep the layer's keys and values until they are read."""
        self._keys, self._values = keys, values

    def read(self, layer: int, queries: Tensor, *, kept: bool = False) -> Tensor:  # noqa: ARG002
        """Causal attention within each row; it serves all positions only."""
        grouped = queries.shape[1] != self._keys.shape[1]
        return functional.scaled_dot_product_attention(queries, self._keys, self._values, is_causal=True, enable_gqa=grouped)


class TransformersDecoder(nn.Module):
    """Any `transformers` causal language model that takes its attention from the library's attention table (Llama, Mistral, Phi, Qwen, ...).

    Args:
        lm: the model; its attention implementation is replaced by ours.
    """

    def __init__(self, lm: Any) -> None:  # noqa: ANN401 - the library's classes have no common type for this
        super().__init__()
        from transformers import AttentionInterface

        AttentionInterface.register(_NAME, _attend)
        lm.set_attn_implementation(_NAME)
        self.lm = lm
        config = lm.config
        self.layers = int(config.num_hidden_layers)
        self.kv_heads = int(getattr(config, "num_key_value_heads", None) or config.num_attention_heads)
        self.head_dim = int(getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads)
        self.width = int(config.hidden_size)
        # a sliding window is not modelled: within the window the two agree, beyond it they would not
        self.context = int(min(config.max_position_embeddings, getattr(config, "sliding_window", None) or config.max_position_embeddings))

    def embed(self, ids: Tensor) -> Tensor:
        """[...] token ids -> [..., width]."""
        return cast(Tensor, self.lm.get_input_embeddings()(ids))

    def states(self, embeds: Tensor, positions: Tensor, attention: Attention, keep: Tensor | None = None, tap: Tap | None = None) -> Tensor:
        """[B, T, width] embeddings at `positions` [B, T] -> final-normed hidden states [B, T or len(keep), width]; `tap` keeps others on the way."""
        wanted = {} if tap is None else {"output_hidden_states": True}
        out = self.lm.get_decoder()(inputs_embeds=embeds, position_ids=positions, use_cache=False, vesalius_attention=attention, **wanted)
        if tap is not None:
            tap.states = out.hidden_states[tap.layer]
        hidden = cast(Tensor, out.last_hidden_state)
        return hidden if keep is None else hidden[:, keep]

    def logits(self, hidden: Tensor) -> Tensor:
        """[..., width] -> [..., vocabulary]."""
        return cast(Tensor, self.lm.get_output_embeddings()(hidden))


def _attend(
    module: nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None = None,  # noqa: ARG001 - ours knows better
    *,
    vesalius_attention: Attention | None = None,
    scaling: float | None = None,
    **_: Any,  # noqa: ANN401
) -> tuple[Tensor, None]:
    """An attention function in the library's form that hands over to the `Attention` of the pass."""
    attention = vesalius_attention or Causal()
    layer = int(module.layer_idx)  # type: ignore[arg-type]
    if scaling is not None and scaling != query.shape[-1] ** -0.5:
        query = query * (scaling * query.shape[-1] ** 0.5)  # our attention always divides by sqrt(D)
    attention.store(layer, key, value)
    return attention.read(layer, query).transpose(1, 2).contiguous(), None


def default_dtype(device: str | torch.device = "cpu") -> torch.dtype:
    """The fastest dtype that the device computes in natively.

    bfloat16 where there are units for it (GPU since Ampere; CPU with AVX512-BF16 or AMX), else float32: a CPU that emulates bfloat16 is ten times
    slower than in float32.
    """
    kind = torch.device(device).type
    if kind == "cuda":
        return torch.bfloat16 if torch.cuda.is_bf16_supported(including_emulation=False) else torch.float16
    if kind == "cpu":
        probes = ("_is_avx512_bf16_supported", "_is_amx_tile_supported")
        native = any(getattr(torch.cpu, probe, bool)() for probe in probes)
        return torch.bfloat16 if native else torch.float32
    return torch.float32
