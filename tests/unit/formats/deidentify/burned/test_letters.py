import math

import numpy as np
import pytest

from tests.unit.formats.deidentify.burned.drawn import letters as drawn
from vesalius.errors import InvalidValue
from vesalius.formats.deidentify.burned import letters


@pytest.mark.parametrize("size", [10, 16, 24, 40, 64])
def test_letters_of_any_size_are_likely(size):
    assert letters.likelihood(drawn("DOE JOHN", rows=200, cols=500, size=size)) >= letters.LIMIT


@pytest.mark.parametrize("turns", [1, 2, 3])
def test_letters_at_any_angle_are_likely(turns):
    assert letters.likelihood(np.rot90(drawn("DOE JOHN 12.03.1970"), turns)) >= letters.LIMIT


def test_dark_letters_and_faint_ones_are_likely():
    assert letters.likelihood(drawn("DOE JOHN 1970", ground=200, level=30)) >= letters.LIMIT
    assert letters.likelihood(drawn("DOE JOHN 1970", ground=60, level=76, noise=4)) >= letters.LIMIT


def test_noise_and_gradients_are_not_likely():
    rng = np.random.default_rng(0)
    noise = rng.normal(100, 8, (256, 256))
    slope = np.add.outer(np.arange(256) * 0.4, np.arange(256) * 0.3)
    for picture in (noise, slope, slope + rng.normal(0, 3, slope.shape), np.full((256, 256), 7)):
        assert letters.likelihood(np.clip(picture, 0, 255).astype(np.uint8)) < letters.LIMIT


def test_a_tall_film_seen_in_bands_gives_the_map_of_the_whole():
    film = np.tile(drawn("DOE JOHN 1970"), (19, 1))
    whole = letters._run(letters._whole_cells(film))
    assert np.abs(letters._map(film) - whole).max() < 1e-5


def test_the_map_has_a_cell_for_every_pixel():
    for factor, heat in letters.maps(np.zeros((101, 67), np.uint8)):
        assert heat.shape == tuple(math.ceil(math.ceil(side / factor) / 8) for side in (101, 67))


@pytest.mark.parametrize("shape", [(1, 1), (1, 300), (15, 15), (16, 16), (17, 33)])
def test_tiny_pictures_have_an_answer(shape):
    assert 0 <= letters.likelihood(np.zeros(shape, np.uint8)) <= 1


@pytest.mark.parametrize("wrong", [np.zeros((4, 4, 3), np.uint8), np.zeros((4, 4)), np.zeros(9, np.uint8)])
def test_other_than_grey_bytes_is_refused(wrong):
    with pytest.raises(InvalidValue, match="grey picture"):
        letters.likelihood(wrong)
