import pytest

from tests.unit.data import layout
from vesalius.data.base import DataFormatError
from vesalius.data.nih_cxr import DATASET, FINDING_QUESTIONS
from vesalius.domain.exchange import Split
from vesalius.domain.finding import Region
from vesalius.metrics.text import is_yes_no_question


@pytest.fixture
def root(tmp_path):
    return layout.nih_cxr(tmp_path)


def test_films_of_a_patient_are_in_order_and_in_one_part(root):
    films = DATASET.films(root)
    assert [film.id for film in films] == ["00000007_000", "00000007_001", "00000008_000"]
    assert films[0].split == films[1].split
    assert films[0].normal
    assert films[1].labels == ("Pneumonia", "Infiltration")


def test_boxes_are_halved_and_named_like_the_labels(root):
    assert DATASET.films(root)[1].regions == (("Infiltration", Region(50, 100, 75, 130)),)


def test_spacing_is_that_of_the_small_film(root):
    first = DATASET.films(root)[0]  # 2,048 wide, 2,500 high
    assert first.spacing == pytest.approx((0.168 * 2500 / 512, 0.168 * 2048 / 512))


def test_experts_are_kept_apart(root):
    first, second, _ = DATASET.films(root)
    assert first.expert == {"Fracture": False, "Pneumothorax": True}
    assert first.labels == ()
    assert second.expert == {}


def test_questions_of_a_film(root):
    rows = {x.id: x for s in Split for x in DATASET.exchanges(root, s)}
    assert len(rows) == 3 * 16
    assert rows["nih-cxr:00000007_001:Pneumonia"].gold == "yes"
    assert rows["nih-cxr:00000007_001:Edema"].gold == "no"
    assert rows["nih-cxr:00000007_001:normal"].gold == "no"
    assert rows["nih-cxr:00000007_000:normal"].gold == "yes"
    view = rows["nih-cxr:00000007_001:view"]
    assert (view.gold, view.question.options) == ("AP", ("PA", "AP"))
    assert view.cluster == "nih-cxr:7"


def test_every_finding_question_asks_for_yes_or_no():
    assert len(FINDING_QUESTIONS) == 14
    assert all(is_yes_no_question(text) for text in FINDING_QUESTIONS.values())


@pytest.mark.parametrize(("old", "new"), [("Pneumonia|", "Pneumonya|"), (",41,F,", ",old,F,"), (",41,F,", ",41,X,"), ("Patient ID", "Patient")])
def test_tables_that_do_not_fit_are_refused(root, old, new):
    path = root / "nih_cxr/metadata.csv"
    path.write_text(path.read_text().replace(old, new))
    with pytest.raises(DataFormatError):
        DATASET.films(root)


def test_a_box_without_extent_is_refused(root):
    path = root / "nih_cxr/bbox_1024px.csv"
    path.write_text(path.read_text().replace(",50,60", ",0,60"))
    with pytest.raises(DataFormatError, match="x1 must exceed"):
        DATASET.films(root)
