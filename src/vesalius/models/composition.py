"""Tower + projector + causal language model, the LLaVA composition (Liu et al. 2023, arXiv 2304.08485), and the prompt around the image.

In: pixels [B, 3, H, W] or tower features, and token ids. Out: logits at the positions asked for. `Prompt` turns words into ids, chunk by chunk
around the image. An image takes rows of embeddings, never a token id, so it cannot be generated or scored.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable, Sequence
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from vesalius.errors import InvalidValue
from vesalius.models.decoder import Causal, Decoder, Tap
from vesalius.models.wording import PROBE, digest
from vesalius.registry import unknown


@dataclasses.dataclass(frozen=True)
class Template:
    """The words around an image and a question. Each field is tokenised on its own: a tokenizer that sees them joined gives other ids.

    Args:
        before: before the image. between: after the image, before the question. after: after the question, up to the answer.
        stop: special tokens that end an answer.
        bos: the special token that opens the text, once; None when the model has none.
        answer: what precedes the words of an answer (" " where the prompt ends without a space).
        yes, no: wordings whose first tokens count as yes and as no.
        unscored: token ids that are never generated (rows added to the vocabulary for images).
    """

    before: str = ""
    between: str = ""
    after: str = ""
    stop: tuple[str, ...] = ()
    bos: str | None = None
    answer: str = ""
    yes: tuple[str, ...] = ("Yes", "yes")
    no: tuple[str, ...] = ("No", "no")
    unscored: tuple[int, ...] = ()


class Prompt:
    """A template and a tokenizer (of the `tokenizers` library) as token ids.

    Raises:
        InvalidValue: a stop or opening token that the vocabulary lacks, or yes and no that begin with the same token.
    """

    def __init__(self, tokenizer: Any, template: Template) -> None:  # noqa: ANN401 - the library is not typed
        self.tokenizer, self.template = tokenizer, template
        opening = () if template.bos is None else (self._special(template.bos),)
        self.before = (*opening, *self._fixed(template.before))
        self.between = self._fixed(template.between)
        self.after = self._fixed(template.after)
        self.stop = tuple(self._special(token) for token in template.stop)
        self.yes = self._first(template.yes)
        self.no = self._first(template.no)
        if set(self.yes) & set(self.no):
            raise InvalidValue("yes and no begin with the same token", remedy="give wordings whose first tokens differ")

    def question(self, text: str) -> tuple[int, ...]:
        """Ids from the question to where the answer starts. Control tokens written in the question are read as plain text."""
        return (*self._plain(text), *self.after)

    def answer(self, text: str) -> tuple[int, ...]:
        """Ids of an answer's words, without the stop token."""
        return self._plain(self.template.answer + text)

    def words(self, ids: Sequence[int]) -> str:
        """Generated ids as text, stripped."""
        return str(self.tokenizer.decode(list(ids), skip_special_tokens=True)).strip()

    def digest(self) -> str:
        """16 hexadecimal digits for all that is put around a question: two prompts that ask in the same ids have the same."""
        return digest(self.before, self.between, self.question(PROBE), self.answer("no"), self.stop, self.yes, self.no)

    def _fixed(self, text: str) -> tuple[int, ...]:
        return tuple(self.tokenizer.encode(text, add_special_tokens=False).ids) if text else ()

    def _plain(self, text: str) -> tuple[int, ...]:
        # with this switch the tokenizer spells out "<|im_end|>" instead of obeying it: a question must not end its own turn
        self.tokenizer.encode_special_tokens = True
        try:
            return self._fixed(text)
        finally:
            self.tokenizer.encode_special_tokens = False

    def _special(self, token: str) -> int:
        number = self.tokenizer.token_to_id(token)
        if number is None:
            raise InvalidValue(f"the vocabulary has no token {token!r}", remedy="name a token of this tokenizer")
        return int(number)

    def _first(self, wordings: Iterable[str]) -> tuple[int, ...]:
        firsts = (self.answer(word)[:1] for word in wordings)
        return tuple(sorted({first[0] for first in firsts if first}))


class MLPProjector(nn.Module):
    """Features to image tokens: Linear, exact GELU, Linear; the grid is averaged down first when `tokens` is given.

    Args:
        inside, outside: widths of the tower and of the language model. hidden: inner width, `outside` by default.
        tokens: image tokens to leave, a square number (adaptive average pooling of a square grid); None keeps every cell.

    Raises:
        InvalidValue: `tokens` is not a square number.
    """

    def __init__(self, inside: int, outside: int, *, hidden: int | None = None, tokens: int | None = None) -> None:
        super().__init__()
        if tokens is not None and math.isqrt(tokens) ** 2 != tokens:
            raise InvalidValue(f"image tokens must be a square number (got {tokens})", remedy="give 16, 25, 49, ...")
        self.tokens = tokens
        self.linear_1 = nn.Linear(inside, hidden or outside)
        self.linear_2 = nn.Linear(hidden or outside, outside)

    def forward(self, features: Tensor) -> Tensor:
        """[B, N, inside] -> [B, T, outside]."""
        pooled = features if self.tokens is None or self.tokens == features.shape[1] else self._pool(features, math.isqrt(self.tokens))
        return cast(Tensor, self.linear_2(functional.gelu(self.linear_1(pooled))))

    def _pool(self, features: Tensor, side: int) -> Tensor:
        batch, cells, width = features.shape
        grid = math.isqrt(cells)
        if grid**2 != cells or grid < side:
            raise InvalidValue(f"{cells} cells cannot be averaged to {side} x {side}", remedy="give a square grid with at least as many cells")
        square = features.transpose(1, 2).reshape(batch, width, grid, grid)
        return functional.adaptive_avg_pool2d(square, side).flatten(2).transpose(1, 2)


class Composition(nn.Module):
    """A vision-language model in parts.

    Args:
        tower: pixels [B, 3, H, W] -> features [B, N, D]: the memory of an image.
        projector: memory [B, N, D] -> image tokens [B, T, width]; T may be 0 when only the readout sees the image.
        lm: a `Decoder` module.
        readout: called `readout(hidden [B, S, width], memory [B or 1, N, D], words) -> hidden` between the final norm and the vocabulary; None for
            plain LLaVA. It must treat positions one by one: only the positions whose logits are needed are given to it.
        listens: layer whose input, averaged over the question's own tokens, the readout gets as `words` [B, S, width]; None: it gets no words.

    Raises:
        InvalidValue: `listens` without a readout, or beyond the language model's layers.
    """

    def __init__(self, tower: nn.Module, projector: nn.Module, lm: nn.Module, readout: nn.Module | None = None, *, listens: int | None = None) -> None:
        super().__init__()
        self.tower, self.projector, self.lm, self.readout, self.listens = tower, projector, lm, readout, listens
        if listens is not None and (readout is None or not 0 <= listens < self.decoder.layers):
            raise InvalidValue(f"no readout can listen at layer {listens}", remedy=f"give a readout and a layer from 0 to {self.decoder.layers - 1}")

    @property
    def decoder(self) -> Decoder:
        """The language model as what it is."""
        return cast(Decoder, self.lm)

    def see(self, pixels: Tensor) -> Tensor:
        """[B, 3, H, W] -> memory [B, N, D]."""
        return cast(Tensor, self.tower(pixels))

    def prefix(self, memory: Tensor, prompt: Prompt) -> Tensor:
        """Memory [B, N, D] -> embeddings of everything up to the question, [B, P, width]: words, image tokens, words."""
        image = cast(Tensor, self.projector(memory))
        sides = [self._words(ids, image).expand(len(image), -1, -1) for ids in (prompt.before, prompt.between)]
        return torch.cat((sides[0], image.to(sides[0].dtype), sides[1]), dim=1)

    def read(self, hidden: Tensor, memory: Tensor, words: Tensor | None = None) -> Tensor:
        """Final-normed hidden states [B, S, width] -> logits [B, S, vocabulary] in float32, through the readout when there is one.

        Args:
            words: [B, S, width] (or [B, width]) as the readout `listens`.
        """
        return self.decoder.logits(self._fuse(hidden, memory, words)).float()

    def forward(self, memory: Tensor, prompt: Prompt, ids: Tensor, picks: Tensor, rows: Tensor | None = None, asked: Tensor | None = None) -> Tensor:
        """Training's forward pass: logits where they are wanted.

        Args:
            memory: [images, N, D] from `see`, or cached.
            prompt: gives the words around the image.
            ids: [B, S] what follows the prefix (question, answer), padded on the right with any id.
            picks: [B, S] True where the logits of the *next* token are wanted; False on padding.
            rows: [B] which image each row asks; None when row i asks image i.
            asked: [B, S] True on the question's own tokens; needed when the readout `listens`.

        Returns:
            [picks.sum(), vocabulary] float32, row by row.
        """
        memory = memory if rows is None else memory[rows]
        prefix = self.prefix(memory, prompt)
        embeds = torch.cat((prefix, self.decoder.embed(ids).to(prefix.dtype)), dim=1)
        positions = torch.arange(embeds.shape[1], device=embeds.device).expand(len(embeds), -1)
        tap = None if self.listens is None else Tap(self.listens)
        hidden = self.decoder.states(embeds, positions, Causal(), tap=tap)[:, prefix.shape[1] :]
        words = None
        if tap is not None and tap.states is not None and asked is not None:
            words = average(tap.states[:, prefix.shape[1] :], asked)
        return self.decoder.logits(self._fuse(hidden, memory, words)[picks]).float()

    def _fuse(self, hidden: Tensor, memory: Tensor, words: Tensor | None) -> Tensor:
        if self.readout is None:
            return hidden
        fused = self.readout(hidden, memory) if words is None else self.readout(hidden, memory, words)
        return cast(Tensor, fused).to(hidden.dtype)

    def trainable(self, parts: Sequence[str]) -> list[str]:
        """Let exactly these parts learn and freeze the rest.

        Args:
            parts: "tower", "projector", "lm", "readout", or any dotted beginning of parameter names ("tower._blocks.11").

        Returns:
            Names of the parameters that learn.

        Raises:
            UnknownName: no parameter begins so.
        """
        names = [name for name, _ in self.named_parameters()]
        for part in parts:
            if not any(_within(name, part) for name in names):
                raise unknown("part of the model", part, sorted({name.partition(".")[0] for name in names}))
        for name, parameter in self.named_parameters():
            parameter.requires_grad_(any(_within(name, part) for part in parts))
        return [name for name in names if any(_within(name, part) for part in parts)]

    def _words(self, ids: Sequence[int], like: Tensor) -> Tensor:
        return self.decoder.embed(torch.tensor([list(ids)], dtype=torch.long, device=like.device))


def average(states: Tensor, seen: Tensor) -> Tensor:
    """Mean of states [B, T, width] over the positions that `seen` [B, T] names -> [B, width]; float32 inside, so that a long question loses nothing."""
    weights = seen.float()
    mean = (weights[:, None] @ states.float())[:, 0] / weights.sum(1, keepdim=True).clamp(min=1)
    return mean.to(states.dtype)


def _within(name: str, part: str) -> bool:
    return name == part or name.startswith(part + ".")
