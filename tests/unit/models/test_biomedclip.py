"""BiomedCLIP: every way of storing it gives the same model, company and padding change no vector, what does not fit is refused by name."""

import json
import shutil

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from tests.checkpoints import biomedclip as tiny
from vesalius.domain.exchange import Outcome, Question
from vesalius.domain.study import Image, Intensity, Modality, single
from vesalius.errors import InvalidValue, WeightsError
from vesalius.models import bert, biomedclip
from vesalius.models.base import EmbeddingModel
from vesalius.models.cards import card

TEXTS = ["no", "this is a photo of chest x-ray", "there is a pleural effusion in the left lung and the heart is normal", "mass " * 60]


def _study(number, shape=(40, 50)):
    shown = np.random.default_rng(number).integers(0, 256, (1, *shape, 3), dtype=np.uint8)
    return single(Image(shown, Intensity.COLOUR, Modality.OT))


STUDIES = [_study(n, (40 + n, 50 - n)) for n in range(5)]


@pytest.fixture(scope="module")
def official(tmp_path_factory):
    return tiny.official(tmp_path_factory.mktemp("official"))


@pytest.fixture(scope="module")
def model(official):
    return biomedclip.load(weights=official, dtype=torch.float32)


@pytest.fixture
def copy(official, tmp_path):
    return shutil.copytree(official, tmp_path / "copy")


def test_it_is_an_embedding_model(model):
    assert isinstance(model, EmbeddingModel)
    for found, count in ((model.embed_images(STUDIES), len(STUDIES)), (model.embed_texts(TEXTS), len(TEXTS))):
        assert found.shape == (count, 20)
        assert found.dtype == np.float32
        np.testing.assert_allclose(np.linalg.norm(found, axis=1), 1, atol=1e-6)
    assert model.embed_images([]).shape == model.embed_texts([]).shape == (0, 20)
    assert model.identity["revision"] == model.card.revision


def test_company_changes_no_vector(model, monkeypatch):
    texts, images = model.embed_texts(TEXTS), model.embed_images(STUDIES)
    np.testing.assert_allclose(np.concatenate([model.embed_texts([t]) for t in TEXTS]), texts, rtol=0, atol=1e-6)
    np.testing.assert_allclose(np.concatenate([model.embed_images([s]) for s in STUDIES]), images, rtol=0, atol=1e-6)
    monkeypatch.setattr(biomedclip, "_BATCH", 3)
    np.testing.assert_allclose(model.embed_texts(TEXTS[::-1])[::-1], texts, rtol=0, atol=1e-6)
    np.testing.assert_allclose(model.embed_images(STUDIES[::-1])[::-1], images, rtol=0, atol=1e-6)


def test_texts_are_cut_at_the_context(model):
    assert len(model.tokens([TEXTS[3]])[0]) == 24
    np.testing.assert_array_equal(model.embed_texts([TEXTS[3]]), model.embed_texts([TEXTS[3] + " and more"]))


@pytest.mark.parametrize("options", [{"pickled": False}, {"position_ids": False}, {"pickled": False, "position_ids": False}])
def test_every_way_of_storing_it_is_the_same_model(official, model, tmp_path, options):
    other = biomedclip.load(weights=tiny.official(tmp_path, **options), dtype=torch.float32)
    np.testing.assert_array_equal(other.embed_texts(TEXTS), model.embed_texts(TEXTS))
    np.testing.assert_array_equal(other.embed_images(STUDIES), model.embed_images(STUDIES))
    assert other.scale == model.scale
    assert (other.identity["weights"] == model.identity["weights"]) is (options == {})


def test_earlier_names_of_settings_are_known(copy):
    tiny.reconfigure(copy, "text_cfg", hf_proj_type=None, hf_pooler_type=None)
    tiny.reconfigure(copy, "text_cfg", proj="mlp", pooler_type="cls_last_hidden_state_pooler")
    assert biomedclip.read_config(copy).width == 20


def test_half_precision_is_near_and_its_scale_exact(official, model):
    half = biomedclip.load(weights=official, dtype=torch.bfloat16)
    assert half.scale == model.scale == pytest.approx(np.exp(2.6592), rel=1e-6)
    assert half.embed_images(STUDIES).dtype == np.float32
    assert (half.embed_images(STUDIES) * model.embed_images(STUDIES)).sum(1).min() > 0.99


def test_the_published_size_is_the_card_s(tmp_path):
    published = {
        "model_cfg": {
            "embed_dim": 512,
            "vision_cfg": {
                "timm_model_name": "vit_base_patch16_224",
                "timm_model_pretrained": False,
                "timm_pool": "",
                "timm_proj": "linear",
                "image_size": 224,
            },
            "text_cfg": {
                "hf_model_name": "microsoft/BiomedNLP-BiomedBERT-base-uncased-abstract",
                "hf_tokenizer_name": "microsoft/BiomedNLP-BiomedBERT-base-uncased-abstract",
                "hf_proj_type": "mlp",
                "hf_pooler_type": "cls_last_hidden_state_pooler",
                "context_length": 256,
            },
        },
        "preprocess_cfg": {"mean": list(biomedclip.MEAN), "std": list(biomedclip.DEVIATION)},
    }
    (tmp_path / "open_clip_config.json").write_text(json.dumps(published))
    shape = biomedclip.read_config(tmp_path)
    assert shape == biomedclip.PUBLISHED
    with torch.device("meta"):
        whole = biomedclip.BiomedClipNet(shape).state_dict()
    # tower 85,798,656 with 393,216 for its projection, BERT 108,891,648 with 819,200, and the scale
    assert sum(t.numel() for t in whole.values()) == card("biomedclip").parameters == 195_902_721
    assert len(whole) - 4 * 12 == 351  # queries, keys and values are stored in one
    assert (card("biomedclip").context, card("biomedclip").image_tokens) == (shape.context, shape.vision.patches)


def _tensors(**changes):
    """Replace tensors (None removes one) by their published names, "__" for "."."""

    def change(folder):
        path = folder / "open_clip_pytorch_model.bin"
        held = torch.load(path, weights_only=True) | {n.replace("__", "."): t for n, t in changes.items()}
        torch.save({n: t for n, t in held.items() if t is not None}, path)

    return change


def _configured(part, **changes):
    return lambda folder: tiny.reconfigure(folder, part, **changes)


@pytest.mark.parametrize(
    ("harm", "says"),
    [
        (_tensors(visual__trunk__blocks__1__attn__qkv__weight=None), "3 missing"),
        (_tensors(text__proj__2__weight=None), "1 missing.*text_projection"),
        (_tensors(logit_scale=None), "1 missing.*logit_scale"),
        (_tensors(text__transformer__pooler__dense__weight=torch.zeros(2)), "1 unknown.*pooler"),
        (_tensors(visual__trunk__head__weight=torch.zeros(2)), r"1 unknown.*visual\.trunk\.head"),
        (_tensors(visual__trunk__blocks__0__attn__qkv__weight=torch.zeros(32, 32)), "3 missing.*1 unknown"),
        (_tensors(visual__trunk__cls_token=torch.zeros(1, 2, 32)), "instead of"),
        (_tensors(text__proj__0__weight=torch.zeros(3, 3)), "instead of"),
        (_tensors(visual__head__proj__weight=torch.zeros(())), "instead of"),
        (lambda f: (f / "open_clip_config.json").unlink(), r"open_clip_config\.json cannot be read"),
        (lambda f: (f / "open_clip_config.json").write_text("[]"), r"open_clip_config\.json cannot be read"),
        (lambda f: (f / "open_clip_pytorch_model.bin").unlink(), "holds no weights"),
        (lambda f: (f / "open_clip_pytorch_model.bin").write_bytes(b"cut"), "cannot be read as weights"),
        (lambda f: (f / "open_clip_model.safetensors").write_bytes(b"cut"), "cannot be read as weights"),
        (lambda f: (f / "vocab.txt").unlink(), "holds no tokenizer"),
        (lambda f: (f / "vocab.txt").write_text("\n".join([*tiny.vocabulary(), "more"])), "tokens do not fit"),
        (lambda f: (f / "text" / "config.json").unlink(), "names the text encoder 'text'"),
        (lambda f: (f / "text" / "config.json").write_text('{"model_type": "roberta"}'), "model_type 'roberta'"),
        (_configured("vision_cfg", timm_model_name="vit_large_patch16_224"), "names the image tower 'vit_large_patch16_224'"),
        (_configured("vision_cfg", timm_model_kwargs={"class_token": False}), "class_token"),
        (_configured("vision_cfg", image_size=33), "numbers that are not known or do not fit"),
        (_configured("vision_cfg", image_size=[32, 32]), r"open_clip_config\.json cannot be read"),
        (_configured("vision_cfg", timm_pool=None), "timm_pool 'avg'"),
        (_configured("vision_cfg", timm_proj="mlp"), "timm_proj 'mlp'"),
        (_configured("text_cfg", hf_pooler_type="mean_pooler"), "pooler 'mean_pooler'"),
        (_configured("text_cfg", hf_proj_type="linear"), "projection 'linear'"),
        (_configured("text_cfg", context_length=41), "texts of 41 tokens"),
        (_configured("preprocess_cfg", resize_mode="longest"), "resize_mode 'longest'"),
        (_configured("preprocess_cfg", std=[1, 0, 1]), "mean and std"),
    ],
)
def test_what_does_not_fit_is_refused_in_words(copy, harm, says):
    harm(copy)
    with pytest.raises(WeightsError, match=says):
        biomedclip.load(weights=copy)


def test_without_weights_it_says_where_they_are():
    with pytest.raises(WeightsError, match="biomedclip:FOLDER"):
        biomedclip.load()


def test_another_model_s_file_is_refused(copy):
    (copy / "open_clip_pytorch_model.bin").unlink()
    save_file({"some.weight": torch.zeros(1)}, copy / "open_clip_model.safetensors")
    with pytest.raises(WeightsError, match=r"missing.*1 unknown \(the first 'some.weight'\)"):
        biomedclip.load(weights=copy)


def test_settings_of_the_preparation_are_heeded(copy):
    tiny.reconfigure(copy, "preprocess_cfg", mean=[0.5, 0.5, 0.5], std=[0.5, 0.25, 1.0], interpolation="bilinear", size=99)
    how = biomedclip.read_config(copy).preparation
    assert how == biomedclip.Preparation(32, (0.5, 0.5, 0.5), (0.5, 0.25, 1.0), smooth=False)  # the tower says how large
    found = biomedclip.prepare(np.full((7, 9), 255, np.uint8), how)
    torch.testing.assert_close(found[:, 0, 0], torch.tensor([1.0, 2.0, 0.5]))


def test_what_lies_outside_the_middle_is_not_seen():
    wide = np.zeros((50, 150), np.uint8)
    wide[:, :45] = 255
    assert biomedclip.prepare(wide, biomedclip.Preparation(32)).std(dim=(1, 2)).max() < 1e-6
    with pytest.raises(InvalidValue, match="a picture of 1010 x 10 is too narrow"):
        biomedclip.prepare(np.zeros((10, 1010), np.uint8))


def test_options_are_ranked_by_their_cosine(model):
    options = ["pleural effusion", "brain mri", "{} braces", "heart"]
    found = model.zero_shot(STUDIES[0], options)
    assert found.sum() == pytest.approx(1)
    cosines = model.embed_texts([f"this is a photo of {o}" for o in options]).astype(float) @ model.embed_images(STUDIES[:1])[0].astype(float)
    expected = np.exp(model.scale * cosines)
    np.testing.assert_allclose(found, expected / expected.sum(), rtol=1e-4)
    assert model.zero_shot(STUDIES[0], ["alone"]).tolist() == [1.0]


@pytest.mark.parametrize(("options", "template"), [([], "{}"), (["a", " "], "{}"), (["a"], "a photo")])
def test_a_choice_of_nothing_is_refused(model, options, template):
    with pytest.raises(InvalidValue):
        model.zero_shot(STUDIES[0], options, template)


def test_answers_are_options(model):
    encoded = model.encode(STUDIES[1])
    assert encoded.image_tokens == 16
    questions = [Question("Is there a {mass}?", ("no", "yes")), Question("What is this?", ("brain mri", "chest x-ray", "histopathology"))]
    closed, open_ = model.answer(encoded, questions)
    assert closed.outcome in (Outcome.YES, Outcome.NO)
    assert closed.p_yes == pytest.approx(closed.confidence if closed.outcome is Outcome.YES else 1 - closed.confidence)
    assert open_.text in questions[1].options
    assert open_.p_yes is None
    scores = model.score(encoded, questions[1], questions[1].options)
    assert open_.logprob == scores.max() == pytest.approx(np.log(open_.confidence))
    with pytest.raises(InvalidValue, match="options"):
        model.answer(encoded, [Question("What is this?", ("a", " "))])


def test_odd_texts_are_texts(model):
    odd = ["", "\x00", "\ud800 lone", "\n\n", "[PAD]", "🫀" * 500]
    assert np.isfinite(model.embed_texts(odd)).all()
    assert biomedclip.clean("a\ud83d\ude00b\udc00") == "a\U0001f600b\ufffd"


def test_the_library_s_tokenizer_is_used_where_it_is_stored(copy, model):
    made = bert.read_tokenizer(copy)
    made.save(str(copy / "tokenizer.json"))
    (copy / "vocab.txt").unlink()
    assert biomedclip.load(weights=copy, dtype=torch.float32).tokens(TEXTS) == model.tokens(TEXTS)
