"""LLaVA-Rad (Zambrano Chaves et al. 2025, doi 10.1038/s41467-025-58344-x; commit 1fc4409): BiomedCLIP-CXR at 518 px, a two-layer MLP, Vicuna-7B with LoRA.

In: a `Study`. Out: `Answer`s through the engine. Published are an adapter, a projector and the tower's training state; the language model is Vicuna-7B v1.5
as it was published, beside them. The adapter is merged when the model is loaded. The tower is DINOv2's ViT-B/14; what its layers' scales (LayerScale) would
multiply is multiplied into the matrices before them, so that it runs as any other tower.
"""

from __future__ import annotations

import dataclasses
import pickle
import re
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vesalius.domain.study import Study
from vesalius.errors import InvalidValue, WeightsError
from vesalius.formats.pixels import render
from vesalius.models import biomedclip, checkpoint, llama, llava, llava_med, looking, lora, sentencepiece
from vesalius.models.cards import card
from vesalius.models.checkpoint import KeyMap
from vesalius.models.composed import Composed
from vesalius.models.composition import Template
from vesalius.models.decoder import default_dtype
from vesalius.models.llava import ChunkPrompt
from vesalius.models.llava_med import CONTEXT
from vesalius.models.llava_vicuna import TEMPLATE, prompt_text
from vesalius.models.quantize import Held, afford, place
from vesalius.models.vit import VisionShape

__all__ = ["NAME", "TEMPLATE", "LlavaRad", "findings", "load", "prepare", "prompt_text", "read_config"]

NAME = "llava-rad-7b"
BASE, BASE_NAME = "base", "lmsys/vicuna-7b-v1.5"
TOWER_CONFIG, TOWER, PROJECTOR = "biomedclipcxr_518.json", "biomedclipcxr_518_checkpoint.pt", "non_lora_trainables.bin"
VIT_B_14_518 = VisionShape(image=518, patch=14, width=768, inner=3072, layers=12, heads=12, eps=1e-6, activation="gelu", pre_norm=False, bias=True)
TOWERS: Mapping[str, VisionShape] = MappingProxyType({"vit_base_patch14_dinov2": VIT_B_14_518})
LAYER = -2
_ASKED = "Provide a description of the findings in the radiology image"  # the question that the published model was trained on
_REMEDY = "name the model that the checkpoint is of"
_AGAIN = "fetch microsoft/llava-rad again"
OFFICIAL = KeyMap(
    "official",
    (
        ("base_model.model.model.mm_projector.0.", "projector.linear_1."),
        ("base_model.model.model.mm_projector.2.", "projector.linear_2."),
        ("model.", "lm.model."),
        ("lm_head.", "lm.lm_head."),
    ),
    (r"rotary_emb\.inv_freq$",),
)


def findings(indication: str | None = None) -> str:
    """The question that the published model was trained on: the findings of a frontal film, given why it was taken where that is known."""
    reason = (indication or "").replace("\n", " ").strip()
    return f"{_ASKED} given the following indication: {reason}" if reason else f"{_ASKED}."


def prepare(rendered: NDArray[np.uint8], size: int = 518) -> Tensor:
    """A rendered picture as the tower's input: shorter side to the tower's, middle cut out, normalised; what lies outside the middle is not seen.

    Args:
        rendered: (H, W) or (H, W, 3) uint8.

    Returns:
        [3, S, S] float32.

    Raises:
        InvalidValue: one side is more than 100 times the other.
    """
    return biomedclip.prepare(rendered, biomedclip.Preparation(size))


class RadPrompt(ChunkPrompt):
    """A prompt in two chunks around the image.

    Args:
        older: whether the tokenizer puts a blank before what follows a special token, as its configuration says ("legacy").
    """

    def __init__(self, tokenizer: Any, template: Template, *, older: bool) -> None:  # noqa: ANN401 - the library is not typed
        self.older = older
        super().__init__(tokenizer, template)

    def question(self, text: str) -> tuple[int, ...]:
        """Ids from the image to where the answer starts. Blanks around the question and "<image>" in it are taken away, as in the published evaluation.

        Raises:
            InvalidValue: nothing is left.
        """
        asked = text.replace("<image>", "").strip()
        if not asked:
            raise InvalidValue("a question must have text", remedy="ask something")
        return super().question(asked)

    def _fixed(self, text: str) -> tuple[int, ...]:
        first, *rest = text.split("</s>") if not self.tokenizer.encode_special_tokens else [text]
        ids = list(super()._fixed(first))
        for part in rest:
            ids += (self._special("</s>"), *self._following(super()._fixed(part), part))
        return tuple(ids)

    def _following(self, ids: tuple[int, ...], text: str) -> tuple[int, ...]:
        """Ids of what follows a special token; the published tokenizer takes the blank that it put before it away again, and from the first piece only."""
        piece = self.tokenizer.id_to_token(ids[0]) if ids else ""
        if self.older or text.startswith(" ") or not piece.startswith("\u2581"):
            return ids
        return (*(() if piece == "\u2581" else (self._piece(piece[1:]),)), *ids[1:])

    def _piece(self, text: str) -> int:
        found = self.tokenizer.token_to_id(text)
        return int(self._special("<unk>") if found is None else found)


class LlavaRad(Composed):
    """A `GenerativeModel`."""

    def pixels(self, study: Study) -> Tensor:
        """The key image as the tower's input [1, 3, S, S]."""
        weight = next(self.composition.tower.parameters())
        size = self.composition.tower.vision.shape.image  # type: ignore[union-attr]
        return prepare(render(study.image), int(size))[None].to(weight)  # type: ignore[arg-type]

    def to_image(self, grid: Tensor, rows: int, cols: int) -> NDArray[np.float32]:
        """A grid of image tokens over the middle square of the picture; 0 outside, which is not seen."""
        return looking.to_middle(grid, rows, cols)


@dataclasses.dataclass(frozen=True)
class Config:
    """What a checkpoint says of itself: the two shapes, the hidden state that is seen, the file of the tower's weights."""

    vision: VisionShape
    language: llama.Shape
    layer: int
    tower: Path


def read_config(folder: Path) -> Config:
    """The configuration of the published folder.

    The tower's numbers are those of the architecture that its own configuration names; `timm_model_kwargs` there may change them.

    Raises:
        WeightsError: a configuration is absent, of another model, or names an unknown tower.
    """
    config = checkpoint.read_json(folder / "config.json")
    kind, tower = config.get("model_type"), config.get("mm_vision_tower_checkpoint")
    if kind != "llava" or "vision_config" in config or not tower:
        raise WeightsError(f"{folder}: is a checkpoint of {kind!r}, not of LLaVA-Rad", remedy=_REMEDY)
    seen = config.get("mm_projector_type", "linear"), config.get("mm_vision_select_feature", "patch"), bool(config.get("mm_use_im_start_end"))
    if seen != ("mlp2x_gelu", "patch", False):
        raise WeightsError(f"{folder}: has another projector, choice of features or prompt than LLaVA-Rad", remedy=_REMEDY)
    text = {**config, "model_type": "llama", "max_position_embeddings": min(CONTEXT, int(config.get("max_position_embeddings", CONTEXT)))}
    named = folder / Path(str(config.get("mm_vision_tower_config"))).name
    vision = _vision(named if named.is_file() else folder / TOWER_CONFIG)
    return Config(vision, llama.read_shape(text), int(config.get("mm_vision_select_layer", LAYER)), folder / Path(str(tower)).name)


def _vision(path: Path) -> VisionShape:
    stated = checkpoint.read_json(path).get("vision_cfg")
    if not isinstance(stated, dict) or stated.get("timm_model_name") not in TOWERS:
        name = stated.get("timm_model_name") if isinstance(stated, dict) else None
        raise WeightsError(f"{path}: names the image tower {name!r}, which is not known", remedy=f"known: {', '.join(TOWERS)}")
    shape, changes = TOWERS[stated["timm_model_name"]], dict(stated.get("timm_model_kwargs") or {})
    width = int(changes.pop("embed_dim", shape.width))
    patch, layers = int(changes.pop("patch_size", shape.patch)), int(changes.pop("depth", shape.layers))
    heads, image = int(changes.pop("num_heads", shape.heads)), int(stated.get("image_size", shape.image))
    made = dataclasses.replace(shape, image=image, patch=patch, width=width, inner=4 * width, layers=layers, heads=heads)
    if changes or made.width % made.heads or made.image % made.patch:
        raise WeightsError(f"{path}: has an image tower of numbers that are not known or do not fit ({made}, {changes})", remedy=_REMEDY)
    return made


def _tower(path: Path) -> dict[str, Tensor]:
    """The image half of open_clip's training state, by our names, its scales multiplied in."""
    trunk = {n: t for n, t in _state(path).items() if n.startswith("visual.trunk.")}
    if not trunk:
        raise WeightsError(f"{path}: holds no image tower", remedy=_AGAIN)
    return {f"tower.{n}": t for n, t in biomedclip.there_to_here(unscaled(trunk)).items()}


def _state(path: Path) -> dict[str, Tensor]:
    # the training's schedule leaves NumPy's numbers in the state; what makes them again can do nothing else
    number = np._core.multiarray.scalar  # type: ignore[attr-defined]
    plain = [(number, "numpy.core.multiarray.scalar"), number, np.dtype, *(type(np.dtype(code)) for code in ("f4", "f8", "i8"))]
    try:
        with torch.serialization.safe_globals(plain):
            held = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
    except (OSError, RuntimeError, ValueError, EOFError, pickle.UnpicklingError) as error:
        raise WeightsError(f"{path}: cannot be read as weights ({str(error).splitlines()[0][:120]})", remedy=_AGAIN) from error
    held = held.get("state_dict", held) if isinstance(held, dict) else held
    if not isinstance(held, dict) or not all(isinstance(t, Tensor) for t in held.values()):
        raise WeightsError(f"{path}: holds something else than tensors by name", remedy=_AGAIN)
    return {str(n).removeprefix("module."): t for n, t in held.items()}


def unscaled(trunk: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """A trunk of timm without its scales: gamma * (W x + b) is (gamma W) x + gamma b. In float32; a trunk without scales stays as it is.

    Raises:
        WeightsError: a scale that does not fit the matrix before it.
    """
    out = dict(trunk)
    for name in [n for n in trunk if re.search(r"\.ls[12]\.gamma$", n)]:
        gamma = out.pop(name).float()
        before = name.removesuffix("ls1.gamma") + "attn.proj" if name.endswith("ls1.gamma") else name.removesuffix("ls2.gamma") + "mlp.fc2"
        for kind in ("weight", "bias"):
            scaled = out.get(f"{before}.{kind}")
            if scaled is None or len(scaled) != len(gamma):
                raise WeightsError(f"{name!r} scales {before!r}, which is absent or of another size", remedy=_AGAIN)
            out[f"{before}.{kind}"] = scaled.float() * (gamma if scaled.ndim == 1 else gamma[:, None])
    return out


def _language(weights: Path, base: Path | None) -> tuple[Path, dict[str, Tensor], Any, bool]:
    """Folder, tensors, tokenizer of the language model below the adapter, and whether the tokenizer is of the older behaviour."""
    where = base or weights / BASE
    if not where.is_dir():
        remedy = f"download {BASE_NAME} and name its folder: load(base=FOLDER), or put it at {weights / BASE}"
        raise WeightsError(f"{where}: no folder with the language model below the adapter", remedy=remedy)
    tokenizer = sentencepiece.load(where / "tokenizer.model") if (where / "tokenizer.model").exists() else llava_med.read_tokenizer(where)
    stated = checkpoint.read_json(where / "tokenizer_config.json") if (where / "tokenizer_config.json").exists() else {}
    return where, checkpoint.read(where), tokenizer, bool(stated.get("legacy", True))


def load(device: str = "cpu", weights: Path | None = None, *, base: Path | None = None, dtype: Held | None = None) -> LlavaRad:
    """The model from the published folder and the language model that it adapts.

    Args:
        weights: a folder of microsoft/llava-rad. base: a folder of lmsys/vicuna-7b-v1.5; None: `base/` inside.
        dtype: None takes the fastest that the device has. The adapter is merged in float32; the sum is kept as the language model is stored, in float16,
            or in float32 if that is asked for.

    Raises:
        WeightsError: no folder, or one that does not hold this model; no language model; no room.
    """
    if weights is None:
        raise checkpoint.absent(NAME)
    config, kind = read_config(weights), dtype or default_dtype(device)
    with torch.device("meta"):
        afford(NAME, llava.build(config.vision, config.language), kind, device)
    under, tensors, tokenizer, older = _language(weights, base)
    stated, adapter = lora.read_adapter(weights)
    composition = llava.build(config.vision, config.language, layer=config.layer)
    ours = OFFICIAL.there_to_here(tensors | checkpoint.read_file(weights / PROJECTOR)) | _tower(config.tower)
    checkpoint.fill(composition, ours, where=f"{weights} and {under}")
    if kind == torch.float32:
        composition.to(kind)
    merged = lora.merge(composition.lm, stated, adapter, where=str(weights))
    place(composition, device, kind)
    unscored = tuple(range(tokenizer.get_vocab_size(), config.language.vocabulary))
    prompt = RadPrompt(tokenizer, dataclasses.replace(TEMPLATE, unscored=unscored), older=older)
    own = [next(p for n in ("safetensors", "bin") if (p := weights / f"adapter_model.{n}").exists()), weights / PROJECTOR, config.tower]
    about = {"weights": checkpoint.fingerprint(own), "layout": OFFICIAL.name, "base": checkpoint.fingerprint(checkpoint.files(under)), "adapted": merged}
    return LlavaRad(card(NAME), composition, prompt, about)
