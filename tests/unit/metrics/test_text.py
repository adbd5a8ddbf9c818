import pytest

from vesalius.domain.exchange import Outcome
from vesalius.metrics.text import bleu1, exact_match, is_yes_no_question, llava_med_closed, llava_med_recall, normalise, read_outcome, token_f1, token_recall


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("  The  Right Lung. ", "right lung"),
        ("T2-weighted", "t2 weighted"),
        ("5.6 cm, focal", "5.6 cm focal"),
        ("v1. 2", "v1 2"),
        ("the patient's", "patients"),
        ("Two nodules", "2 nodules"),
        ("A", "a"),
        ("", ""),
        ("...", ""),
        ("ﬁbrosis", "fibrosis"),
        ("ÖDEM", "ödem"),
    ],
)
def test_normalise(text, expected):
    assert normalise(text) == expected
    assert normalise(normalise(text)) == expected


def test_exact_match_needs_words():
    assert exact_match("The left kidney", "left kidney.")
    assert not exact_match("left", "left kidney")
    assert not exact_match("", "")
    assert not exact_match("?", "!")


def test_overlap_scores():
    assert token_f1("right lower lobe", "lower lobe") == pytest.approx(0.8)
    assert token_recall("right lower lobe", "lower lobe") == 1.0
    assert token_recall("lobe lobe", "lobe of lobe lobe") == pytest.approx(2 / 4)
    assert token_f1("", "x") == token_recall("x", "") == bleu1("", "x") == 0.0
    assert bleu1("right", "right lower lobe") == pytest.approx(2.718281828459045**-2)


@pytest.mark.parametrize(
    ("text", "outcome"),
    [
        ("Yes", Outcome.YES),
        ("yes.", Outcome.YES),
        ("No, the lungs are clear", Outcome.NO),
        ("yes and no", Outcome.UNPARSED),
        ("Yes, there is no effusion", Outcome.UNPARSED),
        ("No... yes", Outcome.UNPARSED),
        ("normal", Outcome.TEXT),
        ("nodule", Outcome.TEXT),
        ("not seen", Outcome.TEXT),
        ("The answer is yes", Outcome.TEXT),
        ("", Outcome.UNPARSED),
        ("  ?!", Outcome.UNPARSED),
        ("cannot be determined", Outcome.UNDETERMINED),
        ("Can't be determined from this image.", Outcome.UNDETERMINED),
        ("No, it cannot be determined", Outcome.UNDETERMINED),
        ("Not determinable", Outcome.UNDETERMINED),
        ("unclear", Outcome.UNDETERMINED),
        ("It is unclear whether there is a nodule", Outcome.UNDETERMINED),
        ("I am unable to determine that", Outcome.UNDETERMINED),
        ("unclear margins of the mass", Outcome.TEXT),
        (
            "There is a large mass in the right upper lobe with spiculated margins and enlarged hilar nodes while its exact size cannot be determined",
            Outcome.TEXT,
        ),
    ],
)
def test_read_outcome(text, outcome):
    assert read_outcome(text) is outcome


@pytest.mark.parametrize(
    ("question", "expected"),
    [
        ("Is there a pneumothorax?", True),
        ("Is/Are the lungs clear? -yes/no", True),
        ("In this image, is the trachea midline?", True),
        ("any abnormal findings?", True),
        ("Can the spleen be seen?", True),
        ("Is there effusion or oedema?", True),
        ("Is the lesion enhancing or not?", True),
        ("This is a chest film. Are the hila enlarged?", True),
        ("Is the lesion solid or cystic?", False),
        ("Are there multiple masses or just a single big one?", False),
        ("Can you name the organ?", False),
        ("Do you know which lobe is affected?", False),
        ("What is abnormal?", False),
        ("Where is the mass, in the liver?", False),
        ("", False),
    ],
)
def test_is_yes_no_question(question, expected):
    assert is_yes_no_question(question) is expected


def test_llava_med_rule_is_as_lenient_as_published():
    assert llava_med_closed("Yes, there is", "yes")
    assert llava_med_closed("another normal film", "no")  # "no" inside "another", "normal": published behaviour, kept on purpose
    assert not llava_med_closed("left", "left")  # neither yes nor no occurs
    assert not llava_med_closed("no", "")


def test_llava_med_recall_counts_repetitions_of_the_prediction():
    assert llava_med_recall("right lung", "right lower lung") == pytest.approx(2 / 3)
    assert llava_med_recall("right right right", "right lung") == pytest.approx(3 / 4)
    assert token_recall("right right right", "right lung") == pytest.approx(1 / 2)
    assert llava_med_recall("", "x") == llava_med_recall("x", "") == 0.0
