"""A run killed anywhere and continued is the run that was never killed, bit for bit."""

import os
import random
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from tests.invariant.tiny_training import LOSS, Tiny, accuracy, shuffled, stage
from vesalius.errors import InterruptedWork
from vesalius.train.checkpoint import Checkpoints
from vesalius.train.curve import Step, read
from vesalius.train.loop import fit

ROOT = Path(__file__).parents[2]
STEPS = 23


class Killed(Exception):
    pass


def _story(records):
    """What must be equal: everything but the clock."""
    return [
        (r.stage, r.step, r.loss, dict(r.terms), r.norm, dict(r.rates), r.tokens) if isinstance(r, Step) else (r.stage, r.step, dict(r.metrics), r.best)
        for r in records
    ]


def _tensors(folder):
    state = Checkpoints(folder).latest()
    return state.finished, state.weights


def _process(folder, kill_at):
    command = [sys.executable, "-m", "tests.invariant.tiny_training", str(folder), str(STEPS), kill_at]
    return subprocess.run(command, cwd=ROOT, env={**os.environ, "OMP_NUM_THREADS": "1"}, capture_output=True, text=True, timeout=120)


def test_killed_processes_continue_bit_for_bit(tmp_path):
    """Four processes for one run: killed after random steps and while a checkpoint is written."""
    assert _process(tmp_path / "whole", "never").returncode == 0
    first = random.randint(1, STEPS // 2)
    second = random.randint(first + 1, STEPS - 1)
    for kill_at in (str(first), "write:1", str(second)):
        ended = _process(tmp_path / "killed", kill_at)
        # the second kill meets the first checkpoint written after the resume
        assert ended.returncode == -signal.SIGKILL, (kill_at, ended.stderr)
    ended = _process(tmp_path / "killed", "never")
    assert ended.returncode == 0, ended.stderr

    whole, killed = read(tmp_path / "whole" / "curve.jsonl"), read(tmp_path / "killed" / "curve.jsonl")
    assert _story(whole) == _story(killed), f"killed after steps {first} and {second}"
    assert len([r for r in whole if isinstance(r, Step)]) == STEPS
    (done, expected), (done_too, found) = _tensors(tmp_path / "whole" / "tiny"), _tensors(tmp_path / "killed" / "tiny")
    assert done == done_too == "completed"
    assert all(torch.equal(expected[n], found[n]) for n in expected)
    assert not list((tmp_path / "killed" / "tiny").glob(".*")), "a killed write left something behind"


def _train(folder, *, stop_at=None, state=None, module=None, **changes):
    records = []

    def on_step(step):
        records.append(step)
        if step.step == stop_at:
            raise Killed

    arguments = {"checkpoints": Checkpoints(folder), "on_step": on_step, "on_evaluation": records.append, "seed": 11}
    module = module or Tiny()
    try:
        fit(stage(**changes), module, shuffled(), LOSS, accuracy, state, **arguments)
    except Killed:
        pass
    return records, module


@pytest.mark.parametrize("stop_at", range(1, STEPS + 1))
def test_every_step_is_a_place_to_stop(tmp_path, stop_at):
    whole, module = _train(tmp_path / "whole")
    before, _ = _train(tmp_path / "cut", stop_at=stop_at)
    state = Checkpoints(tmp_path / "cut").latest()
    after, continued = _train(tmp_path / "cut", state=state)
    done = state.step if state else 0
    assert done == (stop_at - 1) // 3 * 3
    kept = [r for r in before if r.step <= done]
    assert _story(whole) == _story(kept + after)
    assert all(torch.equal(a, b) for a, b in zip(module.state_dict().values(), continued.state_dict().values(), strict=True))


def test_a_signal_saves_the_very_step_and_the_rest_is_the_same(tmp_path):
    whole, _ = _train(tmp_path / "whole")
    records = []

    def on_step(step):
        records.append(step)
        if step.step == 8:  # an evaluation is due after this step: it is made up for after the resume
            signal.raise_signal(signal.SIGTERM)

    kept = Checkpoints(tmp_path / "cut")
    handler = signal.getsignal(signal.SIGTERM)
    with pytest.raises(InterruptedWork, match=r"after step 8 of 23 and saved in .*step-00000008: run the same command with --resume"):
        fit(stage(), Tiny(), shuffled(), LOSS, accuracy, checkpoints=kept, on_step=on_step, on_evaluation=records.append, seed=11)
    assert signal.getsignal(signal.SIGTERM) is handler
    after, _ = _train(tmp_path / "cut", state=kept.latest())
    assert _story(whole) == _story(records + after)


def test_looking_more_often_changes_no_step(tmp_path):
    often, _ = _train(tmp_path / "often", evaluate_every=1)
    seldom, _ = _train(tmp_path / "seldom", evaluate_every=100)
    assert _story(r for r in often if isinstance(r, Step)) == _story(r for r in seldom if isinstance(r, Step))


def test_an_early_stop_is_remembered(tmp_path):
    """Stopped between two evaluations, the count of stale ones goes on where it was."""
    settings = {"learning_rate": 3.0, "patience": 2, "evaluate_every": 2}
    whole, _ = _train(tmp_path / "whole", **settings)
    last = whole[-1].step
    assert last < STEPS, "the rate is meant to be absurd"
    before, _ = _train(tmp_path / "cut", stop_at=last - 1, **settings)
    state = Checkpoints(tmp_path / "cut").latest()
    after, _ = _train(tmp_path / "cut", state=state, **settings)
    assert _story(whole) == _story([r for r in before if r.step <= state.step] + after)
    assert Checkpoints(tmp_path / "cut").latest().finished == "stopped early"


def test_the_callers_randomness_is_left_alone(tmp_path):
    torch.manual_seed(1)
    expected = torch.rand(4)
    torch.manual_seed(1)
    _train(tmp_path)
    assert torch.equal(torch.rand(4), expected)
