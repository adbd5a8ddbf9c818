"""`pocket`, the default model: a small Med-VLM that runs offline on two CPU cores and is honest about being small.

EfficientNet-Lite0 tower -> MLP projectors (81 image tokens) -> late fusions with the states of SmolLM2-135M-Instruct, LoRA adapters in its upper layers.
In: a `Study`. Out: `Answer`s through the engine. Everything its numbers depend on is here: preparation, template, where adapters sit, how a record
becomes an answer. Weights of tower, projector, fusion and adapters ship with the package (made by `recipes/pocket.toml`); the language model's come
from `models.weights`.
"""

from __future__ import annotations

import dataclasses
import functools
import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from vesalius.domain.exchange import Answer, Question
from vesalius.domain.study import Study
from vesalius.errors import WeightsError
from vesalius.formats.pixels import render
from vesalius.models import efficientnet, llama
from vesalius.models import weights as language_models
from vesalius.models.cards import card
from vesalius.models.composed import Composed
from vesalius.models.composition import Composition, MLPProjector, Prompt, Template
from vesalius.models.decoder import default_dtype
from vesalius.models.engine import EncodedImage
from vesalius.models.precedents import Precedents
from vesalius.models.quantize import Held, Packed, place
from vesalius.models.readout import LateFusion, Standard

SHIPPED = Path(__file__).with_name("pocket_weights")
TEMPLATE = Template(
    before="<|im_start|>user\n",
    after="<|im_end|>\n<|im_start|>assistant\n",
    stop=("<|im_end|>",),
)
FIRST_ADAPTED = 24  # of 30 layers: below it the language model is as published, so what it makes of a question can be cached
LISTENS = 8  # the fusion hears the question as the mean of this layer's input: of all layers' the most telling in a kernel machine
WIDTH = 576
MEMBERS = 3  # pairs of projector and fusion that learn beside one another and speak with one voice
BLIND = 127  # the grey level that a model sees that must not see
VOCABULARY = "vocabulary"  # name of the tensor of token ids that training chose between
RANK, ALPHA, DROPOUT = 16, 32, 0.1
PARTS: Mapping[str, tuple[str, ...]] = {
    "tower": ("tower.backbone",),
    "tower.last": (
        *(f"tower.backbone._blocks.{i}" for i in range(efficientnet.LAST_BLOCKS, 16)),
        "tower.backbone._conv_head",
        "tower.backbone._bn1",
    ),
    "projector": ("tower.projectors", "tower.norm"),
    "fusion": ("readout.fusions",),
    "adapters": ("*.lora_*",),
}


class Sight(nn.Module):
    """Pixels or cached lower features to projected image tokens: tower and projectors, once an image.

    Args:
        members: projectors, K.
    """

    def __init__(self, backbone: efficientnet.EfficientNetLite0, members: int = MEMBERS) -> None:
        super().__init__()
        self.backbone = backbone
        self.norm = nn.LayerNorm(efficientnet.WIDTH)
        self.projectors = nn.ModuleList(MLPProjector(efficientnet.WIDTH, WIDTH) for _ in range(members))

    def forward(self, pixels: Tensor) -> Tensor:
        """[B, 3, S, S] -> [B, 81, K x 576 + 1280] for S = 288: projected tokens of each member beside the features they were made of."""
        return self.above(self.backbone.lower(pixels))

    def above(self, lower: Tensor) -> Tensor:
        """[B, 112, S/16, S/16] features of the lower blocks -> [B, N, K x 576 + 1280]."""
        return self.project(self.backbone.upper(lower))

    def project(self, features: Tensor) -> Tensor:
        """[B, N, 1280] features of the tower -> [B, N, K x 576 + 1280]."""
        normed = self.norm(features)
        return torch.cat((*(projector(normed) for projector in self.projectors), features), dim=-1)


class Reading(nn.Module):
    """How a state reads an image: each fusion looks at its projector's tokens, the precedents at the features' mean.

    Fusions that start differently err differently: the mean of their states, which is the mean of their logits, is better than one of them.

    Args:
        fusions: K of them. precedents: None until they are fitted.
    """

    def __init__(self, fusions: Iterable[LateFusion], precedents: Precedents | None = None) -> None:
        super().__init__()
        self.fusions, self.precedents = nn.ModuleList(fusions), precedents

    def members(self, hidden: Tensor, memory: Tensor, words: Tensor | None = None, rows: Tensor | None = None) -> Tensor:
        """What each fusion makes of a state, as `LateFusion`, on memory of `Sight`: [K, B, T, H]."""
        parts = memory[..., : len(self.fusions) * WIDTH].chunk(len(self.fusions), dim=-1)
        return torch.stack([fusion(hidden, part, words, rows) for fusion, part in zip(self.fusions, parts, strict=True)])

    def attention(self, hidden: Tensor, memory: Tensor, words: Tensor | None = None) -> Tensor:
        """Where the fusions look, on average: [B, T, N]. What they read of the mean of all tokens, and the precedents, look nowhere."""
        parts = memory[..., : len(self.fusions) * WIDTH].chunk(len(self.fusions), dim=-1)
        return torch.stack([cast(LateFusion, f).attention(hidden, part, words) for f, part in zip(self.fusions, parts, strict=True)]).mean(0)

    def forward(self, hidden: Tensor, memory: Tensor, words: Tensor | None = None, rows: Tensor | None = None) -> Tensor:
        """As `LateFusion`, on memory of `Sight`."""
        fused = self.members(hidden, memory, words, rows).mean(0)
        if self.precedents is None or words is None:
            return fused
        pooled = memory[..., -efficientnet.WIDTH :].mean(1)
        pooled = (pooled if rows is None else pooled[rows])[:, None]
        said = self.precedents.speak(words if words.dim() == 3 else words[:, None], pooled)
        return fused + said.to(fused.dtype)


class NoPrefix(nn.Module):
    """The image speaks through the fusion, not as a prefix: no image tokens before the question."""

    def forward(self, memory: Tensor) -> Tensor:
        """[B, N, K x 576 + 1280] -> [B, 0, 576]."""
        return memory[:, :0, :WIDTH]


def build(lm: nn.Module, backbone: efficientnet.EfficientNetLite0 | None = None, *, dropout: float = 0.3) -> Composition:
    """The composition around a language model, untrained but for the published tower and language model."""
    reading = Reading(LateFusion(WIDTH, dropout=dropout) for _ in range(MEMBERS))
    composition = Composition(Sight(backbone or efficientnet.load()), NoPrefix(), lm, reading, listens=LISTENS)
    object.__setattr__(composition, "parts", PARTS)  # how training names what moves; not a tensor, so not torch's business
    return composition


def adapt(composition: Composition) -> Composition:
    """Put trainable LoRA adapters (Hu et al. 2021, arXiv 2106.09685) on query and value projections of the upper layers."""
    from peft import LoraConfig, inject_adapter_in_model

    layers = "|".join(str(i) for i in range(FIRST_ADAPTED, composition.decoder.layers))
    target = rf".*layers\.({layers})\.self_attn\.(q_proj|v_proj)"
    inject_adapter_in_model(LoraConfig(r=RANK, lora_alpha=ALPHA, lora_dropout=DROPOUT, target_modules=target), composition.lm)
    return composition


def merge(lm: nn.Module, adapters: Mapping[str, Tensor]) -> None:
    """Add the adapters' product into the language model's weights: W + alpha / r * B A. Names as training stores them."""
    modules = dict(lm.named_modules())
    for name, down in adapters.items():
        place, _, kind = name.partition(".lora_")
        if not kind.startswith("A."):
            continue
        up = adapters[name.replace(".lora_A.", ".lora_B.")]
        target = modules[place.removeprefix("lm.")]
        with torch.no_grad():
            moved = target.weight + (ALPHA / RANK) * (up.float() @ down.float()).to(target.weight.dtype)
            target.weight = nn.Parameter(moved, requires_grad=False)  # a new tensor: the old one may be mapped from a read-only file


def speak_only(lm: Any, vocabulary: Tensor) -> None:  # noqa: ANN401 - any module with a linear `lm_head`
    """Let the language model say only tokens that training taught it to choose between.

    Training compares answers' tokens with a part of the vocabulary; of the rest it never learnt that they are improbable ("Yes" beside "yes").
    """
    bias = torch.full((lm.lm_head.weight.shape[0],), -1e4)
    bias[vocabulary] = 0.0
    lm.lm_head.bias = nn.Parameter(bias.to(lm.lm_head.weight), requires_grad=False)


def digest(folder: Path = SHIPPED) -> str:
    """The first 16 digits of the weights' SHA-256, as their record states it; "" for a folder without one."""
    return str(_about(folder).get("sha256", ""))[:16]


def _about(folder: Path) -> dict[str, Any]:
    path = folder / "about.json"
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    return found


def read_shipped(folder: Path = SHIPPED) -> dict[str, Tensor]:
    """Tensors of tower, projector, fusion and adapters by full name, float32.

    Raises:
        WeightsError: the file is absent or damaged.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    path = folder / "pocket.safetensors"
    try:
        return {name: tensor.float() if tensor.is_floating_point() else tensor for name, tensor in load_file(path).items()}
    except (OSError, SafetensorError) as error:
        raise WeightsError(f"{path}: the weights of pocket cannot be read", remedy="install the package again, or run: make train-pocket") from error


def remembered(state: Mapping[str, Tensor]) -> Precedents | None:
    """Precedents of the stored shape, to be filled; None when there are none."""
    place = "readout.precedents."
    if f"{place}weights" not in state:
        return None
    asked, shown = state[f"{place}asked"], state[f"{place}shown"]
    return Precedents(len(asked), len(shown), width=asked.shape[1], depth=shown.shape[1], turned=f"{place}turn" in state)


class Pocket(Composed):
    """A `GenerativeModel`.

    Args:
        composition: with all weights in place. prompt: tokenizer and template. about: what `identity` reports of the weights.
    """

    def __init__(self, composition: Composition, prompt: Prompt, about: Mapping[str, Any] | None = None) -> None:
        super().__init__(card("pocket"), composition, prompt, about)

    def pixels(self, study: Study) -> Tensor:
        """The key image of a study as the tower's input [1, 3, 288, 288]; one grey level for weights that were trained blind."""
        weight = next(self.composition.tower.parameters())
        if self.identity.get("blind"):
            return efficientnet.prepare(np.full((288, 288), BLIND, dtype=np.uint8))[None].to(weight)
        return efficientnet.prepare(render(study.image))[None].to(weight)

    def score(self, encoded: EncodedImage, question: Question, options: Sequence[str]) -> NDArray[np.float64]:
        """Natural log-probability of each option as the whole answer; `pocket` speaks in lower case."""
        return super().score(encoded, question, [o.lower() for o in options])

    def saliency(self, study: Study, question: Question, answer: Answer, *, method: str = "occlusion") -> tuple[NDArray[np.float32], str]:
        """As `Composed`; `pocket` speaks in lower case. Its tower has no attention: "rollout" is the attention of its fusions."""
        return super().saliency(study, question, dataclasses.replace(answer, text=answer.text.lower()), method=method)


@functools.lru_cache(maxsize=1)
def load(device: str = "cpu", weights: Path = SHIPPED, *, dtype: Held | None = None) -> Pocket:
    """The model with the weights that ship, or with those in a folder that training wrote, ready to answer.

    Args:
        dtype: None takes the fastest that the device has. Packed is the language model; what was trained here stays.

    Raises:
        WeightsError: the language model's or our own weights cannot be had.
        MissingExtra: torch or another part of the extra `models` is absent.
    """
    from tokenizers import Tokenizer

    folder = language_models.language_model()
    lm = llama.load(folder, dtype=torch.float32, device=device)
    state = read_shipped(weights)
    backbone = efficientnet.EfficientNetLite0()
    composition = build(lm, backbone)
    composition.readout.precedents = remembered(state)  # type: ignore[union-attr]
    adapters = {n: t for n, t in state.items() if ".lora_" in n}
    merge(lm, adapters)
    speak_only(lm, state.pop(VOCABULARY))
    kind = dtype or default_dtype(device)
    place(composition.lm, device, kind)
    composition.to(device=device, dtype=kind.dtype if isinstance(kind, Packed) else kind).eval()
    for part in composition.modules():
        if isinstance(part, Precedents | Standard):
            part.float()  # statistics and a kernel machine: rounded to fewer bits they say something else
    rest = {n: t for n, t in state.items() if n not in adapters}
    problems = composition.load_state_dict(rest, strict=False)
    absent = [n for n in problems.missing_keys if not n.startswith("lm.")]
    if absent or problems.unexpected_keys:
        wrong = (absent + list(problems.unexpected_keys))[0]
        raise WeightsError(f"pocket's weights do not fit (first at {wrong!r})", remedy="install the package again")
    known = {"weights": digest(weights)} | ({"blind": True} if _about(weights).get("blind") else {})
    return Pocket(composition, Prompt(Tokenizer.from_file(str(folder / "tokenizer.json")), TEMPLATE), known)
