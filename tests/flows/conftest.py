"""What the flows share: real DICOM, an outsider's model found through its entry point, and a command line to type at."""

import dataclasses
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from pydicom.data import get_testdata_file

from vesalius.cli import main

ROOT = Path(__file__).resolve().parents[2]


@dataclasses.dataclass(frozen=True)
class Said:
    """What a command left behind."""

    code: int
    out: str
    err: str

    @property
    def json(self):
        return json.loads(self.out)


@pytest.fixture(scope="session")
def outsider(tmp_path_factory):
    """A folder with an installed package that offers models of its own."""
    site = tmp_path_factory.mktemp("site")
    info = site / "vesalius_standin-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: vesalius-standin\nVersion: 1.0\n")
    names = "standin = tests.standin:load\nblind = tests.standin:load_blind\nbroken = tests.standin:load_broken\nstopped = tests.standin:load_stopped\n"
    (info / "entry_points.txt").write_text(f"[vesalius.models]\n{names}")
    return site


@pytest.fixture
def vesalius(outsider, monkeypatch, capsys):
    """Type a command; run in this process."""
    monkeypatch.syspath_prepend(str(outsider))

    def run(*words):
        capsys.readouterr()
        code = main([str(w) for w in words])
        captured = capsys.readouterr()
        return Said(code, captured.out, captured.err)

    return run


@pytest.fixture
def typed(outsider):
    """Type a command; run in a process of its own."""

    def run(*words, **how):
        env = {**os.environ, "PYTHONPATH": os.pathsep.join([str(outsider), str(ROOT), str(ROOT / "src")])}
        done = subprocess.run([sys.executable, "-m", "vesalius", *map(str, words)], capture_output=True, text=True, env=env, check=False, timeout=300, **how)
        return Said(done.returncode, done.stdout, done.stderr)

    return run


@pytest.fixture(scope="session")
def dicom():
    """One of pydicom's own files, by name."""
    return lambda name: Path(get_testdata_file(name, download=False))
