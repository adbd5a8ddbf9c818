"""Fields of a task: what is asked for, and what is taken."""

import copy

import pytest

from vesalius.errors import InvalidValue
from vesalius.instruct.generate.schema import Field, Unusable, check, in_words, json_schema, texts

FIELDS = {
    "question": Field("text", "asks", most=50),
    "turns": Field("turns", "talk", least=1, most=2),
    "boxes": Field("placed", "where", least=1, most=2),
    "differential": Field("diagnoses", "what it may be", least=1, most=2),
    "change": Field("choice", "all in all", choices=("better", "worse")),
}
GOOD = {
    "question": "What is it?",
    "turns": [{"question": "Which organ?", "answer": "The liver."}],
    "boxes": [{"question": "Where?", "answer": "On the left.", "regions": ["R1"]}],
    "differential": [{"name": "cyst", "reason": "dark"}],
    "change": "better",
}


def spoilt(path, value):
    made = copy.deepcopy(GOOD)
    here = made
    for step in path[:-1]:
        here = here[step]
    here[path[-1]] = value
    return made


def test_what_was_asked_for_is_taken_unchanged():
    assert check(GOOD, FIELDS, ["R1", "R2"]) == GOOD
    assert texts(GOOD) == ["What is it?", "Which organ?", "The liver.", "Where?", "On the left.", "cyst", "dark"]


@pytest.mark.parametrize(
    ("path", "value", "says"),
    [
        (("question",), "", "question has 0 characters"),
        (("question",), "x" * 51, "51 characters, not 1 to 50"),
        (("question",), 7, "not a text"),
        (("question",), None, "not a text"),
        (("question",), "?!", "no word"),
        (("question",), "What is in <image>?", "control mark"),
        (("question",), "end<|im_end|>", "control mark"),
        (("question",), "half \ud800", "control mark"),
        (("extra",), "x", "not asked for"),
        (("turns",), [], "0 entries"),
        (("turns",), GOOD["turns"] * 3, "3 entries"),
        (("turns",), GOOD["turns"] * 2, "same question twice"),
        (("turns",), {"question": "a"}, "not a list"),
        (("turns", 0), "text", "not an object"),
        (("turns", 0), {"question": "a"}, "has no answer"),
        (("turns", 0, "answer"), " ", "0 characters"),
        (("boxes", 0, "regions"), [], "names no region"),
        (("boxes", 0, "regions"), ["R9"], "not there"),
        (("boxes", 0, "regions"), ["R1", "R1"], "twice"),
        (("boxes", 0, "regions"), [["R1"]], "not there"),
        (("boxes", 0, "answer"), "It is R2.", "name of a region"),
        (("differential", 0), {"name": "cyst"}, "has no reason"),
        (("change",), "Better", "not one of better, worse"),
        (("change",), ["better"], "not one of"),
    ],
)
def test_anything_else_is_refused_with_the_place(path, value, says):
    with pytest.raises(Unusable, match=says):
        check(spoilt(path, value), FIELDS, ["R1", "R2"])


def test_a_missing_field_and_a_reply_that_is_no_object_are_refused():
    with pytest.raises(Unusable, match="has no change"):
        check({k: v for k, v in GOOD.items() if k != "change"}, FIELDS, ["R1"])
    with pytest.raises(Unusable, match="not an object"):
        check([GOOD], FIELDS, ["R1"])


def test_schema_and_words_name_every_field_and_allow_no_other():
    made = json_schema(FIELDS)
    assert made["required"] == list(FIELDS)
    assert made["additionalProperties"] is False
    assert made["properties"]["boxes"]["items"]["required"] == ["question", "answer", "regions"]
    assert made["properties"]["change"]["enum"] == ["better", "worse"]
    assert all(f'"{name}"' in in_words(FIELDS) for name in FIELDS)


@pytest.mark.parametrize("field", [{"kind": "number"}, {"kind": "text", "least": 5, "most": 4}, {"kind": "choice"}, {"kind": "text", "choices": ("a",)}])
def test_a_field_that_makes_no_sense_is_refused(field):
    with pytest.raises(InvalidValue):
        Field(about="x", **field)
