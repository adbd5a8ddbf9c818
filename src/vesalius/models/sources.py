"""Where the weights of each family are on the hub, and where its loader expects them: a table of plain data.

In: a model's name. Out: the repositories, which of their files are needed, and the folders they go to. No torch here.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from types import MappingProxyType

from vesalius.errors import UserError
from vesalius.models.cards import MODELS, REMOTE
from vesalius.models.known import CARDS

Patterns = tuple[str, ...]
SAFE: Patterns = ("model*.safetensors", "model.safetensors.index.json")
PICKLED: Patterns = ("pytorch_model*.bin", "pytorch_model.bin.index.json")
SETTINGS: Patterns = ("*.json",)  # of folders inside too: a tower's numbers may stand there
PIECES: Patterns = (*SETTINGS, "tokenizer.model")


@dataclasses.dataclass(frozen=True)
class Part:
    """One repository of a family.

    Args:
        name: of the part. repository: on the hub. folder: inside the model's folder, where its files go; "" is the model's folder itself.
        revision: commit, or the beginning of one, or a branch. weights: sets of patterns; the first of which the repository has a file is taken, the others
            hold the same tensors again. needed: files without which nothing works. beside: patterns of what else is taken.
        consumed: whether the part is no longer needed once the model has been put together.
    """

    name: str
    repository: str
    folder: str = ""
    revision: str = "main"
    weights: tuple[Patterns, ...] = (SAFE, PICKLED)
    needed: Patterns = ("config.json",)
    beside: Patterns = PIECES
    consumed: bool = False


@dataclasses.dataclass(frozen=True)
class Plan:
    """What a family is made of.

    Args:
        parts: the family's own repository first. add: names of the base and of the differences that are added to it. note: what must be known of it.
    """

    name: str
    parts: tuple[Part, ...]
    add: tuple[str, str] | None = None
    note: str = ""


_LLAMA_NOTE = "LLaMA-7B comes from a copy by others: Meta's licence of its first version applies, research only"
_LLAMA = Part("llama", "huggyllama/llama-7b", "llama", needed=("config.json", "tokenizer.model"))
# the copy that the authors of Med-Flamingo name is gone, this is one of it: its tokenizer opens a text with another token
_LLAMA_OPENING = dataclasses.replace(_LLAMA, repository="baffo32/decapoda-research-llama-7B-hf")
_CLIP = Part("clip", "openai/clip-vit-large-patch14", "clip", beside=("config.json", "preprocessor_config.json"))
_ALL = (
    Plan("llava-med-1.5-7b", (Part("weights", "microsoft/llava-med-v1.5-mistral-7b", revision="91bb16c1"),)),
    Plan(
        "llava-med-1.0-7b",
        (
            Part("delta", "microsoft/llava-med-7b-delta", "parts/delta", consumed=True),
            dataclasses.replace(_LLAMA, folder="parts/llama", consumed=True),
            dataclasses.replace(_CLIP, folder=_CLIP.repository),  # the checkpoint names its tower, relative to itself
        ),
        add=("llama", "delta"),
        note=_LLAMA_NOTE,
    ),
    Plan("chexagent-2-3b", (Part("weights", "StanfordAIMI/CheXagent-2-3b", revision="8f19b53a", beside=(*SETTINGS, "merges.txt")),)),
    Plan("chexagent-8b", (Part("weights", "StanfordAIMI/CheXagent-8b", revision="4934e914"),)),
    Plan(
        "llava-rad-7b",
        (
            Part(
                "weights",
                "microsoft/llava-rad",
                revision="dcdbc6ca",
                weights=(("adapter_model.safetensors",), ("adapter_model.bin",)),
                needed=(*("config.json", "adapter_config.json"), *("non_lora_trainables.bin", "biomedclipcxr_518.json", "biomedclipcxr_518_checkpoint.pt")),
            ),
            Part("base", "lmsys/vicuna-7b-v1.5", "base", needed=("config.json", "tokenizer.model")),
        ),
    ),
    Plan(
        "med-flamingo-9b",
        (Part("weights", "med-flamingo/med-flamingo", weights=(("model.pt",),), needed=(), beside=()), _LLAMA_OPENING, _CLIP),
        note=_LLAMA_NOTE,
    ),
    Plan(
        "biomedclip",
        (
            Part(
                "weights",
                "microsoft/BiomedCLIP-PubMedBERT_256-vit_base_patch16_224",
                revision="9f341de2",
                weights=(("open_clip_model.safetensors",), ("open_clip_pytorch_model.safetensors",), ("open_clip_pytorch_model.bin",)),
                needed=("open_clip_config.json",),
                beside=(*SETTINGS, "vocab.txt"),
            ),
        ),
    ),
    Plan("medgemma-4b", (Part("weights", "google/medgemma-4b-it", weights=(SAFE,), beside=(*SETTINGS, "*.jinja")),)),
    Plan("lingshu-7b", (Part("weights", "lingshu-medical-mllm/Lingshu-7B", weights=(SAFE,), beside=(*SETTINGS, "*.jinja")),)),
    Plan("medsiglip", (Part("weights", "google/medsiglip-448", weights=(SAFE,), beside=(*SETTINGS, "spiece.model")),)),
)
PLANS: Mapping[str, Plan] = MappingProxyType({p.name: p for p in _ALL})
_REFUSED: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        "pocket": ("comes with this package", "use it as it is"),
        "visual-med-alpaca-pocket": ("comes with this package", "use it as it is"),
        "visual-med-alpaca-7b": (
            "has nothing to be fetched: its authors published no weights",
            "put LLaMA-7B in a folder, an adapter trained by the published script in its folder 'adapter', and give --model visual-med-alpaca-7b:FOLDER",
        ),
        "llava-med-13b": (
            "has nothing to be fetched: no such weights were ever released",
            "name the folder of weights that were trained or had elsewhere: --model llava-med-13b:FOLDER",
        ),
        "qwen2.5-vl": (
            "is any model of that class: it is not known which is meant",
            "download the one you mean and give --model qwen2.5-vl:FOLDER, or fetch lingshu-7b",
        ),
        "chexagent-chapter": (
            "has nothing to be fetched: no such weights were ever released",
            "use chexagent-2-3b, or name the folder of weights that were trained or had elsewhere: --model chexagent-chapter:FOLDER",
        ),
        REMOTE: ("has its weights elsewhere", "describe the endpoint in endpoints.toml"),
    }
)


def plan(name: str) -> Plan:
    """What has to be fetched for a model.

    Raises:
        UnknownName: no model is called that. UserError: there is nothing to fetch, and why.
    """
    target = MODELS.target(name)
    if name in PLANS:
        return PLANS[name]
    known = CARDS.get(name)
    other = f"has nothing to be fetched: its weights are {known.weights!r}" if known else f"comes from another package ({target})"
    what, remedy = _REFUSED.get(name, (other, f"'vesalius models show {name}' says what is known of it"))
    raise UserError(f"{name} {what}", remedy=remedy)
