import pytest

from tests.unit.data import layout
from vesalius.data.base import DataFormatError
from vesalius.data.hannover import DATASET
from vesalius.domain.exchange import Split


@pytest.fixture
def root(tmp_path):
    return layout.hannover(tmp_path)


def test_films_by_day_and_unknown_facts_are_none(root):
    early, late, alone = DATASET.films(root)
    assert (early.id, early.day, late.day) == ("early", -2.0, 10.0)
    assert (alone.day, alone.sex, alone.icu_day) == (None, None, None)
    assert early.split == late.split


def test_sequences_need_two_dated_films(root):
    assert {k: [f.id for f in v] for k, v in DATASET.sequences(root).items()} == {"hannover:p1": ["early", "late"]}


def test_one_question_a_film_by_view(root):
    rows = {x.image: x for s in Split for x in DATASET.exchanges(root, s)}
    assert {image: x.gold for image, x in rows.items()} == {f"hannover_cxr/images/{n}.jpg": v for n, v in (("late", "AP"), ("early", "PA"), ("alone", "PA"))}
    assert "sex" not in rows["hannover_cxr/images/alone.jpg"].tags


@pytest.mark.parametrize(("old", "new"), [("image_id", "name"), (",-2,", ",before,"), ("late,f", "late,q")])
def test_a_table_that_does_not_fit_is_refused(root, old, new):
    path = root / "hannover_cxr/data.csv"
    path.write_text(path.read_text().replace(old, new))
    with pytest.raises(DataFormatError):
        DATASET.films(root)
