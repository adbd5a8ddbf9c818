"""How probable an answer of a stock model is by its image's tokens, and where its attention leads: what `looking` needs of it.

In: a `Stock` model, an image's grid, question and answer. Out: log-probabilities of memories [B, N, D], and attention rollout [N].
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from vesalius.domain.exchange import Answer, Question
from vesalius.domain.study import Study
from vesalius.models import looking
from vesalius.models.decoder import followed

if TYPE_CHECKING:
    from vesalius.models.stock_model import Stock

_NAME = "vesalius_rollout"  # of our attention function in transformers' table


class StockScore:
    """As `looking.AnswerScore`.

    Args:
        grid: as in `EncodedStudy`. pixels: of the tower's input, for `flow`.
    """

    def __init__(self, stock: Stock, grid: Tensor | None, question: str, answer: str, pixels: Tensor) -> None:
        self.stock, self.grid, self.pixels = stock, grid, pixels
        self.said = list(stock.prompt.answer(answer)) or [stock.prompt.stop[0]]
        self.words = [*stock.prompt.question(question), *self.said[:-1]]

    def __call__(self, memory: Tensor) -> Tensor:
        """Memories [B, N, D] -> natural log-probabilities of the answer [B], one after the other."""
        return torch.stack([self._one(features) for features in memory])

    @torch.no_grad()
    def without(self, masks: Tensor, rows: int, cols: int) -> Tensor:
        """As in `looking.AnswerScore`."""
        if self.grid is None:
            hidden = looking.hide(self.pixels, masks, rows, cols)
        else:  # patches in a row, those of one token side by side
            there = masks.repeat_interleave(len(self.pixels) // masks.shape[1], dim=1)[:, :, None]
            hidden = torch.where(there, self.pixels.mean(0), self.pixels)
        return torch.stack([self._one(self.stock.features(pixels if self.grid is not None else pixels[None], self.grid)) for pixels in hidden])

    def _one(self, features: Tensor) -> Tensor:
        out = self.stock.model(**self.stock.inputs(features, self.grid, self.words), use_cache=False, logits_to_keep=len(self.said))
        never = torch.tensor(self.stock.prompt.template.unscored, dtype=torch.long, device=out.logits.device)
        logprobs: Tensor = out.logits[0].float().index_fill(1, never, -torch.inf).log_softmax(-1)
        return logprobs[torch.arange(len(self.said)), self.said].sum()

    @torch.no_grad()
    def flow(self, memory: Tensor) -> tuple[Tensor, str]:
        """How much of each image token attention brings to where the answer is spoken: [N] float32, and what was followed.

        Gemma's tower is followed too, a token being the mean of its patches; Qwen's, which attends within windows, is not.
        """
        inputs = self.stock.inputs(memory[0], self.grid, self.words)
        count, length, start = memory.shape[1], inputs["inputs_embeds"].shape[1], len(self.stock.prompt.before)
        watch = _Watch(torch.eye(length, device=memory.device)[:, start : start + count])
        with _watched(self.stock.model):
            self.stock.model(**inputs, use_cache=False, logits_to_keep=1, vesalius_watch=watch)
        weights = watch.flow[-len(self.said) :].mean(0)
        if self.stock.family.grid:
            return weights, "rollout through the language model"
        return weights @ self._tower(count), "rollout through tower and language model"

    def _tower(self, count: int) -> Tensor:
        """Rollout through a SigLIP tower, from tokens to tokens [N, N]: rows are means of patches, columns their sums."""
        whole = self.stock.model.model.vision_tower
        tower = getattr(whole, "vision_model", whole)  # one step more in some releases
        x = tower.embeddings(self.pixels.to(self.stock.model.dtype))
        flow = torch.eye(x.shape[1], device=x.device)
        for layer in tower.encoder.layers:
            own, y = layer.self_attn, layer.layer_norm1(x)[0]
            queries, keys = (part(y).view(len(y), own.num_heads, -1).transpose(0, 1) for part in (own.q_proj, own.k_proj))
            flow = followed(flow, queries, keys)
            x = layer(x, None)
        side, tokens = round(len(flow) ** 0.5), round(count**0.5)
        step = side // tokens
        return flow.view(tokens, step, tokens, step, tokens, step, tokens, step).mean((1, 3)).sum((3, 5)).view(count, count)


class _Watch:
    """What was followed so far, [T, N]."""

    def __init__(self, flow: Tensor) -> None:
        self.flow = flow


def saliency(stock: Stock, study: Study, question: Question, answer: Answer, method: str) -> tuple[NDArray[np.float32], str]:
    """Where an answer comes from, by the tokens of the image; as `Composed.saliency`. The picture was stretched."""
    look = looking.method(method)
    features, grid = stock.see(study)
    score = StockScore(stock, grid, question.text, answer.text, stock.pixels(study)["pixel_values"])
    found, name = look(score, features[None], shape=cells(stock, len(features), grid))
    return looking.to_image(found, study.image.rows, study.image.cols, padded=False), name


def cells(stock: Stock, count: int, grid: Tensor | None) -> tuple[int, int]:
    """Rows and columns that an image's tokens form."""
    if grid is None:
        return looking.square(torch.empty(1, count, 0))
    merged = int(stock.model.config.vision_config.spatial_merge_size)
    return int(grid[0, 1]) // merged, int(grid[0, 2]) // merged


@contextlib.contextmanager
def _watched(model: Any) -> Iterator[None]:  # noqa: ANN401 - the library's classes have no common type for this
    """The model with its language model's attention followed: our function in place of its own."""
    from transformers import AttentionInterface, AttentionMaskInterface
    from transformers.masking_utils import eager_mask

    AttentionInterface.register(_NAME, _attend)
    AttentionMaskInterface.register(_NAME, eager_mask)
    text = model.config.get_text_config()
    before = text._attn_implementation
    model.get_decoder().set_attn_implementation(_NAME)
    try:
        yield
    finally:
        model.get_decoder().set_attn_implementation(before)


def _attend(
    module: nn.Module,  # noqa: ARG001
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None = None,
    *,
    vesalius_watch: _Watch | None = None,
    scaling: float | None = None,
    **_: Any,  # noqa: ANN401
) -> tuple[Tensor, None]:
    """An attention function in the library's form; its mask says who may look at whom."""
    if vesalius_watch is not None:
        vesalius_watch.flow = followed(vesalius_watch.flow, query[0], key[0], None if attention_mask is None else attention_mask[0], scaling)
    read = functional.scaled_dot_product_attention(query, key, value, attn_mask=attention_mask, scale=scaling, enable_gqa=query.shape[1] != key.shape[1])
    return read.transpose(1, 2).contiguous(), None
