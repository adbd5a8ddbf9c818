"""Copies of a model are counted before they are loaded."""

import pytest

from vesalius.errors import WeightsError
from vesalius.evaluate.room import require_room
from vesalius.models import memory


def test_more_copies_than_memory_holds_are_refused_with_the_number_that_fits(monkeypatch):
    monkeypatch.setattr(memory, "available", lambda: 40_000_000_000)
    with pytest.raises(WeightsError, match=r"3 workers with llava-med-1\.5-7b:somewhere take .* and 40\.0 GB are free: give --workers 2"):
        require_room("llava-med-1.5-7b:somewhere", 3, "cpu", "bfloat16")
    require_room("llava-med-1.5-7b", 2, "cpu", "bfloat16")
    require_room("a model of another package", 100, "cpu", "auto")
    monkeypatch.setattr(memory, "available", lambda: None)
    require_room("llava-med-1.5-7b", 100, "cpu", "bfloat16")
