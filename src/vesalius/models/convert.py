"""From one published layout of a checkpoint to another and back, losslessly: `vesalius models convert`.

In: a folder as published. Out: a new folder in the other layout, with what else the folder held. Nothing is rounded, nothing is drawn; tensors are mapped, so
that memory holds one shard. The target appears when it is whole, or not at all.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

from vesalius.errors import ConfigError, UserError, WeightsError, nearest
from vesalius.models.cards import MODELS
from vesalius.models.known import CARDS
from vesalius.models.layouts import flamingo, llava, parts
from vesalius.models.layouts.files import KEPT

OFFICIAL, TRANSFORMERS = "official", "transformers"
Write = Callable[[Path, Path, str], None]


def _parted(split: Callable[[Path, Path], None], join: Callable[[Path, Path], None]) -> Write:
    def write(source: Path, work: Path, layout: str) -> None:
        found = TRANSFORMERS if (source / KEPT).is_dir() else OFFICIAL
        if found == layout:
            other = OFFICIAL if found == TRANSFORMERS else TRANSFORMERS
            raise WeightsError(f"{source}: is in the layout {found!r} already", remedy=f"name the other one: --layout {other}")
        (split if layout == TRANSFORMERS else join)(source, work)

    return write


def _llava(name: str) -> Write:
    return lambda source, work, layout: llava.convert(name, source, work, layout)


FAMILIES: Mapping[str, tuple[tuple[str, ...], Write]] = MappingProxyType(
    {
        "llava-med-1.5-7b": ((OFFICIAL, TRANSFORMERS), _llava("llava-med-1.5-7b")),
        "llava-med-1.0-7b": ((OFFICIAL, TRANSFORMERS), llava.convert_v1),
        "llava-med-13b": ((OFFICIAL, TRANSFORMERS), _llava("llava-med-13b")),
        "chexagent-2-3b": ((OFFICIAL, TRANSFORMERS), _parted(parts.split_chexagent, parts.join_chexagent)),
        "biomedclip": ((OFFICIAL, TRANSFORMERS), _parted(parts.split_biomedclip, parts.join_biomedclip)),
        "med-flamingo-9b": ((flamingo.OLDER, flamingo.NEWER), flamingo.convert),
    }
)
_ONE = "is published in the layout of transformers itself"
SAME: Mapping[str, str] = MappingProxyType(
    {
        "medgemma-4b": _ONE,
        "lingshu-7b": _ONE,
        "medsiglip": _ONE,
        "visual-med-alpaca-7b": "is LLaMA-7B in the layout of transformers and an adapter in that of PEFT as they stand",
    }
)
_CLASSES: Mapping[str, str] = MappingProxyType(
    {
        "Gemma3ForConditionalGeneration": "medgemma-4b",
        "Qwen2_5_VLForConditionalGeneration": "lingshu-7b",
        "SiglipModel": "medsiglip",
        "CheXagentForCausalLM": "chexagent-2-3b",
        "LlamaForCausalLM": "visual-med-alpaca-7b",
    }
)


def convert(source: Path, target: Path, layout: str, model: str | None = None) -> Path:
    """Write a checkpoint in another layout.

    Args:
        source: a folder in a published layout, or one that was converted. target: a folder that does not exist. layout: "official" or "transformers"; of
            Med-Flamingo "0.0.2" or "2.x". model: its name; None guesses it from the folder.

    Raises:
        ConfigError: no such layout, or the target exists. UnknownName: no such model. UserError: the model has one layout.
        WeightsError: the source is not such a checkpoint, cannot be converted losslessly, or the target cannot be written.
    """
    if target.exists():
        raise ConfigError(f"{target}: exists already", remedy="name a folder that does not exist")
    name = model or guess(source)
    MODELS.target(name)
    if name in SAME:
        raise UserError(f"{name} {SAME[name]}: there is nothing to convert", remedy="use the folder as it is")
    if name not in FAMILIES:
        weights = f" (its weights: {CARDS[name].weights})" if name in CARDS else ""
        raise UserError(f"no second layout of {name} is known{weights}", remedy=f"those of {', '.join(FAMILIES)} are")
    layouts, write = FAMILIES[name]
    if layout not in layouts:
        meant = nearest(layout, layouts)
        raise ConfigError(f"no layout of {name} is called {layout!r}", remedy=f"did you mean {meant!r}?" if meant else f"use {' or '.join(layouts)}")
    work = target.with_name(f".{target.name}.part")
    shutil.rmtree(work, ignore_errors=True)
    try:
        work.mkdir(parents=True)
        write(source, work, layout)
        work.rename(target)
    except OSError as error:
        raise WeightsError(f"{target}: cannot be written ({error.strerror})", remedy="free space or name another folder") from error
    finally:
        shutil.rmtree(work, ignore_errors=True)
    return target


def guess(source: Path) -> str:
    """The model that a folder holds, by its files and its configuration.

    Raises:
        WeightsError: it does not show.
    """
    if (source / "model.pt").exists():
        return "med-flamingo-9b"
    if (source / "open_clip_config.json").exists() or (source / parts.HEADS).exists():
        return "biomedclip"
    if (source / parts.PROJECTOR).exists():
        return "chexagent-2-3b"
    try:
        config = json.loads((source / "config.json").read_text(encoding="utf-8"))
        found = _by_config(config)
    except (OSError, ValueError, AttributeError, TypeError) as error:
        raise WeightsError(f"{source}: config.json cannot be read", remedy="give the folder of a published checkpoint") from error
    if found is None:
        what = f"{source}: is a checkpoint of {config.get('model_type')!r}, which could be of no model or of several"
        raise WeightsError(what, remedy="name it: --model NAME")
    return found


def _by_config(config: Mapping[str, Any]) -> str | None:
    kind = config.get("model_type")
    if kind in ("llava", "llava_mistral", "llava_llama"):
        return _by_projector(config, str(kind))
    return next((_CLASSES[name] for name in config.get("architectures") or () if name in _CLASSES), None)


def _by_projector(config: Mapping[str, Any], kind: str) -> str:
    text = config["text_config"].get("model_type") if "vision_config" in config else None
    if "mistral" in (text, kind.removeprefix("llava_")):
        return "llava-med-1.5-7b"
    single = config.get("projector_hidden_act", "gelu") == "linear" if text else config.get("mm_projector_type", "linear") == "linear"
    if "mm_vision_tower_checkpoint" in config:
        return "llava-rad-7b"
    return "llava-med-1.0-7b" if single and kind == "llava" else "llava-med-13b"
