import json

import pytest

from tests.unit.data.published import chexbench
from vesalius.data.base import DataFormatError
from vesalius.data.chexbench import DATASET, SUMMARY_QUESTION
from vesalius.domain.exchange import Split


@pytest.fixture
def root(tmp_path):
    return chexbench(tmp_path)


def test_choices_are_asked_in_words_and_empty_ones_are_none(root):
    two, four = (x for x in DATASET.exchanges(root, Split.TEST) if x.tags["task"] == "View Classification")
    assert (two.question.options, two.gold, two.closed) == (("AP", "PA"), "PA", True)
    assert two.question.text == "Which view? Answer with one of these: AP; PA"
    assert (four.gold, four.tags["images"]) == ("view 0", "chexbench/data/b.jpg")
    assert two.cluster == "chexbench:p10000001"
    assert not DATASET.exchanges(root, Split.TRAIN)


def test_a_phrase_has_its_box_and_a_findings_section_its_indication(root):
    rows = {x.tags["task"]: x for x in DATASET.exchanges(root, Split.TEST)}
    assert rows["Phrase Grounding"].tags["region"] == "10,20,30,40"
    assert rows["Findings Generation"].question.text.startswith("The indication is: Cough. Write the findings")
    assert (rows["Findings Generation"].gold, rows["Findings Generation"].closed) == ("A drawn line.", False)


def test_summaries_are_questions_about_text(root):
    (only,) = DATASET.questions(root)
    assert (only.question, only.passage, only.golds) == (SUMMARY_QUESTION, "A drawn line.", ("A line.",))


def test_items_by_source_are_read_and_empty_ones_counted(root):
    path = root / "chexbench/data.json"
    held = json.loads(path.read_text())
    held["Findings Summarization"] = {"Drawn": [*held["Findings Summarization"], {"section_findings": "", "section_impression": "x"}]}
    path.write_text(json.dumps(held))
    assert len(DATASET.questions(root)) == 1
    assert DATASET.left_out(root) == {"Findings Summarization": 1}


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('"answer": 1', '"answer": 2'),
        ('"answer": 1', '"answer": -1'),
        ('"answer": 1', '"answer": "PA"'),
        ('"answer": 1', '"answer": true'),
        ('"data/b.jpg"', '"../../b.jpg"'),
        ('"section_findings"', '"findings"'),
        ('"Phrase Grounding": [', '"Phrase Grounding": ["x", '),
    ],
)
def test_files_that_do_not_fit_are_refused(root, old, new):
    path = root / "chexbench/data.json"
    path.write_text(path.read_text().replace(old, new))
    with pytest.raises(DataFormatError):
        DATASET.exchanges(root, Split.TEST)
