"""From one published layout of a checkpoint to another, tensor by tensor, losslessly: `vesalius models convert`.

In: a folder as published. Out: a new folder in the other layout, shards and index, with what else the folder held. Nothing is rounded, nothing is drawn.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

from torch import Tensor

from vesalius.errors import ConfigError, WeightsError, nearest
from vesalius.models import checkpoint, llava, llava_med
from vesalius.models.checkpoint import KeyMap
from vesalius.models.vit import VisionShape

LAYOUTS: Mapping[str, KeyMap] = MappingProxyType({"official": llava.OFFICIAL, "transformers": llava.CONVERTED})
SHARD = 4_000_000_000  # bytes, at most
_TOKENIZER = ("tokenizer.json", "tokenizer.model", "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json", "generation_config.json")


def convert(source: Path, target: Path, layout: str) -> Path:
    """Write a LLaVA-Med 1.5 checkpoint in another layout.

    The transformers layout gets a row for `<image>` behind the vocabulary, a copy of the last row, which is never scored; it is dropped on the way back.

    Args:
        source: a folder in any of the published layouts. target: a folder that does not exist. layout: a key of `LAYOUTS`.

    Raises:
        ConfigError: no such layout, or the target exists. WeightsError: the source is not such a checkpoint, or the target cannot be written.
    """
    if layout not in LAYOUTS:
        guess = nearest(layout, LAYOUTS)
        raise ConfigError(f"no layout is called {layout!r}", remedy=f"did you mean {guess!r}?" if guess else f"use {' or '.join(LAYOUTS)}")
    if target.exists():
        raise ConfigError(f"{target}: exists already", remedy="name a folder that does not exist")
    vision, language, layer, image_row = llava_med.read_config(source)
    tensors = checkpoint.read(source)
    found = llava.layout(list(tensors))
    if found is None:
        raise WeightsError(f"{source}: is of no published LLaVA layout", remedy="give the folder of an official or a converted checkpoint")
    ours = found.there_to_here(tensors)
    rows = language.vocabulary if image_row is None else image_row
    ours |= {n: _rows(ours[n], rows + (layout == "transformers")) for n in ("lm.model.embed_tokens.weight", "lm.lm_head.weight")}
    config = _transformers(source, vision, rows, layer) if layout == "transformers" else _official(source, rows, layer)
    work = target.with_name(f".{target.name}.part")
    shutil.rmtree(work, ignore_errors=True)
    try:
        work.mkdir(parents=True)
        write(work, LAYOUTS[layout].here_to_there(ours))
        (work / "config.json").write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")
        for name in _TOKENIZER:
            if (source / name).exists():
                shutil.copy(source / name, work / name)
        if layout == "official":
            _tower(work, vision)
        work.rename(target)
    except OSError as error:
        shutil.rmtree(work, ignore_errors=True)
        raise WeightsError(f"{target}: cannot be written ({error.strerror})", remedy="free space or name another folder") from error
    return target


def write(folder: Path, tensors: Mapping[str, Tensor], *, size: int = SHARD) -> None:
    """Tensors as shards of at most `size` bytes each, with their index."""
    from safetensors.torch import save_file

    shards: list[dict[str, Tensor]] = [{}]
    filled = 0
    for name in sorted(tensors):
        bytes_of = tensors[name].numel() * tensors[name].element_size()
        if shards[-1] and filled + bytes_of > size:
            shards.append({})
            filled = 0
        shards[-1][name] = tensors[name].contiguous()
        filled += bytes_of
    weight_map: dict[str, str] = {}
    for number, part in enumerate(shards, 1):
        file = f"model-{number:05d}-of-{len(shards):05d}.safetensors"
        save_file(part, folder / file, metadata={"format": "pt"})
        weight_map |= dict.fromkeys(part, file)
    total = sum(t.numel() * t.element_size() for t in tensors.values())
    index = {"metadata": {"total_size": total}, "weight_map": weight_map}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index, indent=2) + "\n", encoding="utf-8")


def _rows(matrix: Tensor, count: int) -> Tensor:
    """The first rows, or one more that repeats the last."""
    return matrix[:count] if count <= len(matrix) else matrix[[*range(len(matrix)), *[-1] * (count - len(matrix))]]


def _text(source: Path) -> dict[str, object]:
    config: dict[str, object] = json.loads((source / "config.json").read_text(encoding="utf-8"))
    text = config.get("text_config", config)
    return {k: v for k, v in dict(text).items() if not k.startswith(("mm_", "image_aspect")) and k not in ("architectures", "model_type")}  # type: ignore[call-overload]


def _transformers(source: Path, vision: VisionShape, rows: int, layer: int) -> dict[str, object]:
    return {
        "architectures": ["LlavaForConditionalGeneration"],
        "model_type": "llava",
        "image_token_index": rows,
        "projector_hidden_act": "gelu",
        "vision_feature_layer": layer,
        "vision_feature_select_strategy": "default",
        "vision_config": _clip(vision),
        "text_config": {"model_type": "mistral", **_text(source), "vocab_size": rows + 1},
    }


def _official(source: Path, rows: int, layer: int) -> dict[str, object]:
    vision = llava_med.read_config(source)[0]
    named = next((name for name, shape in llava_med.TOWERS.items() if shape == vision), "tower")
    return {
        **_text(source),
        "architectures": ["LlavaMistralForCausalLM"],
        "model_type": "llava_mistral",
        "vocab_size": rows,
        "mm_vision_tower": named,
        "mm_hidden_size": vision.width,
        "mm_projector_type": "mlp2x_gelu",
        "mm_vision_select_layer": layer,
        "mm_vision_select_feature": "patch",
        "mm_use_im_start_end": False,
        "mm_use_im_patch_token": False,
        "image_aspect_ratio": "pad",
    }


def _clip(vision: VisionShape) -> dict[str, object]:
    return {
        "model_type": "clip_vision_model",
        "image_size": vision.image,
        "patch_size": vision.patch,
        "hidden_size": vision.width,
        "intermediate_size": vision.inner,
        "num_hidden_layers": vision.layers,
        "num_attention_heads": vision.heads,
        "hidden_act": vision.activation,
        "layer_norm_eps": vision.eps,
    }


def _tower(folder: Path, vision: VisionShape) -> None:
    """The configuration of a tower that has no published name, where the loader looks for it."""
    if vision not in llava_med.TOWERS.values():
        (folder / "tower").mkdir()
        (folder / "tower" / "config.json").write_text(json.dumps(_clip(vision), indent=2) + "\n", encoding="utf-8")
