"""LLaVA-Med v1.5 in small: the official layout of microsoft/llava-med-v1.5-mistral-7b, and the converted ones."""

import dataclasses

from tests.checkpoints import spm
from tests.checkpoints.common import randoms, write_json, write_shards


@dataclasses.dataclass(frozen=True)
class Size:
    image: int = 28
    patch: int = 14
    vision_width: int = 32
    vision_inner: int = 48
    vision_layers: int = 3
    vision_heads: int = 4
    width: int = 48
    inner: int = 80
    layers: int = 2
    heads: int = 6
    kv_heads: int = 2
    rows: int = 480


def _block(prefix, width, inner):
    shapes = {f"{prefix}self_attn.{n}_proj.{k}": ((width, width) if k == "weight" else (width,)) for n in "kvq" for k in ("weight", "bias")}
    shapes |= {f"{prefix}self_attn.out_proj.weight": (width, width), f"{prefix}self_attn.out_proj.bias": (width,)}
    shapes |= {f"{prefix}layer_norm{i}.{k}": (width,) for i in (1, 2) for k in ("weight", "bias")}
    return shapes | {
        f"{prefix}mlp.fc1.weight": (inner, width),
        f"{prefix}mlp.fc1.bias": (inner,),
        f"{prefix}mlp.fc2.weight": (width, inner),
        f"{prefix}mlp.fc2.bias": (width,),
    }


def clip_shapes(size, prefix="vision_model."):
    """Names and shapes of CLIP's vision half."""
    w, count = size.vision_width, (size.image // size.patch) ** 2
    shapes = {
        f"{prefix}embeddings.class_embedding": (w,),
        f"{prefix}embeddings.patch_embedding.weight": (w, 3, size.patch, size.patch),
        f"{prefix}embeddings.position_embedding.weight": (count + 1, w),
    }
    shapes |= {f"{prefix}{n}.{k}": (w,) for n in ("pre_layrnorm", "post_layernorm") for k in ("weight", "bias")}
    for i in range(size.vision_layers):
        shapes |= _block(f"{prefix}encoder.layers.{i}.", w, size.vision_inner)
    return shapes


def mistral_shapes(size, prefix="model.", head="lm_head."):
    """Names and shapes of Mistral."""
    w, kv = size.width, size.width // size.heads * size.kv_heads
    shapes = {f"{prefix}embed_tokens.weight": (size.rows, w), f"{prefix}norm.weight": (w,), f"{head}weight": (size.rows, w)}
    for i in range(size.layers):
        at = f"{prefix}layers.{i}."
        shapes |= {f"{at}self_attn.q_proj.weight": (w, w), f"{at}self_attn.o_proj.weight": (w, w)}
        shapes |= {f"{at}self_attn.{n}_proj.weight": (kv, w) for n in "kv"}
        shapes |= {f"{at}mlp.gate_proj.weight": (size.inner, w), f"{at}mlp.up_proj.weight": (size.inner, w), f"{at}mlp.down_proj.weight": (w, size.inner)}
        shapes |= {f"{at}input_layernorm.weight": (w,), f"{at}post_attention_layernorm.weight": (w,)}
    return shapes


def vision_config(size):
    """As in the `config.json` of a CLIP checkpoint."""
    return {
        "model_type": "clip_vision_model",
        "image_size": size.image,
        "patch_size": size.patch,
        "hidden_size": size.vision_width,
        "intermediate_size": size.vision_inner,
        "num_hidden_layers": size.vision_layers,
        "num_attention_heads": size.vision_heads,
        "hidden_act": "quick_gelu",
        "layer_norm_eps": 1e-5,
        "projection_dim": 16,
    }


def _text_config(size):
    return {
        "hidden_size": size.width,
        "intermediate_size": size.inner,
        "num_hidden_layers": size.layers,
        "num_attention_heads": size.heads,
        "num_key_value_heads": size.kv_heads,
        "vocab_size": size.rows,
        "max_position_embeddings": 32768,
        "rms_norm_eps": 1e-5,
        "rope_theta": 1000000.0,
        "sliding_window": None,
        "hidden_act": "silu",
        "tie_word_embeddings": False,
    }


def tensors(size, seed):
    """All tensors by official name."""
    shapes = clip_shapes(size, "model.vision_tower.vision_tower.vision_model.") | mistral_shapes(size)
    for i, inside in ((0, size.vision_width), (2, size.width)):
        shapes |= {f"model.mm_projector.{i}.weight": (size.width, inside), f"model.mm_projector.{i}.bias": (size.width,)}
    return randoms(shapes, seed)


def official(folder, size=None, seed=0):
    """The official layout: shards and index, `config.json`, `tokenizer.model`, the tower's own folder beside them."""
    size = size or Size()
    write_shards(folder, tensors(size, seed), shards=4)
    extras = {
        "model_type": "llava_mistral",
        "architectures": ["LlavaMistralForCausalLM"],
        "mm_vision_tower": "tower",
        "mm_hidden_size": size.vision_width,
        "mm_projector_type": "mlp2x_gelu",
        "mm_vision_select_layer": -2,
        "mm_vision_select_feature": "patch",
        "mm_use_im_start_end": False,
        "mm_use_im_patch_token": False,
        "image_aspect_ratio": "pad",
        "tokenizer_model_max_length": 2048,
    }
    write_json(folder / "config.json", {**_text_config(size), **extras})
    write_json(folder / "tower" / "config.json", vision_config(size))
    (folder / "tokenizer.model").write_bytes(spm.model(size.rows))
    return folder


_RENAMED = {
    "converted": (
        ("model.vision_tower.vision_tower.", "vision_tower."),
        ("model.mm_projector.0.", "multi_modal_projector.linear_1."),
        ("model.mm_projector.2.", "multi_modal_projector.linear_2."),
        ("model.", "language_model.model."),
        ("lm_head.", "language_model.lm_head."),
    ),
    "in-memory": (
        ("model.vision_tower.vision_tower.vision_model.", "model.vision_tower."),
        ("model.mm_projector.0.", "model.multi_modal_projector.linear_1."),
        ("model.mm_projector.2.", "model.multi_modal_projector.linear_2."),
        ("model.", "model.language_model."),
        ("lm_head.", "lm_head."),
    ),
}


def converted(folder, size=None, seed=0, *, names="converted"):
    """The layouts of `LlavaForConditionalGeneration`, with the row of `<image>` at the end of the vocabulary."""
    size = size or Size()
    made = {}
    for name, tensor in tensors(size, seed).items():
        old, new = next((old, new) for old, new in _RENAMED[names] if name.startswith(old))
        made[new + name.removeprefix(old)] = tensor
    write_shards(folder, made, shards=2)
    text = {"model_type": "mistral", **_text_config(size)}
    config = {"model_type": "llava", "vision_config": vision_config(size), "text_config": text, "image_token_index": size.rows - 1, "vision_feature_layer": -2}
    write_json(folder / "config.json", {**config, "vision_feature_select_strategy": "default", "projector_hidden_act": "gelu"})
    (folder / "tokenizer.model").write_bytes(spm.model(size.rows - 1))
    return folder
