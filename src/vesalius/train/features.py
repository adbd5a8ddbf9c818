"""What frozen parts make of images and texts, computed once and kept: training then costs what moves, no more.

In: images of a data root, (question, answer) texts. Out: features of the tower's frozen lower blocks, and states of the language model's frozen
lower layers. What is kept is keyed by its content: another image, text or weight is another entry. Interrupted work goes on where it was.
"""

from __future__ import annotations

import dataclasses
import hashlib
import os
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
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
from vesalius.train.variants import Variants
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
        temporary = path.with_suffix(f".{os.getpid()}.part")  # another process may make the same chunk
        save_file({name: t.half().contiguous() for name, t in tensors.items()}, temporary)
        temporary.replace(path)


def pictures(names: Iterable[str], root: Path) -> dict[str, Tensor]:
    """Image to [3, S, S] uint8 as the tower gets it before it is normalised.

    Args:
        names: paths relative to `root`, or blanks ("blank:0.5").
    """
    wanted = sorted(set(names))
    with ThreadPoolExecutor() as pool:  # decoders let go of the interpreter
        return dict(zip(wanted, pool.map(lambda name: _pixels(name, root), wanted), strict=True))


def image_features(
    images: Mapping[str, int],
    shown: Mapping[str, Tensor],
    root: Path,
    tower: efficientnet.EfficientNetLite0,
    cache: Path,
    tell: Tell,
    variants: Variants | None = None,
) -> dict[str, Tensor]:
    """Image to [1 + views, 112, S/16, S/16] half precision: what the tower's frozen lower blocks see of it and of other views of it.

    Args:
        images: names to the number of other views (`views.vary`). shown: their `pictures`.
        variants: instead of other views, what a policy makes of training pictures; `images` then has as many.
    """
    weights, device = _weights_key(tower), tower._conv_stem.weight.device

    @torch.inference_mode()
    def compute(wanted: Sequence[tuple[str, int]]) -> list[Tensor]:
        if variants is None:
            pixels = torch.stack([vary(efficientnet.normalise(shown[name]), name, number) for name, number in wanted])
        else:
            made = dict(zip(varied := [each for each in wanted if each[1]], variants.pixels(varied), strict=True))
            pixels = efficientnet.normalise(torch.stack([made.get(each, shown[each[0]]) for each in wanted]))
        return [f for part in torch.split(pixels, 8) for f in tower.lower(part.to(device)).half().cpu()]

    def key(name: str, content: str, view: int) -> str:
        return _key(weights, content, name, view, *(variants.key(name, view) if variants is not None else ()))

    contents = {name: _content(name, root) for name in sorted(images)}
    keys = {name: [key(name, content, view) for view in range(images[name] + 1)] for name, content in contents.items()}
    wanted = {key: (name, view) for name, views in keys.items() for view, key in enumerate(views)}
    stored = Shelf(cache, "image features").take(wanted, compute, tell)
    return {name: torch.stack([stored[key] for key in views]) for name, views in keys.items()}


class Seen:
    """What the tower makes of images, computed anew only when it has moved: of lower features while its lower blocks stand still, else of the pixels.

    Args:
        lower: image to [1 + views, 112, s, s] of the tower's lower blocks as they are now. shown: image to [3, S, S] uint8.
        variants: what a policy makes of training pictures; they are looked at anew too.
    """

    def __init__(
        self, lower: Mapping[str, Tensor], shown: Mapping[str, Tensor], tower: efficientnet.EfficientNetLite0, variants: Variants | None = None
    ) -> None:
        self.lower, self.shown, self._made_with, self._variants = lower, shown, _weights_key(tower), variants
        self._kept: tuple[str, dict[str, Tensor]] = ("", {})

    def moved(self, tower: efficientnet.EfficientNetLite0) -> bool:
        """Whether the lower blocks are no longer what `lower` was made with."""
        return _weights_key(tower) != self._made_with

    @torch.inference_mode()
    def by(self, tower: efficientnet.EfficientNetLite0) -> dict[str, Tensor]:
        """Image to [1 + views, N, 1280] half precision."""
        key = _digest(tower.state_dict())
        if self._kept[0] != key:
            self._kept = (key, self._of_pixels(tower) if self.moved(tower) else self._of_lower(tower))
        return self._kept[1]

    def _of_lower(self, tower: efficientnet.EfficientNetLite0) -> dict[str, Tensor]:
        device = next(tower.parameters()).device
        return {n: torch.cat([tower.upper(part.float().to(device)).half().cpu() for part in torch.split(v, 16)]) for n, v in self.lower.items()}

    def _of_pixels(self, tower: efficientnet.EfficientNetLite0) -> dict[str, Tensor]:
        device, names = next(tower.parameters()).device, list(self.shown)
        found: dict[str, Tensor] = {}
        for start in range(0, len(names), 16):
            part = names[start : start + 16]
            pixels = efficientnet.normalise(torch.stack([self.shown[n] for n in part]).to(device))
            found.update(zip(part, tower(pixels).half().cpu()[:, None], strict=True))
        for name, made in self._variants.each() if self._variants is not None else ():
            found[name] = torch.cat([found[name], tower(efficientnet.normalise(torch.stack(made).to(device))).half().cpu()])
        return found


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
    device = next(decoder.parameters()).device
    out: list[Tensor] = []
    for start in range(0, len(rows), _CHUNK):
        part = rows[start : start + _CHUNK]
        longest = max(map(len, part))
        ids = torch.tensor([[*row, *[0] * (longest - len(row))] for row in part], device=device)
        positions = torch.arange(longest, device=device).expand(len(part), -1)
        x = decoder.layers_between(decoder.embed(ids), positions, Causal(), 0, first).half().cpu()
        out += [x[i, : len(row)].clone() for i, row in enumerate(part)]
    return out


@torch.inference_mode()
def _finals(pairs: Sequence[Pair], texts: Texts, composition: Composition, first: int) -> list[Tensor]:
    lm: Any = composition.lm
    device = next(lm.parameters()).device
    rows = [texts.deep[p] for p in pairs]
    out: list[Tensor] = []
    for start in range(0, len(rows), _CHUNK):
        part = rows[start : start + _CHUNK]
        x = torch.nn.utils.rnn.pad_sequence([r.float() for r in part], batch_first=True).to(device)
        positions = torch.arange(x.shape[1], device=device).expand(len(x), -1)
        top = lm.model.norm(lm.layers_between(x, positions, Causal(), first, lm.layers)).half().cpu()
        for i, pair in enumerate(pairs[start : start + _CHUNK]):
            length = len(part[i])
            out.append(top[i, length - len(texts.targets[pair]) : length].clone())
    return out


def _pixels(name: str, root: Path) -> Tensor:
    if name.startswith(BLANK):
        level = round(255 * float(name.removeprefix(BLANK)))
        return efficientnet.square(np.full((288, 288), level, dtype=np.uint8))
    return efficientnet.square(render(read(base.image_path(root, name)).image))


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
