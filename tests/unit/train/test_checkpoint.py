import json
import os
import random
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch

from vesalius.errors import ConfigError, WeightsError
from vesalius.train.checkpoint import Checkpoints, Randomness, State, read

CPU = torch.device("cpu")


def _state(step=1, **changes):
    values = {
        "stage": "a", "step": step, "identity": {"seed": 1}, "weights": {"w": torch.randn(3, 2).T, "bn.count": torch.tensor(4)},
        "optimiser": {"w/exp_avg": torch.randn(2, 3), "w/step": torch.tensor(3.0)}, "randomness": Randomness.capture(CPU),
        "best": {"step": 1, "metrics": {"loss": 0.1 + 0.2}}, "best_weights": {"w": torch.zeros(2, 3)}, "stale": 2, "evaluated": 1,
    }  # fmt: skip
    return State(**{**values, **changes})


def test_what_is_saved_is_read_back(tmp_path):
    before = _state()
    path = Checkpoints(tmp_path).save(before)
    after = read(path)
    assert (after.stage, after.step, after.identity, after.best, after.stale, after.evaluated, after.finished) == ("a", 1, {"seed": 1}, before.best, 2, 1, None)
    for kind in ("weights", "optimiser", "best_weights"):
        kept, found = getattr(before, kind), getattr(after, kind)
        assert kept.keys() == found.keys()
        assert all(torch.equal(kept[k], found[k]) and kept[k].dtype == found[k].dtype for k in kept)


def test_every_generator_goes_on_where_it_was(tmp_path):
    own = torch.Generator().manual_seed(3)
    state = _state()
    random.seed(1)
    random.gauss(0, 1)  # python and numpy keep a second normal number in hand
    np.random.seed(1)  # noqa: NPY002 - others draw from it
    np.random.standard_normal()  # noqa: NPY002
    torch.manual_seed(1)

    def draw():
        normal = np.random.standard_normal()  # noqa: NPY002
        return random.gauss(0, 1), random.random(), normal, torch.rand(2).tolist(), torch.rand(2, generator=own).tolist()

    state.randomness = Randomness.capture(CPU, {"own": own})
    path = Checkpoints(tmp_path).save(state)
    expected = draw()
    assert draw() != expected
    read(path).randomness.restore(CPU, {"own": own})
    assert draw() == expected


def test_the_last_two_stay(tmp_path):
    kept = Checkpoints(tmp_path)
    for step in (9, 10, 100):
        kept.save(_state(step))
    assert [p.name for p in kept.paths()] == ["step-00000100", "step-00000010"]
    assert kept.latest().step == 100


def test_the_same_step_can_be_saved_again(tmp_path):
    kept = Checkpoints(tmp_path)
    kept.save(_state(5))
    kept.save(_state(5, finished="completed"))
    assert kept.latest().finished == "completed"
    assert [p.name for p in tmp_path.iterdir()] == ["step-00000005"]


def test_nothing_saved_is_nothing_found(tmp_path):
    kept = Checkpoints(tmp_path / "absent")
    assert kept.latest() is None
    kept.require_empty()


def test_a_new_run_does_not_start_over_an_old_one(tmp_path):
    kept = Checkpoints(tmp_path)
    kept.save(_state())
    with pytest.raises(ConfigError, match="holds the checkpoints of another run: add --resume"):
        kept.require_empty()


def _cut(path, name, share):
    data = (path / name).read_bytes()
    (path / name).write_bytes(data[: int(len(data) * share)])


def _flip(path, name):
    data = bytearray((path / name).read_bytes())
    data[-1] ^= 1
    (path / name).write_bytes(data)


BREAKS = {
    "tensors cut short": lambda p: _cut(p, "tensors.safetensors", 0.7),
    "tensors empty": lambda p: _cut(p, "tensors.safetensors", 0),
    "one bit of the tensors": lambda p: _flip(p, "tensors.safetensors"),
    "tensors gone": lambda p: (p / "tensors.safetensors").unlink(),
    "state cut short": lambda p: _cut(p, "state.json", 0.7),
    "state empty": lambda p: _cut(p, "state.json", 0),
    "state gone": lambda p: (p / "state.json").unlink(),
    "state of another format": lambda p: (p / "state.json").write_text(json.dumps({"format": 99})),
    "state not a table": lambda p: (p / "state.json").write_text("[1]"),
    "state without a key": lambda p: (p / "state.json").write_text(
        json.dumps({k: v for k, v in json.loads((p / "state.json").read_text()).items() if k != "step"})
    ),
}


@pytest.mark.parametrize("how", BREAKS)
def test_a_broken_newest_falls_back_to_the_one_before(tmp_path, how):
    kept = Checkpoints(tmp_path)
    kept.save(_state(1))
    newest = kept.save(_state(2))
    BREAKS[how](newest)
    with pytest.warns(UserWarning, match=r"step-00000002.*going on from step-00000001 instead"):
        assert kept.latest().step == 1
    BREAKS[how](kept.paths()[1])
    with pytest.raises(WeightsError, match=r"no checkpoint can be read .*delete the folder"):
        kept.latest()


def test_whole_checkpoints_warn_of_nothing(tmp_path):
    kept = Checkpoints(tmp_path)
    kept.save(_state(1))
    kept.save(_state(2))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert kept.latest().step == 2


def test_what_a_killed_write_left_is_neither_read_nor_kept(tmp_path):
    kept = Checkpoints(tmp_path)
    kept.save(_state(1))
    (tmp_path / ".writing-00000002").mkdir()
    (tmp_path / ".writing-00000002" / "tensors.safetensors").write_bytes(b"half")
    assert kept.latest().step == 1
    kept.save(_state(2))
    assert sorted(p.name for p in tmp_path.iterdir()) == ["step-00000001", "step-00000002"]


@pytest.mark.parametrize(("call", "number"), [("os.fsync", n) for n in range(1, 5)] + [("Path.rename", 1)])
def test_stopped_anywhere_in_a_write_the_newest_is_whole(tmp_path, monkeypatch, call, number):
    """Synced are two files and their folder, then the name; before the name there is nothing to see, after it everything."""
    kept, calls = Checkpoints(tmp_path), [0]
    kept.save(_state(1))
    owner, _, name = call.rpartition(".")
    real = getattr(os if owner == "os" else Path, name)

    def stopped(*arguments):
        calls[0] += 1
        if calls[0] == number:
            raise KeyboardInterrupt
        return real(*arguments)

    with monkeypatch.context() as patch:
        patch.setattr(os if owner == "os" else Path, name, stopped)
        with pytest.raises(KeyboardInterrupt):
            kept.save(_state(2))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert kept.latest().step == (2 if (call, number) == ("os.fsync", 4) else 1)


def test_a_disk_that_refuses_is_the_users_to_mend(tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(ConfigError, match="cannot be written"):
        Checkpoints(tmp_path / "file").save(_state())


def test_a_full_disk_leaves_the_earlier_checkpoint(tmp_path, monkeypatch):
    kept = Checkpoints(tmp_path)
    kept.save(_state(1))

    def full(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("vesalius.train.checkpoint.os.fsync", full)
    with pytest.raises(ConfigError, match="No space left on device"):
        kept.save(_state(2))
    assert kept.latest().step == 1


def test_keeping_none_is_refused(tmp_path):
    with pytest.raises(ConfigError, match="keep = 0"):
        Checkpoints(tmp_path, keep=0)
