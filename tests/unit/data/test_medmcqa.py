import json

import pytest

from tests.unit.data.published import mcq, medmcqa
from vesalius.data.base import DataFormatError
from vesalius.data.medmcqa import DATASET
from vesalius.domain.exchange import Split


@pytest.mark.parametrize("first", [0, 1])
def test_choices_are_numbered_from_0_or_1_and_the_file_tells_which(tmp_path, first):
    rows = DATASET.questions(medmcqa(tmp_path, first), Split.TEST)
    assert [row.golds for row in rows] == [("Lung",), ("Liver",), ("Spleen",), ("Heart",)]
    assert rows[0].options == ("Lung", "Liver", "Spleen", "Heart")
    assert dict(rows[0].tags) == {"subject": "Anatomy", "choice_type": "single"}


@pytest.mark.parametrize("answers", [(0, 4), (1, 2, 3), (5,), (9, 1)])
def test_numbers_that_leave_it_open_are_refused(tmp_path, answers):
    root = medmcqa(tmp_path)
    (root / "medmcqa/dev.json").write_text("\n".join(json.dumps(mcq(f"d{n}", f"Q {n}?", right)) for n, right in enumerate(answers)))
    with pytest.raises(DataFormatError):
        DATASET.questions(root, Split.TEST)


def test_equal_questions_are_in_one_part(tmp_path):
    root = medmcqa(tmp_path)
    parts = {split: {row.question for row in DATASET.questions(root, split)} for split in (Split.TRAIN, Split.DEVELOPMENT)}
    assert not parts[Split.TRAIN] & parts[Split.DEVELOPMENT]
    assert [DATASET.size(root, split) for split in Split] == [18, 2, 4]


def test_rows_that_cannot_be_used_are_counted(tmp_path):
    root = medmcqa(tmp_path)
    path = root / "medmcqa/dev.json"
    bad = [mcq("x", " ", 1), mcq("y", "Q?", 1, opc=""), mcq("z", "Q?", -1), mcq("d0", "again?", 2), mcq("w", "Q?", 1, cop=None)]
    path.write_text(path.read_text() + "\n".join(json.dumps(row) for row in bad))
    assert DATASET.size(root, Split.TEST) == 4
    assert DATASET.left_out(root) == {"no question": 1, "an empty choice": 1, "no answer": 2, "the identity is there twice": 1}


def test_the_hubs_parquet_files_are_read(tmp_path):
    pa = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    root = medmcqa(tmp_path, 0)
    for old, new in (("train", "train-00000-of-00001"), ("dev", "validation-00000-of-00001")):
        path = root / f"medmcqa/{old}.json"
        rows = [json.loads(line) for line in path.read_text().splitlines()]
        (root / "medmcqa/data").mkdir(exist_ok=True)
        parquet.write_table(pa.Table.from_pylist(rows), root / f"medmcqa/data/{new}.parquet")
        path.unlink()
    assert [DATASET.size(root, split) for split in Split] == [18, 2, 4]
    assert DATASET.questions(root, Split.TEST)[3].golds == ("Heart",)
