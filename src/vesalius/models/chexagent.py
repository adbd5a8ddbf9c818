"""CheXagent-2 (Chen et al. 2024, arXiv 2401.12208; StanfordAIMI/CheXagent-2-3b): a SigLIP tower for chest films at 512 px, a projector per token, Phi-2.

In: a `Study`. Out: `Answer`s through the engine, and the boxes that an answer names. The published code writes the path of a file into the prompt and opens
what it finds there; here an image is pixels, what stands between `<|img|>` and `<|/img|>` is never read, and no prompt can name a file.
"""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image as Picture
from torch import Tensor, nn

from vesalius.domain.finding import Region
from vesalius.domain.study import Study
from vesalius.errors import InvalidValue, WeightsError
from vesalius.formats.pixels import render
from vesalius.models import checkpoint, llava, phi
from vesalius.models.cards import card
from vesalius.models.checkpoint import KeyMap
from vesalius.models.composed import Composed
from vesalius.models.composition import Composition, Prompt, Template
from vesalius.models.decoder import default_dtype
from vesalius.models.llava import IMAGE
from vesalius.models.quantize import Held, afford, place
from vesalius.models.vit import ACTIVATIONS, VisionShape, VisionTransformer

NAME, ARCHITECTURE = "chexagent-2-3b", "CheXagentForCausalLM"
SYSTEM = "You are a helpful assistant."
END, IMAGE_START, IMAGE_END, IMAGE_PAD = "<|endoftext|>", "<|img|>", "<|/img|>", "<|imgpad|>"
GROUNDING = ("<|ref|>", "<|/ref|>", "<|box|>", "<|/box|>", "<|quad|>", "<|/quad|>")
TEMPLATE = Template(before=f"<|system|>\n{SYSTEM}{END}\n<|user|>\nPicture 1:{IMAGE_START}", between=IMAGE_END, after=f"{END}\n<|assistant|>\n", stop=(END,))
SIGLIP_L_512 = VisionShape(
    image=512, patch=16, width=1024, inner=4096, layers=24, heads=16, eps=1e-6, activation="gelu_pytorch_tanh", class_token=False, pre_norm=False, bias=True
)
TOWERS = {"StanfordAIMI/XraySigLIP__vit-l-16-siglip-384__webli": SIGLIP_L_512}  # the name says 384, the weights are for 512
OFFICIAL = KeyMap(
    "official",
    (
        ("model.visual.model.", "tower.vision."),
        ("model.visual.", "projector."),
        ("model.layers.", "lm.model.layers."),
        ("model.embed_tokens.", "lm.model.embed_tokens."),
        ("model.final_layernorm.", "lm.model.final_layernorm."),
        ("lm_head.", "lm.lm_head."),
    ),
    # the final norm and the pooling head of SigLIP are stored, but the language model reads what comes before them
    (r"^model\.visual\.model\.(post_layernorm|head)\.", r"\.position_ids$", r"rotary_emb\.(inv_freq|cos_cached|sin_cached)$"),
)
_SPAN = re.compile(re.escape(IMAGE_START) + r".*?" + re.escape(IMAGE_END), re.DOTALL)
_MARK = re.compile(r"<\|ref\|>(?P<phrase>.*?)<\|/ref\|>|<\|box\|>(?P<box>.*?)(?:<\|/box\|>|(?=<\|box\|>|<\|ref\|>)|\Z)|(?P<words>\S)", re.DOTALL)
_CORNERS = re.compile(r"\s*\(\s*(\d+)\s*,\s*(\d+)\s*\)\s*,\s*\(\s*(\d+)\s*,\s*(\d+)\s*\)\s*")
_FULL = 100  # coordinates run from 0 to 100 on either axis


class Tower(nn.Module):
    """SigLIP's last hidden state, before the final norm."""

    def __init__(self, shape: VisionShape) -> None:
        super().__init__()
        self.vision = VisionTransformer(shape)
        self.vision.post_layernorm = nn.Identity()  # type: ignore[assignment]  # never applied, so never loaded

    def forward(self, pixels: Tensor) -> Tensor:
        """[B, 3, S, S] -> [B, N, width]."""
        return self.vision.states(pixels)


class Projector(nn.Module):
    """Features to image tokens, each on its own: position added, two layers with exact GELU, norm, matrix.

    Attribute names are the published ones; in spite of its name, `attn_pool` attends to nothing and pools nothing.

    Args:
        patches: N. inside, outside: widths of the tower and of the language model.
    """

    def __init__(self, patches: int, inside: int, outside: int) -> None:
        super().__init__()
        self.pos_embed = nn.Parameter(torch.zeros(patches, inside), requires_grad=False)  # sines and cosines of row and column, stored with the weights
        self.attn_pool = nn.Sequential(nn.Linear(inside, 4 * outside), nn.GELU(), nn.Linear(4 * outside, outside))
        self.ln_post = nn.LayerNorm(outside, eps=1e-6)
        self.proj = nn.Parameter(torch.zeros(outside, outside))

    def forward(self, features: Tensor) -> Tensor:
        """[B, N, inside] -> [B, N, outside]."""
        return cast(Tensor, self.ln_post(self.attn_pool(features + self.pos_embed))) @ self.proj


def build(vision: VisionShape, language: phi.Shape, projector: Callable[[int, int, int], nn.Module] = Projector) -> Composition:
    """The composition with weights yet to be filled in; the projector is made of the patches and the widths of tower and language model."""
    return Composition(Tower(vision), projector(vision.patches, vision.width, language.width), phi.Phi(language))


def prompt_text(turns: Sequence[tuple[str, str | None]], *, system: str = SYSTEM, images: int = 1) -> str:
    """The published prompt of a conversation; the images stand before the first question, each an empty span.

    Args:
        turns: (question, answer); the last answer is None, for the model to give.
    """
    pictures = "".join(f"Picture {number}:{IMAGE_START}{IMAGE_END}\n" for number in range(1, images + 1))
    out = f"<|system|>\n{system}{END}\n" if system else ""
    for number, (question, answer) in enumerate(turns):
        out += f"<|user|>\n{pictures if number == 0 else ''}{question}{END}\n<|assistant|>\n"
        if answer is not None:
            out += f"{answer}{END}\n"
    return out


class PicturePrompt(Prompt):
    """The published prompt around one image, and whole prompts around any number of them.

    The line break after the image and the question are tokenised in one, as the published tokenizer does, which cuts at its own marks only.
    """

    def question(self, text: str) -> tuple[int, ...]:
        """Ids from the image to where the answer starts. Control tokens written in the question are read as plain text; marks of boxes are obeyed."""
        return (*self._plain("\n" + text), *self.after)

    def around(self, text: str) -> tuple[int, ...]:
        """Ids of a whole prompt; a span from `<|img|>` to `<|/img|>` becomes one image, whatever is written in it. Control tokens are obeyed: our text only.

        Raises:
            InvalidValue: a span that is not closed.
        """
        chunks = [self._fixed(chunk) for chunk in _SPAN.split(text)]
        start, end = self._special(IMAGE_START), self._special(IMAGE_END)
        if any(start in chunk for chunk in chunks):
            raise InvalidValue("an image's span is not closed", remedy=f"write {IMAGE_END} after each {IMAGE_START}")
        return (*chunks[0], *(i for chunk in chunks[1:] for i in (start, IMAGE, end, *chunk)))


def logits(composition: Composition, rows: Sequence[Sequence[int]], pixels: Tensor | None = None) -> list[Tensor]:
    """Plain logits of prompts of any number of images. Two images of 1,024 tokens fill the published context by themselves, and are refused.

    Args:
        rows: ids of `PicturePrompt.around`, with `IMAGE` for each image. pixels: [images, 3, S, S] in the order of the rows; None when there is none.

    Returns:
        For each row [length with image tokens, vocabulary] float32.

    Raises:
        InvalidValue: another number of images than places for them, or a row longer than the context.
    """
    return llava.logits(composition, rows, pixels)


def prepare(rendered: NDArray[np.uint8], size: int = 512) -> Tensor:
    """A rendered picture as the tower's input: stretched to a square bicubically, its shape not kept, and scaled to -1..1.

    Args:
        rendered: (H, W) or (H, W, 3) uint8.

    Returns:
        [3, S, S] float32.
    """
    stretched = Picture.fromarray(rendered).convert("RGB").resize((size, size), Picture.Resampling.BICUBIC)
    return ((torch.from_numpy(np.array(stretched)).float() / 255 - 0.5) / 0.5).permute(2, 0, 1)


@dataclasses.dataclass(frozen=True)
class Box:
    """A place that an answer names.

    Args:
        phrase: what is said to be there; None when the answer does not say. region: pixels; None when the text is not a box. text: as the model wrote it.
    """

    phrase: str | None
    region: Region | None
    text: str


def boxes(text: str, *, rows: int, cols: int) -> tuple[Box, ...]:
    """The boxes of an answer, in its order: `<|ref|>phrase<|/ref|><|box|>(x1,y1),(x2,y2)<|/box|>`, coordinates 0..100 of width and height.

    What is not a box (reversed, empty, out of range, unfinished) is kept without a region, and never repaired or replaced by another one.

    Args:
        rows, cols: of the image; the picture was stretched to a square, so either axis has its own scale.
    """
    found: list[Box] = []
    phrase: str | None = None
    for mark in _MARK.finditer(text):
        if mark["phrase"] is not None:
            phrase = mark["phrase"].strip() or None
        elif mark["box"] is not None:
            whole = mark[0].endswith("<|/box|>")
            found.append(Box(phrase, _region(mark["box"], rows, cols) if whole else None, mark["box"].strip()))
        else:
            phrase = None  # words between a phrase and a box part them
    return tuple(found)


def _region(text: str, rows: int, cols: int) -> Region | None:
    corners = _CORNERS.fullmatch(text)
    if corners is None:
        return None
    x0, y0, x1, y1 = (int(n) for n in corners.groups())
    if not (x0 < x1 <= _FULL and y0 < y1 <= _FULL):
        return None
    return Region(x0, y0, x1, y1).scaled(cols / _FULL, rows / _FULL)


class CheXagent(Composed):
    """A `GenerativeModel`."""

    pads = False  # a picture is stretched to a square

    def pixels(self, study: Study) -> Tensor:
        """The key image as the tower's input [1, 3, S, S]."""
        weight = next(self.composition.tower.parameters())
        size = self.composition.tower.vision.shape.image  # type: ignore[union-attr]
        return prepare(render(study.image), int(size))[None].to(weight)  # type: ignore[arg-type]


def read_config(folder: Path, architecture: str = ARCHITECTURE) -> tuple[VisionShape, phi.Shape]:
    """Shapes of tower and language model.

    The published configuration does not store the tower's numbers but its name; a name that is a folder beside it is read.

    Args:
        architecture: what the configuration must say that it is of.

    Raises:
        WeightsError: the configuration is absent, of another model, or names an unknown tower.
    """
    config = checkpoint.read_json(folder / "config.json")
    kinds, visual = config.get("architectures"), config.get("visual")
    if kinds != [architecture] or not isinstance(visual, Mapping):
        raise WeightsError(f"{folder}: is a checkpoint of {kinds!r}, not of {architecture!r}", remedy="name the model that the checkpoint is of")
    vision, language = _tower(folder, str(visual.get("vision_model_name_or_path", next(iter(TOWERS))))), phi.read_shape(config)
    if visual.get("image_size", vision.image) != vision.image or visual.get("output_dim", language.width) != language.width:
        what = f"images of {visual.get('image_size')} px in a width of {visual.get('output_dim')} do not fit tower and language model"
        raise WeightsError(f"{folder}: {what} ({vision.image} px, {language.width})", remedy="fetch config.json again")
    return vision, language


def _tower(folder: Path, name: str) -> VisionShape:
    if name in TOWERS:
        return TOWERS[name]
    path = folder / name / "config.json"
    if not path.exists():
        raise WeightsError(f"{folder}: names the image tower {name!r}, which is not known", remedy=f"known: {', '.join(TOWERS)}")
    config = checkpoint.read_json(path)
    config = config.get("vision_config", config)
    activation = config.get("hidden_act", "gelu_pytorch_tanh")
    if activation not in ACTIVATIONS:
        raise WeightsError(f"{path}: a tower with the activation {activation!r} is not known", remedy=f"known: {', '.join(ACTIVATIONS)}")
    return VisionShape(
        image=int(config.get("image_size", 224)),
        patch=int(config.get("patch_size", 16)),
        width=int(config.get("hidden_size", 768)),
        inner=int(config.get("intermediate_size", 3072)),
        layers=int(config.get("num_hidden_layers", 12)),
        heads=int(config.get("num_attention_heads", 12)),
        eps=float(config.get("layer_norm_eps", 1e-6)),
        activation=activation,
        class_token=False,
        pre_norm=False,
        bias=True,
    )


def read_tokenizer(folder: Path) -> Any:  # noqa: ANN401 - the library is not typed
    """`tokenizer.json`, else `vocab.json` and `merges.txt` completed as the published tokenizer does.

    Marks of boxes and phrases are no control tokens here: they belong to answers and may be asked about.

    Raises:
        WeightsError: a file is absent or cannot be read, or its tokens are not where it says.
    """
    from tokenizers import Tokenizer

    try:
        if (folder / "tokenizer.json").exists():
            held = checkpoint.read_json(folder / "tokenizer.json")
            for token in held["added_tokens"]:
                token["special"] = token["special"] and token["content"] not in GROUNDING
            return Tokenizer.from_str(json.dumps(held))
        return _complete(_byte_pairs(folder), folder)
    except WeightsError:
        raise
    except Exception as error:  # the library raises plain exceptions
        raise WeightsError(f"{folder}: the tokenizer cannot be read ({error})", remedy="fetch the checkpoint again") from error


def _byte_pairs(folder: Path) -> Any:  # noqa: ANN401 - the library is not typed
    """The byte-level vocabulary of GPT-2's kind, without added tokens."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers

    lines = (folder / "merges.txt").read_text(encoding="utf-8").split("\n")[1:]  # the first line is a version
    merges = [(first, second) for first, _, second in (line.partition(" ") for line in lines if line)]
    tokenizer = Tokenizer(models.BPE(vocab=checkpoint.read_json(folder / "vocab.json"), merges=merges))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    return tokenizer


def _complete(tokenizer: Any, folder: Path) -> Any:  # noqa: ANN401
    """Stored added tokens at their places, then those that the published tokenizer adds by itself, up to a multiple of 64."""
    for number, content in sorted(_stored(folder)):
        _add(tokenizer, content)
        if tokenizer.token_to_id(content) != number:
            raise WeightsError(f"{folder}: the added token {content!r} is not at {number}", remedy="fetch the checkpoint again")
    coordinates = [f"<|coord_{digit}|>" for digit in range(10)]
    for content in (END, IMAGE_START, IMAGE_END, IMAGE_PAD, *GROUNDING, *coordinates):
        _add(tokenizer, content)
    for extra in range(-tokenizer.get_vocab_size() % 64):
        _add(tokenizer, f"<|extra_{extra}|>")
    return tokenizer


def _add(tokenizer: Any, content: str) -> None:  # noqa: ANN401
    from tokenizers import AddedToken

    # runs of blanks are added tokens too, and no control tokens
    control = content.startswith("<|") and content not in GROUNDING
    tokenizer.add_tokens([AddedToken(content, special=control, normalized=not control)])


def _stored(folder: Path) -> list[tuple[int, str]]:
    """(id, token) that the checkpoint lists as added."""
    if (folder / "tokenizer_config.json").exists():
        listed = checkpoint.read_json(folder / "tokenizer_config.json").get("added_tokens_decoder")
        if listed:
            return [(int(number), str(token["content"])) for number, token in listed.items()]
    if (folder / "added_tokens.json").exists():
        return [(int(number), token) for token, number in checkpoint.read_json(folder / "added_tokens.json").items()]
    return []


def _dtype(device: str) -> torch.dtype:
    """The fastest dtype, but never float16: products of Phi-2's queries and keys exceed its range."""
    fastest = default_dtype(device)
    return torch.float32 if fastest == torch.float16 else fastest


def load(device: str = "cpu", weights: Path | None = None, *, dtype: Held | None = None) -> CheXagent:
    """The model from a checkpoint of the official layout.

    Args:
        weights: the folder. dtype: None takes the fastest that the device has and the model bears.

    Raises:
        WeightsError: no folder, or one that does not hold this model.
    """
    if weights is None:
        raise checkpoint.absent(NAME)
    return CheXagent(card(NAME), *assemble(NAME, weights, read_config(weights), Projector, device, dtype))


def assemble(
    name: str,
    weights: Path,
    shapes: tuple[VisionShape, phi.Shape],
    projector: Callable[[int, int, int], nn.Module],
    device: str,
    dtype: Held | None,
) -> tuple[Composition, PicturePrompt, dict[str, Any]]:
    """Composition, prompt and what is known of the weights, from a checkpoint whose names are those of the official layout.

    Args:
        name: of the model. shapes: as `read_config` gives them. projector: as `build` takes it. device, dtype: as `load`.

    Raises:
        WeightsError: the checkpoint does not hold this model, or memory does not.
    """
    vision, language = shapes
    tokenizer = read_tokenizer(weights)
    if tokenizer.get_vocab_size() > language.vocabulary:
        what = f"{weights}: the tokenizer has {tokenizer.get_vocab_size()} tokens and the model {language.vocabulary} rows"
        raise WeightsError(what, remedy="fetch the checkpoint again")
    kind = dtype or _dtype(device)
    with torch.device("meta"):
        composition = build(vision, language, projector)
    afford(name, composition, kind, device)
    checkpoint.fill(composition, OFFICIAL.there_to_here(checkpoint.read(weights)), where=str(weights))
    place(composition, device, kind)
    images = [number for number in map(tokenizer.token_to_id, (IMAGE_START, IMAGE_END, IMAGE_PAD)) if number is not None]
    unscored = tuple(sorted({*range(tokenizer.get_vocab_size(), language.vocabulary), *images}))
    about = {"weights": checkpoint.fingerprint(checkpoint.files(weights)), "layout": OFFICIAL.name}
    return composition, PicturePrompt(tokenizer, dataclasses.replace(TEMPLATE, unscored=unscored)), about
