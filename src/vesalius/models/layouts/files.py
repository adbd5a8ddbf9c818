"""What every conversion writes: shards with their index, and the official files beside the weights, kept so that the way back can restore them.

In: tensors by name, a source folder. Out: files in a folder that is being made. One shard is held in memory at a time.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from torch import Tensor

from vesalius.errors import WeightsError
from vesalius.models import checkpoint

SHARD = 4_000_000_000  # bytes, at most
KEPT = "official"  # folder of a converted checkpoint with what the official one has beside its weights
_NOTE = "layout.json"
_SUFFIXES = (".json", ".jinja", ".model", ".txt")
_TENSORS = (".index.json",)
_TOKENIZER = ("tokenizer.json", "tokenizer.model", "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json", "generation_config.json")


def write(folder: Path, tensors: Mapping[str, Tensor], *, size: int = SHARD) -> None:
    """Tensors as shards of at most `size` bytes each, with their index."""
    from safetensors.torch import save_file

    folder.mkdir(parents=True, exist_ok=True)
    shards: list[list[str]] = [[]]
    filled = 0
    for name in sorted(tensors):
        if shards[-1] and filled + _bytes(tensors[name]) > size:
            shards.append([])
            filled = 0
        shards[-1].append(name)
        filled += _bytes(tensors[name])
    weight_map: dict[str, str] = {}
    for number, names in enumerate(shards, 1):
        file = f"model-{number:05d}-of-{len(shards):05d}.safetensors"
        save_file({n: tensors[n].contiguous() for n in names}, folder / file, metadata={"format": "pt"})
        weight_map |= dict.fromkeys(names, file)
    index = {"metadata": {"total_size": sum(map(_bytes, tensors.values()))}, "weight_map": weight_map}
    write_json(folder / "model.safetensors.index.json", index)


def write_one(path: Path, tensors: Mapping[str, Tensor]) -> None:
    """Tensors in one file."""
    from safetensors.torch import save_file

    path.parent.mkdir(parents=True, exist_ok=True)
    save_file({n: t.contiguous() for n, t in tensors.items()}, path, metadata={"format": "pt"})


def write_json(path: Path, held: Mapping[str, Any]) -> None:
    """A table as JSON."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(held, indent=2) + "\n", encoding="utf-8")


def _bytes(tensor: Tensor) -> int:
    return tensor.numel() * tensor.element_size()


def keep(source: Path, work: Path, *more: str, note: Mapping[str, Any] | None = None) -> None:
    """Copy what an official checkpoint has beside its weights into the folder `official` of a converted one.

    Args:
        more: paths of files deeper inside; those that are not there are left out. note: what else the way back must know.
    """
    (work / KEPT).mkdir(parents=True)
    names = [p.name for p in source.iterdir() if p.is_file() and p.suffix in _SUFFIXES and not p.name.endswith(_TENSORS) and p.name != "vesalius.json"]
    for name in (*sorted(names), *more):
        if (source / name).is_file():
            (work / KEPT / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(source / name, work / KEPT / name)
    write_json(work / KEPT / _NOTE, note or {})


def keep_on(source: Path, work: Path) -> None:
    """Copy what an earlier conversion kept, if any."""
    if (source / KEPT).is_dir():
        shutil.copytree(source / KEPT, work / KEPT)


def restore(source: Path, work: Path) -> dict[str, Any] | None:
    """Copy back what `keep` kept; returns the note, None when nothing was kept."""
    if not (source / KEPT).is_dir():
        return None
    shutil.copytree(source / KEPT, work, dirs_exist_ok=True, ignore=shutil.ignore_patterns(_NOTE))
    return checkpoint.read_json(source / KEPT / _NOTE)


def restored(source: Path, work: Path) -> dict[str, Any]:
    """As `restore`, where the way back is impossible without it.

    Raises:
        WeightsError: nothing was kept.
    """
    note = restore(source, work)
    if note is None:
        raise WeightsError(f"{source}: lacks the folder {KEPT!r} with the official configuration", remedy="give a folder that this command wrote")
    return note


def copy_tokenizer(source: Path, work: Path) -> None:
    """The tokenizer's files, where both layouts have them."""
    for name in _TOKENIZER:
        if (source / name).exists():
            shutil.copy(source / name, work / name)


def read_one(path: Path) -> dict[str, Tensor]:
    """Tensors of a file that may be absent."""
    return checkpoint.read_file(path) if path.exists() else {}


def inside(name: str) -> bool:
    """Whether a path that a configuration names stays inside its folder."""
    return bool(name) and not Path(name).is_absolute() and ".." not in Path(name).parts


def take(tensors: Mapping[str, Tensor], beginning: str, end: str = "") -> dict[str, Tensor]:
    """Tensors whose names begin so, with another beginning."""
    return {end + n.removeprefix(beginning): t for n, t in tensors.items() if n.startswith(beginning)}


def only(found: Sequence[Path], what: str, folder: Path) -> Path:
    """The first path that exists.

    Raises:
        WeightsError: none does.
    """
    there = next((path for path in found if path.exists()), None)
    if there is None:
        raise WeightsError(f"{folder}: holds no {what}", remedy="give the folder of a checkpoint in one of its published layouts")
    return there
