"""The Flamingo shape (Alayrac et al. 2022, arXiv 2204.14198; OpenFlamingo, arXiv 2308.01390): a Llama that looks at images between its layers.

In: token ids in which one token stands for an image, and features of the images. Out: logits. An image takes one token of the text; what it shows comes
in through gated cross-attention before every fourth layer. Each position sees one image or none, by one of two rules: the older code lets words see the
image that *follows* them (an image's own token sees that image, and after the last image nothing is seen), the newer code the one that *precedes* them.
Attribute names are the published ones.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from vesalius.errors import InvalidValue
from vesalius.models.composition import Composition, Prompt
from vesalius.models.decoder import Attention, Causal, Tap
from vesalius.models.engine import Engine
from vesalius.models.llama import Llama, Shape
from vesalius.models.record import EncodedImage
from vesalius.models.tree import Packed, Part, Pool
from vesalius.models.vit import VisionShape, VisionTransformer

HEADS, HEAD = 8, 64  # of the resampler and of the gated layers
RULES = ("following", "preceding")


@dataclasses.dataclass(frozen=True)
class Extent:
    """What a published model adds to a tower and a language model.

    Args:
        depth: layers of the resampler. latents: vectors that an image becomes. every: a gated layer stands before each layer of this multiple.
    """

    depth: int = 6
    latents: int = 64
    every: int = 4


def seen_images(row: Sequence[int], image: int, rule: str) -> list[int]:
    """Which of a row's images each position sees, counted from 0; -1 for none.

    Args:
        row: token ids. image: the one that stands for an image. rule: of `RULES`.
    """
    total, passed, out = list(row).count(image), 0, []
    for token in row:
        passed += token == image
        following = passed if token != image else passed - 1
        out.append(passed - 1 if rule == "preceding" else following if following < total else -1)
    return out


@dataclasses.dataclass(frozen=True, eq=False)
class Sight:
    """What the positions of one pass see.

    Args:
        latents: [images, n, D]. seen: [B, T] which image each position sees; -1 for none.
    """

    latents: Tensor
    seen: Tensor


class SeeingCausal(Causal):
    """Causal attention of rows whose positions see images."""

    def __init__(self, sight: Sight) -> None:
        self.sight = sight


class SeeingPacked(Packed):
    """Attention of a packed pass whose positions see images."""

    def __init__(self, parts: Sequence[Part], sight: Sight) -> None:
        super().__init__(parts)
        self.sight = sight


def _feed_forward(width: int) -> nn.Sequential:
    return nn.Sequential(nn.LayerNorm(width), nn.Linear(width, 4 * width, bias=False), nn.GELU(), nn.Linear(4 * width, width, bias=False))


def _split(x: Tensor) -> Tensor:
    """[B, T, heads x D] -> [B, heads, T, D]."""
    return x.reshape(*x.shape[:2], HEADS, HEAD).transpose(1, 2)


class _LatentAttention(nn.Module):
    """Latents attend to an image's features and to themselves."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm_media, self.norm_latents = nn.LayerNorm(width), nn.LayerNorm(width)
        self.to_q = nn.Linear(width, HEADS * HEAD, bias=False)
        self.to_kv = nn.Linear(width, 2 * HEADS * HEAD, bias=False)
        self.to_out = nn.Linear(HEADS * HEAD, width, bias=False)

    def forward(self, features: Tensor, latents: Tensor) -> Tensor:
        own = self.norm_latents(latents)
        keys, values = self.to_kv(torch.cat((self.norm_media(features), own), dim=1)).chunk(2, dim=-1)
        read = functional.scaled_dot_product_attention(_split(self.to_q(own)), _split(keys), _split(values))
        return cast(Tensor, self.to_out(read.transpose(1, 2).flatten(2)))


class Resampler(nn.Module):
    """Features of an image, however many, to a fixed number of latents (the Perceiver's idea, Jaegle et al. 2021, arXiv 2103.03206)."""

    def __init__(self, width: int, depth: int, latents: int) -> None:
        super().__init__()
        self.latents = nn.Parameter(torch.zeros(latents, width))
        self.layers = nn.ModuleList(nn.ModuleList((_LatentAttention(width), _feed_forward(width))) for _ in range(depth))
        self.norm = nn.LayerNorm(width)

    def forward(self, features: Tensor) -> Tensor:
        """[B, N, D] -> [B, n, D]."""
        x = self.latents.expand(len(features), -1, -1)
        for attend, feed in cast(Any, self.layers):
            x = x + attend(features, x)
            x = x + feed(x)
        return cast(Tensor, self.norm(x))


class _CrossAttention(nn.Module):
    def __init__(self, width: int, inside: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.to_q = nn.Linear(width, HEADS * HEAD, bias=False)
        self.to_kv = nn.Linear(inside, 2 * HEADS * HEAD, bias=False)
        self.to_out = nn.Linear(HEADS * HEAD, width, bias=False)

    def forward(self, x: Tensor, sight: Sight) -> Tensor:
        """Every position attends to the latents of its image; where there is none, nothing is read."""
        count, size, _ = sight.latents.shape
        queries = _split(self.to_q(self.norm(x)))
        sides = self.to_kv(sight.latents.flatten(0, 1)[None]).chunk(2, dim=-1)
        keys, values = (_split(s).expand(len(x), -1, -1, -1) for s in sides)
        blind = sight.seen < 0
        allowed = sight.seen[..., None] == torch.arange(count, device=x.device)
        allowed = (allowed | blind[..., None]).repeat_interleave(size, dim=-1)[:, None]  # a row of nothing but -inf has no softmax: opened, then zeroed
        read = functional.scaled_dot_product_attention(queries, keys, values, attn_mask=allowed)
        read = read.masked_fill(blind[:, None, :, None], 0.0)
        return cast(Tensor, self.to_out(read.transpose(1, 2).flatten(2)))


class GatedLayer(nn.Module):
    """Cross-attention and a feed-forward part, each let in through a gate: tanh of a number that is 0 before training."""

    def __init__(self, width: int, inside: int) -> None:
        super().__init__()
        self.attn, self.attn_gate = _CrossAttention(width, inside), nn.Parameter(torch.zeros(1))
        self.ff, self.ff_gate = _feed_forward(width), nn.Parameter(torch.zeros(1))

    def forward(self, x: Tensor, sight: Sight | None) -> Tensor:
        """[B, T, width]; without sight only the feed-forward part has something to say."""
        if sight is not None:
            x = x + self.attn(x, sight) * self.attn_gate.tanh()
        return cast(Tensor, x + self.ff(x) * self.ff_gate.tanh())


class SeeingLlama(Llama):
    """A `Decoder` with gated layers; what is seen comes with the pass's `Attention` (its `sight`; without one nothing is seen).

    Args:
        inside: width of the latents. every: as `Extent`.
    """

    def __init__(self, shape: Shape, inside: int, every: int, *, blank: bool = False) -> None:
        super().__init__(shape, blank=blank)
        self.gated = nn.ModuleDict({str(i): GatedLayer(shape.width, inside) for i in range(every - 1, shape.layers, every)})

    def layers_between(
        self, x: Tensor, positions: Tensor, attention: Attention, first: int, stop: int, keep: Tensor | None = None, tap: Tap | None = None
    ) -> Tensor:
        """As `Llama.layers_between`, each gated layer before the layer of its number."""
        sight = cast("Sight | None", getattr(attention, "sight", None))
        for index in range(first, stop):
            if tap is not None and tap.layer == index:
                tap.states = x
            if str(index) in self.gated:
                x = self.gated[str(index)](x, sight)
            x = super().layers_between(x, positions, attention, index, index + 1, keep)
        return x


class Tower(nn.Module):
    """CLIP's last hidden state before the final norm, without the class token."""

    def __init__(self, shape: VisionShape) -> None:
        super().__init__()
        self.vision = VisionTransformer(shape)
        self.vision.post_layernorm = nn.Identity()  # type: ignore[assignment]  # never applied, so never loaded

    def forward(self, pixels: Tensor) -> Tensor:
        """[B, 3, S, S] -> [B, N, D]."""
        return self.vision.states(pixels)[:, 1:]


class Flamingo(Composition):
    """Tower, resampler and seeing language model.

    Args:
        image: the token that stands for an image. rule: of `RULES`.

    Raises:
        InvalidValue: an unknown rule.
    """

    def __init__(self, tower: nn.Module, resampler: nn.Module, lm: nn.Module, *, image: int, rule: str = RULES[0]) -> None:
        super().__init__(tower, resampler, lm)
        if rule not in RULES:
            raise InvalidValue(f"no rule of what is seen is called {rule!r}", remedy=f"use {' or '.join(RULES)}")
        self.image, self.rule = image, rule

    def latents(self, memory: Tensor) -> Tensor:
        """Memory [B, N, D] -> [B, n, D]."""
        return cast(Tensor, self.projector(memory))

    def prefix(self, memory: Tensor, prompt: Prompt) -> Tensor:
        """Embeddings of everything up to the question [B, P, width]; the image is one token of it."""
        return self._words((*prompt.before, self.image, *prompt.between), memory).expand(len(memory), -1, -1)

    def forward(self, memory: Tensor, prompt: Prompt, ids: Tensor, picks: Tensor, rows: Tensor | None = None, asked: Tensor | None = None) -> Tensor:  # noqa: ARG002
        """As `Composition.forward`: one image for each row, no examples."""
        latents = self.latents(memory)
        head = [*prompt.before, self.image, *prompt.between]
        whole = torch.cat((torch.tensor([head], device=ids.device).expand(len(ids), -1), ids), dim=1)
        own = torch.tensor([seen_images(row, self.image, self.rule) for row in whole.tolist()], device=ids.device)
        which = torch.arange(len(ids), device=ids.device) if rows is None else rows
        sight = Sight(latents, torch.where(own < 0, own, which[:, None]))
        hidden = self._states(whole, sight)[:, len(head) :]
        return self.decoder.logits(hidden[picks]).float()

    def _states(self, ids: Tensor, sight: Sight | None) -> Tensor:
        positions = torch.arange(ids.shape[1], device=ids.device).expand(len(ids), -1)
        return self.decoder.states(self.decoder.embed(ids), positions, Causal() if sight is None else SeeingCausal(sight))


def build(vision: VisionShape, language: Shape, extent: Extent, *, image: int, rule: str = RULES[0]) -> Flamingo:
    """The model with weights yet to be filled in."""
    lm = SeeingLlama(language, vision.width, extent.every, blank=True)
    return Flamingo(Tower(vision), Resampler(vision.width, extent.depth, extent.latents), lm, image=image, rule=rule)


@torch.inference_mode()
def logits(model: Flamingo, rows: Sequence[Sequence[int]], pixels: Tensor | None = None) -> list[Tensor]:
    """Plain logits of prompts of any number of images: what parity with published code is measured by.

    Args:
        rows: token ids with `model.image` for each image. pixels: [images, 3, S, S] in the order of the rows; None when there is none.

    Returns:
        For each row [length, vocabulary] float32.

    Raises:
        InvalidValue: another number of images than places for them, or a row longer than the context.
    """
    counts = [list(row).count(model.image) for row in rows]
    given = 0 if pixels is None else len(pixels)
    if sum(counts) != given:
        raise InvalidValue(f"{given} images are given and the prompts have places for {sum(counts)}", remedy="write <image> once for each")
    longest = max(map(len, rows))
    check_length(longest, model.decoder.context)
    device = next(model.lm.parameters()).device
    padded = torch.tensor([[*row, *[0] * (longest - len(row))] for row in rows], device=device)
    sight = None
    if pixels is not None and given:
        seen, passed = [], 0
        for row, count in zip(rows, counts, strict=True):
            own = seen_images(row, model.image, model.rule)
            seen.append([i + passed if i >= 0 else -1 for i in own] + [-1] * (longest - len(row)))
            passed += count
        sight = Sight(model.latents(model.see(pixels)), torch.tensor(seen, device=device))
    hidden = model._states(padded, sight)
    return [model.decoder.logits(h[: len(row)]).float() for h, row in zip(hidden, rows, strict=True)]


def check_length(length: int, context: int) -> None:
    """Refuse a prompt that does not fit.

    Raises:
        InvalidValue: it is longer than the context.
    """
    if length > context:
        raise InvalidValue(f"the prompt takes {length} tokens of a context of {context}", remedy="give fewer examples or shorter ones")


@dataclasses.dataclass(frozen=True, eq=False)
class Shots:
    """Examples made ready: their ids, an image token in each, and their latents [examples, n, D]."""

    ids: tuple[int, ...]
    latents: Tensor | None = None


class _SeenPool(Pool):
    """A pool below an image of these latents [1, n, D]."""

    def __init__(self, pool: Pool, latents: Tensor) -> None:
        super().__init__(pool.keys, pool.values, prefix=pool.prefix, used=pool.used)
        self.latents = latents


class FlamingoEngine(Engine):
    """The engine over a seeing language model: what stands before a question is run once for each image; the tree below it sees what the rule says.

    By the rule "following" nothing below the last image sees an image, by "preceding" every token of the tree sees its own root's.
    """

    composition: Flamingo

    @torch.inference_mode()
    def encode_memory(self, memory: Tensor, shots: Shots | None = None) -> list[EncodedImage]:
        """Prompts up to the question, one for each of the tower features [B, N, D], each after the same examples.

        Raises:
            InvalidValue: the prompt alone exceeds the context.
        """
        return [self._encode(latents[None], shots or Shots(())) for latents in self.composition.latents(memory)]

    def _encode(self, latents: Tensor, shots: Shots) -> EncodedImage:
        model = self.composition
        row = [*self.prompt.before, *shots.ids, model.image, *self.prompt.between]
        check_length(len(row) + 1, self.decoder.context)
        seen = self._long([seen_images(row, model.image, model.rule)])
        sight = Sight(latents if shots.latents is None else torch.cat((shots.latents, latents)), seen)
        pool = self._pool(len(row), latents.dtype)
        attention = SeeingPacked([Part(pool, 0, len(row), None)], sight)
        self.decoder.states(self.decoder.embed(self._long([row])), self._long([list(range(len(row)))]), attention, self._long([]))
        return EncodedImage(pool.keys, pool.values, latents, 1)

    def _below(self, image: EncodedImage, room: int) -> Pool:
        return _SeenPool(super()._below(image, room), image.memory)

    def _forward(self, ids: list[int], positions: list[int], keep: list[int] | None, parts: Sequence[Part], tap: Tap | None = None) -> Tensor:
        if self.composition.rule == "following":
            return super()._forward(ids, positions, keep, parts, tap)
        seen = torch.cat([torch.full((part.stop - part.start,), i, device=self._device) for i, part in enumerate(parts)])[None]
        sight = Sight(torch.cat([cast(_SeenPool, part.pool).latents for part in parts]), seen)
        index = None if keep is None else self._long(keep)
        return self.decoder.states(self.decoder.embed(self._long([ids])), self._long([positions]), SeeingPacked(parts, sight), index, tap)[0]
