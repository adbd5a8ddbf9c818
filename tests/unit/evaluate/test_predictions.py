"""Somebody else's answers: read as items, or refused by the line and the reason."""

import json

import pytest

from vesalius.domain.exchange import Outcome
from vesalius.evaluate import predictions
from vesalius.evaluate.record import Item, RecordFormatError

ROW = {"id": "a", "question": "Is there an effusion?", "gold": "yes", "answer": "Yes."}


def _write(path, *rows, end="\n"):
    path.write_text("\n".join(row if isinstance(row, str) else json.dumps(row) for row in rows) + end)
    return path


def test_the_least_that_a_line_must_hold(tmp_path):
    (item,) = predictions.read(_write(tmp_path / "p.jsonl", ROW))
    assert (item.answer.outcome, item.exchange.cluster, item.parts) == (Outcome.YES, "a", ("predictions/test",))
    assert (item.blank, item.swap, item.rewordings) == (None, None, None)
    assert Item.from_json(json.loads(json.dumps(item.to_json()))) == item


def test_all_that_a_line_may_hold(tmp_path):
    full = {
        **ROW,
        "cluster": "patient 1",
        "image": "1.png",
        "closed": True,
        "options": ["yes", "no"],
        "split": "development",
        "confidence": 0.9,
        "p_yes": 0.9,
        "tags": {"sex": "F", "age": 61},
        "pair": "1",
        "phrase": "freeform",
        "blank": {"text": "no", "confidence": 0.6},
        "swap": "no",
        "nothing": "cannot be determined",
        "wordings": [{"text": "Is it free of effusion?", "answer": "no", "polarity": -1, "family": "negation"}],
    }
    (item,) = predictions.read(_write(tmp_path / "p.jsonl", full, end=""))  # a file of somebody's may lack its last line end
    assert item.exchange.tags == {"sex": "F", "age": "61"}
    assert item.parts == ("predictions/development",)
    assert (item.blank.confidence, item.swap.outcome, item.nothing.outcome) == (0.6, Outcome.NO, Outcome.UNDETERMINED)
    ((wording, answer),) = item.rewordings
    assert (wording.polarity, wording.family, answer.outcome) == (-1, "negation", Outcome.NO)


@pytest.mark.parametrize(
    ("rows", "says"),
    [
        ([], "holds no predictions"),
        (["[1]"], "line 1 is not a record"),
        ([ROW, {k: v for k, v in ROW.items() if k != "gold"}], "line 2 is no prediction .no 'gold'"),
        ([{**ROW, "confidense": 1}], "unknown field 'confidense'"),
        ([{**ROW, "confidence": 1.2}], "line 1 is no prediction"),
        ([{**ROW, "split": "dev"}], "line 1 is no prediction"),
        ([{**ROW, "answer": 3}], "line 1 is no prediction"),
        ([{**ROW, "blank": {"said": "no"}}], "an answer is a text"),
        ([ROW, ROW], "line 2 repeats the id 'a'"),
        ([ROW, "{"], "line 2|last line"),
    ],
)
def test_what_is_no_prediction_is_refused_by_its_line(tmp_path, rows, says):
    with pytest.raises(RecordFormatError, match=says):
        predictions.read(_write(tmp_path / "p.jsonl", *rows))


def test_an_absent_file_is_told(tmp_path):
    with pytest.raises(RecordFormatError, match="there is no such file"):
        predictions.read(tmp_path / "absent.jsonl")
