"""Med-Flamingo in small: `model.pt` as the two generations of open_flamingo write it, with the folders of LLaMA and CLIP beside it."""

import dataclasses

import torch
from safetensors.torch import save_file

from tests.checkpoints import llava_med, spm
from tests.checkpoints.common import randoms, write_json, write_shards
from vesalius.models import med_flamingo, sentencepiece

VOCABULARY = spm.model(480)
LAYOUTS = ("0.0.2", "2.x", "2.x whole")
_BLOCKS = {"layer_norm1": "ln_1", "layer_norm2": "ln_2", "mlp.fc1": "mlp.c_fc", "mlp.fc2": "mlp.c_proj", "self_attn.out_proj": "attn.out_proj"}
_WHOLE = {
    "embeddings.class_embedding": "class_embedding",
    "embeddings.patch_embedding.weight": "conv1.weight",
    "embeddings.position_embedding.weight": "positional_embedding",
}


@dataclasses.dataclass(frozen=True)
class Size:
    image: int = 28
    patch: int = 14
    vision_width: int = 128
    vision_inner: int = 160
    vision_layers: int = 3
    vision_heads: int = 2
    width: int = 48
    inner: int = 80
    layers: int = 8
    heads: int = 4
    kv_heads: int = 4
    rows: int = len(sentencepiece.pieces(VOCABULARY)[0])
    context: int = 512


def _feed(at, width):
    return {f"{at}0.weight": (width,), f"{at}0.bias": (width,), f"{at}1.weight": (4 * width, width), f"{at}3.weight": (width, 4 * width)}


def _attention(at, width, inside, norms):
    shapes = {f"{at}to_q.weight": (512, width), f"{at}to_kv.weight": (1024, inside), f"{at}to_out.weight": (width, 512)}
    return shapes | {f"{at}{n}.{k}": (width,) for n in norms for k in ("weight", "bias")}


def perceiver_shapes(size, depth=6, latents=64):
    """Names and shapes of the resampler."""
    v = size.vision_width
    shapes = {"perceiver.latents": (latents, v), "perceiver.norm.weight": (v,), "perceiver.norm.bias": (v,)}
    for i in range(depth):
        shapes |= _attention(f"perceiver.layers.{i}.0.", v, v, ("norm_media", "norm_latents")) | _feed(f"perceiver.layers.{i}.1.", v)
    return shapes


def gated_shapes(size):
    """Names and shapes of the gated layers, each beginning with its number."""
    shapes = {}
    for i in range(3, size.layers, 4):
        shapes |= _attention(f"{i}.attn.", size.width, size.vision_width, ("norm",)) | _feed(f"{i}.ff.", size.width)
        shapes |= {f"{i}.attn_gate": (1,), f"{i}.ff_gate": (1,)}
    return shapes


def tensors(size, seed):
    """(CLIP as transformers names it, LLaMA as transformers names it, resampler, gated layers, embeddings with the added rows)."""
    clip = randoms(llava_med.clip_shapes(size), seed, std=0.1)
    llama = randoms(llava_med.mistral_shapes(size), seed + 1, std=0.1)
    perceiver, gated = randoms(perceiver_shapes(size), seed + 2, std=0.1), randoms(gated_shapes(size), seed + 3, std=0.1)
    gated |= {n: t.sign() * (0.5 + t.abs()) for n, t in gated.items() if n.endswith("_gate")}
    embeddings = randoms({"rows": (size.rows + 3, size.width)}, seed + 4)["rows"]
    return clip, llama, perceiver, gated, embeddings


def open_clip(clip):
    """The names of open_clip: queries, keys and values in one; with the projection that is not used."""
    out = {}
    for name, tensor in clip.items():
        name = name.removeprefix("vision_model.")
        if name in _WHOLE:
            out[f"visual.{_WHOLE[name]}"] = tensor
        elif name.startswith(("pre_layrnorm", "post_layernorm")):
            out["visual." + name.replace("pre_layrnorm", "ln_pre").replace("post_layernorm", "ln_post")] = tensor
        elif ".self_attn.q_proj." in name:
            number, kind = name.split(".")[2], name.rsplit(".", 1)[1]
            joined = torch.cat([clip["vision_model." + name.replace("q_proj", f"{letter}_proj")] for letter in "qkv"])
            out[f"visual.transformer.resblocks.{number}.attn.in_proj_{kind}"] = joined
        elif "k_proj" not in name and "v_proj" not in name:
            _, _, number, *rest = name.split(".")
            out[f"visual.transformer.resblocks.{number}.{_BLOCKS['.'.join(rest[:-1])]}.{rest[-1]}"] = tensor
    width = clip["vision_model.embeddings.class_embedding"].numel()
    return out | {"visual.proj": torch.ones(width, 16)}


def trained(size, seed, layout):
    """What `model.pt` holds in one of `LAYOUTS`."""
    clip, llama, perceiver, gated, embeddings = tensors(size, seed)
    held = {**perceiver, "lang_encoder.model.embed_tokens.weight": embeddings}
    for name, tensor in gated.items():
        number, _, rest = name.partition(".")
        held[f"lang_encoder.model.layers.{number}.gated_cross_attn_layer.{rest}"] = tensor
        if layout != "2.x":
            held[f"lang_encoder.gated_cross_attn_layers.{name}"] = tensor
    head = size.width // size.heads
    turns = 1 / 10000 ** (torch.arange(0, head, 2).float() / head)
    held |= {f"lang_encoder.model.layers.{i}.decoder_layer.self_attn.rotary_emb.inv_freq": turns for i in range(size.layers)}
    if layout == "2.x whole":
        for name, tensor in llama.items():
            if name.startswith("model.layers."):
                _, _, number, rest = name.split(".", 3)
                held[f"lang_encoder.model.layers.{number}.decoder_layer.{rest}"] = tensor
                held[f"lang_encoder.old_decoder_blocks.{number}.{rest}"] = tensor
        held["lang_encoder.model.norm.weight"] = llama["model.norm.weight"]
        held["lang_encoder.lm_head.weight"] = torch.cat((llama["lm_head.weight"], torch.zeros(3, size.width)))
        held |= {name.replace("visual.", "vision_encoder.", 1): t for name, t in open_clip(clip).items()}
    return held


def official(folder, size=None, seed=0, *, layout="0.0.2", clip="transformers", opening="<s>"):
    """`model.pt`, `llama` and `clip`.

    Args:
        clip: "transformers" or "open_clip". opening: `bos_token` of the LLaMA folder; "" is what the once usual copy of LLaMA has.
    """
    size = size or Size()
    folder.mkdir(parents=True, exist_ok=True)
    torch.save(trained(size, seed, layout), folder / "model.pt")
    vision, llama, *_ = tensors(size, seed)
    write_shards(folder / "llama", llama)
    config = {
        "model_type": "llama",
        "architectures": ["LlamaForCausalLM"],
        "hidden_size": size.width,
        "intermediate_size": size.inner,
        "num_hidden_layers": size.layers,
        "num_attention_heads": size.heads,
        "vocab_size": size.rows,
        "max_position_embeddings": size.context,
        "rms_norm_eps": 1e-6,
        "hidden_act": "silu",
        "tie_word_embeddings": False,
    }
    write_json(folder / "llama" / "config.json", config)
    (folder / "llama" / "tokenizer.model").write_bytes(VOCABULARY)
    names = {"bos_token": opening, "eos_token": opening and "</s>", "unk_token": opening and "<unk>", "tokenizer_class": "LlamaTokenizer"}
    write_json(folder / "llama" / "tokenizer_config.json", names)
    (folder / "clip").mkdir(exist_ok=True)
    if clip == "open_clip":
        save_file({n: t.contiguous() for n, t in open_clip(vision).items()}, folder / "clip" / "open_clip_model.safetensors")
    else:
        save_file(vision, folder / "clip" / "model.safetensors")
        write_json(folder / "clip" / "config.json", {"model_type": "clip", "vision_config": llava_med.vision_config(size)})
    return folder


def load(folder, **options):
    """The model in float32."""
    return med_flamingo.load(weights=folder, dtype=torch.float32, **options)
