"""CheXagent-2 and BiomedCLIP as folders of stock classes of transformers, one for each encoder, and a file of what no stock class has.

In: a checkpoint. Out: the same tensors by the other names; `rest.safetensors` keeps what nothing reads (computed buffers), so that the way back gives all.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from vesalius.errors import WeightsError
from vesalius.models import bert, biomedclip, checkpoint, chexagent
from vesalius.models.checkpoint import KeyMap
from vesalius.models.layouts import files
from vesalius.models.vit import VisionShape

VISION, LANGUAGE, PROJECTOR = "vision_tower", "language_model", "projector.safetensors"
IMAGES, TEXTS, HEADS = "vision_model", "text_model", "heads.safetensors"
REST = "rest.safetensors"
_BUFFER = re.compile(r"\.position_ids$|rotary_emb\.")
_TOWER, _PROJECTOR = "model.visual.model.", "model.visual."
_TEXT, _TRUNK = "text.transformer.", "visual.trunk."
_HEADS = ("visual.head.", "text.proj.", "logit_scale")
_AROUND = KeyMap(
    "open_clip",
    (
        (f"{_TRUNK}cls_token", "embeddings.cls_token"),
        (f"{_TRUNK}pos_embed", "embeddings.position_embeddings"),
        (f"{_TRUNK}patch_embed.proj.", "embeddings.patch_embeddings.projection."),
        (f"{_TRUNK}norm.", "layernorm."),
    ),
)
_BLOCK = {
    "norm1": "layernorm_before",
    "norm2": "layernorm_after",
    "attn.proj": "attention.output.dense",
    "mlp.fc1": "intermediate.dense",
    "mlp.fc2": "output.dense",
}
_JOINED, _APART = "attn.qkv", tuple(f"attention.attention.{name}" for name in ("query", "key", "value"))


def split_chexagent(source: Path, work: Path) -> None:
    """CheXagent-2 as `SiglipVisionModel`, `PhiForCausalLM` and a projector; the tower's final norm and head, which are not used, stay where they belong.

    Raises:
        WeightsError: the source is not a checkpoint of CheXagent-2 in its official layout.
    """
    vision, _ = chexagent.read_config(source)
    tensors = checkpoint.read(source)
    with torch.device("meta"):
        like = chexagent.build(*chexagent.read_config(source))
    checkpoint.fill(like, chexagent.OFFICIAL.there_to_here(tensors), where=str(source))
    rest = {n: t for n, t in tensors.items() if _BUFFER.search(n)}
    used = {n: t for n, t in tensors.items() if n not in rest}
    tower = files.take(used, _TOWER, "vision_model.")
    projector = {n: t for n, t in files.take(used, _PROJECTOR).items() if not n.startswith("model.")}
    language = {n: t for n, t in used.items() if not n.startswith(_PROJECTOR)}
    files.write(work / VISION, tower)
    files.write_json(work / VISION / "config.json", _siglip(vision, head=any(".head." in n for n in tower)))
    files.write(work / LANGUAGE, language)
    config = {k: v for k, v in checkpoint.read_json(source / "config.json").items() if k not in ("visual", "auto_map", "architectures")}
    files.write_json(work / LANGUAGE / "config.json", {**config, "architectures": ["PhiForCausalLM"], "model_type": "phi"})
    files.write_one(work / PROJECTOR, projector)
    _keep_rest(work, rest)
    named = str(checkpoint.read_json(source / "config.json")["visual"].get("vision_model_name_or_path", ""))
    files.keep(source, work, *([f"{named}/config.json"] if files.inside(named) else []), "merges.txt")


def join_chexagent(source: Path, work: Path) -> None:
    """The way back.

    Raises:
        WeightsError: the source is not what `split_chexagent` writes.
    """
    files.restored(source, work)
    tensors = files.take(checkpoint.read(source / VISION), "vision_model.", _TOWER)
    tensors |= {_PROJECTOR + n: t for n, t in checkpoint.read_file(source / PROJECTOR).items()}
    tensors |= checkpoint.read(source / LANGUAGE)
    with torch.device("meta"):
        like = chexagent.build(*chexagent.read_config(work))
    checkpoint.fill(like, chexagent.OFFICIAL.there_to_here(tensors), where=str(source))
    files.write(work, tensors | files.read_one(source / REST))


def split_biomedclip(source: Path, work: Path) -> None:
    """BiomedCLIP as `ViTModel` and `BertModel`, both without a pooler, and the heads.

    Raises:
        WeightsError: the source is not a checkpoint of BiomedCLIP in open_clip's layout.
    """
    shape = biomedclip.read_config(source)
    tensors = checkpoint.read_file(files.only([source / name for name in biomedclip.FILES], "weights of open_clip", source))
    with torch.device("meta"):
        like = biomedclip.BiomedClipNet(shape)
    checkpoint.fill(like, biomedclip.there_to_here(tensors), where=str(source))
    rest = {n: t for n, t in tensors.items() if _BUFFER.search(n)}
    used = {n: t for n, t in tensors.items() if n not in rest}
    files.write(work / IMAGES, _to_vit({n: t for n, t in used.items() if n.startswith(_TRUNK)}))
    files.write_json(work / IMAGES / "config.json", _vit(shape.vision))
    files.write(work / TEXTS, files.take(used, _TEXT))
    files.write_json(work / TEXTS / "config.json", _bert(shape.text))
    files.write_one(work / HEADS, {n: t for n, t in used.items() if n.startswith(_HEADS)})
    _keep_rest(work, rest)
    named = str(checkpoint.read_json(source / "open_clip_config.json")["model_cfg"]["text_cfg"].get("hf_model_name", ""))
    files.keep(source, work, *([f"{named}/config.json"] if files.inside(named) else []))


def join_biomedclip(source: Path, work: Path) -> None:
    """The way back; the weights are written as safetensors, whichever way they were stored.

    Raises:
        WeightsError: the source is not what `split_biomedclip` writes.
    """
    files.restored(source, work)
    tensors = _from_vit(checkpoint.read(source / IMAGES)) | {_TEXT + n: t for n, t in checkpoint.read(source / TEXTS).items()}
    tensors |= checkpoint.read_file(source / HEADS)
    with torch.device("meta"):
        like = biomedclip.BiomedClipNet(biomedclip.read_config(work))
    checkpoint.fill(like, biomedclip.there_to_here(tensors), where=str(source))
    files.write_one(work / biomedclip.FILES[0], tensors | files.read_one(source / REST))


def _keep_rest(work: Path, rest: Mapping[str, Tensor]) -> None:
    if rest:
        files.write_one(work / REST, rest)


def _to_vit(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Names of timm to those of ViTModel; what timm keeps in one is cut into queries, keys and values."""
    out: dict[str, Tensor] = {}
    around: dict[str, Tensor] = {}
    for name, tensor in tensors.items():
        found = re.fullmatch(rf"{re.escape(_TRUNK)}blocks\.(\d+)\.(.+)\.(weight|bias)", name)
        if found is None:
            around[name] = tensor
            continue
        number, part, kind = found.groups()
        at = f"encoder.layer.{number}."
        if part == _JOINED:
            out |= {f"{at}{name}.{kind}": third for name, third in zip(_APART, checkpoint.thirds(tensor), strict=True)}
        else:
            out[f"{at}{_BLOCK[part]}.{kind}"] = tensor
    return out | _AROUND.there_to_here(around)


def _from_vit(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The inverse."""
    out: dict[str, Tensor] = {}
    around: dict[str, Tensor] = {}
    back = {there: here for here, there in _BLOCK.items()}
    for name, tensor in tensors.items():
        found = re.fullmatch(r"encoder\.layer\.(\d+)\.(.+)\.(weight|bias)", name)
        number, part, kind = found.groups() if found else ("", "", "")
        at = f"{_TRUNK}blocks.{number}."
        if part == _APART[0]:
            absent = [n for n in (f"encoder.layer.{number}.{other}.{kind}" for other in _APART) if n not in tensors]
            if absent:
                raise WeightsError(f"{absent[0]!r} is absent", remedy="give a whole folder as this command wrote it")
            out[f"{at}{_JOINED}.{kind}"] = torch.cat([tensors[f"encoder.layer.{number}.{other}.{kind}"] for other in _APART])
        elif part in back:
            out[f"{at}{back[part]}.{kind}"] = tensor
        elif part not in _APART:
            around[name] = tensor
    return out | _AROUND.here_to_there(around)


def _siglip(vision: VisionShape, *, head: bool) -> dict[str, Any]:
    return {"architectures": ["SiglipVisionModel"], "model_type": "siglip_vision_model", **_numbers(vision), "vision_use_head": head}


def _vit(vision: VisionShape) -> dict[str, Any]:
    return {"architectures": ["ViTModel"], "model_type": "vit", **_numbers(vision), "qkv_bias": True}


def _numbers(vision: VisionShape) -> dict[str, Any]:
    return {
        "image_size": vision.image,
        "patch_size": vision.patch,
        "hidden_size": vision.width,
        "intermediate_size": vision.inner,
        "num_hidden_layers": vision.layers,
        "num_attention_heads": vision.heads,
        "hidden_act": vision.activation,
        "layer_norm_eps": vision.eps,
    }


def _bert(text: bert.Shape) -> dict[str, Any]:
    return {
        "architectures": ["BertModel"],
        "model_type": "bert",
        "vocab_size": text.rows,
        "hidden_size": text.width,
        "intermediate_size": text.inner,
        "num_hidden_layers": text.layers,
        "num_attention_heads": text.heads,
        "max_position_embeddings": text.places,
        "type_vocab_size": text.types,
        "layer_norm_eps": text.eps,
        "hidden_act": "gelu",
        "pad_token_id": 0,
    }
