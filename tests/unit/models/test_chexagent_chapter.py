"""CheXagent as the chapter has it: a declared configuration without weights; a folder of it loads and answers."""

import json

import numpy as np
import pytest
import torch
from torch.nn import functional

from tests.checkpoints import chexagent as tiny
from vesalius.errors import WeightsError
from vesalius.models import cards, checkpoint, chexagent, chexagent_chapter, phi


def test_there_are_no_weights_and_it_says_so():
    with pytest.raises(WeightsError, match=r"were never released.*--model chexagent-chapter:FOLDER"):
        chexagent_chapter.load()


def test_every_tensor_finds_its_place_and_the_projector_is_as_described(tmp_path):
    model = chexagent_chapter.load(weights=tiny.chapter(tmp_path), dtype=torch.float32)
    held = {n.removeprefix("model.visual.mlp."): t for n, t in checkpoint.read(tmp_path).items() if n.startswith("model.visual.mlp.")}
    features = torch.randn(1, 16, 32, generator=torch.Generator().manual_seed(0))
    inner = functional.layer_norm(features @ held["0.weight"].T + held["0.bias"], (40,), held["1.weight"], held["1.bias"])
    wanted = functional.gelu(inner) @ held["3.weight"].T + held["3.bias"]
    assert torch.allclose(model.composition.projector(features), wanted, atol=1e-5)


def test_it_is_not_mistaken_for_the_published_model(tmp_path):
    with pytest.raises(WeightsError, match="not of 'CheXagentForCausalLM'"):
        chexagent.load(weights=tiny.chapter(tmp_path / "chapter"))
    with pytest.raises(WeightsError, match="not of 'CheXagentChapterForCausalLM'"):
        chexagent_chapter.load(weights=tiny.official(tmp_path / "official"))


def test_the_declared_size():
    config = {**tiny.text_config(tiny.Size(width=2560, inner=10240, layers=32, heads=32, rows=51200)), "architectures": [], "model_type": "phi"}
    with torch.device("meta"):
        whole = chexagent.build(chexagent.SIGLIP_L_512, phi.read_shape(config), chexagent_chapter.Projector)
    assert sum(p.numel() for p in whole.parameters()) == cards.card("chexagent-chapter").parameters


def test_a_missing_tensor_is_named(tmp_path):
    folder = tiny.chapter(tmp_path)
    index = folder / "model.safetensors.index.json"
    named = json.loads(index.read_text())["weight_map"]
    shard = folder / named["model.visual.mlp.3.bias"]
    from safetensors.torch import load_file, save_file

    save_file({n: t for n, t in load_file(shard).items() if n != "model.visual.mlp.3.bias"}, shard)
    with pytest.raises(WeightsError, match=r"1 missing \(the first 'projector.mlp.3.bias'\)"):
        chexagent_chapter.load(weights=folder)


def test_pixels_arrive(tmp_path):
    model = chexagent_chapter.load(weights=tiny.chapter(tmp_path), dtype=torch.float32)
    scores = [model.engine.score(model.engine.encode(torch.full((1, 3, 32, 32), v))[0], "Is there a mass?", ["yes", "no"]) for v in (-1.0, 1.0)]
    assert not np.allclose(*scores, atol=1e-7)
