"""How long a person waits for an answer: the whole cold command, and warm questions through the Python interface, by step.

    python benchmarks/answer_latency.py [--model pocket] [--runs 5]

Targets on two cores: cold `vesalius ask` within 8 s; warm, a bare answer within 2 s and a questioned one (8 rewordings, 8 samples, 2 controls) within 6 s.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import time
from collections import defaultdict

from pydicom.data import get_testdata_file

from vesalius.domain.exchange import Question
from vesalius.formats import read
from vesalius.reader import open_reader

FILE, QUESTION = "examples_overlay.dcm", "Is there a lesion in the liver?"


def cold(model: str) -> float:
    started = time.perf_counter()
    words = [sys.executable, "-m", "vesalius", "ask", str(get_testdata_file(FILE, download=False)), QUESTION, "--model", model, "--quiet"]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    if done.returncode not in (0, 3):
        sys.exit(done.stderr)
    return time.perf_counter() - started


def warm(model: str, runs: int) -> dict[str, float]:
    study = read(get_testdata_file(FILE, download=False))
    reader = open_reader(model)
    reader.ask(study, QUESTION)
    seconds: dict[str, list[float]] = defaultdict(list)
    for _ in range(runs):
        started = time.perf_counter()
        reader.model.answer(reader.model.encode(study), [Question(QUESTION)])
        seconds["bare answer"].append(time.perf_counter() - started)
        started = time.perf_counter()
        reading = reader.ask(study, QUESTION)
        seconds["questioned answer"].append(time.perf_counter() - started)
        for step, value in reading.timing.items():
            if step != "total":
                seconds[f"  {step}"].append(value)
    return {name: statistics.median(values) for name, values in seconds.items()}


def main() -> None:
    words = argparse.ArgumentParser(description=__doc__)
    words.add_argument("--model", default="pocket")
    words.add_argument("--runs", type=int, default=5)
    given = words.parse_args()
    print(f"{given.model}, medians of {given.runs}, load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")
    print(f"{'cold vesalius ask':<24}{statistics.median(cold(given.model) for _ in range(given.runs)):>8.2f} s   target 8")
    targets = {"bare answer": "   target 2", "questioned answer": "   target 6"}
    for name, value in warm(given.model, given.runs).items():
        print(f"{name:<24}{value:>8.2f} s{targets.get(name, '')}")


if __name__ == "__main__":
    main()
