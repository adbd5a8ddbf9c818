import json
import math

import pytest

from tests.unit.evaluate.answers import item, said
from vesalius.domain.exchange import Answer, Outcome, Rewording
from vesalius.errors import InvalidValue
from vesalius.evaluate import record
from vesalius.evaluate.record import Partner, RecordFormatError


def _full():
    return item(
        1,
        "yes",
        said("yes", confidence=0.8, p_yes=0.8),
        rewordings=((Rewording("w", "typo", 1, "r"), said("no")),),
        partners=(Partner("a.png", "a", "no", "train", said("no")),),
        nothing=said("no"),
        tags={"content": "PRES"},
        pair="p",
    )


def test_an_item_survives_writing_and_reading(tmp_path):
    path = tmp_path / "items.jsonl"
    record.append(path, [_full().to_json()])
    assert record.read_items(path) == [_full()]


def test_a_torn_last_line_is_left_out_and_mended(tmp_path):
    path = tmp_path / "items.jsonl"
    record.append(path, [_full().to_json()])
    whole = path.stat().st_size
    with path.open("a") as stream:
        stream.write('{"format": 1, "id": "x2", "par')
    assert len(record.read_items(path)) == 1
    assert record.mend(path) > 0
    assert path.stat().st_size == whole
    assert record.mend(path) == 0


def test_a_last_line_without_its_end_is_torn_even_when_it_parses(tmp_path):
    path = tmp_path / "items.jsonl"
    path.write_text(json.dumps(_full().to_json()))
    assert record.read_items(path) == []


def test_a_broken_line_in_the_middle_is_refused_with_its_number(tmp_path):
    path = tmp_path / "items.jsonl"
    line = json.dumps(_full().to_json())
    path.write_text(f"{line}\n{line[:30]}\n{line}\n")
    with pytest.raises(RecordFormatError, match="line 2"):
        record.read_items(path)


@pytest.mark.parametrize("bad", ["NaN", "Infinity", "-Infinity"])
def test_a_confidence_that_is_no_number_is_refused(tmp_path, bad):
    path = tmp_path / "items.jsonl"
    path.write_text(json.dumps(_full().to_json()).replace("0.8", bad) + "\n")
    with pytest.raises(RecordFormatError, match="is not a number"):
        record.read_items(path)


@pytest.mark.parametrize(
    "change",
    [{"format": 2}, {"parts": []}, {"answer": None}, {"gold": None, "question": ""}, {"parts": ["official/elsewhere"]}, {"blank": {"text": "x"}}],
)
def test_a_record_that_is_none_is_refused(tmp_path, change):
    path = tmp_path / "items.jsonl"
    path.write_text(json.dumps({**_full().to_json(), **change}) + "\n")
    with pytest.raises(RecordFormatError, match="record 1"):
        record.read_items(path)


def test_an_id_twice_is_refused(tmp_path):
    path = tmp_path / "items.jsonl"
    record.append(path, [_full().to_json()] * 2)
    with pytest.raises(RecordFormatError, match="twice"):
        record.read_items(path)


def test_a_line_that_is_no_object_is_refused(tmp_path):
    path = tmp_path / "items.jsonl"
    path.write_text("[1]\n")
    with pytest.raises(RecordFormatError, match="not an object"):
        record.read_items(path)


def test_a_model_that_gives_no_number_is_named_with_the_item():
    with pytest.raises(InvalidValue, match=r"x7.*logprob nan"):
        record.answer_json(Answer("yes", Outcome.YES, logprob=math.nan), "x7")


def test_no_file_is_no_rows(tmp_path):
    assert record.read_rows(tmp_path / "absent") == ([], 0)


def test_writing_below_a_file_is_refused(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(record.OutputError):
        record.write_json(tmp_path / "file" / "x.json", {})
    with pytest.raises(record.OutputError):
        record.append(tmp_path / "file" / "x.jsonl", [])
