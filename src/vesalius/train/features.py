"""What frozen parts make of images and texts, computed once and kept: training then costs what moves, no more.

In: images of a data root, (question, answer) texts. Out: features of the tower's frozen lower blocks, and states of the language model's frozen
lower layers. What is kept is keyed by its content: another image, text or weight is another entry. Interrupted work goes on where it was.
"""

from __future__ import annotations

import dataclasses
import functools
import hashlib
from collections import defaultdict
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor

from vesalius.data import base
from vesalius.formats import read
from vesalius.formats.pixels import render
from vesalius.models import efficientnet
from vesalius.models.composition import Composition, Prompt
from vesalius.models.decoder import Causal
from vesalius.provenance import sha256_file
from vesalius.train.examples import BLANK
from vesalius.train.views import vary

_CHUNK = 64
T = TypeVar("T")
Pair = tuple[str, str]  # question, answer
Tell = Callable[[str], None]


@dataclasses.dataclass(frozen=True, eq=False)
class Texts:
    """States of (question, answer) pairs below the first adapter.

    Args:
        deep: pair to [T, width] half precision, T = prompt + answer tokens - 1.
        targets: pair to the answer's token ids with the stop token; they stand at the last positions of `deep`.
        words: question to [width] half precision: the mean over its own tokens of the states that the readout listens to.
    """

    deep: Mapping[Pair, Tensor]
    targets: Mapping[Pair, tuple[int, ...]]
    words: Mapping[str, Tensor]


@dataclasses.dataclass(frozen=True)
class Shelf:
    """Tensors by name in a directory, for good: each call computes what is absent, a chunk at a time, a file a chunk.

    Args:
        folder: of the files. kind: what the tensors are, for people and file names.
    """

    folder: Path
    kind: str

    def take(self, wanted: Mapping[str, T], compute: Callable[[Sequence[T]], Sequence[Tensor]], tell: Tell, *, chunk: int = _CHUNK) -> dict[str, Tensor]:
        """The tensors of these names.

        Args:
            wanted: name to what it is computed from; computed in this order. compute: a chunk of these to its tensors, in half precision.
        """
        there = self._index()
        absent = [name for name in wanted if name not in there]
        chunks = [absent[low : low + chunk] for low in range(0, len(absent), chunk)]
        for number, names in enumerate(chunks):
            tell(f"{self.kind} {number + 1} of {len(chunks)}")
            self._put(dict(zip(names, compute([wanted[name] for name in names]), strict=True)))
        found: dict[str, Tensor] = {}
        by_file: dict[Path, list[str]] = defaultdict(list)
        index = self._index()
        for name in wanted:
            by_file[index[name]].append(name)
        for path, names in by_file.items():
            with safe_open(path, "pt") as stored:
                found.update({name: stored.get_tensor(name) for name in names})
        return found

    def _index(self) -> dict[str, Path]:
        index: dict[str, Path] = {}
        for path in sorted(self.folder.glob(f"{self.kind.replace(' ', '-')}-*.safetensors")):
            with safe_open(path, "pt") as stored:
                index.update(dict.fromkeys(stored.keys(), path))
        return index

    def _put(self, tensors: dict[str, Tensor]) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        path = self.folder / f"{self.kind.replace(' ', '-')}-{_key(sorted(tensors))}.safetensors"
        temporary = path.with_suffix(".part")
        save_file({name: t.half().contiguous() for name, t in tensors.items()}, temporary)
        temporary.replace(path)


def image_features(images: Mapping[str, int], root: Path, tower: efficientnet.EfficientNetLite0, cache: Path, tell: Tell) -> dict[str, Tensor]:
    """Image to [1 + views, 112, S/16, S/16] half precision: what the tower's frozen lower blocks see of it and of other views of it.

    Args:
        images: paths relative to `root`, or blanks ("blank:0.5"), to the number of other views (`views.vary`).
    """
    weights = _weights_key(tower)
    opened = functools.lru_cache(maxsize=1)(lambda name: _pixels(name, root))  # the views of an image come one after the other

    @torch.inference_mode()
    def compute(wanted: Sequence[tuple[str, int]]) -> list[Tensor]:
        pixels = torch.stack([vary(opened(name), name, number) for name, number in wanted])
        return [f for part in torch.split(pixels, 8) for f in tower.lower(part).half()]

    keys = {name: [_key(weights, _content(name, root), name, view) for view in range(images[name] + 1)] for name in sorted(images)}
    wanted = {key: (name, view) for name, views in keys.items() for view, key in enumerate(views)}
    stored = Shelf(cache, "image features").take(wanted, compute, tell)
    return {name: torch.stack([stored[key] for key in views]) for name, views in keys.items()}


class Seen:
    """What the tower's upper blocks make of lower features, computed anew only when they have moved.

    Args:
        lower: image to [1 + views, 112, s, s].
    """

    def __init__(self, lower: Mapping[str, Tensor]) -> None:
        self.lower = lower
        self._kept: tuple[str, dict[str, Tensor]] = ("", {})

    @torch.inference_mode()
    def by(self, tower: efficientnet.EfficientNetLite0) -> dict[str, Tensor]:
        """Image to [1 + views, N, 1280] half precision."""
        key = _digest(tower.state_dict())
        if self._kept[0] != key:
            found = {name: torch.cat([tower.upper(part.float()).half() for part in torch.split(views, 16)]) for name, views in self.lower.items()}
            self._kept = (key, found)
        return self._kept[1]


def text_features(pairs: Sequence[Pair], composition: Composition, prompt: Prompt, first: int, weights: str, cache: Path, tell: Tell) -> Texts:
    """States at layer `first` of the prompt, question and answer of each pair, and what the readout hears of each question.

    Args:
        weights: names the language model's content in the cache's keys.
    """
    head = (*prompt.before, *prompt.between)
    targets = {(q, a): (*prompt.answer(a), prompt.stop[0]) for q, a in pairs}
    ids = {(q, a): (*head, *prompt.question(q), *targets[q, a][:-1]) for q, a in targets}
    keys = {pair: _key(weights, first, ids[pair]) for pair in sorted(ids, key=lambda pair: (len(ids[pair]), pair))}
    deep = Shelf(cache, "text states").take({key: ids[pair] for pair, key in keys.items()}, lambda rows: _states(rows, composition, first), tell)
    words = _words({q for q, _ in pairs}, composition, prompt, weights, cache, tell)
    return Texts({pair: deep[key] for pair, key in keys.items()}, targets, words)


def _words(questions: Collection[str], composition: Composition, prompt: Prompt, weights: str, cache: Path, tell: Tell) -> dict[str, Tensor]:
    layer = composition.listens
    if layer is None:
        return {q: torch.zeros(composition.decoder.width).half() for q in questions}
    head = (*prompt.before, *prompt.between)
    ids = {q: (*head, *prompt.question(q)[: len(prompt.question(q)) - len(prompt.after)]) for q in questions}
    keys = {q: _key(weights, "words", layer, ids[q]) for q in sorted(questions, key=lambda q: (len(ids[q]), q))}

    def compute(rows: Sequence[tuple[int, ...]]) -> list[Tensor]:
        return [states[len(head) :].float().mean(0).half() for states in _states(rows, composition, layer)]

    stored = Shelf(cache, "question words").take({key: ids[q] for q, key in keys.items()}, compute, tell)
    return {q: stored[key] for q, key in keys.items()}


def final_states(texts: Texts, composition: Composition, first: int, weights: str, cache: Path, tell: Tell) -> dict[Pair, Tensor]:
    """Final-normed states at the positions that predict the answer, [answer tokens, width] half precision, with the adapters as they are now."""
    adapters = _digest({name: t for name, t in composition.lm.state_dict().items() if ".lora_" in name})
    ordered = sorted(texts.deep, key=lambda pair: (len(texts.deep[pair]), pair))
    keys = {pair: _key(weights, adapters, first, pair, texts.targets[pair]) for pair in ordered}
    stored = Shelf(cache, "final states").take({key: pair for pair, key in keys.items()}, lambda part: _finals(part, texts, composition, first), tell)
    return {pair: stored[key] for pair, key in keys.items()}


@torch.inference_mode()
def _states(rows: Sequence[tuple[int, ...]], composition: Composition, first: int) -> list[Tensor]:
    """States that enter layer `first`, [length, width] for each row of ids."""
    decoder: Any = composition.lm
    out: list[Tensor] = []
    for start in range(0, len(rows), 16):
        part = rows[start : start + 16]
        longest = max(map(len, part))
        ids = torch.tensor([[*row, *[0] * (longest - len(row))] for row in part])
        positions = torch.arange(longest).expand(len(part), -1)
        x = decoder.layers_between(decoder.embed(ids), positions, Causal(), 0, first)
        out += [x[i, : len(row)].half().clone() for i, row in enumerate(part)]
    return out


@torch.inference_mode()
def _finals(pairs: Sequence[Pair], texts: Texts, composition: Composition, first: int) -> list[Tensor]:
    lm: Any = composition.lm
    rows = [texts.deep[p] for p in pairs]
    out: list[Tensor] = []
    for start in range(0, len(rows), 32):
        part = rows[start : start + 32]
        x = torch.nn.utils.rnn.pad_sequence([r.float() for r in part], batch_first=True)
        positions = torch.arange(x.shape[1]).expand(len(x), -1)
        top = lm.model.norm(lm.layers_between(x, positions, Causal(), first, lm.layers))
        for i, pair in enumerate(pairs[start : start + 32]):
            length = len(part[i])
            out.append(top[i, length - len(texts.targets[pair]) : length].half().clone())
    return out


def _pixels(name: str, root: Path) -> Tensor:
    if name.startswith(BLANK):
        level = round(255 * float(name.removeprefix(BLANK)))
        return efficientnet.prepare(np.full((288, 288), level, dtype=np.uint8))
    return efficientnet.prepare(render(read(base.image_path(root, name)).image))


def _content(name: str, root: Path) -> str:
    return name if name.startswith(BLANK) else sha256_file(base.image_path(root, name))


def _weights_key(tower: efficientnet.EfficientNetLite0) -> str:
    upper = tuple(f"_blocks.{i}." for i in range(efficientnet.LAST_BLOCKS, 16))
    return repr(efficientnet.Preparation()) + _digest({name: t for name, t in tower.state_dict().items() if not name.startswith(upper)})


def _digest(tensors: Mapping[str, Tensor]) -> str:
    digest = hashlib.sha256()
    for name, tensor in tensors.items():
        digest.update(name.encode() + tensor.detach().cpu().numpy().tobytes())
    return digest.hexdigest()


def _key(*parts: object) -> str:
    return hashlib.sha256(repr(parts).encode()).hexdigest()[:32]
