import numpy as np
import pytest

pytest.importorskip("cv2", reason="needs the extra deidentify")

from vesalius.formats.deidentify.burned import shapes

SQUARE = np.array([[0, 0], [10, 0], [10, 10], [0, 10]], float)


def test_area_and_sides():
    assert shapes.area(SQUARE) == 100
    assert shapes.sides(SQUARE * (2, 1)) == (20, 10)


def test_overlap_of_a_box_with_itself_a_half_and_nothing():
    assert shapes.overlap(SQUARE, SQUARE) == pytest.approx(1)
    assert shapes.overlap(SQUARE, np.add(SQUARE, (5, 0))) == pytest.approx(1 / 3)
    assert shapes.overlap(SQUARE, np.add(SQUARE, (20, 0))) == 0
    assert shapes.inside(SQUARE / 2, SQUARE) == pytest.approx(1)


def test_a_point_has_no_overlap():
    assert shapes.overlap(np.zeros((4, 2)), np.zeros((4, 2))) == 0


def test_boxes_of_one_line_are_beside_each_other():
    assert shapes.beside(SQUARE, np.add(SQUARE, (14, 0)))
    assert not shapes.beside(SQUARE, np.add(SQUARE, (40, 0)))
    assert not shapes.beside(SQUARE, np.add(SQUARE * 3, (12, 0)))


def test_a_rectangle_around_points_keeps_its_slant():
    turn = np.array([[0.8, -0.6], [0.6, 0.8]])
    slanted = (SQUARE * (3, 1)) @ turn.T + 20
    around = shapes.around(slanted)
    assert shapes.area(around) == pytest.approx(300, abs=0.1)
    assert {tuple(p) for p in around.round(2).tolist()} == {tuple(p) for p in slanted.round(2).tolist()}


def test_the_line_of_a_standing_box_lies():
    picture = np.zeros((40, 40), np.uint8)
    picture[5:35, 10:18] = 200
    line = shapes.cut(picture, np.array([[10, 5], [18, 5], [18, 35], [10, 35]], float))
    assert line.shape == (8, 30)
    assert line.min() > 100


def test_a_box_is_lengthened_at_either_end_whichever_way_it_lies():
    line = SQUARE * (3, 1)
    assert shapes.lengthened(line, 5, end=True).tolist() == [[0, 0], [35, 0], [35, 10], [0, 10]]
    assert shapes.lengthened(line, 5, end=False).tolist() == [[-5, 0], [30, 0], [30, 10], [-5, 10]]
    upright = SQUARE * (1, 3)
    assert shapes.lengthened(upright, 5, end=True).tolist() == [[0, 0], [10, 0], [10, 35], [0, 35]]
    assert shapes.lengthened(upright, 5, end=False).tolist() == [[0, -5], [10, -5], [10, 30], [0, 30]]
