"""LLaVA-Med v1.5 (Li et al. 2023, arXiv 2306.00890; microsoft/llava-med-v1.5-mistral-7b): CLIP ViT-L/14 at 336 px, two-layer MLP, Mistral-7B.

In: a `Study`. Out: `Answer`s through the engine. The published code has a prompt, a padding and a tower source of its own; each is stated where it is used.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image as Picture
from torch import Tensor

from vesalius.domain.study import Study
from vesalius.errors import WeightsError
from vesalius.formats.pixels import render
from vesalius.models import checkpoint, llama, llava, sentencepiece
from vesalius.models.cards import card
from vesalius.models.composed import Composed
from vesalius.models.composition import Template
from vesalius.models.quantize import Held
from vesalius.models.vit import VisionShape, clip_shape

NAME = "llava-med-1.5-7b"
# conv "mistral_instruct" of the published code; its evaluation script defaults to "vicuna_v1", which is wrong for this model
TEMPLATE = Template(before="[INST] ", between="\n", after=" [/INST]", stop=("</s>",), bos="<s>")
MEAN, DEVIATION = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)
CLIP_L_336 = VisionShape(image=336, patch=14, width=1024, inner=4096, layers=24, heads=16)
TOWERS = {"openai/clip-vit-large-patch14-336": CLIP_L_336}
CONTEXT = 2048  # tokens the published model was trained with; its configuration says 32,768


def prompt_text(turns: Sequence[tuple[str, str | None]], *, system: str = "", images: int = 1) -> str:
    """The published prompt of a conversation; "<image>" marks where images go, all in the first turn.

    Args:
        turns: (question, answer); the last answer is None, for the model to give.
    """
    out = ""
    for number, (question, answer) in enumerate(turns):
        asked = "<image>\n" * images + question if number == 0 else question
        if number == 0 and system:
            asked = f"<<SYS>>\n{system}\n<</SYS>>\n\n{asked}"
        out += f"[INST] {asked} [/INST]"
        if answer is not None:
            out += f" {answer} </s>"
    return out


def prepare(rendered: NDArray[np.uint8], size: int = 336) -> Tensor:
    """A rendered picture as the tower's input: padded to a square with CLIP's mean colour, resized bicubically, normalised.

    The published padding draws between two neighbouring offsets by chance when the border is odd or even alike; here it is always the smaller one.

    Args:
        rendered: (H, W) or (H, W, 3) uint8.

    Returns:
        [3, S, S] float32.
    """
    picture = Picture.fromarray(rendered).convert("RGB")
    side = max(picture.size)
    square = Picture.new("RGB", (side, side), tuple(int(255 * m) for m in MEAN))
    square.paste(picture, ((side - picture.width) // 2, (side - picture.height) // 2))
    values = torch.from_numpy(np.array(square.resize((size, size), Picture.Resampling.BICUBIC))).float() / 255
    return ((values - torch.tensor(MEAN)) / torch.tensor(DEVIATION)).permute(2, 0, 1)


class LlavaMed(Composed):
    """A `GenerativeModel`."""

    def pixels(self, study: Study) -> Tensor:
        """The key image as the tower's input [1, 3, S, S]."""
        weight = next(self.composition.tower.parameters())
        size = self.composition.tower.vision.shape.image  # type: ignore[union-attr]
        return prepare(render(study.image), int(size))[None].to(weight)  # type: ignore[arg-type]


def read_config(folder: Path) -> tuple[VisionShape, llama.Shape, int, int | None]:
    """Shapes of tower and language model, the feature layer, and the row of `<image>` where the vocabulary has one.

    The official layout does not store the tower's numbers but its name; a name that is a folder is read.

    Raises:
        WeightsError: the configuration is absent, of another model, or names an unknown tower.
    """
    try:
        config: dict[str, Any] = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise WeightsError(f"{folder}: config.json cannot be read", remedy="give the folder of a published checkpoint") from error
    kind = config.get("model_type")
    if kind == "llava":
        vision, text = clip_shape(config["vision_config"]), llama.read_shape(_mistral(config["text_config"]))
        return vision, text, int(config.get("vision_feature_layer", -2)), int(config.get("image_token_index", config.get("image_token_id", 32000)))
    if kind != "llava_mistral":
        raise WeightsError(f"{folder}: is a checkpoint of {kind!r}, not of LLaVA-Med 1.5", remedy="name the model that the checkpoint is of")
    if config.get("mm_use_im_start_end") or config.get("mm_projector_type", "mlp2x_gelu") != "mlp2x_gelu":
        raise WeightsError(f"{folder}: has another projector or prompt than LLaVA-Med 1.5", remedy="name the model that the checkpoint is of")
    return tower_shape(folder, str(config.get("mm_vision_tower"))), llama.read_shape(_mistral(config)), int(config.get("mm_vision_select_layer", -2)), None


def _mistral(config: dict[str, Any]) -> dict[str, Any]:
    return {**config, "model_type": "mistral", "max_position_embeddings": min(CONTEXT, int(config.get("max_position_embeddings", CONTEXT)))}


def tower_shape(folder: Path, name: str) -> VisionShape:
    """The numbers of an image tower by its published name, or from the folder of that name beside the weights.

    Raises:
        WeightsError: neither is known.
    """
    if name in TOWERS:
        return TOWERS[name]
    path = folder / name / "config.json"
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise WeightsError(f"{folder}: names the image tower {name!r}, which is not known", remedy=f"known: {', '.join(TOWERS)}") from error
    return clip_shape(config.get("vision_config", config))


def read_tokenizer(folder: Path) -> Any:  # noqa: ANN401 - the library is not typed
    """`tokenizer.json` as it stands, else `tokenizer.model`.

    Raises:
        WeightsError: neither is there, or it cannot be read.
    """
    from tokenizers import Tokenizer

    if (folder / "tokenizer.json").exists():
        try:
            return Tokenizer.from_file(str(folder / "tokenizer.json"))
        except Exception as error:  # the library raises plain exceptions
            raise WeightsError(f"{folder}: tokenizer.json cannot be read ({error})", remedy="fetch the checkpoint again") from error
    return sentencepiece.load(folder / "tokenizer.model")


def load(device: str = "cpu", weights: Path | None = None, *, tower: Path | None = None, dtype: Held | None = None) -> LlavaMed:
    """The model from a checkpoint of the official or a converted layout.

    Args:
        weights: the folder. tower: a folder with CLIP weights to use instead of the stored ones: the published code takes OpenAI's from the hub and
            ignores what the checkpoint stores, so the two differ if the stored tower was tuned. dtype: None takes the fastest that the device has.

    Raises:
        WeightsError: no folder, or one that does not hold this model.
    """
    if weights is None:
        raise checkpoint.absent(NAME)
    plan = llava.Plan(NAME, *read_config(weights), TEMPLATE)
    composition, prompt, about = llava.assemble(plan, weights, read_tokenizer(weights), device=device, tower=tower, dtype=dtype)
    return LlavaMed(card(NAME), composition, prompt, about)
