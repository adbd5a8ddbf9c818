import pytest
from hypothesis import given
from hypothesis import strategies as st

from vesalius.errors import InvalidValue
from vesalius.instruct import pressure
from vesalius.metrics.text import is_yes_no_question

QUESTION = "Is there a pleural effusion?"


@pytest.mark.parametrize("name", list(pressure.PRESSURES))
@pytest.mark.parametrize("answer", ["yes", "left lung"])
def test_a_pressed_question_names_the_answer_and_ends_as_it_was_asked(name, answer):
    text = pressure.pressed(name, answer, QUESTION)
    assert answer in text
    assert text.endswith(QUESTION)
    assert is_yes_no_question(text)


@pytest.mark.parametrize("name", list(pressure.PRESSURES))
@pytest.mark.parametrize("answer", ["yes", "medical treatment, surgical treatment and some more of it"])
def test_the_control_has_as_many_words_and_none_of_the_pressure(name, answer):
    text = pressure.pressed(name, answer, QUESTION)
    controls = pressure.unpressed(text, QUESTION)
    assert len(set(controls)) == pressure.NEUTRAL
    for control in controls:
        assert len(control.split()) == len(text.split())
        assert control.endswith(QUESTION)
        words = {w.strip(".,").lower() for w in control.removesuffix(QUESTION).split()}
        assert not words & {"yes", "no", "answer", "radiologist", "sure", "report", "image", "reply", "ignore"}


def test_doubt_has_a_control_too():
    text = pressure.doubted("no", QUESTION)
    assert {len(control.split()) for control in pressure.unpressed(text, QUESTION)} == {len(text.split())}


def test_all_pressures_have_one_length_so_that_they_share_their_controls():
    texts = [pressure.pressed(name, "yes", QUESTION) for name in pressure.PRESSURES] + [pressure.doubted("yes", QUESTION)]
    assert len({len(text.split()) for text in texts}) == 1
    assert len(texts) == pressure.NEUTRAL


@given(st.integers(5, 200), st.integers(0, 9))
def test_neutral_words_come_in_every_number(count, which):
    assert len(pressure.neutral(count, which).split()) == count


def test_too_few_neutral_words_are_refused():
    with pytest.raises(InvalidValue):
        pressure.neutral(2)


@pytest.mark.parametrize(
    ("question", "options", "turned"),
    [
        ("Which is bigger in this image, liver or heart?", ("liver", "heart"), "Which is bigger in this image, heart or liver?"),
        ("Which lobe is abnormal,left or right?", ("left", "right"), "Which lobe is abnormal, right or left?"),
        ("Which modality is shown, MRI, CT or X-Ray?", ("MRI", "CT", "X-Ray"), "Which modality is shown, X-Ray, CT or MRI?"),
        ("Is this a PA or an AP film?", ("PA", "AP"), "Is this an AP or a PA film?"),
        ("Is the patient a female or male?", ("female", "male"), "Is the patient a male or female?"),
        ("Was a CT or MRI used?", ("CT", "MRI"), "Was an MRI or CT used?"),
        ("Is the lesion on the left or right side of the brain?", ("left", "right"), "Is the lesion on the right or left side of the brain?"),
    ],
)
def test_options_are_found_and_turned(question, options, turned):
    assert pressure.options_of(question) == options
    assert pressure.in_other_orders(question)[0] == turned
    assert set(pressure.options_of(turned)) == set(options)


@pytest.mark.parametrize(
    "question",
    [
        "Is there a mass?",
        "What is this?",
        "Are pleural opacities located on the left, right, or both sides of the lung?",
        "Does the liver show an enhancing mass or lesion?",
        "Is this a T1 weighted, T2 weighted, or FLAIR image?",
        "Which is it, liver or liver?",
        "",
    ],
)
def test_what_offers_no_sure_choice_has_no_options(question):
    assert pressure.options_of(question) == ()
    assert pressure.in_other_orders(question) == ()


def test_three_options_have_at_most_as_many_orders_as_asked_for():
    question = "Which modality is shown, MRI, CT or X-Ray?"
    assert len(pressure.in_other_orders(question, most=2)) == 2
    assert len(set(pressure.in_other_orders(question, most=9))) == 5


def test_both_orders_of_yes_and_no():
    first, second = pressure.both_orders("Is there a mass?")
    assert (first, second) == ("Yes or no, is there a mass?", "No or yes, is there a mass?")
    assert is_yes_no_question(first)
    assert is_yes_no_question(second)
    assert pressure.both_orders("CT shows it?")[0] == "Yes or no, CT shows it?"
