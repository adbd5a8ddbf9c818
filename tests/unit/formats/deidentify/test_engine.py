"""One file as a whole: references, dates, private data, what the file says of itself, what is refused, and silence about values."""

from __future__ import annotations

import copy
import datetime
import io
import logging
from typing import Any

import pydicom
import pytest
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from tests.unit.formats.deidentify.made import KEY, OTHER, PLANTED, image, reread, written
from vesalius.errors import UserError
from vesalius.formats.deidentify import Cleaners, Profile, deidentify

MODIFIED = Profile(retain_longitudinal_modified_dates=True)
SAFE = Profile(retain_safe_private=True)


def clean(ds: Dataset, profile: Profile | None = None, **more: Any) -> Dataset:
    return deidentify(ds, profile or Profile(), KEY, **more)[0]


def test_two_files_that_refer_to_each_other_still_do() -> None:
    item = Dataset()
    item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = "1.2.840.10008.5.1.4.1.1.7", "1.2.826.99.1"
    first, second = image(), image(SOPInstanceUID="1.2.826.99.8", ReferencedImageSequence=Sequence([item]), FrameOfReferenceUID="1.2.840.10008.1.4.1.1")
    a, b = clean(first), clean(second)
    assert b.ReferencedImageSequence[0].ReferencedSOPInstanceUID == a.SOPInstanceUID == a.file_meta.MediaStorageSOPInstanceUID
    assert a.SOPInstanceUID != first.SOPInstanceUID
    assert b.ReferencedImageSequence[0].ReferencedSOPClassUID == first.SOPClassUID
    assert a.StudyInstanceUID == b.StudyInstanceUID != first.StudyInstanceUID
    assert a.SOPInstanceUID != b.SOPInstanceUID
    assert b.FrameOfReferenceUID == "1.2.840.10008.1.4.1.1"
    assert a.PatientID == b.PatientID == KEY.patient("MRN-778899") == str(a.PatientName)
    assert deidentify(first, Profile(), OTHER)[0].SOPInstanceUID != a.SOPInstanceUID


def day(text: str) -> datetime.date:
    return datetime.datetime.strptime(text[:8], "%Y%m%d").date()  # noqa: DTZ007


def test_dates_move_alike_within_a_patient_and_not_alike_between_patients() -> None:
    item = Dataset()
    item.StudyDate, item.DateTime = "20240301", "20240301235959.123456-0500"
    first = clean(image(StudyDate="20240229", ConceptCodeSequence=Sequence([item])), MODIFIED)
    later = clean(image(StudyDate="20250301", SOPInstanceUID="1.2.3.9"), MODIFIED)
    other = clean(image(PatientID="MRN-1"), MODIFIED)
    assert day(later.StudyDate) - day(first.StudyDate) == datetime.date(2025, 3, 1) - datetime.date(2024, 2, 29)
    nested = first.ConceptCodeSequence[0]
    assert day(nested.DateTime) - day(first.StudyDate) == datetime.timedelta(1)
    assert nested.DateTime.endswith("235959.123456-0500")
    assert first.StudyTime == "101112"
    assert day(other.StudyDate) != day(first.StudyDate)
    assert first.PatientBirthDate == ""
    assert first.LongitudinalTemporalInformationModified == "MODIFIED"


@pytest.mark.parametrize(("value", "length"), [("2024", 4), ("202402", 6), ("2024022912+0100", 15), ("", 0)])
def test_a_date_time_keeps_its_precision(value: str, length: int) -> None:
    assert len(clean(image(AcquisitionDateTime=value), MODIFIED).AcquisitionDateTime) == length


@pytest.mark.parametrize("value", ["20249999", PLANTED, "00010101"])
def test_what_is_no_date_is_treated_by_the_basic_profile(value: str) -> None:
    ds = image()
    ds.InstanceCreationDate = ds.ContentDate = "20240101"
    raw = written(ds).replace(b"20240101", value.encode().ljust(8)[:8])
    result = clean(pydicom.dcmread(io.BytesIO(raw)), MODIFIED)
    assert result.InstanceCreationDate == result.ContentDate == "19000101"


def test_an_age_above_89_becomes_90() -> None:
    keep = Profile(retain_patient_characteristics=True)
    assert clean(image(PatientAge="097Y"), keep).PatientAge == "090Y"
    assert clean(image(PatientAge="089Y"), keep).PatientAge == "089Y"
    assert clean(image(PatientAge="100M"), keep).PatientAge == "100M"


def private(ds: Dataset | None = None) -> Dataset:
    """Blocks of two makers, one of them known to the standard, with a known block inside a private sequence."""
    ds = ds if ds is not None else image()
    block = ds.private_block(0x7053, "Philips PET Private Group", create=True)
    block.add_new(0x00, "DS", "1.5")
    block.add_new(0x03, "ST", PLANTED)
    own = ds.private_block(0x0009, "ACME", create=True)
    own.add_new(0x01, "LO", PLANTED)
    own.add_new(0x02, "DS", "2.5")
    inner = Dataset()
    inner.PatientName = f"{PLANTED}^ANNA"
    inner.SeriesDescription = PLANTED
    inner.Rows = 7
    deep = inner.private_block(0x7053, "Philips PET Private Group", create=True)
    deep.add_new(0x09, "DS", "3.5")
    deep.add_new(0x10, "LO", PLANTED)
    stack = ds.private_block(0x2001, "Philips Imaging DD 001", create=True)
    stack.add_new(0x5F, "SQ", Sequence([inner]))
    stack.add_new(0x6D, "PN", PLANTED)
    return ds


def test_private_attributes_go_with_their_creators() -> None:
    result, records = deidentify(private(), Profile(), KEY)
    assert not [tag for tag in result.keys() if tag.is_private]  # noqa: SIM118
    assert PLANTED.encode() not in written(result)
    assert {r.rule for r in records if r.path.startswith("(7053")} == {"basic X"}


def test_safe_private_attributes_of_the_standard_stay_also_inside_private_ones() -> None:
    result = clean(private(), SAFE)
    assert result[0x7053, 0x1000].value == 1.5
    assert result[0x7053, 0x0010].value == "Philips PET Private Group"
    assert (0x0009, 0x0010) not in result
    (inner,) = result[0x2001, 0x105F].value
    assert inner[0x7053, 0x1009].value == 3.5
    assert KEY.made_patient(str(inner.PatientName))
    assert inner.Rows == 7
    assert "SeriesDescription" not in inner
    assert PLANTED.encode() not in written(result)


def test_a_sequence_that_is_replaced_keeps_no_private_attribute() -> None:
    item = private(Dataset())
    result = clean(image(ContentSequence=Sequence([item])), SAFE)
    assert not [tag for tag in result.ContentSequence[0].keys() if tag.is_private]  # noqa: SIM118
    assert PLANTED.encode() not in written(result)


def characteristics(creator: str, status: str, elements: list[int] | None = None) -> Dataset:
    item = Dataset()
    item.PrivateGroupReference, item.PrivateCreatorReference, item.BlockIdentifyingInformationStatus = 0x0009, creator, status
    if elements:
        item.NonidentifyingPrivateElements = elements
    return item


@pytest.mark.parametrize(
    ("items", "kept"),
    [
        ([characteristics("ACME", "SAFE")], [0x1001, 0x1002]),
        ([characteristics("ACME", "MIXED", [0x02])], [0x1002]),
        ([characteristics("ACME", "UNSAFE")], []),
        ([characteristics("ACME", "SAFE"), characteristics("ACME", "UNSAFE")], []),
        ([characteristics("OTHER", "SAFE")], []),
        ([Dataset()], []),
    ],
)
def test_what_the_file_itself_calls_safe_stays_when_asked(items: list[Dataset], kept: list[int]) -> None:
    ds = private(image(PrivateDataElementCharacteristicsSequence=Sequence(items)))
    result = clean(ds, SAFE)
    assert [tag.element for tag in result.keys() if tag.group == 9 and tag.element > 0xFF] == kept  # noqa: SIM118
    assert ((0x0009, 0x0010) in result) == bool(kept)
    assert not [tag for tag in clean(ds).keys() if tag.is_private]  # noqa: SIM118


def test_safe_private_dates_and_uids_follow_their_options() -> None:
    ds = image(PrivateDataElementCharacteristicsSequence=Sequence([characteristics("ACME", "SAFE")]))
    block = ds.private_block(0x0009, "ACME", create=True)
    block.add_new(0x01, "DA", "20240229")
    block.add_new(0x02, "UI", "1.2.826.99.2")
    block.add_new(0x03, "UN", b"\xfe\xff\x00\xe0\0\0\0\0")
    assert [e.tag.element for e in clean(ds, SAFE) if e.tag.group == 9] == [0x10, 0x1002]
    moved = clean(ds, Profile(retain_safe_private=True, retain_longitudinal_modified_dates=True))
    assert moved[0x0009, 0x1001].value == moved.StudyDate
    assert moved[0x0009, 0x1002].value == moved.StudyInstanceUID
    full = clean(ds, Profile(retain_safe_private=True, retain_longitudinal_full_dates=True, retain_uids=True))
    assert (full[0x0009, 0x1001].value, full[0x0009, 0x1002].value) == ("20240229", "1.2.826.99.2")


def test_the_file_says_what_was_done() -> None:
    profile = Profile(retain_longitudinal_modified_dates=True, retain_device_identity=True)
    result = clean(image(BurnedInAnnotation="NO", DeidentificationMethod=[PLANTED, "by hand"]), profile)
    assert result.PatientIdentityRemoved == "YES"
    assert "PS3.15 2026d Basic Profile" in result.DeidentificationMethod
    assert f"key {KEY.id}" in result.DeidentificationMethod
    assert len(result.DeidentificationMethod) <= 64
    codes = [(i.CodeValue, i.CodingSchemeDesignator, i.CodeMeaning) for i in result.DeidentificationMethodCodeSequence]
    assert codes == [
        ("113100", "DCM", "Basic Application Confidentiality Profile"),
        ("113107", "DCM", "Retain Longitudinal Temporal Information Modified Dates Option"),
        ("113109", "DCM", "Retain Device Identity Option"),
    ]
    assert result.BurnedInAnnotation == "NO"
    assert clean(image()).LongitudinalTemporalInformationModified == "REMOVED"
    assert clean(image(), Profile(retain_longitudinal_full_dates=True)).LongitudinalTemporalInformationModified == "UNMODIFIED"


def test_a_file_whose_pixels_name_the_patient_is_not_called_clean() -> None:
    result = clean(image(BurnedInAnnotation="YES"))
    assert result.PatientIdentityRemoved == "NO"
    assert result.BurnedInAnnotation == "YES"


def test_codes_of_earlier_steps_stay_when_they_are_known() -> None:
    items = [Dataset(), Dataset()]
    items[0].CodeValue, items[0].CodeMeaning = "113101", PLANTED
    items[1].CodeValue, items[1].CodeMeaning = "99999", PLANTED
    result = clean(image(DeidentificationMethodCodeSequence=Sequence(items)))
    assert [i.CodeMeaning for i in result.DeidentificationMethodCodeSequence] == ["Basic Application Confidentiality Profile", "Clean Pixel Data Option"]


def test_meta_information_and_preamble_say_nothing_of_the_origin() -> None:
    result = reread(clean(image()))
    assert result.preamble == bytes(128)
    assert [e.keyword for e in result.file_meta] == [
        "FileMetaInformationGroupLength",
        "FileMetaInformationVersion",
        "MediaStorageSOPClassUID",
        "MediaStorageSOPInstanceUID",
        "TransferSyntaxUID",
        "ImplementationClassUID",
        "ImplementationVersionName",
    ]
    assert PLANTED.encode() not in written(result)
    assert result.PixelData == b"\1\2\3\4"


def test_other_hiding_places_are_removed() -> None:
    icon, signature, encrypted = Dataset(), Dataset(), Dataset()
    icon.PixelData, signature.CertificateOfSigner, encrypted.EncryptedContent = b"QUVORNX!", b"QUVORNX!", b"QUVORNX!"
    icon["PixelData"].VR = "OB"
    ds = image(
        IconImageSequence=Sequence([icon]),
        DigitalSignaturesSequence=Sequence([signature]),
        EncryptedAttributesSequence=Sequence([encrypted]),
        DataSetTrailingPadding=b"QUVORNX!",
    )
    ds.add_new(0x00081999, "LO", PLANTED)  # an even group that the dictionary does not know
    ds.add_new(0x00280010, "LO", PLANTED)  # text where Rows is a number
    ds.add_new(0x00081115, "OB", b"QUVORNX!")  # bytes where a sequence is expected
    result, records = deidentify(reread(ds), Profile(), KEY)
    assert PLANTED.encode() not in written(result)
    rules = {r.path: r.rule for r in records}
    assert rules["(0008,1999)"] == "unknown attribute"
    assert rules["(0028,0010)"] == rules["(0008,1115)"] == "not of the tag's value representation"


def test_an_embedded_document_is_refused_unless_the_profile_says_so() -> None:
    ds = image(EncapsulatedDocument=b"%PDF QUVORNX")
    with pytest.raises(UserError, match=r"embeds a document.*replace_encapsulated_document"):
        clean(ds)
    result = clean(ds, Profile(replace_encapsulated_document=True))
    assert result.EncapsulatedDocument == bytes(8)
    outer = image(ReferencedSeriesSequence=Sequence([ds]))
    with pytest.raises(UserError, match="embeds a document"):
        clean(outer)


def test_a_dicomdir_and_bottomless_nesting_are_refused() -> None:
    with pytest.raises(UserError, match="DICOMDIR"):
        clean(image(DirectoryRecordSequence=Sequence([Dataset()])))
    ds = Dataset()
    for _ in range(70):
        outer = Dataset()
        outer.ConceptCodeSequence = Sequence([ds])
        ds = outer
    with pytest.raises(UserError, match="deeper than 64"):
        clean(ds)


@pytest.mark.parametrize("option", ["clean_descriptors", "clean_structured_content", "clean_graphics"])
def test_an_option_that_cleans_is_refused_without_its_cleaner(option: str) -> None:
    with pytest.raises(UserError, match=f"{option} needs a cleaner for"):
        clean(image(), Profile(**{option: True}))


def test_a_report_keeps_its_shape_and_loses_its_words() -> None:
    leaf = Dataset()
    leaf.ValueType, leaf.RelationshipType, leaf.TextValue = "TEXT", "CONTAINS", PLANTED
    leaf.ObservationDateTime, leaf.ReferencedSOPInstanceUID = "20240229", "1.2.826.99.1"
    name = Dataset()
    name.CodeValue, name.CodingSchemeDesignator, name.CodeMeaning = "1", "99QUVORNX", PLANTED
    leaf.ConceptNameCodeSequence = Sequence([name])
    ds = image(ContentSequence=Sequence([leaf]))
    result = clean(ds)
    assert PLANTED.encode() not in written(result)
    item = result.ContentSequence[0]
    assert (item.ValueType, item.RelationshipType) == ("TEXT", "CONTAINS")
    assert item.ReferencedSOPInstanceUID == result.SOPInstanceUID
    cleaned = clean(ds, Profile(clean_structured_content=True), cleaners=Cleaners(text=lambda _, text: text.replace(PLANTED, "x")))
    assert cleaned.ContentSequence[0].ConceptNameCodeSequence[0].CodeMeaning == "x"
    assert PLANTED.encode() not in written(cleaned)


def test_a_cleaner_that_fails_leaks_nothing() -> None:
    def fails(_: str, text: str) -> str:
        raise ValueError(text)

    result, records = deidentify(image(SeriesDescription=PLANTED), Profile(clean_descriptors=True), KEY, cleaners=Cleaners(text=fails))
    assert result.SeriesDescription == "REMOVED"
    assert any("the cleaner failed" in r.rule for r in records)


def test_the_source_is_not_changed() -> None:
    ds = private(image(SeriesDescription=PLANTED))
    before, data, meta = copy.deepcopy(ds), written(ds), copy.deepcopy(ds.file_meta)
    result = clean(ds, SAFE)
    result[0x2001, 0x105F].value[0].Rows = 9
    result.PatientName.original_string  # noqa: B018
    assert ds == before
    assert ds.file_meta == meta
    assert written(ds) == data


@pytest.mark.parametrize("profile", [Profile(), MODIFIED, SAFE, Profile(retain_longitudinal_full_dates=True, retain_patient_characteristics=True)])
def test_twice_is_the_same_as_once(profile: Profile) -> None:
    once = reread(clean(private(image(PatientAge="095Y", AccessionNumber="A1", ContentDate="20240301")), profile))
    twice = clean(once, profile)
    assert written(twice) == written(once)


def test_a_pseudonym_with_true_dates_beside_it_is_shifted() -> None:
    """A scanner that got the pseudonym from a work list writes today's date: the pseudonym alone does not stop the shift."""
    ds = image(PatientID=KEY.patient("MRN-778899"))
    assert clean(ds, MODIFIED).StudyDate != ds.StudyDate
    ds = image(LongitudinalTemporalInformationModified="MODIFIED", DeidentificationMethod=clean(ds).DeidentificationMethod)
    assert clean(ds, MODIFIED).StudyDate != ds.StudyDate


def test_a_header_without_patient_or_meta_information_goes_through() -> None:
    ds = Dataset()
    ds.Modality, ds.StudyDate = "OT", "20240229"
    result, _ = deidentify(ds, MODIFIED, KEY)
    assert "PatientID" not in result
    assert result.StudyDate != "20240229"
    assert deidentify(Dataset(), Profile(), KEY)[0].PatientIdentityRemoved == "YES"


def test_records_name_the_place_and_the_reason_and_never_the_value() -> None:
    item = Dataset()
    item.PersonName = f"{PLANTED}^ANNA"
    _, records = deidentify(image(ContentSequence=Sequence([item])), Profile(), KEY)
    by_path = {r.path: r for r in records}
    found = by_path["(0040,A730)[0].(0040,A123)"]
    assert (found.rule, found.action, found.vr) == ("basic D", "D", "PN")
    assert found.digest == KEY.record(0x0040A123, f"{PLANTED}^ANNA".encode())
    assert by_path["(0008,0018)"].rule == "basic U"
    assert PLANTED not in repr(records)
    assert "MRN-778899" not in repr(records)


def test_no_value_reaches_a_message_or_the_log(caplog: pytest.LogCaptureFixture, recwarn: pytest.WarningsRecorder, capfd: pytest.CaptureFixture[str]) -> None:
    caplog.set_level(logging.DEBUG)
    ds = image(StudyDate="20240229", NumberOfFrames=1, PatientAge="041Y", InstanceNumber=12345678)
    raw = written(ds).replace(b"20240229", b"QUVORNX!").replace(b"041Y", b"QUVO").replace(b"12345678", b"QUVORNX!")
    damaged = pydicom.dcmread(io.BytesIO(raw))
    caplog.clear()
    recwarn.clear()
    result, records = deidentify(damaged, MODIFIED, KEY)
    assert "QUVO" not in repr(records)
    with pytest.raises(UserError) as caught:
        clean(image(EncapsulatedDocument=b"QUVORNX!", PatientAge="041Y"))
    assert "QUVO" not in str(caught.value)
    assert caught.value.__cause__ is None
    assert caught.value.__context__ is None
    assert "QUVO" not in caplog.text
    assert not recwarn.list
    assert capfd.readouterr() == ("", "")
    assert b"QUVO" not in written(result)
    assert {r.path: r.rule for r in records}["(0020,0013)"] == "not of the tag's value representation"
