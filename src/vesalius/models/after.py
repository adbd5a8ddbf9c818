"""Families whose image follows the question, as in LLaVA of version 0: nothing behind the question can be shared, the image neither.

In: the same as for the engine. Out: the same records. What is paid for once is tower, projector and the words before the question; image tokens are
read anew below each question, as nodes of its branch. So samples of one question still share it and its image, and answers equal those of asking one by
one. Answers of such families end with a word ("###"), not with a token: `until` cuts them.
"""

from __future__ import annotations

import dataclasses
import weakref
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, cast

import torch
from torch import Tensor, nn

from vesalius.errors import InvalidValue
from vesalius.models import looking
from vesalius.models.base import GREEDY, ModelCard, Sampling
from vesalius.models.composed import Composed
from vesalius.models.composition import Composition, Prompt, Template
from vesalius.models.decoder import Causal
from vesalius.models.draw import generator
from vesalius.models.engine import Engine
from vesalius.models.llava import IMAGE
from vesalius.models.record import Ask, EncodedImage, Row
from vesalius.models.tree import Packed, Part

_BUDGET = 2048  # an ask takes its image's tokens too
_BATCH = 16  # memories in one pass of a language model
_CELLS = 1 << 20  # more than any image has tokens


@dataclasses.dataclass(frozen=True, eq=False)
class Pictured(EncodedImage):
    """An image made ready: keys and values are of the words before the question.

    Args:
        tokens: the image's own, [N, width].
    """

    tokens: Tensor


class AfterPrompt(Prompt):
    """Words, question, image, words. All before the image is tokenised in one, as the published code does.

    Args:
        template: `before` the question (a blank parts the two), `between` question and image, `after` the image.
        patch: the token that stands for a cell of the image in published prompts. marks: tokens before and after the image, or none.
        until: words that end an answer; they are no part of it, and no question may hold them.
    """

    def __init__(self, tokenizer: Any, template: Template, *, patch: str, marks: tuple[str, str] | None, until: tuple[str, ...] = ()) -> None:  # noqa: ANN401
        super().__init__(tokenizer, dataclasses.replace(template, between="", after=""))
        self.words_between, self.until, self.patch = template.between, until, self._special(patch)
        left, right = ((), ()) if marks is None else ((self._special(marks[0]),), (self._special(marks[1]),))
        self.after = (*left, IMAGE, *right, *self._fixed(template.after))
        self.ends = tuple(sorted({*self.stop, *map(self._ending, until)}))

    def question(self, text: str) -> tuple[int, ...]:
        """Ids from the question to where the answer starts, `IMAGE` for the image. Control tokens written in the question are read as plain text.

        Raises:
            InvalidValue: a question without text, one that holds what ends a turn, or one that joins the words before it.
        """
        asked = text.replace("<image>", "").strip()
        if not asked:
            raise InvalidValue("a question must have text", remedy="ask something")
        ending = next((word for word in self.until if word in asked), None)
        if ending is not None:
            raise InvalidValue(f"a question to this model cannot hold {ending!r}, which ends a turn", remedy="ask without it")
        words = self.before if self.template.bos is None else self.before[1:]
        whole = self._plain(f"{self.template.before} {asked}{self.words_between}")
        if whole[: len(words)] != words:
            raise InvalidValue("the question's first letters join the words before it", remedy="begin it with a word")
        return (*whole[len(words) :], *self.after)

    def around(self, text: str) -> tuple[int, ...]:
        """Ids of a whole prompt; a run of patch tokens becomes `IMAGE`. Control tokens are obeyed: not for text that is not ours."""
        opening = () if self.template.bos is None else (self._special(self.template.bos),)
        out = list(opening)
        for token in self._fixed(text):
            if token != self.patch:
                out.append(token)
            elif out[-1:] != [IMAGE]:
                out.append(IMAGE)
        return tuple(out)

    def _ending(self, word: str) -> int:
        """The first id of what ends an answer when it follows a word."""
        alone, whole = self._plain("x"), self._plain("x" + word)
        return whole[len(alone)] if whole[: len(alone)] == alone and len(whole) > len(alone) else self._plain(word)[0]

    def said(self, ids: Sequence[int]) -> str:
        """Generated ids as text, with what ends it."""
        return str(self.tokenizer.decode(list(ids), skip_special_tokens=True))

    def ended(self, text: str) -> str | None:
        """The text up to the first word that ends it; None when none does."""
        found = [at for at in map(text.find, self.until) if at >= 0]
        return text[: min(found)] if found else None

    def held(self, text: str) -> str:
        """The text without what may yet become a word that ends it."""
        lengths = [n for word in self.until for n in range(1, len(word)) if text.endswith(word[:n])]
        return text[: len(text) - max(lengths, default=0)]

    def words(self, ids: Sequence[int]) -> str:
        """Generated ids as text up to what ends it, stripped."""
        text = self.said(ids)
        ended = self.ended(text)
        return (text if ended is None else ended).strip()


class AfterComposition(Composition):
    """A composition whose image follows the question: the prefix holds words only."""

    def __init__(self, tower: nn.Module, projector: nn.Module, lm: nn.Module) -> None:
        super().__init__(tower, projector, lm)

    def prefix(self, memory: Tensor, prompt: Prompt) -> Tensor:
        """Memory [B, N, D] -> embeddings of the words before the question, [B, P, width]."""
        return self._words(prompt.before, memory).expand(len(memory), -1, -1)

    def forward(self, memory: Tensor, prompt: Prompt, ids: Tensor, picks: Tensor, rows: Tensor | None = None, asked: Tensor | None = None) -> Tensor:  # noqa: ARG002
        """As in `Composition`; ids [B, S] hold `IMAGE` once in each row.

        Raises:
            InvalidValue: a row without a place for its image, or with several.
        """
        embeds, _, count = self.spliced(memory if rows is None else memory[rows], prompt, ids)
        positions = torch.arange(embeds.shape[1], device=embeds.device).expand(len(ids), -1)
        hidden = self.decoder.states(embeds, positions, Causal())
        # where an id stands once its image has spread; the image's own id stands at its last token
        spread = (count - 1) * (ids == IMAGE).long().cumsum(1)
        stands = len(prompt.before) + torch.arange(ids.shape[1], device=ids.device) + spread
        own = hidden.gather(1, stands[..., None].expand(-1, -1, hidden.shape[-1]))
        return self.decoder.logits(own[picks]).float()

    def spliced(self, memory: Tensor, prompt: Prompt, ids: Tensor) -> tuple[Tensor, list[int], int]:
        """Memory [B, N, D] and ids as for `forward` -> whole rows as embeddings [B, T, width], where each one's image begins, and how many tokens it has.

        Raises:
            InvalidValue: as `forward`.
        """
        image, places = cast(Tensor, self.projector(memory)), ids == IMAGE
        if not bool((places.sum(1) == 1).all()):
            raise InvalidValue("every row must have one place for its image", remedy="make the ids with the prompt of this model")
        words = self.decoder.embed(torch.where(places, 0, ids))
        at = [int(a) for a in places.int().argmax(1)]
        texts = [torch.cat((words[b, :a], image[b].to(words.dtype), words[b, a + 1 :])) for b, a in enumerate(at)]
        before = self._words(prompt.before, image).to(words.dtype).expand(len(ids), -1, -1)
        return torch.cat((before, torch.stack(texts)), dim=1), [len(prompt.before) + a for a in at], image.shape[1]


@dataclasses.dataclass(eq=False, kw_only=True)
class _Until(Row):
    """An ask that a word may end."""

    prompt: AfterPrompt

    @property
    def cut(self) -> bool:
        """Whether such a word has been said."""
        tail = 4 * max(map(len, self.prompt.until), default=0)  # a word takes no more tokens than it has bytes
        return tail > 0 and self.prompt.ended(self.prompt.said(self.ids[-tail:])) is not None

    @property
    def done(self) -> bool:
        """As `Row`, or a word has ended it."""
        return super().done or self.cut


class AfterEngine(Engine):
    """The engine for images that follow the question.

    Among the ids of a tree an image's tokens are negative numbers, unlike those of any other image that lives.
    The ids of a `Record` keep the tokens of the word that ended it; its text does not.
    """

    prompt: AfterPrompt

    def __init__(self, composition: Composition, prompt: AfterPrompt, *, budget: int = _BUDGET) -> None:
        super().__init__(composition, prompt, budget=budget)
        self._shown: weakref.WeakValueDictionary[int, Pictured] = weakref.WeakValueDictionary()

    @torch.inference_mode()
    def encode_memory(self, memory: Tensor) -> list[EncodedImage]:
        """Projector once for each image, the words before the question once for all; from tower features [B, N, D].

        Raises:
            InvalidValue: image and words exceed the context of the language model.
        """
        tokens = cast(Tensor, self.composition.projector(memory))
        count = tokens.shape[1]
        if count + len(self.prompt.before) >= self.decoder.context:
            raise InvalidValue(f"the image takes {count} tokens of a context of {self.decoder.context}", remedy="use fewer image tokens")
        # a view each: every image has a root of its own
        return [Pictured(e.keys[:], e.values[:], e.memory, count, own) for e, own in zip(super().encode_memory(memory), tokens, strict=True)]

    def stream(self, image: EncodedImage, question: str, sampling: Sampling = GREEDY) -> Iterator[str]:
        """The answer in pieces of text as it comes; what may begin the word that ends it waits."""
        ask = Ask(image, question, sampling)
        self._ids(ask)
        said = ""
        for rows in self._steps([ask]):
            text = self.prompt.said(rows[0].ids if rows[0].done else self._settled(rows[0].ids))
            ended = self.prompt.ended(text)
            whole = ended if ended is not None else text if rows[0].done else self.prompt.held(text.rstrip("\ufffd"))
            if len(whole) > len(said):
                yield whole[len(said) :]
                said = whole

    @property
    def _ends(self) -> Sequence[int]:
        return self.prompt.ends

    def _row(self, ask: Ask, state: int) -> Row:
        return _Until(ask, state, 0, ask.image.length + len(self._ids(ask)), generator(ask), prompt=self.prompt)

    def _choose(self, rows: Sequence[Row], logprobs: Tensor) -> dict[tuple[int, int], int]:
        children = super()._choose(rows, logprobs)
        for row in rows:
            row.stopped = row.stopped or cast(_Until, row).cut
        return children

    def _ids(self, ask: Ask) -> tuple[int, ...]:
        """Ids from the question to where the answer starts, the image's tokens among them, checked against the context."""
        image = cast(Pictured, ask.image)
        self._shown[id(image)] = image
        first = -1 - id(image) * _CELLS
        spread = range(first, first - image.image_tokens, -1)
        ids: list[int] = []
        for token in self.prompt.question(ask.question):
            ids += spread if token == IMAGE else (token,)
        self._fits(image, len(ids) + ask.sampling.max_new_tokens)
        return tuple(ids)

    def _fits(self, image: EncodedImage, more: int) -> None:
        if image.length + more > self.decoder.context:
            what = f"image ({image.image_tokens}), words and answer ({image.length + more - image.image_tokens}) exceed the context"
            raise InvalidValue(f"{what} of {self.decoder.context} tokens", remedy="shorten the question or ask for fewer new tokens")

    def _forward(self, ids: list[int], positions: list[int], keep: list[int] | None, parts: Sequence[Part], tap: Any = None) -> Tensor:  # noqa: ANN401
        """Hidden states [keep, width] after a packed pass."""
        embeds = self.decoder.embed(self._long([max(0, token) for token in ids]))
        places: dict[int, list[tuple[int, int]]] = {}
        for at, token in enumerate(ids):
            if token < 0:
                image, cell = divmod(-1 - token, _CELLS)
                places.setdefault(image, []).append((at, cell))
        for image, pairs in places.items():
            spots, cells = (list(column) for column in zip(*pairs, strict=True))
            embeds[spots] = self._shown[image].tokens[cells].to(embeds.dtype)
        index = None if keep is None else self._long(keep)
        return self.decoder.states(embeds[None], self._long([positions]), Packed(parts), index, tap)[0]


class AfterScore(looking.AnswerScore):
    """How probable an answer is; the image always goes through the language model."""

    composition: AfterComposition

    def __call__(self, memory: Tensor) -> Tensor:
        """Memories [B, N, D] -> natural log-probabilities [B]."""
        return torch.cat([self._through_prefix(part) for part in torch.split(memory, _BATCH)])

    def laid_out(self, memory: Tensor) -> tuple[Tensor, slice]:
        """As in `looking.AnswerScore`."""
        embeds, at, count = self.composition.spliced(memory, self.prompt, self.ids)
        return embeds, slice(at[0], at[0] + count)


class After(Composed):
    """A `GenerativeModel`, but for `pixels`, whose image follows the question.

    Args:
        As `Composed`.
    """

    def __init__(self, card: ModelCard, composition: AfterComposition, prompt: AfterPrompt, about: Mapping[str, Any] | None = None) -> None:
        super().__init__(card, composition, prompt, about)
        self.engine = AfterEngine(composition, prompt)

    def score_of(self, question: str, answer: str, pixels: Tensor) -> looking.AnswerScore:
        """As in `Composed`."""
        return AfterScore(self.composition, self.prompt, question, answer, pixels)
