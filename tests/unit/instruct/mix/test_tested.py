"""What tests keep out: pictures of other sets, their own as the protocol cuts them, questions in other words, patients, texts."""

import pytest

from tests.unit.data import published as small
from tests.unit.instruct import build_roots
from tests.unit.instruct.mix import roots
from tests.unit.instruct.mix.roots import row
from vesalius.data import base
from vesalius.domain.exchange import Split
from vesalius.instruct.mix import tested
from vesalius.instruct.mix.tested import PATIENT, PICTURE, QUESTION, TEXT

A, B = "vqa_rad/images/a.jpg", "vqa_rad/images/b.jpg"


@pytest.fixture
def rad(tmp_path):
    return tested.Tested(roots.rad(tmp_path))


def why(found):
    return None if found is None else found[0]


def test_another_sets_test_picture_is_kept_out(rad):
    assert why(rad.leak(row(image=A), None)) == PICTURE
    assert rad.leak(row(image="own/1.png"), None) is None


def test_a_copy_of_a_test_picture_is_kept_out(rad):
    rad.set_groups({"own/1.png": A, A: A})
    reason, met = rad.leak(row(), None)
    assert (reason, met) == (PICTURE, f"{A} of vqa-rad")


def test_a_set_split_by_question_keeps_its_questions_out_and_not_its_pictures(rad):
    own = {"image": A, "source": "vqa-rad"}
    assert why(rad.leak(row(question="Are the lungs clear?", **own), "official")) == QUESTION
    assert why(rad.leak(row(question="Is there any opacity seen?", answer="no", **own), "official")) == QUESTION
    assert rad.leak(row(question="What is the modality?", answer="x-ray", **own), "official") is None


def test_a_row_of_an_unknown_protocol_is_held_against_all(tmp_path):
    root = build_roots.nih(tmp_path)
    test = base.dataset("nih-cxr").exchanges(root, Split.TEST)[0]
    exams = tested.Tested(root)
    for protocol in (None, "by_patient"):
        assert why(exams.leak(row(image=test.image, source="nih-cxr"), protocol)) == PICTURE
        assert why(exams.leak(row(source="nih-cxr", cluster=test.cluster), protocol)) == PATIENT
    assert exams.leak(row(source="own", cluster=test.cluster), None) is None  # another set's patients have other names


def test_any_picture_of_several_counts(rad):
    assert why(rad.leak(row(images=("own/0.png", A, "own/1.png")), None)) == PICTURE


def test_a_text_question_of_a_test_is_kept_out(tmp_path):
    exams = tested.Tested(small.medmcqa(tmp_path))
    assert why(exams.text_leak("Which organ hurts in 2?", "", "Spleen")) == TEXT
    assert exams.text_leak("Which organ bleeds in the morning?", "", "Spleen") is None


def test_the_same_question_about_another_text_is_no_leak(tmp_path):
    exams = tested.Tested(small.radqa(tmp_path))
    passage = "A drawn line is seen.\nNo drawn circle."
    assert why(exams.text_leak("Is there any circle?", passage, "circle")) == TEXT
    assert exams.text_leak("Is there a circle?", "Quite another report.", "circle") is None


def test_a_long_question_is_a_leak_wherever_it_stands(tmp_path):
    root = small.pubmedqa(tmp_path)
    asked = base.dataset("pubmedqa").questions(root, Split.TEST)[0]
    exams = tested.Tested(root)
    assert exams.text_leak(asked.question, "", "yes") is None  # four words
    assert why(exams.text_leak(asked.question, asked.passage, "yes")) == TEXT


def test_what_was_not_looked_at_is_named(tmp_path):
    root = roots.rad(tmp_path)
    (root / "medmcqa").mkdir()
    told = tested.Tested(root).to_json()
    assert set(told["sets"]) == {"vqa-rad", "medmcqa"}
    assert "medmcqa official" in told["unread"]
    assert "roco" in told["absent"]
    assert told["pictures"] == 1
