"""Options of a recipe are checked before anything is computed."""

import pytest

from vesalius.errors import ConfigError
from vesalius.instruct.phrasing import FAMILIES
from vesalius.train.options import ModelOptions, SourceOptions


def test_every_family_is_known_and_a_misspelt_one_is_answered_with_the_nearest():
    assert SourceOptions(families=FAMILIES).families == FAMILIES
    with pytest.raises(ConfigError, match="'negatoin'") as told:
        SourceOptions(families=("syntax", "negatoin"))
    assert "did you mean 'negation'?" in str(told.value)


def test_a_misspelt_pressure_is_answered_with_the_nearest():
    assert SourceOptions(pressures=("authority",)).pressures == ("authority",)
    with pytest.raises(ConfigError, match="no pressure is called 'autority'") as told:
        SourceOptions(pressures=("autority",))
    assert "did you mean 'authority'?" in str(told.value)


@pytest.mark.parametrize("wrong", [{"together": -1}, {"borrow": -0.5}, {"borrow": float("nan")}])
def test_shares_and_counts_below_zero_are_refused(wrong):
    with pytest.raises(ConfigError, match=next(iter(wrong))):
        ModelOptions(**wrong)
