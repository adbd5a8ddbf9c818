"""A SentencePiece vocabulary written by hand: control pieces, bytes, and byte-pair pieces of a few words, as Llama and Mistral publish theirs."""

import itertools
import struct
from collections import Counter

_TEXT = """
is there a mass in the liver yes no what organ system shown image of this chest ray INST lung left right heart enlarged normal describe findings
report effusion pneumonia human assistant helpful question answer picture Yes No Is What USER ASSISTANT
"""
WORDS = tuple(_TEXT.split())


def _varint(number):
    out = b""
    while True:
        number, rest = number >> 7, number & 127
        out += bytes([rest | (128 if number else 0)])
        if not number:
            return out


def _field(number, payload):
    return _varint(number << 3 | 2) + _varint(len(payload)) + payload


def _piece(text, score, kind):
    return _field(1, _field(1, text.encode()) + _varint(2 << 3 | 5) + struct.pack("<f", score) + _varint(3 << 3) + _varint(kind))


def _joined(size):
    """Byte-pair pieces of the words, best first, and the letters they are made of."""
    texts = [["\u2581", *word] for word in WORDS] * 2
    letters, found = sorted({c for t in texts for c in t} | set("\n[]?:.,'\"/<>-")), []
    while len(found) < size:
        pairs = Counter(pair for t in texts for pair in itertools.pairwise(t))
        best = max(sorted(pairs), key=pairs.__getitem__) if pairs else None
        if best is None:
            break
        found.append("".join(best))
        texts = [_join(t, best) for t in texts]
    return found, letters


def _join(text, pair):
    out = []
    for letter in text:
        if out and (out[-1], letter) == pair:
            out[-1] += letter
        else:
            out.append(letter)
    return out


def model(size=600):
    """The bytes of a `tokenizer.model`.

    Args:
        size: of the vocabulary, at most; with 3 control pieces and 256 bytes.
    """
    joined, letters = _joined(size)
    rows = [("<unk>", 0.0, 2), ("<s>", 0.0, 3), ("</s>", 0.0, 3)] + [(f"<0x{i:02X}>", 0.0, 6) for i in range(256)]
    normal = list(dict.fromkeys([*joined, *letters]))[: max(0, size - len(rows) - len(letters))]
    normal = [*normal, *(c for c in letters if c not in normal)]
    rows += [(text, -float(i), 1) for i, text in enumerate(normal)]
    trainer = _varint(3 << 3) + _varint(2) + _varint(35 << 3) + _varint(1)  # model_type BPE, byte_fallback
    normalizer = _field(1, b"identity") + _varint(3 << 3) + _varint(1) + _varint(4 << 3) + _varint(0) + _varint(5 << 3) + _varint(1)
    return b"".join(_piece(*row) for row in rows) + _field(2, trainer) + _field(3, normalizer)
