"""SentencePiece vocabularies: the same ids and words as the library itself."""

import random

import pytest
import sentencepiece

from tests.checkpoints import spm
from vesalius.errors import WeightsError
from vesalius.models import sentencepiece as ours

TEXTS = ["", " ", "[INST] ", "\nIs there a mass? [/INST]", "  two  blanks ", "\"quotes\" 'x'\n\nnew", "é ü 漢字 😀", "the liver", "▁", "<0x41>"]


@pytest.fixture(scope="module")
def pair(tmp_path_factory):
    path = tmp_path_factory.mktemp("spm") / "tokenizer.model"
    path.write_bytes(spm.model())
    return sentencepiece.SentencePieceProcessor(model_file=str(path)), ours.load(path)


def _random_texts(count):
    chance = random.Random(0)
    return ["".join(chance.choice(' abcdefghéliverms\n漢-"%09') for _ in range(chance.randint(1, 40))) for _ in range(count)]


def test_ids_and_words_equal_the_library_s(pair):
    library, made = pair
    for text in [*TEXTS, *spm.WORDS, *_random_texts(500)]:
        ids = made.encode(text, add_special_tokens=False).ids
        assert ids == library.encode(text), text
        assert made.decode(ids, skip_special_tokens=True) == library.decode(ids), text


def test_control_pieces_are_special(pair):
    _, made = pair
    assert made.encode("</s>", add_special_tokens=False).ids == [2]
    made.encode_special_tokens = True
    try:
        assert 2 not in made.encode("</s>", add_special_tokens=False).ids
    finally:
        made.encode_special_tokens = False


@pytest.mark.parametrize("data", [b"", b"\x0a\xff\xff", b"not a model at all", spm.model()[:100], b"\xff" * 20])
def test_other_files_are_refused(tmp_path, data):
    path = tmp_path / "tokenizer.model"
    path.write_bytes(data)
    with pytest.raises(WeightsError, match="SentencePiece"):
        ours.load(path)
