import numpy as np
import pytest

from tests.unit.formats.deidentify.burned.drawn import letters
from tests.unit.formats.drawn import dataset
from vesalius.errors import UnreadableStudy
from vesalius.formats.deidentify.burned import views
from vesalius.formats.isolated import Isolated


def sheets(pixels: np.ndarray, **elements: object) -> tuple[np.ndarray, ...]:
    ds = dataset(pixels, **elements)
    claim = views.claim_of(ds)
    with Isolated() as gdcm:
        return views.sheets(ds, claim, views.stored_frame(ds, claim, 0, gdcm))


def step(sheet: np.ndarray) -> float:
    """How much brighter the upper half is, in grey levels."""
    return float(sheet[10:28, 20:40].mean()) - float(sheet[36:54, 20:40].mean())


def halves(upper: object, lower: object, kind: type = np.uint16) -> np.ndarray:
    low = np.asarray(lower, kind)
    picture = np.empty((64, 64, *low.shape), kind)
    picture[:32], picture[32:] = upper, low
    return picture


def test_bytes_are_shown_as_they_are():
    film = letters("DOE")
    (shown,) = sheets(film)
    assert np.array_equal(shown, film)


def test_white_is_zero_is_turned_over():
    assert step(sheets(halves(10, 200, np.uint8), PhotometricInterpretation="MONOCHROME1")[0]) > 100


def test_letters_above_the_usual_range_are_seen_against_their_surroundings():
    film = np.random.default_rng(0).integers(0, 1000, (128, 256)).astype(np.uint16)
    film[:, 128:] = 3000
    film[60:64, 180:200] = 4095
    usual, against = sheets(film)
    assert np.ptp(usual[50:70, 170:210].astype(int)) == 0
    assert np.ptp(against[50:70, 170:210].astype(int)) > 60


def test_three_counts_of_sixteen_bits_are_seen():
    film = np.full((128, 256), 30000, np.uint16)
    film[0, 0], film[-1, -1] = 0, 65535
    film[60:64, 100:120] = 30003
    assert max(np.ptp(sheet[50:70, 90:130].astype(int)) for sheet in sheets(film)) > 60


@pytest.mark.parametrize(("ink", "paper"), [((0, 0, 90), (0, 0, 0)), ((200, 0, 0), (0, 102, 0)), ((255, 255, 0), (0, 0, 255))])
def test_coloured_letters_are_seen_in_one_sheet_at_least(ink, paper):
    shown = sheets(halves(ink, paper, np.uint8))
    assert max(abs(step(sheet)) for sheet in shown) > 30


def test_grey_in_colour_needs_one_sheet():
    assert len(sheets(halves((9, 9, 9), (200, 200, 200), np.uint8))) == 1


def test_values_that_are_no_numbers_do_not_hide_the_others():
    film = np.full((64, 64), 0.5, np.float32)
    film[:32] = 2.0
    film[0, 0], film[1, 1] = np.nan, np.inf
    ds = dataset(None, FloatPixelData=film.tobytes(), Rows=64, Columns=64, SamplesPerPixel=1, PhotometricInterpretation="MONOCHROME2", BitsAllocated=32)
    claim = views.claim_of(ds)
    with Isolated() as gdcm:
        shown = views.sheets(ds, claim, views.stored_frame(ds, claim, 0, gdcm))
    assert step(shown[0]) > 100


def test_one_value_everywhere_is_one_empty_sheet():
    (shown,) = sheets(np.full((9, 9), 700, np.uint16))
    assert not shown.any()


def test_a_missing_palette_is_refused_in_words():
    with pytest.raises(UnreadableStudy, match="palette"):
        sheets(np.zeros((8, 8), np.uint8), PhotometricInterpretation="PALETTE COLOR")


def test_a_large_picture_is_seen_in_bands_without_a_seam(monkeypatch):
    film = np.add.outer(np.arange(900.0), np.arange(128.0)).astype(np.float32) + np.random.default_rng(0).normal(0, 9, (900, 128)).astype(np.float32)
    whole = views.local(film).astype(int)
    monkeypatch.setattr(views, "_BAND", 128)
    assert np.abs(views.local(film).astype(int) - whole).max() <= 2
