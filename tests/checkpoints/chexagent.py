"""CheXagent-2 in small: the layout of StanfordAIMI/CheXagent-2-3b, with everything that it stores and does not use."""

import dataclasses
import itertools
import json
from collections import Counter

import torch

from tests.checkpoints import spm
from tests.checkpoints.common import randoms, write_json, write_shards
from tests.checkpoints.llava_med import _block
from vesalius.models import chexagent

IMAGE_TOKENS = ("<|img|>", "<|/img|>", "<|imgpad|>", "<|ref|>", "<|/ref|>", "<|box|>", "<|/box|>", "<|quad|>", "<|/quad|>")
BLANKS = (*(" " * n for n in range(8, 1, -1)), "\t\t\t", "\t\t")


@dataclasses.dataclass(frozen=True)
class Size:
    image: int = 32
    patch: int = 8
    vision_width: int = 32
    vision_inner: int = 48
    vision_layers: int = 3
    vision_heads: int = 4
    width: int = 40
    inner: int = 72
    layers: int = 2
    heads: int = 2
    rows: int = 520
    context: int = 2048

    @property
    def tokens(self):
        return (self.image // self.patch) ** 2


def siglip_shapes(size, prefix="model.visual.model."):
    """Names and shapes of SigLIP's vision half, its unused norm and head with it."""
    w, inner = size.vision_width, size.vision_inner
    shapes = {
        f"{prefix}embeddings.patch_embedding.weight": (w, 3, size.patch, size.patch),
        f"{prefix}embeddings.patch_embedding.bias": (w,),
        f"{prefix}embeddings.position_embedding.weight": (size.tokens, w),
        f"{prefix}head.probe": (1, 1, w),
        f"{prefix}head.attention.in_proj_weight": (3 * w, w),
        f"{prefix}head.attention.in_proj_bias": (3 * w,),
        f"{prefix}head.attention.out_proj.weight": (w, w),
        f"{prefix}head.attention.out_proj.bias": (w,),
        f"{prefix}head.mlp.fc1.weight": (inner, w),
        f"{prefix}head.mlp.fc1.bias": (inner,),
        f"{prefix}head.mlp.fc2.weight": (w, inner),
        f"{prefix}head.mlp.fc2.bias": (w,),
    }
    shapes |= {f"{prefix}{n}.{k}": (w,) for n in ("post_layernorm", "head.layernorm") for k in ("weight", "bias")}
    for i in range(size.vision_layers):
        shapes |= _block(f"{prefix}encoder.layers.{i}.", w, inner)
    return shapes


def phi_shapes(size):
    """Names and shapes of Phi."""
    w = size.width
    shapes = {"model.embed_tokens.weight": (size.rows, w), "lm_head.weight": (size.rows, w), "lm_head.bias": (size.rows,)}
    shapes |= {f"model.final_layernorm.{k}": (w,) for k in ("weight", "bias")}
    for i in range(size.layers):
        at = f"model.layers.{i}."
        for n, outside, inside in (
            ("mlp.fc1", size.inner, w),
            ("mlp.fc2", w, size.inner),
            *((f"self_attn.{n}", w, w) for n in ("q_proj", "k_proj", "v_proj", "dense")),
        ):
            shapes |= {f"{at}{n}.weight": (outside, inside), f"{at}{n}.bias": (outside,)}
        shapes |= {f"{at}input_layernorm.{k}": (w,) for k in ("weight", "bias")}
    return shapes


def tensors(size, seed):
    """All tensors by official name."""
    v, w = size.vision_width, size.width
    shapes = siglip_shapes(size) | phi_shapes(size)
    shapes |= {"model.visual.pos_embed": (size.tokens, v), "model.visual.proj": (w, w)}
    shapes |= {f"model.visual.ln_post.{k}": (w,) for k in ("weight", "bias")}
    for i, outside, inside in ((0, 4 * w, v), (2, w, 4 * w)):
        shapes |= {f"model.visual.attn_pool.{i}.weight": (outside, inside), f"model.visual.attn_pool.{i}.bias": (outside,)}
    return randoms(shapes, seed)


def vision_config(size):
    """As in the `config.json` of a SigLIP checkpoint."""
    return {
        "model_type": "siglip_vision_model",
        "image_size": size.image,
        "patch_size": size.patch,
        "hidden_size": size.vision_width,
        "intermediate_size": size.vision_inner,
        "num_hidden_layers": size.vision_layers,
        "num_attention_heads": size.vision_heads,
        "hidden_act": "gelu_pytorch_tanh",
        "layer_norm_eps": 1e-6,
    }


def text_config(size):
    """As in the `config.json` of a Phi checkpoint."""
    return {
        "hidden_size": size.width,
        "intermediate_size": size.inner,
        "num_hidden_layers": size.layers,
        "num_attention_heads": size.heads,
        "num_key_value_heads": size.heads,
        "vocab_size": size.rows,
        "max_position_embeddings": size.context,
        "partial_rotary_factor": 0.4,
        "qk_layernorm": False,
        "layer_norm_eps": 1e-5,
        "rope_theta": 10000.0,
        "rope_scaling": None,
        "hidden_act": "gelu_new",
        "tie_word_embeddings": False,
    }


def letters():
    """The 256 letters that stand for bytes, in the order of GPT-2."""
    shown = [*range(33, 127), *range(161, 173), *range(174, 256)]
    return [chr(b) for b in shown] + [chr(256 + i) for i in range(256 - len(shown))]


def byte_pairs(count=160):
    """Merges of a few words, best first."""
    texts = [list(("\u0120" if lead else "") + word) for word in (*spm.WORDS, "system", "user", "Picture", "You", "are") for lead in (0, 1)]
    found = []
    while len(found) < count:
        pairs = Counter(pair for t in texts for pair in itertools.pairwise(t))
        if not pairs:
            break
        found.append(max(sorted(pairs), key=pairs.__getitem__))
        texts = [spm._join(t, found[-1]) for t in texts]
    return found


def write_tokenizer(folder, listed="config"):
    """`vocab.json` and `merges.txt`, and the added tokens where `listed` says: "config", "file", or nowhere."""
    merges = byte_pairs()
    words = [*letters(), *dict.fromkeys("".join(pair) for pair in merges), "<|endoftext|>"]
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "vocab.json").write_text(json.dumps({w: i for i, w in enumerate(words)}), encoding="utf-8")
    (folder / "merges.txt").write_text("\n".join(["#version: 0.2", *(" ".join(pair) for pair in merges), ""]), encoding="utf-8")
    added = {token: len(words) + i for i, token in enumerate((*BLANKS, *IMAGE_TOKENS))}
    if listed == "config":
        held = {"<|endoftext|>": len(words) - 1, **added}
        decoder = {
            str(i): {"content": t, "lstrip": False, "normalized": t in BLANKS, "rstrip": False, "single_word": False, "special": t not in BLANKS}
            for t, i in held.items()
        }
        write_json(folder / "tokenizer_config.json", {"added_tokens_decoder": decoder, "tokenizer_class": "CheXagentTokenizer"})
    elif listed == "file":
        write_json(folder / "added_tokens.json", {t: i for t, i in added.items() if t in BLANKS})
    return folder


def official(folder, size=None, seed=0):
    """The official layout: shards and index, `config.json`, the tokenizer's files, the tower's own folder beside them."""
    size = size or Size()
    write_shards(folder, tensors(size, seed), shards=2)
    visual = {"vision_model_name_or_path": "tower", "image_size": size.image, "n_queries": size.tokens, "output_dim": size.width}
    write_json(folder / "config.json", {"architectures": ["CheXagentForCausalLM"], **text_config(size), "visual": visual})
    write_json(folder / "tower" / "config.json", {"model_type": "siglip", "vision_config": vision_config(size)})
    return write_tokenizer(folder)


def chapter(folder, size=None, seed=0):
    """The same with the projector of the chapter's description."""
    size = size or Size()
    found = {n: t for n, t in tensors(size, seed).items() if not n.startswith("model.visual.") or n.startswith("model.visual.model.")}
    v, w = size.vision_width, size.width
    mlp = {"0.weight": (w, v), "0.bias": (w,), "1.weight": (w,), "1.bias": (w,), "3.weight": (w, w), "3.bias": (w,)}
    official(folder, size, seed)
    for path in folder.glob("model*.safetensors*"):
        path.unlink()
    write_shards(folder, found | randoms({f"model.visual.mlp.{n}": shape for n, shape in mlp.items()}, seed), shards=2)
    config = json.loads((folder / "config.json").read_text())
    write_json(folder / "config.json", {**config, "architectures": ["CheXagentChapterForCausalLM"]})
    return folder


def load(folder, **options):
    """The model in float32."""
    return chexagent.load(weights=folder, dtype=torch.float32, **options)
