"""The page of results names commands that anyone can run."""

import pytest

from vesalius.evaluate.results import _anywhere


@pytest.mark.parametrize("given", ["vesalius evaluate slake --data /a/b --out r", "vesalius evaluate slake --data=/a/b --out r"])
def test_the_place_of_the_data_is_not_told(given):
    assert _anywhere(given) == "vesalius evaluate slake --data ROOT --out r"


def test_a_command_without_it_stays():
    assert _anywhere("vesalius evaluate slake --out r") == "vesalius evaluate slake --out r"
