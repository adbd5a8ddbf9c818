"""A late fusion of image and question: the language model's state asks, the image answers, their product speaks.

In: final-normed hidden states [B, T, H] and projected image tokens [B or 1, N, H]. Out: hidden states [B, T, H] for the vocabulary.
A short image prefix gives a small language model little that multiplies image with question; a product of the two does (Kim et al. 2017, "Hadamard
product for low-rank bilinear pooling", arXiv 1610.04325), and needs no second pass through the language model when the image changes.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional


class LateFusion(nn.Module):
    """hidden + out(gelu(say(x)) + seen(x, image) * ask(x)), position by position.

    `seen` is an attention of the state over the image tokens plus the mean of the tokens. `out` starts at zero: untrained, the language model
    speaks as it did.

    Args:
        width: of the language model. heads, head_dim: of the attention. rank: of the product. dropout: on states and product, in training.
    """

    def __init__(self, width: int, *, heads: int = 4, head_dim: int = 128, rank: int = 512, dropout: float = 0.3) -> None:
        super().__init__()
        inner = heads * head_dim
        self.heads = heads
        self.norm_state, self.norm_image = nn.LayerNorm(width), nn.LayerNorm(width)
        self.query, self.key, self.value = nn.Linear(width, inner), nn.Linear(width, inner), nn.Linear(width, inner)
        self.look, self.whole = nn.Linear(inner, rank), nn.Linear(width, rank)
        self.ask, self.say = nn.Linear(width, rank), nn.Linear(width, rank)
        self.out = nn.Linear(rank, width)
        self.dropout = nn.Dropout(dropout)
        nn.init.zeros_(self.out.weight)
        nn.init.zeros_(self.out.bias)

    def forward(self, hidden: Tensor, memory: Tensor, rows: Tensor | None = None) -> Tensor:
        """Fuse.

        Args:
            hidden: [B, T, H]. memory: [B or 1, N, H], or [images, N, H] with `rows`.
            rows: [B] which image each row of `hidden` asks, when several rows share one.

        Returns:
            [B, T, H].
        """
        x, image = self.dropout(self.norm_state(hidden)), self.norm_image(memory)
        key, value, whole = self._split(self.key(image)), self._split(self.value(image)), self.whole(image.mean(1))
        if rows is not None:
            key, value, whole = key[rows], value[rows], whole[rows]
        elif len(key) != len(hidden):
            key, value = key.expand(len(hidden), -1, -1, -1), value.expand(len(hidden), -1, -1, -1)
        seen = functional.scaled_dot_product_attention(self._split(self.query(x)), key, value).transpose(1, 2).flatten(2)
        visual = self.look(seen) + whole[:, None]
        spoken: Tensor = self.out(self.dropout(functional.gelu(self.say(x)) + visual * self.ask(x)))
        return hidden + spoken

    def attention(self, hidden: Tensor, memory: Tensor) -> Tensor:
        """Where the states look: [B, T, N], averaged over the heads."""
        x, image = self.norm_state(hidden), self.norm_image(memory)
        query, key = self._split(self.query(x)), self._split(self.key(image))
        attention = torch.softmax(query @ key.transpose(2, 3) * float(query.shape[-1]) ** -0.5, dim=-1)
        return attention.mean(1)

    def _split(self, x: Tensor) -> Tensor:
        return x.view(*x.shape[:-1], self.heads, -1).transpose(1, 2)
