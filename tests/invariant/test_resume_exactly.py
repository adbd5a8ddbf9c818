"""A run killed anywhere and continued is the run that was never killed, bit for bit."""

import contextlib
import multiprocessing
import random
import signal

import pytest
import torch

from tests.invariant.tiny_training import LOSS, Tiny, accuracy, shuffled, stage, train
from vesalius.errors import InterruptedWork
from vesalius.train.checkpoint import Checkpoints
from vesalius.train.curve import Step, read
from vesalius.train.loop import fit

STEPS = 23


class KilledError(Exception):
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


@pytest.fixture(scope="module")
def processes():
    """Fresh processes with torch already loaded: they are forked from a clean server that loads it once."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tests.invariant.tiny_training", "torch._dynamo"])
    return context


def _process(processes, folder, kill_at):
    child = processes.Process(target=train, args=(folder, STEPS, kill_at))
    child.start()
    child.join(300)
    return child.exitcode


def test_killed_processes_continue_bit_for_bit(tmp_path, processes):
    """One run in four processes, killed after random steps and while a checkpoint is written, against one that nothing happened to."""
    assert _process(processes, tmp_path / "whole", "never") == 0
    first = random.randint(1, STEPS // 2)
    second = random.randint(first + 1, STEPS - 1)
    # the kill in the middle meets the first checkpoint that is written after the resume
    for kill_at in (str(first), "write:1", str(second)):
        assert _process(processes, tmp_path / "killed", kill_at) == -signal.SIGKILL, kill_at
    assert _process(processes, tmp_path / "killed", "never") == 0

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
            raise KilledError

    arguments = {"checkpoints": Checkpoints(folder), "on_step": on_step, "on_evaluation": records.append, "seed": 11}
    module = module or Tiny()
    with contextlib.suppress(KilledError):
        fit(stage(**changes), module, shuffled(), LOSS, accuracy, state, **arguments)
    return records, module


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    return _train(tmp_path_factory.mktemp("whole"))


# before the first checkpoint, on one, after one, on an evaluation, at the end of an epoch (5), at the end of the stage
@pytest.mark.parametrize("stop_at", [1, 3, 4, 8, 10, 11, 23])
def test_every_step_is_a_place_to_stop(tmp_path, undisturbed, stop_at):
    whole, module = undisturbed
    before, _ = _train(tmp_path / "cut", stop_at=stop_at)
    state = Checkpoints(tmp_path / "cut").latest()
    after, continued = _train(tmp_path / "cut", state=state)
    done = state.step if state else 0
    assert done == (stop_at - 1) // 3 * 3
    kept = [r for r in before if r.step <= done]
    assert _story(whole) == _story(kept + after)
    assert all(torch.equal(a, b) for a, b in zip(module.state_dict().values(), continued.state_dict().values(), strict=True))


def test_a_signal_saves_the_very_step_and_the_rest_is_the_same(tmp_path, undisturbed):
    whole, _ = undisturbed
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
    settings = {"learning_rate": 3.0, "patience": 2, "evaluate_every": 2, "checkpoint_every": 1}
    whole, _ = _train(tmp_path / "whole", **settings)
    last = whole[-1].step
    assert last < STEPS, "the rate is meant to be absurd"
    before, _ = _train(tmp_path / "cut", stop_at=last - 1, **settings)
    state = Checkpoints(tmp_path / "cut").latest()
    assert state.stale == 1
    after, _ = _train(tmp_path / "cut", state=state, **settings)
    assert _story(whole) == _story([r for r in before if r.step <= state.step] + after)
    assert Checkpoints(tmp_path / "cut").latest().finished == "stopped early"


def test_the_callers_randomness_is_left_alone(tmp_path):
    torch.manual_seed(1)
    expected = torch.rand(4)
    torch.manual_seed(1)
    _train(tmp_path)
    assert torch.equal(torch.rand(4), expected)
