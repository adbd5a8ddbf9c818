"""BERT (Devlin et al. 2019, arXiv 1810.04805) as published encoders have it, native and without a framework.

In: token ids [B, T] and which of them are words. Out: the states after the last layer [B, T, width]; how they are pooled is the family's. Beside it, the
tokenizer of a published folder.
Attribute names are the published parameter names (`embeddings.word_embeddings`, `encoder.layer.N.attention.self.query`), without the pooler.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from vesalius.errors import InvalidValue, WeightsError


@dataclasses.dataclass(frozen=True)
class Shape:
    """The numbers that define one encoder.

    Args:
        rows: of the vocabulary. inner: width inside the MLP. places: positions it knows, the longest text. types: of segments. eps: of the layer norms.
    """

    rows: int
    width: int
    inner: int
    layers: int
    heads: int
    places: int = 512
    types: int = 2
    eps: float = 1e-12

    def __post_init__(self) -> None:
        if self.width % self.heads:
            raise InvalidValue(f"a width of {self.width} cannot be split into {self.heads} heads", remedy="correct the checkpoint's configuration")


BASE = Shape(rows=30522, width=768, inner=3072, layers=12, heads=12)


def read_shape(config: Mapping[str, Any]) -> Shape:
    """A shape from a published `config.json`; what it leaves out is as in BERT base.

    Raises:
        WeightsError: another architecture, activation or kind of positions than this file implements.
    """
    for key, known in (("model_type", "bert"), ("hidden_act", "gelu"), ("position_embedding_type", "absolute")):
        if config.get(key, known) != known:
            raise WeightsError(f"a text encoder with {key} {config[key]!r} is not known", remedy=f"known: {known}")
    return Shape(
        rows=int(config.get("vocab_size", BASE.rows)),
        width=int(config.get("hidden_size", BASE.width)),
        inner=int(config.get("intermediate_size", BASE.inner)),
        layers=int(config.get("num_hidden_layers", BASE.layers)),
        heads=int(config.get("num_attention_heads", BASE.heads)),
        places=int(config.get("max_position_embeddings", BASE.places)),
        types=int(config.get("type_vocab_size", BASE.types)),
        eps=float(config.get("layer_norm_eps", BASE.eps)),
    )


class _Embeddings(nn.Module):
    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.word_embeddings = nn.Embedding(shape.rows, shape.width)
        self.position_embeddings = nn.Embedding(shape.places, shape.width)
        self.token_type_embeddings = nn.Embedding(shape.types, shape.width)
        self.LayerNorm = nn.LayerNorm(shape.width, eps=shape.eps)

    def forward(self, ids: Tensor) -> Tensor:
        # every token is of the first segment: no family here reads pairs of texts
        x = self.word_embeddings(ids) + self.token_type_embeddings.weight[0] + self.position_embeddings.weight[: ids.shape[1]]
        out: Tensor = self.LayerNorm(x)
        return out


class _SelfAttention(nn.Module):
    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.heads = shape.heads
        self.query, self.key, self.value = (nn.Linear(shape.width, shape.width) for _ in range(3))

    def forward(self, x: Tensor, seen: Tensor) -> Tensor:
        query, key, value = (part.view(*x.shape[:2], self.heads, -1).transpose(1, 2) for part in (self.query(x), self.key(x), self.value(x)))
        return functional.scaled_dot_product_attention(query, key, value, attn_mask=seen).transpose(1, 2).flatten(2)


class Output(nn.Module):
    """What every part of a layer ends with: a projection from `inside` to `width`, added to what came in, normed after the sum."""

    def __init__(self, inside: int, width: int, eps: float) -> None:
        super().__init__()
        self.dense = nn.Linear(inside, width)
        self.LayerNorm = nn.LayerNorm(width, eps=eps)

    def forward(self, x: Tensor, before: Tensor) -> Tensor:
        """[..., inside] and [..., width] -> [..., width]."""
        out: Tensor = self.LayerNorm(self.dense(x) + before)
        return out


class _Attention(nn.Module):
    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.self = _SelfAttention(shape)
        self.output = Output(shape.width, shape.width, shape.eps)

    def forward(self, x: Tensor, seen: Tensor) -> Tensor:
        out: Tensor = self.output(self.self(x, seen), x)
        return out


class Intermediate(nn.Module):
    """The first half of a layer's MLP, with exact GELU."""

    def __init__(self, width: int, inner: int) -> None:
        super().__init__()
        self.dense = nn.Linear(width, inner)

    def forward(self, x: Tensor) -> Tensor:
        """[..., width] -> [..., inner]."""
        return functional.gelu(self.dense(x))


class _Layer(nn.Module):
    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.attention, self.intermediate = _Attention(shape), Intermediate(shape.width, shape.inner)
        self.output = Output(shape.inner, shape.width, shape.eps)

    def forward(self, x: Tensor, seen: Tensor) -> Tensor:
        attended = self.attention(x, seen)
        out: Tensor = self.output(self.intermediate(attended), attended)
        return out


class _Encoder(nn.Module):
    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.layer = nn.ModuleList(_Layer(shape) for _ in range(shape.layers))


class Bert(nn.Module):
    """An encoder without a pooler.

    Args:
        shape: its numbers.
    """

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.shape = shape
        self.embeddings = _Embeddings(shape)
        self.encoder = _Encoder(shape)

    def forward(self, ids: Tensor, seen: Tensor | None = None) -> Tensor:
        """States after the last layer; those of padding mean nothing.

        Args:
            ids: [B, T] token ids. seen: [B, T] bool, False for padding, at least one True a row; None means that all are words.

        Returns:
            [B, T, width].

        Raises:
            InvalidValue: more tokens than there are positions.
        """
        if ids.shape[1] > self.shape.places:
            raise InvalidValue(f"a text of {ids.shape[1]} tokens is longer than the {self.shape.places} that the encoder knows", remedy="shorten it")
        mask = (torch.ones_like(ids, dtype=torch.bool) if seen is None else seen)[:, None, None]
        x: Tensor = self.embeddings(ids)
        for block in self.encoder.layer:
            x = block(x, mask)
        return x


def read_tokenizer(folder: Path) -> Any:  # noqa: ANN401 - the library is not typed
    """`tokenizer.json` as it stands, else the BERT tokenizer of `vocab.txt`; neither cuts nor pads by itself.

    Raises:
        WeightsError: neither is there, cannot be read, or lacks a token that BERT needs.
    """
    from tokenizers import Tokenizer

    path = folder / "tokenizer.json"
    try:
        made = Tokenizer.from_file(str(path)) if path.exists() else _word_pieces(folder)
    except Exception as error:  # the library raises plain exceptions
        raise WeightsError(f"{folder}: holds no tokenizer.json or vocab.txt that can be read ({error})", remedy="fetch the checkpoint again") from error
    absent = [t for t in ("[PAD]", "[CLS]", "[SEP]") if made.token_to_id(t) is None]
    if absent:
        raise WeightsError(f"{folder}: the vocabulary has no {absent[0]}", remedy="fetch the checkpoint's tokenizer again")
    made.no_padding()
    made.no_truncation()
    return made


def _word_pieces(folder: Path) -> Any:  # noqa: ANN401 - the library is not typed
    from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors

    lines = (folder / "vocab.txt").read_text(encoding="utf-8").split("\n")
    ids = {word.rstrip("\r"): i for i, word in enumerate(lines) if word or i < len(lines) - 1}
    config = folder / "tokenizer_config.json"
    lower = bool(json.loads(config.read_text(encoding="utf-8")).get("do_lower_case", True)) if config.exists() else True
    made = Tokenizer(models.WordPiece(ids, unk_token="[UNK]", max_input_chars_per_word=100))
    made.normalizer = normalizers.BertNormalizer(clean_text=True, handle_chinese_chars=True, strip_accents=None, lowercase=lower)
    made.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    made.decoder = decoders.WordPiece(prefix="##")
    made.add_special_tokens([t for t in ("[UNK]", "[SEP]", "[PAD]", "[CLS]", "[MASK]") if t in ids])
    special = [(t, ids[t]) for t in ("[CLS]", "[SEP]")]
    made.post_processor = processors.TemplateProcessing(single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B:1 [SEP]:1", special_tokens=special)
    return made
