"""Visual Med-Alpaca of seven billion parameters, from a small checkpoint in the official layout: adapter, experts, and what is absent."""

import shutil

import numpy as np
import pytest
import torch

from tests.checkpoints import med_alpaca as builder
from vesalius.domain.study import Image, Intensity, Modality, single
from vesalius.errors import WeightsError
from vesalius.models import med_alpaca_7b
from vesalius.models.router import Kind


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return builder.official(tmp_path_factory.mktemp("seven"))


@pytest.fixture
def seven(folder):
    return med_alpaca_7b.load(weights=folder, dtype=torch.float32)


@pytest.fixture
def study():
    shown = np.random.default_rng(0).integers(0, 256, (1, 40, 50, 3)).astype(np.uint8)
    return single(Image(shown, Intensity.COLOUR, Modality.OT))


def test_a_pickled_adapter_gives_the_same_weights(tmp_path, seven):
    other = med_alpaca_7b.load(weights=builder.official(tmp_path / "old", pickled=True), dtype=torch.float32)
    assert seven.identity["adapted"] == other.identity["adapted"] == 4
    assert seven.identity["experts"] == {}
    assert seven.identity["adapter"] != other.identity["adapter"]
    for name, tensor in seven.engine.composition.lm.state_dict().items():
        assert torch.equal(tensor, other.engine.composition.lm.state_dict()[name])


def test_what_is_absent_is_said(tmp_path, folder):
    with pytest.raises(WeightsError, match="do not come with") as caught:
        med_alpaca_7b.load()
    assert "--model visual-med-alpaca-7b:FOLDER" in caught.value.remedy
    with pytest.raises(WeightsError, match=r"config\.json"):
        med_alpaca_7b.load(weights=tmp_path)
    (tmp_path / "config.json").write_text((folder / "config.json").read_text())
    with pytest.raises(WeightsError, match="adapter_config"):
        med_alpaca_7b.load(weights=tmp_path)
    (tmp_path / "config.json").write_text('{"model_type": "opt"}')
    with pytest.raises(WeightsError, match="'opt'"):
        med_alpaca_7b.load(weights=tmp_path)


def test_an_expert_is_part_of_what_the_model_is(tmp_path, folder):
    for name in ("one", "two"):
        shutil.copytree(folder, tmp_path / name)
        builder.med_git(tmp_path / name / "med-git")
    other = next((tmp_path / "two" / "med-git").glob("*.safetensors"))
    other.write_bytes(other.read_bytes()[:-4] + b"\1\2\3\4")
    one, two = (med_alpaca_7b.load(weights=tmp_path / name, dtype=torch.float32).identity for name in ("one", "two"))
    assert one["weights"] == two["weights"]
    assert one["experts"] != two["experts"]


def test_experts_beside_the_language_model_are_found(tmp_path, study):
    find = med_alpaca_7b._Found(tmp_path, "cpu")
    assert find(Kind.CT).describe(study).said.confidence == 0
    builder.med_git(tmp_path / "med-git")
    builder.deplot(tmp_path / "deplot")
    caption, plot = find(Kind.CT), find(Kind.PLOT)
    assert caption is find(Kind.XRAY)
    for expert in (caption, plot):
        said = expert.describe(study).said
        assert 0 <= said.confidence <= 1
        assert said == expert.describe(study).said
    assert find(Kind.ULTRASOUND).name == "none"


def test_a_broken_expert_is_refused_in_words(tmp_path):
    (tmp_path / "med-git").mkdir()
    with pytest.raises(WeightsError, match="not a checkpoint of GitForCausalLM"):
        med_alpaca_7b._Found(tmp_path, "cpu")(Kind.MR)
