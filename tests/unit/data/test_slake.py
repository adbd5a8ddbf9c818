import json

import pytest

from tests.unit.data import layout
from vesalius.data.base import DataFormatError
from vesalius.data.slake import DATASET, Triple, regions
from vesalius.domain.exchange import Split
from vesalius.domain.finding import Region


@pytest.fixture
def root(tmp_path):
    return layout.slake(tmp_path)


def _learned(root):
    return [x for s in (Split.TRAIN, Split.DEVELOPMENT) for x in DATASET.exchanges(root, s)]


def test_only_english_rows_with_an_answer(root):
    assert [(x.id, x.gold) for x in _learned(root)] == [("slake:0", "Lung"), ("slake:1", "Liver")]
    assert [x.id for x in DATASET.exchanges(root, Split.TEST)] == ["slake:9"]


def test_tags_speak_dicom(root):
    tags = _learned(root)[0].tags
    assert (tags["modality"], tags["body_part"], tags["location"]) == ("MR", "CHEST", "Chest_lung")


def test_attributes_follow_the_split(root):
    (found,) = DATASET.attributes(root, Split.TEST)
    assert (found.image, found.modality, found.body_part) == ("slake/imgs/xmlab2/source.jpg", "MR", "CHEST")
    assert found.regions == (("Lung", Region(2, 3, 6, 8)),)


def test_knowledge_is_read(root):
    assert Triple("Pneumonia", "location", "Lung") in DATASET.knowledge(root)
    (root / "slake/KG/en_organ.csv").write_text("organ#attribute#value\nLung#function\n")
    with pytest.raises(DataFormatError, match="three fields"):
        DATASET.knowledge(root)


@pytest.mark.parametrize("box", [[1, 2, 3], [1, 2, 0, 4], ["a", 1, 1, 1], None])
def test_boxes_that_are_none(tmp_path, box):
    path = tmp_path / "detection.json"
    path.write_text(json.dumps([{"Liver": box}]))
    with pytest.raises(DataFormatError, match="is not x, y, width, height"):
        regions(path)


def test_no_box_file_means_no_boxes(tmp_path):
    assert regions(tmp_path / "absent.json") == ()


@pytest.mark.parametrize("field", ["q_lang", "img_name", "modality", "location", "answer"])
def test_a_missing_field_is_refused(root, field):
    path = root / "slake/train.json"
    rows = json.loads(path.read_text())
    del rows[0][field]
    path.write_text(json.dumps(rows))
    with pytest.raises(DataFormatError, match="do not hold SLAKE"):
        DATASET.exchanges(root, Split.TRAIN)


@pytest.mark.parametrize("field", ["modality", "location"])
def test_an_unknown_modality_or_location_is_refused(root, field):
    path = root / "slake/train.json"
    rows = json.loads(path.read_text())
    rows[0][field] = "elsewhere"
    path.write_text(json.dumps(rows))
    with pytest.raises(DataFormatError, match="do not hold SLAKE"):
        DATASET.exchanges(root, Split.TRAIN)
