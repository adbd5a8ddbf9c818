import numpy as np
import pytest

from tests.unit.data.validate import made
from tests.unit.data.validate.made import hits

RULES = ("quality.blank", "quality.clipped", "quality.flat", "quality.small", "quality.noise", "quality.borders")


def _bordered(share):
    pixels = np.zeros((256, 256))
    keep = int(256 * (1 - share) ** 0.5)
    pixels[:keep, :keep] = made.film(keep, keep) + 20
    return pixels


def _white(share):
    return np.where(made.film() > np.quantile(made.film(), 1 - share), 255.0, made.film())


@pytest.mark.parametrize(
    ("rule", "pixels", "severity"),
    [
        ("quality.blank", np.full((256, 256), 9.0), "error"),
        ("quality.clipped", _white(0.6), "error"),
        ("quality.clipped", _white(0.35), "warning"),
        ("quality.flat", 100 + made.film() / 20, "error"),
        ("quality.flat", 100 + made.film() / 6, "warning"),
        ("quality.small", made.film(100, 300), "warning"),
        ("quality.small", made.film(40, 300), "error"),
        ("quality.noise", np.random.default_rng(0).uniform(0, 255, (256, 256)), "warning"),
        ("quality.borders", _bordered(0.6), "warning"),
    ],
)
def test_pictures_in_which_little_is_seen(rule, pixels, severity):
    assert severity in [s for s, _ in hits(rule, image=made.image(pixels))]


@pytest.mark.parametrize("rule", RULES)
def test_a_good_film_has_no_remark(rule):
    assert hits(rule, image=made.image()) == []


@pytest.mark.parametrize("rule", RULES[1:])
def test_a_blank_picture_is_told_once(rule):
    assert hits(rule, image=made.image(np.full((256, 256), 9.0))) == []


@pytest.mark.parametrize("rule", RULES)
def test_one_pixel_is_no_exception(rule):
    hits(rule, image=made.image(np.zeros((1, 1))))
