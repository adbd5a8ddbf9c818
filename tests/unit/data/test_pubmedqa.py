import json

import pytest

from tests.unit.data.published import pubmedqa
from vesalius.data.base import DataFormatError
from vesalius.data.pubmedqa import ANSWERS, DATASET
from vesalius.domain.exchange import Split


def test_the_passage_has_no_conclusion(tmp_path):
    root = pubmedqa(tmp_path)
    first = DATASET.questions(root, Split.TEST)[0]
    assert (first.question, first.passage) == ("Does drawing 0 help?", "Drawn background.\nDrawn results 0.")
    assert (first.options, first.golds, first.tags["conclusion"]) == (ANSWERS, ("yes",), "It is drawn.")


def test_the_published_test_part_is_kept_and_the_rest_is_cut_by_a_hash(tmp_path):
    root = pubmedqa(tmp_path)
    assert [DATASET.size(root, split) for split in Split] == [2, 2, 4]
    assert {row.id for row in DATASET.questions(root, Split.TEST)} == {f"pubmedqa:{n}" for n in range(100, 104)}
    path = root / "pubmedqa/ori_pqal.json"
    before = {row.id for row in DATASET.questions(root, Split.DEVELOPMENT)}
    path.write_text(json.dumps(dict(reversed(json.loads(path.read_text()).items()))))
    assert {row.id for row in DATASET.questions(root, Split.DEVELOPMENT)} == before


@pytest.mark.parametrize(
    ("name", "old", "new"),
    [
        ("test_ground_truth", '"100": "yes"', '"100": "no"'),
        ("test_ground_truth", '"100"', '"999"'),
        ("ori_pqal", '"107"', '"106"'),
        ("ori_pqal", '"final_decision": "maybe"', '"final_decision": "perhaps"'),
        ("ori_pqal", '"CONTEXTS"', '"CONTEXT"'),
    ],
)
def test_files_that_do_not_fit_are_refused(tmp_path, name, old, new):
    root = pubmedqa(tmp_path)
    path = root / f"pubmedqa/{name}.json"
    path.write_text(path.read_text().replace(old, new))
    with pytest.raises(DataFormatError):
        DATASET.questions(root, Split.TRAIN)
