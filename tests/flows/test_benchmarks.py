"""The benchmark of questioned answers on tiny models of every shape: the same answers from every way, and what is reported of them."""

import argparse
import importlib
import json
import subprocess
import sys
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"
SHAPES = ("llava", "chexagent", "flamingo", "llava-after")
ROW = {"shape", "scale", "device", "dtype", "peer", "told", "parameters", "image_tokens", "text_tokens", "workload", "asks", "first_token_seconds", "ways"}
WAY = {"seconds", "cpu_seconds", "gflop", "peak_gflops", "held_mb", "peak_mb", "runs", "share_of_peak", "asks_per_second"}


@pytest.fixture
def benchmarks(monkeypatch):
    """The modules beside the script."""
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    return {name: importlib.import_module(name) for name in ("harness", "shapes", "peers", "compare")}


@pytest.fixture
def compared(benchmarks, monkeypatch, tmp_path, capsys):
    """Compare ways in this process; without the seconds that processes of their own take to start."""
    harness, shapes, peers, compare = (benchmarks[name] for name in ("harness", "shapes", "peers", "compare"))

    class Here:
        spoilt = None  # a way whose model is another

        def __init__(self, way, arguments, threads):
            given = dict(zip(arguments[::2], arguments[1::2], strict=True))
            monkeypatch.setattr(shapes, "SEED", int(way == self.spoilt))
            self.side = peers.side(way, shapes.make(given["--shape"], given["--scale"], given["--device"], peers.torch.float32))
            self.about = self.side.about()

        def ready(self):
            return self

        def run(self, workload):
            return harness.measured(self.side, workload)

        def end(self):
            pass

    monkeypatch.setattr(compare, "Worker", Here)
    monkeypatch.setitem(harness._SIDE, "cpu", 64)

    def run(shape, spoilt=None):
        Here.spoilt, out = spoilt, tmp_path / "out.json"
        compare.main(argparse.Namespace(shape=[shape], scale="tiny", runs=1, threads=1, device="cpu", dtype="float32", out=out))
        return json.loads(out.read_text()), capsys.readouterr().out

    return run


@pytest.mark.parametrize("shape", SHAPES)
def test_every_way_answers_as_the_engine_does_and_is_measured(compared, shape):
    held, said = compared(shape)
    assert held["provenance"]["versions"]["torch"]
    assert held["provenance"]["config"]["scale"] == "tiny"
    assert [(row["workload"], row["asks"]) for row in held["rows"]] == [("one image", 17), ("with controls", 19)]
    peers = {"one by one"} if shape == "flamingo" else {"one by one", "batched"}
    for row in held["rows"]:
        assert row.keys() >= ROW
        assert row["ways"].keys() == {*peers, "engine"}
        assert all(way.keys() >= WAY for way in row["ways"].values())
        assert set(row["first_token_seconds"]) == {"one by one", "engine", "engine, encoded"}
        greedy = row["asks"] - 8
        assert all(row["answers"][name] == {"equal": greedy, "tie": 0, "unequal": 0} for name in peers)
        assert row["answers"]["distinct"] > greedy // 2  # what is asked and shown decides what is said
        assert row["engine_against"]["one by one"]["operations"] > 2
    assert f"{shape} " in said


def test_other_answers_than_the_engines_are_an_error(compared):
    with pytest.raises(SystemExit, match="llava-after, one image, one by one"):
        compared("llava-after", spoilt="one by one")


def test_the_script_runs_each_way_in_a_process_of_its_own(tmp_path):
    out = tmp_path / "out.json"
    words = ["--shape", "flamingo", "--scale", "tiny", "--runs", "1", "--threads", "1", "--out", str(out)]
    done = subprocess.run([sys.executable, BENCHMARKS / "questioned_answer.py", *words], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert [row["answers"]["one by one"]["equal"] for row in json.loads(out.read_text())["rows"]] == [9, 11]
    assert "flamingo" in done.stdout


def test_an_answer_that_parts_at_a_tie_is_no_other_answer(benchmarks):
    agree = benchmarks["compare"]._agree
    theirs = {"ids": [5, 6], "near": [[[5, 1], [6, 7]], [[2.0, 1.0], [2.0, 1.9995]]]}
    assert agree([5, 6], theirs, 1e-3) == "equal"
    assert agree([5, 7], theirs, 1e-3) == "tie"
    assert agree([5, 7], theirs, 1e-4) == "unequal"
    assert agree([1, 6], theirs, 1e-3) == "unequal"
    assert agree([5, 8], theirs, 1e-3) == "unequal"


def test_operations_are_those_of_the_published_sizes(benchmarks):
    shapes = benchmarks["shapes"]
    with shapes.torch.device("meta"):
        plan = shapes.PLANS["llava"]["full"]
        work = shapes.Work(shapes._build("llava", plan, shapes._prompt("llava")), plan)
    layer = 2 * 4096 * 4096 + 2 * 4096 * 1024 + 3 * 4096 * 14336
    assert work.token == 2 * 32 * layer
    assert work.word == 2 * 4096 * 32000
    assert work.plain(3, 2) == 4 * work.token + 2 * work.word + 10 * work.pair
    block = 2 * 577 * 12 * 1024**2 + 4 * 577**2 * 1024
    assert work.image(24) - work.image() == block  # the last layer is of no use to the features
    assert work.image() == 23 * block + 2 * 576 * 3 * 14**2 * 1024 + 2 * 576 * (1024 * 4096 + 4096**2)
