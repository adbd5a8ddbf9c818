import numpy as np

from tests.unit.formats.deidentify.burned.drawn import letters
from vesalius.formats.deidentify.burned.frames import Watch

NOTHING = np.zeros((128, 256), bool)


def watch(*sheets: np.ndarray) -> Watch:
    made = Watch()
    made.has_read(sheets)
    return made


def test_the_first_frame_is_new():
    assert Watch().is_new((letters("A"),), NOTHING)


def test_an_equal_frame_is_not_new():
    assert not watch(letters("DOE JOHN")).is_new((letters("DOE JOHN"),), NOTHING)


def test_noise_that_moves_is_not_new():
    still = letters("")
    moved = np.clip(still.astype(int) + np.random.default_rng(5).integers(-6, 7, still.shape), 0, 255).astype(np.uint8)
    assert not watch(still).is_new((moved,), NOTHING)


def test_without_a_limit_all_that_differs_is_new():
    still = letters("")
    moved = still.copy()
    moved[3, 3] += 1
    made = Watch(0.0)
    made.has_read((still,))
    assert made.is_new((moved,), NOTHING)
    assert not made.is_new((still.copy(),), NOTHING)


def test_a_text_that_appears_is_new_even_where_another_stood():
    assert watch(letters("")).is_new((letters("DOE JOHN"),), NOTHING)
    assert watch(letters("PORTABLE")).is_new((letters("DOE JOHN"),), NOTHING)


def test_a_text_that_changes_inside_what_is_filled_is_not_new():
    filled = NOTHING.copy()
    filled[30:80, 10:240] = True
    assert not watch(letters("10:45:01")).is_new((letters("10:45:02"),), filled)


def test_a_frame_with_another_number_of_sheets_is_new():
    assert watch(letters("A")).is_new((letters("A"), letters("A")), NOTHING)
