import pytest

from tests.unit.data.validate.made import hits
from vesalius.data.validate import Case, ClinicalValidator
from vesalius.data.validate.text import LONGEST


@pytest.mark.parametrize(
    ("said", "wrong"),
    [
        ("There is a right pleural effusion. There is no pleural effusion.", True),
        ("There is a right pleural effusion. There is no left pleural effusion.", False),
        ("Small effusion. No large effusion.", False),
        ("There is a focal opacity in the right upper lobe. There is no focal opacity.", True),
        ("Streaky opacity. No focal airspace disease.", False),
        ("Possible nodule. No nodule.", False),
        ("The effusion has resolved. No pleural effusion.", False),
        ("Hip fracture. No fracture of the remaining bones.", False),
        ("The most lateral screw is fractured. No fracture.", False),
        ("Pulmonary edema. No laryngeal edema.", False),
        ("Persistent infiltrate. No XXXX infiltrates.", False),
        ("Mediastinal mass. No mass in the lungs.", False),
        ("The heart is enlarged. Lungs are clear.", False),
    ],
)
def test_stated_and_denied(said, wrong):
    assert bool(hits("self.denied", report=said)) is wrong


def test_both_places_are_evidence():
    report = "FINDINGS: There is a nodule in the left apex.\nIMPRESSION: There is no nodule."
    (remark, *_) = ClinicalValidator(["self.denied"])(Case("a", report=report)).remarks
    assert [(e.name, report[slice(*e.span)]) for e in remark.evidence] == [
        ("findings", "There is a nodule in the left apex"),
        ("impression", "There is no nodule"),
    ]


@pytest.mark.parametrize(
    ("said", "wrong"),
    [
        ("Heart size is normal. Moderate cardiomegaly.", True),
        ("The lungs are clear. There is a 2 cm nodule in the left apex.", True),
        ("The lungs are otherwise clear. There is a 2 cm nodule in the left apex.", False),
        ("The remainder of the lungs is clear. Airspace disease in the left base.", False),
        ("The lungs are clear. Linear scarring.", False),
        ("No acute bony abnormality. Rib fractures.", False),
        ("Heart size is normal. Mild cardiomegaly is possible.", False),
    ],
)
def test_stated_in_an_organ_called_normal(said, wrong):
    assert bool(hits("self.normal", report=said)) is wrong


@pytest.mark.parametrize(
    ("findings", "impression", "wrong"),
    [
        ("Opacity in the left base.", "Right lower lobe opacity.", True),
        ("Opacity in the left base.", "Left lower lobe opacity.", False),
        ("Opacities in the left and right base.", "Right lower lobe opacity.", False),
        ("Opacity.", "Right lower lobe opacity.", False),
        ("The left atrium is enlarged.", "Cardiomegaly on the right.", False),
    ],
)
def test_left_in_the_findings_right_in_the_impression(findings, impression, wrong):
    assert bool(hits("self.side", report=f"FINDINGS: {findings}\nIMPRESSION: {impression}")) is wrong


@pytest.mark.parametrize(
    ("said", "wrong"),
    [
        ("There is a pneumothorax. No acute cardiopulmonary disease.", True),
        ("Right upper lobe pneumonia. No acute findings.", True),
        ("Stable small pneumothorax. No acute cardiopulmonary disease.", False),
        ("No pneumothorax. No acute cardiopulmonary disease.", False),
        ("There is a pneumothorax.", False),
    ],
)
def test_no_acute_beside_an_acute_finding(said, wrong):
    assert bool(hits("self.acute", report=said)) is wrong


def test_empty_sections_and_reports_that_state_nothing():
    assert hits("self.empty", report="FINDINGS:\nIMPRESSION: Clear lungs.") == [("warning", "the section findings is empty")]
    for nothing in ("", "   \n", "FINDINGS:\nIMPRESSION:\n", "INDICATION: Cough."):
        assert [s for s, _ in hits("self.empty", report=nothing)] == ["error"]
    assert hits("self.empty", report="The lungs are clear.") == []


@pytest.mark.parametrize("blank", ["[Insert side]", "________", "****", "{finding}", "<BR>", "???", "TBD", "%NAME%", "&lt;", "lorem ipsum"])
def test_left_overs_of_templates(blank):
    assert [s for s, _ in hits("self.leftover", report=f"The lungs are {blank} clear.")] == ["warning"]


def test_marks_of_deidentified_sets_are_no_left_overs():
    assert hits("self.leftover", report="Seen by Dr. XXXX on ___ with [**Name 1**] <XXXX>.") == []


def test_the_same_sentence_twice():
    said = "The lungs are hypoinflated today."
    assert hits("self.repeated", report=f"{said} {said} No effusion. No effusion.") == [("note", "the same sentence stands twice")]


def test_more_text_than_is_read_is_told():
    assert hits("self.long", report="a " * LONGEST)[0][0] == "error"
    assert hits("self.long", report="Clear lungs.") == []
