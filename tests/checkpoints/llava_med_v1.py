"""LLaVA-Med v1.0 in small: the official layout, the language model under it, and the differences as they are published."""

import dataclasses
import json

import torch
from safetensors.torch import save_file

from tests.checkpoints import biomedclip, llava_med, spm
from tests.checkpoints.common import randoms, write_json, write_shards
from tests.checkpoints.llava_med import clip_shapes, mistral_shapes, vision_config
from vesalius.models.sentencepiece import pieces

VOCABULARY = spm.model(480)
BASE_ROWS = len(pieces(VOCABULARY)[0])
ADDED = ("<im_patch>", "<im_start>", "<im_end>")


@dataclasses.dataclass(frozen=True)
class Size(llava_med.Size):
    kv_heads: int = 6
    rows: int = BASE_ROWS + len(ADDED)


def _config(size, kind, rows):
    return {
        "model_type": kind,
        "hidden_size": size.width,
        "intermediate_size": size.inner,
        "num_hidden_layers": size.layers,
        "num_attention_heads": size.heads,
        "vocab_size": rows,
        "max_position_embeddings": 2048,
        "rms_norm_eps": 1e-6,
        "hidden_act": "silu",
        "tie_word_embeddings": False,
        "bos_token_id": 1,
        "eos_token_id": 2,
        "pad_token_id": 0,
    }


def _folder(folder, size, tensors):
    write_shards(folder, tensors, shards=3)
    extras = {
        "architectures": ["LlavaLlamaForCausalLM"],
        "mm_vision_tower": "tower",
        "mm_hidden_size": size.vision_width,
        "mm_use_im_start_end": True,
        "mm_vision_select_layer": -2,
        "use_mm_proj": True,
    }
    write_json(folder / "config.json", {**_config(size, "llava", size.rows), **extras})
    write_json(folder / "added_tokens.json", {token: BASE_ROWS + i for i, token in enumerate(ADDED)})
    (folder / "tokenizer.model").write_bytes(VOCABULARY)
    return folder


def tower(folder, size=None, seed=2):
    """CLIP's vision half, as in a published CLIP checkpoint."""
    size = size or Size()
    write_json(folder / "config.json", vision_config(size))
    save_file(randoms(clip_shapes(size), seed), folder / "model.safetensors", metadata={"format": "pt"})
    return folder


def tensors(size, seed):
    """All tensors by official name; the tower is stored in no checkpoint."""
    projector = {"model.mm_projector.weight": (size.width, size.vision_width), "model.mm_projector.bias": (size.width,)}
    return randoms(mistral_shapes(size) | projector, seed)


def official(folder, size=None, seed=0):
    """The official layout: shards and index, `config.json`, tokenizer with its added tokens, the tower in a folder that the checkpoint names."""
    size = size or Size()
    _folder(folder, size, tensors(size, seed))
    tower(folder / "tower", size)
    return folder


def biomedical(folder, size=None, seed=0):
    """The official layout of a checkpoint that sees through BiomedCLIP, whose own folder lies where the checkpoint names it."""
    size = size or Size()
    name = "microsoft/BiomedCLIP-PubMedBERT_256-vit_base_patch16_224"
    _folder(folder, size, tensors(size, seed))
    reconfigure(folder, mm_vision_tower=name)
    biomedclip.official(folder / name, biomedclip.Size(vision_width=size.vision_width, vision_layers=5), seed=seed + 4)
    return folder


def base(folder, size=None, seed=1):
    """The language model that differences are added to, in the layout of the library."""
    size = dataclasses.replace(size or Size(), rows=BASE_ROWS)
    made = {n: t.half() for n, t in randoms(mistral_shapes(size), seed).items()}
    write_shards(folder, made, shards=2)
    write_json(folder / "config.json", {**_config(size, "llama", BASE_ROWS), "architectures": ["LlamaForCausalLM"]})
    (folder / "tokenizer.model").write_bytes(VOCABULARY)
    return folder


def delta(folder, size=None, seed=3):
    """Differences, as they are published: the projector whole, embeddings and head three rows longer than the base."""
    size = size or Size()
    return _folder(folder, size, {n: t.half() for n, t in tensors(size, seed).items()})


def total(base_tensors, delta_tensors):
    """What adding them must give, written out once more."""
    out = {}
    for name, tensor in delta_tensors.items():
        under = torch.zeros_like(tensor)
        if name in base_tensors:
            under[: len(base_tensors[name])] = base_tensors[name]
        out[name] = tensor + under
    return out


def reconfigure(folder, **changes):
    """Change fields of `config.json`."""
    path = folder / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))
