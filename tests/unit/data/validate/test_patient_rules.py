import pytest

from tests.unit.data.validate.made import hits
from vesalius.domain.study import Sex


@pytest.mark.parametrize(
    ("said", "sex", "wrong"),
    [
        ("INDICATION: Pregnant, cough.", Sex.MALE, True),
        ("INDICATION: Pregnant, cough.", Sex.FEMALE, False),
        ("INDICATION: Prostate cancer.", Sex.FEMALE, True),
        ("INDICATION: 47-year-old woman.", Sex.MALE, True),
        ("INDICATION: Family history of ovarian cancer.", Sex.MALE, False),
        ("INDICATION: 60-year-old man with hysterectomy.", None, True),
        ("INDICATION: Prostate cancer.", None, False),
        ("The lungs are clear.", Sex.OTHER, False),
    ],
)
def test_words_of_the_other_sex(said, sex, wrong):
    assert bool(hits("patient.sex", report=said, sex=sex)) is wrong


@pytest.mark.parametrize(
    ("said", "age", "severity"),
    [
        ("INDICATION: 47-year-old woman.", 71.0, "warning"),
        ("INDICATION: 47 yo F.", 47.6, None),
        ("INDICATION: 347-year-old woman.", None, "error"),
        ("INDICATION: smoked for 30 years.", 71.0, None),
        ("INDICATION: Father had a stroke, 90 years old.", 50.0, None),
    ],
)
def test_another_age(said, age, severity):
    assert [s for s, _ in hits("patient.age", report=said, age_years=age)] == ([severity] if severity else [])


@pytest.mark.parametrize(
    ("said", "age", "wrong"),
    [
        ("Bone age of four years.", 63.0, True),
        ("The umbilical venous catheter ends in the liver.", 0.1, False),
        ("Atherosclerotic aorta.", 6.0, True),
        ("No degenerative change.", 6.0, False),
        ("Degenerative spine.", 60.0, False),
    ],
)
def test_words_of_another_age(said, age, wrong):
    assert bool(hits("patient.words", report=said, age_years=age)) is wrong
