"""What all tests share: the place of the real data."""

import os
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def data_root() -> Path:
    """The data root named by VESALIUS_DATA, else the one beside the checkout; the test skips without either."""
    named = os.environ.get("VESALIUS_DATA")
    root = Path(named) if named else Path(__file__).resolve().parents[2] / "shared" / "data"
    if not root.is_dir():
        pytest.skip("needs the real data root: set VESALIUS_DATA to it")
    return root
