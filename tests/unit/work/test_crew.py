"""Processes that share units: each unit is done once, and whatever happens to a process is told for what it is."""

import multiprocessing
import os
import subprocess
import sys
import time

import pytest

from vesalius.errors import UserError
from vesalius.work.crew import Alone, Crew, WorkerLost, one_mind

HANDY = "tests.unit.work.crew_hands:Handy"


def run(units, count=2):
    told = []
    with Crew(HANDY, "order", count) as crew:
        return crew.do_all(units, lambda *share: told.append(share)), told


def test_every_unit_is_done_and_the_progress_of_all_is_one_line(monkeypatch):
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    units = [("do", str(n)) for n in range(5)]
    found, told = run(units)
    threads = str(max(1, (os.cpu_count() or 1) // 2))
    assert found == {unit: {unit[1]: threads} for unit in units}
    assert told[0] == (0, 0, "0, 1")
    assert any(share[:2] in {(1, 2), (2, 4)} for share in told)


def test_a_bug_keeps_its_traceback_and_ends_every_process():
    started = time.monotonic()
    with pytest.raises(RuntimeError, match=r"(?s)a worker failed at it:.*crew_hands\.py.*ZeroDivisionError: a mistake"):
        run([("sleep", "long"), ("bug", "it")])
    assert time.monotonic() - started < 10
    assert not multiprocessing.active_children()


def test_a_refusal_keeps_its_remedy():
    with pytest.raises(UserError, match="that is not possible: try something else"):
        run([("refuse", "it")])


def test_a_want_of_memory_is_no_bug():
    with pytest.raises(UserError, match=r"ran out of memory.*fewer --workers"):
        run([("memory", "it")], count=1)


@pytest.mark.parametrize(("kind", "how"), [("die", "killed by SIGKILL"), ("exit", "exit code 7")])
def test_of_a_process_that_died_its_unit_is_told_and_the_others_do_the_rest(kind, how):
    told = []
    with Crew(HANDY, "order", 2) as crew, pytest.raises(WorkerLost, match=rf"died at it \({how}\).*--resume, and fewer --workers"):
        crew.do_all([(kind, "it"), *[("do", str(n)) for n in range(4)]], lambda *share: told.append(share[2]))
    assert {name for line in told for name in line.split(", ")} == {"it", "0", "1", "2", "3"}


def test_when_all_have_died_nobody_waits():
    with pytest.raises(WorkerLost, match=r"died (?=.*at first )(?=.*at second )"):
        run([("die", "first"), ("die", "second"), ("do", "third")])


def test_a_process_that_cannot_begin_is_told():
    with pytest.raises(UserError, match="the order is broken: mend it"):
        Crew(HANDY, "broken", 2)
    with pytest.raises(WorkerLost, match="at its beginning"):
        Crew(HANDY, "dead", 1)
    with pytest.raises(RuntimeError, match="no attribute 'Nobody'"):
        Crew(HANDY.replace("Handy", "Nobody"), "order", 1)
    assert not multiprocessing.active_children()


def test_workers_that_differ_are_refused():
    assert one_mind([{"a": 1}, {"a": 1}]) == {"a": 1}
    with pytest.raises(UserError, match="different models"):
        Crew(HANDY, "each its own", 2)
    assert not multiprocessing.active_children()


def test_warnings_of_a_worker_reach_the_parent(caplog):
    run([("warn", "it")], count=1)
    assert ("vesalius.there", "mind the gap") in [(r.name, r.getMessage()) for r in caplog.records]


def test_a_process_whose_parent_was_killed_ends_itself_whatever_it_does():
    script = f"from vesalius.work.crew import Crew; Crew({HANDY!r}, 'order', 2).do_all([('sleep', 'a'), ('sleep', 'b')], lambda *s: print(s, flush=True))"
    path = os.pathsep.join(part for part in sys.path if part)
    parent = subprocess.Popen([sys.executable, "-c", script], env={**os.environ, "PYTHONPATH": path}, stdout=subprocess.PIPE, text=True)
    while "2, 4" not in parent.stdout.readline():  # both are at work
        assert parent.poll() is None
    parent.kill()
    parent.communicate(timeout=10)  # the output ends when nobody holds it any more


def test_alone_does_units_in_order(monkeypatch):
    from tests.unit.work.crew_hands import Handy

    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    with Alone(Handy("order")) as hands:
        assert hands.about == {"order": "order"}
        assert list(hands.do_all([("do", "b"), ("do", "a")], lambda *_: None).items()) == [(("do", "b"), {"b": "3"}), (("do", "a"), {"a": "3"})]
