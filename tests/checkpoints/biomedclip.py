"""BiomedCLIP in small: the layout of microsoft/BiomedCLIP-PubMedBERT_256-vit_base_patch16_224, as open_clip writes it."""

import dataclasses
import json
import string

import torch
from safetensors.torch import save_file

from tests.checkpoints.common import randoms, write_json

_WORDS = """
this is a photo of no yes chest x ray with the an and in there findings pleural effusion pneumonia left right lung lungs heart liver mass normal acute disease
adenocarcinoma histopathology brain mri ##s ##ed ##ing ##al ##osis ##ology ##thorax pneumo cardio ##megaly fibr patient clear are line one two three
"""


@dataclasses.dataclass(frozen=True)
class Size:
    image: int = 32
    patch: int = 8
    vision_width: int = 32
    vision_layers: int = 3
    vision_heads: int = 4
    width: int = 48
    inner: int = 80
    layers: int = 2
    heads: int = 6
    places: int = 40
    context: int = 24
    common: int = 20


def vocabulary():
    """Control tokens where PubMedBERT has them, then letters, signs and some words."""
    signs = string.ascii_lowercase + string.digits + "".join(c for c in string.punctuation if c != "`")
    letters = [*signs, *(f"##{c}" for c in string.ascii_lowercase + string.digits), "é", "日", "…"]
    return list(dict.fromkeys(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *letters, *_WORDS.split()]))


def vision_shapes(size, prefix="visual.trunk."):
    """Names and shapes of timm's vit_base_patch16_224 without its classifier."""
    w, inner = size.vision_width, 4 * size.vision_width
    shapes = {
        f"{prefix}cls_token": (1, 1, w),
        f"{prefix}pos_embed": (1, (size.image // size.patch) ** 2 + 1, w),
        f"{prefix}patch_embed.proj.weight": (w, 3, size.patch, size.patch),
        f"{prefix}patch_embed.proj.bias": (w,),
    }
    for i in range(size.vision_layers):
        at = f"{prefix}blocks.{i}."
        for name, rows, cols in (("attn.qkv", 3 * w, w), ("attn.proj", w, w), ("mlp.fc1", inner, w), ("mlp.fc2", w, inner)):
            shapes |= {f"{at}{name}.weight": (rows, cols), f"{at}{name}.bias": (rows,)}
        shapes |= {f"{at}norm{n}.{k}": (w,) for n in (1, 2) for k in ("weight", "bias")}
    return shapes | {f"{prefix}norm.{k}": (w,) for k in ("weight", "bias")}


def bert_shapes(size, prefix="text.transformer."):
    """Names and shapes of BERT without its pooler."""
    w, at = size.width, f"{prefix}embeddings."
    shapes = {f"{at}{n}_embeddings.weight": (rows, w) for n, rows in (("word", len(vocabulary())), ("position", size.places), ("token_type", 2))}
    shapes |= {f"{at}LayerNorm.{k}": (w,) for k in ("weight", "bias")}
    for i in range(size.layers):
        at = f"{prefix}encoder.layer.{i}."
        parts = [(f"attention.self.{n}", w, w) for n in ("query", "key", "value")]
        parts += [("attention.output.dense", w, w), ("intermediate.dense", size.inner, w), ("output.dense", w, size.inner)]
        for name, rows, cols in parts:
            shapes |= {f"{at}{name}.weight": (rows, cols), f"{at}{name}.bias": (rows,)}
        shapes |= {f"{at}{n}.LayerNorm.{k}": (w,) for n in ("attention.output", "output") for k in ("weight", "bias")}
    return shapes


def drawn(shapes, seed):
    """Random tensors, with the norms of BERT near 1 too."""
    return {n: t + 1 if n.endswith("LayerNorm.weight") else t for n, t in randoms(shapes, seed).items()}


def tensors(size, seed):
    """All tensors by published name, without `position_ids`."""
    middle = (size.width + size.common) // 2
    shapes = vision_shapes(size) | bert_shapes(size) | {"visual.head.proj.weight": (size.common, size.vision_width)}
    shapes |= {"text.proj.0.weight": (middle, size.width), "text.proj.2.weight": (size.common, middle)}
    return drawn(shapes, seed) | {"logit_scale": torch.tensor(2.6592)}


def bert_config(size):
    """As in the `config.json` of a BERT checkpoint."""
    return {
        "model_type": "bert",
        "architectures": ["BertForMaskedLM"],
        "vocab_size": len(vocabulary()),
        "hidden_size": size.width,
        "intermediate_size": size.inner,
        "num_hidden_layers": size.layers,
        "num_attention_heads": size.heads,
        "max_position_embeddings": size.places,
        "type_vocab_size": 2,
        "layer_norm_eps": 1e-12,
        "hidden_act": "gelu",
        "pad_token_id": 0,
    }


def _config(size):
    tower = {"embed_dim": size.vision_width, "depth": size.vision_layers, "num_heads": size.vision_heads, "patch_size": size.patch}
    model = {
        "embed_dim": size.common,
        "vision_cfg": {
            "timm_model_name": "vit_base_patch16_224",
            "timm_model_pretrained": False,
            "timm_pool": "",
            "timm_proj": "linear",
            "image_size": size.image,
            "timm_model_kwargs": tower,
        },
        "text_cfg": {
            "hf_model_name": "text",
            "hf_tokenizer_name": "text",
            "hf_proj_type": "mlp",
            "hf_pooler_type": "cls_last_hidden_state_pooler",
            "context_length": size.context,
        },
    }
    means = {"mean": [0.48145466, 0.4578275, 0.40821073], "std": [0.26862954, 0.26130258, 0.27577711]}
    return {"model_cfg": model, "preprocess_cfg": means}


def official(folder, size=None, seed=0, *, pickled=True, position_ids=True):
    """`open_clip_config.json`, the weights in one file, `vocab.txt` beside them, and the text encoder's own `config.json` in a folder."""
    size = size or Size()
    folder.mkdir(parents=True, exist_ok=True)
    made = tensors(size, seed)
    if position_ids:
        made["text.transformer.embeddings.position_ids"] = torch.arange(size.places)[None]
    if pickled:
        torch.save(made, folder / "open_clip_pytorch_model.bin")
    else:
        save_file(made, folder / "open_clip_model.safetensors", metadata={"format": "pt"})
    write_json(folder / "open_clip_config.json", _config(size))
    write_json(folder / "text" / "config.json", bert_config(size))
    write_json(folder / "tokenizer_config.json", {"tokenizer_class": "BertTokenizer", "do_lower_case": True})
    (folder / "vocab.txt").write_text("\n".join(vocabulary()) + "\n", encoding="utf-8")
    return folder


def reconfigure(folder, part, **changes):
    """Change keys of one part (`vision_cfg`, `text_cfg`, `preprocess_cfg`) of the configuration; None removes one."""
    path = folder / "open_clip_config.json"
    config = json.loads(path.read_text())
    target = config[part] if part in config else config["model_cfg"][part]
    target |= changes
    for key in [k for k, v in changes.items() if v is None]:
        del target[key]
    path.write_text(json.dumps(config))
