import gzip

import pytest

from tests.unit.data.published import padchest
from vesalius.data.base import DataFormatError
from vesalius.data.padchest import DATASET, TABLE
from vesalius.domain.exchange import Split
from vesalius.domain.study import Sex


def test_labels_are_asked_about_each_once_and_normality_where_the_report_says_something(tmp_path):
    root = padchest(tmp_path)
    asked = [(x.image.rpartition("/")[2], x.tags["finding"], x.gold) for x in DATASET.exchanges(root, Split.TEST)]
    assert asked == [
        ("a.png", "pleural effusion", "yes"),
        ("a.png", "cardiomegaly", "yes"),
        ("a.png", "normal", "no"),
        ("b.png", "normal", "yes"),
    ]
    assert not DATASET.exchanges(root, Split.TRAIN)


def test_a_film_knows_its_patient_report_and_who_labelled_it(tmp_path):
    first, second, third, bare = DATASET.films(padchest(tmp_path))
    assert (first.report, first.places, first.by_physician, second.by_physician) == ("derram pleural izquierd .", ("loc left", "loc basal"), True, False)
    assert first.patient == second.patient != third.patient
    assert (first.sex, first.birth_year, third.sex, third.birth_year, bare.labels, bare.projection) == (Sex.FEMALE, 1940, None, None, (), None)


def test_the_table_may_be_packed_and_the_films_in_one_folder(tmp_path):
    root = padchest(tmp_path)
    table = root / "padchest" / TABLE
    table.with_name(f"{TABLE}.gz").write_bytes(gzip.compress(table.read_bytes()))
    table.unlink()
    (root / "padchest/images").mkdir()
    assert DATASET.films(root)[2].image == "padchest/images/c.png"


def test_repeated_films_are_counted(tmp_path):
    root = padchest(tmp_path)
    table = root / "padchest" / TABLE
    table.write_text(table.read_text().replace("1,b.png", "1,a.png"))
    assert len(DATASET.films(root)) == 3
    assert DATASET.left_out(root) == {"the film is there twice": 1}


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("0,a.png,0", "0,../../a.png,0"),
        ("0,a.png,0", "0,a.png,../0"),
        ("['normal']", "__import__('os').system('true')"),
        ("['normal']", "[1]"),
        ("['normal']", "['normal'"),
        ("['normal']", "[" * 300),
        ("MethodLabel", "Method"),
    ],
)
def test_tables_that_do_not_fit_are_refused(tmp_path, old, new):
    root = padchest(tmp_path)
    table = root / "padchest" / TABLE
    table.write_text(table.read_text().replace(old, new))
    with pytest.raises(DataFormatError):
        DATASET.films(root)
