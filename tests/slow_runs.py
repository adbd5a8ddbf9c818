"""`vesalius evaluate trust` as a process of its own, with the slow stand-in and few questions; and what such a run left, without times and dates."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

from tests import slow_standin
from tests.evaluate_miniature import slake

ROOT = Path(__file__).resolve().parents[1]
STUDIES = ("vqa", "image_reliance", "hallucination", "sycophancy")
_SUITE = ("study_limit=4", "replicates=20", "baselines=false", 'plain=["slake"]', f"studies={json.dumps(STUDIES)}")
_TIMED = {"created", "wall_seconds", "timing", "seconds", "command"}


class Place:
    """A folder with a data root, a package that offers the model, and runs by name.

    Args:
        folder: an empty one.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        slow_standin.install(folder / "site")
        slake(folder / "root")

    def begin(self, name: str, *words: object, pause: float = 0.0, **env: str) -> subprocess.Popen[str]:
        """Start the command on run `name`, or go on with it."""
        own = {"VESALIUS_TEST_CALLS": str(self.log(name)), "VESALIUS_TEST_PAUSE": str(pause), "OMP_NUM_THREADS": "1", **env}
        own["PYTHONPATH"] = os.pathsep.join([str(self.folder / "site"), str(ROOT), str(ROOT / "src"), os.environ.get("PYTHONPATH", "")])
        line = [sys.executable, "-m", "vesalius", "evaluate", "trust", "--model", "slow", "--data", self.folder / "root", "--out", self.folder / name]
        line += [word for setting in _SUITE for word in ("--set", setting)]
        line += ["--questioned", "2", "--reworded", "4", "--resume", *words]
        return subprocess.Popen([str(word) for word in line], env={**os.environ, **own}, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def finish(self, name: str, *words: object, timeout: float = 60, **env: str) -> tuple[int, str]:
        """Run the command to its end: exit code, and what it said on standard error."""
        process = self.begin(name, *words, **env)
        _, told = process.communicate(timeout=timeout)
        return process.returncode, told

    def log(self, name: str) -> Path:
        return self.folder / f"{name}.calls"

    def calls(self, name: str) -> list[Counter[str]]:
        """The calls that run `name` began, by all its processes."""
        return slow_standin.calls(self.log(name))

    def wait_for_calls(self, process: subprocess.Popen[str], name: str, count: int) -> None:
        """Until so many calls were begun, or the process has ended."""
        path = self.log(name)
        while process.poll() is None and (path.read_bytes().count(b"\n") if path.exists() else 0) < count:
            time.sleep(0.002)

    def records(self, name: str) -> dict[str, Any]:
        """Every file of a run: rows in their order, results, kept answers; of the page, which shows the time, its name alone."""
        found: dict[str, Any] = {}
        run = self.folder / name
        for path in sorted(run.rglob("*")):
            label = str(path.relative_to(run))
            if path.suffix == ".jsonl":
                found[label] = [_untimed(json.loads(line)) for line in path.read_text().splitlines()]
            elif path.suffix == ".json":
                found[label] = _untimed(json.loads(path.read_text()))
            elif path.suffix == ".sqlite":
                found[label] = sorted(sqlite3.connect(path).execute("select key, answer from answers"))
            elif path.is_file():
                found[label] = None
        return found

    def rows(self, name: str) -> dict[str, bytes]:
        """The bytes of every file of rows that holds no time."""
        run = self.folder / name
        return {str(path.relative_to(run)): path.read_bytes() for path in run.rglob("*.jsonl") if path.name != "readings.jsonl"}


def asks(calls: list[Counter[str]]) -> Counter[str]:
    """Questions of all calls."""
    return sum(calls, Counter())


def _untimed(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _untimed(inner) for key, inner in value.items() if key not in _TIMED}
    return [_untimed(inner) for inner in value] if isinstance(value, list) else value
