"""A late fusion of image and question: the language model's state asks, the image answers, their product speaks.

In: final-normed hidden states [B, T, H], projected image tokens [B or 1, N, H], and what the lower layers made of the question's words [B, H].
Out: hidden states [B, T, H] for the vocabulary.
A short image prefix gives a small language model little that multiplies image with question; a product of the two does (Kim et al. 2017, "Hadamard
product for low-rank bilinear pooling", arXiv 1610.04325), and needs no second pass through the language model when the image changes.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional


class Standard(nn.Module):
    """Standardised by fixed statistics, then of length sqrt(width): a few dimensions of a language model's states are a thousand times the others."""

    mean: Tensor
    deviation: Tensor

    def __init__(self, width: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(width))
        self.register_buffer("deviation", torch.ones(width))

    @torch.no_grad()
    def fit(self, samples: Tensor) -> None:
        """Take the statistics of samples [n, width]."""
        self.mean.copy_(samples.mean(0))
        self.deviation.copy_(samples.std(0).clamp(min=1e-6))

    def forward(self, x: Tensor) -> Tensor:
        """[..., width] -> [..., width]."""
        standard: Tensor = (x.float() - self.mean) / self.deviation
        unit: Tensor = functional.normalize(standard, dim=-1)
        scaled: Tensor = unit * float(x.shape[-1]) ** 0.5
        return scaled.to(x.dtype)


class LateFusion(nn.Module):
    """hidden + out(gelu(say(x)) + seen(x, image) * ask(x)), position by position, with x = norm(hidden) + words.

    A final state is made to name the next token and has forgotten much of the question; the mean of a lower layer's states over the question's tokens
    has not. `seen` is an attention of the state over the image tokens plus the mean of the tokens. `out` starts at zero: untrained, the language model
    speaks as it did.

    Args:
        width: of the language model. heads, head_dim: of the attention. rank: of the product. dropout: on states and product, in training.
    """

    def __init__(self, width: int, *, heads: int = 4, head_dim: int = 128, rank: int = 512, dropout: float = 0.3) -> None:
        super().__init__()
        inner = heads * head_dim
        self.heads = heads
        self.norm_state, self.norm_image, self.norm_words = nn.LayerNorm(width), nn.LayerNorm(width), Standard(width)
        self.words = nn.Linear(width, width)
        self.query, self.key, self.value = nn.Linear(width, inner), nn.Linear(width, inner), nn.Linear(width, inner)
        self.look, self.whole = nn.Linear(inner, rank), nn.Linear(width, rank)
        self.ask, self.say = nn.Linear(width, rank), nn.Linear(width, rank)
        self.out = nn.Linear(rank, width)
        self.dropout = nn.Dropout(dropout)
        nn.init.zeros_(self.out.weight)
        nn.init.zeros_(self.out.bias)

    def forward(self, hidden: Tensor, memory: Tensor, words: Tensor | None = None, rows: Tensor | None = None) -> Tensor:
        """Fuse.

        Args:
            hidden: [B, T, H]. memory: [B or 1, N, H], or [images, N, H] with `rows`.
            words: [B, H] or [B, T, H] of each row's (each position's) question; None where there is none.
            rows: [B] which image each row of `hidden` asks, when several rows share one.

        Returns:
            [B, T, H].
        """
        x, image = self.dropout(self._state(hidden, words)), self.norm_image(memory)
        key, value, whole = self._split(self.key(image)), self._split(self.value(image)), self.whole(image.mean(1))
        if rows is not None:
            key, value, whole = key[rows], value[rows], whole[rows]
        elif len(key) != len(hidden):
            key, value = key.expand(len(hidden), -1, -1, -1), value.expand(len(hidden), -1, -1, -1)
        seen = functional.scaled_dot_product_attention(self._split(self.query(x)), key, value).transpose(1, 2).flatten(2)
        visual = self.look(seen) + whole[:, None]
        spoken: Tensor = self.out(self.dropout(functional.gelu(self.say(x)) + visual * self.ask(x)))
        return hidden + spoken

    def attention(self, hidden: Tensor, memory: Tensor, words: Tensor | None = None) -> Tensor:
        """Where the states look: [B, T, N], averaged over the heads."""
        x, image = self._state(hidden, words), self.norm_image(memory)
        query, key = self._split(self.query(x)), self._split(self.key(image))
        attention = torch.softmax(query @ key.transpose(2, 3) * float(query.shape[-1]) ** -0.5, dim=-1)
        return attention.mean(1)

    def _state(self, hidden: Tensor, words: Tensor | None) -> Tensor:
        state: Tensor = self.norm_state(hidden)
        if words is None:
            return state
        asked: Tensor = self.words(self.norm_words(words))
        return state + (asked[:, None] if asked.dim() == 2 else asked)

    def _split(self, x: Tensor) -> Tensor:
        return x.view(*x.shape[:-1], self.heads, -1).transpose(1, 2)
