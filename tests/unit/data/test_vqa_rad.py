import json

import pytest

from tests.unit.data import layout
from vesalius.data.base import DataFormatError
from vesalius.data.vqa_rad import DATASET
from vesalius.domain.exchange import Split


@pytest.fixture
def root(tmp_path):
    return layout.vqa_rad(tmp_path)


def _learned(root, protocol=None):
    return {x.id: x for s in (Split.TRAIN, Split.DEVELOPMENT) for x in DATASET.exchanges(root, s, protocol)}


def test_rows_are_cleaned(root):
    rows = _learned(root)
    assert rows["vqa-rad:1"].closed is True  # "CLOSED " with a blank
    assert rows["vqa-rad:1"].question.text == "Is the heart enlarged?"
    assert rows["vqa-rad:6"].gold == "3"  # a number in the file
    assert rows["vqa-rad:6"].closed is False
    assert rows["vqa-rad:1"].image == "vqa_rad/images/a.jpg"


def test_templates_only_in_the_leaked_regime(root):
    assert "vqa-rad:2" not in _learned(root)
    assert "vqa-rad:2" not in _learned(root, "image_disjoint")
    assert _learned(root, "leaked")["vqa-rad:2"].phrase == "template"


def test_no_published_test_row_is_ever_learned(root):
    for protocol in ("official", "image_disjoint", "leaked"):
        assert not {"vqa-rad:4", "vqa-rad:5"} & _learned(root, protocol).keys()


def test_pairs_link_by_order_although_numbers_differ(root):
    strict, inverted = DATASET.pairs(root)
    assert (strict.relation, strict.first, strict.second, strict.split) == ("strict", "vqa-rad:1", "vqa-rad:3", Split.TRAIN)
    assert (inverted.relation, inverted.golds, inverted.split) == ("inversion", ("yes", "no"), Split.TEST)
    assert DATASET.pairs(root, relation="inversion") == (inverted,)
    test = DATASET.exchanges(root, Split.TEST)
    assert {x.pair for x in test} == {inverted.id}
    assert test[0].tags["relation"] == "inversion"


def test_modality_comes_from_organ_or_from_training_words(root):
    rows = _learned(root)
    assert rows["vqa-rad:1"].tags["modality"] == "CR"
    assert rows["vqa-rad:6"].tags["modality"] == "MR"
    assert rows["vqa-rad:6"].tags["body_part"] == "HEAD"


def test_images_of_one_case_are_one_cluster(root):
    path = root / "vqa_rad/VQA_RAD_public_fields.json"
    path.write_text(path.read_text().replace("case/b.jpg", "case/a.jpg"))
    assert len({x.cluster for x in _learned(root).values()}) == 1


def _spoil(root, name, change):
    path = root / "vqa_rad" / name
    rows = json.loads(path.read_text())
    change(rows)
    path.write_text(json.dumps(rows))


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("VQA_RAD_public_fields.json", lambda rows: rows.pop()),
        ("VQA_RAD_public_fields.json", lambda rows: rows[0].update(question="another")),
        ("trainset.json", lambda rows: rows[0].pop("answer_type")),
        ("trainset.json", lambda rows: rows[0].update(image_organ="FOOT")),
        ("testset.json", lambda rows: rows[0].update(qid="x")),
    ],
)
def test_files_that_do_not_fit_are_refused_even_after_a_good_read(root, name, change):
    DATASET.exchanges(root, Split.TRAIN)
    _spoil(root, name, change)
    with pytest.raises(DataFormatError, match="do not hold VQA-RAD"):
        DATASET.exchanges(root, Split.TRAIN)
