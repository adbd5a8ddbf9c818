"""A builder of a tiny official checkpoint for every family that answers in words from a folder."""

import json

from tests.checkpoints import biomedclip, chexagent, chexagent_8b, llava_med, llava_med_v1, llava_rad, med_alpaca, med_flamingo, stock


def _vicuna(folder):
    made = llava_med.official(folder, llava_med.Size(kv_heads=6))
    config = json.loads((made / "config.json").read_text())
    changes = {"model_type": "llava_llama", "architectures": ["LlavaLlamaForCausalLM"], "rope_theta": 10000.0}
    (made / "config.json").write_text(json.dumps({**config, **changes}))
    return made


def _alpaca(folder):
    made = med_alpaca.official(folder)
    med_alpaca.med_git(made / "med-git")
    return made


BUILDERS = {
    "llava-med-1.5-7b": llava_med.official,
    "llava-med-1.0-7b": llava_med_v1.official,
    "llava-med-13b": _vicuna,
    "llava-rad-7b": llava_rad.official,
    "chexagent-2-3b": chexagent.official,
    "chexagent-chapter": chexagent.chapter,
    "chexagent-8b": chexagent_8b.official,
    "med-flamingo-9b": med_flamingo.official,
    "medgemma-4b": stock.gemma,
    "lingshu-7b": stock.qwen,
    "qwen2.5-vl": stock.qwen,
    "biomedclip": biomedclip.official,
    "medsiglip": stock.siglip,
    "visual-med-alpaca-7b": _alpaca,
}
