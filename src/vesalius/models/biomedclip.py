"""BiomedCLIP (Zhang et al. 2023, arXiv 2303.00915; microsoft/BiomedCLIP-PubMedBERT_256-vit_base_patch16_224): ViT-B/16 and PubMedBERT in one space.

In: studies and texts. Out: vectors of unit length, and probabilities of options by their cosine to an image. The checkpoint is read in open_clip's own layout;
preparation of pictures and of texts is open_clip's, rewritten here, so that neither open_clip nor timm nor torchvision is needed.
"""

from __future__ import annotations

import dataclasses
import html
import json
import re
import unicodedata
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image as Picture
from torch import Tensor, nn
from torch.nn import functional

from vesalius.domain.study import Study
from vesalius.errors import InvalidValue, WeightsError
from vesalius.formats.pixels import render
from vesalius.models import bert, checkpoint, looking
from vesalius.models.base import ModelCard
from vesalius.models.cards import card as known
from vesalius.models.decoder import default_dtype
from vesalius.models.quantize import Held, afford, place
from vesalius.models.ranking import CLOSED, SENTENCE, Ranking, filled
from vesalius.models.vit import VisionShape, VisionTransformer
from vesalius.models.wording import digest

NAME = "biomedclip"
SOURCE = "microsoft/BiomedCLIP-PubMedBERT_256-vit_base_patch16_224"
FILES = ("open_clip_model.safetensors", "open_clip_pytorch_model.safetensors", "open_clip_pytorch_model.bin")  # in the order in which open_clip looks
MEAN, DEVIATION = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)
VIT_B_16 = VisionShape(image=224, patch=16, width=768, inner=3072, layers=12, heads=12, eps=1e-6, activation="gelu", pre_norm=False, bias=True)
TOWERS = {"vit_base_patch16_224": VIT_B_16}
TEXTS = {f"microsoft/{name}-base-uncased-abstract": bert.BASE for name in ("BiomedNLP-BiomedBERT", "BiomedNLP-PubMedBERT")}
NARROWEST = 100  # longer side by shorter side; the published preparation enlarges a line of pixels to gigabytes
_BATCH = 32
_OTHER = "name the model that the checkpoint is of"


@dataclasses.dataclass(frozen=True)
class Preparation:
    """How a picture becomes the tower's input (`preprocess_cfg`).

    Args:
        size: side in pixels. mean, deviation: by channel, of values in [0, 1]. smooth: bicubic, else bilinear.
    """

    size: int = 224
    mean: tuple[float, ...] = MEAN
    deviation: tuple[float, ...] = DEVIATION
    smooth: bool = True


@dataclasses.dataclass(frozen=True)
class Shape:
    """The numbers that define one model: the two encoders, the common width, tokens of a text, and how pictures are prepared."""

    vision: VisionShape
    text: bert.Shape
    width: int = 512
    context: int = 256
    preparation: Preparation = Preparation()


PUBLISHED = Shape(VIT_B_16, bert.BASE)


def prepare(rendered: NDArray[np.uint8], how: Preparation | None = None) -> Tensor:
    """A rendered picture as the tower's input: shorter side to the tower's, middle cut out, normalised; what lies outside the middle is not seen.

    Args:
        rendered: (H, W) or (H, W, 3) uint8.

    Returns:
        [3, S, S] float32.

    Raises:
        InvalidValue: one side is more than 100 times the other.
    """
    how = how or Preparation()
    picture = Picture.fromarray(rendered).convert("RGB")
    short, long = sorted(picture.size)
    if long > NARROWEST * short:
        raise InvalidValue(f"a picture of {picture.width} x {picture.height} is too narrow to be cut to a square", remedy="crop it first")
    # the longer side is cut off, not rounded, and offsets round halves to even: both as torchvision does
    width, height = (how.size if side == short else int(how.size * side / short) for side in picture.size)
    resized = picture.resize((width, height), Picture.Resampling.BICUBIC if how.smooth else Picture.Resampling.BILINEAR)
    left, top = round((width - how.size) / 2), round((height - how.size) / 2)
    values = torch.from_numpy(np.array(resized.crop((left, top, left + how.size, top + how.size)))).float() / 255
    return ((values - torch.tensor(how.mean)) / torch.tensor(how.deviation)).permute(2, 0, 1)


# what open_clip's cleaning by ftfy comes to for text that is not mis-decoded
_LIGATURES = {ord(c): unicodedata.normalize("NFKC", c) for c in "ĲĳŉǱǲǳǄǅǆǇǈǉǊǋǌﬀﬁﬂﬃﬄﬆ"} | {0xFB05: "\u017ft"}
_WIDTHS = {code: unicodedata.normalize("NFKC", chr(code)) for code in (0x3000, *range(0xFF01, 0xFFF0))}
_QUOTES = dict.fromkeys((0x2BC, *range(0x2018, 0x201C)), "'") | dict.fromkeys(range(0x201C, 0x2020), '"')
_C1 = {code: bytes([code]).decode("cp1252", "ignore") or chr(code) for code in range(0x80, 0xA0)}  # they are meant as Windows' characters
_CONTROLS = dict.fromkeys((*range(9), 11, *range(14, 32), 127, *range(0x206A, 0x2070), 0xFEFF, *range(0xFFF9, 0xFFFD)))
_ENTITY, _ESCAPE = re.compile(r"&#?[0-9A-Za-z]{1,24};"), re.compile(r"\x1b\[[\d;]*[a-zA-Z]")


def clean(text: str) -> str:
    """A text as open_clip cleans it before it is tokenised: one line, straight quotes, no entities, ligatures, wide letters or control characters.

    Text that was decoded with a wrong encoding is repaired there and left as it is here.
    """
    entities, lines = True, []
    for line in text.split("\n"):
        entities = entities and "<" not in line  # from the first tag on the text is taken for HTML, whose entities wait until the end
        lines.append(_straightened(line, entities))
    return " ".join(html.unescape(html.unescape("\n".join(lines))).split())


def _straightened(text: str, entities: bool) -> str:
    before = None
    while text != before:
        before = text
        text = _ENTITY.sub(lambda found: html.unescape(found[0]), text) if entities else text
        for table in (_C1, _LIGATURES, _WIDTHS, _QUOTES):
            text = text.translate(table)
        text = text.replace("\r", "\n").encode("utf-16", "surrogatepass").decode("utf-16", "replace")
        text = unicodedata.normalize("NFC", _ESCAPE.sub("", text).translate(_CONTROLS))
    return text


class BiomedClipNet(nn.Module):
    """Both encoders, their projections into the common space, and the scale of cosines.

    Args:
        shape: its numbers.
    """

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.shape = shape
        middle = (shape.text.width + shape.width) // 2
        self.vision, self.image_projection = VisionTransformer(shape.vision), nn.Linear(shape.vision.width, shape.width, bias=False)
        self.bert = bert.Bert(shape.text)
        self.text_projection = nn.Sequential(nn.Linear(shape.text.width, middle, bias=False), nn.GELU(), nn.Linear(middle, shape.width, bias=False))
        self.logit_scale = nn.Parameter(torch.zeros(()))

    def images(self, pixels: Tensor) -> Tensor:
        """[B, 3, S, S] -> [B, width] float32 of unit length: the class token after the final norm."""
        out: Tensor = self.image_projection(self.vision(pixels)[:, 0])
        return functional.normalize(out.float(), dim=-1)

    def texts(self, ids: Tensor, seen: Tensor) -> Tensor:
        """[B, T] ids and which are words -> [B, width] float32 of unit length: the first token of the last layer."""
        out: Tensor = self.text_projection(self.bert(ids, seen)[:, 0])
        return functional.normalize(out.float(), dim=-1)


_BLOCK = {"norm1": "layer_norm1", "norm2": "layer_norm2", "attn.proj": "self_attn.out_proj", "mlp.fc1": "mlp.fc1", "mlp.fc2": "mlp.fc2"}
_COMPUTED = "text.transformer.embeddings.position_ids"  # 0 to 511, stored by older versions of transformers
_PREFIXES = checkpoint.KeyMap(
    "open_clip",
    (
        ("visual.trunk.patch_embed.proj.", "vision.embeddings.patch_embedding."),
        ("visual.trunk.norm.", "vision.post_layernorm."),
        ("visual.head.proj.", "image_projection."),
        ("text.transformer.", "bert."),
        ("text.proj.", "text_projection."),
    ),
    (rf"^{re.escape(_COMPUTED)}$",),
)


def there_to_here(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Names of open_clip to ours; queries, keys and values, which timm keeps in one, are cut apart. A name that is not known stays."""
    named = (pair for name, tensor in tensors.items() for pair in _tower(name, tensor))
    return _PREFIXES.there_to_here(dict(named))


def _tower(name: str, tensor: Tensor) -> Iterator[tuple[str, Tensor]]:
    if name == "visual.trunk.cls_token":
        yield "vision.embeddings.class_embedding", tensor.squeeze(0).squeeze(0)
        return
    if name == "visual.trunk.pos_embed":
        yield "vision.embeddings.position_embedding.weight", tensor.squeeze(0)
        return
    found = re.fullmatch(r"visual\.trunk\.blocks\.(\d+)\.(.+)\.(weight|bias)", name)
    number, part, kind = found.groups() if found else ("", "", "")
    if part == "attn.qkv" and tensor.ndim and len(tensor) % 3 == 0:
        for letter, third in zip("qkv", checkpoint.thirds(tensor), strict=True):
            yield f"vision.encoder.layers.{number}.self_attn.{letter}_proj.{kind}", third
    elif part in _BLOCK:
        yield f"vision.encoder.layers.{number}.{_BLOCK[part]}.{kind}", tensor
    else:
        yield name, tensor


def read_config(folder: Path) -> Shape:
    """The shape that a checkpoint's `open_clip_config.json` states.

    The published file names its encoders and stores no numbers of theirs; `hf_model_name` may also be a folder inside, with a `config.json`, and
    `timm_model_kwargs` may change the tower's numbers.

    Raises:
        WeightsError: the configuration is absent, of another kind of model, or names an unknown encoder.
    """
    try:
        config: dict[str, Any] = json.loads((folder / "open_clip_config.json").read_text(encoding="utf-8"))
        return _shape(folder, config["model_cfg"], config.get("preprocess_cfg") or {})
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise WeightsError(f"{folder}: open_clip_config.json cannot be read ({error!r})", remedy=f"give the folder of {SOURCE}") from error


def _shape(folder: Path, model: Mapping[str, Any], preparation: Mapping[str, Any]) -> Shape:
    vision, text = model["vision_cfg"], model["text_cfg"]
    _expect(folder, {"timm_pool": "avg", **vision}, {"timm_pool": ("", "token"), "timm_proj": ("linear", None), "timm_proj_bias": (False, None)})
    # older files write "proj" and "pooler_type"
    joined = {"projection": text.get("hf_proj_type", text.get("proj")), "pooler": text.get("hf_pooler_type", text.get("pooler_type"))}
    _expect(folder, {**text, **joined}, {"projection": ("mlp",), "pooler": ("cls_last_hidden_state_pooler",), "tokenizer_mode": (None, "")})
    tower, words, context = _vision(folder, vision), _text(folder, str(text.get("hf_model_name"))), int(text.get("context_length", 77))
    if not 2 <= context <= words.places:
        raise WeightsError(f"{folder}: texts of {context} tokens do not fit an encoder of {words.places} places", remedy=_OTHER)
    return Shape(tower, words, int(model["embed_dim"]), context, _preparation(folder, preparation, tower.image))


def _expect(folder: Path, given: Mapping[str, Any], known: Mapping[str, tuple[Any, ...]]) -> None:
    for key, values in known.items():
        if given.get(key) not in values:
            raise WeightsError(f"{folder}: has {key} {given.get(key)!r}, not that of BiomedCLIP ({values[0]!r})", remedy=_OTHER)


def _vision(folder: Path, config: Mapping[str, Any]) -> VisionShape:
    name = str(config.get("timm_model_name"))
    if name not in TOWERS:
        raise WeightsError(f"{folder}: names the image tower {name!r}, which is not known", remedy=f"known: {', '.join(TOWERS)}")
    base, changes = TOWERS[name], dict(config.get("timm_model_kwargs") or {})
    image, width = int(changes.pop("img_size", config.get("image_size", base.image))), int(changes.pop("embed_dim", base.width))
    made = dataclasses.replace(
        base,
        image=image,
        patch=int(changes.pop("patch_size", base.patch)),
        width=width,
        inner=int(width * float(changes.pop("mlp_ratio", base.inner / base.width))),
        layers=int(changes.pop("depth", base.layers)),
        heads=int(changes.pop("num_heads", base.heads)),
    )
    if changes or made.width % made.heads or made.image % made.patch:
        raise WeightsError(f"{folder}: has an image tower of numbers that are not known or do not fit ({made}, {changes})", remedy=_OTHER)
    return made


def _text(folder: Path, name: str) -> bert.Shape:
    if name in TEXTS:
        return TEXTS[name]
    try:
        return bert.read_shape(json.loads((folder / name / "config.json").read_text(encoding="utf-8")))
    except (OSError, ValueError) as error:
        raise WeightsError(f"{folder}: names the text encoder {name!r}, which is not known", remedy=f"known: {', '.join(TEXTS)}") from error


def _preparation(folder: Path, config: Mapping[str, Any], size: int) -> Preparation:
    """`preprocess_cfg`; its size is not heeded, as in open_clip, where the tower's counts."""
    kinds = ("bicubic", "random", "bilinear", None)  # at inference open_clip takes "random" for bicubic
    _expect(folder, config, {"resize_mode": ("shortest", None), "mode": ("RGB", None), "interpolation": kinds})
    mean, deviation = (tuple(float(v) for v in config.get(key) or default) for key, default in (("mean", MEAN), ("std", DEVIATION)))
    if len(mean) != 3 or len(deviation) != 3 or min(deviation) <= 0:
        raise WeightsError(f"{folder}: mean and std must be three numbers each, std above 0 (got {mean}, {deviation})", remedy="fetch the checkpoint again")
    return Preparation(size, mean, deviation, smooth=config.get("interpolation") != "bilinear")


class BiomedClip(Ranking):
    """An `EmbeddingModel` that also answers by ranking options.

    Args:
        card: of the model. net: with all weights in place. tokenizer: of `bert.read_tokenizer`; it is made to cut texts at the context.
        scale: what cosines are multiplied with; None takes the net's. about: what `identity` reports of the weights.
    """

    def __init__(
        self,
        card: ModelCard,
        net: BiomedClipNet,
        tokenizer: Any,  # noqa: ANN401 - the library is not typed
        scale: float | None = None,
        about: Mapping[str, Any] | None = None,
    ) -> None:
        self.card, self.net, self.tokenizer = card, net, tokenizer
        self.scale = float(net.logit_scale.detach().exp()) if scale is None else scale
        self.identity = {"name": card.name, "revision": card.revision, "prompt": digest(SENTENCE, CLOSED), **(about or {})}
        self._padding = int(tokenizer.token_to_id("[PAD]"))
        tokenizer.enable_truncation(net.shape.context)

    def pixels(self, study: Study) -> Tensor:
        """The key image of a study as the tower's input [3, S, S]."""
        return prepare(render(study.image), self.net.shape.preparation)

    def see(self, pixels: Tensor) -> Tensor:
        """[B, 3, S, S] -> vectors [B, width] of unit length."""
        return self.net.images(pixels.to(self._weight)).float()

    def to_image(self, grid: Tensor, rows: int, cols: int) -> NDArray[np.float32]:
        """A grid of patches over the middle square of the picture; 0 outside, which is not seen."""
        return looking.to_middle(grid, rows, cols)

    def tokens(self, texts: Sequence[str]) -> list[list[int]]:
        """Ids with [CLS] and [SEP], cut to the context."""
        return [list(e.ids) for e in self.tokenizer.encode_batch([clean(t) for t in texts])]

    def embed_images(self, studies: Sequence[Study]) -> NDArray[np.float32]:
        """Key images as vectors [studies, width] of unit length."""
        return self._batches(studies, lambda part: self.see(torch.stack([self.pixels(s) for s in part])))

    def embed_texts(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Vectors [texts, width] of unit length; what is beyond the context is cut off."""
        return self._batches(texts, lambda part: self._texts(self.tokens(part)))

    @property
    def patches(self) -> int:  # type: ignore[override]
        """196 at the published size."""
        return self.net.shape.vision.patches

    def zero_shot(self, study: Study, options: Sequence[str], template: str = "this is a photo of {}") -> NDArray[np.float64]:
        """Which of several options an image shows.

        Args:
            template: the sentence in which "{}" stands for an option.

        Returns:
            Probabilities (options,), by the softmax of scaled cosines; they are only as good as the options are complete.

        Raises:
            InvalidValue: no options, an empty one, or a template without its place.
        """
        return np.exp(self.ranked(self._sentences(options, template), self.encode(study).vector))

    def _sentences(self, options: Sequence[str], template: str) -> list[str]:
        if "{}" not in template:
            raise InvalidValue(f"the template {template!r} has no place for an option", remedy='write "{}" where it goes')
        return [template.replace("{}", o) for o in filled(options)]  # options may hold braces

    @property
    def _weight(self) -> Tensor:
        return self.net.logit_scale  # of the dtype and device of all, also where matrices are packed

    def _texts(self, rows: list[list[int]]) -> Tensor:
        longest = max(map(len, rows))
        ids = torch.tensor([row + [self._padding] * (longest - len(row)) for row in rows], device=self._weight.device)
        return self.net.texts(ids, ids != self._padding)

    @torch.inference_mode()
    def _batches(self, things: Sequence[Any], embed: Callable[[Sequence[Any]], Tensor]) -> NDArray[np.float32]:
        parts = [embed(things[i : i + _BATCH]).cpu().numpy() for i in range(0, len(things), _BATCH)]
        return np.concatenate(parts) if parts else np.zeros((0, self.net.shape.width), np.float32)


def load(device: str = "cpu", weights: Path | None = None, *, dtype: Held | None = None) -> BiomedClip:
    """The model from a checkpoint of open_clip's layout.

    Args:
        weights: the folder. dtype: None takes the fastest that the device has; vectors are normalised in float32 in any case.

    Raises:
        WeightsError: no folder, or one that does not hold this model.
    """
    if weights is None:
        raise checkpoint.absent(NAME)
    shape, tokenizer = read_config(weights), bert.read_tokenizer(weights)
    if tokenizer.get_vocab_size() > shape.text.rows:
        raise WeightsError(f"{weights}: {tokenizer.get_vocab_size()} tokens do not fit {shape.text.rows} rows of the text encoder", remedy=_OTHER)
    path = _file(weights)
    kind = dtype or default_dtype(device)
    with torch.device("meta"):  # every tensor is replaced
        net = BiomedClipNet(shape)
    afford(NAME, net, kind, device)
    checkpoint.fill(net, there_to_here(checkpoint.read_file(path)), where=str(path))
    scale = float(net.logit_scale.detach().float().exp())  # before it is rounded to the dtype
    place(net, device, kind)
    return BiomedClip(known(NAME), net, tokenizer, scale, {"weights": checkpoint.fingerprint([path]), "layout": _PREFIXES.name})


def _file(folder: Path) -> Path:
    found = next((folder / name for name in FILES if (folder / name).exists()), None)
    if found is None:
        raise WeightsError(f"{folder}: holds no weights ({', '.join(FILES)})", remedy=f"give the folder of {SOURCE}")
    return found
