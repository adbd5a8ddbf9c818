"""Published checkpoints on the disk: shards of tensors, their names turned into ours and back, and a module filled with nothing left over.

In: a folder as it was published. Out: tensors by name; `KeyMap` renames them both ways; `fill` says what is missing and what is unknown.
Safetensors files are mapped, not read; pickled ones are opened with `weights_only`, so that a checkpoint cannot run code.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import pickle
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from vesalius.errors import WeightsError

_INDEXED = ("model.safetensors.index.json", "pytorch_model.bin.index.json")
_SINGLE = ("model.safetensors", "pytorch_model.bin", "model.pt")
_REMEDY = "fetch the checkpoint again: it must be whole and as it was published"


def absent(name: str) -> WeightsError:
    """That no weights of a model are given, and how they are had."""
    return WeightsError(f"the weights of {name} do not come with this package", remedy=f"run: vesalius models fetch {name} FOLDER, then --model {name}:FOLDER")


def read_json(path: Path) -> dict[str, Any]:
    """A table from a checkpoint's JSON file.

    Raises:
        WeightsError: the file cannot be read, or holds something else.
    """
    try:
        held = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise WeightsError(f"{path.parent}: {path.name} cannot be read", remedy="give the folder of a published checkpoint") from error
    if not isinstance(held, dict):
        raise WeightsError(f"{path.parent}: {path.name} is not a table", remedy=_REMEDY)
    return held


def files(folder: Path) -> list[Path]:
    """The files that hold a checkpoint's tensors, in order.

    Raises:
        WeightsError: the folder holds no checkpoint, its index cannot be read, or a shard that the index names is absent.
    """
    for name in _INDEXED:
        if (folder / name).exists():
            return _shards(folder, folder / name)
    for name in _SINGLE:
        if (folder / name).exists():
            return [folder / name]
    raise WeightsError(f"{folder}: holds no weights ({', '.join(_SINGLE)} or an index of shards)", remedy="give the folder of a published checkpoint")


def _shards(folder: Path, index: Path) -> list[Path]:
    try:
        named = sorted(set(json.loads(index.read_text(encoding="utf-8"))["weight_map"].values()))
    except (OSError, ValueError, KeyError, AttributeError, TypeError) as error:
        raise WeightsError(f"{index}: is not an index of shards", remedy=_REMEDY) from error
    unsafe = [n for n in named if Path(n).name != n]
    if unsafe:
        raise WeightsError(f"{index}: names a file outside its folder ({unsafe[0]!r})", remedy=_REMEDY)
    absent = [n for n in named if not (folder / n).exists()]
    if absent:
        raise WeightsError(f"{folder}: {len(absent)} of {len(named)} shards are absent, the first {absent[0]}", remedy=_REMEDY)
    return [folder / n for n in named]


def read(folder: Path) -> dict[str, Tensor]:
    """All tensors of a checkpoint by their published names.

    Raises:
        WeightsError: as `files`, a file that cannot be read, or a tensor that two shards hold.
    """
    found: dict[str, Tensor] = {}
    for path in files(folder):
        part = read_file(path)
        twice = found.keys() & part.keys()
        if twice:
            raise WeightsError(f"{path}: holds {min(twice)!r}, which another shard holds too", remedy=_REMEDY)
        found |= part
    return found


def read_file(path: Path) -> dict[str, Tensor]:
    """The tensors of one file; of a training state (`model_state_dict`) those of the model, without the wrapper's `module.`.

    Raises:
        WeightsError: the file cannot be read or holds something else than tensors.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        held = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
    except (OSError, SafetensorError, RuntimeError, ValueError, EOFError, pickle.UnpicklingError) as error:
        raise WeightsError(f"{path}: cannot be read as weights ({str(error).splitlines()[0][:120]})", remedy=_REMEDY) from error
    held = held.get("model_state_dict", held) if isinstance(held, dict) else held
    if not isinstance(held, dict) or not all(isinstance(t, Tensor) for t in held.values()):
        raise WeightsError(f"{path}: holds something else than tensors by name", remedy=_REMEDY)
    return {str(n).removeprefix("module."): t for n, t in held.items()}


def fingerprint(paths: Sequence[Path]) -> str:
    """A short name for what files of weights hold: SHA-256 over their names, sizes and first megabytes. Hashing them whole takes minutes."""
    digest = hashlib.sha256()
    for path in paths:
        with path.open("rb") as stream:
            digest.update(f"{path.name} {path.stat().st_size} ".encode() + stream.read(1 << 20))
    return digest.hexdigest()[:16]


@dataclasses.dataclass(frozen=True)
class KeyMap:
    """Names of one layout to names of another, by their beginnings; the longest that fits counts.

    Args:
        name: of the layout on the left. pairs: (beginning there, beginning here). dropped: patterns of names that carry nothing (buffers that are computed).
    """

    name: str
    pairs: tuple[tuple[str, str], ...]
    dropped: tuple[str, ...] = ()

    def there_to_here(self, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Rename; a name that no pair knows stays, for `fill` to complain of."""
        return self._rename(tensors, self.pairs)

    def here_to_there(self, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """The inverse."""
        return self._rename(tensors, tuple((here, there) for there, here in self.pairs))

    def _rename(self, tensors: Mapping[str, Tensor], pairs: tuple[tuple[str, str], ...]) -> dict[str, Tensor]:
        ordered = sorted(pairs, key=lambda pair: -len(pair[0]))
        out: dict[str, Tensor] = {}
        for name, tensor in tensors.items():
            if self._dropped(name):
                continue
            old, new = next((pair for pair in ordered if name.startswith(pair[0])), ("", ""))
            out[new + name.removeprefix(old)] = tensor
        return out

    def _dropped(self, name: str) -> bool:
        return any(re.search(pattern, name) for pattern in self.dropped)


def thirds(tensor: Tensor) -> list[Tensor]:
    """Queries, keys and values of a matrix that holds them below one another, each in memory of its own: parts of one storage cannot be saved again."""
    return [part.clone() for part in tensor.chunk(3)]


def fill(module: nn.Module, tensors: Mapping[str, Tensor], *, where: str) -> None:
    """Put tensors into a module, as they are (their dtype stays), with nothing missing and nothing left over.

    Args:
        where: named in the error.

    Raises:
        WeightsError: tensors that are missing, unknown, or of another shape.
    """
    own = module.state_dict()
    missing, unknown = sorted(own.keys() - tensors.keys()), sorted(tensors.keys() - own.keys())
    if missing or unknown:
        told = [f"{len(names)} {kind} (the first {names[0]!r})" for kind, names in (("missing", missing), ("unknown", unknown)) if names]
        raise WeightsError(f"{where}: the tensors do not fit this model: {', '.join(told)}", remedy="name the model that the checkpoint is of")
    wrong = [n for n, t in tensors.items() if t.shape != own[n].shape]
    if wrong:
        shapes = f"{tuple(tensors[wrong[0]].shape)} instead of {tuple(own[wrong[0]].shape)}"
        raise WeightsError(f"{where}: {wrong[0]!r} is {shapes}", remedy="name the model that the checkpoint is of")
    module.load_state_dict(dict(tensors), assign=True)
