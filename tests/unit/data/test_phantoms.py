import dataclasses

import numpy as np
import pytest

from vesalius.data.phantoms import FileBank, PhantomBank, blank_like, other_patient, phantom, region_of
from vesalius.domain.study import Image, Intensity, Modality, Overlay
from vesalius.errors import InvalidValue

KINDS = [("CR", "CHEST"), ("DX", "CHEST"), ("CT", "HEAD"), ("CT", "ABDOMEN"), ("MR", "HEAD"), ("MR", "ABDOMEN"), ("US", None), ("US", "LIVER"), ("OT", "FOOT")]


@pytest.mark.parametrize(("modality", "part"), KINDS)
def test_same_seed_same_patient_other_seed_another(modality, part):
    first, again, other = phantom(modality, part, 3), phantom(modality, part, 3), phantom(modality, part, 4)
    assert np.array_equal(first.pixels, again.pixels)
    assert not np.array_equal(first.pixels, other.pixels)
    assert first.pixels.shape == (1, 256, 256)
    assert np.isfinite(first.pixels).all()
    # the same anatomy: two patients look more alike than noise would
    assert np.corrcoef(first.pixels.ravel(), other.pixels.ravel())[0, 1] > 0.5


def test_ct_phantoms_hold_hounsfield_units():
    head = phantom("CT", "HEAD").pixels[0]
    assert head[0, 0] < -950  # air
    assert 20 < np.median(head[110:150, 110:150]) < 45  # brain
    assert head.max() > 800  # bone
    liver = phantom("CT", "ABDOMEN").pixels[0][110:140, 70:90]
    assert 90 < np.median(liver) < 120


def test_the_heart_lies_to_the_patients_left():
    film = phantom("CR", "CHEST").pixels[0]
    row = film[150:170]
    assert row[:, 145:170].mean() > row[:, 86:111].mean() + 30


def test_a_drawing_that_is_generic_claims_no_hounsfield_units():
    assert phantom("CT", "FOOT").intensity is Intensity.RELATIVE
    assert phantom("CT", None).intensity is Intensity.RELATIVE


@pytest.mark.parametrize(("modality", "seed", "match"), [("XX", 0, "not a DICOM modality"), ("CT", -1, "seed")])
def test_phantom_refuses(modality, seed, match):
    with pytest.raises(InvalidValue, match=match):
        phantom(modality, "HEAD", seed)


def test_regions():
    assert [region_of(x) for x in ("Brain", "LUNG", "liver", "knee", " ", None)] == ["HEAD", "CHEST", "ABDOMEN", "KNEE", None, None]


def test_blank_keeps_size_mean_and_facts_but_no_content():
    overlay = Overlay(np.ones((256, 256), bool))
    image = dataclasses.replace(phantom("CT", "HEAD"), overlays=(overlay,), pad=-2000.0, uid="1.2")
    blank = blank_like(image)
    assert blank.pixels.shape == image.pixels.shape
    assert blank.pixels.dtype == np.float32
    assert np.ptp(blank.pixels) == 0
    assert blank.pixels.flat[0] == pytest.approx(image.pixels.mean(), rel=1e-4)
    assert (blank.overlays, blank.pad, blank.uid) == ((), None, None)
    assert (blank.voi, blank.modality, blank.body_part, blank.inverted) == (image.voi, image.modality, image.body_part, image.inverted)


def test_blank_of_colour_has_the_mean_colour():
    pixels = np.zeros((2, 4, 4, 3), np.uint8)
    pixels[..., 0], pixels[0, ..., 2] = 200, 100
    blank = blank_like(Image(pixels, Intensity.COLOUR, Modality.US))
    assert (blank.pixels == np.array([200, 0, 50], np.uint8)).all()


def test_other_patient_is_of_the_same_kind_and_never_the_same():
    mine = phantom("MR", "BRAIN", 0)
    for seed in range(8):
        other = other_patient(mine, PhantomBank(2), seed)
        assert (other.modality, region_of(other.body_part)) == (Modality.MR, "HEAD")
    own = phantom("MR", "HEAD", 1)
    assert all(not np.array_equal(other_patient(own, PhantomBank(2), s).pixels, own.pixels) for s in range(8))
    assert np.array_equal(other_patient(own, PhantomBank(4), 5).pixels, other_patient(own, PhantomBank(4), 5).pixels)


def test_other_patient_is_none_rather_than_of_another_kind():
    assert other_patient(phantom("MR", "KNEE"), PhantomBank()) is None
    assert other_patient(phantom("MR", None), PhantomBank()) is None
    only = phantom("CT", "HEAD", 0)
    assert other_patient(only, PhantomBank(1)) is None


def test_a_bank_must_hold_something():
    with pytest.raises(InvalidValue, match="at least one"):
        PhantomBank(0)


def test_file_bank_matches_region_and_radiographs_of_both_kinds(tmp_path):
    images = {"a.jpg": (Modality.CR, "CHEST"), "b.jpg": (Modality.DX, "LUNG"), "c.jpg": (Modality.CT, "CHEST")}
    bank = FileBank(tmp_path, images, lambda path, kind, part: dataclasses.replace(phantom(kind, part, 9), source=path.name))
    assert bank.candidates(Modality.CR, "CHEST") == ("a.jpg", "b.jpg")
    assert other_patient(phantom("CT", "CHEST", 0), bank).source == "c.jpg"
    assert other_patient(phantom("CT", "HEAD", 0), bank) is None
