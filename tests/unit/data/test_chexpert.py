import pytest

from tests.unit.data.published import chexpert
from vesalius.data.base import DataFormatError
from vesalius.data.chexpert import DATASET
from vesalius.domain.exchange import Split
from vesalius.domain.finding import Certainty
from vesalius.domain.study import Sex


def test_doubt_is_not_silence_and_neither_is_asked_about(tmp_path):
    root = chexpert(tmp_path)
    first, lateral, bare = DATASET.films(root, Split.TRAIN)
    assert [first.labels[name] for name in ("No Finding", "Pneumonia", "Edema", "Fracture")] == [
        Certainty.PRESENT,
        Certainty.ABSENT,
        Certainty.UNCERTAIN,
        Certainty.UNMENTIONED,
    ]
    asked = [(x.tags["finding"], x.gold) for x in DATASET.exchanges(root, Split.TRAIN) if x.image == first.image]
    assert asked == [("No Finding", "yes"), ("Pneumonia", "no")]
    assert (first.view, first.sex, first.age_years, lateral.frontal, lateral.view) == ("AP", Sex.FEMALE, 68, False, None)
    assert (bare.sex, bare.age_years) == (None, 0)


def test_the_test_table_may_hold_labels_alone(tmp_path):
    root = chexpert(tmp_path)
    (only,) = DATASET.films(root, Split.TEST)
    assert (only.image, only.patient, only.frontal, only.sex) == ("chexpert/test/patient64741/study1/view1_frontal.jpg", "chexpert:patient64741", None, None)
    assert [DATASET.size(root, split) for split in Split] == [3, 1, 1]


def test_films_are_found_inside_the_folder_of_the_archive(tmp_path):
    root = chexpert(tmp_path)
    (root / "chexpert/CheXpert-v1.0-small").mkdir()
    (root / "chexpert/train").rename(root / "chexpert/CheXpert-v1.0-small/train")
    film = DATASET.films(root, Split.TRAIN)[0]
    assert DATASET.image_path(root, film.image).is_file()


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("CheXpert-v1.0-small/train/patient00001/study1/view1", "CheXpert-v1.0-small/train/../../../patient00001/study1/view1"),
        ("CheXpert-v1.0-small/train/patient00001/study1/view1", "/train/patient00001/study1/view1"),
        ("CheXpert-v1.0-small/train/patient00001/study1/view1", "CheXpert-v1.0-small/valid/patient00001/study1/view1"),
        ("patient00002/study1/view1_frontal", "patient00001/study1/view1_frontal"),
        ("-1.0", "0.5"),
        ("Edema", "Oedema"),
        (",68,", ",old,"),
    ],
)
def test_tables_that_do_not_fit_are_refused(tmp_path, old, new):
    root = chexpert(tmp_path)
    path = root / "chexpert/train.csv"
    path.write_text(path.read_text().replace(old, new))
    with pytest.raises(DataFormatError):
        DATASET.films(root, Split.TRAIN)
