"""SentencePiece vocabularies (`tokenizer.model`) as tokenizers of the `tokenizers` library, without the sentencepiece package.

In: the published file, a protocol buffer with pieces, scores and kinds. Out: a `tokenizers.Tokenizer` that gives the same ids.
Byte-pair models with byte fallback only: what Llama, Vicuna and Mistral publish. Text is not normalised but for its blanks.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from vesalius.errors import WeightsError

_NORMAL, _UNKNOWN, _CONTROL, _USER, _UNUSED, _BYTE = 1, 2, 3, 4, 5, 6
_BPE = 2
_SPACE = "\u2581"
Piece = tuple[str, float, int]  # text, score, kind


def pieces(data: bytes) -> tuple[list[Piece], bool]:
    """The pieces in the order of their ids, and whether a blank is put before a text (`add_dummy_prefix`).

    Raises:
        ValueError: the bytes are no SentencePiece model, or not a byte-pair one.
    """
    found: list[Piece] = []
    prefix, kind = True, 1
    for number, value in fields(data):
        if number == 1 and isinstance(value, bytes):
            found.append(piece_of(value))
        elif number == 2 and isinstance(value, bytes):  # trainer_spec
            kind = next((int(v) for n, v in fields(value) if n == 3 and isinstance(v, int)), 1)
        elif number == 3 and isinstance(value, bytes):  # normalizer_spec
            prefix = bool(next((v for n, v in fields(value) if n == 3), 1))
    if not found or kind != _BPE:
        raise ValueError("not a byte-pair SentencePiece model")
    return found, prefix


def piece_of(data: bytes) -> Piece:
    """One piece of a SentencePiece model."""
    text, score, kind = "", 0.0, _NORMAL
    for number, value in fields(data):
        if number == 1 and isinstance(value, bytes):
            text = value.decode("utf-8")
        elif number == 2 and isinstance(value, bytes):
            score = struct.unpack("<f", value)[0]
        elif number == 3 and isinstance(value, int):
            kind = value
    return text, score, kind


def fields(data: bytes) -> Iterator[tuple[int, int | bytes]]:
    """Fields of a protocol buffer: numbers as int, everything else as bytes."""
    at = 0
    while at < len(data):
        tag, at = _varint(data, at)
        number, wire = tag >> 3, tag & 7
        if wire == 0:
            value, at = _varint(data, at)
            yield number, value
            continue
        size = {1: 8, 5: 4}.get(wire)
        if wire == 2:
            size, at = _varint(data, at)
        if size is None or at + size > len(data):
            raise ValueError("cut short or not a protocol buffer")
        yield number, data[at : at + size]
        at += size


def _varint(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        if at >= len(data) or shift > 63:
            raise ValueError("cut short or not a protocol buffer")
        byte = data[at]
        at += 1
        value |= (byte & 127) << shift
        if byte < 128:
            return value, at
        shift += 7


def merges(vocabulary: dict[str, float]) -> list[tuple[str, str]]:
    """The pairs that byte-pair encoding joins, best first: every split of a piece into two pieces, by the score of what it makes.

    Args:
        vocabulary: normal pieces to their scores.
    """
    found: list[tuple[float, int, str, str]] = []
    order = {piece: i for i, piece in enumerate(vocabulary)}
    for piece, score in vocabulary.items():
        for cut in range(1, len(piece)):
            left, right = piece[:cut], piece[cut:]
            if left in vocabulary and right in vocabulary:
                found.append((-score, order[left], left, right))
    found.sort(key=lambda row: (row[0], row[1], order[row[3]]))
    return [(left, right) for _, _, left, right in found]


def load(path: Path) -> Any:  # noqa: ANN401 - the library is not typed
    """The tokenizer of a `tokenizer.model`; control pieces such as `<s>` are special tokens, and nothing is put before or after a text by itself.

    Raises:
        WeightsError: the file cannot be read or is of another kind.
    """
    from tokenizers import AddedToken, Tokenizer, decoders, normalizers
    from tokenizers.models import BPE

    try:
        listed, prefix = pieces(path.read_bytes())
    except (OSError, ValueError, UnicodeDecodeError, struct.error) as error:
        raise WeightsError(f"{path}: cannot be read as a SentencePiece vocabulary ({error})", remedy="fetch the checkpoint's tokenizer again") from error
    ids = {text: i for i, (text, _, _) in enumerate(listed)}
    normal = {text: score for text, score, kind in listed if kind in (_NORMAL, _USER)}
    unknown = next((text for text, _, kind in listed if kind == _UNKNOWN), None)
    made = Tokenizer(BPE(vocab=ids, merges=merges(normal), unk_token=unknown, fuse_unk=True, byte_fallback=any(k == _BYTE for _, _, k in listed)))
    steps = [*([normalizers.Prepend(_SPACE)] if prefix else []), normalizers.Replace(" ", _SPACE)]
    made.normalizer = normalizers.Sequence(steps)
    made.decoder = decoders.Sequence([decoders.Replace(_SPACE, " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)])
    made.add_special_tokens([AddedToken(text, normalized=False, special=True) for text, _, kind in listed if kind in (_CONTROL, _UNKNOWN)])
    return made
