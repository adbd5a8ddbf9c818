"""Recommendations name models that there are."""

import pytest

from vesalius.errors import UnknownName
from vesalius.models.cards import MODELS
from vesalius.models.recommend import TASKS, picks


@pytest.mark.parametrize("task", sorted(TASKS))
def test_every_pick_is_listed(task):
    assert picks(task)
    for pick in picks(task):
        assert pick.model in MODELS
        assert len(pick.why) > 20


def test_a_misspelt_task_is_answered_with_the_nearest():
    with pytest.raises(UnknownName, match="did you mean 'pathology'"):
        picks("patology")
