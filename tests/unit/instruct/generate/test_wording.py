"""Words that give the text behind an image away."""

import pytest

from vesalius.instruct.generate.tasks import TASKS, task
from vesalius.instruct.generate.wording import first_hint, hint


@pytest.mark.parametrize(
    "text",
    [
        "What does the caption say about the liver?",
        "What abnormality is mentioned in the text?",
        "According to the report, is there an effusion?",
        "Based on the description, where is the lesion?",
        "The report states that there is a mass.",
        "As shown in Figure 2, there is a mass.",
        "What does the figure show?",
        "The size is not specified.",
        "The text does not mention the heart.",
        "From the provided information, what is the diagnosis?",
        "What did the authors find?",
        "The facts say that it is a CT.",
        "I was told that this is a CT.",
        "As stated, it is a tumour.",
    ],
)
def test_talk_of_a_text_is_found(text):
    assert hint(text)


@pytest.mark.parametrize(
    "text",
    [
        "What does the image show?",
        "Please write the radiology report for this study.",
        "Is there a figure-of-eight configuration of the heart?",
        "Is the figure of eight sign present?",
        "This finding should be read together with the history of the patient.",
        "The lesion is described by a smooth border.",
        "The opacity is not seen in the lateral view.",
        "Report this film in the usual two sections.",
        "A study of the liver with contrast.",
    ],
)
def test_plain_questions_pass(text):
    assert hint(text) is None


def test_no_example_that_ships_gives_it_away():
    for name in TASKS:
        for example in task(name).prompt.examples:
            assert first_hint([example.output]) is None, example.name
