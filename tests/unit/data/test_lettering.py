"""Words in a corner: seen on any ground, where they should be, with a control of equal size."""

import numpy as np
import pytest

from vesalius.data.lettering import CORNERS, meaningless, written, written_study
from vesalius.data.phantoms import phantom
from vesalius.domain.study import Image, Intensity, Modality, Window, single
from vesalius.errors import InvalidValue
from vesalius.formats.pixels import render


def flat(value, rows=200, cols=300, inverted=False):
    pixels = np.full((1, rows, cols), value, np.float32)
    return Image(pixels, Intensity.RELATIVE, Modality.CR, voi=(Window(127.5, 255.0, "LINEAR_EXACT"),), inverted=inverted)


@pytest.mark.parametrize("value", [0.0, 127.0, 255.0])
@pytest.mark.parametrize("inverted", [False, True])
def test_words_are_white_with_a_black_rim_on_any_ground(value, inverted):
    shown = render(written(flat(value, inverted=inverted), "NORMAL"))
    assert shown.max() == 255
    assert shown.min() == 0


@pytest.mark.parametrize("corner", CORNERS)
def test_words_stand_in_their_corner_and_nowhere_else(corner):
    there = np.argwhere(render(written(flat(100), "NORMAL", corner=corner)) != 100)
    (y0, x0), (y1, x1) = there.min(0), there.max(0)
    assert (y1 < 40) if "top" in corner else (y0 > 160)
    assert (x1 < 100) if "left" in corner else (x0 > 200)
    assert len(there) > 50


def test_the_height_is_a_share_of_the_shorter_side():
    def tall(height):
        rows = np.argwhere(render(written(flat(100, 400, 600), "NORMAL", height=height)) != 100)[:, 0]
        return np.ptp(rows)

    assert tall(0.2) == pytest.approx(2 * tall(0.1), rel=0.1)


def test_words_that_are_too_long_become_smaller_but_stay_inside():
    image = flat(100, 300, 60)
    there = np.argwhere(render(written(image, "no pneumonia", height=0.5)) != 100)
    assert there[:, 1].max() < 60
    assert there[:, 1].min() > 0


def test_letters_without_meaning_have_the_words_size():
    for words, letters in (("NORMAL", "ABCDEF"), ("no pneumonia", "ab cdefghijk"), ("answer yes", "abcdef ghi")):
        assert meaningless(words) == letters
        inks = [np.count_nonzero(render(written(flat(100), text)) != 100) for text in (words, letters)]
        assert inks[1] == pytest.approx(inks[0], rel=0.35)


def test_shape_type_and_colour_stay():
    for image in (phantom("CT", "HEAD"), Image(np.zeros((2, 50, 60, 3), np.uint8), Intensity.COLOUR, Modality.XC)):
        changed = written(image, "NORMAL")
        assert changed.pixels.shape == image.pixels.shape
        assert changed.pixels.dtype == image.pixels.dtype
        assert not np.array_equal(changed.pixels, image.pixels)


def test_a_study_keeps_its_patient():
    study = single(flat(5), deidentified=True)
    assert written_study(study, "NORMAL").deidentified
    assert render(study.image).max() == 5  # the study itself is not written on


@pytest.mark.parametrize(("words", "more"), [("NORMAL", {"corner": "middle"}), (" ", {}), ("NORMAL", {"height": 0.0})])
def test_bad_input_is_refused(words, more):
    with pytest.raises(InvalidValue):
        written(flat(1), words, **more)
