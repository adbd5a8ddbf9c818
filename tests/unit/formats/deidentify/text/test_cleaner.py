"""Texts: what identifies goes, what a report needs stays, and once is as good as twice."""

from __future__ import annotations

import re
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.formats.deidentify.made import KEY, OTHER
from vesalius.errors import UserError
from vesalius.formats.deidentify import Cleaners, Profile, deidentify
from vesalius.formats.deidentify.text import TextCleaner, lexicon

_CLEANER = TextCleaner(KEY, identity="8899123", names=["DOE^JANE^Q"], shift_days=-400)
REPORT = """PATIENT: DOE, JANE Q   MRN: 8899123   Acc#: 20150312-1234   DOB: 03/04/1921
Mercy General Hospital, 123 Main Street, Springfield, IL 62704. Phone (217) 555-8899, jane.doe@mail.com, SSN 123-45-6789
HISTORY: 92-year-old female in the ICU, s/p CABG, referred by Dr. Smith. Compared with March 3rd and 12/03.
FINDINGS: Kerley B lines and a Baker cyst. Mr. Baker is 64 year old. Drs. Wong and O'Brien agree. Serial no. PX-99812A, member ID: XWZ 8812 7733.
Electronically signed by: Hannah Lindqvist-Ray, MD on 12 Mar 2015 14:22"""


@pytest.mark.parametrize(
    ("text", "gone", "kind"),
    [
        ("MRN: 12345678", "12345678", "number"),
        ("MRN 163 596 83", "163 596 83", "number"),
        ("Accession #: CR-2015-0045", "CR-2015-0045", "number"),
        ("SSN 123-45-6789 is hers", "123-45-6789", "ssn"),
        ("Soc. Sec. No.: 123 45 6789", "123 45 6789", "ssn"),
        ("Insurance ID: XWZ 8812 7733", "XWZ 8812 7733", "number"),
        ("Medicare number 1EG4-TE5-MK73", "1EG4-TE5-MK73", "number"),
        ("call (217) 555-8899 back", "217) 555-8899", "phone"),
        ("fax +49 511 532 0", "+49 511 532 0", "phone"),
        ("pager 12345", "12345", "phone"),
        ("write to a.b+c@x-y.example.org", "a.b+c@x-y.example.org", "email"),
        ("see https://pacs.site.org/s?id=1", "https://pacs.site.org/s?id=1", "url"),
        ("host 10.1.2.33 answers", "10.1.2.33", "ip"),
        ("Study 1.2.840.113619.2.55.3.604688119", "1.2.840.113619.2.55.3.604688119", "uid"),
        ("Pacemaker S/N: PX-99812A", "PX-99812A", "device"),
        ("on 03/12/2015 at 14:22", "03/12/2015", "date"),
        ("compared to 12/03.", "12/03", "date"),
        ("vom 3. März 2015", "3. März 2015", "date"),
        ("92-year-old man", "92", "age"),
        ("age 101, frail", "101", "age"),
        ("a ninety-two year old", "ninety-two", "age"),
        ("lives at 123 Main St, Apt 4, Springfield, IL 62704-1234.", "123 Main St, Apt 4, Springfield, IL 62704-1234", "address"),
        ("P.O. Box 123 is his", "P.O. Box 123", "address"),
        ("wohnt Lange Straße 12, 30159 Hannover", "Straße 12, 30159 Hannover", "address"),
        ("from St. Mary's Hospital", "Mary's", "place"),
        ("BAPTIST MED CTR", "BAPTIST", "place"),
        ("Seen by Dr Kerley.", "Kerley", "person"),
        ("Mr. Baker coughs.", "Baker", "person"),
        ("Drs. Wong and O'Brien agree", "O'Brien", "person"),
        ("Reviewed. Ana Petrossian, MD", "Petrossian", "person"),
        ("Interpreting physician: Young, Wei", "Young", "person"),
        ("Dictated by J. van der Berg", "van der Berg", "person"),
        ("/s/ Zsofia Whitcomb", "Whitcomb", "person"),
        ("her daughter Ximena was informed", "Ximena", "person"),
        ("Gunnar Paget performed the procedure.", "Paget", "person"),
        ("N. Long performed the study.", "Long", "person"),
        ("Banks placed the line.", "Banks", "person"),
        ("I, O. McDermott, have reviewed the images.", "McDermott", "person"),
        ("DICTATING: EUN-JI MCDERMOTT  DONE", "MCDERMOTT", "person"),
        ("CHURCH, HENRIETTA B (MRN)\nEFFUSION", "HENRIETTA", "person"),
        ("Wu, Cassandra T (MRN: none)", "Wu", "person"),
        ("NGOZI TANAKA CAME. THE HEART IS LARGE.", "TANAKA", "person"),
        ("We told okay to Okafor in the hall.", "Okafor", "person"),
        ("Grace Szymanski, the resident, came.", "Grace", "person"),
        ("According to Stone et al. of this department", "Stone", "person"),
        ("Normal.\n/C. Ibarra/", "Ibarra", "person"),
        ("Nurse Hall was informed.", "Hall", "person"),
        ("Lives at 500 Juniper Avenue, Sandhaven, tel. 5", "Sandhaven", "address"),
        ("6036 Harvest Moon Trace, Salina, MN 34470", "Trace", "address"),
        ("12 rue de la Paix", "rue de la Paix", "address"),
        ("4471 County Road 12", "County Road 12", "address"),
        ("She moved here from Truro last year.", "Truro", "place"),
        ("Operated at Our Lady of Sorrows by us.", "Our Lady of Sorrows", "place"),
        ("IBAN DE89 3704 0044 0532 0130 00", "0044 0532", "number"),
        ("badge no. 4471", "4471", "number"),
        ("implant reference 531UC995", "531UC995", "device"),
        ("He will turn 97 in spring.", "97", "age"),
        ("born 12/98, seen today", "12/98", "date"),
    ],
)
def test_what_identifies_goes(text: str, gone: str, kind: str) -> None:
    cleaned = TextCleaner(KEY, shift_days=-400).clean(text)
    assert gone not in cleaned.text
    at = text.index(gone)
    assert any(span.kind == kind and span.start <= at < span.end for span in cleaned.spans)


@pytest.mark.parametrize(
    "text",
    [
        "A 64 year old in the ICU, s/p CABG; the MD will call.",
        "Kerley B lines, Swan-Ganz catheter, Hampton hump, Foley catheter, Hodgkin lymphoma, Crohn disease, Pott disease.",
        "T11/12 and L4/5; strength 5/5, murmur 2/6; BP 120/80; 3 x 4.2 cm; 14:35 hours; 2 views, PA/LAT.",
        "DR CHEST 2 VIEWS",
        "MR BRAIN W/WO CONTRAST",
        "CT ABDOMEN^PELVIS",
        "Lungs may be clear; there is no outpatient clinic in this hospital.",
        "BORN TODAY. TEMPERATURE 38.5 C. Mail results; grade C. Results follow.",
        "A Siemens Somatom Force was used; Benadryl was given; Pseudomonas grew on Monday.",
        "Small T-spine osteophytes; an S-shaped curve, Morel-Lavallee lesion, foramina of Luschka and Monro.",
        "The patient's daughter was informed. Subscriber ID is missing. Treated at the University.",
        "",
        " \n\t ",
    ],
)
def test_what_a_report_needs_stays(text: str) -> None:
    cleaned = TextCleaner(KEY, shift_days=-400).clean(text)
    assert (cleaned.text, cleaned.spans, cleaned.finders) == (text, (), ("rules",))


def test_no_eponym_is_lost_beside_its_noun_and_each_goes_behind_a_title() -> None:
    names = [name.title() for name in sorted(lexicon.eponyms())]
    assert len(names) >= 200
    cleaner = TextCleaner(KEY)
    text = "\n".join(f"There is a {name} lesion." for name in names)
    assert cleaner.clean(text).text == text
    for name in ("Kerley", "Baker", "Hodgkin", "Foley", "Chance", "Pott"):
        assert name not in cleaner.clean(f"Dr. {name} reported.").text


def test_an_eponym_stays_where_a_doctor_has_its_name() -> None:
    text = TextCleaner(KEY).clean("Dr. Baker saw a Baker cyst. Baker agreed.").text
    assert "a Baker cyst." in text
    assert text.count("Baker") == 1


def test_offsets_lead_from_the_source_to_the_result() -> None:
    cleaned = _CLEANER.clean(REPORT)
    at = to = 0
    for span in cleaned.spans:
        assert REPORT[at : span.start] == cleaned.text[to : span.surrogate_start]
        at, to = span.end, span.surrogate_end
    assert REPORT[at:] == cleaned.text[to:]
    for value in ("Doe", "DOE", "JANE", "8899123", "62704", "555-8899", "Smith", "Wong", "Brien", "PX-99812A", "Lindqvist", "2015", "1921", "123-45"):
        assert value not in cleaned.text
    assert "Kerley B lines and a Baker cyst" in cleaned.text
    assert "14:22" in cleaned.text


def test_spans_and_cleaner_hold_no_value() -> None:
    shown = repr(_CLEANER.clean(REPORT).spans) + repr(_CLEANER)
    assert not re.search(r"doe|jane|smith|8899123|wong", shown, re.IGNORECASE)


def test_the_same_patient_gets_the_same_surrogates_and_another_key_others() -> None:
    first = TextCleaner(KEY, identity="1").clean("Dr. Smith and SMITH, JOHN and Mr. smith's").text
    assert len({word.lower() for word in re.findall(r"(?i)\b[bdfghjklmnprstvz][aiou]\w{9}\b", first.replace("'s", ""))}) == 2
    again = TextCleaner(KEY, identity="1").clean("Dr. Smith").text
    assert again.removeprefix("Dr. ").lower() in first.lower()
    assert again != TextCleaner(KEY, identity="2").clean("Dr. Smith").text
    assert again != TextCleaner(OTHER, identity="1").clean("Dr. Smith").text


def test_the_patients_number_gets_the_pseudonym_of_the_header() -> None:
    assert KEY.patient("8899123") in _CLEANER.clean("MRN: 8899123").text


def test_cleaning_twice_is_cleaning_once() -> None:
    once = _CLEANER.clean(REPORT).text
    assert _CLEANER.clean(once).text == once
    assert TextCleaner(KEY, identity="other", shift_days=-7).clean(once).text == once


_PIECES = [
    "Dr.",
    "Q,",
    "O'",
    "Mr",
    "Smith",
    "DOE",
    "jane",
    "Young",
    "MD",
    ",",
    ".",
    "03/12/2015",
    "March",
    "3",
    "MRN",
    "12345678",
    "St.",
    "Hospital",
    "5",
    "-",
    "/",
    "Main",
    "Street",
    "92",
    "year",
    "old",
    "Baker",
    "cyst",
    "J.",
    "van",
    "der",
    "Berg",
    "call",
    "217-555-8899",
    "a@b.com",
    "and",
    "(",
    ")",
    "XXXX",
    ":",
    "Lung",
    "10.1.2.3",
    "'s",
    "Xu",
    "Le",
    "é",
    "O'",
    "signed",
    "by",
]


@given(st.lists(st.sampled_from([*_PIECES, "\n", "\u00ad"]), max_size=25), st.sampled_from([" ", ""]))
@settings(max_examples=150, deadline=None)
def test_any_mixture_is_cleaned_for_good(words: list[str], glue: str) -> None:
    once = _CLEANER.clean(glue.join(words)).text
    assert _CLEANER.clean(once).text == once


@given(st.text(max_size=200))
@settings(max_examples=60, deadline=None)
def test_any_text_is_taken(text: str) -> None:
    cleaned = _CLEANER.clean(text)
    assert _CLEANER.clean(cleaned.text).text == cleaned.text


@pytest.mark.parametrize(
    "piece", ["é", "Jean ", "I, A ", "Aa told ", "A ", "Aa ", "1", "1-", "Dr. ", "a.", "(", "A, ", "1 ", "Smith Smith ", "-\n", "Ab-", "January 1 "]
)
def test_a_large_text_takes_no_longer_than_its_length(piece: str) -> None:
    def seconds(size: int) -> float:
        started = time.process_time()
        TextCleaner(KEY, names=["DOE^JANE"], shift_days=-1).clean(piece * (size // len(piece)))
        return time.process_time() - started

    seconds(1000)
    assert seconds(8_000) < 40 * max(seconds(1000), 0.005)


def test_a_text_beyond_all_reports_is_refused_without_showing_it() -> None:
    with pytest.raises(UserError, match="more than 2,000,000") as caught:
        _CLEANER.clean("QUVORNX " * 300_000)
    assert "QUVORNX" not in str(caught.value)


@pytest.mark.parametrize(
    ("keyword", "text", "gone"),
    [
        ("StudyDescription", "CHEST PA/LAT DR SMITH", "SMITH"),
        ("SeriesDescription", "CHEST^ANNA_DOE", "DOE"),
        ("StationName", "JANE DOE CT 1", "DOE"),
        ("PatientComments", "pt of dr smith, call 217-555-8899", "8899"),
        ("(0099,1001)", "DR SMITH", "SMITH"),
    ],
)
def test_a_tag_is_cleaned_within_its_width(keyword: str, text: str, gone: str) -> None:
    clean = _CLEANER.as_tag_cleaner()
    result = clean(keyword, text)
    assert gone not in result
    assert clean(keyword, result) == result
    assert len(result) <= max(len(text), {"StationName": 16, "(0099,1001)": 16}.get(keyword, 64 if keyword != "PatientComments" else 10240))


@pytest.mark.parametrize("text", ["CT 03/12/2015", "RM 3 555-8899", "1.2.3.4 AT 12/03", "X 92Y 1.2.3.4"])
def test_a_surrogate_never_widens_a_short_tag(text: str) -> None:
    clean = _CLEANER.as_tag_cleaner()
    result = clean("StationName", text)
    assert result != text
    assert len(result) <= 16
    assert clean("StationName", result) == result


def test_a_possessive_leaves_no_letter_behind() -> None:
    assert re.fullmatch(r"Films given to \w{11}'s brother \w{11}\.", TextCleaner(KEY).clean("Films given to Ewan's brother Rosamund.").text)


def test_the_end_of_a_sentence_ends_an_eponym() -> None:
    assert "Wilson" not in TextCleaner(KEY).clean("Seen by Dr. Hale and Ewan Wilson. Fracture healed.").text


def test_a_tag_without_a_name_stays() -> None:
    clean = _CLEANER.as_tag_cleaner()
    for text in ("CHEST PA/LAT", "T1_SE_TRA", "DR CHEST", "MR KNEE LT", "ABD^ROUTINE", "CT THORAX W/O"):
        assert clean("StudyDescription", text) == text


def test_the_engine_takes_the_tag_cleaner() -> None:
    from tests.unit.formats.deidentify.made import image

    source = image(StudyDescription="CHEST DR SMITH 03/12/2015", PatientName="DOE^JANE")
    clean, _ = deidentify(source, Profile(clean_descriptors=True), KEY, cleaners=Cleaners(text=_CLEANER.as_tag_cleaner()))
    assert "SMITH" not in clean.StudyDescription
    assert clean.StudyDescription.startswith("CHEST DR ")


def test_a_second_finder_sees_prose_only_and_words_of_reports_stay() -> None:
    seen: list[str] = []

    class Finder:
        name = "mine"

        def __call__(self, text: str) -> list[tuple[int, int, str]]:
            seen.append(text)
            return [(match.start(), match.end(), "person") for match in re.finditer("Okafor|Kerley|Cardiac", text)]

    cleaner = TextCleaner(KEY, finder=Finder())
    cleaned = cleaner.clean("We saw Okafor in the hallway with Kerley B lines. Cardiac size is normal. Dr. Wong came.")
    assert "Okafor" not in cleaned.text
    assert "Kerley B lines. Cardiac size" in cleaned.text
    assert cleaned.finders == ("rules", "mine")
    assert all("Wong" not in text for text in seen)
    seen.clear()
    assert cleaner.clean("CHEST PA OKAFOR").finders == ("rules",)
    assert not seen
