"""Recommendations name models that there are, and say so where one is known from the literature alone."""

import pytest

from vesalius.errors import UnknownName
from vesalius.models.cards import MODELS
from vesalius.models.recommend import TASKS, picks

ELSEWHERE = {"visual-med-alpaca-7b"}


@pytest.mark.parametrize("task", sorted(TASKS))
def test_every_pick_is_listed_or_known_to_be_elsewhere(task):
    assert picks(task)
    for pick in picks(task):
        assert pick.model in MODELS or pick.model in ELSEWHERE
        assert len(pick.why) > 20


def test_a_misspelt_task_is_answered_with_the_nearest():
    with pytest.raises(UnknownName, match="did you mean 'pathology'"):
        picks("patology")
