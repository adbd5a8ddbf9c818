"""The token tree below an image: which tokens exist, who descends from whom, and attention along the branches.

In: paths of token ids, and one layer's keys, values and queries of all of them packed into one row. Out: attention results. Keys and values live in
one `Pool` for each image: the prefix once, then every token of the tree in the order it came.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional


class Trie:
    """Token paths with shared beginnings stored once. Parents always come before their children."""

    def __init__(self) -> None:
        self.tokens: list[int] = []
        self.depths: list[int] = []
        self._parents: list[int] = []
        self._child: dict[tuple[int, int], int] = {}

    def __len__(self) -> int:
        return len(self.tokens)

    def add(self, path: Sequence[int]) -> int:
        """Add a path of at least one token; returns the node at its end."""
        here = -1
        for depth, token in enumerate(path):
            child = self._child.get((here, token))
            if child is None:
                child = self._child[here, token] = len(self.tokens)
                self.tokens.append(token)
                self.depths.append(depth)
                self._parents.append(here)
            here = child
        return here

    def ancestry(self) -> NDArray[np.bool_]:
        """[n, n]: row i is True at i and at its ancestors."""
        seen = np.eye(len(self), dtype=np.bool_)
        for node, parent in enumerate(self._parents):
            if parent >= 0:
                seen[node] |= seen[parent]
        return seen


class Pool:
    """Keys and values below one image, [layers, kv_heads, room, D] each; the first `prefix` places are the image's.

    Memory that is not written to yet costs nothing on a CPU, so the room may be generous.
    """

    def __init__(self, keys: Tensor, values: Tensor, *, prefix: int, used: int) -> None:
        self.keys, self.values, self.prefix, self.used = keys, values, prefix, used


@dataclasses.dataclass(eq=False)
class Part:
    """The tokens of one image in a packed pass: places `start` to `stop` of the row.

    Args:
        seen: [n, tree tokens so far + n] True where a token of this pass may look, besides the prefix; None for a causal row from nothing.
        kept: nodes of this part whose hidden states are wanted; None for all.
    """

    pool: Pool
    start: int
    stop: int
    seen: Tensor | None
    kept: Sequence[int] | None = None

    @property
    def size(self) -> int:
        """How many nodes are kept."""
        return self.stop - self.start if self.kept is None else len(self.kept)

    def leaves(self) -> Part:
        """After the pass: the kept nodes, ready to have children."""
        self.pool.used += self.stop - self.start
        seen = self.seen
        if seen is not None and self.kept is not None:
            seen = seen[list(self.kept)]
        return Part(self.pool, 0, self.size, seen)

    def children(self, parents: Sequence[int], start: int) -> Part:
        """One new token below each of `parents` (a leaf may have several children), at places from `start` of the next pass."""
        if self.seen is None:
            raise RuntimeError("a prefix has no leaves")
        count = len(parents)
        own = torch.eye(count, dtype=torch.bool, device=self.seen.device)
        return Part(self.pool, start, start + count, torch.cat((self.seen[list(parents)], own), dim=1))


class Packed:
    """Attention of one packed pass: each part looks into its own pool only. Batch 1; queries [1, heads, T, D]."""

    def __init__(self, parts: Sequence[Part]) -> None:
        self._parts = parts
        self._masks: dict[tuple[int, bool, int], Tensor] = {}

    def store(self, layer: int, keys: Tensor, values: Tensor) -> None:
        """Keys and values [1, kv_heads, T, D] into the pools."""
        for part in self._parts:
            low = part.pool.used
            high = low + part.stop - part.start
            part.pool.keys[layer, :, low:high] = keys[0, :, part.start : part.stop]
            part.pool.values[layer, :, low:high] = values[0, :, part.start : part.stop]

    def read(self, layer: int, queries: Tensor, *, kept: bool = False) -> Tensor:
        """Attend; with `kept` the queries are those of the kept nodes, part after part."""
        out, at = [], 0
        for index, part in enumerate(self._parts):
            size = part.size if kept else part.stop - part.start
            if size:
                out.append(self._one(index, layer, queries[:, :, at : at + size], kept=kept))
            at += size
        return out[0] if len(out) == 1 else torch.cat(out, dim=2)

    def _one(self, index: int, layer: int, queries: Tensor, *, kept: bool) -> Tensor:
        part = self._parts[index]
        high = part.pool.used + part.stop - part.start
        keys, values = part.pool.keys[layer, None, :, :high], part.pool.values[layer, None, :, :high]
        _, heads, size, depth = queries.shape
        groups = heads // keys.shape[1]
        if part.seen is None:
            return functional.scaled_dot_product_attention(queries, keys, values, is_causal=True, enable_gqa=groups > 1)
        # query heads that share a key head become rows of one matrix: nothing is repeated
        mask = self._mask(index, kept, groups, queries.dtype)
        folded = queries.reshape(1, keys.shape[1], groups * size, depth)
        return functional.scaled_dot_product_attention(folded, keys, values, attn_mask=mask).reshape(1, heads, size, depth)

    def _mask(self, index: int, kept: bool, groups: int, dtype: torch.dtype) -> Tensor:
        """[groups x n, prefix + tree] additive: 0 to look, -inf not to. The same for all layers."""
        key = (index, kept, groups)
        if key not in self._masks:
            part = self._parts[index]
            seen = part.seen if not kept or part.kept is None else part.seen[list(part.kept)]  # type: ignore[index]
            tree = torch.zeros(seen.shape, dtype=dtype, device=seen.device).masked_fill_(~seen, -torch.inf)  # type: ignore[union-attr,operator]
            self._masks[key] = functional.pad(tree, (part.pool.prefix, 0)).repeat(groups, 1)
        return self._masks[key]
