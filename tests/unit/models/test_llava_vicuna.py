"""LLaVA with Vicuna-13B: a declared configuration without weights; folders of the LLaVA project's layouts load and are asked through the shared prefix."""

import json
import shutil

import pytest
import torch
from safetensors.torch import load_file

from tests.checkpoints import llava_med as tiny
from tests.checkpoints.common import write_shards
from vesalius.domain.exchange import Question
from vesalius.errors import WeightsError
from vesalius.models import llava, llava_med, llava_vicuna
from vesalius.models.base import GenerativeModel

SIZE = tiny.Size(kv_heads=6)
ROW = [1, llava.IMAGE, 300, 301]
CHANGES = {"model_type": "llava_llama", "architectures": ["LlavaLlamaForCausalLM"], "max_position_embeddings": 4096, "rope_theta": 10000.0}


def _configure(folder, **changes):
    path = folder / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))
    return folder


@pytest.fixture(scope="module")
def official(tmp_path_factory):
    return _configure(tiny.official(tmp_path_factory.mktemp("official"), SIZE), **CHANGES)


@pytest.fixture
def copy(official, tmp_path):
    return shutil.copytree(official, tmp_path / "copy")


def _logits(folder, **options):
    model = llava_vicuna.load(weights=folder, dtype=torch.float32, **options)
    pixels = torch.randn(1, 3, 28, 28, generator=torch.Generator().manual_seed(1))
    return llava.logits(model.composition, [ROW], pixels)[0], model


def test_there_are_no_weights_and_it_says_so():
    with pytest.raises(WeightsError, match=r"were never released.*--model llava-med-13b:FOLDER"):
        llava_vicuna.load()


def test_a_folder_is_loaded_and_asked(official):
    _, model = _logits(official)
    assert isinstance(model, GenerativeModel)
    (image,) = model.engine.encode(torch.randn(1, 3, 28, 28, generator=torch.Generator().manual_seed(2)))
    assert image.image_tokens == 4
    questions = [Question("Is there a mass in the liver?"), Question("what organ is shown")]
    together = model.answer(image, questions)
    assert [a.text for a in together] == [model.answer(image, [q])[0].text for q in questions]


def test_logits_are_those_of_the_other_family_with_the_same_weights(official, tmp_path):
    """Only names and prompt differ: the composition is one."""
    other = shutil.copytree(official, tmp_path / "mistral")
    _configure(other, model_type="llava_mistral")
    model = llava_med.load(weights=other, dtype=torch.float32)
    pixels = torch.randn(1, 3, 28, 28, generator=torch.Generator().manual_seed(1))
    assert torch.equal(_logits(official)[0], llava.logits(model.composition, [ROW], pixels)[0])


@pytest.mark.parametrize("names", ["converted", "in-memory"])
def test_every_layout_is_the_same_model(official, tmp_path, names):
    folder = tiny.converted(tmp_path, SIZE, names=names)
    text = {**json.loads((folder / "config.json").read_text())["text_config"], "model_type": "llama", "rope_theta": 10000.0}
    found, model = _logits(_configure(folder, text_config=text))
    assert torch.equal(found, _logits(official)[0])
    assert SIZE.rows - 1 in model.prompt.template.unscored


def test_the_older_name_and_a_tower_beside(official, copy, tmp_path):
    """Checkpoints of LLaVA 1.5 are called "llava" and store no tower."""
    _configure(copy, model_type="llava")
    tensors = {n: t for path in copy.glob("model-*.safetensors") for n, t in load_file(path).items()}
    start = "model.vision_tower.vision_tower."
    for path in copy.glob("model*"):
        path.unlink()
    write_shards(copy, {n: t for n, t in tensors.items() if not n.startswith(start)})
    clip = tmp_path / "clip"
    write_shards(clip, {n.removeprefix(start): t for n, t in tensors.items() if n.startswith(start)}, shards=1)
    with pytest.raises(WeightsError, match="stores no image tower"):
        _logits(copy)
    assert torch.equal(_logits(copy, tower=clip)[0], _logits(official)[0])


def test_the_prompt_is_vicuna_v1(official):
    _, model = _logits(official)
    text = llava_vicuna.prompt_text([("Is there a mass?", None)])
    start = "A chat between a curious user and an artificial intelligence assistant. The assistant gives helpful, detailed, and polite answers to the user's"
    assert text == f"{start} questions. USER: <image>\nIs there a mass? ASSISTANT:"
    assert (*model.prompt.before, llava.IMAGE, *model.prompt.question("Is there a mass?")) == model.prompt.around(text)
    turns = [("a", "b"), ("c", None)]
    assert llava_vicuna.prompt_text(turns, images=0).endswith("USER: a ASSISTANT: b</s>USER: c ASSISTANT:")


def test_the_declared_size():
    with torch.device("meta"):
        whole = llava.build(llava_med.CLIP_L_336, llava_vicuna.VICUNA_13B).state_dict()
    assert sum(t.numel() for t in whole.values()) == 13_350_839_296
    assert (llava_vicuna.VICUNA_13B.width, llava_vicuna.VICUNA_13B.inner, llava_vicuna.VICUNA_13B.vocabulary) == (5120, 13824, 32000)


def test_the_published_configuration_gives_the_declared_shape(tmp_path):
    config = {"hidden_size": 5120, "intermediate_size": 13824, "num_hidden_layers": 40, "num_attention_heads": 40, "vocab_size": 32000, "rms_norm_eps": 1e-5}
    mm = {"mm_vision_tower": "openai/clip-vit-large-patch14-336", "mm_projector_type": "mlp2x_gelu", "mm_vision_select_layer": -2}
    (tmp_path / "config.json").write_text(json.dumps({**config, **mm, "model_type": "llava_llama", "max_position_embeddings": 4096}))
    assert llava_vicuna.read_config(tmp_path) == (llava_med.CLIP_L_336, llava_vicuna.VICUNA_13B, -2, None)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"model_type": "llava_mistral"}, "is a checkpoint of 'llava_mistral'"),
        ({"mm_projector_type": "linear"}, "another projector or prompt"),
        ({"mm_use_im_start_end": True}, "another projector or prompt"),
        ({"mm_vision_tower": "someone/else"}, "names the image tower 'someone/else'"),
        ({"vision_config": {}, "text_config": {"model_type": "mistral"}}, "its language model is 'mistral'"),
    ],
)
def test_what_does_not_fit_is_refused_in_words(copy, changes, says):
    _configure(copy, **changes)
    with pytest.raises(WeightsError, match=says):
        llava_vicuna.load(weights=copy)


def test_an_unreadable_configuration_is_refused(copy):
    (copy / "config.json").write_text("{")
    with pytest.raises(WeightsError, match=r"config\.json cannot be read"):
        llava_vicuna.load(weights=copy)
