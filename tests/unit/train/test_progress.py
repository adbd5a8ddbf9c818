import io

import pytest

from vesalius.train.curve import Evaluation, Step
from vesalius.train.progress import Progress, bar, clock_text


class Terminal(io.StringIO):
    encoding = "utf-8"

    def isatty(self):
        return True


class Clock:
    now = 0.0

    def __call__(self):
        return self.now


def _step(number, total=10, stage="align", loss=2.0):
    return Step(stage, number, total, 0.1, loss, {"answer": loss}, 1.0, {"projector": 0.1}, 500, 0.25)


def test_a_file_gets_a_line_now_and_then():
    stream, clock = io.StringIO(), Clock()
    with Progress(stream, every=10, clock=clock) as progress:
        for number in range(1, 10):
            clock.now = number * 4.0
            progress.step(_step(number))
        clock.now += 0.1
        progress.step(_step(10))
    lines = stream.getvalue().splitlines()
    assert [line.split()[1] for line in lines] == ["1/10", "4/10", "7/10", "10/10"]
    assert lines[1] == "align  4/10  loss 2.0000  2,000 tokens/s  ETA 0:02"
    assert "\r" not in stream.getvalue()


def test_a_terminal_gets_a_bar_that_redraws_itself(monkeypatch):
    monkeypatch.setenv("COLUMNS", "100")
    stream, clock = Terminal(), Clock()
    with Progress(stream, redraw=0.1, clock=clock) as progress:
        for number in range(1, 11):
            clock.now += 0.06
            progress.step(_step(number))
    frames = stream.getvalue().split("\r")[1:]
    assert len(frames) == 6  # 1, 3, 5, 7, 9 and the last
    assert "█" in frames[-1]
    assert frames[-1].endswith("\n")
    assert all(len(f) < 100 for f in frames)


def test_a_narrow_terminal_is_not_overflowed(monkeypatch):
    monkeypatch.setenv("COLUMNS", "30")
    stream = Terminal()
    Progress(stream, clock=Clock()).step(_step(1))
    assert len(stream.getvalue()) <= 30


def test_a_terminal_without_blocks_gets_plain_signs(monkeypatch):
    monkeypatch.setenv("COLUMNS", "100")
    stream = Terminal()
    stream.encoding = "ascii"
    Progress(stream, clock=Clock()).step(_step(10))
    stream.getvalue().encode("ascii")
    assert "####" in stream.getvalue()


def test_an_evaluation_stands_on_its_own_line(monkeypatch):
    monkeypatch.setenv("COLUMNS", "100")
    stream = Terminal()
    progress = Progress(stream, clock=Clock())
    progress.step(_step(1))
    progress.evaluation(Evaluation("align", 1, {"loss": 1.5, "accuracy": 0.25}, "loss", True, 0.1))
    last = stream.getvalue().rpartition("\r")[2]
    assert last == "align 1: development loss 1.5, accuracy 0.25 (best loss so far)\n"


def test_a_new_stage_starts_anew():
    stream, clock = io.StringIO(), Clock()
    progress = Progress(stream, every=100, clock=clock)
    progress.step(_step(1, loss=9.0))
    progress.step(_step(1, stage="tune", loss=1.0))
    assert stream.getvalue().splitlines()[1].startswith("tune  1/10  loss 1.0000")


@pytest.mark.parametrize(("share", "text"), [(0, "    "), (0.5, "██  "), (1, "████"), (0.28125, "█▏  "), (7, "████"), (-1, "    ")])
def test_bars(share, text):
    assert bar(share, 4) == text


def test_plain_bars():
    assert bar(0.5, 4, plain=True) == "##--"


@pytest.mark.parametrize(("seconds", "text"), [(0, "0:00"), (59.6, "1:00"), (252, "4:12"), (3723, "1:02:03")])
def test_durations(seconds, text):
    assert clock_text(seconds) == text
