"""What a stage does not name does not move, to the bit; what it names does."""

import pytest
import torch

from tests.invariant.tiny_training import LOSS, Tiny, accuracy, shuffled
from vesalius import config
from vesalius.train.loop import fit
from vesalius.train.objective import Objective
from vesalius.train.parts import frozen_digest, select, tensors, verify_frozen
from vesalius.train.recipe import Recipe

RECIPE = """
name = "tiny"
model = "tiny"
seed = 4
output = "out"
[[stages]]
name = "alignment"
train = ["projector"]
learning_rate = 0.01
epochs = 1
[[stages]]
name = "instruction"
train = ["projector", "adapter"]
learning_rate = 0.01
learning_rates = { adapter = 0.02 }
epochs = 1
[[stages]]
name = "specialisation"
train = ["tower", "adapter"]
learning_rate = 0.01
weight_decay = 0.1
epochs = 1
"""
ALL = ("tower", "projector", "adapter")


@pytest.mark.parametrize("number", range(3))
def test_each_stage_moves_its_parts_alone(number):
    stage = config.parse(RECIPE, Recipe).stages[number]
    module = Tiny()
    before = {n: t.clone() for n, t in tensors(module).items()}
    result = fit(stage, module, shuffled(), LOSS, accuracy, seed=4)
    moved = {n for n, t in tensors(module).items() if not torch.equal(t, before[n])}
    named = {n for members in select(module, stage.train).values() for n in members}
    assert moved == named == set(result.weights)
    assert "language.embed.weight" not in moved  # tied to the output, and in no part
    if stage.name != "specialisation":  # running statistics of a frozen tower are frozen with it
        assert not any(n.startswith("tower") for n in moved)


def test_a_loss_that_writes_into_a_frozen_tower_is_caught():
    module = Tiny()

    def writes(module, batch):
        with torch.no_grad():
            module.tower[0].weight[0, 0] += 1e-7
        return LOSS(module, batch)

    stage = config.parse(RECIPE, Recipe).stages[0]
    with pytest.raises(RuntimeError, match=r"1 frozen tensors moved during training: tower\.0\.weight"):
        fit(stage, module, shuffled(), Objective(LOSS.terms, writes))


def test_the_digest_sees_one_bit_and_the_kind():
    module = Tiny()
    before = frozen_digest(module, ())
    assert frozen_digest(module, ()) == before
    verify_frozen(before, before)
    with torch.no_grad():
        module.output.weight.view(torch.int32)[2, 4] ^= 1
    with pytest.raises(RuntimeError, match=r"language\.embed\.weight"):
        verify_frozen(before, frozen_digest(module, ()))
    assert frozen_digest(Tiny().half(), ()) != before
