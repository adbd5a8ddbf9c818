"""The audit counts what it says, and VQA-RAD's human pairs agree."""

import json

import pytest

from vesalius.errors import DataMissing
from vesalius.instruct.audit import HumanPair, audit, table, vqa_rad_pairs

PAIRS = (
    HumanPair("Is there a pleural effusion?", "Do you see a pleural effusion?", 1, ("Yes", "yes ")),
    HumanPair("Is the liver normal?", "Are there abnormalities in the liver?", -1, ("Yes", "No")),
    HumanPair("Is the heart enlarged?", "Is there cardiomegaly?", -1, ("Yes", "Yes")),
    HumanPair("Is the mass cystic?", "What is the mass made of?", 1, ("Yes", "fluid")),
)


def test_counts():
    result = audit(PAIRS, most=4)
    assert result.pairs == {"strict": 2, "inversion": 2}
    assert result.originals == result.reworded == 4
    assert result.rewordings == 16
    assert sum(n for _, n in result.by_family.values()) == 16
    assert result.read == {"strict": {"+1": 1, "none": 1}, "inversion": {"-1": 1, "+1": 1}}
    assert result.gold == {"agree": 3}
    assert (result.inversions_differ, result.inversions_closed) == (1, 2)
    assert result.wrong == (PAIRS[2],)


def test_golds_that_contradict_are_counted():
    result = audit([HumanPair("Is there a mass?", "Is a mass present?", 1, ("yes", "no"))])
    assert result.gold == {"disagree": 1}
    assert len(result.wrong) == 1


def test_table_names_every_family_and_survives_nothing():
    text = table(audit(PAIRS))
    assert text.startswith("| what | count |\n|---|---|\n")
    assert "| human pairs tagged strict / inversion | 2 / 2 |" in text
    assert "family negation" in text
    assert "0 of 0" in table(audit([]))


@pytest.mark.parametrize("content", ["", "{", "[1]", '[{"qid": 1}]'])
def test_a_file_that_is_not_vqa_rad_is_refused(tmp_path, content):
    path = tmp_path / "fields.json"
    path.write_text(content)
    with pytest.raises(DataMissing, match=r"fields\.json"):
        vqa_rad_pairs(path)
    with pytest.raises(DataMissing):
        vqa_rad_pairs(tmp_path / "absent.json")


def test_groups_of_more_than_two_are_left_out(tmp_path):
    row = {"qid_linked_id": "a", "question_relation": "strict agreement", "phrase_type": "para", "question": " P? ", "answer": 3}
    rows = [row, {**row, "phrase_type": "test_freeform", "question": "F?"}, *({**row, "qid_linked_id": "b"} for _ in range(3))]
    path = tmp_path / "fields.json"
    path.write_text(json.dumps(rows))
    assert vqa_rad_pairs(path) == (HumanPair("F?", "P?", 1, ("3", "3")),)


@pytest.mark.data
def test_human_pairs_of_vqa_rad(data_root):
    result = audit(vqa_rad_pairs(data_root / "vqa_rad" / "VQA_RAD_public_fields.json"))
    assert result.pairs == {"strict": 569, "inversion": 12}
    assert result.wrong == ()
    assert result.gold.get("disagree", 0) == 0
    assert result.inversions_differ == result.inversions_closed
    assert result.read["strict"]["+1"] >= 180
    assert result.reworded >= 0.97 * result.originals
