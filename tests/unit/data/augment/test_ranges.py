"""The table of ranges: whole, with reasons, and its neutral values change nothing."""

import dataclasses

import numpy as np
import pytest

from vesalius.data.augment.pixels import CHANGES
from vesalius.data.augment.ranges import OPERATIONS, Scale, against_meaning, kind_of
from vesalius.data.phantoms import phantom
from vesalius.domain.study import Image, Intensity, Modality

FILM = phantom("CR", "CHEST", 0)


@pytest.mark.parametrize("name", OPERATIONS)
def test_a_range_holds_its_neutral_value_or_ends_short_of_it(name):
    each = OPERATIONS[name]
    for admissible in (*each.ranges.values(), *each.bare.values()):
        assert admissible.low < admissible.high
        assert admissible.reason
        assert admissible.low <= each.neutral <= admissible.high or name == "compression"


def test_whatever_changes_values_has_its_function():
    assert set(CHANGES) == {name for name, each in OPERATIONS.items() if not each.geometry}


def test_millimetres_need_spacing():
    assert OPERATIONS["blur"].admitted(FILM).unit == "pixels"
    assert OPERATIONS["blur"].admitted(dataclasses.replace(FILM, spacing=(0.2, 0.2))).unit == "mm"
    for name, each in OPERATIONS.items():
        assert {k for k, r in each.ranges.items() if r.unit == "mm"} == set(each.bare), name


@pytest.mark.parametrize(
    ("modality", "part", "kind"),
    [
        ("CR", None, "film"),
        ("MG", None, "film"),
        ("CT", "BRAIN", "head CT"),
        ("CT", "CHEST", "CT"),
        ("MR", "HEAD", "MR"),
        ("OP", None, "photo"),
        ("ECG", None, None),
    ],
)
def test_kinds_of_images(modality, part, kind):
    image = Image(np.zeros((1, 2, 2), np.float32), Intensity.RELATIVE, Modality(modality), body_part=part)
    assert kind_of(image) == kind


def test_no_unit_is_made_untrue():
    units = {i: against_meaning(Image(np.zeros((1, 2, 2), np.float32), i, Modality.CT)) for i in Intensity if i is not Intensity.COLOUR}
    assert units[Intensity.RELATIVE] == frozenset()
    assert "compression" in units[Intensity.HOUNSFIELD]
    assert "ct_noise" not in units[Intensity.HOUNSFIELD]
    assert "blur" in units[Intensity.BINARY]
    assert "rotation" not in units[Intensity.BINARY]


@pytest.mark.parametrize("scale", Scale)
def test_a_scale_goes_there_and_back(scale):
    for value in (0.5, 1.0, 250.0):
        assert scale.back(scale.to(value)) == pytest.approx(value)
    assert Scale.INVERSE.back(Scale.INVERSE.to(float("inf"))) == float("inf")
