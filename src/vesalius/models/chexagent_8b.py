"""CheXagent (Chen et al. 2024, arXiv 2401.12208; StanfordAIMI/CheXagent-8b), the first version: a ViT in EVA's shape at 448 px, a Q-Former, Mistral-7B.

In: a `Study`. Out: `Answer`s through the engine. The composition is BLIP-2's: 128 learned queries read the states of one film, or of two together, and what
becomes of them stands before the prompt. Nothing of CheXagent-2 (`chexagent`) fits this one, the prompt included.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image as Picture
from torch import Tensor, nn

from vesalius.domain.exchange import Answer, Question
from vesalius.domain.study import Study
from vesalius.errors import InvalidValue, WeightsError
from vesalius.formats.pixels import render
from vesalius.models import checkpoint, llama, looking, qformer
from vesalius.models.base import ModelCard
from vesalius.models.cards import card
from vesalius.models.checkpoint import KeyMap
from vesalius.models.composed import Composed
from vesalius.models.composition import Composition, Prompt, Template
from vesalius.models.decoder import Causal, default_dtype
from vesalius.models.llava_med import DEVIATION, MEAN, read_tokenizer
from vesalius.models.qformer import QFormer
from vesalius.models.quantize import Held, afford, place
from vesalius.models.vit import ACTIVATIONS, VisionShape, VisionTransformer

NAME = "chexagent-8b"
ASSISTANT = " ASSISTANT: "  # cut from the text together with the question before it
TEMPLATE = Template(between="<s> USER: <s>", after="<s>", stop=("</s>",))
FILMS = 2  # that the published model was trained to read together
BICUBIC = 3
_MISTRAL = {  # what the published library assumes of a `text_config` that does not say it
    "vocab_size": 32000,
    "hidden_size": 4096,
    "intermediate_size": 14336,
    "num_hidden_layers": 32,
    "num_attention_heads": 32,
    "num_key_value_heads": 8,
    "max_position_embeddings": 131_072,
    "sliding_window": 4096,
    "rms_norm_eps": 1e-6,
}
_UNPACKED = {"tower.vision.embeddings.position_embedding": "tower.vision.embeddings.position_embedding.weight"}
_CLASS = "tower.vision.embeddings.class_embedding"


class Packed(KeyMap):
    """Names as published, whose tower keeps query, key and value in one matrix and its embeddings with axes of length one."""

    def there_to_here(self, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """As `KeyMap`, unpacked; what has another shape than it should stays as odd as it is, for `fill` to complain of."""
        out: dict[str, Tensor] = {}
        for name, tensor in super().there_to_here(tensors).items():
            if ".self_attn.qkv." in name and tensor.ndim:
                parts = zip("qkv", checkpoint.thirds(tensor), strict=False)
                out |= {name.replace(".qkv.", f".{letter}_proj."): part for letter, part in parts}
            elif name in _UNPACKED or name == _CLASS:
                out[_UNPACKED.get(name, name)] = tensor.squeeze(0).squeeze(0) if name == _CLASS else tensor.squeeze(0)
            else:
                out[name.replace(".self_attn.projection.", ".self_attn.out_proj.")] = tensor
        return out

    def here_to_there(self, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """The inverse."""
        held = dict(tensors)
        for name in [n for n in held if n.startswith("tower.") and ".q_proj." in n]:
            held[name.replace(".q_proj.", ".qkv.")] = torch.cat([held.pop(name.replace(".q_proj.", f".{letter}_proj.")) for letter in "qkv"])
        for there, here in _UNPACKED.items():
            if here in held:
                held[there] = held.pop(here)[None]
        if _CLASS in held:
            held[_CLASS] = held[_CLASS][None, None]
        return super().here_to_there({n.replace(".self_attn.out_proj.", ".self_attn.projection."): t for n, t in held.items()})


OFFICIAL = Packed(
    "official",
    (
        ("vision_model.", "tower.vision."),
        ("query_tokens", "projector.query_tokens"),
        ("qformer.", "projector.qformer."),
        ("language_projection.", "projector.language_projection."),
        ("language_model.", "lm."),
    ),
    (r"\.position_ids$", r"rotary_emb\.inv_freq$"),
)


class Tower(nn.Module):
    """States of the last layer after the final norm, the class token's among them: the published Q-Former reads it too."""

    def __init__(self, shape: VisionShape) -> None:
        super().__init__()
        self.vision = VisionTransformer(shape)

    def forward(self, pixels: Tensor) -> Tensor:
        """[B, 3, S, S] -> [B, 1 + N, width]."""
        return cast(Tensor, self.vision(pixels))


class Projector(nn.Module):
    """States to image tokens: learned queries through the Q-Former, then one linear map. Attribute names are the published ones.

    Args:
        queries: Q, image tokens. outside: width of the language model.
    """

    def __init__(self, queries: int, shape: qformer.Shape, outside: int) -> None:
        super().__init__()
        self.query_tokens = nn.Parameter(torch.zeros(1, queries, shape.width))
        self.qformer = QFormer(shape)
        self.language_projection = nn.Linear(shape.width, outside)

    def forward(self, states: Tensor) -> Tensor:
        """[B, any number of states, inside] -> [B, Q, outside]."""
        return cast(Tensor, self.language_projection(self.qformer(self.query_tokens.expand(len(states), -1, -1), states)))


@dataclasses.dataclass(frozen=True)
class Size:
    """The numbers of tower, Q-Former and language model, and how many queries there are."""

    vision: VisionShape
    former: qformer.Shape
    queries: int
    language: llama.Shape


EVA_448 = VisionShape(
    image=448, patch=14, width=1408, inner=6144, layers=40, heads=16, eps=1e-6, activation="gelu", class_token=True, pre_norm=False, bias=True
)


def build(size: Size) -> Composition:
    """The composition with weights yet to be filled in."""
    return Composition(Tower(size.vision), Projector(size.queries, size.former, size.language.width), llama.Llama(size.language, blank=True))


def prompt_text(question: str) -> str:
    """The published prompt, which the tokenizer opens with one more `<s>`; the image tokens stand before that."""
    return f" USER: <s>{question}{ASSISTANT}<s>"


class UserPrompt(Prompt):
    """The published prompt behind the image.

    The question and the words after it are tokenised in one, as the published tokenizer does, which cuts at `<s>` only.
    """

    def question(self, text: str) -> tuple[int, ...]:
        """Ids from the question to where the answer starts. Control tokens written in the question are read as plain text."""
        return (*self._plain(text + ASSISTANT), *self.after)

    def around(self, text: str) -> tuple[int, ...]:
        """Ids of a whole prompt as `prompt_text` gives it. Control tokens are obeyed: not for text that is not ours."""
        return (self._special("<s>"), *self._fixed(text))


@torch.inference_mode()
def logits(composition: Composition, rows: Sequence[Sequence[int]], films: Sequence[Tensor | None]) -> list[Tensor]:
    """Plain logits of prompts, each about no film, one or two. Two films become as many tokens as one: the queries read both.

    Args:
        rows: ids of `UserPrompt.around`. films: for each row [1 or 2, 3, S, S]; None where there is none.

    Returns:
        For each row [length with image tokens, vocabulary] float32.

    Raises:
        InvalidValue: not one entry of films for each row, more than two films, or a row longer than the context.
    """
    if len(rows) != len(films):
        raise InvalidValue(f"{len(rows)} prompts need as many entries of films (got {len(films)})", remedy="give None where there is no film")
    device = next(composition.lm.parameters()).device
    embeds = [composition.decoder.embed(torch.tensor(list(row), dtype=torch.long, device=device)) for row in rows]
    embeds = [words if few is None else torch.cat((read(composition, few).to(words.dtype), words)) for words, few in zip(embeds, films, strict=True)]
    longest = max(map(len, embeds), default=0)
    if longest > composition.decoder.context:
        raise InvalidValue(f"the prompt takes {longest} tokens of a context of {composition.decoder.context}", remedy="ask less")
    if not longest:
        return []
    padded = nn.utils.rnn.pad_sequence(embeds, batch_first=True)
    hidden = composition.decoder.states(padded, torch.arange(longest, device=device).expand(len(padded), -1), Causal())
    return [composition.decoder.logits(h[: len(e)]).float() for h, e in zip(hidden, embeds, strict=True)]


def read(composition: Composition, films: Tensor) -> Tensor:
    """Image tokens [Q, width] of films [n, 3, S, S] that are read together: the states of all of them are one memory.

    Raises:
        InvalidValue: no film, or more than two.
    """
    if not 0 < len(films) <= FILMS:
        raise InvalidValue(f"{len(films)} films cannot be read together", remedy=f"give 1 to {FILMS}, or None for no film")
    return cast(Tensor, composition.projector(composition.see(films).flatten(0, 1)[None]))[0]


@dataclasses.dataclass(frozen=True)
class Preparation:
    """How a picture is prepared: the side of the square, and what is subtracted from the colours in [0, 1] and divided by."""

    size: int = 448
    mean: tuple[float, ...] = MEAN
    deviation: tuple[float, ...] = DEVIATION


def prepare(rendered: NDArray[np.uint8], way: Preparation | None = None) -> Tensor:
    """A rendered picture as the tower's input: stretched to a square bicubically, its shape not kept, and normalised.

    Args:
        rendered: (H, W) or (H, W, 3) uint8. way: None takes the published size, and BLIP's mean and deviation.

    Returns:
        [3, S, S] float32.
    """
    way = way or Preparation()
    stretched = Picture.fromarray(rendered).convert("RGB").resize((way.size, way.size), Picture.Resampling.BICUBIC)
    values = torch.from_numpy(np.array(stretched)).float() / 255
    return ((values - torch.tensor(way.mean)) / torch.tensor(way.deviation)).permute(2, 0, 1)


class PatchScore(looking.AnswerScore):
    """How probable an answer is, as a function of the patches' states [B, N, D] alone; `whole` [1, 1, D], the class token's, goes before them unchanged."""

    whole: Tensor

    def __call__(self, memory: Tensor) -> Tensor:
        """Natural log-probabilities [B]."""
        return super().__call__(torch.cat((self.whole.expand(len(memory), -1, -1), memory), dim=1))

    @torch.no_grad()
    def without(self, masks: Tensor, rows: int, cols: int) -> Tensor:
        """As in `looking.AnswerScore`; the class token, too, sees the picture with its hole."""
        assert self.pixels is not None
        return super().__call__(looking.seen_without(self.composition, self.pixels, masks, rows, cols))

    def flow(self, memory: Tensor) -> tuple[Tensor, str]:
        """Refused: between the image tokens and the patches stand the queries.

        Raises:
            InvalidValue: always.
        """
        what = f"attention is not followed through the queries to {memory.shape[1]} patches"
        raise InvalidValue(what, remedy="look by occlusion or gradient")


class CheXagent8b(Composed):
    """A `GenerativeModel`.

    Args:
        way: how a picture is prepared.
    """

    pads = False  # a picture is stretched to a square

    def __init__(
        self, card: ModelCard, composition: Composition, prompt: Prompt, about: Mapping[str, Any] | None = None, way: Preparation | None = None
    ) -> None:
        super().__init__(card, composition, prompt, about)
        self.way = way or Preparation()

    def pixels(self, study: Study) -> Tensor:
        """The key image as the tower's input [1, 3, S, S]."""
        weight = next(self.composition.tower.parameters())
        return prepare(render(study.image), self.way)[None].to(weight)

    def saliency(self, study: Study, question: Question, answer: Answer, *, method: str = "occlusion") -> tuple[NDArray[np.float32], str]:
        """Where an answer comes from, by patches. To the gradient the class token, which has seen the whole film, is given.

        Args, Returns, Raises: as `Composed.saliency`.
        """
        look = looking.method(method)
        pixels = self.pixels(study)
        with torch.no_grad():
            states = self.composition.see(pixels)
        score = PatchScore(self.composition, self.prompt, question.text, answer.text, pixels)
        score.whole = states[:, :1]
        grid, name = look(score, states[:, 1:])
        return looking.to_image(grid, study.image.rows, study.image.cols, padded=self.pads), name.replace("image tokens", "patches")


def read_config(folder: Path) -> Size:
    """The numbers of a checkpoint; what the configuration leaves out is as the published code assumes.

    Raises:
        WeightsError: the configuration is absent, of another model, or of an architecture that is not implemented.
    """
    config = checkpoint.read_json(folder / "config.json")
    kind, parts = config.get("model_type"), [config.get(f"{part}_config") for part in ("vision", "qformer", "text")]
    if kind != "chexagent" or not all(isinstance(part, Mapping) for part in parts):
        raise WeightsError(f"{folder}: is a checkpoint of {kind!r}, not of CheXagent", remedy="name the model that the checkpoint is of")
    vision, former, text = cast(list[dict[str, Any]], parts)
    tower = _vision(folder, vision)
    try:
        return Size(
            tower,
            qformer.read_shape(former, outside=tower.width),
            int(config.get("num_query_tokens", 128)),
            llama.read_shape({**_MISTRAL, **text}),
        )
    except InvalidValue as error:
        raise WeightsError(f"{folder}: {error.what}", remedy="fetch config.json again") from error


def _vision(folder: Path, config: Mapping[str, Any]) -> VisionShape:
    activation = config.get("hidden_act", "gelu")
    if activation not in ACTIVATIONS or not config.get("qkv_bias", True):
        what = f"the activation {activation!r}" if activation not in ACTIVATIONS else "queries and values without a bias"
        raise WeightsError(f"{folder}: a tower with {what} is not known", remedy="name the model that the checkpoint is of")
    return dataclasses.replace(
        EVA_448,
        image=int(config.get("image_size", 224)),
        patch=int(config.get("patch_size", EVA_448.patch)),
        width=int(config.get("hidden_size", EVA_448.width)),
        inner=int(config.get("intermediate_size", EVA_448.inner)),
        layers=int(config.get("num_hidden_layers", 39)),
        heads=int(config.get("num_attention_heads", EVA_448.heads)),
        eps=float(config.get("layer_norm_eps", EVA_448.eps)),
        activation=activation,
    )


def read_preparation(folder: Path, size: int) -> Preparation:
    """How the checkpoint wants its pictures, from `preprocessor_config.json`; where that is absent or silent, as BLIP has it.

    Args:
        size: side in pixels that the tower takes.

    Raises:
        WeightsError: another size or way of resizing, a step left out, or colours that are not three.
    """
    path = folder / "preprocessor_config.json"
    config = checkpoint.read_json(path) if path.exists() else {}
    wanted = config.get("size", size)
    sides = (wanted.get("height"), wanted.get("width")) if isinstance(wanted, Mapping) else (wanted, wanted)
    steps = all(config.get(f"do_{step}", True) for step in ("resize", "rescale", "normalize"))
    if sides != (size, size) or config.get("resample", BICUBIC) != BICUBIC or not steps or abs(config.get("rescale_factor", 1 / 255) * 255 - 1) > 1e-6:
        what = f"{path}: prepares pictures in a way that is not known"
        raise WeightsError(what, remedy=f"known: stretched bicubically to {size} x {size} pixels, scaled to [0, 1] and normalised")
    mean, deviation = (tuple(float(x) for x in config.get(key, usual)) for key, usual in (("image_mean", MEAN), ("image_std", DEVIATION)))
    if len(mean) != 3 or len(deviation) != 3 or not all(x > 0 for x in deviation):
        raise WeightsError(f"{path}: image_mean and image_std are not of three colours", remedy="fetch the checkpoint again")
    return Preparation(size, mean, deviation)


def load(device: str = "cpu", weights: Path | None = None, *, dtype: Held | None = None) -> CheXagent8b:
    """The model from a checkpoint of the official layout.

    Args:
        weights: the folder. dtype: None takes the fastest that the device has.

    Raises:
        WeightsError: no folder, or one that does not hold this model.
    """
    if weights is None:
        raise checkpoint.absent(NAME)
    size = read_config(weights)
    way, tokenizer = read_preparation(weights, size.vision.image), read_tokenizer(weights)
    if tokenizer.get_vocab_size() > size.language.vocabulary:
        what = f"{weights}: the tokenizer has {tokenizer.get_vocab_size()} tokens and the model {size.language.vocabulary} rows"
        raise WeightsError(what, remedy="fetch the checkpoint again")
    kind = dtype or default_dtype(device)
    with torch.device("meta"):
        composition = build(size)
    afford(NAME, composition, kind, device)
    checkpoint.fill(composition, OFFICIAL.there_to_here(checkpoint.read(weights)), where=str(weights))
    place(composition, device, kind)
    template = dataclasses.replace(TEMPLATE, unscored=tuple(range(tokenizer.get_vocab_size(), size.language.vocabulary)))
    about = {"weights": checkpoint.fingerprint(checkpoint.files(weights)), "layout": OFFICIAL.name}
    return CheXagent8b(card(NAME), composition, UserPrompt(tokenizer, template), about, way)
