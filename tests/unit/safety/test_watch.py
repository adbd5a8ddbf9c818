import pytest

from vesalius.errors import InvalidValue
from vesalius.safety.policy import default_policy
from vesalius.safety.watch import Watch, watched


@pytest.mark.parametrize(
    ("text", "finding"),
    [
        ("Is there a pneumothorax?", "pneumothorax"),
        ("no pneumothoraces", "pneumothorax"),
        ("Is a tension pneumothorax present?", "pneumothorax"),
        ("pnuemothroax", "pneumothorax"),
        ("PTX?", "pneumothorax"),
        ("Has the left lung collapsed?", "pneumothorax"),
        ("Any sign of PE?", "pulmonary embolism"),
        ("emboli in the pulmonary arteries", "pulmonary embolism"),
        ("Is this aortic dissection", "aortic dissection, rupture or transection"),
        ("intracranial hemorrhage", "intracranial haemorrhage"),
        ("INTRACRANIAL HAEMORRHAGE", "intracranial haemorrhage"),
        ("Is there a bleed in the brain?", "intracranial haemorrhage"),
        ("sub-dural hematoma", "intracranial haemorrhage"),
        ("subarachnoid", "intracranial haemorrhage"),
        ("free subdiaphragmatic air", "free intraperitoneal air"),
        ("pneumoperitoneum", "free intraperitoneal air"),
        ("compression of the spinal cord", "spinal cord compression or unstable spine"),
        ("Is the ET tube tip too high?", "malpositioned tube, line or device"),
        ("the nasogastric tube is misplaced", "malpositioned tube, line or device"),
        ("bowel ischemia", "bowel ischaemia, volvulus or portal venous gas"),
        ("shift of the midline", "brain herniation or midline shift"),
    ],
)
def test_found_in_any_words(text, finding):
    assert finding in watched(text, default_policy().always_refer)


@pytest.mark.parametrize(
    "text",
    [
        "Is there pneumonia?",
        "pleural effusion",
        "Are there air-fluid levels?",
        "emphysema",
        "Which organ is shown?",
        "retroperitoneum",
        "cardiomegaly",
        "",
        "tube",
    ],
)
def test_common_words_are_not_taken_for_emergencies(text):
    assert watched(text, default_policy().always_refer) == ()


def test_words_of_a_phrase_must_be_near_each_other():
    air = [Watch("free air", ("free air",))]
    assert watched("free air", air)
    assert watched("air that lies quite free", air)
    assert not watched("free of any disease in the lungs and bones which hold air", air)


@pytest.mark.parametrize("words", [(), ("",), ("  ?",)])
def test_a_watch_without_words_is_refused(words):
    with pytest.raises(InvalidValue, match="at least one word"):
        Watch("x", words)


def test_a_watch_without_name_is_refused():
    with pytest.raises(InvalidValue, match="name"):
        Watch(" ", ("x",))
