import numpy as np
import pytest

from vesalius.domain.study import Image, Intensity, Modality, Patient, Sex, single
from vesalius.evaluate import veil


def _study(shape=(1, 96, 128), *, colour=False, seed=0):
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[0 : shape[1], 0 : shape[2]]
    grey = 100 + 50 * np.sin(x / 20) + 20 * np.sin(y) + rng.normal(0, 3, shape[1:])
    pixels = np.clip(np.stack([grey] * shape[0]), 0, 255)
    made = np.stack([pixels] * 3, axis=-1).astype(np.uint8) if colour else pixels.astype(np.float32)
    image = Image(made, Intensity.COLOUR if colour else Intensity.RELATIVE, Modality.CR, body_part="CHEST")
    return single(image, patient=Patient(Sex.FEMALE, 40), deidentified=True)


@pytest.mark.parametrize("colour", [False, True])
@pytest.mark.parametrize("change", [veil.weak, veil.veiled])
def test_size_kind_and_patient_stay(change, colour):
    study = _study(colour=colour)
    changed = change(study)
    assert changed.image.pixels.shape == study.image.pixels.shape
    assert changed.image.pixels.dtype == study.image.pixels.dtype
    assert (changed.image.modality, changed.image.body_part, changed.patient) == (study.image.modality, "CHEST", study.patient)
    assert changed.deidentified


def test_the_same_picture_gives_the_same_pixels():
    assert np.array_equal(veil.veiled(_study()).image.pixels, veil.veiled(_study()).image.pixels)


def test_the_veil_takes_fine_structure_and_leaves_coarse():
    seen, hidden = _study().image.pixels[0], veil.veiled(_study()).image.pixels[0]
    fine = [np.abs(np.diff(p, axis=0)).mean() for p in (seen, hidden)]
    assert fine[1] < fine[0] / 3
    coarse = [p.mean(axis=0) for p in (seen, hidden)]
    assert np.corrcoef(coarse[0], coarse[1])[0, 1] > 0.95


def test_the_weak_change_keeps_what_is_there():
    seen, moved = _study().image.pixels[0], veil.weak(_study()).image.pixels[0]
    assert not np.array_equal(seen, moved)
    assert np.corrcoef(seen[:-2, :-3].ravel(), moved[2:, 3:].ravel())[0, 1] > 0.99


@pytest.mark.parametrize("shape", [(1, 1, 1), (1, 1, 300), (2, 7, 5), (1, 24, 24)])
def test_small_odd_and_many_framed_pictures_are_changed_too(shape):
    for change in veil.CHANGES.values():
        made = change(_study(shape)).image.pixels
        assert made.shape == shape
        assert np.isfinite(made).all()


def test_a_flat_picture_stays_flat():
    flat = single(Image(np.full((1, 30, 30), 7, np.float32), Intensity.RELATIVE, Modality.CR))
    assert np.all(veil.veiled(flat).image.pixels == 7)
