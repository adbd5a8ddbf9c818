import numpy as np
import pytest

from vesalius.errors import InvalidValue
from vesalius.safety.quality import image_quality


def test_facts_by_hand():
    picture = np.zeros((10, 20), np.uint8)
    picture[:, 10:] = 255
    q = image_quality(picture)
    assert (q.rows, q.cols, q.side, q.levels) == (10, 20, 10, 2)
    assert (q.clipped_low, q.clipped_high, q.mean, q.contrast) == (0.5, 0.5, 127.5, 255)
    assert q.smoothness > 0.8
    assert q.coloured == 0


def test_noise_is_rough_and_a_constant_has_no_smoothness():
    noise = np.random.default_rng(0).integers(0, 256, (100, 100), dtype=np.uint8)
    assert abs(image_quality(noise).smoothness) < 0.1
    assert image_quality(np.full((5, 5), 7, np.uint8)).smoothness is None
    assert image_quality(np.full((1, 1), 7, np.uint8)).smoothness is None


def test_percentiles_follow_numpy():
    picture = np.random.default_rng(1).normal(120, 30, (200, 200)).clip(0, 255).astype(np.uint8)
    q = image_quality(picture)
    assert (q.dark_end, q.bright_end) == tuple(np.percentile(picture, [1, 99], method="inverted_cdf"))


def test_colour():
    grey = np.repeat(np.arange(100, dtype=np.uint8).reshape(10, 10, 1), 3, axis=2)
    assert image_quality(grey).coloured == 0
    assert image_quality(grey).mean == pytest.approx(image_quality(grey[..., 0]).mean, abs=0.01)
    red = grey.copy()
    red[:5, :, 0] = 255
    assert image_quality(red).coloured == 0.5


@pytest.mark.parametrize("picture", [np.zeros((4, 4)), np.zeros((0, 4), np.uint8), np.zeros((4, 4, 4), np.uint8), np.zeros(4, np.uint8)])
def test_bad_pictures_are_refused(picture):
    with pytest.raises(InvalidValue, match="rendered picture"):
        image_quality(picture)
