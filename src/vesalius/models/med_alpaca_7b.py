"""Visual Med-Alpaca of seven billion parameters: LLaMA-7B as published, a LoRA adapter, and what experts there are in a folder.

In: a folder. Out: a `MedAlpaca` ready to answer. None of its weights are published (the adapter and Med-GIT never were): they are the user's.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from vesalius.errors import WeightsError
from vesalius.models import checkpoint, experts, llama, lora, router, sentencepiece
from vesalius.models.captioners import DEPLOT, MED_GIT, DePlot, MedGit, open_part
from vesalius.models.cards import card
from vesalius.models.checkpoint import KeyMap
from vesalius.models.composition import Template
from vesalius.models.decoder import default_dtype
from vesalius.models.experts import Expert
from vesalius.models.med_alpaca import AlpacaPrompt, MedAlpaca
from vesalius.models.quantize import Held, afford, place
from vesalius.models.router import Kind

NAME = "visual-med-alpaca-7b"
ADAPTER = "adapter"  # a folder beside the language model's files
OFFICIAL = KeyMap("official", (), (r"rotary_emb\.inv_freq$",))
CONTEXT = 2048  # tokens LLaMA was trained with; its first published configurations do not say it


def load(device: str = "cpu", weights: Path | None = None, *, dtype: Held | None = None) -> MedAlpaca:
    """`visual-med-alpaca-7b`: LLaMA-7B as published, an adapter, and what experts there are.

    Args:
        weights: a folder with the language model's files, the adapter in `adapter/` (or beside them), and perhaps `med-git/` and `deplot/`; a kind of
            picture whose expert is absent has none. dtype: None takes the fastest that the device has.

    Raises:
        WeightsError: no folder, or one that lacks the language model or the adapter.
    """
    if weights is None:
        remedy = f"put LLaMA-7B (Hugging Face layout), {ADAPTER}/, {MED_GIT}/ and {DEPLOT}/ into one folder and name it: --model {NAME}:FOLDER"
        raise WeightsError(f"the weights of {NAME} do not come with this package", remedy=remedy)
    shape = _language_config(weights)
    beside = weights / ADAPTER if (weights / ADAPTER).is_dir() else weights
    config, adapter = lora.read_adapter(beside)
    kind = dtype or default_dtype(device)
    with torch.device("meta"):
        afford(NAME, llama.Llama(shape), kind, device)
    tokenizer = _tokenizer(weights)
    lm = llama.Llama(shape, blank=True)
    tensors = OFFICIAL.there_to_here(checkpoint.read(weights))
    if shape.tied and "lm_head.weight" not in tensors:
        tensors["lm_head.weight"] = tensors.get("model.embed_tokens.weight", torch.empty(0))
    checkpoint.fill(lm, tensors, where=str(weights))
    merged = lora.merge(lm, config, adapter, where=str(weights))
    place(lm, device, kind)
    template = Template(bos="<s>", stop=("</s>",), unscored=tuple(range(tokenizer.get_vocab_size(), shape.vocabulary)))
    about: dict[str, Any] = {"weights": checkpoint.fingerprint(checkpoint.files(weights)), "layout": OFFICIAL.name, "adapted": merged}
    about |= {"adapter": _fingerprint(beside, "adapter_model.*"), "router": checkpoint.fingerprint([router.SHIPPED / router.WEIGHTS])}
    about["experts"] = {name: _fingerprint(weights / name, "*") for name in (MED_GIT, DEPLOT) if (weights / name).is_dir()}
    return MedAlpaca(card(NAME), lm, AlpacaPrompt(tokenizer, template), router.load(), _Found(weights, device), about)


def _fingerprint(folder: Path, names: str) -> str:
    return checkpoint.fingerprint(sorted(path for path in folder.glob(names) if path.suffix in (".safetensors", ".bin")))


def _language_config(folder: Path) -> llama.Shape:
    try:
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise WeightsError(f"{folder}: config.json cannot be read", remedy="give the folder of LLaMA-7B in the Hugging Face layout") from error
    if config.get("model_type") != "llama":
        raise WeightsError(f"{folder}: is a checkpoint of {config.get('model_type')!r}, not of LLaMA", remedy="give LLaMA-7B in the Hugging Face layout")
    return llama.read_shape({"max_position_embeddings": config.get("max_sequence_length", CONTEXT), **config})


def _tokenizer(folder: Path) -> Any:  # noqa: ANN401 - the library is not typed
    if (folder / "tokenizer.model").exists():
        return sentencepiece.load(folder / "tokenizer.model")
    from tokenizers import Tokenizer

    return open_part(folder, "tokenizer.json", lambda path: Tokenizer.from_file(str(path)))


class _Found:
    """The experts of a folder, each loaded when it is first needed."""

    def __init__(self, folder: Path, device: str) -> None:
        self.folder, self.device = folder, device
        self._made: dict[str, Expert] = {}

    def __call__(self, kind: Kind) -> Expert:
        named: dict[Kind, tuple[str, Callable[[Path, str], Expert]]] = dict.fromkeys((Kind.XRAY, Kind.CT, Kind.MR), (MED_GIT, MedGit))
        named[Kind.PLOT] = (DEPLOT, DePlot)
        if kind not in named or not (self.folder / named[kind][0]).is_dir():
            return experts.none_for(kind)
        name, make = named[kind]
        if name not in self._made:
            self._made[name] = make(self.folder / name, self.device)
        return self._made[name]
