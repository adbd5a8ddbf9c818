"""The LLaVA shape (Liu et al. 2023, arXiv 2304.08485): CLIP tower, MLP projector, Llama-shaped language model, image tokens inside the text.

In: token ids in which `IMAGE` stands for an image, and pixels. Out: logits. Single questions go through `Composition` and the engine; this file adds what
published prompts need beside them: text tokenised around images chunk by chunk, several images, several turns, and the layouts of checkpoints.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor, nn

from vesalius.errors import InvalidValue, WeightsError
from vesalius.models import checkpoint
from vesalius.models.checkpoint import KeyMap
from vesalius.models.composition import Composition, MLPProjector, Prompt, Template
from vesalius.models.decoder import Causal, default_dtype
from vesalius.models.llama import Llama, Shape
from vesalius.models.quantize import Held, afford, place
from vesalius.models.vit import VisionShape, VisionTransformer

IMAGE = -200  # stands for an image among token ids, as in the published code; it is never embedded
_COMPUTED = (r"\.position_ids$", r"rotary_emb\.inv_freq$")

OFFICIAL = KeyMap(
    "official",
    (
        ("model.vision_tower.vision_tower.vision_model.", "tower.vision."),
        ("model.vision_tower.vision_tower.", "tower.vision."),
        ("model.mm_projector.0.", "projector.linear_1."),
        ("model.mm_projector.2.", "projector.linear_2."),
        ("model.layers.", "lm.model.layers."),
        ("model.embed_tokens.", "lm.model.embed_tokens."),
        ("model.norm.", "lm.model.norm."),
        ("lm_head.", "lm.lm_head."),
    ),
    _COMPUTED,
)
CONVERTED = KeyMap(
    "converted",  # LlavaForConditionalGeneration as it stands on the disk
    (
        ("vision_tower.vision_model.", "tower.vision."),
        ("multi_modal_projector.", "projector."),
        ("language_model.model.", "lm.model."),
        ("language_model.lm_head.", "lm.lm_head."),
    ),
    _COMPUTED,
)
IN_MEMORY = KeyMap(
    "converted, in-memory names",  # the same as transformers 5.x names it in memory
    (
        ("model.vision_tower.vision_model.", "tower.vision."),
        ("model.vision_tower.", "tower.vision."),
        ("model.multi_modal_projector.", "projector."),
        ("model.language_model.", "lm.model."),
        ("lm_head.", "lm.lm_head."),
    ),
    _COMPUTED,
)


def layout(names: Sequence[str]) -> KeyMap | None:
    """Which of the published layouts names are of; None when of none."""
    if any(n.startswith("model.mm_projector.") for n in names):
        return OFFICIAL
    if any(n.startswith("model.multi_modal_projector.") for n in names):
        return IN_MEMORY
    return CONVERTED if any(n.startswith("multi_modal_projector.") for n in names) else None


class Tower(nn.Module):
    """CLIP features of one hidden layer, without the class token.

    Args:
        layer: number of the hidden state, as published models count.
    """

    def __init__(self, shape: VisionShape, layer: int = -2) -> None:
        super().__init__()
        self.vision, self.layer = VisionTransformer(shape), layer

    def forward(self, pixels: Tensor) -> Tensor:
        """[B, 3, S, S] -> [B, N, width]."""
        return self.vision.states(pixels, self.layer)[:, 1:]


def build(vision: VisionShape, language: Shape, *, layer: int = -2) -> Composition:
    """The composition, its weights undrawn where a checkpoint will replace them."""
    return Composition(Tower(vision, layer), MLPProjector(vision.width, language.width), Llama(language, blank=True))


class ChunkPrompt(Prompt):
    """A prompt whose text is tokenised in two chunks, before and after the image, as the published code does.

    A SentencePiece tokenizer puts a blank before every chunk and joins letters across words' ends, so pieces must be cut where the published code cuts.
    The question's chunk is `between + question + after` in one.
    """

    def __init__(self, tokenizer: Any, template: Template) -> None:  # noqa: ANN401 - the library is not typed
        super().__init__(tokenizer, dataclasses.replace(template, between="", after=""))
        self.words_between, self.words_after = template.between, template.after

    def question(self, text: str) -> tuple[int, ...]:
        """Ids from the image to where the answer starts."""
        return self._plain(self.words_between + text + self.words_after)

    def around(self, text: str) -> tuple[int, ...]:
        """Ids of a whole prompt in which "<image>" marks the images, each as `IMAGE`. Control tokens are obeyed: not for text that is not ours."""
        opening = () if self.template.bos is None else (self._special(self.template.bos),)
        chunks = [self._fixed(chunk) for chunk in text.split("<image>")]
        return (*opening, *chunks[0], *(i for chunk in chunks[1:] for i in (IMAGE, *chunk)))


@torch.inference_mode()
def logits(composition: Composition, rows: Sequence[Sequence[int]], pixels: Tensor | None = None) -> list[Tensor]:
    """Plain logits of prompts of any number of images: what parity with published code is measured by.

    Args:
        rows: token ids with `IMAGE` for each image. pixels: [images, 3, S, S] in the order of the rows; None when there is none.

    Returns:
        For each row [length with image tokens, vocabulary] float32.

    Raises:
        InvalidValue: another number of images than places for them, or a row longer than the context.
    """
    places = sum(list(row).count(IMAGE) for row in rows)
    given = 0 if pixels is None else len(pixels)
    if places != given:
        raise InvalidValue(f"{given} images are given and the prompts have places for {places}", remedy="write <image> once for each")
    tokens = list(cast(Any, composition.projector)(composition.see(pixels))) if pixels is not None and given else []
    embeds = [_spliced(composition, row, tokens) for row in rows]
    longest = max(map(len, embeds))
    if longest > composition.decoder.context:
        raise InvalidValue(f"the prompt takes {longest} tokens of a context of {composition.decoder.context}", remedy="ask less, or about fewer images")
    padded = nn.utils.rnn.pad_sequence(embeds, batch_first=True)
    positions = torch.arange(longest, device=padded.device).expand(len(padded), -1)
    hidden = composition.decoder.states(padded, positions, Causal())
    return [composition.decoder.logits(h[: len(e)]).float() for h, e in zip(hidden, embeds, strict=True)]


def _spliced(composition: Composition, row: Sequence[int], tokens: list[Tensor]) -> Tensor:
    """Embeddings of a row, the next image's tokens wherever one stands; takes them from the list."""
    parts: list[Tensor] = []
    text: list[int] = []
    device = next(composition.lm.parameters()).device

    def words() -> None:
        if text:
            parts.append(composition.decoder.embed(torch.tensor(text, device=device)))
            text.clear()

    for token in row:
        if token == IMAGE:
            words()
            parts.append(tokens.pop(0))
        else:
            text.append(int(token))
    words()
    return torch.cat([p.to(parts[0].dtype) for p in parts])


def load_into(composition: Composition, folder: Path, *, tower: Path | None = None) -> KeyMap:
    """Fill a composition from a checkpoint of any of the published layouts; returns which.

    Args:
        tower: a folder whose CLIP weights replace those that the checkpoint stores.

    Raises:
        WeightsError: an unknown layout, tensors that do not fit, or no tower where one is needed.
    """
    tensors = checkpoint.read(folder)
    found = layout(list(tensors))
    if found is None:
        raise WeightsError(f"{folder}: is of no published LLaVA layout", remedy="give the folder of an official or a converted checkpoint")
    ours = found.there_to_here(tensors)
    if tower is not None:
        ours = {n: t for n, t in ours.items() if not n.startswith("tower.")} | clip_tensors(tower)
    if not any(n.startswith("tower.") for n in ours):
        raise WeightsError(f"{folder}: stores no image tower", remedy="name a folder with CLIP weights as its tower")
    checkpoint.fill(composition, ours, where=str(folder))
    return found


def clip_tensors(folder: Path) -> dict[str, Tensor]:
    """The vision half of a published CLIP checkpoint, by our names."""
    vision = {n: t for n, t in checkpoint.read(folder).items() if n.startswith("vision_model.")}
    if not vision:
        raise WeightsError(f"{folder}: holds no CLIP vision tower", remedy="give a folder of openai/clip-vit-large-patch14-336 or its like")
    return KeyMap("clip", (("vision_model.", "tower.vision."),), _COMPUTED).there_to_here(vision)


@dataclasses.dataclass(frozen=True)
class Plan:
    """What a family knows of a checkpoint before it is read: shapes, the feature layer, the row of `<image>` where the vocabulary has one, its template."""

    name: str
    vision: VisionShape
    language: Shape
    layer: int
    image_row: int | None
    template: Template


def assemble(
    plan: Plan,
    folder: Path,
    tokenizer: Any,  # noqa: ANN401 - the library is not typed
    *,
    device: str,
    tower: Path | None,
    dtype: Held | None,
) -> tuple[Composition, ChunkPrompt, dict[str, str]]:
    """A composition with its weights, its prompt, and what is reported of the weights.

    Raises:
        WeightsError: it does not fit into memory, or the checkpoint does not fit the plan.
    """
    kind = dtype or default_dtype(device)
    with torch.device("meta"):
        afford(plan.name, build(plan.vision, plan.language), kind, device)
    composition = build(plan.vision, plan.language, layer=plan.layer)
    found = load_into(composition, folder, tower=tower)
    place(composition, device, kind)
    unscored = {*range(tokenizer.get_vocab_size(), plan.language.vocabulary), *([] if plan.image_row is None else [plan.image_row])}
    template = dataclasses.replace(plan.template, unscored=tuple(sorted(unscored)))
    about = {"weights": checkpoint.fingerprint(checkpoint.files(folder)), "layout": found.name, "tower": "stored" if tower is None else str(tower)}
    return composition, ChunkPrompt(tokenizer, template), about
