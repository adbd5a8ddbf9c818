"""An answer that contradicts the file is found; what the file does not settle is left alone."""

import pytest

from vesalius.domain.exchange import Answer, Outcome
from vesalius.metrics.text import read_outcome
from vesalius.safety.contradiction import contradiction
from vesalius.safety.signals import hallucination_risk


def _said(text):
    return Answer(text, read_outcome(text))


@pytest.mark.parametrize(
    ("question", "answer", "modality", "part"),
    [
        ("Which part of the body does this image show?", "pelvic cavity", "CT", "HEAD"),
        ("What organ system is imaged?", "chest", "MR", "BRAIN"),
        ("Which body region is shown?", "head", "CT", "ABDOMEN"),
        ("What modality is used to take this image?", "MRI", "CT", "HEAD"),
        ("What type of imaging is this?", "x-ray", "MR", None),
        ("Is this a CT scan?", "no", "CT", "HEAD"),
        ("Is this an MRI?", "yes", "CT", "HEAD"),
        ("Is this image an x-ray?", "no", "DX", "CHEST"),
    ],
)
def test_contradictions(question, answer, modality, part):
    assert "the file says" in contradiction(question, _said(answer), modality, part)


@pytest.mark.parametrize(
    ("question", "answer", "modality", "part"),
    [
        ("Which part of the body does this image show?", "head", "CT", "BRAIN"),
        ("Which part of the body does this image show?", "pelvic cavity", "CT", "ABDOMEN"),
        ("Which part of the body does this image show?", "neck", "CT", "HEAD"),
        ("Which part of the body does this image show?", "pelvic cavity", "CT", None),
        ("Which part of the body does this image show?", "pelvic cavity", "CT", "WHOLEBODY"),
        ("Which organ is abnormal?", "liver", "CT", "CHEST"),
        ("Is this a CT scan?", "yes", "CT", "HEAD"),
        ("Is this an MRI?", "no", "CT", "HEAD"),
        ("Is this an x-ray?", "yes", "DX", "CHEST"),
        ("Is this a CT with contrast?", "no", "CT", "HEAD"),
        ("Is this a normal CT?", "no", "CT", "HEAD"),
        ("Is this a CT scan?", "no", "OT", "HEAD"),
        ("Is this a CT scan?", "no", None, None),
        ("Is this lung normal?", "no", "CT", "CHEST"),
        ("What modality is this?", "a picture", "CT", "HEAD"),
    ],
)
def test_what_the_file_does_not_settle(question, answer, modality, part):
    assert contradiction(question, _said(answer), modality, part) is None


def test_a_contradiction_is_the_highest_risk_however_often_it_is_repeated():
    answer = Answer("no", Outcome.NO)
    signal = hallucination_risk(answer, [answer] * 8, contradicted="the file says modality CT")
    assert signal.value == 1.0
    assert "CT" in signal.reason
    assert hallucination_risk(answer, [answer] * 8).value == 0.0
