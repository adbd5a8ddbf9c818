"""What is written of an item, and the same in LLaVA's layout."""

import json

import pytest

from tests.unit.instruct.generate.common import full, write
from vesalius.instruct.generate.lines import OutputError
from vesalius.instruct.generate.records import DIFFERENTIAL, SIGNIFICANCE, llava, record, turns, write_llava
from vesalius.instruct.generate.sources import read


@pytest.fixture
def item(tmp_path):
    return next(read(write(tmp_path / "in.jsonl", full())))


def test_a_reasoning_becomes_three_turns(item):
    value = {
        "question": "Why? ",
        "answer": "Because.",
        "differential": [{"name": "cyst", "reason": "dark"}, {"name": "abscess", "reason": "rim."}],
        "significance": "It matters.",
    }
    made = turns(value, item)
    assert made == [
        {"question": "Why?", "answer": "Because."},
        {"question": DIFFERENTIAL, "answer": "Cyst: dark. Abscess: rim."},
        {"question": SIGNIFICANCE, "answer": "It matters."},
    ]


def test_a_report_has_its_sections(item):
    assert turns({"question": "Report?", "findings": "A.", "impression": "B."}, item)[0]["answer"] == "Findings: A.\nImpression: B."


def test_boxes_are_those_of_the_input(item):
    row = record(item, "grounding", {"turns": [{"question": "Where?", "answer": "Left.", "regions": ["R1"]}]}, {})
    assert row["turns"][0]["boxes"] == [{"label": "liver", "pixels": [10.0, 20.0, 60.0, 70.0], "share": [0.1, 0.1, 0.6, 0.35], "size": [100, 200]}]
    assert row["cluster"] == "images/1.png"
    assert llava(row)["conversations"][1] == {"from": "gpt", "value": "Left. [0.100, 0.100, 0.600, 0.350]"}


def test_two_images_are_shown_for_a_comparison_and_one_otherwise(item):
    value = {"question": "What changed?", "answer": "Nothing.", "change": "unchanged", "significance": "None."}
    two, one = llava(record(item, "comparison", value, {})), llava(record(item, "report", {"question": "Q?", "findings": "A.", "impression": "B."}, {}))
    assert two["image"] == ["images/old.png", "images/1.png"]
    assert two["conversations"][0]["value"] == "<image>\n<image>\nWhat changed?"
    assert one["image"] == "images/1.png"
    assert one["conversations"][0]["value"] == "<image>\nQ?"
    assert [said["from"] for said in two["conversations"]] == ["human", "gpt", "human", "gpt"]
    assert "<image>" not in two["conversations"][2]["value"]


def test_a_whole_file_is_one_json_list(item, tmp_path):
    row = record(item, "description", {"question": "Q?", "answer": "A."}, {})
    assert write_llava([row, row], tmp_path / "llava.json") == 2
    assert len(json.loads((tmp_path / "llava.json").read_text())) == 2
    assert write_llava([], tmp_path / "none.json") == 0
    assert json.loads((tmp_path / "none.json").read_text()) == []
    with pytest.raises(OutputError, match="cannot be written"):
        write_llava([row], tmp_path / "absent" / "llava.json")
