"""The second reader finds what was planted, wherever and however it is written, and nothing where nothing is."""

import copy
import io

import pydicom
import pytest
from pydicom.data import get_testdata_file
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.sequence import Sequence

from vesalius.formats.deidentify import Key, Profile, deidentify
from vesalius.formats.deidentify.verify import Kind, Place, Secrets, verify
from vesalius.formats.deidentify.verify.variants import alike, date_forms, date_of, fold, words

KEY = Key(b"k" * 32)


def study():
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = pydicom.uid.ExplicitVRLittleEndian
    dataset.PatientName = "Löwenherz^Richard^J"
    dataset.PatientID = "MR-4471-09"
    dataset.PatientBirthDate = "19570908"
    dataset.StudyDate = dataset.ContentDate = "20240119"
    dataset.StudyInstanceUID, dataset.SOPInstanceUID = "1.2.826.0.1.3680043.9.1", "1.2.826.0.1.3680043.9.2"
    dataset.SOPClassUID = "1.2.840.10008.5.1.4.1.1.7"
    dataset.Modality, dataset.BodyPartExamined = "DX", "CHEST"
    dataset.StudyDescription = "CHEST PA FOR MR LOEWENHERZ"
    dataset.AccessionNumber = "A7730021"
    return dataset


def searched(change=None, **place):
    source = study()
    clean, _ = deidentify(source, Profile(), KEY)
    if change is not None:
        change(clean)
    stream = io.BytesIO()
    clean.save_as(stream, enforce_file_format=True)
    secrets = Secrets()
    secrets.compare(source, pydicom.dcmread(io.BytesIO(stream.getvalue())))
    return verify(secrets, [Place("P1/0001.dcm", pydicom.dcmread(io.BytesIO(stream.getvalue())), stream.getvalue(), **place)])


def test_a_clean_file_is_called_clean_and_what_was_searched_is_told():
    verdict = searched()
    assert verdict.clean
    assert verdict.hits == ()
    assert verdict.secrets == {"name": 1, "identifier": 2, "date": 2, "uid": 2, "text": 1}
    assert verdict.searched["values"] > 5
    assert verdict.searched["bytes"] > 300


def _nested(dataset):
    inner, outer = Dataset(), Dataset()
    inner.SeriesDescription = "pt richard lowenherz"
    outer.RequestAttributesSequence = Sequence([inner])
    dataset.RequestAttributesSequence = Sequence([outer])


def _private(dataset):
    block = dataset.private_block(0x0011, "ACME", create=True)
    block.add_new(1, "UN", b"\x01\x00seen by LOWENHERZ, R. \x00\x07")


def _wide(dataset):
    block = dataset.private_block(0x0011, "ACME", create=True)
    block.add_new(1, "OB", "Löwenherz^Richard^J".encode("utf-16-le"))


PLANTED = {
    "nested": (_nested, Kind.NAME),
    "private bytes": (_private, Kind.NAME),
    "two bytes a letter": (_wide, Kind.NAME),
    "family name alone": (lambda d: setattr(d, "ImageComments", "Loewenherz; compared with Lowenherz"), Kind.NAME),
    "number without its dashes": (lambda d: setattr(d, "ImageComments", "ref MR447109."), Kind.IDENTIFIER),
    "number with blanks": (lambda d: setattr(d, "SeriesDescription", "mr 4471 09"), Kind.IDENTIFIER),
    "birth date in words": (lambda d: setattr(d, "ImageComments", "born 8 Sept 1957, or Sep 8th, 1957"), Kind.DATE),
    "birth date in American": (lambda d: setattr(d, "ImageComments", "dob 9/8/57"), Kind.DATE),
    "a date nobody moved": (lambda d: setattr(d, "ContentDate", "20240119"), Kind.DATE),
    "a UID in a text": (lambda d: setattr(d, "ImageComments", "see 1.2.826.0.1.3680043.9.1."), Kind.UID),
}


@pytest.mark.parametrize("name", PLANTED)
def test_what_is_left_somewhere_is_found(name):
    change, kind = PLANTED[name]
    verdict = searched(change)
    assert not verdict.clean
    assert kind in {hit.kind for hit in verdict.hits if hit.sure}


@pytest.mark.parametrize(
    ("place", "kind", "sure"),
    [
        ({"read": ("LOEWENHERZ R", "PORTABLE")}, Kind.NAME, False),  # the header spells it without the e: like the name, not the name
        ({"read": ("LOWENHERZ R",)}, Kind.NAME, True),
        ({"read": ("LOWENHFRZ",)}, Kind.NAME, False),
        ({"texts": (("report", "Accession A7730021. No effusion."),)}, Kind.IDENTIFIER, True),
        ({"texts": (("report", "Comparison: 19.01.2024."),)}, Kind.DATE, True),
        ({"texts": (("report", "Richard's heart is normal."),)}, Kind.NAME, False),
    ],
)
def test_pixels_and_reports_are_searched_too(place, kind, sure):
    verdict = searched(**place)
    assert [(hit.kind, hit.sure) for hit in verdict.hits] == [(kind, sure)]


def test_a_file_is_not_named_after_its_patient():
    source = study()
    secrets = Secrets()
    secrets.compare(source, deidentify(source, Profile(), KEY)[0])
    verdict = verify(secrets, [Place("lowenherz_richard/0001.dcm")])
    assert not verdict.clean
    assert verdict.hits[0].found_at == "a file's name"


def test_a_value_is_in_no_repr():
    source = study()
    secrets = Secrets()
    secrets.compare(source, deidentify(source, Profile(), KEY)[0])
    place = Place("a", source, b"Richard", texts=(("report", "Richard"),), read=("Richard",))
    verdict = verify(secrets, [place])
    assert not verdict.clean
    assert all(word not in repr((secrets, place, verdict)) for word in ("Richard", "4471", "1957", "3680043"))


def test_a_name_that_is_a_word_of_the_standard_proves_nothing_alone():
    source = study()
    source.PatientName = "Head"
    secrets = Secrets()
    secrets.compare(source, deidentify(source, Profile(), KEY)[0])
    place = Place("a", texts=(("report", "CT of the head"),))
    assert [(hit.kind, hit.sure) for hit in verify(secrets, [place]).hits] == [(Kind.NAME, False)]


def test_what_an_option_keeps_is_no_secret():
    source = study()
    keep = Profile(retain_uids=True, retain_longitudinal_full_dates=True)
    clean, _ = deidentify(source, keep, KEY)
    secrets = Secrets()
    secrets.compare(source, clean)
    assert verify(secrets, [Place("a", clean)]).clean
    assert secrets.counts["uid"] == 0


def test_shifted_dates_that_meet_an_old_one_are_doubtful_not_sure():
    source = study()
    clean = copy.deepcopy(source)
    clean.StudyDate, clean.ContentDate, clean.AcquisitionDate = "20230119", "20230119", "20240119"
    secrets = Secrets()
    secrets.compare(source, clean)
    found = [hit for hit in verify(secrets, [Place("a", clean)]).hits if hit.kind is Kind.DATE]
    assert found
    assert not any(hit.sure for hit in found)


@pytest.mark.parametrize(
    ("raw", "sure"),
    [
        (b"2.25.111871644718837723409", [False]),  # digits of a new UID
        (b"2.25.111871644718837723409\0 MRN644718", [True]),
        (b"00644718", [True]),
        (b"6\0004\0004\0007\0001\0008\000", [True]),
        (b"2.25.1118716447", []),
    ],
)
def test_a_number_that_stands_in_a_uid_alone_is_a_chance(raw, sure):
    secrets = Secrets()
    secrets.add(Kind.IDENTIFIER, ["644718"], "(0010,0020)")
    assert [hit.sure for hit in verify(secrets, [Place("a", None, raw=raw)]).hits] == sure


@pytest.mark.parametrize(("place", "sure"), [("inside", [False]), ("behind", [True]), ("both", [True])])
def test_what_only_the_values_of_pixels_spell_is_a_chance(place, sure):
    pixels = bytearray(b"57" * 200)
    if place != "behind":
        pixels[40:48] = b"86854059"
    if place != "inside":
        pixels += b"86854059"
    dataset = study()
    dataset.Rows, dataset.Columns, dataset.SamplesPerPixel, dataset.BitsAllocated = 20, 20, 1, 8
    dataset.add_new("PixelData", "OB", bytes(pixels))
    stream = io.BytesIO()
    dataset.save_as(stream, enforce_file_format=True)
    secrets = Secrets()
    secrets.add(Kind.IDENTIFIER, ["86854059"], "(0010,0020)")
    written = pydicom.dcmread(io.BytesIO(stream.getvalue()))
    assert [hit.sure for hit in verify(secrets, [Place("a", written, raw=stream.getvalue())]).hits if "bytes" in hit.found_at] == sure


def test_values_of_pixels_stand_in_rle_too():
    dataset = study()
    dataset.file_meta.TransferSyntaxUID = pydicom.uid.RLELossless
    dataset.add_new("PixelData", "OB", pydicom.encaps.encapsulate([b"\x0786854059" * 3]))
    dataset["PixelData"].is_undefined_length = True
    stream = io.BytesIO()
    dataset.save_as(stream, enforce_file_format=True)
    secrets = Secrets()
    secrets.add(Kind.IDENTIFIER, ["86854059"], "(0010,0020)")
    place = Place("a", pydicom.dcmread(io.BytesIO(stream.getvalue())), raw=stream.getvalue())
    assert [hit.sure for hit in verify(secrets, [place]).hits if "bytes" in hit.found_at] == [False]


@pytest.mark.parametrize(("date", "hits"), [("19000101", 0), ("19000102", 1)])
def test_what_others_wrote_in_place_of_a_date_is_no_secret(date, hits):
    source = study()
    source.StudyDate = source.ContentDate = date
    clean = copy.deepcopy(source)
    clean.StudyDate = ""
    secrets = Secrets()
    secrets.compare(source, clean)
    assert sum(hit.sure for hit in verify(secrets, [Place("a", clean)]).hits) == hits


@pytest.mark.parametrize("name", ["CT_small.dcm", "MR_small.dcm", "examples_overlay.dcm", "test-SR.dcm", "rtplan.dcm", "waveform_ecg.dcm"])
def test_real_files_are_clean_after_the_engine_and_not_before(name):
    source = pydicom.dcmread(get_testdata_file(name, download=False))
    clean, _ = deidentify(source, Profile(), KEY)
    secrets = Secrets()
    secrets.compare(source, clean)
    assert verify(secrets, [Place("a", clean)]).clean
    assert not verify(secrets, [Place("a", source)]).clean


def test_words_are_folded_and_dates_have_many_forms():
    assert words("LÖWE^Max-Jo") == ["lowe", "max", "jo"]
    assert alike("lowenherz", "loewenherz")
    assert not alike("heart", "start")
    assert not alike("lung", "long")
    day = date_of("20240119120000")
    written = ["2024-01-19", "19.1.2024", "01/19/24", "January 19th, 2024", "19 Jan 2024", "20240119"]
    assert all(any(form.search(fold(text)) for form in date_forms(day)) for text in written)
    assert not any(form.search("1200240119") or form.search("19 june 2024") for form in date_forms(day))
    assert date_of("20241399") is None
    assert date_of("") is None
