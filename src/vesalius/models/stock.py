"""Models that load with classes of `transformers` as they stand: MedGemma (Gemma 3), Lingshu and its kin (Qwen2.5-VL).

In: a folder in its published layout, from which weights, numbers, tokenizer, chat template and the preparation of pictures come. Out: a `Stock` model.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path

import torch

from vesalius.errors import WeightsError
from vesalius.models import checkpoint
from vesalius.models.base import ModelCard
from vesalius.models.cards import card as known
from vesalius.models.decoder import default_dtype
from vesalius.models.quantize import Held, Packed, afford, place
from vesalius.models.stock_files import empty, read_config, read_pictures, read_weights
from vesalius.models.stock_model import Stock
from vesalius.models.stock_prompt import Family, read_prompt

MEDGEMMA = Family(
    name="medgemma-4b",
    source="google/medgemma-4b-it",
    model="Gemma3ForConditionalGeneration",
    pictures="Gemma3ImageProcessorPil",
    marks=("boi_token_index", "eoi_token_index"),
)
LINGSHU = Family(
    name="lingshu-7b",
    source="lingshu-medical-mllm/Lingshu-7B",
    model="Qwen2_5_VLForConditionalGeneration",
    pictures="Qwen2VLImageProcessorPil",
    grid=True,
)


def dtype_for(device: str) -> torch.dtype:
    """The fastest dtype, but never float16, whose range the activations of these language models exceed."""
    fastest = default_dtype(device)
    return torch.float32 if fastest == torch.float16 else fastest


def load(
    family: Family,
    device: str = "cpu",
    weights: Path | None = None,
    *,
    dtype: Held | None = None,
    facts: ModelCard | None = None,
    share: bool = True,
) -> Stock:
    """A model of a family from a checkpoint in its published layout.

    Args:
        weights: the folder. dtype: None takes the fastest that the device has and the model bears. facts: its card; None takes the one known by the family's
            name. share: keep keys and values of an image for all its questions.

    Raises:
        WeightsError: no folder, or one that does not hold this model; nothing is downloaded.
    """
    if weights is None:
        raise checkpoint.absent(family.name)
    if not weights.is_dir():
        raise WeightsError(f"{weights}: not a folder of weights", remedy=f"give the folder of {family.source}")
    config = read_config(weights, family.model)
    prompt, pictures = read_prompt(weights, family, config), read_pictures(weights, family.pictures)
    kind = dtype or dtype_for(device)
    afford(family.name, empty(family.model, config), kind, device)
    model = read_weights(weights, family.model, config, "auto" if isinstance(kind, Packed) else kind)
    place(model, device, kind)
    about = {"weights": checkpoint.fingerprint(checkpoint.files(weights)), "layout": "transformers", "class": family.model}
    return Stock(facts or known(family.name), family, model, prompt, pictures, about, share=share)


def medgemma(device: str = "cpu", weights: Path | None = None, *, dtype: Held | None = None, facts: ModelCard | None = None) -> Stock:
    """MedGemma (google/medgemma-4b-it, or another size of it), as `load`."""
    return load(MEDGEMMA, device, weights, dtype=dtype, facts=facts)


def lingshu(device: str = "cpu", weights: Path | None = None, *, dtype: Held | None = None, facts: ModelCard | None = None) -> Stock:
    """Lingshu (lingshu-medical-mllm/Lingshu-7B), or another model of Qwen2.5-VL's class, as `load`."""
    return load(LINGSHU, device, weights, dtype=dtype, facts=facts)


def kin(device: str = "cpu", weights: Path | None = None, *, dtype: Held | None = None) -> Stock:
    """Another model of Qwen2.5-VL's class (HuatuoGPT-Vision-7B-Qwen2.5VL and the like), as `load`."""
    return load(dataclasses.replace(LINGSHU, name="qwen2.5-vl", source="a model of Qwen2.5-VL's class"), device, weights, dtype=dtype)
