"""What all comparisons share: what is asked, processes that ask it in turns, and what each run is measured by.

In: a side that can run a workload. Out: for each run seconds, processor time, operations, the speed of a large matrix product, memory.
A side has `torch`, `device`, `dtype`, `prepare(workload)` (not timed), `run(workload)` -> floating-point operations (or None), `about()` and `report()`.
"""

from __future__ import annotations

import dataclasses
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

QUESTIONS = (
    "Is there any evidence of pneumonia in this chest radiograph?",
    "Does this chest X-ray of the patient show any signs of pneumonia?",
    "On this film, can an area of pneumonia be seen in either lung?",
    "Are there findings on this image that are consistent with pneumonia?",
    "Would you say that pneumonia is present on this chest radiograph?",
    "Could you tell me whether this radiograph demonstrates any pneumonia?",
    "Is there radiographic evidence of a pneumonia in this picture?",
    "In this chest radiograph, is pneumonia one of the findings?",
    "Looking at this chest X-ray, do you see evidence of pneumonia?",
)
SAMPLES, CONTROLS, NEW_TOKENS = 8, 2, 6
WORKLOADS = ("one image", "with controls")
FIRST, FIRST_ENCODED = "first token", "first token, encoded"  # one ask and one token: with everything that an image costs, and without
_SIDE = {"cpu": 1536, "cuda": 8192}  # of the matrices whose product is the measure of speed


@dataclasses.dataclass(frozen=True)
class Item:
    image: int
    question: str
    sampled: bool
    seed: int


def items(workload: str) -> list[Item]:
    if workload == "warm-up":
        return [Item(0, QUESTIONS[0], False, 0), Item(0, QUESTIONS[1], True, 0)]
    if workload in (FIRST, FIRST_ENCODED):
        return [Item(0, QUESTIONS[0], False, 0)]
    made = [Item(0, q, False, 0) for q in QUESTIONS] + [Item(0, QUESTIONS[0], True, seed) for seed in range(SAMPLES)]
    return made + ([Item(i + 1, QUESTIONS[0], False, 0) for i in range(CONTROLS)] if workload == WORKLOADS[1] else [])


def new_tokens(workload: str) -> int:
    return 1 if workload in (FIRST, FIRST_ENCODED) else NEW_TOKENS


def resident(key: str) -> float:
    """VmRSS or VmHWM of this process in MB."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(key + ":"):
            return int(line.split()[1]) / 1024
    return float("nan")


def peak_gflops(torch: Any, dtype: Any, device: str = "cpu") -> float:
    """The best of several large matrix products; on a CPU for each second of one core: a shared machine still shows what a core can give."""
    side = _SIDE[device]
    a = torch.randn(side, side, dtype=dtype, device=device)
    wait, clock = (torch.cuda.synchronize, time.perf_counter) if device == "cuda" else (lambda: None, time.process_time)
    best = 0.0
    for _ in range(3):
        wait()
        start = clock()
        a @ a
        wait()
        best = max(best, 2 * side**3 / (clock() - start) / 1e9)
    return best


class Meter:
    """One run: made before it, read after it."""

    def __init__(self, torch: Any, dtype: Any, device: str) -> None:
        self.torch, self.device = torch, device
        if device == "cuda":
            self.peak = peak_gflops(torch, dtype, device)
            torch.cuda.reset_peak_memory_stats()
            self.held = torch.cuda.memory_allocated() / 2**20
            torch.cuda.synchronize()
        else:
            Path("/proc/self/clear_refs").write_text("5")  # start the high-water mark anew
            self.held, self.peak = resident("VmRSS"), peak_gflops(torch, dtype)
        self.start, self.busy = time.perf_counter(), time.process_time()

    def read(self, flops: float | None) -> dict[str, Any]:
        if self.device == "cuda":
            self.torch.cuda.synchronize()
        seconds, cpu = time.perf_counter() - self.start, time.process_time() - self.busy
        peak = self.torch.cuda.max_memory_allocated() / 2**20 if self.device == "cuda" else resident("VmHWM")
        gflop = None if flops is None else flops / 1e9
        return {"seconds": seconds, "cpu_seconds": cpu, "gflop": gflop, "peak_gflops": self.peak, "held_mb": self.held, "peak_mb": peak}


def serve(side: Any) -> None:
    """Serve runs to the parent: one line in (a workload), one line of JSON out."""
    side.prepare("warm-up")
    side.run("warm-up")  # first use of every kernel
    print(json.dumps({"ready": True, **side.about()}), flush=True)
    for line in sys.stdin:
        print(json.dumps(measured(side, line.strip())), flush=True)


def measured(side: Any, workload: str) -> dict[str, Any]:
    """One run and what it took."""
    side.prepare(workload)
    meter = Meter(side.torch, side.dtype, side.device)
    flops = side.run(workload)
    return {**meter.read(flops), **side.report()}


class Worker:
    """A way of asking in a process of its own, to be waited for once. Raises `WorkerEnded` when it ends by itself."""

    def __init__(self, way: str, arguments: Sequence[str], threads: int) -> None:
        script = Path(__file__).with_name("questioned_answer.py")
        command = [sys.executable, str(script), "--worker", way, "--threads", str(threads), *arguments]
        environment = {**os.environ, "OMP_NUM_THREADS": str(threads), "TRANSFORMERS_VERBOSITY": "error", "TQDM_DISABLE": "1"}
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment)
        self.about: dict[str, Any] = {}

    def ready(self) -> Worker:
        """Wait until it has made its model and run once."""
        self.about = self.line()
        return self

    def line(self) -> dict[str, Any]:
        for text in self.process.stdout or ():
            if text.startswith("{"):  # a library may talk, too
                return json.loads(text)
        raise WorkerEnded(f"a worker ended with code {self.process.wait()}")

    def run(self, workload: str) -> dict[str, Any]:
        self.process.stdin.write(workload + "\n")  # type: ignore[union-attr]
        self.process.stdin.flush()  # type: ignore[union-attr]
        return self.line()

    def end(self) -> None:
        self.process.stdin.close()  # type: ignore[union-attr]
        self.process.wait()


class WorkerEnded(SystemExit):
    """Uncaught it ends the program, with the reason."""


def in_turns(workers: dict[str, Worker], workload: str, runs: int) -> dict[str, list[dict[str, Any]]]:
    """Every way `runs` times, one after another, so that whatever else the machine does falls on all alike."""
    taken: dict[str, list[dict[str, Any]]] = {name: [] for name in workers}
    for _ in range(runs):
        for name, made in workers.items():
            taken[name].append(made.run(workload))
    return taken


def medians(runs: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """The median of every number that a run is measured by, all times, and the speed as a share of a matrix product's."""
    keys = [key for key, value in runs[0].items() if isinstance(value, int | float)]
    made: dict[str, Any] = {key: statistics.median(run[key] for run in runs) for key in keys}
    made["runs"] = [run["seconds"] for run in runs]
    if "gflop" in made:
        made["share_of_peak"] = made["gflop"] / made["cpu_seconds"] / made["peak_gflops"]
    return made


def joined(parts: Iterable[float | None], form: str = ".0f") -> str:
    """Numbers with bars between, "-" where there is none."""
    return "/".join("-" if part is None else f"{part:{form}}" for part in parts)
