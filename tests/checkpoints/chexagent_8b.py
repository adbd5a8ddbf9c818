"""CheXagent's first version in small: the layout of StanfordAIMI/CheXagent-8b."""

import dataclasses

import torch

from tests.checkpoints import spm
from tests.checkpoints.common import randoms, write_json, write_shards
from tests.checkpoints.llava_med import mistral_shapes
from vesalius.models import chexagent_8b


@dataclasses.dataclass(frozen=True)
class Size:
    image: int = 28
    patch: int = 7
    vision_width: int = 32
    vision_inner: int = 48
    vision_layers: int = 3
    vision_heads: int = 4
    queries: int = 6
    former_width: int = 24
    former_inner: int = 40
    former_layers: int = 4
    former_heads: int = 3
    width: int = 48
    inner: int = 80
    layers: int = 2
    heads: int = 6
    kv_heads: int = 2
    rows: int = 488
    tokens: int = 480
    window: int = 256

    @property
    def patches(self):
        return (self.image // self.patch) ** 2


def eva_shapes(size, prefix="vision_model."):
    """Names and shapes of the tower."""
    w, inner = size.vision_width, size.vision_inner
    shapes = {
        f"{prefix}embeddings.class_embedding": (1, 1, w),
        f"{prefix}embeddings.position_embedding": (1, size.patches + 1, w),
        f"{prefix}embeddings.patch_embedding.weight": (w, 3, size.patch, size.patch),
        f"{prefix}embeddings.patch_embedding.bias": (w,),
    }
    shapes |= {f"{prefix}post_layernorm.{k}": (w,) for k in ("weight", "bias")}
    for i in range(size.vision_layers):
        at = f"{prefix}encoder.layers.{i}."
        for name, outside, inside in (("self_attn.qkv", 3 * w, w), ("self_attn.projection", w, w), ("mlp.fc1", inner, w), ("mlp.fc2", w, inner)):
            shapes |= {f"{at}{name}.weight": (outside, inside), f"{at}{name}.bias": (outside,)}
        shapes |= {f"{at}layer_norm{n}.{k}": (w,) for n in (1, 2) for k in ("weight", "bias")}
    return shapes


def former_shapes(size, prefix="qformer."):
    """Names and shapes of the Q-Former."""
    w, inner = size.former_width, size.former_inner
    shapes = {f"{prefix}layernorm.{k}": (w,) for k in ("weight", "bias")}
    for i in range(size.former_layers):
        at = f"{prefix}encoder.layer.{i}."
        for part, inside in (("attention", w), *([("crossattention", size.vision_width)] if i % 2 == 0 else [])):
            for name, columns in (("attention.query", w), ("attention.key", inside), ("attention.value", inside), ("output.dense", w)):
                shapes |= {f"{at}{part}.{name}.weight": (w, columns), f"{at}{part}.{name}.bias": (w,)}
            shapes |= {f"{at}{part}.output.LayerNorm.{k}": (w,) for k in ("weight", "bias")}
        shapes |= {f"{at}intermediate_query.dense.weight": (inner, w), f"{at}intermediate_query.dense.bias": (inner,)}
        shapes |= {f"{at}output_query.dense.weight": (w, inner), f"{at}output_query.dense.bias": (w,)}
        shapes |= {f"{at}output_query.LayerNorm.{k}": (w,) for k in ("weight", "bias")}
    return shapes


def shapes(size):
    """All names and shapes of the published layout."""
    found = eva_shapes(size) | former_shapes(size) | mistral_shapes(size, "language_model.model.", "language_model.lm_head.")
    found |= {"query_tokens": (1, size.queries, size.former_width)}
    return found | {"language_projection.weight": (size.width, size.former_width), "language_projection.bias": (size.width,)}


def config(size):
    """As the published `config.json`: of tower and Q-Former, it says what differs from what the code assumes."""
    return {
        "architectures": ["CheXagentForConditionalGeneration"],
        "model_type": "chexagent",
        "num_max_images": 2,
        "num_query_tokens": size.queries,
        "qformer_config": {
            "model_type": "chexagent_qformer",
            "vocab_size": 30523,
            "hidden_size": size.former_width,
            "intermediate_size": size.former_inner,
            "num_hidden_layers": size.former_layers,
            "num_attention_heads": size.former_heads,
            "encoder_hidden_size": size.vision_width,
        },
        "text_config": {
            "architectures": ["MistralForCausalLM"],
            "model_type": "mistral",
            "attention_bias": False,
            "bos_token_id": 1,
            "eos_token_id": 2,
            "hidden_act": "silu",
            "hidden_size": size.width,
            "intermediate_size": size.inner,
            "num_hidden_layers": size.layers,
            "num_attention_heads": size.heads,
            "num_key_value_heads": size.kv_heads,
            "vocab_size": size.rows,
            "max_position_embeddings": 32768,
            "sliding_window": size.window,
            "rms_norm_eps": 1e-5,
            "rope_theta": 10000.0,
            "tie_word_embeddings": False,
        },
        "vision_config": {
            "model_type": "chexagent_vision_model",
            "image_size": size.image,
            "patch_size": size.patch,
            "hidden_size": size.vision_width,
            "intermediate_size": size.vision_inner,
            "num_hidden_layers": size.vision_layers,
            "num_attention_heads": size.vision_heads,
        },
    }


def official(folder, size=None, seed=0):
    """The official layout: shards and index, `config.json`, `preprocessor_config.json`, `tokenizer.model`."""
    size = size or Size()
    write_shards(folder, randoms(shapes(size), seed), shards=3)
    write_json(folder / "config.json", config(size))
    processor = {
        "image_processor_type": "BlipImageProcessor",
        "do_resize": True,
        "do_rescale": True,
        "do_normalize": True,
        "resample": 3,
        "rescale_factor": 0.00392156862745098,
        "size": {"height": size.image, "width": size.image},
        "image_mean": list(chexagent_8b.MEAN),
        "image_std": list(chexagent_8b.DEVIATION),
    }
    write_json(folder / "preprocessor_config.json", processor)
    write_json(folder / "tokenizer_config.json", {"tokenizer_class": "LlamaTokenizer", "add_bos_token": True, "add_eos_token": False, "legacy": True})
    (folder / "tokenizer.model").write_bytes(spm.model(size.tokens))
    return folder


def load(folder, **options):
    """The model in float32."""
    return chexagent_8b.load(weights=folder, dtype=torch.float32, **options)
