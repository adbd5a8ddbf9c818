"""Faults of pictures: they grow with severity, are the same for the same seed, keep shape and type, and are what their formulas say."""

import dataclasses
import itertools

import numpy as np
import pytest

from vesalius.data import corruptions
from vesalius.data.corruptions import CORRUPTIONS, corrupt, film
from vesalius.data.corruptions.display import display_of, on_display
from vesalius.data.phantoms import phantom
from vesalius.domain.study import Image, Intensity, LookupTable, Modality, Patient, Window, single
from vesalius.errors import InvalidValue, UnknownName
from vesalius.formats.pixels import render

PICTURES = {
    "film": phantom("CR", "CHEST", 1),
    "head": phantom("CT", "HEAD", 1),
    "brain": phantom("MR", "HEAD", 1),
    "inverted film": dataclasses.replace(phantom("DX", "CHEST", 2), inverted=True),
    "no window": dataclasses.replace(phantom("CR", "CHEST", 3), voi=()),
    "windowed CT": dataclasses.replace(phantom("CT", "ABDOMEN", 1), intensity=Intensity.RELATIVE),
}
CASES = [(which, name) for which, image in PICTURES.items() for name in corruptions.fitting(image.modality)]


def shown(image, clean=None):
    """What an eye sees; the clean picture under percentiles is shown as the changed one is."""
    voi = clean.voi[0] if clean is not None and not image.voi else 0
    return render(image, voi=voi).astype(float)


def effect(image, name, severity, seed=3):
    changed = corrupt(image, name, severity, seed)
    return float(np.abs(shown(changed) - shown(image, changed)).mean())


def flat(value, size=(64, 64), modality=Modality.CR, **more):
    window = Window(127.5, 255.0, "LINEAR_EXACT")
    return Image(np.full((1, *size), value, np.float32), Intensity.RELATIVE, modality, voi=(window,), **more)


@pytest.mark.parametrize(("which", "name"), CASES)
def test_the_effect_grows_with_severity(which, name):
    grown = [effect(PICTURES[which], name, severity) for severity in CORRUPTIONS[name].severities]
    assert grown[0] > 0
    assert all(a < b for a, b in itertools.pairwise(grown)), grown


@pytest.mark.parametrize(("which", "name"), CASES)
def test_shape_and_type_stay_and_the_seed_decides(which, name):
    image, severity = PICTURES[which], CORRUPTIONS[name].severities[-1]
    first, again = corrupt(image, name, severity, 5), corrupt(image, name, severity, 5)
    assert first.pixels.shape == image.pixels.shape
    assert first.pixels.dtype == image.pixels.dtype
    assert np.isfinite(first.pixels).all()
    assert np.array_equal(first.pixels, again.pixels)
    assert first.voi == again.voi


@pytest.mark.parametrize("name", ["quantum_noise", "stripes", "collimation", "crop"])
def test_another_seed_is_another_fault(name):
    image = PICTURES["film"]
    assert not np.array_equal(corrupt(image, name, 5, 1).pixels, corrupt(image, name, 5, 2).pixels)


@pytest.mark.parametrize("name", corruptions.fitting(Modality.OT))
def test_colour_stays_colour(name):
    pixels = np.random.default_rng(0).integers(0, 256, (2, 40, 50, 3), dtype=np.uint8)
    image = Image(pixels, Intensity.COLOUR, Modality.XC)
    changed = corrupt(image, name, 5)
    assert changed.pixels.shape == pixels.shape
    assert changed.pixels.dtype == np.uint8
    assert not np.array_equal(changed.pixels, pixels)


def test_four_times_the_signal_darkens_by_its_logarithm():
    brighter = corrupt(flat(127.5), "overexposure", 5)
    assert brighter.pixels[0, 0, 0] == pytest.approx(127.5 - 255 * np.log(4) / np.log(100), rel=1e-5)
    assert corrupt(flat(127.5), "underexposure", 5).pixels[0, 0, 0] == pytest.approx(127.5 + 255 * np.log(4) / np.log(100), rel=1e-5)


def test_what_is_beyond_the_detector_is_black():
    assert corrupt(flat(10.0), "overexposure", 5).pixels.max() == 0


def test_quantum_noise_has_the_spread_of_counted_photons():
    dose = CORRUPTIONS["quantum_noise"].level(1)
    noisy = corrupt(flat(127.5, (256, 256)), "quantum_noise", 1).pixels / 255
    photons = film.PHOTONS * dose
    expected = np.sqrt(photons + film.ELECTRONIC**2) / photons / film.LATITUDE
    assert noisy.std() == pytest.approx(expected, rel=0.02)


def test_dense_parts_are_noisier():
    bright, dark = (corrupt(flat(value, (128, 128)), "quantum_noise", 3).pixels.std() for value in (230.0, 25.0))
    assert bright > 3 * dark


def test_ct_noise_has_the_stated_spread_in_hounsfield_units():
    image = dataclasses.replace(flat(40.0, (128, 128), Modality.CT), intensity=Intensity.HOUNSFIELD)
    noisy = corrupt(image, "ct_noise", 2)
    assert (noisy.pixels - 40).std() == pytest.approx(CORRUPTIONS["ct_noise"].level(2), rel=0.03)


def test_noise_of_a_windowed_ct_is_scaled_by_the_window_of_its_body_part():
    head, body = (flat(100.0, (128, 128), Modality.CT, body_part=part) for part in ("HEAD", "ABDOMEN"))
    spreads = [(corrupt(image, "ct_noise", 1, 4).pixels - 100).std() for image in (head, body)]
    assert spreads[0] == pytest.approx(5 * spreads[1], rel=1e-4)


def test_a_window_error_leaves_hounsfield_units_alone():
    image = PICTURES["head"]
    changed = corrupt(image, "window_level", 3)
    assert np.array_equal(changed.pixels, image.pixels)
    assert abs(changed.voi[0].center - image.voi[0].center) == pytest.approx(0.3 * image.voi[0].width)
    assert changed.voi[0].width == image.voi[0].width


def test_a_wide_window_is_wide_by_its_factor():
    ratio = corrupt(PICTURES["head"], "window_width", 4).voi[0].width / PICTURES["head"].voi[0].width
    assert ratio == pytest.approx(2.5) or ratio == pytest.approx(0.4)


def test_ghosts_lie_a_quarter_of_the_field_away():
    point = np.zeros((1, 64, 64), np.float32)
    point[0, 32, 32] = 255
    image = dataclasses.replace(flat(0.0, modality=Modality.MR), pixels=point)
    ghosted = corrupt(image, "ghosting", 3, 0).pixels[0]
    line = ghosted[:, 32] if ghosted[16, 32] > 1 else ghosted[32]
    strength = CORRUPTIONS["ghosting"].level(3)
    assert line[[16, 32, 48]] == pytest.approx([strength * 255, 255, strength * 255], rel=1e-4)
    assert ghosted.sum() == pytest.approx(255 * (1 + 2 * strength), rel=1e-3)


def test_a_bias_field_deviates_by_its_amplitude():
    biased = corrupt(flat(100.0, modality=Modality.MR), "bias_field", 3).pixels / 100
    assert np.abs(biased - 1).max() == pytest.approx(CORRUPTIONS["bias_field"].level(3), rel=1e-4)


def test_rician_noise_of_nothing_is_rayleigh():
    noisy = corrupt(flat(0.0, (256, 256), Modality.MR), "rician_noise", 3).pixels / 255
    assert noisy.mean() == pytest.approx(0.08 * np.sqrt(np.pi / 2), rel=0.02)


def test_blur_is_in_millimetres_where_spacing_is_known():
    point = np.zeros((1, 101, 101), np.float32)
    point[0, 50, 50] = 1
    image = dataclasses.replace(flat(0.0), pixels=point, spacing=(0.5, 1.0))
    spread = corrupt(image, "blur", 5).pixels[0]
    y, x = np.mgrid[-50:51, -50:51]
    assert spread.sum() == pytest.approx(1, rel=1e-3)
    assert np.sqrt((spread * y**2).sum()) == pytest.approx(8, rel=0.01)  # 4 mm
    assert np.sqrt((spread * x**2).sum()) == pytest.approx(4, rel=0.01)


def test_inversion_exchanges_black_and_white():
    for image in (PICTURES["film"], PICTURES["inverted film"]):
        both = shown(image) + shown(corrupt(image, "inversion", 5))
        assert both == pytest.approx(np.full(both.shape, 255.0), abs=1)


def test_what_moves_the_picture_says_so_and_drops_what_no_longer_holds():
    image = dataclasses.replace(PICTURES["head"], orientation=(1, 0, 0, 0, 1, 0), position=(0, 0, 0), spacing=(1.0, 1.0), uid="1.2")
    for name in ("rotation", "crop"):
        changed = corrupt(image, name, 3)
        assert CORRUPTIONS[name].geometry
        assert (changed.orientation, changed.position, changed.uid) == (None, None, None)
    assert corrupt(image, "crop", 3).spacing == pytest.approx((0.8, 0.8))
    assert corrupt(image, "blur", 3).orientation == image.orientation


def test_padding_of_the_header_stays():
    pixels = PICTURES["head"].pixels.copy()
    pixels[0, :9] = -2000
    changed = corrupt(dataclasses.replace(PICTURES["head"], pixels=pixels, pad=-2000.0), "ct_noise", 5)
    assert (changed.pixels[0, :9] == -2000).all()
    assert (changed.pixels[0, 9:] != pixels[0, 9:]).all()


def test_the_window_of_percentiles_travels_with_the_change():
    image = PICTURES["no window"]
    changed = corrupt(image, "underexposure", 4)
    assert len(changed.voi) == 1
    assert shown(changed).mean() > render(image).mean() + 20  # else a viewer would take the fault back


@pytest.mark.parametrize(
    "voi",
    [(Window(50, 100),), (Window(50, 100, "LINEAR_EXACT"),), (Window(50, 100, "SIGMOID"),), (LookupTable(0, np.arange(256, dtype=np.uint16), 8),), ()],
)
@pytest.mark.parametrize("inverted", [False, True])
def test_nothing_done_on_the_display_is_nothing_done(voi, inverted):
    pixels = np.random.default_rng(1).uniform(0, 255, (1, 9, 9)).astype(np.float32)
    image = Image(pixels, Intensity.RELATIVE, Modality.CR, voi=voi, inverted=inverted)
    assert on_display(image, lambda values: values).pixels == pytest.approx(pixels, abs=1e-3)
    low = display_of(image).shown(np.array([pixels.min(), pixels.max()]))
    assert (low[0] > low[1]) == inverted


@pytest.mark.parametrize("intensity", [Intensity.RELATIVE, Intensity.BINARY])
def test_a_picture_of_one_value_and_a_binary_one_can_be_changed(intensity):
    image = Image(np.ones((1, 8, 8), np.float32), intensity, Modality.CR)
    for name in corruptions.fitting(Modality.CR):
        assert np.isfinite(corrupt(image, name, 5).pixels).all()


def test_a_single_pixel_can_be_changed():
    for modality in (Modality.CR, Modality.CT, Modality.MR):
        for name in corruptions.fitting(modality):
            assert corrupt(flat(7.0, (1, 1), modality), name, 5).pixels.shape == (1, 1, 1)


def test_a_study_keeps_its_patient():
    study = single(PICTURES["film"], patient=Patient(age_years=50), deidentified=True)
    changed = corruptions.corrupt_study(study, "jpeg", 5, 1)
    assert changed.patient == study.patient
    assert changed.deidentified
    assert changed.image.lossy


def test_every_description_is_its_own():
    names = [corruptions.described(name, s, seed) for name, each in CORRUPTIONS.items() for s in each.severities for seed in (0, 1)]
    assert len(set(names)) == len(names)


def test_bad_input_is_refused():
    with pytest.raises(UnknownName, match="blur"):
        corrupt(PICTURES["film"], "blurr", 1)
    with pytest.raises(InvalidValue, match="no severity 6"):
        corrupt(PICTURES["film"], "blur", 6)
    with pytest.raises(InvalidValue, match="no severity 1"):
        corrupt(PICTURES["film"], "inversion", 1)
    with pytest.raises(InvalidValue, match="makes no sense"):
        corrupt(PICTURES["film"], "ghosting", 1)
    with pytest.raises(InvalidValue, match="negative"):
        corrupt(PICTURES["film"], "blur", 1, -1)
