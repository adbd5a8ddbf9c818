import pytest

from tests.unit.data import credentialed
from vesalius.data.base import DataFormatError
from vesalius.data.ms_cxr_t import DATASET, TABLE
from vesalius.domain.exchange import Split


@pytest.fixture
def root(tmp_path):
    return credentialed.ms_cxr_t(tmp_path)


def test_one_label_a_finding_and_a_pair(root):
    found = DATASET.progressions(root)
    assert [(p.finding, p.change, p.quality) for p in found] == [
        ("edema", "worsening", "one_expert"),
        ("pleural_effusion", "stable", None),
        ("pneumonia", "improving", None),
    ]
    assert found[0].prior == "mimic_cxr_jpg/files/p10/p10000001/s50000001/a.jpg"
    assert found[0].current == found[2].prior
    assert {p.patient for p in found} == {"mimic-cxr:p10000001"}


def test_the_question_names_both_films_and_the_three_changes(root):
    rows = DATASET.exchanges(root, Split.TEST)
    assert not DATASET.exchanges(root, Split.DEVELOPMENT)
    assert rows[0].question.options == ("improving", "stable", "worsening")
    assert rows[0].question.text == "Compared with the earlier film, is the pulmonary edema improving, stable or worsening?"
    assert (rows[0].gold, rows[0].tags["prior"]) == ("worsening", DATASET.progressions(root)[0].prior)


@pytest.mark.parametrize(
    ("old", "new"), [("previous_dicom_id", "before"), ("worsening", "worse"), (",10000001,50000002", ",x,50000002"), ("p10/p10000001/s50000002/b", "b")]
)
def test_a_table_that_does_not_fit_is_refused(root, old, new):
    path = root / "ms_cxr_t" / TABLE
    path.write_text(path.read_text().replace(old, new))
    with pytest.raises(DataFormatError):
        DATASET.progressions(root)


def test_an_empty_table_is_refused(root):
    (root / "ms_cxr_t" / TABLE).write_text("")
    with pytest.raises(DataFormatError):
        DATASET.progressions(root)
