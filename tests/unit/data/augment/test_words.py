"""What texts forbid: a side forbids the mirror, a measure without millimetres the zoom, a question about the picture what it asks about."""

import dataclasses
import time

import numpy as np
import pytest

from vesalius.data.augment import OPERATIONS, Sample, forbidden
from vesalius.data.augment.words import GEOMETRY, no_flip
from vesalius.data.phantoms import phantom
from vesalius.domain.study import Laterality, Overlay

FILM = phantom("CR", "CHEST", 0)
HAND = dataclasses.replace(FILM, body_part="HAND")


def said(question="", answer="", **more):
    return forbidden(Sample(more.pop("image", FILM), question, answer, **more))


@pytest.mark.parametrize(
    ("question", "answer", "operation"),
    [
        ("Is there a left pleural effusion?", "yes", "flip"),
        ("Which lung is abnormal?", "The right one", "flip"),
        ("What is the rightmost organ?", "spleen", "flip"),
        ("Where is the mass?", "RUL", "flip"),
        ("Is there a midline shift?", "no", "flip"),
        ("Which marker is seen?", "L", "flip"),
        ("Is the image rotated?", "no", "rotation"),
        ("How is the image oriented?", "upright", "rotation"),
        ("What is at the top of the image?", "stomach", "shift"),
        ("How many nodules are there?", "two", "crop"),
        ("Which view is this?", "AP", "crop"),
        ("Is this an anterior-posterior image?", "no", "flip"),
        ("Does the picture contain the liver?", "no", "crop"),
        ("Is the heart enlarged?", "yes", "scale"),
        ("Describe the lesion", "a 5.6cm mass", "scale"),
        ("Where is the nodule?", "[0.1, 0.2, 0.5, 0.6]", "rotation"),
        ("Where is the nodule?", "<|box|>(12,30),(50,60)<|/box|>", "shift"),
        ("Where is the nodule?", "at 120 px from the border", "scale"),
        ("Is the film overexposed?", "no", "exposure"),
        ("Is the kidney darker than the spleen?", "no", "window_level"),
        ("Is the lesion hyperintense on T2?", "yes", "bias_field"),
        ("Is there motion artifact?", "yes", "blur"),
        ("Is the image of good quality?", "yes", "quantum_noise"),
    ],
)
def test_a_question_forbids_what_would_change_its_answer(question, answer, operation):
    assert operation in said(question, answer)


@pytest.mark.parametrize(
    ("question", "answer"),
    [("Is there evidence of pneumonia?", "yes"), ("What is the diagnosis?", "Pneumonia"), ("Is this a chest radiograph?", "yes"), ("Is there ascites?", "no")],
)
def test_a_plain_question_forbids_nothing(question, answer):
    assert said(question, answer) == {}


def test_reasons_name_the_word():
    assert said("Is there a left effusion?")["flip"] == "the text names a side ('left')"


def test_a_report_and_labels_count_for_the_side_and_not_for_the_size():
    assert "flip" in said(report="Small right effusion.")
    assert "flip" in said(labels=("left lower lobe collapse",))
    assert "rotation" in said(report="The patient is rotated.")
    assert "scale" not in said(report="Heart size is normal.")
    assert "scale" in said(report="A 4 mm nodule.")


def test_measures_may_be_zoomed_where_spacing_follows():
    known = dataclasses.replace(FILM, spacing=(0.2, 0.2))
    assert "scale" not in said("How large is the lesion?", "12 mm", image=known)
    assert "scale" in said("How large is the lesion?", "12 mm")


def test_coordinates_forbid_all_movement_whatever_the_spacing():
    known = dataclasses.replace(FILM, spacing=(0.2, 0.2))
    assert set(said(answer="(0.25, .75)", image=known)) >= GEOMETRY


def test_a_text_that_cannot_be_read_forbids_everything():
    assert set(said("左肺有结节吗？")) == set(OPERATIONS) | {"flip"}
    assert set(said(report="Нет изменений")) == set(OPERATIONS) | {"flip"}
    assert said("Is there a nodule – a β-blocker is given, 5 µg?") == {}


def test_texts_of_any_length_are_read_in_no_time():
    began = time.process_time()
    for text in ("(" + "1" * 200_000, "1" + " " * 200_000, "1, " * 60_000, "(" * 100_000, "hemi" * 50_000):
        said(report=text)
    assert time.process_time() - began < 5


def flippable(**more):
    facts = {"image": HAND, "labels": ("fracture",), "lettered": False} | more
    return Sample(**facts)


def free(sample, labels=("fracture",), symmetric=True):
    return no_flip(sample, labels, lambda _: symmetric)


def test_a_sample_without_any_sign_of_a_side_may_be_mirrored():
    assert free(flippable()) is None


@pytest.mark.parametrize(
    ("more", "reason"),
    [
        ({"labels": ()}, "no label"),
        ({"labels": ("fracture", "cardiomegaly")}, "'cardiomegaly' is not listed"),
        ({"image": dataclasses.replace(HAND, laterality=Laterality.LEFT)}, "header states a side"),
        ({"lettered": None}, "letters"),
        ({"lettered": True}, "letters"),
        ({"image": dataclasses.replace(HAND, burned_in=None)}, "burned-in"),
        ({"image": dataclasses.replace(HAND, overlays=(Overlay(np.zeros((256, 256), bool)),))}, "graphics"),
        ({"question": "Is the left thumb broken?"}, "names a side"),
        ({"report": "Bilateral changes."}, "names a side"),
    ],
)
def test_each_sign_of_a_side_forbids_the_mirror(more, reason):
    assert reason in free(flippable(**more))


def test_a_body_part_with_a_left_and_a_right_of_its_own_forbids_the_mirror():
    assert "not symmetric" in free(flippable(), symmetric=False)
