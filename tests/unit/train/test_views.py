"""Other views: same shape, repeatable, never mirrored, nothing outside the range of the picture."""

import random

import torch

from vesalius.train.views import change, draw, vary


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
        mass = (view[0] - view.min()).sum(0)  # a brighter view lifts the background too
        assert mass[:32].sum() > 4 * mass[32:].sum()


def test_a_picture_of_one_grey_stays():
    flat = torch.full((3, 8, 8), 0.25)
    assert torch.equal(vary(flat, "a", 3), flat)


def test_changes_of_a_batch_are_those_of_its_pictures():
    pictures = torch.stack([_picture(), _picture().flip(1)])
    drawn = random.Random(3)
    changes = torch.tensor([draw(drawn.uniform) for _ in range(2)])
    both = change(pictures, changes)
    for i in range(2):
        torch.testing.assert_close(both[i : i + 1], change(pictures[i : i + 1], changes[i : i + 1]))


def test_the_change_that_changes_nothing():
    nothing = torch.tensor([[1.0, 0, 0, 0, 1, 0, 1, 1, 0]])
    torch.testing.assert_close(change(_picture()[None], nothing)[0], _picture())
