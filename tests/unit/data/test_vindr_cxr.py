import pytest

from tests.unit.data import credentialed
from vesalius.data.base import DataFormatError
from vesalius.data.vindr_cxr import DATASET
from vesalius.domain.exchange import Split
from vesalius.domain.finding import Region


@pytest.fixture
def root(tmp_path):
    return credentialed.vindr_cxr(tmp_path)


def test_a_film_without_finding_has_no_box(root):
    ill, well = DATASET.films(root)
    assert ill.regions == (("Cardiomegaly", Region(4, 8, 24, 28)), ("Other lesion", Region(0, 0, 4, 4)))
    assert well.regions == ()
    assert (ill.labels["Cardiomegaly"], ill.labels["No finding"], well.labels["No finding"]) == (True, False, True)


def test_labels_are_asked_for_but_not_what_has_no_name(root):
    rows = {x.id: x for x in DATASET.exchanges(root, Split.TEST)}
    assert set(rows) == {f"vindr-cxr:{film}:{name}" for film in ("aa", "bb") for name in ("Cardiomegaly", "Nodule/Mass", "COPD", "normal")}
    assert (rows["vindr-cxr:aa:Cardiomegaly"].gold, rows["vindr-cxr:bb:Cardiomegaly"].gold, rows["vindr-cxr:bb:normal"].gold) == ("yes", "no", "yes")
    assert rows["vindr-cxr:aa:Nodule/Mass"].question.text == "Is there evidence of a nodule or mass?"
    assert not DATASET.exchanges(root, Split.TRAIN)


def test_a_film_is_dicom_where_no_picture_is_there(root):
    (root / "vindr_cxr/test/aa.png").rename(root / "vindr_cxr/test/aa.dicom")
    (root / "vindr_cxr/annotations/image_labels_test.csv").touch()
    assert [film.image for film in DATASET.films(root)] == ["vindr_cxr/test/aa.dicom", "vindr_cxr/test/bb.png"]
    annotations, pictures = DATASET.files(root)
    assert [path.name for path in annotations] == ["annotations_test.csv", "image_labels_test.csv", "aa.dicom"]
    assert [path.name for path in pictures] == ["bb.png"]


@pytest.mark.parametrize(
    ("name", "old", "new"),
    [
        ("annotations_test", "class_name", "name"),
        ("annotations_test", ",4,8,24,28", ",24,8,4,28"),
        ("image_labels_test", "No finding", "None"),
        ("image_labels_test", "aa,1", "aa,x"),
    ],
)
def test_tables_that_do_not_fit_are_refused(root, name, old, new):
    path = root / f"vindr_cxr/annotations/{name}.csv"
    path.write_text(path.read_text().replace(old, new))
    with pytest.raises(DataFormatError):
        DATASET.films(root)
