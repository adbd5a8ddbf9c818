"""LLaVA-Med v1.0 (Li et al. 2023, arXiv 2306.00890; commit b9a98a7): CLIP ViT-L/14 at 224 px, one linear map, LLaMA-7B, the image behind the question.

In: a `Study`. Out: `Answer`s through the engine of `after`. The published weights are differences to LLaMA-7B: `apply_delta` adds them, once.
The tower is stored in no checkpoint: a folder with CLIP's weights is named beside it. A checkpoint may name BiomedCLIP instead: ViT-B/16, 196 tokens.
"""

from __future__ import annotations

import dataclasses
import json
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image as Picture
from torch import Tensor, nn

from vesalius.domain.study import Study
from vesalius.errors import ConfigError, InvalidValue, WeightsError
from vesalius.formats.pixels import render
from vesalius.models import biomedclip, checkpoint, llama, llava, llava_med, looking
from vesalius.models.after import After, AfterComposition, AfterPrompt
from vesalius.models.cards import card
from vesalius.models.checkpoint import KeyMap
from vesalius.models.composition import Template
from vesalius.models.decoder import default_dtype
from vesalius.models.quantize import Held, afford, place
from vesalius.models.vit import VisionShape, clip_shape
from vesalius.registry import unknown

NAME = "llava-med-1.0-7b"
CLIP_L_224 = VisionShape(image=224, patch=14, width=1024, inner=4096, layers=24, heads=16)
TOWERS: Mapping[str, VisionShape] = MappingProxyType({"openai/clip-vit-large-patch14": CLIP_L_224})
LAYER = -2
PATCH, START, END, STOP = "<im_patch>", "<im_start>", "<im_end>", "###"
CONTEXT = 2048
_NARROWEST = 100
SYSTEMS: Mapping[str, str] = MappingProxyType(
    {
        "simple": "A chat between a curious human and an artificial intelligence assistant. "
        "The assistant gives helpful, detailed, and polite answers to the human's questions.",
        # the missing blanks between sentences are the published ones
        "multimodal": "You are LLaVA-Med, a large language and vision assistant trained by a group of researchers at Microsoft, "
        "based on the general domain LLaVA architecture.You are able to understand the visual content that the user provides, "
        "and assist the user with a variety of medical and clinical tasks using natural language."
        "Follow the instructions carefully and explain your answers in detail.",
    }
)
_OPENING = (("Human", "Hi!"), ("Assistant", "Hi there!  How can I help you today?\n"))
_REMEDY = "give the folder of LLaMA-7B and the folder of the differences, as they were published"
_COPIED = ("model.mm_projector.weight", "model.mm_projector.bias")
_GROWN = ("model.embed_tokens.weight", "lm_head.weight")
_COMPUTED = (r"rotary_emb\.inv_freq$",)
_BESIDE = ("tokenizer.json", "tokenizer.model", "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json", "generation_config.json")
_SHARD = 4_000_000_000  # bytes, at most
_LAST = 3  # states of BiomedCLIP that the published code has to choose from
OFFICIAL = KeyMap(
    "official",
    (
        ("model.mm_projector.", "projector."),
        ("model.layers.", "lm.model.layers."),
        ("model.embed_tokens.", "lm.model.embed_tokens."),
        ("model.norm.", "lm.model.norm."),
        ("lm_head.", "lm.lm_head."),
    ),
    _COMPUTED,
)


def _before(conversation: str) -> str:
    if conversation not in SYSTEMS:
        raise unknown("conversation", conversation, list(SYSTEMS))
    return SYSTEMS[conversation] + STOP + "".join(f"{role}: {words}{STOP}" for role, words in _OPENING)


def template(conversation: str = "simple") -> Template:
    """The published conversation of that name, around one question.

    Raises:
        UnknownName: there is none.
    """
    return Template(before=f"{_before(conversation)}Human:", between="\n", after=f"{STOP}Assistant:", stop=("</s>",), bos="<s>")


def prompt_text(turns: Sequence[tuple[str, str | None]], *, conversation: str = "simple", images: int = 1, patches: int = 256, marked: bool = True) -> str:
    """The published prompt of a conversation; the image follows the first question, 0 or 1 of them.

    Args:
        turns: (question, answer); the last answer is None, for the model to give. marked: whether `<im_start>` and `<im_end>` stand around the image.
    """
    picture = PATCH * patches
    out = _before(conversation)
    for number, (question, answer) in enumerate(turns):
        asked = question.replace("<image>", "").strip()
        if number == 0 and images:
            asked += "\n" + (f"{START}{picture}{END}" if marked else picture)
        out += f"Human: {asked}{STOP}Assistant:"
        if answer is not None:
            out += f" {answer}{STOP}"
    return out


def prepare(rendered: NDArray[np.uint8], size: int = 224) -> Tensor:
    """A rendered picture as the tower's input: shorter side to the tower's, middle cut out, normalised; what lies outside the middle is not seen.

    Args:
        rendered: (H, W) or (H, W, 3) uint8.

    Returns:
        [3, S, S] float32.

    Raises:
        InvalidValue: one side is more than 100 times the other.
    """
    picture = Picture.fromarray(rendered).convert("RGB")
    short, long = sorted(picture.size)
    if long > _NARROWEST * short:
        raise InvalidValue(f"a picture of {picture.width} x {picture.height} is too narrow to be cut to a square", remedy="crop it first")
    # the longer side is cut off, not rounded, and so are the offsets
    width, height = (size if side == short else int(size * side / short) for side in picture.size)
    left, top = (width - size) // 2, (height - size) // 2
    middle = picture.resize((width, height), Picture.Resampling.BICUBIC).crop((left, top, left + size, top + size))
    values = torch.from_numpy(np.array(middle)).float() / 255
    return ((values - torch.tensor(llava_med.MEAN)) / torch.tensor(llava_med.DEVIATION)).permute(2, 0, 1)


class LlavaMedV1(After):
    """A `GenerativeModel`."""

    def pixels(self, study: Study) -> Tensor:
        """The key image as the tower's input [1, 3, S, S]."""
        weight = next(self.composition.tower.parameters())
        size = self.composition.tower.vision.shape.image  # type: ignore[union-attr]
        return prepare(render(study.image), int(size))[None].to(weight)  # type: ignore[arg-type]

    def to_image(self, grid: Tensor, rows: int, cols: int) -> NDArray[np.float32]:
        """A grid of image tokens over the middle square of the picture; 0 outside, which is not seen."""
        return looking.to_middle(grid, rows, cols)


def build(vision: VisionShape, language: llama.Shape, *, layer: int = LAYER) -> AfterComposition:
    """The composition, its weights undrawn where a checkpoint will replace them."""
    return AfterComposition(llava.Tower(vision, layer), nn.Linear(vision.width, language.width), llama.Llama(language, blank=True))


@dataclasses.dataclass(frozen=True)
class Config:
    """What a checkpoint says of itself.

    Args:
        tower: name of the tower, or its folder relative to the checkpoint. layer: hidden state that is seen. marked: whether tokens stand around the image.
        biomedical: whether the tower is BiomedCLIP's.
    """

    language: llama.Shape
    tower: str
    layer: int
    marked: bool
    biomedical: bool = False


def read_config(folder: Path) -> Config:
    """The configuration of a checkpoint of the official layout.

    Raises:
        WeightsError: it is absent, or of another model.
    """
    config = checkpoint.read_json(folder / "config.json")
    kind = config.get("model_type")
    if kind != "llava" or "vision_config" in config or config.get("mm_projector_type", "linear") != "linear":
        raise WeightsError(f"{folder}: is a checkpoint of {kind!r}, not of LLaVA-Med 1.0", remedy="name the model that the checkpoint is of")
    tower = str(config.get("mm_vision_tower", next(iter(TOWERS))))
    text = {**config, "model_type": "llama", "max_position_embeddings": min(CONTEXT, int(config.get("max_position_embeddings", CONTEXT)))}
    layer, marked = int(config.get("mm_vision_select_layer", LAYER)), bool(config.get("mm_use_im_start_end", False))
    biomedical = "biomedclip" in tower.lower().replace("_", "")
    if biomedical:
        if not -_LAST <= layer < _LAST:
            raise WeightsError(f"{folder}: sees state {layer} of BiomedCLIP's last {_LAST}", remedy=f"name one from {-_LAST} to {_LAST - 1}")
        layer -= _LAST if layer >= 0 else 0  # the published code counts among the last three
    return Config(llama.read_shape(text), tower, layer, marked, biomedical)


@dataclasses.dataclass(frozen=True)
class _Tower:
    """The numbers of a tower, its tensors by our names, and the files that hold them."""

    shape: VisionShape
    tensors: Mapping[str, Tensor]
    files: Sequence[Path]


def _tower(folder: Path, config: Config, tower: Path | None) -> _Tower:
    source = biomedclip.SOURCE if config.biomedical else next(iter(TOWERS))
    where = tower or folder / config.tower
    if not where.is_dir():
        what = f"{folder}: stores no image tower" if tower is None else f"{tower}: not a folder"
        raise WeightsError(what, remedy=f"download {source} and name its folder: load(tower=FOLDER), or put it at {folder / config.tower}")
    if config.biomedical:
        return _biomedical(folder, where)
    if not (where / "config.json").exists() and config.tower in TOWERS:
        return _Tower(TOWERS[config.tower], llava.clip_tensors(where), checkpoint.files(where))
    stated = checkpoint.read_json(where / "config.json")
    return _Tower(clip_shape(stated.get("vision_config", stated)), llava.clip_tensors(where), checkpoint.files(where))


def _biomedical(folder: Path, where: Path) -> _Tower:
    """The image half of BiomedCLIP, in open_clip's layout."""
    if not (where / "open_clip_config.json").exists():
        raise WeightsError(f"{where}: is not BiomedCLIP, which {folder} sees through", remedy=f"give the folder of {biomedclip.SOURCE}")
    shape = biomedclip.read_config(where).vision
    path = next((where / name for name in biomedclip.FILES if (where / name).exists()), None)
    if path is None:
        raise WeightsError(f"{where}: holds no weights ({', '.join(biomedclip.FILES)})", remedy=f"give the folder of {biomedclip.SOURCE}")
    ours = biomedclip.there_to_here(checkpoint.read_file(path))
    return _Tower(shape, {f"tower.{n}": t for n, t in ours.items() if n.startswith(("vision.", "visual.trunk."))}, [path])


def read_tokenizer(folder: Path) -> Any:  # noqa: ANN401 - the library is not typed
    """The stored tokenizer with its added tokens at their places, then the image's where it has none, as the published code adds them.

    Raises:
        WeightsError: it cannot be read, or its tokens are not where it says.
    """
    from tokenizers import AddedToken

    tokenizer = llava_med.read_tokenizer(folder)
    stored = checkpoint.read_json(folder / "added_tokens.json") if (folder / "added_tokens.json").exists() else {}
    for content, number in sorted(stored.items(), key=lambda pair: int(pair[1])):
        tokenizer.add_special_tokens([AddedToken(content, special=True, normalized=False)])
        if tokenizer.token_to_id(content) != number:
            raise WeightsError(f"{folder}: the added token {content!r} is not at {number}", remedy="fetch the checkpoint again")
    for content in (PATCH, START, END):
        tokenizer.add_special_tokens([AddedToken(content, special=True, normalized=False)])
    return tokenizer


def load(device: str = "cpu", weights: Path | None = None, *, tower: Path | None = None, conversation: str = "simple", dtype: Held | None = None) -> LlavaMedV1:
    """The model from a checkpoint that `apply_delta` made.

    Args:
        weights: the folder. tower: a folder with the weights of CLIP, or of BiomedCLIP if the checkpoint names that; None: the one that it names,
            relative to itself.
        conversation: a key of `SYSTEMS`. dtype: None takes the fastest that the device has.

    Raises:
        WeightsError: no folder, or one that does not hold this model. UnknownName: no such conversation.
    """
    words = template(conversation)
    if weights is None:
        raise checkpoint.absent(NAME)
    config = read_config(weights)
    sees = _tower(weights, config, tower)
    language, kind = config.language, dtype or default_dtype(device)
    with torch.device("meta"):
        afford(NAME, build(sees.shape, language), kind, device)
    tokenizer = read_tokenizer(weights)
    if tokenizer.get_vocab_size() > language.vocabulary:
        what = f"{weights}: the tokenizer has {tokenizer.get_vocab_size()} tokens and the model {language.vocabulary} rows"
        raise WeightsError(what, remedy="add the differences to LLaMA-7B first" if language.vocabulary == 32000 else "fetch the checkpoint again")
    composition = build(sees.shape, language, layer=config.layer)
    tensors = OFFICIAL.there_to_here(checkpoint.read(weights)) | dict(sees.tensors)
    checkpoint.fill(composition, tensors, where=str(weights))
    place(composition, device, kind)
    images = [tokenizer.token_to_id(token) for token in (PATCH, START, END)]
    unscored = tuple(sorted({*images, *range(tokenizer.get_vocab_size(), language.vocabulary)}))
    marks = (START, END) if config.marked else None
    prompt = AfterPrompt(tokenizer, dataclasses.replace(words, unscored=unscored), patch=PATCH, marks=marks, until=(STOP,))
    about = {"weights": checkpoint.fingerprint(checkpoint.files(weights)), "layout": OFFICIAL.name, "tower": checkpoint.fingerprint(sees.files)}
    return LlavaMedV1(card(NAME), composition, prompt, about | {"conversation": conversation})


def apply_delta(base: Path, delta: Path, target: Path) -> Path:
    """Add published differences to LLaMA-7B, shard by shard, in float16 as the published code does; its result to the bit.

    Embeddings and head grew by the image's tokens: their first rows get the base added. The projector is the difference itself.

    Args:
        base: a folder of LLaMA-7B. delta: a folder of microsoft/llava-med-7b-delta. target: a folder that does not exist; it appears when it is whole.

    Raises:
        ConfigError: the target exists. WeightsError: the two do not fit each other, or the target cannot be written.
    """
    if target.exists():
        raise ConfigError(f"{target}: exists already", remedy="name a folder that does not exist")
    read_config(delta)
    under, over = _mapped(base), _mapped(delta)
    _agree(base, under, delta, over)
    work = target.with_name(f".{target.name}.part")
    shutil.rmtree(work, ignore_errors=True)
    try:
        work.mkdir(parents=True)
        _write(work, under, over, size=_SHARD)
        for name in ("config.json", *_BESIDE):
            if (delta / name).exists():
                shutil.copy(delta / name, work / name)
        config = {**checkpoint.read_json(delta / "config.json"), "torch_dtype": "float16"}
        (work / "config.json").write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")
        work.rename(target)
    except OSError as error:
        raise WeightsError(f"{target}: cannot be written ({error.strerror})", remedy="free space or name another folder") from error
    finally:
        shutil.rmtree(work, ignore_errors=True)
    return target


def _mapped(folder: Path) -> dict[str, Tensor]:
    """Tensors by name, mapped and not read; without what is computed."""
    return KeyMap("as it is", (), _COMPUTED).there_to_here(checkpoint.read(folder))


def _agree(base: Path, under: Mapping[str, Tensor], delta: Path, over: Mapping[str, Tensor]) -> None:
    """Refuse differences that are not of this base."""
    absent = sorted(over.keys() - under.keys() - set(_COPIED))
    if absent:
        raise WeightsError(f"{base}: lacks {absent[0]!r}, to which {delta} has a difference", remedy=_REMEDY)
    left = sorted((under.keys() | set(_COPIED)) - over.keys())
    if left:
        raise WeightsError(f"{delta}: lacks {left[0]!r}", remedy=_REMEDY)
    for name, tensor in over.items():
        if name in _COPIED:
            continue
        theirs, ours = tuple(tensor.shape), tuple(under[name].shape)
        grown = name in _GROWN and theirs[1:] == ours[1:] and theirs[0] >= ours[0]
        if theirs != ours and not grown:
            raise WeightsError(f"{delta}: the difference {name!r} is {theirs} and the base {ours}", remedy=_REMEDY)


def _write(folder: Path, under: Mapping[str, Tensor], over: Mapping[str, Tensor], *, size: int) -> None:
    """Sums as shards of at most `size` bytes each, with their index; one shard is held at a time."""
    from safetensors.torch import save_file

    shards: list[list[str]] = [[]]
    filled = 0
    for name in sorted(over):
        bytes_of = 2 * over[name].numel()
        if shards[-1] and filled + bytes_of > size:
            shards.append([])
            filled = 0
        shards[-1].append(name)
        filled += bytes_of
    weight_map: dict[str, str] = {}
    for number, names in enumerate(shards, 1):
        file = f"model-{number:05d}-of-{len(shards):05d}.safetensors"
        save_file({n: _sum(under.get(n), over[n]) for n in names}, folder / file, metadata={"format": "pt"})
        weight_map |= dict.fromkeys(names, file)
    index = {"metadata": {"total_size": sum(2 * t.numel() for t in over.values())}, "weight_map": weight_map}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index, indent=2) + "\n", encoding="utf-8")


def _sum(base: Tensor | None, delta: Tensor) -> Tensor:
    out = delta.to(torch.float16, copy=True).contiguous()
    if base is not None:
        out[: len(base)] += base.to(torch.float16)
    return out
