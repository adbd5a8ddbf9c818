"""From a reply to one JSON object: strict, with named repairs, and nothing guessed."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vesalius.instruct.generate.parse import read
from vesalius.instruct.generate.schema import Unusable

OBJECT = {"question": "What is {this}?", "answer": 'A "scan", and }, too'}
TEXT = json.dumps(OBJECT)


def test_json_is_read_as_it_is():
    assert read(f"\n {TEXT} ") == (OBJECT, ())


@pytest.mark.parametrize(
    ("text", "repairs"),
    [
        (f"```json\n{TEXT}\n```", ("surroundings",)),
        (f"Sure! {TEXT} Anything else?", ("surroundings",)),
        (TEXT[:-1] + ",}", ("trailing comma",)),
        (f"Here: {TEXT[:-1]} , \n}}", ("surroundings", "trailing comma")),
    ],
)
def test_what_stands_around_and_trailing_commas_are_taken_away(text, repairs):
    assert read(text) == (OBJECT, repairs)


def test_a_line_break_in_a_text_stays_in_the_text():
    assert read('{"answer": "two\nlines, }",}') == ({"answer": "two\nlines, }"}, ("trailing comma", "line break in a text"))


def test_commas_inside_texts_stay():
    assert read('{"a": ["x,]", "y",]}') == ({"a": ["x,]", "y"]}, ("trailing comma",))


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "empty"),
        ("  \n", "empty"),
        ("I cannot help with that.", "no JSON object"),
        ("[1, 2]", "no JSON object"),
        ('"text"', "no JSON object"),
        (TEXT[:-1], "not whole"),
        (TEXT[:20], "not whole"),
        (TEXT + TEXT, "several"),
        (f"{TEXT}\nor\n{TEXT}", "several"),
        ("{'question': 'single'}", "not valid"),
        ('{"a": 1, "a": 2}', "twice"),
        ('{"a": NaN}', "NaN"),
        ('{"a": -Infinity}', "Infinity"),
        ("{" * 50 + "}" * 50, "too deep"),
        ('{"a": ' + "[" * 90_000 + "]" * 90_000 + "}", "too deep"),
        ('{"a": ' + "[" * 90_000 + "}", "too deep|not valid"),
        ("x" * 300_000, "300,000 characters"),
    ],
)
def test_what_is_no_single_whole_object_is_refused(text, says):
    with pytest.raises(Unusable, match=says):
        read(text)


@settings(max_examples=200, deadline=None)
@given(st.text(alphabet=' {}[]",:ab\\\n1', max_size=60))
def test_any_text_is_read_or_refused(text):
    try:
        value, _ = read(text)
    except Unusable:
        return
    assert isinstance(value, dict)


@settings(max_examples=100, deadline=None)
@given(
    st.dictionaries(st.text(max_size=5), st.text(max_size=20) | st.lists(st.text(max_size=5), max_size=3), max_size=4), st.text(alphabet="ab \n", max_size=8)
)
def test_an_object_comes_back_unchanged_from_any_prose(value, prose):
    assert read(f"{prose}{json.dumps(value)}{prose}")[0] == value
