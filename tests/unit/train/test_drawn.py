"""Pictures drawn for the router of image types."""

import numpy as np
import pytest

from vesalius.train import drawn
from vesalius.train.router import HELD_PLOTS, PLOTS


@pytest.mark.parametrize("draw", [drawn.sector, drawn.tissue, drawn.scene, drawn.nothing])
def test_drawings_are_pictures_and_repeat(draw):
    first, second = draw(np.random.default_rng(5)), draw(np.random.default_rng(5))
    assert first.dtype == np.uint8
    assert np.array_equal(first, second)


@pytest.mark.parametrize("name", [*PLOTS, *HELD_PLOTS])
def test_every_kind_of_plot_is_drawn(name):
    made = drawn.figure(name, np.random.default_rng(1))
    assert made.shape[2] == 3
    assert 0.02 < (made < 200).mean() < 0.98
