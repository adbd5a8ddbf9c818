import dataclasses
import json

import pytest

from vesalius.domain.exchange import Split
from vesalius.domain.finding import Region
from vesalius.errors import InvalidValue
from vesalius.instruct import record
from vesalius.instruct.record import Box, Instruction, RecordError

ROW = Instruction(
    id="s:1",
    source="drawn",
    images=("a.jpg", "b.jpg"),
    task="temporal",
    question="Größer or smaller?",
    answer="smaller",
    group="s",
    cluster="p",
    template="change/0",
    equivalence="change",
    choices=("larger", "smaller"),
    boxes=(Box("spot", Region(1, 2, 30, 40), (100, 80), 1),),
    provenance={"fact": "drawn"},
)


def test_a_line_gives_the_instruction_back(tmp_path):
    path = tmp_path / "x.jsonl"
    assert record.write([ROW, dataclasses.replace(ROW, id="s:2", polarity=-1, images=(), boxes=())], path) == 2
    first, second = record.read(path)
    assert first == ROW
    assert (second.polarity, second.images) == (-1, ())
    assert json.loads(path.read_text().splitlines()[0])["boxes"][0]["share"] == [0.01, 0.025, 0.3, 0.5]
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(
    "wrong", [{"id": " "}, {"question": ""}, {"answer": "\n"}, {"polarity": 0}, {"images": ("a.jpg",)}, {"images": ()}, {"task": ""}, {"source": ""}]
)
def test_an_instruction_cannot_be_built_wrong(wrong):
    with pytest.raises(InvalidValue):
        dataclasses.replace(ROW, **wrong)


def test_a_box_outside_its_image_is_refused():
    with pytest.raises(InvalidValue, match="inside its image"):
        Box("spot", Region(0, 0, 101, 10), (100, 80))


def test_a_file_that_cannot_be_read_is_told_with_its_line(tmp_path):
    good = json.dumps(ROW.to_json())
    cases = {
        "empty": "",
        "text": "drawn",
        "half": good + "\n" + good[:60],
        "list": "[]",
        "other": json.dumps({**ROW.to_json(), "more": 1}),
        "format": json.dumps({**ROW.to_json(), "format": 2}),
        "kind": json.dumps({**ROW.to_json(), "images": "a.jpg"}),
        "split": json.dumps({**ROW.to_json(), "split": "exam"}),
        "box": json.dumps({**ROW.to_json(), "boxes": [{"label": "x"}]}),
        "deep": "[" * 100_000,
        "long": '"' + "x" * (1 << 20) + '"',
        "number": json.dumps({**ROW.to_json(), "question": 3}),
    }
    for name, text in cases.items():
        (tmp_path / name).write_text(text)
        with pytest.raises(RecordError, match="empty" if name == "empty" else "line 2" if name == "half" else "line 1"):
            list(record.read(tmp_path / name))
    with pytest.raises(RecordError, match="cannot be read"):
        list(record.read(tmp_path / "absent"))
    (tmp_path / "bytes").write_bytes(b"\xff\xfe{}")
    with pytest.raises(RecordError):
        list(record.read(tmp_path / "bytes"))


def test_a_failed_build_leaves_the_old_file_alone(tmp_path):
    def broken():
        yield ROW
        raise RuntimeError

    path = tmp_path / "x.jsonl"
    path.write_text("old")
    with pytest.raises(RuntimeError):
        record.write(broken(), path)
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]
    with pytest.raises(RecordError, match="cannot be written"):
        record.write([ROW], tmp_path / "no/such/x.jsonl")


def test_llava_has_a_mark_for_each_image_and_the_choices(tmp_path):
    made = record.llava(ROW)
    assert made["image"] == ["a.jpg", "b.jpg"]
    assert made["conversations"][0]["value"] == "<image>\n<image>\nGrößer or smaller?\nOptions: larger; smaller"
    text = record.llava(dataclasses.replace(ROW, images=(), boxes=()))
    assert "image" not in text
    assert record.write_llava([ROW, ROW], tmp_path / "x.json") == 2
    assert [row["id"] for row in json.loads((tmp_path / "x.json").read_text())] == ["s:1", "s:1"]
    assert record.write_llava([], tmp_path / "y.json") == 0
    assert json.loads((tmp_path / "y.json").read_text()) == []


@pytest.mark.parametrize("images", [("a.jpg", "b.jpg"), ("a.jpg",), ()])
def test_llava_gives_question_answer_images_and_choices_back(images):
    row = dataclasses.replace(ROW, images=images, boxes=())
    (again,) = record.from_llava(record.llava(row), "drawn")
    assert (again.images, again.question, again.answer, again.choices) == (row.images, row.question, row.answer, row.choices)
    assert again.split is Split.TRAIN


def test_turns_of_a_conversation_are_one_group():
    said = [{"from": who, "value": text} for who, text in (("human", "<image>\nWhat?"), ("gpt", "A."), ("human", "Where?"), ("gpt", "B."))]
    found = record.from_llava({"id": 7, "image": "a.jpg", "conversations": said}, "drawn")
    assert [(row.question, row.answer, row.group) for row in found] == [("What?", "A.", "7"), ("Where?", "B.", "7")]
    for wrong in (said[:3], said[1:], [], "x"):
        with pytest.raises(ValueError, match="turn"):
            record.from_llava({"id": 7, "image": "a.jpg", "conversations": wrong}, "drawn")


def test_a_generated_line_becomes_instructions_with_its_boxes():
    box = {"label": "spot", "pixels": [10.0, 20.0, 30.0, 40.0], "share": [0.1, 0.25, 0.3, 0.5]}
    turns = [{"question": "Where?", "answer": "There.", "boxes": [box]}, {"question": "And?", "answer": "No."}]
    line = {"id": "x:grounding", "source": "drawn", "image": "b.jpg", "prior_image": "a.jpg", "task": "comparison", "turns": turns, "meta": {"model": "m"}}
    first, second = record.from_generated(line)
    assert first.images == ("a.jpg", "b.jpg")
    assert first.boxes == (Box("spot", Region(10, 20, 30, 40), (100, 80), 1),)
    assert (second.group, second.provenance["origin"]) == ("x:grounding", "written by a model")


def test_an_exchange_is_about_the_last_image():
    made = ROW.exchange()
    assert (made.image, made.tags["prior"], made.gold, made.closed) == ("b.jpg", "a.jpg", "smaller", True)
    assert made.question.options == ROW.choices
    with pytest.raises(InvalidValue, match="no image"):
        dataclasses.replace(ROW, images=(), boxes=()).exchange()
