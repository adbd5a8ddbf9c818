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


class Layered(nn.Module):
    """What decoders in plain torch share: embeddings, a stack of layers called with rotary angles, a final norm, a vocabulary.

    A subclass has `model` with `embed_tokens` and `layers`, `lm_head`, and says which norm is the final one and what the angles are.
    """

    model: Any
    lm_head: Any

    def embed(self, ids: Tensor) -> Tensor:
        """[...] token ids -> [..., width]."""
        return cast(Tensor, self.model.embed_tokens(ids))

    def states(self, embeds: Tensor, positions: Tensor, attention: Attention, keep: Tensor | None = None, tap: Tap | None = None) -> Tensor:
        """[B, T, width] embeddings at `positions` [B, T] -> final-normed hidden states [B, T or len(keep), width].

        With `keep` (indices into T, ascending) the last layer computes those positions only; an empty `keep` stores keys and values, no more.
        """
        return self._normed(self.layers_between(embeds, positions, attention, 0, len(self.model.layers), keep, tap))

    def layers_between(
        self, x: Tensor, positions: Tensor, attention: Attention, first: int, stop: int, keep: Tensor | None = None, tap: Tap | None = None
    ) -> Tensor:
        """Run layers `first` up to, not including, `stop` on [B, T, width]: what lies below a first adapter need be computed only once.

        `keep` applies to the last layer of the model, as in `states`.
        """
        cos, sin = self._angles(positions, x.dtype)
        for index in range(first, stop):
            if tap is not None and tap.layer == index:
                tap.states = x
            x = self.model.layers[index](x, cos, sin, index, attention, keep if index == len(self.model.layers) - 1 else None)
        return x

    def logits(self, hidden: Tensor) -> Tensor:
        """[..., width] -> [..., vocabulary]."""
        return cast(Tensor, self.lm_head(hidden))

    def _normed(self, x: Tensor) -> Tensor:
        raise NotImplementedError

    def _angles(self, positions: Tensor, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
        raise NotImplementedError


def rotary_angles(positions: Tensor, dimensions: int, theta: float, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    """Cosines and sines of rotary positions, halves convention (Su et al. 2021, arXiv 2104.09864): [B, T] -> two of [B, 1, T, dimensions].

    Computed in float32 whatever the dtype.
    """
    steps = torch.arange(0, dimensions, 2, device=positions.device, dtype=torch.float32)
    angles = positions[:, None, :, None].float() / (theta ** (steps / dimensions))
    both = torch.cat((angles, angles), dim=-1)
    return both.cos().to(dtype), both.sin().to(dtype)


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


def followed(flow: Tensor, queries: Tensor, keys: Tensor, bias: Tensor | None = None, scale: float | None = None) -> Tensor:
    """One layer of attention rollout (Abnar & Zuidema 2020, arXiv 2005.00928): where positions' attention leads, through what was followed so far.

    Args:
        flow: [T, N] float32, how much of each of N sources each position holds before the layer. queries: [heads, T, D]. keys: [heads or a divisor, T, D].
        bias: [T, T] or [heads, T, T], -inf (or the least number) where a position may not look. scale: of the products; None takes 1 / sqrt(D).

    Returns:
        [T, N]: half of what a position held itself, half of what it looks at, heads averaged. Head by head: all at once would be large.
    """
    heads, groups = len(queries), len(queries) // len(keys)
    scale = float(queries.shape[-1]) ** -0.5 if scale is None else scale
    mean = torch.zeros(queries.shape[1], keys.shape[1], device=flow.device)
    for head in range(heads):
        scores = (queries[head] @ keys[head // groups].T).float() * scale
        if bias is not None:
            scores = scores + (bias if bias.dim() == 2 else bias[min(head, len(bias) - 1)]).float()
        mean += scores.softmax(-1) / heads
    return (flow + mean @ flow) / 2


class Rollout(Causal):
    """As `Causal`, and follows where attention leads through the layers (`followed`); for one row, all of whose positions are computed.

    Args:
        flow: [T, N] how much of each of N sources each position holds before the first layer. After a pass: after the last layer.
    """

    def __init__(self, flow: Tensor) -> None:
        self.flow = flow
        length = len(flow)
        self._bias = torch.full((length, length), -torch.inf, device=flow.device).triu(1)

    def read(self, layer: int, queries: Tensor, *, kept: bool = False) -> Tensor:
        """As `Causal`."""
        self.flow = followed(self.flow, queries[0], self._keys[0], self._bias)
        return super().read(layer, queries, kept=kept)


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
