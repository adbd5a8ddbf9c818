"""Encode an image once, ask it many things: the image is paid for once, and so is every token that two asks have in common.

In: pixels, questions in words, how to draw the answers. Out: `Record`s: text, log-probabilities, probability of yes.
Everything asked in one call is one tree of tokens. Its root is the image; questions branch where they differ; samples and the greedy answer branch
from their question, and again only where they choose different tokens. The whole tree runs as one packed row without padding: keys and values of
the image are held once, and a token attends to the image and to its own ancestors (a mask over the packed row), so answers equal those of asking
one by one. Several images (a control, another patient) run in the same pass, each with its own root.
"""

from __future__ import annotations

import dataclasses
import hashlib
import math
from collections.abc import Iterator, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vesalius.errors import InvalidValue
from vesalius.models.base import GREEDY, Sampling
from vesalius.models.composition import Composition, Prompt
from vesalius.models.tree import Packed, Part, Pool, Trie

_ROWS_OF_LOGITS = 64  # rows of the vocabulary matrix product at a time: 64 x 49,152 float32 are 12 MB


@dataclasses.dataclass(frozen=True, eq=False)
class EncodedImage:
    """An image made ready.

    Args:
        keys, values: of the prefix, [layers, kv_heads, P, D].
        memory: the tower's features [1, N, D], for the readout.
        image_tokens: tokens of the prefix that are the image.
    """

    keys: Tensor
    values: Tensor
    memory: Tensor
    image_tokens: int

    @property
    def length(self) -> int:
        """P: tokens of the prefix, words included."""
        return int(self.keys.shape[2])


@dataclasses.dataclass(frozen=True)
class Ask:
    """One thing to ask of one image."""

    image: EncodedImage
    question: str
    sampling: Sampling = GREEDY


@dataclasses.dataclass(frozen=True)
class Record:
    """What came of one ask.

    Args:
        text: the answer, stripped.
        ids: generated tokens without the stop token.
        logprobs: natural log-probability of each generated token under the model at temperature 1, the stop token's last when `stopped`.
        stopped: the model ended the answer itself.
        p_yes: probability of yes among {yes, no} for the first token.
        yes_no: probability of the first token being either; near 0 when the question is not a yes/no question to the model.
    """

    text: str
    ids: tuple[int, ...]
    logprobs: tuple[float, ...]
    stopped: bool
    p_yes: float
    yes_no: float

    @property
    def logprob(self) -> float:
        """Natural log-probability of exactly this answer, its end included."""
        return float(sum(self.logprobs))

    @property
    def confidence(self) -> float:
        """Probability of exactly this answer, exp(logprob): right for short answers, tiny for long ones."""
        return min(1.0, math.exp(self.logprob))

    @property
    def mean_confidence(self) -> float:
        """Geometric mean of the token probabilities: comparable between answers of different length."""
        return min(1.0, math.exp(self.logprob / max(1, len(self.logprobs))))


@dataclasses.dataclass(eq=False)
class _Row:
    """One ask on its way. `node` is the row of the current logits that speaks for it; `base` the position of its first answer token."""

    ask: Ask
    node: int
    base: int
    random: np.random.Generator
    ids: list[int] = dataclasses.field(default_factory=list)
    logprobs: list[float] = dataclasses.field(default_factory=list)
    stopped: bool = False
    first: tuple[float, float] = (0.5, 0.0)

    @property
    def done(self) -> bool:
        return self.stopped or len(self.ids) >= self.ask.sampling.max_new_tokens


class Engine:
    """Asks a composition many things at the price of few.

    Args:
        composition: the model; put into evaluation mode.
        prompt: template and tokenizer.
        budget: tokens of questions in one pass; more asks than that run in several passes, with the same answers.
    """

    def __init__(self, composition: Composition, prompt: Prompt, *, budget: int = 1024) -> None:
        if budget < 1:
            raise InvalidValue(f"budget must be at least 1 token (got {budget})")
        self.composition, self.prompt, self.budget = composition.eval(), prompt, budget
        self.decoder = composition.decoder

    @torch.inference_mode()
    def encode(self, pixels: Tensor) -> list[EncodedImage]:
        """Tower, projector and prefix of several images [B, 3, H, W], once each, in one pass."""
        return self.encode_memory(self.composition.see(pixels))

    @torch.inference_mode()
    def encode_memory(self, memory: Tensor) -> list[EncodedImage]:
        """As `encode`, from tower features [B, N, D].

        Raises:
            InvalidValue: the prefix alone exceeds the context of the language model.
        """
        prefix = self.composition.prefix(memory, self.prompt)
        count, length, _ = prefix.shape
        if length >= self.decoder.context:
            raise InvalidValue(f"the image takes {length} tokens of a context of {self.decoder.context}", remedy="use fewer image tokens")
        pools = [self._pool(memory[i : i + 1], length, prefix.dtype) for i in range(count)]
        if count and length:
            positions = torch.arange(length, device=prefix.device).repeat(count)[None]
            parts = [Part(pool, i * length, (i + 1) * length, None) for i, pool in enumerate(pools)]
            nothing = torch.empty(0, dtype=torch.long, device=prefix.device)
            self.decoder.states(prefix.reshape(1, count * length, -1), positions, Packed(parts), nothing)
        tokens = length - len(self.prompt.before) - len(self.prompt.between)
        return [EncodedImage(pool.keys, pool.values, pool.memory, tokens) for pool in pools]

    def answer(self, image: EncodedImage, questions: Sequence[str], sampling: Sampling | Sequence[Sampling] = GREEDY) -> list[Record]:
        """Answers to questions about one image, in their order.

        Args:
            sampling: one for all, or one for each question. The same seed and question give the same draw, whatever else is in the call: give the
                samples of one question different seeds.

        Raises:
            InvalidValue: an empty question, as many samplings as questions not given, or a question too long for the context.
        """
        samplings = [sampling] * len(questions) if isinstance(sampling, Sampling) else list(sampling)
        if len(samplings) != len(questions):
            raise InvalidValue(f"{len(questions)} questions need as many samplings (got {len(samplings)})", remedy="give one for each, or one for all")
        return self.ask([Ask(image, question, way) for question, way in zip(questions, samplings, strict=True)])

    def ask(self, asks: Sequence[Ask]) -> list[Record]:
        """Answers to asks about any number of images, in their order, in as few passes as the budget allows."""
        records: list[Record] = []
        for chunk in self._chunks(asks):
            records += self._run(chunk)
        return records

    def stream(self, image: EncodedImage, question: str, sampling: Sampling = GREEDY) -> Iterator[str]:
        """The answer in pieces of text as it comes; joined and stripped they are the answer's text."""
        ask = Ask(image, question, sampling)
        self._ids(ask)
        said = ""
        for rows in self._steps([ask]):
            text = str(self.prompt.tokenizer.decode(rows[0].ids, skip_special_tokens=True))
            whole = text if rows[0].done else text.rstrip("\ufffd")  # half a character waits for its other half
            if len(whole) > len(said):
                yield whole[len(said) :]
                said = whole

    @torch.inference_mode()
    def score(self, image: EncodedImage, question: str, options: Sequence[str]) -> NDArray[np.float64]:
        """Natural log-probability of each option as the whole answer: its tokens and, where the template has one, the stop token.

        All options and the question are one tree, one pass.

        Returns:
            [options] float64.

        Raises:
            InvalidValue: an empty option, or question and option too long for the context.
        """
        ask = Ask(image, question, Sampling(max_new_tokens=1))
        asked = self._ids(ask)
        paths = [self.prompt.answer(option) for option in options]
        if any(not path for path in paths):
            raise InvalidValue("an option must have text", remedy="leave the empty option out")
        if not paths:
            return np.zeros(0)
        self._fits(image, len(asked) + max(map(len, paths)) + 1)
        trie = Trie()
        nodes = [[trie.add((*asked, *path[:length])) for length in range(len(path) + 1)] for path in paths]
        keep = sorted({node for line in nodes for node in line})
        logprobs, _ = self._prefill([(image, trie, keep, self._below(image, len(trie)))])
        row = {node: i for i, node in enumerate(keep)}
        ends = torch.tensor(self.prompt.stop, dtype=torch.long, device=logprobs.device)
        totals = []
        for path, line in zip(paths, nodes, strict=True):
            total = sum(float(logprobs[row[node], token]) for node, token in zip(line, path, strict=False))
            totals.append(total + (float(logprobs[row[line[-1]], ends].logsumexp(0)) if self.prompt.stop else 0.0))
        return np.array(totals, dtype=np.float64)

    def _run(self, asks: Sequence[Ask]) -> list[Record]:
        rows: list[_Row] = []
        for rows in self._steps(asks):  # noqa: B007 - the last state is the answer
            pass
        return [Record(self.prompt.words(r.ids), tuple(r.ids), tuple(r.logprobs), r.stopped, p_yes=r.first[0], yes_no=r.first[1]) for r in rows]

    def _steps(self, asks: Sequence[Ask]) -> Iterator[list[_Row]]:
        """Run asks token by token; yields all rows, in the order of the asks, after every token."""
        with torch.inference_mode():
            rows, logprobs, parts = self._start(asks)
        while True:
            with torch.inference_mode():
                children = self._choose(rows, logprobs)
            yield rows
            if not children:
                return
            with torch.inference_mode():
                logprobs, parts = self._grow(rows, children, parts)

    def _start(self, asks: Sequence[Ask]) -> tuple[list[_Row], Tensor, list[Part]]:
        """Prefill the tree of questions; every ask stands at the end of its question."""
        images: dict[int, EncodedImage] = {}
        tries: dict[int, Trie] = {}
        ends = []
        for ask in asks:
            images.setdefault(id(ask.image), ask.image)
            ends.append((id(ask.image), tries.setdefault(id(ask.image), Trie()).add(self._ids(ask))))
        roots: list[tuple[EncodedImage, Trie, list[int], Pool]] = []
        node_of: dict[tuple[int, int], int] = {}
        for key, image in images.items():
            keep = sorted({end for at, end in ends if at == key})
            room = len(tries[key]) + sum(a.sampling.max_new_tokens for a in asks if a.image is image)
            roots.append((image, tries[key], keep, self._below(image, room)))
            node_of.update({(key, end): len(node_of) + i for i, end in enumerate(keep)})
        logprobs, parts = self._prefill(roots)
        rows = [_Row(ask, node_of[end], ask.image.length + len(self._ids(ask)), _generator(ask)) for ask, end in zip(asks, ends, strict=True)]
        yes, no = (logprobs[:, list(ids)].exp().sum(1).tolist() for ids in (self.prompt.yes, self.prompt.no))
        for row in rows:
            either = yes[row.node] + no[row.node]
            row.first = (min(1.0, yes[row.node] / either) if either > 0 else 0.5, min(1.0, either))
        return rows, logprobs, parts

    def _prefill(self, roots: Sequence[tuple[EncodedImage, Trie, list[int], Pool]]) -> tuple[Tensor, list[Part]]:
        """Run tries of questions; log-probabilities and ancestry at the kept nodes only."""
        device = self._device
        ids, positions, keep, parts, start = [], [], [], [], 0
        for image, trie, kept, pool in roots:
            part = Part(pool, start, start + len(trie), torch.from_numpy(trie.ancestry()).to(device), kept)
            ids += trie.tokens
            positions += [image.length + depth for depth in trie.depths]
            keep += [start + node for node in kept]
            parts.append(part)
            start = part.stop
        return self._forward(ids, positions, keep, parts), [part.leaves() for part in parts]

    def _choose(self, rows: Sequence[_Row], logprobs: Tensor) -> dict[tuple[int, int], int]:
        """Every unfinished row takes its next token; rows that agree share a child. Returns (node, token) -> child, in order of nodes."""
        live = [row for row in rows if not row.done]
        greedy = logprobs.argmax(1).tolist() if any(not r.ask.sampling.temperature for r in live) else []
        ladders: dict[tuple[int, float], NDArray[np.float64]] = {}  # cumulative probabilities, once for each node and temperature
        wanted: set[tuple[int, int]] = set()
        for row in live:
            heat = row.ask.sampling.temperature
            if heat and (row.node, heat) not in ladders:
                ladders[row.node, heat] = _ladder(logprobs[row.node], heat)
            token = _climb(ladders[row.node, heat], row.random) if heat else greedy[row.node]
            row.logprobs.append(min(0.0, float(logprobs[row.node, token])))
            row.stopped = token in self.prompt.stop
            if not row.stopped:
                row.ids.append(token)
                if not row.done:
                    wanted.add((row.node, token))
        children = {pair: child for child, pair in enumerate(sorted(wanted))}
        for row in live:
            if not row.done:
                row.node = children[row.node, row.ids[-1]]
        return children

    def _grow(self, rows: Sequence[_Row], children: dict[tuple[int, int], int], parts: Sequence[Part]) -> tuple[Tensor, list[Part]]:
        """Run one new token for every child; finished branches are left behind."""
        grown: list[Part] = []
        pairs = list(children)
        position = {row.node: row.base + len(row.ids) - 1 for row in rows if not row.done}
        first = at = 0  # first node of the part, next child
        for part in parts:
            size = part.size
            parents = []
            while at < len(pairs) and pairs[at][0] < first + size:
                parents.append(pairs[at][0] - first)
                at += 1
            if parents:
                grown.append(part.children(parents, at - len(parents)))
            first += size
        logprobs = self._forward([token for _, token in pairs], [position[child] for child in range(len(pairs))], list(range(len(pairs))), grown)
        return logprobs, [part.leaves() for part in grown]

    def _forward(self, ids: list[int], positions: list[int], keep: list[int], parts: Sequence[Part]) -> Tensor:
        """Log-probabilities [keep, vocabulary] after a packed pass."""
        embeds = self.decoder.embed(self._long([ids]))
        index = None if len(keep) == len(ids) else self._long(keep)
        hidden = self.decoder.states(embeds, self._long([positions]), Packed(parts), index)
        out, at = [], 0
        for part in parts:
            for low in range(at, at + part.size, _ROWS_OF_LOGITS):
                high = min(low + _ROWS_OF_LOGITS, at + part.size)
                logits = self.composition.read(hidden[:, low:high], part.pool.memory)[0]
                logits[:, list(self.prompt.template.unscored)] = -torch.inf
                out.append(torch.log_softmax(logits, dim=-1))
            at += part.size
        return torch.cat(out)

    def _pool(self, memory: Tensor, room: int, dtype: torch.dtype) -> Pool:
        shape = (self.decoder.layers, self.decoder.kv_heads, room, self.decoder.head_dim)
        keys, values = (torch.empty(shape, dtype=dtype, device=memory.device) for _ in range(2))
        return Pool(keys, values, memory, prefix=0, used=0)

    def _below(self, image: EncodedImage, room: int) -> Pool:
        """A pool that starts with the image's prefix and has `room` for a tree."""
        pool = self._pool(image.memory, image.length + room, image.keys.dtype)
        pool.keys[:, :, : image.length] = image.keys
        pool.values[:, :, : image.length] = image.values
        pool.prefix = pool.used = image.length
        return pool

    def _ids(self, ask: Ask) -> tuple[int, ...]:
        """Ids from the question to where the answer starts, checked against the context."""
        if not ask.question.strip():
            raise InvalidValue("a question must have text", remedy="ask something")
        ids = self.prompt.question(ask.question)
        self._fits(ask.image, len(ids) + ask.sampling.max_new_tokens)
        return ids

    def _fits(self, image: EncodedImage, more: int) -> None:
        if image.length + more > self.decoder.context:
            what = f"image ({image.length}), question and answer ({more}) exceed the context of {self.decoder.context} tokens"
            raise InvalidValue(what, remedy="shorten the question or ask for fewer new tokens")

    def _chunks(self, asks: Sequence[Ask]) -> list[list[Ask]]:
        """Asks in passes of at most `budget` question tokens (or one ask). Every question is checked before any is run."""
        chunks: list[list[Ask]] = []
        seen: set[tuple[int, str]] = set()
        tokens = 0
        for ask in asks:
            cost = 1 if (id(ask.image), ask.question) in seen else len(self._ids(ask))
            if not chunks or tokens + cost > self.budget:
                chunks.append([])
                seen, tokens, cost = set(), 0, len(self._ids(ask))
            chunks[-1].append(ask)
            seen.add((id(ask.image), ask.question))
            tokens += cost
        return chunks

    def _long(self, ids: Sequence[int] | Sequence[Sequence[int]]) -> Tensor:
        return torch.tensor(ids, dtype=torch.long, device=self._device)

    @property
    def _device(self) -> torch.device:
        return next(self.composition.lm.parameters()).device


def _generator(ask: Ask) -> np.random.Generator:
    """A row's own randomness, from its seed and its question: what else is in the call cannot move it."""
    words = np.frombuffer(hashlib.sha256(ask.question.encode()).digest(), dtype=np.uint32)
    return np.random.default_rng(np.random.SeedSequence([ask.sampling.seed, *words.tolist()]))


def _ladder(logprobs: Tensor, temperature: float) -> NDArray[np.float64]:
    """Cumulative weights of the vocabulary at a temperature; [vocabulary] float64, not normalised."""
    scaled = logprobs.double().cpu().numpy() / temperature
    return np.cumsum(np.exp(scaled - scaled.max()))


def _climb(ladder: NDArray[np.float64], random: np.random.Generator) -> int:
    """Inverse-CDF draw: one uniform number for each token, so a draw depends on nothing but the row's own stream."""
    return int(min(np.searchsorted(ladder, random.random() * ladder[-1], side="right"), len(ladder) - 1))
