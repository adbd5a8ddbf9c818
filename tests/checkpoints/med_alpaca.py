"""Visual Med-Alpaca in small: LLaMA in the official layout, a LoRA adapter as PEFT writes it, Med-GIT; and the entries that name the models."""

import torch
from safetensors.torch import save_file

from tests.checkpoints import llava_med, spm
from tests.checkpoints.common import randoms, write_json, write_shards

RANK, ALPHA = 4, 8
_SHAPE = llava_med.Size(heads=6, kv_heads=6)


def adapter_tensors(size=_SHAPE, seed=1, targets=("q_proj", "v_proj")):
    """As PEFT names them."""
    shapes = {}
    for i in range(size.layers):
        for target in targets:
            at = f"base_model.model.model.layers.{i}.self_attn.{target}"
            shapes |= {f"{at}.lora_A.weight": (RANK, size.width), f"{at}.lora_B.weight": (size.width, RANK)}
    return randoms(shapes, seed)


def adapter(folder, *, pickled=False, tensors=None, **changed):
    """`adapter_config.json` and `adapter_model.safetensors`, or the pickled file of 2023."""
    config = {"peft_type": "LORA", "r": RANK, "lora_alpha": ALPHA, "target_modules": ["q_proj", "v_proj"], "bias": "none", "fan_in_fan_out": False}
    write_json(folder / "adapter_config.json", {**config, "lora_dropout": 0.05, "task_type": "CAUSAL_LM", **changed})
    held = adapter_tensors() if tensors is None else tensors
    if pickled:
        torch.save(held, folder / "adapter_model.bin")
    else:
        save_file(held, folder / "adapter_model.safetensors")
    return folder


def official(folder, *, seed=0, pickled=False):
    """LLaMA's shards, index, configuration and `tokenizer.model`; the adapter beside them in its folder."""
    size = _SHAPE
    write_shards(folder, randoms(llava_med.mistral_shapes(size), seed), shards=2)
    config = {"model_type": "llama", "architectures": ["LlamaForCausalLM"], "hidden_size": size.width, "intermediate_size": size.inner}
    config |= {"num_hidden_layers": size.layers, "num_attention_heads": size.heads, "vocab_size": size.rows, "rms_norm_eps": 1e-6, "hidden_act": "silu"}
    write_json(folder / "config.json", {**config, "max_sequence_length": 2048, "tie_word_embeddings": False})
    (folder / "tokenizer.model").write_bytes(spm.model(size.rows))
    adapter(folder / "adapter", pickled=pickled)
    return folder


def med_git(folder):
    """A tiny `GitForCausalLM` with the tokenizer it writes with."""
    from tokenizers import Tokenizer, models
    from transformers import GitConfig, GitForCausalLM

    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", *(f"w{i}" for i in range(28))]
    vision = {"hidden_size": 16, "intermediate_size": 24, "num_hidden_layers": 1, "num_attention_heads": 2, "image_size": 32, "patch_size": 16}
    shape = {"vocab_size": len(words), "hidden_size": 16, "intermediate_size": 24, "num_hidden_layers": 1, "num_attention_heads": 2}
    torch.manual_seed(0)
    config = GitConfig(vision_config=vision, **shape, max_position_embeddings=128, bos_token_id=2, eos_token_id=3, pad_token_id=0)
    GitForCausalLM(config).save_pretrained(folder)
    Tokenizer(models.WordLevel({w: i for i, w in enumerate(words)}, unk_token="[UNK]")).save(str(folder / "tokenizer.json"))
    return folder


def deplot(folder):
    """A tiny `Pix2StructForConditionalGeneration`."""
    from tokenizers import Tokenizer, models
    from transformers import Pix2StructConfig, Pix2StructForConditionalGeneration

    words = ["<pad>", "</s>", "<unk>", *(f"w{i}" for i in range(29))]
    vision = {"hidden_size": 16, "patch_embed_hidden_size": 768, "d_ff": 24, "d_kv": 8, "num_hidden_layers": 1, "num_attention_heads": 2, "seq_len": 64}
    text = {"vocab_size": len(words), "hidden_size": 16, "d_ff": 24, "d_kv": 8, "num_layers": 1, "num_heads": 2, "decoder_start_token_id": 0}
    text |= {"eos_token_id": 1, "pad_token_id": 0}
    torch.manual_seed(0)
    Pix2StructForConditionalGeneration(Pix2StructConfig(vision_config=vision, text_config=text)).save_pretrained(folder)
    Tokenizer(models.WordLevel({w: i for i, w in enumerate(words)}, unk_token="<unk>")).save(str(folder / "tokenizer.json"))
    write_json(folder / "preprocessor_config.json", {"max_patches": 64, "patch_size": {"height": 16, "width": 16}, "is_vqa": True})
    return folder
