import numpy as np
import pytest

from tests.unit.data.validate import made
from tests.unit.data.validate.made import hits
from vesalius.data.validate.case import Case, Facts
from vesalius.data.validate.header_rules import polarity
from vesalius.domain.study import Window


@pytest.mark.parametrize(
    ("rule", "elements", "severities"),
    [
        ("header.view", {"SeriesDescription": "CHEST LATERAL"}, ["error"]),
        ("header.view", {"StudyDescription": "CHEST PA AND LAT"}, []),
        ("header.view", {"SeriesDescription": "chest_pa"}, []),
        ("header.view", {"ViewPosition": "AP", "StudyDescription": "CHEST PA AND LAT"}, ["warning"]),
        ("header.side", {"Laterality": "R", "SeriesDescription": "LEFT HAND"}, ["error"]),
        ("header.side", {"Laterality": "R", "ImageLaterality": "L"}, ["error"]),
        ("header.side", {"Laterality": "R", "SeriesDescription": "RIGHT HAND"}, []),
        ("header.body_part", {"StudyDescription": "KNEE 2 VIEWS"}, ["warning"]),
        ("header.body_part", {"StudyDescription": "SHOULDER"}, []),
        ("header.body_part", {"StudyDescription": "SKULL"}, ["warning"]),
        ("header.body_part", {"StudyDescription": "CHEST AND ABDOMEN"}, []),
        ("header.modality", {"Modality": "CT"}, ["error"]),
        ("header.modality", {"StudyDescription": "MRI BRAIN"}, ["warning"]),
        ("header.modality", {"Modality": "DX", "StudyDescription": "XR CHEST"}, []),
        ("header.pixels", {}, []),
        ("header.pixels", {"PixelData": bytes(100)}, ["error"]),
        ("header.pixels", {"PixelData": bytes(200)}, ["note"]),
        ("header.pixels", {"HighBit": 9}, ["warning"]),
        ("header.pixels", {"BitsStored": 20, "HighBit": 19}, ["error"]),
        ("header.spacing", {"PixelSpacing": [0, 0.2]}, ["error"]),
        ("header.window", {"WindowCenter": 50, "WindowWidth": 0}, ["error"]),
        ("header.window", {"WindowCenter": [50, 60], "WindowWidth": 400}, ["warning"]),
        ("header.dates", {"StudyDate": "20310101"}, ["error"]),
        ("header.dates", {"StudyDate": "20200101", "PatientBirthDate": "20210101"}, ["error"]),
        ("header.dates", {"StudyDate": "20200101", "PatientBirthDate": "19500101"}, []),
        ("header.age", {"PatientAge": "030Y", "PatientBirthDate": "19500101", "StudyDate": "20200101"}, ["warning"]),
        ("header.age", {"PatientAge": "070Y", "PatientBirthDate": "19500101", "StudyDate": "20200101"}, []),
        ("header.age", {"PatientAge": "130Y"}, ["error"]),
    ],
)
def test_headers(rule, elements, severities):
    facts = {"header": made.header(**elements)}
    if rule == "header.view" and not any("Description" in k for k in elements):
        facts["header"].SeriesDescription = "CHEST"
    assert [s for s, _ in hits(rule, **facts)] == severities


def test_no_remark_repeats_a_birth_date():
    found = hits("header.age", header=made.header(PatientAge="030Y", PatientBirthDate="19500101", StudyDate="20200101"))
    assert "1950" not in str(found)


def test_a_film_shown_as_a_negative():
    assert hits("header.photometric", image=made.image()) == []
    assert [s for s, _ in hits("header.photometric", image=made.image(inverted=True))] == ["error"]
    assert [s for s, _ in hits("header.photometric", image=made.image(255 - made.film(), view=None))] == ["warning"]
    assert hits("header.photometric", image=made.image(255 - made.film(), inverted=True)) == []
    assert hits("header.photometric", image=made.image(inverted=True, view="LL")) == []
    assert hits("header.photometric", image=made.image(inverted=True, body_part="HAND")) == []


@pytest.mark.parametrize("pixels", [np.zeros((8, 8)), np.zeros((200, 200)), np.full((200, 200), 7)])
def test_a_picture_without_parts_has_no_polarity(pixels):
    assert polarity(Facts(Case("a", image=made.image(pixels)), made.TODAY)) is None


def test_an_image_of_another_size_than_its_header():
    assert hits("header.pixels", header=made.header(), image=made.image())[0][0] == "error"


def test_spacing_that_no_detector_has():
    assert [s for s, _ in hits("header.spacing", header=made.header(), image=made.image(spacing=(5.0, 5.0)))] == ["warning"]
    assert [s for s, _ in hits("header.spacing", header=made.header(), image=made.image(spacing=(0.9, 0.5)))] == ["note"]
    assert hits("header.spacing", header=made.header(), image=made.image(spacing=(0.15, 0.15))) == []
    big = made.image(np.tile(made.film(), (20, 20)), spacing=(0.15, 0.15))
    assert [s for s, _ in hits("header.spacing", header=made.header(), image=big)] == ["warning"]


def test_a_window_that_hides_the_picture():
    hidden = made.image(voi=(Window(5000, 10, "LINEAR_EXACT"),))
    assert [s for s, _ in hits("header.window", header=made.header(), image=hidden)] == ["warning"]


def test_malformed_values_are_no_exception():
    dataset = made.header(PatientAge="??", StudyDate="99999999")
    dataset.add_new("WindowWidth", "LO", "wide")
    for rule in ("header.age", "header.dates", "header.window", "header.spacing", "header.pixels", "header.modality"):
        hits(rule, header=dataset)
