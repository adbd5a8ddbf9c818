"""Pairs made of facts: right answers, right articles, nothing asked that no fact states."""

import re

import pytest

from vesalius.errors import InvalidValue
from vesalius.instruct.phrasing import same_meaning
from vesalius.instruct.templates import blank_answer, describe, finding_questions

WRONG_ARTICLE = re.compile(r"\b[Aa] (?:MRI|X-ray|ultrasound|AP|axial|opacity|[aeio]\w)|\b[Aa]n (?:CT|PA|PET|[bcdfgjklmnpqrstvwz]\w)")


def test_facts_become_pairs():
    pairs = dict(describe({"modality": "MR", "plane": "Axial", "body_part": "HEAD", "organs": "brain, eyes", "findings": "Mass|Pleural_Thickening"}))
    assert pairs["What imaging modality is this?"] == "MRI"
    assert pairs["Is this an MRI scan?"] == "yes"
    assert pairs["Is this a CT scan?"] == "no"
    assert pairs["What is the imaging plane?"] == "axial"
    assert pairs["Which part of the body is shown?"] == "head"
    assert pairs["Are the eyes visible in this image?"] == "yes"
    assert pairs["Is there a mass?"] == "yes"
    assert pairs["Is this image normal?"] == "no"
    assert pairs["Describe this image."] == "An axial MRI of the head showing a mass and pleural thickening."


def test_no_finding_is_normal_and_an_unknown_fact_is_not_asked():
    pairs = dict(describe({"modality": "DX", "body_part": "chest", "findings": "No Finding", "plane": ""}))
    assert pairs["Is this image normal?"] == "yes"
    assert pairs["What abnormality is seen in this image?"] == "none"
    assert pairs["Describe this image."] == "An X-ray of the chest without abnormality."
    assert not [q for q in pairs if "plane" in q or "view" in q]
    silent = dict(describe({"modality": "DX", "body_part": "chest"}))
    assert silent["Describe this image."] == "An X-ray of the chest."
    assert describe({}) == []


def test_axial_and_transverse_are_never_opposed():
    for plane in ("axial", "transverse"):
        asked = dict(describe({"plane": plane}))
        no = [q for q, a in asked.items() if a == "no"]
        assert no == ["Is this a coronal slice?"]


@pytest.mark.parametrize("modality", ["CT", "MR", "DX", "CR", "US", "PT", "MG", "X-Ray", "MRI"])
@pytest.mark.parametrize("view", ["PA", "AP", "LL"])
def test_articles_and_one_answer_for_each_question(modality, view):
    pairs = describe({"modality": modality, "view": view, "plane": "axial", "body_part": "Abdomen", "findings": "opacity,abscess,pneumothorax,Infiltration"})
    assert not [t for pair in pairs for t in pair if WRONG_ARTICLE.search(t)]
    assert len({q for q, _ in pairs}) == len(pairs)


@pytest.mark.parametrize("key", ["sex", "age", "Modality"])
def test_other_facts_are_refused(key):
    with pytest.raises(InvalidValue, match=key):
        describe({key: "F"})


@pytest.mark.parametrize("finding", ["Pneumothorax", "Pleural_Thickening", "opacity", "rib fractures", "Mass", "Effusion"])
@pytest.mark.parametrize("present", [True, False])
def test_finding_questions_agree_with_each_other(finding, present):
    rows = finding_questions(finding, present)
    first, answer = rows[0]
    assert answer == ("yes" if present else "no")
    assert len({q for q, _ in rows}) == len(rows) >= 6
    for question, said in rows:
        assert same_meaning(first, question) == (1 if said == answer else -1), question
        assert not WRONG_ARTICLE.search(question)
    assert {a for _, a in rows} == {"yes", "no"}


@pytest.mark.parametrize("finding", ["", "  ", "No Finding", "no_finding"])
def test_no_finding_is_no_finding_to_ask_for(finding):
    with pytest.raises(InvalidValue):
        finding_questions(finding, True)


def test_blank_answer():
    assert blank_answer() == "cannot be determined"
