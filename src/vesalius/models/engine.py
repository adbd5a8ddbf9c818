"""Encode an image once, ask it many things: the image is paid for once, and so is every token that two asks have in common.

In: pixels, questions in words, how to draw the answers. Out: `Record`s: text, log-probabilities, probability of yes.
Everything asked in one call is one tree of tokens. Its root is the image; questions branch where they differ; samples and the greedy answer branch
from their question, and again only where they choose different tokens. The whole tree runs as one packed row without padding: keys and values of
the image are held once, and a token attends to the image and to its own ancestors (a mask over the packed row), so answers equal those of asking
one by one. Several images (a control, another patient) run in the same pass, each with its own root; images that take no tokens of the prefix,
because only the readout sees them, share one root, and a question is read once for all of them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vesalius.errors import InvalidValue
from vesalius.models.base import GREEDY, Sampling
from vesalius.models.composition import Composition, Prompt, average
from vesalius.models.decoder import Tap
from vesalius.models.draw import climb, generator, ladder, yes_and_no
from vesalius.models.record import Ask, EncodedImage, Record, Row, States
from vesalius.models.tree import Packed, Part, Pool, Trie

__all__ = ["Ask", "EncodedImage", "Engine", "Record"]

_BYTE = re.compile(r"<0x[0-9A-F]{2}>")  # a piece that stands for one byte, in vocabularies that fall back to them
_ROWS_OF_LOGITS = 64  # rows of the vocabulary matrix product at a time: 64 x 49,152 float32 are 12 MB


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
        self._bare: tuple[Any, Tensor, Tensor] | None = None  # the prefix of images without tokens, and the weights it was made with

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
        tokens = length - len(self.prompt.before) - len(self.prompt.between)
        if not tokens and count:
            keys, values = self._bare_prefix(prefix[:1])
            return [EncodedImage(keys, values, memory[i : i + 1], 0) for i in range(count)]
        return [EncodedImage(p.keys, p.values, memory[i : i + 1], tokens) for i, p in enumerate(self._prefixes(prefix))]

    def _bare_prefix(self, prefix: Tensor) -> tuple[Tensor, Tensor]:
        """Keys and values of the words alone; made anew when a weight has moved since."""
        weights = [(id(p), 0 if p.is_inference() else p._version) for p in self.composition.lm.parameters()]
        if self._bare is None or self._bare[0] != weights:
            pool = self._prefixes(prefix)[0]
            self._bare = (weights, pool.keys, pool.values)
        return self._bare[1], self._bare[2]

    def _prefixes(self, prefix: Tensor) -> list[Pool]:
        """Prefill prefixes [B, P, width] in one pass."""
        count, length, width = prefix.shape
        pools = [self._pool(length, prefix.dtype) for _ in range(count)]
        if count and length:
            positions = torch.arange(length, device=prefix.device).repeat(count)[None]
            parts = [Part(pool, i * length, (i + 1) * length, None) for i, pool in enumerate(pools)]
            nothing = torch.empty(0, dtype=torch.long, device=prefix.device)
            self.decoder.states(prefix.reshape(1, count * length, width), positions, Packed(parts), nothing)
        return pools

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
            ids = rows[0].ids if rows[0].done else self._settled(rows[0].ids)
            text = str(self.prompt.tokenizer.decode(ids, skip_special_tokens=True))
            whole = text if rows[0].done else text.rstrip("\ufffd")  # half a character waits for its other half
            if len(whole) > len(said):
                yield whole[len(said) :]
                said = whole

    @property
    def _ends(self) -> Sequence[int]:
        """Tokens that end an answer, or begin what does."""
        return self.prompt.stop

    def _settled(self, ids: Sequence[int]) -> list[int]:
        """Ids without the bytes at their end: where a vocabulary falls back to bytes, one more can turn what stood before into something else."""
        kept = list(ids)
        while kept and _BYTE.fullmatch(self.prompt.tokenizer.id_to_token(kept[-1]) or ""):
            kept.pop()
        return kept

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
        keep = dict.fromkeys(sorted({node for line in nodes for node in line}), self._spoken(asked))
        states, _ = self._prefill([(trie, keep, self._below(image, len(trie)))])
        logprobs = self._speak(states, [(image.memory, list(range(len(keep))))])
        row = {node: i for i, node in enumerate(keep)}
        ends = torch.tensor(self._ends, dtype=torch.long, device=logprobs.device)
        totals = []
        for path, line in zip(paths, nodes, strict=True):
            total = sum(float(logprobs[row[node], token]) for node, token in zip(line, path, strict=False))
            totals.append(total + (float(logprobs[row[line[-1]], ends].logsumexp(0)) if self._ends else 0.0))
        return np.array(totals, dtype=np.float64)

    def _run(self, asks: Sequence[Ask]) -> list[Record]:
        rows: list[Row] = []
        for rows in self._steps(asks):  # noqa: B007 - the last state is the answer
            pass
        return [Record(self.prompt.words(r.ids), tuple(r.ids), tuple(r.logprobs), r.stopped, p_yes=r.first[0], yes_no=r.first[1]) for r in rows]

    def _steps(self, asks: Sequence[Ask]) -> Iterator[list[Row]]:
        """Run asks token by token; yields all rows, in the order of the asks, after every token."""
        with torch.inference_mode():
            rows, states, parts = self._start(asks)
        while True:
            with torch.inference_mode():
                logprobs = self._speak(states, _views(rows))
                children = self._choose(rows, logprobs)
            yield rows
            if not children:
                return
            with torch.inference_mode():
                states, parts = self._grow(rows, children, states, parts)

    def _start(self, asks: Sequence[Ask]) -> tuple[list[Row], States, list[Part]]:
        """Prefill the tree of questions; every ask stands at the end of its question."""
        roots: dict[int, EncodedImage] = {}
        tries: dict[int, Trie] = {}
        ends, spoken = [], {}
        for ask in asks:
            root, ids = id(ask.image.keys), self._ids(ask)
            roots.setdefault(root, ask.image)
            ends.append((root, tries.setdefault(root, Trie()).add(ids)))
            spoken[ends[-1]] = self._spoken(ids)
        plan: list[tuple[Trie, dict[int, int], Pool]] = []
        state_of: dict[tuple[int, int], int] = {}
        for root, image in roots.items():
            keep = {end: spoken[root, end] for end in sorted({end for at, end in ends if at == root})}
            room = len(tries[root]) + sum(a.sampling.max_new_tokens for a in asks if id(a.image.keys) == root)
            plan.append((tries[root], keep, self._below(image, room)))
            state_of.update({(root, end): len(state_of) + i for i, end in enumerate(keep)})
        states, parts = self._prefill(plan)
        return [self._row(ask, state_of[end]) for ask, end in zip(asks, ends, strict=True)], states, parts

    def _row(self, ask: Ask, state: int) -> Row:
        """An ask that stands at the end of its question."""
        return Row(ask, state, 0, ask.image.length + len(self._ids(ask)), generator(ask))

    def _prefill(self, plan: Sequence[tuple[Trie, dict[int, int], Pool]]) -> tuple[States, list[Part]]:
        """Run tries of questions; states and ancestry at the kept nodes only. Each kept node is given with the number of its question's own tokens."""
        ids, positions, keep, parts, start = [], [], [], [], 0
        for trie, kept, pool in plan:
            part = Part(pool, start, start + len(trie), torch.from_numpy(trie.ancestry()).to(self._device), list(kept))
            ids += trie.tokens
            positions += [pool.prefix + depth for depth in trie.depths]
            keep += [start + node for node in kept]
            parts.append(part)
            start = part.stop
        tap = None if self.composition.listens is None else Tap(self.composition.listens)
        hidden = self._forward(ids, positions, keep, parts, tap)
        words = None if tap is None or tap.states is None else self._words(plan, parts, tap.states[0])
        return States(hidden, words), [part.leaves() for part in parts]

    def _words(self, plan: Sequence[tuple[Trie, dict[int, int], Pool]], parts: Sequence[Part], states: Tensor) -> Tensor:
        """Mean state over each kept node's question tokens [kept, width]: its ancestors that are not deep enough to be template or answer."""
        out = []
        for (trie, kept, _), part in zip(plan, parts, strict=True):
            depths, nodes = self._long(trie.depths), list(kept)
            counts = self._long([kept[node] for node in nodes])
            seen = part.seen[nodes] & (depths < counts[:, None])  # type: ignore[index]
            out.append(average(states[part.start : part.stop].expand(len(nodes), -1, -1), seen))
        return torch.cat(out)

    def _spoken(self, ids: Sequence[int]) -> int:
        """How many of the ids of `_ids` are the question's own words."""
        return len(ids) - len(self.prompt.after)

    def _choose(self, rows: Sequence[Row], logprobs: Tensor) -> dict[tuple[int, int], int]:
        """Every unfinished row takes its next token; rows that agree share a child. Returns (state, token) -> child, in order of states."""
        live = [row for row in rows if not row.done]
        greedy = logprobs.argmax(1).tolist() if any(not r.ask.sampling.temperature for r in live) else []
        yes, no = (logprobs[:, list(ids)].exp().sum(1).tolist() for ids in (self.prompt.yes, self.prompt.no))
        ladders: dict[tuple[int, float], NDArray[np.float64]] = {}  # cumulative probabilities, once for each view and temperature
        for row in live:
            heat = row.ask.sampling.temperature
            if heat and (row.view, heat) not in ladders:
                ladders[row.view, heat] = ladder(logprobs[row.view], heat)
            token = climb(ladders[row.view, heat], row.random) if heat else greedy[row.view]
            if not row.logprobs:
                row.first = yes_and_no(yes[row.view], no[row.view])
            row.logprobs.append(min(0.0, float(logprobs[row.view, token])))
            row.stopped = token in self.prompt.stop
            if not row.stopped:
                row.ids.append(token)
        live = [row for row in live if not row.done]
        wanted = sorted({(row.state, row.ids[-1]) for row in live})
        children = {pair: child for child, pair in enumerate(wanted)}
        for row in live:
            row.state = children[row.state, row.ids[-1]]
        return children

    def _grow(self, rows: Sequence[Row], children: dict[tuple[int, int], int], states: States, parts: Sequence[Part]) -> tuple[States, list[Part]]:
        """Run one new token for every child; finished branches are left behind."""
        position = {row.state: row.base + len(row.ids) - 1 for row in rows if not row.done}
        pairs = list(children)
        grown: list[Part] = []
        first = at = 0  # first state of the part, next child
        for part in parts:
            parents = []
            while at < len(pairs) and pairs[at][0] < first + part.size:
                parents.append(pairs[at][0] - first)
                at += 1
            if parents:
                grown.append(part.children(parents, at - len(parents)))
            first += part.size
        hidden = self._forward([token for _, token in pairs], [position[child] for child in range(len(pairs))], None, grown)
        words = None if states.words is None else states.words[[state for state, _ in pairs]]
        return States(hidden, words), [part.leaves() for part in grown]

    def _forward(self, ids: list[int], positions: list[int], keep: list[int] | None, parts: Sequence[Part], tap: Tap | None = None) -> Tensor:
        """Hidden states [keep, width] after a packed pass."""
        index = None if keep is None else self._long(keep)
        return self.decoder.states(self.decoder.embed(self._long([ids])), self._long([positions]), Packed(parts), index, tap)[0]

    def _speak(self, states: States, views: Sequence[tuple[Tensor, list[int]]]) -> Tensor:
        """Log-probabilities [views, vocabulary]: for each image's memory, the states it is to be read with."""
        out = []
        for memory, wanted in views:
            for low in range(0, len(wanted), _ROWS_OF_LOGITS):
                rows = wanted[low : low + _ROWS_OF_LOGITS]
                words = None if states.words is None else states.words[None, rows]
                logits = self.composition.read(states.hidden[None, rows], memory, words)[0]
                logits[:, list(self.prompt.template.unscored)] = -torch.inf
                out.append(torch.log_softmax(logits, dim=-1))
        return torch.cat(out)

    def _pool(self, room: int, dtype: torch.dtype) -> Pool:
        shape = (self.decoder.layers, self.decoder.kv_heads, room, self.decoder.head_dim)
        keys, values = (torch.empty(shape, dtype=dtype, device=self._device) for _ in range(2))
        return Pool(keys, values, prefix=0, used=0)

    def _below(self, image: EncodedImage, room: int) -> Pool:
        """A pool that starts with the image's prefix and has `room` for a tree."""
        pool = self._pool(image.length + room, image.keys.dtype)
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
            cost, name = len(self._ids(ask)), (id(ask.image.keys), ask.question)
            if not chunks or tokens + (1 if name in seen else cost) > self.budget:
                chunks.append([])
                seen, tokens = set(), 0
            chunks[-1].append(ask)
            cost = 1 if name in seen else cost
            seen.add(name)
            tokens += cost
        return chunks

    def _long(self, ids: Sequence[int] | Sequence[Sequence[int]]) -> Tensor:
        return torch.tensor(ids, dtype=torch.long, device=self._device)

    @property
    def _device(self) -> torch.device:
        return next(self.composition.lm.parameters()).device


def _views(rows: Sequence[Row]) -> list[tuple[Tensor, list[int]]]:
    """What is to be spoken next: for each image's memory the states of its unfinished rows, every pair once. Sets the rows' `view`."""
    memories: dict[int, Tensor] = {}
    states: dict[int, dict[int, None]] = {}
    live = [row for row in rows if not row.done]
    for row in live:
        memories.setdefault(id(row.ask.image), row.ask.image.memory)
        states.setdefault(id(row.ask.image), {})[row.state] = None
    view_of: dict[tuple[int, int], int] = {}
    for image, found in states.items():
        for state in found:
            view_of[image, state] = len(view_of)
    for row in live:
        row.view = view_of[id(row.ask.image), row.state]
    return [(memories[image], list(found)) for image, found in states.items()]
