"""Shards: memory of writer and reader at one and at ten times the size, and records a second, each in a fresh process.

    [SHARD_FORM=parquet] python benchmarks/shards.py [RECORDS] [KILOBYTES]

A record is KILOBYTES of noise (as a picture that is compressed already) and a small mapping. `shuffled` reads in windows of 4,096 places.
Written beside: what the library webdataset, when it is installed, takes to read the same files in the order of writing.
"""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

WAYS = ("write", "verify", "in order", "shuffled", "half of two workers", "webdataset")


def records(count: int, size: int):
    from vesalius.data.shards import Record

    noise = os.urandom(size + 1000)
    for i in range(count):
        yield Record(f"r{i:08d}", {"number": i, "report": "No effusion."}, noise[i % 1000 : i % 1000 + size], "jpg")


def work(way: str, folder: Path, count: int, size: int) -> None:
    from vesalius.data.shards import Form, Shards, verify, write

    started = time.perf_counter()
    if way == "write":
        done = write(records(count, size), folder, shard_size=500, form=Form(os.environ.get("SHARD_FORM", "tar"))).records
    elif way == "verify":
        done = verify(folder).index.records
    elif way == "webdataset":
        import webdataset

        started = time.perf_counter()
        done = sum(1 for _ in webdataset.WebDataset(sorted(map(str, folder.glob("*.tar"))), shardshuffle=False))
    else:
        how = {"in order": {}, "shuffled": {"seed": 1}, "half of two workers": {"seed": 1, "share": (0, 2)}}[way]
        done = sum(1 for _ in Shards(folder).stream(**how))
    seconds = time.perf_counter() - started
    print(f"{done} {seconds:.3f} {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.1f}")


def main(count: int, kilobytes: int) -> None:
    print(f"{'':<22}{'records':>9}{'MB':>8}{'s':>8}{'records/s':>11}{'peak MB':>9}   load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")
    for times in (1, 10):
        with tempfile.TemporaryDirectory() as folder:
            for way in WAYS:
                words = [sys.executable, __file__, way, folder, str(count * times), str(kilobytes * 1024)]
                done = subprocess.run(words, capture_output=True, text=True, check=False)
                if done.returncode:
                    print(f"{way:<22}  not measured: {done.stderr.strip().splitlines()[-1]}")
                    continue
                read, seconds, peak = done.stdout.split()[-3:]
                print(
                    f"{way:<22}{int(read):>9}{int(read) * kilobytes / 1024:>8.0f}{float(seconds):>8.2f}{int(read) / float(seconds):>11.0f}{float(peak):>9.1f}"
                )


if __name__ == "__main__":
    if len(sys.argv) == 5:
        work(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4]))
    else:
        main(*(int(a) for a in (*sys.argv[1:], *("2000", "50")[len(sys.argv) - 1 :])))
