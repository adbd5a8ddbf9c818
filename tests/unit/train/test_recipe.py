import dataclasses
import itertools
import subprocess
import sys
from pathlib import Path

import pytest

from vesalius import config
from vesalius.errors import ConfigError
from vesalius.train.recipe import Recipe, Schedule, Source, Stage, read

TEXT = """
name = "small"
model = "pocket"
seed = 3
output = "out"
[sources.slake]
dataset = "slake"
[sources.rad]
dataset = "vqa_rad"
limit = 50
options = { rewordings = 4 }
[[stages]]
name = "alignment"
train = ["projector"]
learning_rate = 1e-3
epochs = 2
[[stages]]
name = "instruction"
train = ["projector", "adapter"]
learning_rate = 1e-3
learning_rates = { adapter = 2e-4 }
steps = 100
schedule = "constant"
mixture = { slake = 2, rad = 1 }
loss = { answer = 1, consistency = 0.5 }
"""


def _stage(**changes):
    return Stage(**{"name": "a", "train": ("projector",), "learning_rate": 0.1, "epochs": 1, **changes})


def _file(tmp_path, text=TEXT):
    path = tmp_path / "r.toml"
    path.write_text(text)
    return path


def test_a_recipe_is_read(tmp_path):
    recipe = read(_file(tmp_path))
    assert [s.name for s in recipe.stages] == ["alignment", "instruction"]
    assert recipe.sources["rad"] == Source("vqa_rad", limit=50, options={"rewordings": 4})
    second = recipe.stages[1]
    assert second.schedule is Schedule.CONSTANT
    assert (second.peak_rate("projector"), second.peak_rate("adapter")) == (1e-3, 2e-4)
    assert second.mixture == {"slake": 2.0, "rad": 1.0}


def test_overrides_reach_the_recipe_and_a_stage_by_name(tmp_path):
    changes = ["seed=9", "stages.instruction.steps=7", "stages.instruction.loss.consistency=0", "stages.alignment.train=['adapter']"]
    recipe = read(_file(tmp_path), overrides=changes)
    assert recipe.seed == 9
    assert recipe.stages[1].steps == 7
    assert recipe.stages[1].loss == {"answer": 1.0, "consistency": 0.0}
    assert recipe.stages[0].train == ("adapter",)
    untouched = dataclasses.replace(recipe.stages[1], steps=100, loss={"answer": 1.0, "consistency": 0.5})
    assert untouched == read(_file(tmp_path)).stages[1]


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ("stages.instructoin.steps=7", "no stage is called 'instructoin': did you mean 'instruction'"),
        ("stages.alignment.step=7", "unknown key 'step': did you mean 'steps'"),
        ("stages.alignment.steps=many", "steps: 'many' is not"),
        ("stages.alignment.steps=0", "stage 'alignment': steps = 0 is below 1"),
        ("stages.alignment=3", "is not a table"),
    ],
)
def test_wrong_overrides_are_refused(tmp_path, change, says):
    with pytest.raises(ConfigError, match=says):
        read(_file(tmp_path), overrides=[change])


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("learning_rates", "learning_rate_of", "unknown key 'learning_rate_of': did you mean 'learning_rate"),
        ("{ adapter = 2e-4 }", "{ adaptor = 2e-4 }", "learning_rates names 'adaptor', which does not move: did you mean 'adapter'"),
        ("slake = 2,", "slaek = 2,", "mixture names 'slaek', which is no source: did you mean 'slake'"),
        ('"constant"', '"linear"', "'linear' is not one of cosine, constant"),
        ('"instruction"', '"alignment"', "two stages are called 'alignment'"),
        ("seed = 3", "seed = -1", "seed = -1 is outside"),
        ("limit = 50", "limit = 0", "limit = 0 is below 1"),
        ('output = "out"', "", "missing key 'output'"),
        ("seed = 3", "seed = 3\ndevelopment = 1.0", "development = 1.0 is outside"),
    ],
)
def test_wrong_recipes_are_refused(tmp_path, old, new, says):
    assert old in TEXT
    with pytest.raises(ConfigError, match=says):
        read(_file(tmp_path, TEXT.replace(old, new, 1)))


def test_a_recipe_without_stages_is_refused():
    with pytest.raises(ConfigError, match="has no stages"):
        config.build({"name": "n", "model": "m", "seed": 1, "output": "o", "stages": []}, Recipe)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"name": "Not/a folder"}, "the name cannot be a folder's"),
        ({"train": ()}, "train is empty"),
        ({"train": ("a", "b", "a")}, "train names 'a' twice"),
        ({"epochs": None}, "has no length: give epochs or steps"),
        ({"epochs": 0.0}, "epochs = 0.0"),
        ({"epochs": float("inf")}, "epochs = inf"),
        ({"steps": 0}, "steps = 0"),
        ({"batch_size": 0}, "batch_size = 0"),
        ({"accumulate": -1}, "accumulate = -1"),
        ({"evaluate_every": 0}, "evaluate_every = 0"),
        ({"checkpoint_every": 0}, "checkpoint_every = 0"),
        ({"patience": 0}, "patience = 0"),
        ({"learning_rate": 0.0}, "learning_rate = 0.0"),
        ({"learning_rate": float("nan")}, "learning_rate = nan"),
        ({"learning_rates": {"projector": -1.0}}, r"learning_rates\.projector = -1.0"),
        ({"weight_decay": -0.1}, "weight_decay = -0.1"),
        ({"clip_norm": 0.0}, "clip_norm = 0.0"),
        ({"warmup": 1.0}, "warmup = 1.0"),
        ({"floor": 1.5}, "floor = 1.5"),
        ({"mixture": {"s": 0.0}}, r"mixture\.s = 0.0"),
        ({"loss": {"a": -1.0}}, r"loss\.a = -1.0"),
        ({"loss": {"a": 0.0}}, "every weight in loss is 0"),
    ],
)
def test_wrong_stages_are_refused(changes, says):
    with pytest.raises(ConfigError, match=says):
        _stage(**changes)


@pytest.mark.parametrize(("epochs", "steps", "total"), [(2, None, 20), (None, 7, 7), (2, 7, 7), (2, 70, 20), (0.5, None, 5), (0.01, None, 1)])
def test_the_shorter_length_counts(epochs, steps, total):
    assert _stage(epochs=epochs, steps=steps).total_steps(10) == total


def test_rates_rise_and_fall():
    stage = _stage(warmup=0.1, floor=0.2)
    factors = [stage.rate_factor(i, 100) for i in range(100)]
    assert factors[:10] == [pytest.approx((i + 1) / 11) for i in range(10)]
    assert factors[10] == 1.0
    assert all(a > b for a, b in itertools.pairwise(factors[10:]))
    assert factors[55] == pytest.approx(0.6)  # halfway down, by hand: 0.2 + 0.8 / 2
    assert stage.rate_factor(100, 100) == pytest.approx(0.2)
    assert min(factors) > 0
    assert {_stage(warmup=0.0, schedule=Schedule.CONSTANT).rate_factor(i, 5) for i in range(5)} == {1.0}
    assert _stage(warmup=0.0).rate_factor(0, 1) == 1.0


def test_reading_a_recipe_needs_no_torch():
    code = "import sys; from vesalius.train import curve, order, progress, recipe; print('torch' in sys.modules, 'matplotlib' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip() == "False False"


def test_the_recipe_of_the_documentation_is_read(tmp_path):
    page = (Path(__file__).parents[3] / "docs" / "train.md").read_text(encoding="utf-8")
    recipe = read(_file(tmp_path, page.split("```toml\n")[1].split("```")[0]), overrides=["stages.instruction.steps=20"])
    assert recipe.stages[1].steps == 20
