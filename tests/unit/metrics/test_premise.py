import pytest
from hypothesis import given
from hypothesis import strategies as st

from vesalius.metrics.premise import Stance, gives_number, stance


@pytest.mark.parametrize(
    "text",
    [
        "It cannot be determined.",
        "There is no fracture.",
        "No fracture is seen in this image.",
        "No",
        "None.",
        "Not visible",
        "The left femur is not shown in this image.",
        "The femur isn't visible.",
        "This chest film does not include the femur.",
        "The knee lies outside the field of view.",
        "I don't see a mass.",
        "There are no prior studies to compare with.",
        "That cannot be measured without a scale.",
        "Only a single examination was given.",
        "Not applicable",
    ],
)
def test_an_answer_that_denies_or_doubts_rejects(text):
    assert stance(text) is Stance.REJECTS


@pytest.mark.parametrize("text", ["A transverse fracture of the shaft.", "Yes", "1 cm", "upper lobe", "severe", "normal", "The lesion is small and round."])
def test_an_answer_that_goes_along_accepts(text):
    assert stance(text) is Stance.ACCEPTS


def test_no_growth_compares_with_an_examination_that_there_is_not():
    assert stance("No", no_rejects=False) is Stance.ACCEPTS
    assert stance("No, it has not grown.", no_rejects=False) is Stance.ACCEPTS
    assert stance("There is no previous examination.", no_rejects=False) is Stance.REJECTS
    assert stance("unknown", no_rejects=False) is Stance.REJECTS


def test_nothing_said_is_unreadable():
    assert stance("  ... ") is Stance.UNREADABLE


@given(st.text(max_size=80))
def test_every_text_has_a_stance(text):
    assert stance(text) in Stance
    assert isinstance(gives_number(text), bool)


def test_numbers_are_found_in_digits_and_words():
    assert gives_number("about 12 mm")
    assert gives_number("two centimetres")
    assert not gives_number("the width of the heart")
