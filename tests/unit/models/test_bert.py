"""BERT: equal to the published implementation, padding is not seen, what it cannot be is refused, its tokenizer is the published one."""

import dataclasses
import json

import pytest
import torch

from tests.checkpoints import biomedclip as tiny
from vesalius.errors import InvalidValue, WeightsError
from vesalius.models import bert

SIZE = tiny.Size()
SHAPE = bert.read_shape(tiny.bert_config(SIZE))


@pytest.fixture(scope="module")
def weights():
    return tiny.drawn(tiny.bert_shapes(SIZE, ""), 3)


@pytest.fixture(scope="module")
def encoder(weights):
    made = bert.Bert(SHAPE).eval()
    made.load_state_dict(weights)
    return made


@torch.inference_mode()
def test_states_are_those_of_the_published_code(encoder, weights):
    transformers = pytest.importorskip("transformers")
    other = transformers.BertModel(transformers.BertConfig(**tiny.bert_config(SIZE)), add_pooling_layer=False).eval()
    other.load_state_dict(weights)
    ids = torch.randint(5, SHAPE.rows, (3, 17), generator=torch.Generator().manual_seed(1))
    seen = torch.arange(17) < torch.tensor([[17], [9], [1]])
    expected = other(input_ids=ids, attention_mask=seen.long()).last_hidden_state
    torch.testing.assert_close(encoder(ids, seen)[seen], expected[seen], rtol=0, atol=1e-5)


@torch.inference_mode()
def test_padding_changes_nothing_and_words_do(encoder):
    ids = torch.tensor([[2, 40, 41, 3]])
    alone = encoder(ids)
    padded = encoder(torch.tensor([[2, 40, 41, 3, 0, 77, 0]]), torch.arange(7)[None] < 4)
    torch.testing.assert_close(padded[:, :4], alone, rtol=0, atol=1e-6)
    assert (encoder(torch.tensor([[2, 40, 42, 3]])) - alone).abs().max() > 0.1
    assert (encoder(torch.tensor([[2, 41, 40, 3]]))[:, 0] - alone[:, 0]).abs().max() > 1e-3  # order counts


def test_a_text_longer_than_its_places_is_refused(encoder):
    with pytest.raises(InvalidValue, match="a text of 41 tokens is longer than the 40"):
        encoder(torch.zeros(1, 41, dtype=torch.long))


@pytest.mark.parametrize("changes", [{"model_type": "roberta"}, {"hidden_act": "relu"}, {"position_embedding_type": "relative_key"}])
def test_other_encoders_are_refused_by_name(changes):
    with pytest.raises(WeightsError, match=next(iter(changes.values()))):
        bert.read_shape(changes)


def test_heads_must_divide_the_width():
    with pytest.raises(InvalidValue, match="a width of 768 cannot be split into 7 heads"):
        dataclasses.replace(bert.BASE, heads=7)


def test_the_published_base_has_its_number_of_parameters():
    with torch.device("meta"):
        whole = bert.Bert(bert.read_shape({}))
    # (30,522 + 512 + 2 + 2) rows of 768 and 12 layers of 7,087,872; the pooler would be 590,592 more
    assert sum(p.numel() for p in whole.parameters()) == 31038 * 768 + 12 * 7_087_872 == 108_891_648


TEXTS = ["A photo, of lungs.", "Naïve ÉCLAIR\tx-ray\n日本", "[CLS] a [SEP] [MASK] [PAD] b", "", "x" * 101, "pneumothorax's «mass»"]


@pytest.mark.parametrize("lower", [True, False])
def test_a_vocabulary_gives_the_published_tokenizer(tmp_path, lower):
    transformers = pytest.importorskip("transformers")
    folder = tiny.official(tmp_path)
    (folder / "tokenizer_config.json").write_text(json.dumps({"tokenizer_class": "BertTokenizer", "do_lower_case": lower}))
    ours, theirs = bert.read_tokenizer(folder), transformers.BertTokenizer.from_pretrained(folder, local_files_only=True)
    assert ours.get_vocab() == theirs.get_vocab()
    assert [ours.encode(t).ids for t in TEXTS] == [theirs(t)["input_ids"] for t in TEXTS]


def test_a_tokenizer_file_comes_first_and_neither_cuts_nor_pads(tmp_path):
    folder = tiny.official(tmp_path)
    made = bert.read_tokenizer(folder)
    expected = made.encode("a photo of " * 20).ids
    made.enable_truncation(7)
    made.enable_padding(length=99)
    made.save(str(folder / "tokenizer.json"))
    (folder / "vocab.txt").unlink()
    assert bert.read_tokenizer(folder).encode("a photo of " * 20).ids == expected


@pytest.mark.parametrize(
    ("harm", "says"),
    [
        (lambda f: (f / "vocab.txt").unlink(), "holds no tokenizer"),
        (lambda f: (f / "vocab.txt").write_bytes(b"\xff\xfe"), "holds no tokenizer"),
        (lambda f: (f / "vocab.txt").write_text("[UNK]\n[CLS]\n[SEP]\na\n"), r"no \[PAD\]"),
        (lambda f: (f / "vocab.txt").write_text("a\nb\n"), "holds no tokenizer"),
        (lambda f: (f / "tokenizer.json").write_text("{"), "holds no tokenizer"),
        (lambda f: (f / "tokenizer_config.json").write_text("{"), "holds no tokenizer"),
    ],
)
def test_a_damaged_vocabulary_is_refused(tmp_path, harm, says):
    folder = tiny.official(tmp_path)
    harm(folder)
    with pytest.raises(WeightsError, match=says):
        bert.read_tokenizer(folder)
