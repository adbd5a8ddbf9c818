"""LLaVA with Vicuna-13B as the literature has it of LLaVA-Med: CLIP ViT-L/14 at 336 px, a two-layer MLP, LLaMA's shape of 13 billion parameters.

In: a `Study`. Out: `Answer`s through the engine. No such weights of LLaVA-Med were ever released: this declares the configuration, and loads what is trained
or had elsewhere in the layouts of the LLaVA project.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from vesalius.errors import WeightsError
from vesalius.models import llama, llava, llava_med
from vesalius.models.cards import card
from vesalius.models.composition import Template
from vesalius.models.llava_med import CONTEXT, LlavaMed
from vesalius.models.quantize import Held
from vesalius.models.vit import VisionShape, clip_shape

NAME = "llava-med-13b"
SYSTEM = (
    "A chat between a curious user and an artificial intelligence assistant. The assistant gives helpful, detailed, and polite answers to the user's questions."
)
TEMPLATE = Template(before=f"{SYSTEM} USER: ", between="\n", after=" ASSISTANT:", stop=("</s>",), bos="<s>")  # conv "vicuna_v1" of the LLaVA project
VICUNA_13B = llama.Shape(32000, 5120, 13824, 40, 40, 40, 128, CONTEXT, 1e4, 1e-5, tied=False)
KINDS = ("llava_llama", "llava")  # the LLaVA project's names over time; "llava" is also the converted layouts'


def prompt_text(turns: Sequence[tuple[str, str | None]], *, system: str = SYSTEM, images: int = 1) -> str:
    """The published prompt of a conversation; "<image>" marks where images go, all in the first turn.

    Args:
        turns: (question, answer); the last answer is None, for the model to give.
    """
    out = system + " "
    for number, (question, answer) in enumerate(turns):
        asked = "<image>\n" * images + question if number == 0 else question
        out += f"USER: {asked} ASSISTANT:"
        if answer is not None:
            out += f" {answer}</s>"
    return out


class LlavaVicuna(LlavaMed):
    """A `GenerativeModel`; pictures are prepared as for LLaVA-Med 1.5."""


def read_config(folder: Path) -> tuple[VisionShape, llama.Shape, int, int | None]:
    """Shapes of tower and language model, the feature layer, and the row of `<image>` where the vocabulary has one.

    Raises:
        WeightsError: the configuration is absent, of another model, or names an unknown tower.
    """
    try:
        config: dict[str, Any] = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise WeightsError(f"{folder}: config.json cannot be read", remedy="give the folder of a checkpoint in a layout of the LLaVA project") from error
    kind = config.get("model_type")
    if kind not in KINDS:
        raise WeightsError(f"{folder}: is a checkpoint of {kind!r}, not of LLaVA with Vicuna", remedy="name the model that the checkpoint is of")
    if "vision_config" in config:
        row = int(config.get("image_token_index", config.get("image_token_id", 32000)))
        return clip_shape(config["vision_config"]), _language(folder, config["text_config"]), int(config.get("vision_feature_layer", -2)), row
    if config.get("mm_use_im_start_end") or config.get("mm_projector_type", "linear") != "mlp2x_gelu":
        raise WeightsError(f"{folder}: has another projector or prompt than two layers and vicuna_v1", remedy="name the model that the checkpoint is of")
    layer = int(config.get("mm_vision_select_layer", -2))
    return llava_med.tower_shape(folder, str(config.get("mm_vision_tower"))), _language(folder, {**config, "model_type": "llama"}), layer, None


def _language(folder: Path, config: dict[str, Any]) -> llama.Shape:
    if config.get("model_type") != "llama":
        raise WeightsError(f"{folder}: its language model is {config.get('model_type')!r}, not LLaMA's", remedy="name the model that the checkpoint is of")
    return llama.read_shape({**config, "max_position_embeddings": min(CONTEXT, int(config.get("max_position_embeddings", CONTEXT)))})


def load(device: str = "cpu", weights: Path | None = None, *, tower: Path | None = None, dtype: Held | None = None) -> LlavaVicuna:
    """The model from a checkpoint in the LLaVA project's layout or a converted one.

    Args:
        weights: the folder. tower: a folder with CLIP weights, where the checkpoint stores none, or instead of those it stores.
            dtype: None takes the fastest that the device has.

    Raises:
        WeightsError: no folder, or one that does not hold this model.
    """
    if weights is None:
        remedy = f"train one, or name the folder of one in the layout of the LLaVA project: --model {NAME}:FOLDER"
        raise WeightsError(f"the weights of {NAME} were never released, and none come with this package", remedy=remedy)
    plan = llava.Plan(NAME, *read_config(weights), TEMPLATE)
    composition, prompt, about = llava.assemble(plan, weights, llava_med.read_tokenizer(weights), device=device, tower=tower, dtype=dtype)
    return LlavaVicuna(card(NAME), composition, prompt, about)
