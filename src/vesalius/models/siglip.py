"""MedSigLIP (google/medsiglip-448): SigLIP's two towers (Zhai et al. 2023, arXiv 2303.15343) for medical pictures and words in one space.

In: studies and texts. Out: vectors of unit length, and probabilities of texts for an image. The towers are `transformers`' own; texts are cut into pieces
here, so that neither sentencepiece nor protobuf is needed.
"""

from __future__ import annotations

import re
import string
import struct
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image as Picture
from torch import Tensor
from torch.nn import functional

from vesalius.domain.study import Study
from vesalius.errors import InvalidValue, WeightsError
from vesalius.formats.pixels import render
from vesalius.models import checkpoint, sentencepiece, stock_files
from vesalius.models.base import ModelCard
from vesalius.models.cards import card as known
from vesalius.models.decoder import default_dtype
from vesalius.models.quantize import Held, Packed, afford, place
from vesalius.models.ranking import CLOSED, SENTENCE, Ranking, filled
from vesalius.models.wording import digest

NAME = "medsiglip"
SOURCE = "google/medsiglip-448"
MODEL, PICTURES = "SiglipModel", "SiglipImageProcessorPil"
_SPACE, _UNIGRAM, _UNKNOWN = "\u2581", 1, 2
_BATCH = 32
_PUNCTUATION = str.maketrans("", "", string.punctuation)


def clean(text: str) -> str:
    """A text as SigLIP reads it: lower case, without ASCII punctuation, single blanks."""
    return re.sub(r"\s+", " ", text.replace(_SPACE, " ").lower().translate(_PUNCTUATION)).strip()


def read_tokenizer(folder: Path) -> Any:  # noqa: ANN401 - the library is not typed
    """The pieces of `spiece.model` as a tokenizer that takes cleaned texts; without that file `tokenizer.json` as it stands.

    Nothing is put after a text by itself, and control pieces are not looked for: punctuation is gone before.

    Raises:
        WeightsError: neither is there, or it cannot be read.
    """
    from tokenizers import Tokenizer, normalizers
    from tokenizers.models import Unigram

    path = folder / "spiece.model"
    if not path.exists():
        return stock_files.read_tokenizer(folder)
    try:
        pieces, charsmap = _pieces(path.read_bytes())
        unknown = next((i for i, (_, _, kind) in enumerate(pieces) if kind == _UNKNOWN), None)
        made = Tokenizer(Unigram([(text, score) for text, score, _ in pieces], unk_id=unknown, byte_fallback=False))
        steps = [*([normalizers.Precompiled(charsmap)] if charsmap else []), normalizers.Replace(" ", _SPACE)]
        made.normalizer = normalizers.Sequence(steps)
    except Exception as error:  # the library raises plain exceptions
        raise WeightsError(f"{path}: cannot be read as a SentencePiece vocabulary ({error})", remedy="fetch the checkpoint's tokenizer again") from error
    return made


def _pieces(data: bytes) -> tuple[list[sentencepiece.Piece], bytes]:
    """The pieces of a unigram model in the order of their ids, and its table of characters.

    Raises:
        ValueError: the bytes are no such model.
    """
    found: list[sentencepiece.Piece] = []
    kind, charsmap = _UNIGRAM, b""
    try:
        for number, value in sentencepiece.fields(data):
            if number == 1 and isinstance(value, bytes):
                found.append(sentencepiece.piece_of(value))
            elif number == 2 and isinstance(value, bytes):  # trainer_spec
                kind = next((int(v) for n, v in sentencepiece.fields(value) if n == 3 and isinstance(v, int)), _UNIGRAM)
            elif number == 3 and isinstance(value, bytes):  # normalizer_spec
                charsmap = next((v for n, v in sentencepiece.fields(value) if n == 2 and isinstance(v, bytes)), b"")
    except (struct.error, UnicodeDecodeError) as error:
        raise ValueError("cut short") from error
    if not found or kind != _UNIGRAM:
        raise ValueError("not a unigram SentencePiece model")
    return found, charsmap


class MedSiglip(Ranking):
    """An `EmbeddingModel` that also answers by ranking options.

    Args:
        card: of the model. model: the stock class with all weights in place. tokenizer: of `read_tokenizer`. pictures: the stock preparation.
        scale, bias: of the logits; None takes the model's. about: what `identity` reports of the weights.
    """

    def __init__(
        self,
        card: ModelCard,
        model: Any,  # noqa: ANN401 - the library's classes have no common type for this
        tokenizer: Any,  # noqa: ANN401 - the library is not typed
        pictures: Any,  # noqa: ANN401
        scale: float | None = None,
        bias: float | None = None,
        about: Mapping[str, Any] | None = None,
    ) -> None:
        self.card, self.model, self.tokenizer, self.pictures = card, model.eval(), tokenizer, pictures
        self.scale = float(model.logit_scale.detach().float().exp()) if scale is None else scale
        self.bias = float(model.logit_bias.detach()) if bias is None else bias
        self.context = int(model.config.text_config.max_position_embeddings)
        self.identity = {"name": card.name, "revision": card.revision, "prompt": digest(SENTENCE, CLOSED), **(about or {})}
        self._end = int(tokenizer.token_to_id("</s>"))

    def see(self, pixels: Tensor) -> Tensor:
        """[B, 3, S, S] -> vectors [B, width] of unit length."""
        out = self.model.get_image_features(pixel_values=pixels.to(self.model.logit_scale))
        return functional.normalize(getattr(out, "pooler_output", out).float(), dim=-1)

    @property
    def patches(self) -> int:  # type: ignore[override]
        """1,024 at the published size."""
        vision = self.model.config.vision_config
        return int(vision.image_size // vision.patch_size) ** 2

    def pixels(self, study: Study) -> Tensor:
        """The key image of a study as the tower's input [3, S, S], prepared as the checkpoint states: stretched to a square."""
        shown = Picture.fromarray(render(study.image)).convert("RGB")
        return self.pictures(images=[shown], return_tensors="pt")["pixel_values"][0]  # type: ignore[no-any-return]

    def tokens(self, texts: Sequence[str]) -> list[list[int]]:
        """Ids of each text, cut to the context with its end, and filled up with ends: the tower was trained with all places taken."""
        led = [_SPACE + words if words else "" for words in map(clean, texts)]
        rows = [list(e.ids) for e in self.tokenizer.encode_batch(led, add_special_tokens=False)]
        cut = [[*row[: self.context - 1], self._end] for row in rows]
        return [row + [self._end] * (self.context - len(row)) for row in cut]

    def embed_images(self, studies: Sequence[Study]) -> NDArray[np.float32]:
        """Key images as vectors [studies, width] of unit length."""
        return self._batches(studies, lambda part: self.see(torch.stack([self.pixels(s) for s in part])))

    def embed_texts(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Vectors [texts, width] of unit length; what is beyond the context is cut off."""
        device = self.model.logit_scale.device
        return self._batches(texts, lambda part: self.model.get_text_features(input_ids=torch.tensor(self.tokens(part), device=device)))

    def zero_shot(self, study: Study, options: Sequence[str], template: str = "{}", *, way: Literal["softmax", "sigmoid"] = "softmax") -> NDArray[np.float64]:
        """How well each of several texts fits an image.

        Args:
            template: the sentence in which "{}" stands for an option.
            way: "softmax" among the options, as MedSigLIP's card shows; "sigmoid" of each by itself, as SigLIP was trained: these need not sum to 1.

        Returns:
            Probabilities (options,).

        Raises:
            InvalidValue: no options, an empty one, a template without its place, or no such way.
        """
        if way not in ("softmax", "sigmoid"):
            raise InvalidValue(f"no way of turning scores into probabilities is called {way!r}", remedy="use softmax or sigmoid")
        if "{}" not in template:
            raise InvalidValue(f"the template {template!r} has no place for an option", remedy='write "{}" where it goes')
        texts = self.embed_texts([template.replace("{}", o) for o in filled(options)]).astype(np.float64)  # options may hold braces
        logits = self.scale * (texts @ self.embed_images([study])[0].astype(np.float64)) + self.bias
        if way == "sigmoid":
            return np.asarray(np.exp(-np.logaddexp(0, -logits)))
        shares = np.exp(logits - logits.max())
        return np.asarray(shares / shares.sum())

    @torch.inference_mode()
    def _batches(self, things: Sequence[Any], embed: Callable[[Sequence[Any]], Any]) -> NDArray[np.float32]:
        parts = []
        for low in range(0, len(things), _BATCH):
            out = embed(things[low : low + _BATCH])
            vectors = getattr(out, "pooler_output", out)
            parts.append(functional.normalize(vectors.float(), dim=-1).cpu().numpy())
        return np.concatenate(parts) if parts else np.zeros((0, int(self.model.config.vision_config.hidden_size)), np.float32)


def load(device: str = "cpu", weights: Path | None = None, *, dtype: Held | None = None, facts: ModelCard | None = None) -> MedSiglip:
    """The model from a checkpoint in its published layout.

    Args:
        weights: the folder. dtype: None takes the fastest that the device has; vectors are normalised in float32 in any case. facts: its card; None takes
            the one known by its name.

    Raises:
        WeightsError: no folder, or one that does not hold this model; nothing is downloaded.
    """
    if weights is None:
        raise checkpoint.absent(NAME)
    if not weights.is_dir():
        raise WeightsError(f"{weights}: not a folder of weights", remedy=f"give the folder of {SOURCE}")
    config = stock_files.read_config(weights, MODEL)
    tokenizer, pictures = read_tokenizer(weights), stock_files.read_pictures(weights, PICTURES)
    rows = int(config.text_config.vocab_size)
    if tokenizer.get_vocab_size() > rows or tokenizer.token_to_id("</s>") is None:
        what = f"{weights}: a tokenizer of {tokenizer.get_vocab_size()} tokens does not fit {rows} rows of the text encoder, or has no </s>"
        raise WeightsError(what, remedy="fetch the checkpoint again")
    kind = dtype or default_dtype(device)
    afford(NAME, stock_files.empty(MODEL, config), kind, device)
    model = stock_files.read_weights(weights, MODEL, config, "auto" if isinstance(kind, Packed) else kind)
    place(model, device, kind)
    scale, bias = float(np.exp(_number(weights, "logit_scale"))), _number(weights, "logit_bias")  # not rounded to the dtype
    about = {"weights": checkpoint.fingerprint(checkpoint.files(weights)), "layout": "transformers", "class": MODEL}
    return MedSiglip(facts or known(NAME), model, tokenizer, pictures, scale, bias, about)


def _number(folder: Path, name: str) -> float:
    """A tensor of one number, as stored."""
    from safetensors import safe_open

    for path in checkpoint.files(folder):
        with safe_open(path, "pt") as held:
            if name in held.keys():  # noqa: SIM118 - it is no mapping
                return float(held.get_tensor(name))
    raise WeightsError(f"{folder}: holds no {name}", remedy="fetch the checkpoint again")
