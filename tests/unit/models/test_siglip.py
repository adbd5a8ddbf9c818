"""MedSigLIP: the library's vectors and scores, sentencepiece's pieces; company changes no vector; what does not fit is refused by name; no hub."""

import io
import json
import shutil
import socket

import numpy as np
import pytest
import torch
from PIL import Image as Picture
from safetensors.torch import save_file

from tests.checkpoints import stock as tiny
from vesalius.errors import InvalidValue, WeightsError
from vesalius.formats.pixels import render
from vesalius.models import cards, checkpoint, memory, siglip, stock_files
from vesalius.models.base import EmbeddingModel

TEXTS = ("A chest X-ray, with effusion!", "mass in the LEFT lung", "zebra 7", "is  there\na mass ", "mass " * 30)
STUDIES = [tiny.study(n, (40 + n, 50 - n)) for n in range(5)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tiny.siglip(tmp_path_factory.mktemp("siglip"))


@pytest.fixture(scope="module")
def model(folder):
    return siglip.load(weights=folder, dtype=torch.float32, facts=tiny.card(siglip.NAME))


@pytest.fixture
def copy(folder, tmp_path):
    return shutil.copytree(folder, tmp_path / "copy")


def _load(folder, **options):
    return siglip.load(weights=folder, **{"dtype": torch.float32, "facts": tiny.card("x"), **options})


def test_it_is_an_embedding_model(model):
    assert isinstance(model, EmbeddingModel)
    for found, count in ((model.embed_images(STUDIES), len(STUDIES)), (model.embed_texts(TEXTS), len(TEXTS))):
        assert found.shape == (count, 24)
        assert found.dtype == np.float32
        np.testing.assert_allclose(np.linalg.norm(found, axis=1), 1, atol=1e-6)
    assert model.embed_images([]).shape == model.embed_texts([]).shape == (0, 24)
    assert model.identity["name"] == siglip.NAME


def test_company_changes_no_vector(model, monkeypatch):
    texts, images = model.embed_texts(TEXTS), model.embed_images(STUDIES)
    np.testing.assert_allclose(np.concatenate([model.embed_texts([t]) for t in TEXTS]), texts, rtol=0, atol=1e-6)
    np.testing.assert_allclose(np.concatenate([model.embed_images([s]) for s in STUDIES]), images, rtol=0, atol=1e-6)
    monkeypatch.setattr(siglip, "_BATCH", 2)
    np.testing.assert_allclose(model.embed_texts(TEXTS[::-1])[::-1], texts, rtol=0, atol=1e-6)
    np.testing.assert_allclose(model.embed_images(STUDIES[::-1])[::-1], images, rtol=0, atol=1e-6)


def test_scores_are_the_library_s(model):
    pictures = [Picture.fromarray(render(s.image)).convert("RGB") for s in STUDIES]
    with torch.inference_mode():
        pixels = model.pictures(images=pictures, return_tensors="pt")["pixel_values"]
        out = model.model(input_ids=torch.tensor(model.tokens(TEXTS)), pixel_values=pixels)
    np.testing.assert_allclose(model.embed_images(STUDIES), out.image_embeds.numpy(), rtol=0, atol=1e-6)
    np.testing.assert_allclose(model.embed_texts(TEXTS), out.text_embeds.numpy(), rtol=0, atol=1e-6)
    for study, logits in zip(STUDIES, out.logits_per_image, strict=True):
        np.testing.assert_allclose(model.zero_shot(study, TEXTS), logits.softmax(0).numpy(), rtol=0, atol=1e-5)
        np.testing.assert_allclose(model.zero_shot(study, TEXTS, way="sigmoid"), logits.sigmoid().numpy(), rtol=0, atol=1e-5)


def test_pieces_are_sentencepiece_s(model, folder):
    library = pytest.importorskip("sentencepiece")
    pieces = library.SentencePieceProcessor(model_file=str(folder / "spiece.model"))
    unknown = len(pieces.encode("<unk>"))
    for text in (*TEXTS, "", "...", "a</s>b", "<pad> no", "café über", "1 2 3", "x" * 70, "a\u2581mass", "\u2581"):
        expected = pieces.encode("<unk>" + "\u2581" + siglip.clean(text))[unknown:][:15]  # as the library's tokenizer keeps the leading blank
        assert model.tokens([text])[0] == [*expected, *[1] * (16 - len(expected))]


def test_letters_are_normalised_as_the_vocabulary_states(copy):
    library = pytest.importorskip("sentencepiece")
    words, random, made = [w.lower() for w in tiny.spm.WORDS], np.random.default_rng(0), io.BytesIO()
    lines = [" ".join(random.choice(words, 8)) for _ in range(400)] + ["café ﬁbrosis ２ naïve"] * 5
    how = {"model_type": "unigram", "normalization_rule_name": "nmt_nfkc", "add_dummy_prefix": False, "minloglevel": 2}
    ends = {"pad_id": 0, "eos_id": 1, "unk_id": 2, "bos_id": -1}
    library.SentencePieceTrainer.train(sentence_iterator=iter(lines), model_writer=made, vocab_size=100, **how, **ends)
    (copy / "spiece.model").write_bytes(made.getvalue())
    model, pieces = _load(copy), library.SentencePieceProcessor(model_proto=made.getvalue())
    unknown = len(pieces.encode("<unk>"))
    odd = ["ﬁbrosis of the ＬＩＶＥＲ", "naïve café", "a\u00a0mass ２", "x²", "ẞtraße Ⅳ", "Ａ\u200bb", "\u3000mass"]
    for text in (*odd, *lines[:50]):
        expected = pieces.encode("<unk>\u2581" + siglip.clean(text))[unknown:][:15]
        assert model.tokens([text])[0] == [*expected, *[1] * (16 - len(expected))]


def test_texts_fill_all_places_and_are_cut(model):
    rows = model.tokens(TEXTS)
    assert {len(r) for r in rows} == {16}
    assert all(r[-1] == 1 for r in rows)
    np.testing.assert_array_equal(model.embed_texts([TEXTS[4]]), model.embed_texts([TEXTS[4] + " and more"]))
    assert siglip.clean("  A (Left) Lung's\tX-ray. ") == "a left lungs xray"
    assert np.isfinite(model.embed_texts(["", "\x00", "\n\n", "🫀" * 500])).all()


def test_a_library_tokenizer_is_used_where_there_are_no_pieces(copy, model):
    siglip.read_tokenizer(copy).save(str(copy / "tokenizer.json"))
    (copy / "spiece.model").unlink()
    assert _load(copy).tokens(TEXTS) == model.tokens(TEXTS)


@pytest.mark.parametrize(
    ("options", "template", "way"), [([], "{}", "softmax"), (["a", " "], "{}", "softmax"), (["a"], "a photo", "softmax"), (["a"], "{}", "hinge")]
)
def test_a_choice_of_nothing_is_refused(model, options, template, way):
    with pytest.raises(InvalidValue):
        model.zero_shot(STUDIES[0], options, template, way=way)


def test_options_may_hold_braces_and_templates_count(model):
    plain, in_words = model.zero_shot(STUDIES[0], ["{} mass", "lung"]), model.zero_shot(STUDIES[0], ["{} mass", "lung"], "image of {}")
    assert plain.sum() == pytest.approx(1)
    assert not np.allclose(plain, in_words)
    assert 0 < model.zero_shot(STUDIES[0], ["mass", "lung"], way="sigmoid").sum() < 2


def test_half_precision_is_near_and_its_scale_exact(folder, model):
    half = _load(folder, dtype=torch.bfloat16)
    assert (half.scale, half.bias) == (model.scale, model.bias)
    assert half.embed_images(STUDIES).dtype == np.float32
    assert (half.embed_images(STUDIES) * model.embed_images(STUDIES)).sum(1).min() > 0.98


def test_saved_again_it_is_the_same(copy, model):
    (copy / "model.safetensors").unlink()
    model.model.save_pretrained(copy)
    again = _load(copy)
    np.testing.assert_allclose(again.embed_images(STUDIES), model.embed_images(STUDIES), rtol=0, atol=1e-6)
    assert again.scale == pytest.approx(model.scale)


def test_the_published_size():
    from transformers import SiglipConfig

    both = {"hidden_size": 1152, "intermediate_size": 4304, "num_hidden_layers": 27, "num_attention_heads": 16}
    ends = {"bos_token_id": 1, "eos_token_id": 1}
    text = {**both, **ends, "vocab_size": 32000, "max_position_embeddings": 64}
    config = SiglipConfig(text_config=text, vision_config={**both, "image_size": 448, "patch_size": 14})
    assert stock_files.size(siglip.MODEL, config) == 878_300_338
    card = cards.card(siglip.NAME)
    assert (card.parameters, card.context, card.image_tokens) == (878_300_338, 64, 32**2)


def test_nothing_is_asked_of_the_hub(folder, monkeypatch):
    def refuse(*_, **__):
        raise AssertionError("the network was asked")

    for what in ("connect", "connect_ex"):
        monkeypatch.setattr(socket.socket, what, refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    assert _load(folder).embed_texts(["a"]).shape == (1, 24)


def test_without_weights_it_says_where_they_are(tmp_path):
    with pytest.raises(WeightsError, match="models fetch medsiglip"):
        siglip.load()
    with pytest.raises(WeightsError, match="not a folder of weights"):
        siglip.load(weights=tmp_path / "absent")


def test_what_does_not_fit_into_memory_is_refused(folder, monkeypatch):
    monkeypatch.setattr(memory, "room", lambda _: 1000)
    with pytest.raises(WeightsError, match="are free"):
        _load(folder)


def _tensors(**changes):
    """Replace tensors (None removes one) by their names, "__" for "."."""

    def change(folder):
        held = checkpoint.read(folder) | {n.replace("__", "."): t for n, t in changes.items()}
        save_file({n: t for n, t in held.items() if t is not None}, folder / "model.safetensors", metadata={"format": "pt"})

    return change


def _configured(folder, **changes):
    held = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**held, **changes}))


@pytest.mark.parametrize(
    ("harm", "says"),
    [
        (_tensors(logit_bias=None), r"1 missing \(the first 'logit_bias'\)"),
        (_tensors(some__weight=torch.zeros(2)), r"1 unknown \(the first 'some\.weight'\)"),
        (_tensors(logit_scale=torch.zeros(3)), "1 of another shape"),
        (lambda f: _configured(f, architectures=["Siglip2Model"]), r"is a checkpoint of \['Siglip2Model'\], not of SiglipModel"),
        (lambda f: (f / "config.json").unlink(), r"config\.json cannot be read"),
        (lambda f: (f / "model.safetensors").unlink(), "holds no weights"),
        (lambda f: (f / "model.safetensors").write_bytes(b"cut"), "cannot be read as weights"),
        (lambda f: (f / "preprocessor_config.json").unlink(), "how pictures are prepared cannot be read"),
        (lambda f: (f / "spiece.model").unlink(), r"tokenizer\.json cannot be read"),
        (lambda f: (f / "spiece.model").write_bytes(b"\x0a\xffcut"), "cannot be read as a SentencePiece vocabulary"),
        (lambda f: (f / "spiece.model").write_bytes(b""), "not a unigram"),
        (lambda f: (f / "spiece.model").write_bytes(tiny.unigram() * 3), "tokens does not fit 160 rows|cannot be read as a SentencePiece"),
    ],
)
def test_what_does_not_fit_is_refused_in_words(copy, harm, says):
    harm(copy)
    with pytest.raises(WeightsError, match=says):
        _load(copy)


def test_computed_tensors_that_some_releases_store_are_no_error(copy):
    _tensors(text_model__embeddings__position_ids=torch.arange(16)[None])(copy)
    assert _load(copy)
