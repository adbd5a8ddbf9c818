"""How the cores of a cluster are dealt out; the rest needs Ray (tests/flows/test_workers.py)."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vesalius.errors import UserError
from vesalius.work.cluster import cores_each


@pytest.mark.parametrize(("nodes", "count", "each"), [([16], 4, 4), ([4, 12], 2, 6), ([4, 12], 4, 4), ([4, 4], 2, 4), ([3], 2, 1), ([8, 8], 1, 8)])
def test_a_worker_has_the_most_cores_that_one_machine_gives(nodes, count, each):
    assert cores_each(nodes, count) == each


def test_more_workers_than_cores_are_refused():
    with pytest.raises(UserError, match="the cluster has 3 cores for 4 workers: give --workers 3"):
        cores_each([1, 2], 4)
    with pytest.raises(UserError, match="0 cores"):
        cores_each([], 1)


@given(st.lists(st.integers(0, 64), min_size=1, max_size=6), st.integers(1, 32))
def test_all_workers_fit_and_one_core_more_would_not(nodes, count):
    if sum(nodes) < count:
        return
    each = cores_each(nodes, count)
    assert sum(n // each for n in nodes) >= count > sum(n // (each + 1) for n in nodes)
