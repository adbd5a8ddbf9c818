"""Memory: what a model takes, and a refusal in words before it is exhausted."""

import pytest

from vesalius.errors import WeightsError
from vesalius.models import memory


def test_a_model_takes_its_weights_and_a_little_more():
    assert memory.needed(1_000_000_000, "float32") == int(4e9 * memory.OVERHEAD)
    assert memory.needed(1_000_000_000, "int4") * 8 == pytest.approx(memory.needed(1_000_000_000, "float32"), abs=8)


def test_this_machine_says_what_it_has():
    room = memory.available()
    assert room is not None
    assert 1e8 < room < 1e14


def test_what_does_not_fit_is_refused_with_what_would():
    memory.require("m", 10**9, "float32", 5 * 10**9)
    memory.require("m", 10**9, "float32", None)
    with pytest.raises(WeightsError, match=r"m takes 4\.6 GB as float32 and 3\.0 GB are free") as caught:
        memory.require("m", 10**9, "float32", 3 * 10**9)
    assert "precision bfloat16, which" in str(caught.value)
    with pytest.raises(WeightsError, match="more memory"):
        memory.require("m", 10**9, "float32", 10**9)


def test_what_stays_wide_is_counted_when_the_rest_is_packed():
    assert memory.needed(10**9, "int8", wide=10**8) == int((9e8 + 4e8) * memory.OVERHEAD)
    assert memory.needed(10**9, "bfloat16", wide=10**8) == memory.needed(10**9, "bfloat16")
    memory.require("m", 10**9, "int8", 1_500_000_000, wide=10**8)
    with pytest.raises(WeightsError, match="m takes 1\\.8 GB as int8 and 1\\.5 GB are free"):
        memory.require("m", 10**9, "int8", 1_500_000_000, wide=2 * 10**8)
    with pytest.raises(WeightsError, match="with precision int8, which fits"):
        memory.require("m", 10**9, "float32", 1_500_000_000, wide=10**8, held=("float32", "bfloat16", "int8"))
