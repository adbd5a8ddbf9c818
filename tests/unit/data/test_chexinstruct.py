import json
import pickle

import pytest

from tests.unit.data.published import chexinstruct, sample
from vesalius.data.base import DataFormatError
from vesalius.data.chexinstruct import DATASET
from vesalius.domain.exchange import Split

FILE = "chexinstruct/data_chexinstruct.json"


def test_each_wording_is_an_exchange_and_they_are_linked(tmp_path):
    first, second = DATASET.exchanges(chexinstruct(tmp_path), Split.TRAIN)
    assert (first.question.text, first.gold, first.image) == ("Which view?", "PA", "chexinstruct/data/d/1.jpg")
    assert (first.tags["task"], first.tags["images"]) == ("View Classification", "chexinstruct/data/d/2.jpg")
    assert first.pair == second.pair is not None
    assert first.cluster == "chexinstruct:[d] [1]"


def test_samples_without_a_film_are_questions_about_text(tmp_path):
    (only,) = DATASET.questions(chexinstruct(tmp_path), Split.TRAIN)
    assert (only.question, only.golds) == ("Context: a line. Q: a line?", ("yes",))


def test_samples_may_stand_one_on_a_line(tmp_path):
    root = chexinstruct(tmp_path)
    rows = [{**sample("[d] [1]", "data/d/1.jpg", ("Which view?", "PA")), "split": part} for part in ("train", "val", "test")]
    (root / f"{FILE}l").write_text("\n".join(json.dumps(row) for row in rows))
    assert [len(DATASET.exchanges(root, split)) for split in Split] == [1, 1, 1]


def test_the_pickle_that_the_program_writes_is_not_loaded(tmp_path):
    root = chexinstruct(tmp_path)
    (root / FILE).write_bytes(pickle.dumps(json.loads((root / FILE).read_text())))
    with pytest.raises(DataFormatError, match="pickle") as caught:
        DATASET.exchanges(root, Split.TRAIN)
    assert "json.dump" in caught.value.remedy


def test_wordings_that_cannot_be_used_are_counted(tmp_path):
    root = chexinstruct(tmp_path)
    pairs = [("Which?", ""), ("", "PA"), ("x" * 2001, "PA"), ("Which?", "PA")]
    (root / FILE).write_text(json.dumps([{"dataset_name": "[A] [B]", "train": [sample("s", "data/d/1.jpg", *pairs)]}]))
    assert len(DATASET.exchanges(root, Split.TRAIN)) == 1
    assert DATASET.left_out(root) == {"no answer": 1, "no question": 1, "a question over 2,000 characters": 1}


@pytest.mark.parametrize(
    "held",
    [
        [],
        [{"dataset_name": "x"}],
        [{"train": [{"image_path": None}]}],
        [{"train": [sample("s", "../../etc/passwd", ("Q", "A"))]}],
        [{"train": [sample("s", ["/etc/passwd"], ("Q", "A"))]}],
        [{"train": 3}],
        [sample("s", "a.jpg", ("Q", "A"))],
        [{**sample("s", "a.jpg", ("Q", "A")), "split": "exam"}],
    ],
)
def test_files_that_do_not_fit_are_refused(tmp_path, held):
    root = chexinstruct(tmp_path)
    (root / FILE).write_text(json.dumps(held))
    with pytest.raises(DataFormatError):
        DATASET.exchanges(root, Split.TRAIN)
