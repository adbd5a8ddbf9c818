"""Med-Flamingo's file by the names of the two generations of open_flamingo, "0.0.2" and "2.x".

In: a folder with `model.pt`. Out: one with the other names. What was trained is stored twice by the older code (in the list of gated layers, and inside the
layers of the language model); the newer code filters the list out of what it saves, and stores frozen layers twice when they are saved at all. The image tower
is the whole of CLIP to the older code, and its image half to the newer one.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from vesalius.errors import WeightsError
from vesalius.models import checkpoint, med_flamingo
from vesalius.models.layouts import files

OLDER, NEWER = "0.0.2", "2.x"
TEXT = "text.safetensors"  # the half of CLIP that the newer code has no place for
_FILE = "model.pt"
_LIST, _OLD = "lang_encoder.gated_cross_attn_layers.", "lang_encoder.old_decoder_blocks."
_GATED = re.compile(r"lang_encoder\.model\.layers\.(\d+)\.gated_cross_attn_layer\.(.+)")
_FROZEN = re.compile(r"lang_encoder\.model\.layers\.(\d+)\.decoder_layer\.(?!.*rotary_emb\.)(.+)")
_SEES, _VISUAL = "vision_encoder.", "vision_encoder.visual."


def convert(source: Path, work: Path, layout: str) -> None:
    """Write `model.pt` by the names of a generation; the folders of LLaMA and CLIP are linked, or copied where they cannot be.

    Raises:
        WeightsError: the source is not such a checkpoint, or two copies of a part in it differ.
    """
    path = source / _FILE
    tensors = checkpoint.read_file(path)
    med_flamingo.there_to_here(tensors, where=str(path))  # copies that differ are told
    if not any(_GATED.fullmatch(n) or n.startswith(_LIST) for n in tensors):
        raise WeightsError(f"{path}: holds no gated layers", remedy="give the folder of med-flamingo/med-flamingo")
    whole = _once(tensors) | files.read_one(source / TEXT)
    made, text = _older(whole) if layout == OLDER else _newer(whole)
    torch.save(made, work / _FILE)
    if text:
        files.write_one(work / TEXT, text)
    for part in ("llama", "clip"):
        if (source / part).is_dir():
            shutil.copytree(source / part, work / part, copy_function=_link)


def _once(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Every part once: gated and frozen layers inside the language model's, CLIP as the older code names it."""
    out: dict[str, Tensor] = {}
    older = not any(n.startswith((f"{_SEES}class_embedding", f"{_SEES}conv1.")) for n in tensors)
    for name, tensor in tensors.items():
        if name.startswith(_LIST):
            number, _, rest = name.removeprefix(_LIST).partition(".")
            out[f"lang_encoder.model.layers.{number}.gated_cross_attn_layer.{rest}"] = tensor
        elif name.startswith(_OLD):
            number, _, rest = name.removeprefix(_OLD).partition(".")
            if f"lang_encoder.model.layers.{number}.decoder_layer.{rest}" not in tensors:
                raise WeightsError(f"{name!r} has no copy inside the language model's layers", remedy="give a file as open_flamingo saved it")
        elif name.startswith(_SEES) and not older:
            out[_VISUAL + name.removeprefix(_SEES)] = tensor
        else:
            out[name] = tensor
    return out


def _older(whole: Mapping[str, Tensor]) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Gated layers twice."""
    return {**whole, **_listed(whole)}, {}


def _newer(whole: Mapping[str, Tensor]) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Gated layers once; everything twice when frozen layers are stored too, as the newer code's full state has it."""
    text = {n: t for n, t in whole.items() if n.startswith(_SEES) and not n.startswith(_VISUAL)}
    out = {(_SEES + n.removeprefix(_VISUAL) if n.startswith(_VISUAL) else n): t for n, t in whole.items() if n not in text}
    frozen = {f"{_OLD}{m[1]}.{m[2]}": t for n, t in whole.items() if (m := _FROZEN.fullmatch(n))}
    return ({**out, **frozen, **_listed(whole)} if frozen else out), text


def _listed(whole: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {f"{_LIST}{m[1]}.{m[2]}": t for n, t in whole.items() if (m := _GATED.fullmatch(n))}


def _link(source: str, target: str) -> str:
    with contextlib.suppress(OSError):
        os.link(source, target)
        return target
    return str(shutil.copy2(source, target))
