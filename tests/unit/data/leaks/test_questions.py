"""The same question in other words about the same picture; and what only looks like it."""

import pytest

from vesalius.data.leaks import asked_again, repeated
from vesalius.data.leaks.wording import SAME, Answers, wording
from vesalius.domain.exchange import Exchange, Question, Split


def row(number, question, gold, *, image="a.png", split=Split.TRAIN, phrase=None):
    return Exchange(f"x:{number}", image, Question(question), gold, None, image, split, phrase=phrase)


@pytest.mark.parametrize(
    ("first", "second", "answers"),
    [
        ("Is there a rib fracture?", "is there a RIB fracture", ("No", "no")),
        ("Is/Are there pneumothorax in the patient's left lung?", "Is there a left pneumothorax in the lung?", ("yes", "yes")),
        ("Is the cardiac silhouette enlarged?", "Is there enlargement of the heart?", ("yes", "yes")),
        ("What is/are the abnormalities near/in the lung?", "Describe the lung abnormalities?", ("Pulmonary nodules", "pulmonary nodules")),
        ("Is/Are the lesion wedge-shaped? -yes/no", "Is the lesion wedge-shaped?", ("Yes", "yes")),
        ("这是T1加权吗", "这是T1加权吗?", ("是", "是")),
    ],
)
def test_the_same_in_other_words(first, second, answers):
    probability, relation = asked_again(first, second, answers)
    assert probability >= SAME
    assert relation is Answers.SAME


@pytest.mark.parametrize(
    ("first", "second", "answers"),
    [
        ("Is there a fracture?", "Which lung is opacified?", ("no", "left")),
        ("Is there a pleural effusion?", "Is the trachea midline?", ("yes", "yes")),
        ("What is the modality?", "Where is the lesion?", ("CT", "left lobe")),
        ("Is the right hemidiaphragm normal?", "Is the left hemidiaphragm normal?", ("yes", "yes")),
    ],
)
def test_other_questions_are_other(first, second, answers):
    assert asked_again(first, second, answers)[0] < SAME


@pytest.mark.parametrize(
    ("first", "second", "answers", "relation"),
    [
        ("Is the liver normal?", "Is the liver abnormal?", ("yes", "no"), Answers.SAME),
        ("Is the liver normal?", "Is the liver abnormal?", ("no", "no"), Answers.DIFFERENT),
        ("Is the liver normal?", "Is the liver normal?", ("yes", "no"), Answers.DIFFERENT),
        ("Is the lung free of nodules?", "Are there nodules in the lung?", ("yes", "no"), Answers.SAME),
        ("Is it not abnormal?", "Is it normal?", ("yes", "yes"), Answers.SAME),
        ("Which lobe?", "Which lobe?", ("", ""), Answers.DIFFERENT),
    ],
)
def test_opposites_exchange_yes_and_no(first, second, answers, relation):
    assert asked_again(first, second, answers)[1] is relation


def test_wording_of_nothing_but_a_frame():
    assert wording("Is there any?").stems
    assert asked_again("?", "?", ("a", "a")) == (1.0, Answers.SAME)


TRAIN = (
    row(1, "Is/Are the heart enlarged?", "No", phrase="template"),
    row(2, "What is the modality?", "CT"),
    row(3, "Is the heart enlarged?", "yes", image="b.png"),
)


def test_a_match_names_its_twin():
    (match,) = repeated(TRAIN, [row(9, "Is the heart enlarged?", "no", split=Split.TEST), row(10, "Is there a mass?", "no", split=Split.TEST)])
    assert (match.test.id, match.train.id, match.gives_away) == ("x:9", "x:1", True)
    assert not match.same_words
    assert "x:1" in str(match)


def test_a_twin_that_gives_the_answer_away_goes_first():
    train = [row(1, "Is the heart enlarged?", "no"), row(2, "Is the heart enlarged in this image?", "yes")]
    (match,) = repeated(train, [row(9, "Is the heart enlarged?", "yes", split=Split.TEST)])
    assert (match.train.id, match.gives_away) == ("x:2", True)


def test_other_pictures_are_other_unless_they_are_copies():
    test = [row(9, "Is the heart enlarged?", "yes", image="c.png", split=Split.TEST)]
    assert repeated(TRAIN, test) == ()
    (match,) = repeated(TRAIN, test, groups={"b.png": "b.png", "c.png": "b.png"})
    assert match.train.id == "x:3"


def test_rows_without_a_picture_are_compared_by_their_words():
    train = [row(i, f"Does drug {i} cause cough?", "yes", image="") for i in range(2000)]
    test = [row(9999, "Does the drug 7 cause coughing?", "yes", image="", split=Split.TEST), row(9998, "Is it a virus?", "no", image="", split=Split.TEST)]
    assert [m.train.id for m in repeated(train, test)] == ["x:7"]
