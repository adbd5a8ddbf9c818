import datetime

import numpy as np
import pytest

from tests.unit.data.validate import made
from tests.unit.data.validate.made import hits
from vesalius.domain.finding import Certainty, Finding, Region
from vesalius.domain.study import Laterality


def test_the_other_side_than_the_image_shows():
    assert hits("report.side", report="There is a fracture of the left hand.", laterality=Laterality.RIGHT)[0][0] == "error"
    assert hits("report.side", report="There is a fracture of the right hand.", laterality=Laterality.RIGHT) == []
    assert hits("report.side", report="Both hands are arthritic.", laterality=Laterality.RIGHT) == []
    assert hits("report.side", report="Compared to the left hand, there is less swelling.", laterality=Laterality.RIGHT) == []


@pytest.mark.parametrize(("x0", "said", "wrong"), [(10, "right", False), (10, "left", True), (180, "left", False), (180, "right", True)])
def test_a_box_on_the_left_of_the_film_is_the_right_of_the_patient(x0, said, wrong):
    box = Finding("Effusion", Certainty.PRESENT, (Region(x0, 100, x0 + 50, 200),))
    found = hits("report.box", report=f"Moderate {said} pleural effusion.", findings=(box,), image=made.image())
    assert bool(found) is wrong


def test_boxes_of_both_sides_and_of_lateral_films_are_not_judged():
    boxes = Finding("Effusion", Certainty.PRESENT, (Region(10, 10, 20, 20), Region(200, 10, 210, 20)))
    assert hits("report.box", report="Left effusion.", findings=(boxes,), image=made.image()) == []
    one = Finding("Effusion", Certainty.PRESENT, (Region(10, 10, 20, 20),))
    assert hits("report.box", report="Left effusion.", findings=(one,), image=made.image(view="LL")) == []


@pytest.mark.parametrize(
    ("said", "views", "wrong"),
    [
        ("TECHNIQUE: PA and lateral views of the chest.", ("AP",), True),
        ("TECHNIQUE: PA and lateral views of the chest.", ("PA", "LL"), False),
        ("Single AP portable view.", ("PA",), True),
        ("COMPARISON: PA and lateral views of 2019.\nFINDINGS: Clear.", ("AP",), False),
        ("No fracture of the lateral ribs.", ("AP",), False),
        ("Compared with the lateral view of last week.", ("AP",), False),
    ],
)
def test_views_that_no_image_has(said, views, wrong):
    assert bool(hits("report.view", report=said, views=views)) is wrong


def test_more_views_than_images():
    assert hits("report.count", report="TECHNIQUE: Chest, two views.", images=1) == [("warning", "the report tells of 2 views, there is 1")]
    assert hits("report.count", report="TECHNIQUE: Chest, two views.", images=2) == []
    assert hits("report.count", report="TECHNIQUE: Chest and left knee 4 views.", images=1, body_part="CHEST") == []


@pytest.mark.parametrize(
    ("said", "modality", "wrong"),
    [
        ("Contiguous axial images show a nodule.", "CR", True),
        ("Axial images show a nodule.", "CT", False),
        ("The mass is hypoechoic.", "CT", True),
        ("High signal intensity on FLAIR.", "MR", False),
        ("High signal intensity on FLAIR.", "CR", True),
        ("CT chest is recommended.", "CR", False),
        ("CT scan is more sensitive for small nodules.", "CR", False),
        ("Compared with the axial images of the CT.", "CR", False),
        ("TECHNIQUE: CT of the chest without contrast.", "DX", True),
        ("TECHNIQUE: PA and lateral chest.", "DX", False),
    ],
)
def test_words_of_another_modality(said, modality, wrong):
    assert bool(hits("report.modality", report=said, modality=modality)) is wrong


@pytest.mark.parametrize(
    ("said", "wrong"),
    [
        ("Heart size is unchanged.", True),
        ("Again noted is a left effusion.", True),
        ("In comparison with the prior film the opacity has improved.", True),
        ("The left apex is denser compared to the right.", False),
        ("In the absence of prior studies, a CT is advised.", False),
        ("Findings may be stable clinically.", False),
        ("Sequelae of prior granulomatous disease.", False),
        ("The heart is normal.", False),
    ],
)
def test_change_without_an_earlier_study(said, wrong):
    assert bool(hits("report.prior", report=said, prior=False)) is wrong
    assert bool(hits("report.prior", report=f"COMPARISON: None available.\nFINDINGS: {said}")) is wrong


def test_change_is_not_asked_where_a_study_may_exist():
    from vesalius.data.validate import Case, ClinicalValidator

    for facts in ({"report": "Unchanged."}, {"report": "COMPARISON: Chest film of May.\nFINDINGS: Unchanged."}, {"report": "Unchanged.", "prior": True}):
        assert "report.prior" in ClinicalValidator(today=made.TODAY)(Case("a", **facts)).left_out


@pytest.mark.parametrize(
    ("said", "severity"),
    [
        ("There is a 34 cm nodule.", "error"),
        ("A nodule of 8 cm is seen.", "warning"),
        ("Nodule, 0 mm.", "error"),
        ("Endotracheal tube 25 cm above the carina.", "error"),
        ("Endotracheal tube 4.5 cm above the carina.", None),
        ("The heart measures 120 cm.", "error"),
        ("A 150 % loss of height.", "error"),
        ("Cardiothoracic ratio 1.7.", "error"),
        ("Cardiothoracic ratio of 16.2/24.7.", None),
        ("Cardiothoracic ratio 0.55.", None),
        ("A nodule of 1.2 x 0.9 cm.", None),
        ("A mass of 5.8 x 6.0 cm; 40 % of the lung is involved.", None),
        ("TECHNIQUE: focus at 180 cm.", None),
        ("Seen on 12/05/2019 at 3 cm.", None),
    ],
)
def test_measurements_that_no_body_has(said, severity):
    assert [s for s, _ in hits("report.measurement", report=said)] == ([severity] if severity else [])


@pytest.mark.parametrize(
    ("said", "wrong"),
    [
        ("Film of 2031-02-01.", True),
        ("Film of 3 March 2031.", True),
        ("Film of March 3, 2031.", True),
        ("Film of 05/06/2020.", False),
        ("Film of 99/99/2031.", False),
        ("Follow-up is recommended on 2026-08-01.", False),
    ],
)
def test_dates_after_today(said, wrong):
    assert bool(hits("report.future", report=said)) is wrong


def test_a_date_after_the_study_whichever_way_it_is_written():
    day = datetime.date(2020, 4, 3)
    assert hits("report.future", report="Compared with 02/06/2020.", study_date=day) == []  # may be 6 February
    assert hits("report.future", report="Compared with 15/06/2020.", study_date=day) == [("warning", "a date after the study")]


def test_a_negative_picture_of_a_box_is_no_trouble_for_small_images():
    box = Finding("Nodule", Certainty.PRESENT, (Region(0, 0, 1, 1),))
    assert hits("report.box", report="Right nodule.", findings=(box,), image=made.image(np.zeros((4, 4)))) == []
