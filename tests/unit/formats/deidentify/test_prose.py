"""Sentences in attributes that the standard's table does not name go through the cleaner; machines and public codes do not."""

from typing import Any

import pytest
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from tests.unit.formats.deidentify.made import KEY, PLANTED, image
from vesalius.formats.deidentify import Cleaners, Profile, deidentify


def cleaner(_: str, text: str) -> str:
    return text.replace(PLANTED, "SOMEONE")


def code(value: str, scheme: str, meaning: str) -> Sequence:
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = value, scheme, meaning
    return Sequence([item])


def clean(ds: Dataset, profile: Profile | None = None, text: Any = cleaner) -> tuple[Dataset, dict[str, str]]:
    new, records = deidentify(ds, profile or Profile(), KEY, cleaners=Cleaners(text=text) if text else None)
    return new, {one.path: f"{one.action} {one.rule}" for one in records}


@pytest.mark.parametrize("keyword", ["WindowCenterWidthExplanation", "PositionReferenceIndicator", "SegmentDescription", "DoseComment"])
def test_a_name_in_a_text_that_the_table_does_not_name_goes(keyword: str) -> None:
    new, records = clean(image(**{keyword: f"LUNG of {PLANTED}"}))
    assert new[keyword].value == "LUNG of SOMEONE"
    (path,) = [p for p, what in records.items() if what == "C text that the table does not name"]
    assert path == f"({new[keyword].tag.group:04X},{new[keyword].tag.element:04X})"


def test_each_value_of_a_text_is_cleaned() -> None:
    assert clean(image(WindowCenterWidthExplanation=["LUNG", PLANTED]))[0].WindowCenterWidthExplanation == ["LUNG", "SOMEONE"]


def test_a_text_in_nested_items_is_cleaned_too() -> None:
    new, records = clean(image(ProcedureCodeSequence=code("X1", "99LOCAL", f"Chest, {PLANTED}")))
    assert new.ProcedureCodeSequence[0].CodeMeaning == "Chest, SOMEONE"
    assert records["(0008,1032)[0].(0008,0104)"] == "C text that the table does not name"


def test_what_the_cleaner_leaves_alone_has_no_record() -> None:
    new, records = clean(image(WindowCenterWidthExplanation="LUNG"))
    assert new.WindowCenterWidthExplanation == "LUNG"
    assert "(0028,1055)" not in records


def test_machines_are_not_shown_to_the_cleaner() -> None:
    seen: list[str] = []
    made = {"Manufacturer": "Rossi, Inc.", "ManufacturerModelName": "Explorer 12345678", "SoftwareVersions": ["4.2", "453561454581"]}
    new, _ = clean(image(**made), text=lambda keyword, text: seen.append(keyword) or text)
    assert {name: new[name].value for name in made} == made
    assert seen == []


def test_a_code_of_a_public_scheme_stays_and_one_of_a_house_does_not() -> None:
    def digits(_: str, text: str) -> str:
        return "X" if text.isdigit() else text

    item = Dataset()
    item.ValueType, item.ConceptCodeSequence = "CODE", code("36118008", "SCT", "Pneumothorax")
    own = Dataset()
    own.ValueType, own.ConceptCodeSequence = "CODE", code("36118008", "99STAFF", "someone")
    new, _ = clean(image(ContentSequence=Sequence([item, own])), Profile(clean_structured_content=True), digits)
    assert [i.ConceptCodeSequence[0].CodeValue for i in new.ContentSequence] == ["36118008", "X"]


def test_without_a_cleaner_such_a_text_stays() -> None:
    text = f"LUNG of {PLANTED}"
    assert clean(image(WindowCenterWidthExplanation=text), text=None)[0].WindowCenterWidthExplanation == text


def test_a_cleaner_that_fails_leaves_a_dummy() -> None:
    def fails(_: str, text: str) -> str:
        raise ValueError(text)

    new, records = clean(image(WindowCenterWidthExplanation=PLANTED), text=fails)
    assert new.WindowCenterWidthExplanation == "REMOVED"
    assert "the cleaner failed" in records["(0028,1055)"]


def test_the_copy_can_be_changed_without_changing_the_source() -> None:
    source = image(ImageType=["ORIGINAL", "PRIMARY"], WindowCenter=["40", "50"])
    new, _ = clean(source)
    new.ImageType[0], new.WindowCenter[0], new.Rows = "DERIVED", 1, 9
    assert list(source.ImageType) == ["ORIGINAL", "PRIMARY"]
    assert (source.WindowCenter[0], source.Rows) == (40, 2)
