"""MedGemma, Lingshu and MedSigLIP in small: saved by the stock classes themselves, with tokenizers and chat templates of the published structure."""

import torch

from tests.checkpoints import spm
from tests.checkpoints.chexagent import byte_pairs, letters
from tests.checkpoints.common import write_json
from vesalius.domain.study import Image, Intensity, Modality, single
from vesalius.models.base import ModelCard, Task

GEMMA_TEMPLATE = """{{ bos_token }}
{%- if messages[0]['role'] == 'system' -%}
    {%- set first_user_prefix = messages[0]['content'][0]['text'] + '\\n\\n' -%}
    {%- set loop_messages = messages[1:] -%}
{%- else -%}
    {%- set first_user_prefix = "" -%}
    {%- set loop_messages = messages -%}
{%- endif -%}
{%- for message in loop_messages -%}
    {%- if (message['role'] == 'user') != (loop.index0 % 2 == 0) -%}
        {{ raise_exception("Conversation roles must alternate") }}
    {%- endif -%}
    {%- set role = "model" if message['role'] == 'assistant' else message['role'] -%}
    {{ '<start_of_turn>' + role + '\\n' + (first_user_prefix if loop.first else "") }}
    {%- if message['content'] is string -%}
        {{ message['content'] | trim }}
    {%- else -%}
        {%- for item in message['content'] -%}
            {%- if item['type'] == 'image' -%}
                {{ '<start_of_image>' }}
            {%- elif item['type'] == 'text' -%}
                {{ item['text'] | trim }}
            {%- endif -%}
        {%- endfor -%}
    {%- endif -%}
    {{ '<end_of_turn>\\n' }}
{%- endfor -%}
{%- if add_generation_prompt -%}
    {{'<start_of_turn>model\\n'}}
{%- endif -%}
"""
QWEN_TEMPLATE = (
    "{% for message in messages %}{% if loop.first and message['role'] != 'system' %}<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n{% endif %}"
    "<|im_start|>{{ message['role'] }}\n{% if message['content'] is string %}{{ message['content'] }}<|im_end|>\n{% else %}"
    "{% for content in message['content'] %}{% if content['type'] == 'image' or 'image' in content %}<|vision_start|><|image_pad|><|vision_end|>"
    "{% elif content['type'] == 'video' or 'video' in content %}<|vision_start|><|video_pad|><|vision_end|>{% elif 'text' in content %}{{ content['text'] }}"
    "{% endif %}{% endfor %}<|im_end|>\n{% endif %}{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
GEMMA_TOKENS = ("<pad>", "<eos>", "<bos>", "<unk>", "<start_of_turn>", "<end_of_turn>", "<start_of_image>", "<end_of_image>")
SOFT = "<image_soft_token>"
QWEN_TOKENS = (
    *("<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|object_ref_start|>", "<|object_ref_end|>", "<|box_start|>", "<|box_end|>"),
    *("<|vision_start|>", "<|vision_end|>", "<|vision_pad|>", "<|image_pad|>", "<|video_pad|>"),
)
GEMMA_ROWS, QWEN_ROWS = 720, 512


def card(name):
    """A card for a tiny model."""
    return ModelCard(name, "tiny", (Task.VQA,), "none", ("CR",), ("CHEST",), ("en",), 512, 4, 1, "tests", "0")


def study(number=0, shape=(40, 56)):
    """A study of random colours."""
    shown = torch.randint(0, 256, (1, *shape, 3), generator=torch.Generator().manual_seed(number), dtype=torch.uint8).numpy()
    return single(Image(shown, Intensity.COLOUR, Modality.OT))


def shuffled(model, seed=0):
    """Every weight random, so that no layer is silent: norms around their neutral value, everything else around 0."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, parameter in sorted(model.named_parameters()):
            parameter.copy_(torch.randn(parameter.shape, generator=generator) * 0.2 + ("norm" in name and float(parameter.mean() > 0.5)))
    return model


def gemma_tokenizer():
    """Byte-pair pieces with byte fallback, blanks as U+2581; the image's soft token comes last, as published."""
    from tokenizers import AddedToken, Tokenizer, decoders, models, normalizers

    joined, found = spm._joined(250)
    words = [*GEMMA_TOKENS, *(f"<0x{i:02X}>" for i in range(256)), "\n\n", *dict.fromkeys([*found, "\u2581", *joined])]
    ids = {word: i for i, word in enumerate(dict.fromkeys(words))}
    merges = [(piece[:cut], piece[cut:]) for piece in joined for cut in range(1, len(piece)) if piece[:cut] in ids and piece[cut:] in ids]
    tokenizer = Tokenizer(models.BPE(vocab=ids, merges=merges, unk_token="<unk>", fuse_unk=True, byte_fallback=True))
    tokenizer.normalizer = normalizers.Replace(" ", "\u2581")
    tokenizer.decoder = decoders.Sequence([decoders.Replace("\u2581", " "), decoders.ByteFallback(), decoders.Fuse()])
    tokenizer.add_special_tokens([AddedToken(t, normalized=False, special=True) for t in (*GEMMA_TOKENS, SOFT)])
    tokenizer.add_tokens([AddedToken("\n\n", normalized=False, special=False)])
    return tokenizer


def qwen_tokenizer():
    """Byte-level pairs, then control tokens, then one added token that is no control token."""
    from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers

    merges = byte_pairs()
    words = [*letters(), *dict.fromkeys("".join(pair) for pair in merges)]
    tokenizer = Tokenizer(models.BPE(vocab={w: i for i, w in enumerate(words)}, merges=merges))
    tokenizer.pre_tokenizer, tokenizer.decoder = pre_tokenizers.ByteLevel(add_prefix_space=False), decoders.ByteLevel()
    tokenizer.add_special_tokens([AddedToken(t, normalized=False, special=True) for t in QWEN_TOKENS])
    tokenizer.add_tokens([AddedToken("<tool_call>", normalized=False, special=False)])
    return tokenizer


def gemma(folder, seed=0):
    """Gemma 3 with a sliding window shorter than a prompt, in two shards."""
    from transformers import Gemma3Config, Gemma3ForConditionalGeneration, Gemma3ImageProcessorPil

    tokenizer = gemma_tokenizer()
    number = tokenizer.token_to_id
    text = {
        "vocab_size": GEMMA_ROWS,
        "hidden_size": 32,
        "intermediate_size": 48,
        "num_hidden_layers": 4,
        "num_attention_heads": 2,
        "num_key_value_heads": 1,
        "head_dim": 16,
        "query_pre_attn_scalar": 16,
        "sliding_window": 12,
        "sliding_window_pattern": 2,
        "max_position_embeddings": 512,
        "pad_token_id": 0,
        "eos_token_id": 1,
        "bos_token_id": 2,
    }
    vision = {
        "model_type": "siglip_vision_model",
        "hidden_size": 24,
        "intermediate_size": 40,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "image_size": 32,
        "patch_size": 8,
        "vision_use_head": False,
    }
    config = Gemma3Config(
        text_config=text,
        vision_config=vision,
        mm_tokens_per_image=4,
        boi_token_index=number("<start_of_image>"),
        eoi_token_index=number("<end_of_image>"),
        image_token_index=number(SOFT),
        eos_token_id=[1, number("<end_of_turn>")],
    )
    model = shuffled(Gemma3ForConditionalGeneration(config), seed)
    model.generation_config.update(eos_token_id=[1, number("<end_of_turn>")], pad_token_id=0, bos_token_id=2)
    model.save_pretrained(folder, max_shard_size="60KB")
    Gemma3ImageProcessorPil(size={"height": 32, "width": 32}, do_convert_rgb=None).save_pretrained(folder)
    tokenizer.save(str(folder / "tokenizer.json"))
    named = {
        "boi_token": "<start_of_image>",
        "eoi_token": "<end_of_image>",
        "image_token": SOFT,
        "bos_token": "<bos>",
        "eos_token": "<eos>",
        "pad_token": "<pad>",
        "unk_token": "<unk>",
    }
    write_json(folder / "tokenizer_config.json", {"processor_class": "Gemma3Processor", "tokenizer_class": "GemmaTokenizer", **named})
    (folder / "chat_template.jinja").write_text(GEMMA_TEMPLATE, encoding="utf-8")
    return folder


def qwen(folder, seed=0):
    """Qwen2.5-VL with its template in `chat_template.json`."""
    from transformers import Qwen2_5_VLConfig, Qwen2_5_VLForConditionalGeneration, Qwen2VLImageProcessorPil

    tokenizer = qwen_tokenizer()
    number = tokenizer.token_to_id
    text = {
        "vocab_size": QWEN_ROWS,
        "hidden_size": 32,
        "intermediate_size": 48,
        "num_hidden_layers": 3,
        "num_attention_heads": 2,
        "num_key_value_heads": 1,
        "max_position_embeddings": 512,
        "rope_parameters": {"rope_type": "default", "mrope_section": [2, 3, 3], "rope_theta": 1000000.0},
        "eos_token_id": number("<|im_end|>"),
        "bos_token_id": number("<|endoftext|>"),
        "tie_word_embeddings": False,
    }
    vision = {
        "depth": 2,
        "hidden_size": 32,
        "intermediate_size": 40,
        "num_heads": 2,
        "out_hidden_size": 32,
        "patch_size": 4,
        "window_size": 16,
        "fullatt_block_indexes": [1],
    }
    config = Qwen2_5_VLConfig(
        text_config=text,
        vision_config=vision,
        tie_word_embeddings=False,
        image_token_id=number("<|image_pad|>"),
        video_token_id=number("<|video_pad|>"),
        vision_start_token_id=number("<|vision_start|>"),
        vision_end_token_id=number("<|vision_end|>"),
    )
    model = shuffled(Qwen2_5_VLForConditionalGeneration(config), seed)
    model.generation_config.update(eos_token_id=[number("<|im_end|>"), number("<|endoftext|>")], pad_token_id=number("<|endoftext|>"))
    model.save_pretrained(folder)
    Qwen2VLImageProcessorPil(patch_size=4, min_pixels=64, max_pixels=1024).save_pretrained(folder)
    tokenizer.save(str(folder / "tokenizer.json"))
    named = {"eos_token": "<|im_end|>", "pad_token": "<|endoftext|>", "bos_token": None}
    write_json(folder / "tokenizer_config.json", {"processor_class": "Qwen2_5_VLProcessor", "tokenizer_class": "Qwen2Tokenizer", **named})
    write_json(folder / "chat_template.json", {"chat_template": QWEN_TEMPLATE})
    return folder


def unigram():
    """The bytes of a `spiece.model` with pieces for a few words and every letter, as SigLIP's: </s> is 1, <unk> is 2."""
    letters_ = "abcdefghijklmnopqrstuvwxyz0123456789"
    rows = [("<pad>", 0.0, 3), ("</s>", 0.0, 3), ("<unk>", 0.0, 2), ("\u2581", -3.0, 1)]
    whole = dict.fromkeys(w.lower() for w in spm.WORDS)
    rows += [(f"\u2581{w}", -4.0 - i / 8, 1) for i, w in enumerate(whole)]
    rows += [(w, -4.5 - i / 8, 1) for i, w in enumerate(("s", "ing", "ion", "al", "ed")) if len(w) > 1]
    rows += [(c, -9.0 - i / 16, 1) for i, c in enumerate(letters_)]
    trainer = spm._varint(3 << 3) + spm._varint(1)
    normalizer = b"".join(spm._varint(n << 3) + spm._varint(v) for n, v in ((3, 0), (4, 1), (5, 1)))
    return b"".join(spm._piece(*row) for row in rows) + spm._field(2, trainer) + spm._field(3, spm._field(1, b"identity") + normalizer)


def siglip(folder, seed=0):
    """SigLIP of two towers."""
    from transformers import SiglipConfig, SiglipImageProcessorPil, SiglipModel

    both = {"hidden_size": 24, "intermediate_size": 40, "num_hidden_layers": 2, "num_attention_heads": 2}
    tokens = {"bos_token_id": 1, "eos_token_id": 1, "pad_token_id": 1}
    text = {**both, **tokens, "vocab_size": 160, "max_position_embeddings": 16, "projection_size": 24}
    config = SiglipConfig(text_config=text, vision_config={**both, "image_size": 32, "patch_size": 8})
    model = shuffled(SiglipModel(config), seed)
    model.save_pretrained(folder)
    SiglipImageProcessorPil(size={"height": 32, "width": 32}).save_pretrained(folder)
    (folder / "spiece.model").write_bytes(unigram())
    named = {"eos_token": "</s>", "pad_token": "</s>", "unk_token": "<unk>", "model_max_length": 16}
    write_json(folder / "tokenizer_config.json", {"processor_class": "SiglipProcessor", "tokenizer_class": "SiglipTokenizer", "do_lower_case": True, **named})
    return folder
