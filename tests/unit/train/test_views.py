"""Other views: same shape, repeatable, never mirrored, nothing outside the range of the picture."""

import torch

from vesalius.train.views import vary


def _picture():
    x = torch.zeros(3, 64, 64)
    x[:, 10:30, 8:20] = 1.0  # bright on the left
    return x - 0.5


def test_number_zero_is_the_image_itself():
    assert torch.equal(vary(_picture(), "a", 0), _picture())


def test_a_view_is_repeatable_and_differs_by_name_and_number():
    assert torch.equal(vary(_picture(), "a", 1), vary(_picture(), "a", 1))
    assert not torch.equal(vary(_picture(), "a", 1), vary(_picture(), "a", 2))
    assert not torch.equal(vary(_picture(), "a", 1), vary(_picture(), "b", 1))


def test_left_stays_left_and_values_stay_in_range():
    for number in range(1, 20):
        view = vary(_picture(), "a", number)
        assert view.shape == (3, 64, 64)
        assert float(view.min()) >= -0.5
        assert float(view.max()) <= 0.5
        mass = (view[0] + 0.5).sum(0)
        assert mass[:32].sum() > 4 * mass[32:].sum()


def test_a_picture_of_one_grey_stays():
    flat = torch.full((3, 8, 8), 0.25)
    assert torch.equal(vary(flat, "a", 3), flat)
