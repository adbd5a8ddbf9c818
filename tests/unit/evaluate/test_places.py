import json

import pytest

from tests import evaluate_miniature
from tests.unit.data import credentialed, layout
from vesalius.domain.finding import Region
from vesalius.evaluate.places import LESION, ORGAN, chosen, of_root, slake_question


@pytest.fixture
def root(tmp_path):
    evaluate_miniature.slake(tmp_path)
    marks = [{"Liver": [1, 2, 10, 20]}, {"Brain Edema": [0, 0, 5, 5]}, {"Liver": [30, 2, 8, 8]}]
    for number in (18, 20):
        (tmp_path / f"slake/imgs/xmlab{number}/detection.json").write_text(json.dumps(marks))
    return tmp_path


@pytest.mark.parametrize(
    ("name", "question", "kind"),
    [
        ("Liver", "Does the picture contain liver?", ORGAN),
        ("Left Kidney", "Does the picture contain left kidney?", ORGAN),
        ("Infiltrate", "Can infiltration be observed in this picture?", LESION),
        ("Brain Non-enhancing Tumor", "Can brain non-enhancing tumor be observed in this picture?", LESION),
    ],
)
def test_questions_are_in_the_words_of_the_set(name, question, kind):
    assert slake_question(name) == (question, kind)


def test_boxes_of_one_name_belong_together(root):
    places, absent = of_root(root)
    assert [(p.image, p.name, len(p.regions)) for p in places if p.image.startswith("slake/imgs/xmlab18/")] == [
        ("slake/imgs/xmlab18/source.jpg", "Brain Edema", 1),
        ("slake/imgs/xmlab18/source.jpg", "Liver", 2),
    ]
    assert len({p.id for p in places}) == len(places) == 4
    assert places[0].facts == {"modality": "CR", "body_part": "CHEST"}
    assert set(absent) == {"nih-cxr", "ms-cxr", "vindr-cxr"}


def test_a_limit_is_of_pictures_and_always_the_same_ones(root):
    places, _ = of_root(root, 1)
    assert len({p.image for p in places}) == 1
    assert len(places) == 2
    everything, _ = of_root(root)
    assert chosen(everything[::-1], 1)[0].image == places[0].image


def test_a_training_picture_is_never_asked_about(root):
    (root / "slake/imgs/xmlab0/detection.json").write_text(json.dumps([{"Liver": [1, 2, 3, 4]}]))
    assert not [p for p in of_root(root)[0] if "xmlab0/" in p.image]


def test_boxes_of_films_of_test_patients_alone(tmp_path):
    layout.nih_cxr(tmp_path)
    header = "Image Index,Finding Label,x,y,w,h\n"
    (tmp_path / "nih_cxr/bbox_1024px.csv").write_text(header + "00000007_001.png,Infiltrate,2,4,10,12\n00000008_000.png,Mass,2,4,10,12\n")
    from vesalius.data.nih_cxr import DATASET

    expected = {film.image for film in DATASET.films(tmp_path) if film.split == "test" and film.regions}
    assert {p.image for p in of_root(tmp_path)[0]} == expected


def test_credentialed_sets_are_read_where_they_are(tmp_path):
    credentialed.vindr_cxr(credentialed.ms_cxr(tmp_path))
    (tmp_path / "mimic_cxr_jpg/files/p10/p10000002/s50000001/b.jpg").unlink()
    places, absent = of_root(tmp_path)
    names = {(p.source, p.name): p for p in places}
    assert set(names) == {("ms-cxr", "Pleural Effusion"), ("ms-cxr", "Cardiomegaly"), ("vindr-cxr", "Cardiomegaly")}
    assert names["ms-cxr", "Pleural Effusion"].phrase == "drawn fluid on both sides, small"
    assert names["ms-cxr", "Pleural Effusion"].size == (64, 64)
    assert names["vindr-cxr", "Cardiomegaly"].regions == (Region(4, 8, 24, 28),)
    assert "1 of 3" in absent["ms-cxr: pictures"]
