import pytest

from tests.unit.data import credentialed
from vesalius.data.base import DataFormatError, check
from vesalius.data.ms_cxr import DATASET
from vesalius.domain.exchange import Split
from vesalius.domain.finding import Region
from vesalius.errors import DataMissing


@pytest.fixture
def root(tmp_path):
    return credentialed.ms_cxr(tmp_path)


def test_boxes_of_one_phrase_belong_together(root):
    heart, fluid, haze = DATASET.phrases(root)
    assert [p.category for p in (heart, fluid, haze)] == ["Cardiomegaly", "Pleural Effusion", "Pneumonia"]
    assert fluid.regions == (Region(8, 32, 24, 48), Region(40, 32, 56, 48))
    assert fluid.text == "drawn fluid on both sides, small"
    assert (fluid.patient, fluid.size, haze.part) == ("mimic-cxr:p10000001", (64, 64), "train")
    assert fluid.image == "mimic_cxr_jpg/files/p10/p10000001/s50000001/a.jpg"


def test_every_phrase_is_for_testing_and_its_answer_is_yes(root):
    rows = DATASET.exchanges(root, Split.TEST)
    assert not DATASET.exchanges(root, Split.TRAIN)
    assert len({x.id for x in rows}) == 3
    assert {x.gold for x in rows} == {"yes"}
    assert rows[1].question.text == "Is there evidence of pleural effusion?"
    assert rows[1].tags["published_split"] == "test"


def test_the_json_says_the_same_as_the_table(tmp_path):
    (fluid,) = DATASET.phrases(credentialed.ms_cxr_json(tmp_path))
    assert fluid.regions == (Region(8, 32, 24, 48), Region(40, 32, 56, 48))
    assert (fluid.category, fluid.size, fluid.part) == ("Pleural Effusion", (64, 64), None)


def test_films_that_are_not_there_are_missing(root):
    (root / "mimic_cxr_jpg/files/p10/p10000002/s50000001/b.jpg").unlink()
    assert check(root, "ms-cxr").missing == ("mimic_cxr_jpg/files/p10/p10000002/s50000001/b.jpg",)


def test_an_absent_set_says_how_it_is_obtained(tmp_path):
    with pytest.raises(DataMissing, match="credentialed"):
        DATASET.phrases(tmp_path)


@pytest.mark.parametrize(("old", "new"), [("label_text", "text"), (",8,32,16,16,", ",8,32,wide,16,"), (",20,24,24,24,", ",20,24,-24,24,")])
def test_a_table_that_does_not_fit_is_refused(root, old, new):
    path = root / "ms_cxr/MS_CXR_Local_Alignment_v1.1.0.csv"
    path.write_text(path.read_text().replace(old, new))
    with pytest.raises(DataFormatError):
        DATASET.phrases(root)


@pytest.mark.parametrize("content", ["", "{", "[]", '{"images": []}'])
def test_a_broken_json_is_refused(tmp_path, content):
    credentialed.ms_cxr_json(tmp_path)
    (tmp_path / "ms_cxr/MS_CXR_Local_Alignment_v1.0.0.json").write_text(content)
    with pytest.raises(DataFormatError):
        DATASET.phrases(tmp_path)
