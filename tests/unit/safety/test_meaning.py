import pytest

from vesalius.domain.exchange import Answer, Outcome
from vesalius.safety.meaning import fold_spelling, is_long, meaning, meaning_of, same_meaning, split_claims, supports


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("The left lung.", "left lung"),
        ("CXR", "chest radiograph"),
        ("chest x-ray", "Chest Xray"),
        ("computed tomography", "CT scan"),
        ("subdural haemorrhage", "subdural hemorrhage"),
        ("haemorrhage in the brain", "cerebral bleeding"),
        ("no pleural effusion", "pleural effusion is absent"),
        ("the heart is enlarged", "enlarged heart is seen"),
        ("lungs appear abnormal", "The lung is not normal"),
        ("No abnormality", "unremarkable"),
        ("right-sided", "on the right side"),
        ("right lower lobe pneumonia", "pneumonia in the right lower lobe"),
        ("two masses", "2 mass"),
    ],
)
def test_same(first, second):
    assert same_meaning(first, second)
    assert hash(meaning(first)) == hash(meaning(second))


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("left lung", "right lung"),
        ("effusion", "no effusion"),
        ("normal", "abnormal"),
        ("with contrast", "without contrast"),
        ("mass", "masses in the liver"),
        ("left larger than right", "right larger than left"),
        ("likely pneumonia", "pneumonia"),
        ("", ""),
        ("...", "?"),
    ],
)
def test_different(first, second):
    assert not same_meaning(first, second)


def test_meaning_of_answers():
    assert meaning_of(Answer("Yes, there is", Outcome.YES)) == meaning_of(Answer("yes", Outcome.YES))
    assert meaning_of(Answer("yes", Outcome.YES)) != meaning_of(Answer("yes", Outcome.TEXT))
    assert meaning_of(Answer("", Outcome.UNPARSED)) is None


def test_claims():
    text = "The heart is enlarged. No effusion, but a 5.6 cm mass in the left lung; ribs normal"
    assert split_claims(text) == ("The heart is enlarged", "No effusion", "a 5.6 cm mass in the left lung", "ribs normal")
    assert split_claims("...") == ()
    assert is_long(text)
    assert not is_long("left lower lobe")
    assert is_long("dense consolidation with air bronchograms involving superior segment right lower lobe")


def test_support():
    sample = "Large heart, enlarged. There is no pleural effusion. Mass in the left lung."
    assert supports(sample, "no effusion")
    assert not supports(sample, "pleural effusion")
    assert supports(sample, "a mass in the left lung")
    assert not supports(sample, "a mass in the right lung")
    assert not supports(sample, "mass in the lung of the left upper lobe")
    assert not supports("", "mass")


def test_spelling():
    assert fold_spelling("Oedema, tumour, ischaemia") == fold_spelling("edema tumor ischemia")
