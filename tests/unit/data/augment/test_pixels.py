"""Changes of values: in the unit that is stated, with the spread that the physics has."""

import dataclasses

import numpy as np
import pytest
from scipy import stats

from vesalius.data.augment import Lost, MedicalAugmentation, Sample, Use
from vesalius.data.augment.pixels import done_for, window
from vesalius.data.corruptions import film
from vesalius.data.phantoms import phantom
from vesalius.domain.study import Image, Intensity, LookupTable, Modality, Window
from vesalius.formats.pixels import render

GREY = Window(127.5, 255.0, "LINEAR_EXACT")


def flat(value, side=64, modality=Modality.CR, **more):
    facts = {"intensity": Intensity.RELATIVE, "voi": (GREY,)} | more
    return Image(np.full((1, side, side), value, np.float32), modality=modality, **facts)


def at(image, name, value, unit=None, seed=0):
    policy = MedicalAugmentation((Use(name, 1.0, value, value, unit),), lost=Lost.DROP, seen=0.0)
    return policy.apply(Sample(image), item="flat", epoch=0, seed=seed).image


def interval(sample, level=0.999):
    """Of the variance that independent normal values were drawn with."""
    n = sample.size - 1
    low, high = stats.chi2.ppf([(1 - level) / 2, (1 + level) / 2], n)
    return sample.var(ddof=1) * n / high, sample.var(ddof=1) * n / low


@pytest.mark.parametrize("photons", [250, 1000, 4000])
def test_the_variance_of_quantum_noise_is_that_of_counted_photons(photons):
    shown = at(flat(127.5, 200), "quantum_noise", photons).pixels.astype(float) / 255
    low, high = interval(shown)
    # delta method to second order for the logarithm of a Poisson count with the electronics' noise
    relative = (photons + film.ELECTRONIC**2) / photons**2
    assert low * 0.98 <= relative / film.LATITUDE**2 * (1 + 1.5 * relative) <= high * 1.02


def test_the_variance_of_ct_noise_is_in_hounsfield_units():
    image = flat(40.0, 256, Modality.CT, intensity=Intensity.HOUNSFIELD, voi=(Window(40, 400),))
    noise = at(image, "ct_noise", 12).pixels - 40
    assert noise.std() == pytest.approx(12, rel=0.03)


def test_the_variance_of_mr_noise_is_rician():
    bright = at(flat(200.0, 200, Modality.MR), "rician_noise", 0.04).pixels.astype(float) / 255
    low, high = interval(bright)
    assert low <= stats.rice(200 / 255 / 0.04, scale=0.04).var() <= high


def test_one_ev_doubles_the_signal_of_a_film():
    assert at(flat(127.5), "exposure", 1.0).pixels[0, 0, 0] == pytest.approx(127.5 - 255 * np.log(2) / film.LATITUDE, rel=1e-5)


def test_ev_of_a_photograph_is_linear_light():
    photo = Image(np.full((1, 8, 8, 3), 100, np.uint8), Intensity.COLOUR, Modality.XC)
    linear = ((100 / 255 + 0.055) / 1.055) ** 2.4 * 2**0.5
    assert at(photo, "exposure", 0.5).pixels[0, 0, 0, 0] == pytest.approx(255 * (1.055 * linear ** (1 / 2.4) - 0.055), abs=0.6)


def test_a_bias_field_stays_within_its_deviation():
    biased = at(flat(100.0, modality=Modality.MR), "bias_field", 0.2).pixels / 100
    assert np.abs(biased - 1).max() == pytest.approx(0.2, rel=1e-4)


def test_blur_is_in_millimetres_else_in_pixels():
    point = np.zeros((1, 61, 61), np.float32)
    point[0, 30, 30] = 100
    y = np.arange(61)[:, None] - 30
    for spacing, unit, value, expected in (((0.2, 0.4), "mm", 0.3, 1.5), (None, "pixels", 1.0, 1.0)):
        image = dataclasses.replace(flat(0.0), pixels=point, spacing=spacing)
        spread = at(image, "blur", value, unit).pixels[0]
        assert np.sqrt((spread * y**2).sum() / spread.sum()) == pytest.approx(expected, rel=0.01)


def test_an_absurd_spacing_costs_no_minutes():
    image = flat(1.0, spacing=(1e-5, 1e-5))
    assert done_for("blur", image, 0.3, "mm") == pytest.approx(4e-5)


def test_what_nobody_would_see_is_not_done():
    assert done_for("blur", flat(1.0, spacing=(50.0, 50.0)), 0.3, "mm") is None
    assert done_for("quantum_noise", flat(1.0), 1e200, "photons") is None
    assert done_for("compression", flat(1.0), 97.0, "JPEG quality") is None
    policy = MedicalAugmentation((Use("quantum_noise", 1.0), Use("blur", 1.0)), strength=1e-210)
    assert policy.apply(Sample(flat(1.0)), item="x", epoch=0, seed=0).record.done == ()


def test_a_photograph_with_spacing_is_blurred_in_pixels():
    pixels = np.zeros((1, 31, 31, 3), np.uint8)
    pixels[0, 15, 15] = 255
    image = Image(pixels, Intensity.COLOUR, Modality.XC, spacing=(0.01, 0.01))
    made = at(image, "blur", 1.0, "pixels")
    assert made.spacing == (0.01, 0.01)
    assert made.pixels[0, 15, 16, 0] == pytest.approx(255 * np.exp(-0.5) / (2 * np.pi), abs=1)


@pytest.mark.parametrize("voi", [(GREY,), (), (Window(100, 50, "SIGMOID"),)])
def test_a_window_is_changed_in_the_header_and_pixels_stay(voi):
    image = dataclasses.replace(phantom("CR", "CHEST", 0), voi=voi)
    made = window(image, 0.1, 1.25)
    assert made.pixels is image.pixels
    assert len(made.voi) == 1
    first = voi[0] if voi else None
    if first:
        assert (made.voi[0].center, made.voi[0].width) == pytest.approx((first.center + 0.1 * first.width, first.width * 1.25))
    assert render(made).mean() < render(image).mean()


@pytest.mark.parametrize("inverted", [False, True])
def test_a_table_has_no_window_so_its_values_change_alike(inverted):
    table = LookupTable(0, np.arange(256, dtype=np.uint16), 8)
    image = flat(100.0, inverted=inverted, voi=(table,))
    plain = flat(100.0, inverted=inverted)
    assert render(window(image, 0.1, 1.2)).mean() == pytest.approx(render(window(plain, 0.1, 1.2)).mean(), abs=1.5)


def test_hounsfield_units_under_a_table_keep_their_values():
    table = LookupTable(-100, np.arange(300, dtype=np.uint16), 9)
    image = flat(40.0, modality=Modality.CT, intensity=Intensity.HOUNSFIELD, voi=(table,))
    made = window(image, 0.1, 1.0)
    assert made.pixels is image.pixels
    assert isinstance(made.voi[0], Window)


def test_compression_marks_the_image_as_lossy():
    made = at(phantom("CR", "CHEST", 0), "compression", 50)
    assert made.lossy
    assert not np.array_equal(made.pixels, phantom("CR", "CHEST", 0).pixels)
