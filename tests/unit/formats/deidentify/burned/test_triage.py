import numpy as np
import pytest

from tests.unit.formats.deidentify.burned.drawn import letters
from tests.unit.formats.drawn import RAMP, dataset, item
from vesalius.errors import UnreadableStudy
from vesalius.formats.deidentify.burned.triage import LIMIT, likelihood, triage

CT = "1.2.840.10008.5.1.4.1.1.2"


def ct(pixels: np.ndarray = RAMP, **elements: object):
    return dataset(pixels, **{"SOPClassUID": CT, "Modality": "CT", "ImageType": ["ORIGINAL", "PRIMARY", "AXIAL"], **elements})


def test_a_plain_slice_is_not_read():
    assert triage(ct()) == type(triage(ct()))(False, None, ())


@pytest.mark.parametrize("modality", ["US", "XA", "RF", "CR", "DX", "MG", "ES", "OT", ""])
def test_what_is_often_written_on_is_read_and_an_unknown_modality_too(modality):
    assert triage(ct(Modality=modality)).read


def test_a_secondary_capture_is_refused_and_read():
    for kind in ("1.2.840.10008.5.1.4.1.1.7", "1.2.840.10008.5.1.4.1.1.7.4"):
        found = triage(ct(SOPClassUID=kind))
        assert found.read
        assert "secondary capture" in found.refuse


def test_the_meta_information_tells_a_secondary_capture_when_the_header_is_silent():
    silent = ct(SOPClassUID=None)
    silent.file_meta.MediaStorageSOPClassUID = "1.2.840.10008.5.1.4.1.1.7"
    assert triage(silent).refuse


@pytest.mark.parametrize(
    ("elements", "word"),
    [
        ({"BurnedInAnnotation": "YES"}, "burned in"),
        ({"ConversionType": "DF"}, "digitized film"),
        ({"ConversionType": "WSD"}, "workstation"),
        ({"ImageType": ["DERIVED", "SECONDARY", "SCREEN SAVE"]}, "SCREEN SAVE"),
        ({"ImageType": "LOCALIZER"}, "LOCALIZER"),
        ({"Manufacturer": "Vidar Systems"}, "digitizer"),
        ({"SequenceOfUltrasoundRegions": [item(RegionLocationMinX0=0)]}, "regions"),
    ],
)
def test_a_hint_in_the_header_is_a_reason(elements, word):
    found = triage(ct(**elements))
    assert found.read
    assert word in " ".join(found.reasons)


def test_colour_in_a_slice_is_a_reason():
    assert triage(ct(np.zeros((4, 5, 3), np.uint8))).read


def test_a_header_that_says_no_text_is_burned_in_is_not_believed():
    assert triage(ct(letters("DOE JOHN 1970"), BurnedInAnnotation="NO")).read


def test_letters_in_the_pixels_are_seen_in_any_depth_and_any_frame():
    written = letters("DOE JOHN 1970").astype(np.uint16) * 16
    assert triage(ct(written, BitsStored=12, HighBit=11)).read
    blank = letters("", noise=4).astype(np.uint16) * 16
    assert not triage(ct(blank)).read
    assert triage(ct(np.stack((blank, blank, written)))).read
    assert not triage(ct(written), pixels=False).read


def test_a_head_is_marked_and_not_refused():
    found = triage(ct(BodyPartExamined="HEAD"))
    assert found.refuse is None
    assert not found.read
    assert "face" in found.reasons[0]
    assert triage(ct(BodyPartExamined="CHEST")).reasons == ()


def test_a_scanned_paper_is_refused():
    assert "scanned document" in triage(ct(ConversionType="SD")).refuse


def test_an_object_without_pixels_is_neither_read_nor_refused():
    found = triage(dataset(None, Modality="SR"))
    assert (found.read, found.refuse) == (False, None)


def test_damaged_pixels_are_refused_in_words():
    broken = ct()
    broken.PixelData = broken.PixelData[:6]
    with pytest.raises(UnreadableStudy, match="truncated"):
        triage(broken)


def test_a_file_of_a_few_bytes_that_claims_terabytes_is_not_tried():
    huge = ct(Rows=65535, Columns=65535, NumberOfFrames=65535)
    with pytest.raises(UnreadableStudy, match="claims"):
        triage(huge)


def test_a_dataset_without_meta_information_is_refused_in_words():
    bare = ct()
    del bare.file_meta
    with pytest.raises(UnreadableStudy, match="transfer syntax"):
        triage(bare)


def test_a_lower_limit_reads_more():
    seen = likelihood(quiet := letters("", ground=60, level=60, noise=4))
    assert 0 < seen < LIMIT
    assert not triage(ct(quiet)).read
    assert triage(ct(quiet), limit=seen / 2).read
