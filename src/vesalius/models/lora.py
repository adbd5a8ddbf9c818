"""LoRA adapters (Hu et al. 2021, arXiv 2106.09685) in PEFT's layout, merged into a language model.

In: a folder with `adapter_config.json` and its tensors, a module. Out: the module, its matrices moved. Nothing of the adapter is left to run.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from vesalius.errors import WeightsError
from vesalius.models import checkpoint


def read_adapter(folder: Path) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """Configuration and tensors of a LoRA adapter in PEFT's layout.

    Raises:
        WeightsError: a file is absent, or the adapter is of a kind that cannot be merged.
    """
    remedy = f"put adapter_config.json and adapter_model.safetensors (or .bin) into {folder}"
    try:
        config: dict[str, Any] = json.loads((folder / "adapter_config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise WeightsError(f"{folder}: adapter_config.json cannot be read", remedy=remedy) from error
    path = next((folder / n for n in ("adapter_model.safetensors", "adapter_model.bin") if (folder / n).exists()), None)
    if path is None:
        raise WeightsError(f"{folder}: holds no weights of an adapter", remedy=remedy)
    strange = [key for key in ("rank_pattern", "alpha_pattern", "modules_to_save", "fan_in_fan_out", "use_dora") if config.get(key)]
    if config.get("peft_type") != "LORA" or config.get("bias", "none") != "none" or strange:
        what = strange[0] if strange else f"{config.get('peft_type')!r} with bias {config.get('bias')!r}"
        raise WeightsError(f"{folder}: is not a plain LoRA adapter ({what})", remedy="give an adapter as the published training script writes it")
    return config, checkpoint.read_file(path)


def merge(lm: nn.Module, config: Mapping[str, Any], tensors: Mapping[str, Tensor], *, where: str) -> int:
    """Add an adapter to a language model: W + alpha / r * B A (with `use_rslora` alpha over the root of r). Every tensor must find its place.

    Returns:
        How many matrices were moved.

    Raises:
        WeightsError: no tensors (the published script of its time could save an empty file), one without its other half, of another shape, or of another model.
    """
    rank, alpha, targets = int(config["r"]), float(config["lora_alpha"]), config.get("target_modules") or ()
    factor = alpha / math.sqrt(rank) if config.get("use_rslora") else alpha / rank
    modules = dict(lm.named_modules())
    halves: dict[str, dict[str, Tensor]] = {}
    for name, tensor in tensors.items():
        place, mark, kind = name.removeprefix("base_model.model.").partition(".lora_")
        half = kind.replace(".default", "").removesuffix(".weight")
        if not mark or half not in ("A", "B") or place not in modules or (not isinstance(targets, str) and place.rpartition(".")[2] not in targets):
            raise WeightsError(f"{where}: {name!r} belongs to no matrix that the adapter's configuration names", remedy="give the adapter of this model")
        halves.setdefault(place, {})[half] = tensor.float()
    if not halves:
        raise WeightsError(f"{where}: the adapter is empty", remedy="save it again: early versions of the training script wrote empty files")
    for place, pair in halves.items():
        target = modules[place]
        shapes = {"A": (rank, target.weight.shape[1]), "B": (target.weight.shape[0], rank)}
        if set(pair) != {"A", "B"} or any(tuple(pair[half].shape) != shape for half, shape in shapes.items()):
            raise WeightsError(f"{where}: the halves for {place!r} are not {shapes['A']} and {shapes['B']}", remedy="give the adapter of this model")
        with torch.no_grad():
            moved = target.weight.float() + factor * (pair["B"] @ pair["A"])
            target.weight = nn.Parameter(moved.to(target.weight.dtype), requires_grad=False)
    return len(halves)
