import pytest

from tests.unit.data.validate.made import hits
from vesalius.data.validate import Case, finding_name
from vesalius.domain.finding import Certainty
from vesalius.errors import UnknownName

PRESENT, ABSENT, UNCERTAIN, MISSING = Certainty.PRESENT, Certainty.ABSENT, Certainty.UNCERTAIN, Certainty.UNMENTIONED


@pytest.mark.parametrize(
    ("rule", "said", "labels", "severity"),
    [
        ("label.denied", "There is no pneumothorax.", {"Pneumothorax": PRESENT}, "warning"),
        ("label.denied", "There is a pneumothorax.", {"Pneumothorax": PRESENT}, None),
        ("label.denied", "No displaced fracture.", {"Fracture": PRESENT}, None),
        ("label.denied", "The lungs are clear.", {"Nodule": PRESENT}, None),
        ("label.unstated", "The heart is normal.", {"Pneumothorax": PRESENT}, "note"),
        ("label.unstated", "The lungs are clear.", {"Nodule": PRESENT}, "note"),
        ("label.unstated", "Round density in the left base.", {"Nodule": PRESENT}, None),
        ("label.refuted", "There is a pneumothorax.", {"Pneumothorax": ABSENT}, "warning"),
        ("label.refuted", "Pneumothorax is possible.", {"Pneumothorax": ABSENT}, None),
        ("label.missing", "There is a left pleural effusion.", {"Effusion": MISSING}, "warning"),
        ("label.missing", "There may be a left pleural effusion.", {"Effusion": MISSING}, None),
        ("label.missing", "There is a left pleural effusion.", {"Edema": MISSING}, None),
        ("label.missing", "The screw is fractured.", {"Fracture": MISSING}, None),
        ("label.missing", "There is a pleural effusion.", {"Effusion": UNCERTAIN}, None),
        ("label.normal", "There is a left pleural effusion.", {"No Finding": PRESENT}, "warning"),
        ("label.normal", "The lungs are clear.", {"No Finding": PRESENT}, None),
        ("label.normal", "The lungs are clear.", {"No Finding": PRESENT, "Edema": PRESENT}, "error"),
        ("label.device", "A pacemaker is in place.", {"Support Devices": ABSENT}, "warning"),
        ("label.device", "No tubes or lines.", {"Support Devices": PRESENT}, "warning"),
        ("label.device", "A pacemaker is in place.", {"Support Devices": PRESENT}, None),
    ],
)
def test_labels_against_the_report(rule, said, labels, severity):
    assert [s for s, _ in hits(rule, report=said, labels=labels)] == ([severity] if severity else [])


def test_names_of_several_sets_are_one():
    assert {finding_name(n) for n in ("Effusion", "Pleural Effusion", "pleural_effusion")} == {"pleural_effusion"}
    assert finding_name("Pleural_Thickening") == "pleural_thickening"
    assert finding_name("No Finding") == "no_finding"


def test_a_label_that_no_list_has_is_refused():
    with pytest.raises(UnknownName, match="pneumothorax"):
        Case("a", labels={"Pneumotorax": PRESENT})
