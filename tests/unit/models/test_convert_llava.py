"""LLaVA-Med 1.0 and the 13-billion variant: what transformers itself loads, and the way back."""

import json
import shutil

import pytest
import torch

from tests.checkpoints import llava_med, llava_med_v1
from tests.unit.models.test_llava_vicuna import CHANGES, SIZE
from vesalius.errors import UserError, WeightsError
from vesalius.models import checkpoint, convert, llava, llava_vicuna
from vesalius.models import llava_med_v1 as v1
from vesalius.models.layouts import files

PIXELS = torch.randn(1, 3, 28, 28, generator=torch.Generator().manual_seed(1))


def _same(first, last):
    return first.keys() == last.keys() and all(torch.equal(first[n], last[n]) and first[n].dtype == last[n].dtype for n in first)


def _configure(folder, **changes):
    path = folder / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))
    return folder


def _stock(folder, ids):
    from transformers import LlavaForConditionalGeneration

    model, info = LlavaForConditionalGeneration.from_pretrained(folder, dtype=torch.float32, output_loading_info=True, attn_implementation="eager")
    assert not info["missing_keys"]
    assert not info["unexpected_keys"]
    assert not info["mismatched_keys"]
    with torch.no_grad():
        return model(input_ids=torch.tensor([ids]), pixel_values=PIXELS).logits[0]


@pytest.fixture(scope="module")
def one(tmp_path_factory):
    """Version 1.0: the tower in a folder beside."""
    return llava_med_v1.official(tmp_path_factory.mktemp("one"))


@pytest.fixture(scope="module")
def one_there(one, tmp_path_factory):
    return convert.convert(one, tmp_path_factory.mktemp("there") / "one", "transformers")


def test_version_one_comes_back_to_the_bit(one, one_there, tmp_path):
    back = convert.convert(one_there, tmp_path / "back", "official")
    assert _same(checkpoint.read(one), checkpoint.read(back))
    assert _same(checkpoint.read(one / "tower"), checkpoint.read(back / "tower"))
    for name in ("config.json", "added_tokens.json", "tower/config.json", "tokenizer.model"):
        assert (one / name).read_bytes() == (back / name).read_bytes()
    assert not (back / "layout.json").exists()


def test_version_one_is_the_same_model_to_transformers(one, one_there):
    """The second projector layer is an identity, and the image stands on the rows of its own token."""
    model = v1.load(weights=one, dtype=torch.float32)
    patch = v1.read_tokenizer(one).token_to_id(v1.PATCH)
    with torch.no_grad():
        ours = llava.logits(model.composition, [[1, 300, llava.IMAGE, 301]], PIXELS)[0]
    theirs = _stock(one_there, [1, 300, *[patch] * 4, 301])
    torch.testing.assert_close(ours, theirs, atol=1e-5, rtol=0)
    assert (ours - _stock(one_there, [1, 299, *[patch] * 4, 301])).abs().max() > 1e-2
    config = json.loads((one_there / "config.json").read_text())
    assert (config["projector_hidden_act"], config["image_token_index"]) == ("linear", patch)


def test_half_precision_stays_half(tmp_path):
    half = llava_med_v1.delta(tmp_path / "half")
    llava_med_v1.tower(half / "tower")
    there = convert.convert(half, tmp_path / "there", "transformers")
    assert checkpoint.read(there)["multi_modal_projector.linear_2.weight"].dtype == torch.float16
    back = convert.convert(there, tmp_path / "back", "official")
    assert _same(checkpoint.read(half), checkpoint.read(back))


def test_a_second_layer_that_is_no_identity_is_refused(one_there, tmp_path):
    folder = shutil.copytree(one_there, tmp_path / "copy")
    tensors = checkpoint.read(folder)
    for name in folder.glob("model*"):
        name.unlink()
    tensors["multi_modal_projector.linear_2.bias"][3] = 1e-3
    files.write(folder, tensors)
    with pytest.raises(WeightsError, match=r"is no identity, for which the official layout .* has no place"):
        convert.convert(folder, tmp_path / "back", "official")
    assert not (tmp_path / "back").exists()
    assert not (tmp_path / ".back.part").exists()


def test_version_one_needs_its_tower(one, tmp_path):
    folder = shutil.copytree(one, tmp_path / "copy")
    shutil.rmtree(folder / "tower")
    with pytest.raises(WeightsError, match="stores no image tower: put CLIP's weights into the folder 'tower' inside"):
        convert.convert(folder, tmp_path / "x", "transformers")


def test_a_tower_outside_the_folder_is_not_followed(one, tmp_path):
    folder = _configure(shutil.copytree(one, tmp_path / "copy"), mm_vision_tower="../one/tower")
    with pytest.raises(WeightsError, match="stores no image tower"):
        convert.convert(folder, tmp_path / "x", "transformers")


@pytest.fixture(scope="module")
def large(tmp_path_factory):
    """The 13-billion variant, with the tower in the checkpoint."""
    return _configure(llava_med.official(tmp_path_factory.mktemp("large"), SIZE), **CHANGES)


def test_the_larger_variant_comes_back_to_the_bit(large, tmp_path):
    there = convert.convert(large, tmp_path / "there", "transformers")
    back = convert.convert(there, tmp_path / "back", "official")
    assert convert.guess(there) == convert.guess(back) == "llava-med-13b"
    assert _same(checkpoint.read(large), checkpoint.read(back))
    assert (large / "config.json").read_bytes() == (back / "config.json").read_bytes()
    theirs = _stock(there, [1, *[SIZE.rows] * 4, 300, 301])
    for folder in (there, back):
        ours = llava.logits(llava_vicuna.load(weights=folder, dtype=torch.float32).composition, [[1, llava.IMAGE, 300, 301]], PIXELS)[0]
        torch.testing.assert_close(ours, theirs[:, : ours.shape[1]], atol=1e-5, rtol=0)


def test_a_tower_that_stood_apart_stands_apart_again(large, tmp_path):
    folder = shutil.copytree(large, tmp_path / "apart")
    tensors = checkpoint.read(folder)
    for name in folder.glob("model*"):
        name.unlink()
    beginning = "model.vision_tower.vision_tower."
    files.write(folder, {n: t for n, t in tensors.items() if not n.startswith(beginning)})
    with pytest.raises(WeightsError, match="holds no weights"):
        convert.convert(folder, tmp_path / "x", "transformers")
    files.write_one(folder / "tower" / "model.safetensors", files.take(tensors, beginning))
    there = convert.convert(folder, tmp_path / "there", "transformers")
    assert not _missing(there)
    back = convert.convert(there, tmp_path / "back", "official")
    assert _same(checkpoint.read(folder), checkpoint.read(back))
    assert _same(checkpoint.read(folder / "tower"), checkpoint.read(back / "tower"))


def _missing(folder):
    return [n for n in ("vision_tower.vision_model.embeddings.class_embedding", "multi_modal_projector.linear_1.bias") if n not in checkpoint.read(folder)]


def test_a_checkpoint_that_others_converted_gets_a_configuration(tmp_path):
    folder = llava_med.converted(tmp_path / "theirs", SIZE)
    text = {**json.loads((folder / "config.json").read_text())["text_config"], "model_type": "llama", "rope_theta": 10000.0}
    _configure(folder, text_config=text)
    back = convert.convert(folder, tmp_path / "back", "official")
    config = json.loads((back / "config.json").read_text())
    assert (config["model_type"], config["vocab_size"]) == ("llava_llama", SIZE.rows - 1)
    one, two = (llava_vicuna.load(weights=f, dtype=torch.float32).composition for f in (folder, back))
    ids = [[1, llava.IMAGE, 300, 301]]
    torch.testing.assert_close(llava.logits(one, ids, PIXELS)[0][:, : SIZE.rows - 1], llava.logits(two, ids, PIXELS)[0], atol=1e-6, rtol=0)


def test_the_same_layout_again_and_half_a_checkpoint_are_refused(large, one, one_there, tmp_path):
    for folder, layout in ((large, "official"), (one, "official"), (one_there, "transformers")):
        with pytest.raises(WeightsError, match=f"is in the layout '{layout}' already: name the other one"):
            convert.convert(folder, tmp_path / "x", layout)
    folder = shutil.copytree(large, tmp_path / "copy")
    tensors = checkpoint.read(folder)
    for name in folder.glob("model*"):
        name.unlink()
    del tensors["model.layers.1.mlp.up_proj.weight"]
    files.write(folder, tensors)
    with pytest.raises(WeightsError, match="1 missing"):
        convert.convert(folder, tmp_path / "x", "transformers")
    assert [p.name for p in tmp_path.iterdir()] == ["copy"]


@pytest.mark.parametrize(
    ("config", "name"),
    [
        ({"model_type": "llava_mistral"}, "llava-med-1.5-7b"),
        ({"model_type": "llava", "vision_config": {}, "text_config": {"model_type": "mistral"}}, "llava-med-1.5-7b"),
        ({"model_type": "llava", "vision_config": {}, "text_config": {"model_type": "llama"}}, "llava-med-13b"),
        ({"model_type": "llava", "vision_config": {}, "text_config": {"model_type": "llama"}, "projector_hidden_act": "linear"}, "llava-med-1.0-7b"),
        ({"model_type": "llava"}, "llava-med-1.0-7b"),
        ({"model_type": "llava", "mm_projector_type": "mlp2x_gelu"}, "llava-med-13b"),
        ({"model_type": "llava_llama"}, "llava-med-13b"),
        ({"architectures": ["CheXagentForCausalLM"]}, "chexagent-2-3b"),
    ],
)
def test_a_configuration_shows_its_model(tmp_path, config, name):
    (tmp_path / "config.json").write_text(json.dumps(config))
    assert convert.guess(tmp_path) == name


@pytest.mark.parametrize("text", ["", "[]", "{", '{"model_type": "llava", "vision_config": {}, "text_config": 3}', '{"model_type": "bert"}'])
def test_a_configuration_that_shows_nothing_is_told(tmp_path, text):
    (tmp_path / "config.json").write_text(text)
    with pytest.raises(WeightsError, match=r"cannot be read|could be of no model or of several: name it"):
        convert.convert(tmp_path, tmp_path / "x", "official")


@pytest.mark.parametrize(
    ("kind", "name"),
    [("Gemma3ForConditionalGeneration", "medgemma-4b"), ("Qwen2_5_VLForConditionalGeneration", "lingshu-7b"), ("SiglipModel", "medsiglip")],
)
def test_what_is_published_in_the_layout_of_transformers_says_so(tmp_path, kind, name):
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "x", "architectures": [kind]}))
    with pytest.raises(UserError, match=f"^{name} is published in the layout of transformers itself: there is nothing to convert"):
        convert.convert(tmp_path, tmp_path / "x", "transformers")
    with pytest.raises(UserError, match="LLaMA-7B in the layout of transformers and an adapter in that of PEFT"):
        convert.convert(tmp_path, tmp_path / "x", "transformers", "visual-med-alpaca-7b")
    with pytest.raises(UserError, match="no second layout of pocket is known"):
        convert.convert(tmp_path, tmp_path / "x", "transformers", "pocket")
