"""Published families in their own shape with random weights: what is measured where no checkpoint can be had.

In: the name of a shape and a scale. Out: our composition, its prompt, pictures, and how many operations its parts take.
"tiny" is for tests. "cpu" keeps a family's image tokens, vocabulary, head size and the ratios of its widths, with fewer heads and layers.
"full" is the published size. Weights are drawn from one seed, so every process makes the same model.
"""

from __future__ import annotations

import dataclasses
import math
import statistics
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, cast

import torch
from torch import Tensor, nn

from harness import CONTROLS, QUESTIONS
from vesalius.models import chexagent, flamingo, llama, llava, llava_med, llava_med_v1, med_flamingo, phi
from vesalius.models.after import AfterEngine, AfterPrompt
from vesalius.models.composition import Composition, Prompt
from vesalius.models.engine import Engine
from vesalius.models.llava import IMAGE
from vesalius.models.vit import VisionShape

SEED = 0
UNKNOWN = 0  # the id of what is no piece of the texts; no prompt holds it
PADDING = 1


@dataclasses.dataclass(frozen=True)
class Plan:
    vision: VisionShape
    language: llama.Shape | phi.Shape
    extent: flamingo.Extent | None = None


def _plans(published: Plan, small: Mapping[str, Any], tiny: Mapping[str, Any]) -> Mapping[str, Plan]:
    """Scales of a family: language numbers that differ from the published ones, and those of the tower under "vision"."""

    def scaled(changes: Mapping[str, Any]) -> Plan:
        language = {k: v for k, v in changes.items() if k not in ("vision", "extent")}
        vision = dataclasses.replace(published.vision, **changes["vision"])
        return Plan(vision, dataclasses.replace(published.language, **language), changes.get("extent", published.extent))

    return MappingProxyType({"tiny": scaled(tiny), "cpu": scaled(small), "full": published})


_SMALL_TOWER = {"width": 512, "inner": 2048, "layers": 12, "heads": 8}
_TINY_TOWER = {"image": 32, "patch": 8, "width": 32, "inner": 128, "layers": 3, "heads": 2}
_TINY = {"vocabulary": 500, "width": 64, "inner": 128, "layers": 4, "heads": 4, "vision": _TINY_TOWER}
_LLAMA_7B = llama.Shape(32000, 4096, 11008, 32, 32, 32, 128, 2048, 1e4, 1e-6, tied=False)  # with three rows for what stands around an image
_SMALL_LLAMA = {"width": 1024, "inner": 2752, "layers": 16, "heads": 8, "kv_heads": 8, "vision": _SMALL_TOWER}
_TINY_LLAMA = {**_TINY, "kv_heads": 4, "head_dim": 16}
PLANS: Mapping[str, Mapping[str, Plan]] = MappingProxyType(
    {
        "llava": _plans(
            Plan(llava_med.CLIP_L_336, llama.Shape(32000, 4096, 14336, 32, 32, 8, 128, 2048, 1e6, 1e-5, tied=False)),
            {"width": 1024, "inner": 3584, "layers": 16, "heads": 8, "kv_heads": 2, "vision": _SMALL_TOWER},
            {**_TINY, "kv_heads": 2, "head_dim": 16},
        ),
        "chexagent": _plans(
            Plan(chexagent.SIGLIP_L_512, phi.Shape(51200, 2560, 10240, 32, 32, 32, 32, 2048, 1e4, 1e-5)),
            {"width": 1280, "inner": 5120, "layers": 8, "heads": 16, "kv_heads": 16, "vision": {**_SMALL_TOWER, "layers": 8}},
            {**_TINY, "kv_heads": 4, "rotary": 6},
        ),
        "flamingo": _plans(
            Plan(med_flamingo.CLIP_L_224, dataclasses.replace(_LLAMA_7B, vocabulary=32003), flamingo.Extent()),
            _SMALL_LLAMA,
            {**_TINY_LLAMA, "extent": flamingo.Extent(depth=2, latents=8, every=2)},
        ),
        "llava-after": _plans(Plan(llava_med_v1.CLIP_L_224, dataclasses.replace(_LLAMA_7B, vocabulary=32003)), _SMALL_LLAMA, _TINY_LLAMA),
    }
)


@dataclasses.dataclass(eq=False)
class Made:
    """A model of a shape."""

    name: str
    plan: Plan
    composition: Composition
    prompt: Prompt
    pictures: Tensor  # [images, S, S, 3] uint8
    device: str
    dtype: torch.dtype
    work: Work
    parameters: int

    def pixels(self, count: int) -> Tensor:
        """[count, 3, S, S]: bytes to -1..1, in all shapes alike."""
        return (self.pictures[:count].permute(0, 3, 1, 2).float() / 127.5 - 1).to(device=self.device, dtype=self.dtype)

    @property
    def image_tokens(self) -> int:
        """Tokens that an image takes of the text, or vectors that it becomes where the text only looks at it."""
        return self.plan.vision.patches if self.plan.extent is None else self.plan.extent.latents

    def row(self, question: str) -> list[int]:
        """Ids of a whole prompt, `IMAGE` for the image."""
        asked = self.prompt.question(question)
        return [*self.prompt.before, *asked] if IMAGE in asked else [*self.prompt.before, IMAGE, *self.prompt.between, *asked]

    def text_tokens(self) -> float:
        """Mean length of the prompts, their images left out."""
        return statistics.mean(len(self.row(q)) - 1 for q in QUESTIONS)

    def engine(self) -> Engine:
        """Ours, as the family's own file makes it."""
        kind: dict[str, type[Engine]] = {"flamingo": flamingo.FlamingoEngine, "llava-after": AfterEngine}
        return kind.get(self.name, Engine)(self.composition, self.prompt)


def make(name: str, scale: str, device: str, dtype: torch.dtype) -> Made:
    """A model with drawn weights where it is to run."""
    plan, prompt = PLANS[name][scale], _prompt(name)
    with torch.device("meta"):
        composition = _build(name, plan, prompt)
    work, parameters = Work(composition, plan), sum(p.numel() for p in composition.parameters())
    composition = composition.to(dtype).to_empty(device=device).eval().requires_grad_(requires_grad=False)
    _draw(composition, torch.Generator(device).manual_seed(SEED))
    coarse = torch.randn(1 + CONTROLS, 3, 5, 5, generator=torch.Generator().manual_seed(SEED))
    smooth = nn.functional.interpolate(coarse, size=plan.vision.image, mode="bilinear")  # of noise, all pictures look the same to a random tower
    pictures = ((smooth.clamp(-2, 2) / 4 + 0.5) * 255).to(torch.uint8).permute(0, 2, 3, 1)
    return Made(name, plan, composition, prompt, pictures, device, dtype, work, parameters)


def _build(name: str, plan: Plan, prompt: Prompt) -> Composition:
    if name == "chexagent":
        return chexagent.build(plan.vision, cast(phi.Shape, plan.language))
    language = cast(llama.Shape, plan.language)
    if name == "flamingo":
        image = prompt.tokenizer.token_to_id(med_flamingo.IMAGE)
        return flamingo.build(plan.vision, language, cast(flamingo.Extent, plan.extent), image=image)
    return llava.build(plan.vision, language) if name == "llava" else llava_med_v1.build(plan.vision, language, layer=llava_med_v1.LAYER)


def _draw(model: nn.Module, generator: torch.Generator) -> None:
    """Weights by which what is seen and asked decides what is said: every layer keeps its input's size, and attention has favourites."""
    for name, p in sorted(model.named_parameters()):
        if name.endswith("_gate"):
            p.fill_(0.5)
        elif p.dim() == 1 and name.endswith("weight"):  # of a norm
            p.fill_(1.0)
        elif p.dim() == 1 and name.endswith("bias"):
            p.normal_(std=0.02, generator=generator)
        elif p.dim() == 1 or any(part in name for part in ("embed_tokens", "position_embedding", "pos_embed", "latents")):
            p.normal_(std=0.5, generator=generator)
        else:
            sharp = any(part in name for part in ("q_proj", "k_proj", "to_q"))
            p.normal_(std=(1.7 if sharp else 1.0) / math.sqrt(p[0].numel()), generator=generator)


def _prompt(name: str) -> Prompt:
    """The family's prompt over a small vocabulary of its own; no answer ends before its time, so that all do the same work."""
    if name == "llava":
        return llava.ChunkPrompt(_tokenizer([llava_med.TEMPLATE], ["<s>"]), dataclasses.replace(llava_med.TEMPLATE, stop=()))
    if name == "chexagent":
        marks = [chexagent.END, chexagent.IMAGE_START, chexagent.IMAGE_END]
        return chexagent.PicturePrompt(_tokenizer([chexagent.TEMPLATE], marks), dataclasses.replace(chexagent.TEMPLATE, stop=()))
    if name == "flamingo":
        tokenizer = _tokenizer([med_flamingo.TEMPLATE, "Question: Answer:"], ["<s>", med_flamingo.IMAGE])
        return med_flamingo.ShotPrompt(tokenizer, dataclasses.replace(med_flamingo.TEMPLATE, stop=()))
    template, marks = llava_med_v1.template(), (llava_med_v1.START, llava_med_v1.END)
    tokenizer = _tokenizer([template], ["<s>", llava_med_v1.PATCH, *marks])
    return AfterPrompt(tokenizer, dataclasses.replace(template, stop=()), patch=llava_med_v1.PATCH, marks=marks)


def _tokenizer(texts: Sequence[Any], specials: Sequence[str]) -> Any:
    """Pieces of at most five letters: about as many for a sentence as published vocabularies have."""
    from tokenizers import Regex, Tokenizer, models, pre_tokenizers

    split = pre_tokenizers.Split
    cut = pre_tokenizers.Sequence([split(" ", "removed"), split(Regex(r"[A-Za-z]{1,5}|[\s\S]"), "isolated")])
    words = [w for t in texts for w in ([t] if isinstance(t, str) else [t.before, t.between, t.after, *t.yes, *t.no])]
    # pieces of a text depend on where it begins: of joined fields too
    whole = [*words, *QUESTIONS, *(f"{a}{q}{b}" for a in ("", "\n") for q in QUESTIONS for b in ("", "\n", *words))]
    pieces = sorted({piece for text in whole for piece, _ in cut.pre_tokenize_str(text)})
    vocabulary = {"<unk>": UNKNOWN, "<pad>": PADDING} | {piece: 2 + i for i, piece in enumerate(pieces)}
    made = Tokenizer(models.WordLevel(vocabulary, unk_token="<unk>"))
    made.pre_tokenizer = cut
    made.add_special_tokens(list(specials))
    return made


class Work:
    """Multiplications and additions, two for each weight and input that meet.

    Args:
        composition: on any device. plan: its numbers.
    """

    def __init__(self, composition: Composition, plan: Plan) -> None:
        lm, language = cast(Any, composition.lm), plan.language
        self.plan = plan
        self.token = 2.0 * _matrices(lm.model.layers)
        self.word = 2.0 * lm.lm_head.weight.numel()
        self.pair = 4.0 * language.layers * language.heads * language.head_dim
        last = lm.model.layers[-1]
        self.last = 2.0 * (_matrices(last) - _matrices(last.self_attn.k_proj) - _matrices(last.self_attn.v_proj))
        gated = list(getattr(lm, "gated", {}).values())
        self.fed = 2.0 * sum(_matrices(g.ff) for g in gated)  # for each token
        self.asked = 2.0 * sum(_matrices(g.attn.to_q) + _matrices(g.attn.to_out) for g in gated)  # for each token that may look
        self.shown = 2.0 * sum(_matrices(g.attn.to_kv) for g in gated)  # for each latent of a pass
        self.look = 4.0 * len(gated) * flamingo.HEADS * flamingo.HEAD  # for each token and latent
        tower = cast(Any, composition.tower)
        layer = getattr(tower, "layer", -1)
        self.layers = layer if layer >= 0 else plan.vision.layers + 1 + layer
        self.projector = self._projector(composition.projector)

    def image(self, layers: int | None = None) -> float:
        """Tower, as far as it is needed or up to `layers`, and projector or resampler."""
        v = self.plan.vision
        seen, count = v.patches + v.class_token, self.layers if layers is None else layers
        block = 2.0 * seen * (4 * v.width**2 + 2 * v.width * v.inner) + 4.0 * seen**2 * v.width
        return count * block + 2.0 * v.patches * 3 * v.patch**2 * v.width + self.projector

    def _projector(self, projector: nn.Module) -> float:
        patches = self.plan.vision.patches
        if not isinstance(projector, flamingo.Resampler):
            return 2.0 * patches * _matrices(projector)
        total, count = 0.0, len(projector.latents)
        for attend, feed in cast(Any, projector.layers):
            total += 2.0 * count * (_matrices(attend.to_q) + _matrices(attend.to_out) + _matrices(feed)) + 2.0 * (patches + count) * _matrices(attend.to_kv)
            total += 4.0 * count * (patches + count) * flamingo.HEADS * flamingo.HEAD
        return total

    def read(self, tokens: int, seen: float, latents: int | None = None) -> float:
        """A pass of the language model: tokens, pairs of a token and what it sees, and latents that may be looked at (None: no look is taken)."""
        out = tokens * (self.token + self.fed) + seen * self.pair
        return out if latents is None else out + tokens * (self.asked + latents * self.look) + latents * self.shown

    def spared(self, tokens: int, seen: float) -> float:
        """What the last layer need not do for tokens of which only keys and values are wanted."""
        return tokens * self.last + seen * self.pair / self.plan.language.layers

    def plain(self, length: int, new: int, latents: int | None = None) -> float:
        """One text of `length`, `new` tokens generated: the last of them is not read again."""
        read = length + new - 1
        again = 0.0 if latents is None else (new - 1) * latents * self.shown  # latents are read in every pass
        return self.read(read, read * (read + 1) / 2, latents) + new * self.word + again


def _matrices(module: nn.Module) -> int:
    """Weights that every token meets."""
    return sum(p.numel() for name, p in module.named_parameters() if p.dim() == 2 and "pos_embed" not in name)
