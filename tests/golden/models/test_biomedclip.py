"""BiomedCLIP against open_clip: vectors, logits, token ids and pixels of a tiny checkpoint (seed 0) in the official layout.

`biomedclip.npz` was made once by open_clip 3.3.0 with timm 1.0.31, transformers 5.24.0 and ftfy 6.3.1 (all versions: its field `versions`).
"""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.checkpoints import biomedclip as tiny
from vesalius.domain.study import Image, Intensity, Modality, single
from vesalius.models import biomedclip

GOLDEN = np.load(Path(__file__).with_name("biomedclip.npz"))
TEXTS = json.loads(str(GOLDEN["texts"]))
TOLERANCE = 1e-5


def picture(number):
    """Blocks and noise of any size, every third one grey."""
    rng = np.random.default_rng(number)
    rows, cols = (int(n) for n in rng.integers(5, 700, 2))
    grey = () if number % 3 == 0 else (3,)
    coarse = rng.integers(0, 256, (4, 5, *grey))[np.arange(rows) * 4 // rows][:, np.arange(cols) * 5 // cols]
    return ((coarse + rng.integers(0, 256, (rows, cols, *grey))) // 2).astype(np.uint8)


def study(number):
    """The picture as a study in colour, so that nothing windows it."""
    shown = picture(number)
    return single(Image(np.repeat(shown[..., None], 3, -1)[None] if shown.ndim == 2 else shown[None], Intensity.COLOUR, Modality.OT))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tiny.official(tmp_path_factory.mktemp("biomedclip"))


@pytest.fixture
def model(folder):
    return biomedclip.load(weights=folder, dtype=torch.float32)


def _far(found, expected):
    return np.abs(found.astype(np.float64) - expected).max()


def test_images_are_where_open_clip_puts_them(model):
    found = model.embed_images([study(n) for n in range(6)])
    assert found.dtype == np.float32
    assert _far(found, GOLDEN["image_vectors"]) <= TOLERANCE


def test_texts_of_any_length_are_where_open_clip_puts_them(model):
    assert _far(model.embed_texts(TEXTS), GOLDEN["text_vectors"]) <= TOLERANCE


def test_logits_and_probabilities_are_those_of_open_clip(model):
    logits = model.scale * model.embed_images([study(n) for n in range(6)]) @ model.embed_texts(TEXTS).T
    assert _far(logits, GOLDEN["logits"]) <= TOLERANCE
    expected = torch.from_numpy(GOLDEN["logits"][2, [0, 4, 11]]).double().softmax(-1).numpy()
    assert _far(model.zero_shot(study(2), [TEXTS[i] for i in (0, 4, 11)], "{}"), expected) <= TOLERANCE


def _mean_of_words(net):
    net.texts = lambda ids, seen: torch.nn.functional.normalize(
        net.text_projection((net.bert(ids, seen) * seen[..., None]).sum(1) / seen.sum(1, keepdim=True)), dim=-1
    )


def _mean_of_patches(net):
    net.images = lambda pixels: torch.nn.functional.normalize(net.image_projection(net.vision(pixels)[:, 1:].mean(1)), dim=-1)


def _padding_seen(net):
    right = net.texts
    net.texts = lambda ids, seen: right(ids, torch.ones_like(seen))


def _without_final_norm(net):
    net.vision.post_layernorm = torch.nn.Identity()


def _quick(net):
    from vesalius.models.vit import quick_gelu

    for layer in net.vision.encoder.layers:
        layer.mlp.activation = quick_gelu


@pytest.mark.parametrize("wrong", [_mean_of_words, _mean_of_patches, _padding_seen, _without_final_norm, _quick])
def test_a_wrong_model_would_be_noticed(model, wrong):
    wrong(model.net)
    logits = model.scale * model.embed_images([study(n) for n in range(6)]) @ model.embed_texts(TEXTS).T
    assert _far(logits, GOLDEN["logits"]) > 100 * TOLERANCE


@pytest.mark.parametrize("number", range(len(TEXTS)))
def test_token_ids_are_those_of_open_clip(model, number):
    row = [int(i) for i in GOLDEN["ids"][number]]
    found = model.tokens([TEXTS[number]])[0]
    assert found + [0] * (len(row) - len(found)) == row


def test_texts_are_cleaned_as_by_open_clip():
    cases = json.loads(str(GOLDEN["cleaned"]))
    assert len(cases) == 300
    assert [biomedclip.clean(text) for text, _ in cases] == [expected for _, expected in cases]


@pytest.mark.parametrize("number", range(20))
def test_pixels_are_those_of_the_official_transform(number):
    found = biomedclip.prepare(picture(number)).numpy()
    assert found.shape == (3, 224, 224)
    assert _far(found[:, 5::17, 3::17], GOLDEN["pixels"][number]) <= TOLERANCE
    np.testing.assert_allclose(found.astype(np.float64).sum((1, 2)), GOLDEN["pixel_sums"][number], rtol=0, atol=0.05)  # over 50,176 pixels


def test_another_interpolation_would_be_noticed():
    found = biomedclip.prepare(picture(1), biomedclip.Preparation(smooth=False)).numpy()
    assert _far(found[:, 5::17, 3::17], GOLDEN["pixels"][1]) > 0.01
