"""`kill -9` at any moment of `vesalius evaluate trust` loses at most the call in hand: afterwards every record is that of an undisturbed run."""

import json
import random
import signal
import time

import pytest

from tests.slow_runs import Place, asks


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    return Place(tmp_path_factory.mktemp("killed"))


@pytest.fixture(scope="module")
def asked(place):
    """The calls of a run that nobody disturbed, `whole`."""
    code, told = place.finish("whole")
    assert code == 0, told
    return place.calls("whole")


def goes_on(place, name, asked, *words):
    """The run goes on to the records of an undisturbed one."""
    code, told = place.finish(name, *words)
    assert code == 0, told
    assert place.records(name) == place.records("whole")
    assert place.rows(name) == place.rows("whole")
    assert not asks(asked) - asks(place.calls(name))


def asked_again(calls, ends):
    """How many calls each session, `ends` being where they end in the list, made that an earlier one had begun."""
    made = [json.dumps(sorted(call.items())) for call in calls]
    starts = [0, *ends]
    return [len(set(made[start:end]) & set(made[:start])) for start, end in zip(starts, [*ends, len(made)], strict=True)]


def test_a_run_killed_at_any_moment_loses_the_call_in_hand_at_most(place, asked):
    assert asked_again(asked, range(1, len(asked))) == [0] * len(asked)  # nothing is asked twice of itself
    draw, ends = random.Random(2026), []
    for share in (0.08, 0.14, 0.35, 0.6, 0.85):  # the plain pass, the gate, each study
        process = place.begin("killed", pause=0.03)
        place.wait_for_calls(process, "killed", int((share + 0.05 * draw.random()) * len(asked)))
        time.sleep(0.04 * draw.random())  # inside a call, or while it is written down
        process.kill()
        process.communicate()
        assert process.returncode == -signal.SIGKILL
        ends.append(len(place.calls("killed")))
    goes_on(place, "killed", asked)
    again = asked_again(place.calls("killed"), ends)
    assert max(again) <= 1
    assert sum(again) == len(place.calls("killed")) - len(asked)


def test_workers_whose_parent_was_killed_end_themselves_and_lose_a_call_each(place, asked):
    process = place.begin("orphans", "--workers", 2, pause=0.05)
    place.wait_for_calls(process, "orphans", len(asked) * 2 // 3)
    process.kill()
    process.communicate()  # until the last process that holds its output has ended
    begun = len(place.calls("orphans"))
    assert begun < len(asked)
    goes_on(place, "orphans", asked, "--workers", 2)
    assert asked_again(place.calls("orphans"), [begun])[1] <= 2
