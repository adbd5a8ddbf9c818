"""LLaVA's two layouts: the official one of LLaVA-Med 1.0, 1.5 and the 13-billion variant, and `LlavaForConditionalGeneration` of transformers.

In: a checkpoint. Out: the same tensors by the other names. The transformers layout gets a row for `<image>` behind the vocabulary, a copy of the last row,
which is never scored; it is dropped on the way back. Version 1.0 has a row for its image token and no second projector layer: there it is an identity.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import torch
from torch import Tensor

from vesalius.errors import WeightsError
from vesalius.models import checkpoint, llama, llava, llava_med, llava_med_v1, llava_vicuna
from vesalius.models.checkpoint import KeyMap
from vesalius.models.layouts import files
from vesalius.models.vit import VisionShape, clip_shape

Read = Callable[[Path], tuple[VisionShape, llama.Shape, int, int | None]]
_CLIP = KeyMap("clip", (("vision_model.", "tower.vision."),))
_FIRST, _SECOND = "projector.linear_1.", "projector.linear_2."


@dataclasses.dataclass(frozen=True)
class Kind:
    """What tells one family from another.

    Args:
        read: its loader's reader of configurations. text, official, architecture: names of language model, official model type and class.
        towers: image towers that are known by name.
    """

    read: Read
    text: str
    official: str
    architecture: str
    towers: Mapping[str, VisionShape]


KINDS: Mapping[str, Kind] = MappingProxyType(
    {
        llava_med.NAME: Kind(llava_med.read_config, "mistral", "llava_mistral", "LlavaMistralForCausalLM", llava_med.TOWERS),
        llava_vicuna.NAME: Kind(llava_vicuna.read_config, "llama", "llava_llama", "LlavaLlamaForCausalLM", llava_med.TOWERS),
    }
)


def convert(name: str, source: Path, work: Path, layout: str) -> None:
    """Write a checkpoint of LLaVA-Med 1.5 or the 13-billion variant to the folder `work`.

    Raises:
        WeightsError: the source is not such a checkpoint, or stores no tower and has none beside it.
    """
    kind = KINDS[name]
    vision, language, layer, image_row = kind.read(source)
    config = checkpoint.read_json(source / "config.json")
    if image_row is None and layout == "official":
        raise WeightsError(f"{source}: is in the layout 'official' already", remedy="name the other one: --layout transformers")
    ours, apart = _with_tower(source, str(config.get("mm_vision_tower", "")), _ours(source))
    checkpoint.fill(_meta(lambda: llava.build(vision, language, layer=layer)), ours, where=str(source))
    rows = language.vocabulary if image_row is None else image_row
    ours |= {n: _rows(ours[n], rows + (layout == "transformers")) for n in ("lm.model.embed_tokens.weight", "lm.lm_head.weight")}
    files.copy_tokenizer(source, work)
    if layout == "transformers":
        files.write(work, llava.CONVERTED.here_to_there(ours))
        files.write_json(work / "config.json", _config(kind.text, _text(config), vision, layer, rows, rows + 1))
        if image_row is None:
            tower = str(config.get("mm_vision_tower"))
            files.keep(source, work, *_config_of(tower), note={"apart": apart})
        else:
            files.keep_on(source, work)
        return
    note = files.restore(source, work) or {}
    if not (work / "config.json").exists():
        files.write_json(work / "config.json", _official(config, kind, vision, rows, layer))
    tower = _named_tower(work, vision, kind.towers)
    if note.get("apart"):
        _write_tower(work / tower, ours, vision)
        ours = {n: t for n, t in ours.items() if not n.startswith("tower.")}
    files.write(work, llava.OFFICIAL.here_to_there(ours))


def convert_v1(source: Path, work: Path, layout: str) -> None:
    """Write a checkpoint of LLaVA-Med 1.0 to the folder `work`.

    Raises:
        WeightsError: the source is not such a checkpoint, has no tower beside it, or its second projector layer is no identity.
    """
    config = checkpoint.read_json(source / "config.json")
    if "vision_config" in config:
        _v1_back(source, work, config, layout)
        return
    own = llava_med_v1.read_config(source)
    if layout == "official":
        raise WeightsError(f"{source}: is in the layout 'official' already", remedy="name the other one: --layout transformers")
    vision = _tower_beside(source, own)
    ours = llava_med_v1.OFFICIAL.there_to_here(checkpoint.read(source)) | llava.clip_tensors(source / own.tower)
    checkpoint.fill(_meta(lambda: llava_med_v1.build(vision, own.language, layer=own.layer)), ours, where=str(source))
    like = ours["projector.weight"]
    ours |= {f"{_FIRST}{k}": ours.pop(f"projector.{k}") for k in ("weight", "bias")}
    ours |= {f"{_SECOND}weight": torch.eye(len(like), dtype=like.dtype), f"{_SECOND}bias": torch.zeros(len(like), dtype=like.dtype)}
    files.write(work, llava.CONVERTED.here_to_there(ours))
    patch = int(llava_med_v1.read_tokenizer(source).token_to_id(llava_med_v1.PATCH))
    rows = own.language.vocabulary
    if patch >= rows:
        raise WeightsError(f"{source}: has no row for {llava_med_v1.PATCH}", remedy="add the differences to LLaMA-7B first")
    made = _config("llama", _text(config), vision, own.layer, patch, rows)
    files.write_json(work / "config.json", {**made, "projector_hidden_act": "linear"})
    files.copy_tokenizer(source, work)
    files.keep(source, work, *_config_of(own.tower))


def _tower_beside(source: Path, own: llava_med_v1.Config) -> VisionShape:
    """The numbers of the tower that stands beside a checkpoint of version 1.0."""
    if getattr(own, "biomedical", False):
        what = f"sees through {own.tower}, a state of which is chosen as no class of transformers does it"
        raise WeightsError(f"{source}: {what}", remedy="convert the version with OpenAI's CLIP")
    if not files.inside(own.tower) or not (source / own.tower).is_dir():
        raise WeightsError(f"{source}: stores no image tower", remedy=f"put CLIP's weights into the folder {own.tower!r} inside")
    if own.tower in llava_med_v1.TOWERS and not (source / own.tower / "config.json").exists():
        return llava_med_v1.TOWERS[own.tower]
    config = checkpoint.read_json(source / own.tower / "config.json")
    return clip_shape(config.get("vision_config", config))


def _v1_back(source: Path, work: Path, config: Mapping[str, Any], layout: str) -> None:
    if layout == "transformers":
        raise WeightsError(f"{source}: is in the layout 'transformers' already", remedy="name the other one: --layout official")
    ours = _ours(source)
    second = ours.pop(f"{_SECOND}weight", None), ours.pop(f"{_SECOND}bias", None)
    linear = config.get("projector_hidden_act") == "linear"
    if not linear or second[0] is None or second[1] is None or not _identity(second[0], second[1]):
        what = "its projector has a second layer that is no identity, for which the official layout of LLaVA-Med 1.0 has no place"
        raise WeightsError(f"{source}: {what}", remedy="name the model that the checkpoint is of: --model llava-med-13b")
    absent = [n for n in (f"{_FIRST}weight", f"{_FIRST}bias") if n not in ours]
    if absent:
        raise WeightsError(f"{source}: lacks the projector's {absent[0]!r}", remedy="give a whole checkpoint")
    ours |= {f"projector.{k}": ours.pop(f"{_FIRST}{k}") for k in ("weight", "bias")}
    files.restored(source, work)
    own, vision = llava_med_v1.read_config(work), clip_shape(config["vision_config"])
    checkpoint.fill(_meta(lambda: llava_med_v1.build(vision, own.language, layer=own.layer)), ours, where=str(source))
    _write_tower(work / _named_tower(work, vision, llava_med_v1.TOWERS), ours, vision)
    files.write(work, llava_med_v1.OFFICIAL.here_to_there({n: t for n, t in ours.items() if not n.startswith("tower.")}))


def _ours(source: Path) -> dict[str, Tensor]:
    tensors = checkpoint.read(source)
    found = llava.layout(list(tensors))
    if found is None:
        raise WeightsError(f"{source}: is of no published LLaVA layout", remedy="give the folder of an official or a converted checkpoint")
    return found.there_to_here(tensors)


def _meta(build: Callable[[], torch.nn.Module]) -> torch.nn.Module:
    with torch.device("meta"):
        return build()


def _with_tower(source: Path, tower: str, ours: dict[str, Tensor]) -> tuple[dict[str, Tensor], bool]:
    """The tensors with those of a tower, and whether it stood apart, in the folder that the checkpoint names."""
    if any(n.startswith("tower.") for n in ours):
        return ours, False
    if not files.inside(tower) or not (source / tower).is_dir():
        raise WeightsError(f"{source}: stores no image tower", remedy=f"put CLIP's weights, of {tower}, into the folder {tower!r} inside")
    return ours | llava.clip_tensors(source / tower), True


def _identity(weight: Tensor, bias: Tensor) -> bool:
    square = weight.ndim == 2 and weight.shape[0] == weight.shape[1]
    return square and torch.equal(weight, torch.eye(len(weight), dtype=weight.dtype)) and not bias.any()


def _rows(matrix: Tensor, count: int) -> Tensor:
    """The first rows, or one more that repeats the last."""
    return matrix[:count] if count <= len(matrix) else torch.cat((matrix, matrix[-1:].expand(count - len(matrix), -1)))


def _text(config: Mapping[str, Any]) -> dict[str, Any]:
    text = config.get("text_config", config)
    return {k: v for k, v in dict(text).items() if not k.startswith(("mm_", "image_aspect")) and k not in ("architectures", "model_type", "auto_map")}


def _config(kind: str, text: Mapping[str, Any], vision: VisionShape, layer: int, image: int, rows: int) -> dict[str, Any]:
    """Of the transformers layout."""
    return {
        "architectures": ["LlavaForConditionalGeneration"],
        "model_type": "llava",
        "image_token_index": image,
        "projector_hidden_act": "gelu",
        "vision_feature_layer": layer,
        "vision_feature_select_strategy": "default",
        "vision_config": _clip(vision),
        "text_config": {"model_type": kind, **text, "vocab_size": rows},
    }


def _official(config: Mapping[str, Any], kind: Kind, vision: VisionShape, rows: int, layer: int) -> dict[str, Any]:
    """Of the official layout, where none was kept."""
    return {
        **_text(config),
        "architectures": [kind.architecture],
        "model_type": kind.official,
        "vocab_size": rows,
        "mm_vision_tower": next((name for name, shape in kind.towers.items() if shape == vision), "tower"),
        "mm_hidden_size": vision.width,
        "mm_projector_type": "mlp2x_gelu",
        "mm_vision_select_layer": layer,
        "mm_vision_select_feature": "patch",
        "mm_use_im_start_end": False,
        "mm_use_im_patch_token": False,
        "image_aspect_ratio": "pad",
    }


def _clip(vision: VisionShape) -> dict[str, Any]:
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


def _config_of(tower: str) -> tuple[str, ...]:
    return (f"{tower}/config.json",) if files.inside(tower) else ()


def _named_tower(work: Path, vision: VisionShape, towers: Mapping[str, VisionShape]) -> str:
    """The tower's name in an official configuration; one without a published name gets its numbers where the loader looks for them."""
    config = checkpoint.read_json(work / "config.json")
    named = str(config.get("mm_vision_tower") or next(iter(towers)))
    if not files.inside(named):
        named = "tower"
        files.write_json(work / "config.json", {**config, "mm_vision_tower": named})
    if towers.get(named) != vision and not (work / named / "config.json").exists():
        files.write_json(work / named / "config.json", _clip(vision))
    return named


def _write_tower(folder: Path, ours: Mapping[str, Tensor], vision: VisionShape) -> None:
    """The vision half of CLIP, in a folder of its own."""
    files.write_one(folder / "model.safetensors", _CLIP.here_to_there({n: t for n, t in ours.items() if n.startswith("tower.")}))
    if not (folder / "config.json").exists():
        files.write_json(folder / "config.json", _clip(vision))
