"""What all tests share: the place of the real data."""

import os
from pathlib import Path

import pytest

if "PYTEST_XDIST_WORKER" in os.environ:
    # a worker for each core is there already: more threads than cores wait for one another, up to thirty times as long
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ.setdefault(name, "1")


@pytest.fixture(scope="session")
def data_root() -> Path:
    """The data root named by VESALIUS_DATA, else the one beside the checkout; the test skips without either."""
    named = os.environ.get("VESALIUS_DATA")
    root = Path(named) if named else Path(__file__).resolve().parents[2] / "shared" / "data"
    if not root.is_dir():
        pytest.skip("needs the real data root: set VESALIUS_DATA to it")
    return root
