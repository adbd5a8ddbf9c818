"""How long the light commands take to answer: wall and processor seconds, medians of several runs in fresh processes.

    python benchmarks/startup.py [RUNS]

Targets: `vesalius --help` below 0.3 s, `vesalius models` below 0.4 s, on an idle machine. Processor seconds tell when other work has stretched the wall.
"""

from __future__ import annotations

import os
import resource
import statistics
import subprocess
import sys
import time

COMMANDS = {"import vesalius": None, "vesalius --help": 0.3, "vesalius models": 0.4, "vesalius data": 0.4, "vesalius ask (no such file)": None}
WORDS = {
    "import vesalius": ["-c", "import vesalius"],
    "vesalius --help": ["-m", "vesalius", "--help"],
    "vesalius models": ["-m", "vesalius", "models"],
    "vesalius data": ["-m", "vesalius", "data"],
    "vesalius ask (no such file)": ["-m", "vesalius", "ask", "nothing.dcm", "Is it?"],
}


def once(words: list[str]) -> tuple[float, float]:
    before, started = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    subprocess.run([sys.executable, *words], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False)
    wall, after = time.perf_counter() - started, resource.getrusage(resource.RUSAGE_CHILDREN)
    return wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def main(runs: int) -> None:
    print(f"{'command':<30}{'wall s':>9}{'cpu s':>9}{'target':>9}   median of {runs}, load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")
    for name, target in COMMANDS.items():
        once(WORDS[name])  # the first run pays for the disk
        walls, cpus = zip(*(once(WORDS[name]) for _ in range(runs)), strict=True)
        wanted = "" if target is None else f"{target:.1f}"
        print(f"{name:<30}{statistics.median(walls):>9.3f}{statistics.median(cpus):>9.3f}{wanted:>9}")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 9)
