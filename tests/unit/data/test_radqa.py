import pytest

from tests.unit.data.published import radqa
from vesalius.data.base import DataFormatError
from vesalius.data.radqa import DATASET
from vesalius.domain.exchange import Split


def test_a_question_is_answered_by_one_section_and_not_by_the_other(tmp_path):
    answered, unanswered = DATASET.questions(radqa(tmp_path), Split.TEST)
    assert (answered.question, answered.golds, answered.answerable) == ("Is there a circle?", ("No drawn circle", "circle"), True)
    assert (unanswered.golds, unanswered.answerable, unanswered.passage) == ((), False, "Nothing.")
    assert answered.cluster == unanswered.cluster == "radqa:report test"


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('"answer_start": 31', '"answer_start": 30'),
        ('"is_impossible": true', '"is_impossible": false'),
        ('"paragraphs"', '"paragraph"'),
        ('"answer_start": 31', '"answer_start": "x"'),
        ('"question": "Is there a circle?"', '"question": ""'),
    ],
)
def test_files_that_do_not_fit_are_refused(tmp_path, old, new):
    root = radqa(tmp_path)
    path = root / "radqa/dev.json"
    path.write_text(path.read_text().replace(old, new))
    with pytest.raises(DataFormatError):
        DATASET.questions(root, Split.DEVELOPMENT)
