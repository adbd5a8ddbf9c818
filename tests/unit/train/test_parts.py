import pytest
import torch
from torch import nn

from tests.invariant.tiny_training import Tiny
from vesalius.errors import ConfigError
from vesalius.train.parts import release, select, training_mode


def test_a_part_is_a_name_of_the_table_or_a_pattern():
    module = Tiny()
    assert set(select(module, ["adapter"])["adapter"]) == {"language.lora_a.weight", "language.lora_b.weight"}
    assert set(select(module, ["tower.0"])["tower.0"]) == {"tower.0.weight", "tower.0.bias"}
    assert "tower.1.running_mean" in select(module, ["tower"])["tower"]
    assert set(select(module, ["*.lora_a.*"])["*.lora_a.*"]) == {"language.lora_a.weight"}


def test_an_exclamation_mark_takes_away():
    module = Tiny()
    module.parts = {"tower": ("tower", "!tower.1")}
    assert set(select(module, ["tower"])["tower"]) == {"tower.0.weight", "tower.0.bias"}


def test_a_prefix_ends_at_a_dot():
    module = nn.ModuleDict({"head": nn.Linear(2, 2), "header": nn.Linear(2, 2)})
    assert set(select(module, ["head"])["head"]) == {"head.weight", "head.bias"}


@pytest.mark.parametrize(
    ("parts", "says"),
    [
        (["projektor"], "no part 'projektor': did you mean 'projector'"),
        (["xyz"], "its parts: tower, projector, adapter"),
        (["tower", "tower.0"], "belongs to both"),
    ],
)
def test_wrong_parts_are_refused(parts, says):
    with pytest.raises(ConfigError, match=says):
        select(Tiny(), parts)


def test_release_frees_the_parts_alone():
    module = Tiny()
    groups = release(module, ["projector"])
    assert {n for n, p in module.named_parameters() if p.requires_grad} == set(groups["projector"])
    release(module, ["adapter"])
    assert not any(p.requires_grad for p in module.projector.parameters())


def test_a_part_of_buffers_alone_is_refused():
    with pytest.raises(ConfigError, match="nothing to learn"):
        release(Tiny(), ["tower.1.running_mean"])


def test_half_precision_is_not_trained():
    with pytest.raises(TypeError, match="kept in float32"):
        release(Tiny().to(torch.bfloat16), ["projector"])


def test_frozen_modules_neither_drop_nor_count():
    module = Tiny()
    training_mode(module, select(module, ["projector"])["projector"])
    assert module.training
    assert module.projector.training
    assert module.projector[2].training  # dropout goes with what moves around it
    assert not any(m.training for m in module.tower.modules())
    training_mode(module, select(module, ["tower"])["tower"])
    assert all(m.training for m in module.tower.modules())
    assert not module.projector[2].training


def test_dropout_of_an_adapter_is_on_and_its_base_is_off():
    module = nn.ModuleDict({"query": nn.ModuleDict({"base": nn.Linear(2, 2), "lora_dropout": nn.Dropout(0.5), "lora_a": nn.Linear(2, 1)})})
    training_mode(module, select(module, ["*.lora_a.*"])["*.lora_a.*"])
    assert module["query"]["lora_dropout"].training
    assert not module["query"]["base"].training
