"""LLaVA-Rad in small: the layout of microsoft/llava-rad, with lmsys/vicuna-7b-v1.5 in `base/`."""

import dataclasses
import json
import pickle
import types

import numpy as np
import torch

from tests.checkpoints import biomedclip, llava_med, spm
from tests.checkpoints.common import randoms, write_json
from tests.checkpoints.llava_med import mistral_shapes
from vesalius.models.sentencepiece import pieces

VOCABULARY = spm.model(480)
JSON, TOWER = "biomedclipcxr_518.json", "biomedclipcxr_518_checkpoint.pt"
_TARGETS = ("self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj", "self_attn.o_proj", "mlp.gate_proj", "mlp.up_proj", "mlp.down_proj")


@dataclasses.dataclass(frozen=True)
class Size(llava_med.Size):
    image: int = 42
    vision_layers: int = 4
    kv_heads: int = 6
    rows: int = len(pieces(VOCABULARY)[0])
    rank: int = 4


class _Pickler(pickle._Pickler):
    """Writes NumPy's numbers as NumPy 1 did, when the published file was made."""

    def save_global(self, obj, name=None):
        if getattr(obj, "__module__", "") == "numpy._core.multiarray":
            self.write(f"cnumpy.core.multiarray\n{obj.__name__}\n".encode())
            self.memoize(obj)
        else:
            super().save_global(obj, name)

    dispatch = types.MappingProxyType({**pickle._Pickler.dispatch, types.BuiltinFunctionType: save_global})


OLDER = types.SimpleNamespace(Pickler=_Pickler, dump=pickle.dump, __name__="pickle")


def _clip(size):
    return biomedclip.Size(size.image, size.patch, size.vision_width, size.vision_layers, size.vision_heads)


def _gamma(size, i, n):
    return f"visual.trunk.blocks.{i}.ls{n}.gamma", (size.vision_width,)


def clip_tensors(size, seed):
    """The whole of BiomedCLIP-CXR as open_clip names it: the trunk scales what its layers add, and BERT keeps its pooler."""
    clip = _clip(size)
    shapes = biomedclip.vision_shapes(clip) | biomedclip.bert_shapes(clip) | {"visual.head.proj.weight": (clip.common, clip.vision_width)}
    shapes |= {"text.transformer.pooler.dense.weight": (clip.width, clip.width), "text.transformer.pooler.dense.bias": (clip.width,)}
    middle = (clip.width + clip.common) // 2
    shapes |= {"text.proj.0.weight": (middle, clip.width), "text.proj.2.weight": (clip.common, middle)}
    shapes |= dict(_gamma(size, i, n) for i in range(size.vision_layers) for n in (1, 2))
    made = biomedclip.drawn(shapes, seed) | {"logit_scale": torch.tensor(2.6592)}
    made["text.transformer.embeddings.position_ids"] = torch.arange(clip.places)[None]
    return {n: t + 0.5 if n.endswith("gamma") else t for n, t in made.items()}


def _tower(folder, size, seed):
    """A state of open_clip's training, weights, optimiser and all."""
    state = {f"module.{n}": t for n, t in clip_tensors(size, seed).items()}
    rate = np.float64(1e-5) * np.cos(np.float64(0.3))  # open_clip's schedule leaves NumPy's numbers in the state
    optimiser = {"state": {0: {"step": torch.tensor(3.0)}}, "param_groups": [{"lr": rate, "betas": (0.9, 0.98), "params": [0]}]}
    torch.save({"epoch": 3, "name": "cxr", "state_dict": state, "optimizer": optimiser}, folder / TOWER, pickle_module=OLDER)
    kwargs = {"embed_dim": size.vision_width, "depth": size.vision_layers, "num_heads": size.vision_heads, "patch_size": size.patch}
    vision = {"timm_model_name": "vit_base_patch14_dinov2", "timm_model_pretrained": False, "timm_pool": "", "timm_proj": "linear", "image_size": size.image}
    text = {"hf_model_name": "text", "hf_tokenizer_name": "text", "hf_proj_type": "mlp", "hf_pooler_type": "cls_last_hidden_state_pooler", "context_length": 24}
    write_json(folder / JSON, {"embed_dim": _clip(size).common, "vision_cfg": {**vision, "timm_model_kwargs": kwargs}, "text_cfg": text})


def _language(size):
    return {
        "hidden_size": size.width,
        "intermediate_size": size.inner,
        "num_hidden_layers": size.layers,
        "num_attention_heads": size.heads,
        "num_key_value_heads": size.kv_heads,
        "vocab_size": size.rows,
        "max_position_embeddings": 4096,
        "rms_norm_eps": 1e-5,
        "hidden_act": "silu",
        "tie_word_embeddings": False,
        "bos_token_id": 1,
        "eos_token_id": 2,
        "pad_token_id": 0,
    }


def base(folder, size=None, seed=1):
    """The language model, in pickled shards, and a tokenizer that is not of the older behaviour."""
    size = size or Size()
    folder.mkdir(parents=True, exist_ok=True)
    made = {n: t.half() for n, t in randoms(mistral_shapes(size), seed).items()}
    for i in range(size.layers):
        made[f"model.layers.{i}.self_attn.rotary_emb.inv_freq"] = 1.0 / 10000.0 ** (torch.arange(0, size.width // size.heads, 2) / (size.width // size.heads))
    names, weight_map = list(made), {}
    for i in range(2):
        file = f"pytorch_model-{i + 1:05d}-of-00002.bin"
        torch.save({n: made[n] for n in names[i::2]}, folder / file)
        weight_map |= dict.fromkeys(names[i::2], file)
    write_json(folder / "pytorch_model.bin.index.json", {"metadata": {}, "weight_map": weight_map})
    write_json(folder / "config.json", {**_language(size), "model_type": "llama", "architectures": ["LlamaForCausalLM"]})
    tokens = {f"{n}_token": {"__type": "AddedToken", "content": t, "normalized": False} for n, t in (("bos", "<s>"), ("eos", "</s>"), ("unk", "<unk>"))}
    tokens = {n: {**t, "lstrip": False, "rstrip": False, "single_word": False} for n, t in tokens.items()}
    kind = {"add_bos_token": True, "add_eos_token": False, "legacy": False, "tokenizer_class": "LlamaTokenizer"}
    write_json(folder / "tokenizer_config.json", tokens | kind)
    (folder / "tokenizer.model").write_bytes(VOCABULARY)
    return folder


def adapter(folder, size=None, seed=5):
    """The adapter on seven matrices of every layer."""
    size = size or Size()
    shapes = {}
    for name, (outside, inside) in ((n, s) for n, s in mistral_shapes(size).items() if n.removesuffix(".weight").endswith(_TARGETS)):
        place = f"base_model.model.{name.removesuffix('.weight')}"
        shapes |= {f"{place}.lora_A.weight": (size.rank, inside), f"{place}.lora_B.weight": (outside, size.rank)}
    torch.save({n: t.bfloat16() for n, t in randoms(shapes, seed, std=0.1).items()}, folder / "adapter_model.bin")
    config = {"peft_type": "LORA", "task_type": "CAUSAL_LM", "r": size.rank, "lora_alpha": 2 * size.rank, "lora_dropout": 0.05, "bias": "none"}
    config |= {"base_model_name_or_path": "lmsys/vicuna-7b-v1.5", "fan_in_fan_out": False, "inference_mode": True, "modules_to_save": None}
    write_json(folder / "adapter_config.json", {**config, "target_modules": sorted(n.rpartition(".")[2] for n in _TARGETS)})


def official(folder, size=None, seed=0):
    """The published folder, and the language model in `base/`."""
    size = size or Size()
    folder.mkdir(parents=True, exist_ok=True)
    extras = {
        "model_type": "llava",
        "architectures": ["LlavaLlamaForCausalLM"],
        "mm_vision_tower": "biomedclip_cxr_518",
        "mm_vision_tower_config": "llava/model/multimodal_encoder/open_clip_encoder/model_configs/biomedclip_cxr_518.json",
        "mm_vision_tower_checkpoint": TOWER,
        "mm_hidden_size": size.vision_width,
        "mm_projector_type": "mlp2x_gelu",
        "mm_vision_select_layer": -2,
        "mm_vision_select_feature": "patch",
        "mm_use_im_start_end": False,
        "mm_use_im_patch_token": False,
        "image_aspect_ratio": "square",
        "use_mm_proj": True,
    }
    write_json(folder / "config.json", {**_language(size), **extras})
    shapes = {}
    for i, inside in ((0, size.vision_width), (2, size.width)):
        at = f"base_model.model.model.mm_projector.{i}."
        shapes |= {f"{at}weight": (size.width, inside), f"{at}bias": (size.width,)}
    torch.save({n: t.bfloat16() for n, t in randoms(shapes, seed).items()}, folder / "non_lora_trainables.bin")
    adapter(folder, size, seed + 5)
    base(folder / "base", size, seed + 1)
    _tower(folder, size, seed + 2)
    return folder


def reconfigure(path, **changes):
    """Change fields of a JSON file; None removes one."""
    held = {**json.loads(path.read_text()), **changes}
    path.write_text(json.dumps({k: v for k, v in held.items() if v is not None}))
