"""What frozen parts make of images and texts, computed once and kept: training then costs what moves, no more.

In: images of a data root, (question, answer) texts. Out: features of the tower's frozen lower blocks, and states of the language model's frozen
lower layers. Files in the cache are keyed by their content: another image, text or weight is another file. Interrupted work goes on where it was.
"""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from vesalius.data import base
from vesalius.formats import read
from vesalius.formats.pixels import render
from vesalius.models import efficientnet
from vesalius.models.composition import Composition, Prompt
from vesalius.models.decoder import Causal
from vesalius.provenance import sha256_file
from vesalius.train.examples import BLANK

_CHUNK = 64
T = TypeVar("T")
Tell = Callable[[str], None]


@dataclasses.dataclass(frozen=True, eq=False)
class Texts:
    """States of (question, answer) pairs below the first adapter.

    Args:
        deep: pair to [T, width] half precision, T = prompt + answer tokens - 1.
        targets: pair to the answer's token ids with the stop token; they stand at the last positions of `deep`.
    """

    deep: Mapping[tuple[str, str], Tensor]
    targets: Mapping[tuple[str, str], tuple[int, ...]]


def image_features(images: Sequence[str], root: Path, tower: efficientnet.EfficientNetLite0, cache: Path, tell: Tell) -> dict[str, Tensor]:
    """Image to [112, S/16, S/16] half precision: what the tower's frozen lower blocks see.

    Args:
        images: paths relative to `root`, or blanks ("blank:0.5").
    """
    weights = _weights_key(tower)
    found: dict[str, Tensor] = {}
    chunks = list(_chunks(sorted(images), _CHUNK))
    for number, chunk in enumerate(chunks):
        key = hashlib.sha256("\n".join([weights, *(f"{name} {_content(name, root)}" for name in chunk)]).encode()).hexdigest()[:24]
        path = cache / f"images-{key}.safetensors"
        if not path.exists():
            tell(f"image features {number + 1} of {len(chunks)}")
            with torch.inference_mode():
                pixels = torch.stack([_pixels(name, root) for name in chunk])
                lower = torch.cat([tower.lower(part) for part in torch.split(pixels, 8)])
            _save({name: f.half().contiguous() for name, f in zip(chunk, lower, strict=True)}, path)
        found.update(load_file(path))
    return found


def text_features(pairs: Sequence[tuple[str, str]], composition: Composition, prompt: Prompt, first: int, weights: str, cache: Path, tell: Tell) -> Texts:
    """States at layer `first` of the prompt, question and answer of each pair.

    Args:
        weights: names the language model's content in the cache's keys.
    """
    head = (*prompt.before, *prompt.between)
    targets = {(q, a): (*prompt.answer(a), prompt.stop[0]) for q, a in pairs}
    ids = {(q, a): (*head, *prompt.question(q), *targets[q, a][:-1]) for q, a in targets}
    ordered = sorted(ids, key=lambda pair: (len(ids[pair]), pair))
    deep: dict[tuple[str, str], Tensor] = {}
    chunks = list(_chunks(ordered, _CHUNK))
    for number, chunk in enumerate(chunks):
        key = hashlib.sha256(repr((weights, first, [ids[pair] for pair in chunk])).encode()).hexdigest()[:24]
        path = cache / f"texts-{key}.safetensors"
        if not path.exists():
            tell(f"text states {number + 1} of {len(chunks)}")
            _save(_states([ids[pair] for pair in chunk], composition, first), path)
        stored = load_file(path)
        deep.update({pair: stored[str(i)] for i, pair in enumerate(chunk)})
    return Texts(deep, targets)


def _states(rows: Sequence[tuple[int, ...]], composition: Composition, first: int) -> dict[str, Tensor]:
    decoder = composition.lm
    out: dict[str, Tensor] = {}
    for start in range(0, len(rows), 16):
        part = rows[start : start + 16]
        longest = max(map(len, part))
        ids = torch.tensor([[*row, *[0] * (longest - len(row))] for row in part])
        positions = torch.arange(longest).expand(len(part), -1)
        with torch.inference_mode():
            x = decoder.layers_between(decoder.embed(ids), positions, Causal(), 0, first)  # type: ignore[operator]
        out.update({str(start + i): x[i, : len(row)].half().clone() for i, row in enumerate(part)})
    return out


def _pixels(name: str, root: Path) -> Tensor:
    if name.startswith(BLANK):
        level = round(255 * float(name.removeprefix(BLANK)))
        return efficientnet.prepare(np.full((288, 288), level, dtype=np.uint8))
    return efficientnet.prepare(render(read(base.image_path(root, name)).image))


def _content(name: str, root: Path) -> str:
    return name if name.startswith(BLANK) else sha256_file(base.image_path(root, name))


def _weights_key(tower: efficientnet.EfficientNetLite0) -> str:
    digest = hashlib.sha256(repr(efficientnet.Preparation()).encode())
    for name, tensor in tower.state_dict().items():
        if not any(name.startswith(f"_blocks.{i}.") for i in range(efficientnet.LAST_BLOCKS, 16)):
            digest.update(tensor.detach().cpu().numpy().tobytes())
    return digest.hexdigest()


def _chunks(items: Sequence[T], size: int) -> Iterator[Sequence[T]]:
    for start in range(0, len(items), size):
        yield items[start : start + size]


def _save(tensors: dict[str, Tensor], path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_suffix(".part")
    save_file(tensors, temporary)
    temporary.replace(path)


def final_states(texts: Texts, composition: Composition, first: int, weights: str, cache: Path, tell: Tell) -> dict[tuple[str, str], Tensor]:
    """Final-normed states at the positions that predict the answer, [answer tokens, width] half precision, with the adapters as they are now."""
    adapters = hashlib.sha256(weights.encode())
    for name, tensor in composition.lm.state_dict().items():
        if ".lora_" in name:
            adapters.update(tensor.detach().cpu().numpy().tobytes())
    ordered = sorted(texts.deep, key=lambda pair: (len(texts.deep[pair]), pair))
    found: dict[tuple[str, str], Tensor] = {}
    chunks = list(_chunks(ordered, _CHUNK))
    for number, chunk in enumerate(chunks):
        key = hashlib.sha256(repr((adapters.hexdigest(), first, [(p, texts.targets[p]) for p in chunk])).encode()).hexdigest()[:24]
        path = cache / f"finals-{key}.safetensors"
        if not path.exists():
            tell(f"final states {number + 1} of {len(chunks)}")
            _save({str(i): t for i, t in enumerate(_finals(chunk, texts, composition, first))}, path)
        stored = load_file(path)
        found.update({pair: stored[str(i)] for i, pair in enumerate(chunk)})
    return found


def _finals(pairs: Sequence[tuple[str, str]], texts: Texts, composition: Composition, first: int) -> list[Tensor]:
    lm = composition.lm
    rows = [texts.deep[p] for p in pairs]
    out: list[Tensor] = []
    for start in range(0, len(rows), 32):
        part = rows[start : start + 32]
        x = torch.nn.utils.rnn.pad_sequence([r.float() for r in part], batch_first=True)
        positions = torch.arange(x.shape[1]).expand(len(x), -1)
        with torch.inference_mode():
            top = lm.model.norm(lm.layers_between(x, positions, Causal(), first, lm.layers))  # type: ignore[operator]
        for i, pair in enumerate(pairs[start : start + 32]):
            length = len(part[i])
            out.append(top[i, length - len(texts.targets[pair]) : length].half().clone())
    return out
