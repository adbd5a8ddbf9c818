"""Names of the header: every way to write them, and nothing else."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.formats.deidentify.made import KEY
from vesalius.formats.deidentify.text import TextCleaner
from vesalius.formats.deidentify.text.header_names import near


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("DOE^JANE", "seen jane doe today"),
        ("DOE^JANE", "Doe, Jane"),
        ("DOE^JANE^Q", "J.Q.D. and J. D."),
        ("DOE^JANE", "janedoe and DoeJane"),
        ("WALKOWIAK^EVA", "ewalkowiak, walkowiake"),
        ("DOE^JANE", "CHEST_DOE_JANE"),
        ("Jane Q. Doe", "DOE's film"),
        ("SMITH-JONES^ANN", "Smith Jones and SmithJones and Jones"),
        ("Müller^Jörg", "Mueller, Muller, MÜLLER, Joerg"),
        ("O'BRIEN^PAT", "OBrien, O’Brien, o'brien"),
        ("WALKOWIAK^EVA", "Walk-\nowiak"),
        ("WALKOWIAK^EVA", "Wal\u00adko\u200bwiak"),
        ("WILSON^TOM", "W1LS0N, T0M"),
        ("HERNANDEZ^ANA", "Hernandes and Hernandz"),
        ("CATHERINE^STEPHENS", "seen by Stevens"),
        ("ИВАНОВ^ПЁТР", "пациент Иванов"),
        ("Yamada^Tarou=山田^太郎", "山田さん"),
        ("LUNG^WEI", "lung"),
        ("MAY^APRIL", "April May came; MAY"),
        ("YOUNG^AL", "a young man, Young"),
        ("FOLEY^ANN", "Foley catheter"),
        ("*DOE^+JANE^?Q", "Doe, Jane and janedoe"),
        ("[DOE]{1^(JANE)", "jane"),
        ("Doe^J.A.N.E.", "doe"),
        ("DOE^JANE^^^3RD", "jane doe"),
        ("Jane Doe 2", "jane doe"),
    ],
)
def test_a_name_of_the_header_goes(name: str, text: str) -> None:
    cleaned = TextCleaner(KEY, names=[name], shift_days=-1).clean(text).text.casefold()
    parts = [
        part
        for part in (
            "jane",
            "doe",
            "j.q.d",
            "j. d",
            "smith",
            "jones",
            "müller",
            "mueller",
            "muller",
            "joerg",
            "brien",
            "owiak",
            "wiak",
            "w1ls",
            "t0m",
            "hernand",
            "stevens",
        )
        if part in text.casefold()
    ]
    parts += [part for part in ("иванов", "山田", "lung", "april", "young", "foley") if part in text.casefold()]
    assert parts
    assert not [part for part in parts if part in cleaned]


def test_small_words_need_their_capital() -> None:
    cleaner = TextCleaner(KEY, names=["MAY^AN"])
    assert cleaner.clean("An effusion may be present in an area.").text.endswith("effusion may be present in an area.")
    assert "MAY" not in cleaner.clean("EFFUSION MAY BE PRESENT").text


def test_words_of_reports_are_not_near_a_name() -> None:
    text = "The right heart is normal, the chest is clear. Lungs are well expanded."
    assert TextCleaner(KEY, names=["WRIGHT^HART", "CHESS^LUNGE"]).clean(text).text == text


def test_numbers_of_the_header_go_wherever_they_stand() -> None:
    assert "A77" not in TextCleaner(KEY, names=["A77-3"]).clean("film a77-3 seen").text


def test_pseudonyms_of_this_key_are_no_names() -> None:
    made = KEY.patient("x")
    assert TextCleaner(KEY, names=[made]).clean(f"film {made}").text == f"film {made}"


@pytest.mark.parametrize(
    ("word", "name", "expected"),
    [("jonson", "johnson", True), ("meier", "meyer", True), ("smith", "lopez", False), ("stephens", "stevens", True), ("baker", "barton", False)],
)
def test_near_is_one_letter_or_the_same_sound(word: str, name: str, expected: bool) -> None:
    assert near(word, name) is expected


def test_empty_and_odd_names_are_taken() -> None:
    assert TextCleaner(KEY, names=["", "^^^", "=", "...", "Dr^^", "\x00"]).clean("Clear lungs.").text == "Clear lungs."


def test_the_kind_of_a_number_is_no_part_of_it():
    assert TextCleaner(KEY, names=["FILM 77201"], shift_days=-1).clean("The film is rotated. 77201").text.startswith("The film is rotated. ")
    assert "77201" not in TextCleaner(KEY, names=["FILM 77201"], shift_days=-1).clean("The film is rotated. 77201").text


@given(st.text(alphabet="aDEf*+?()[]{}\\|^$.-'\"#!~@=<>:;,&%_ 1éß中İı\u0301\u200b\u00ad\x01", max_size=14))
@settings(max_examples=200, deadline=None)
def test_any_name_can_be_looked_for(name: str) -> None:
    assert TextCleaner(KEY, names=[name], shift_days=-1).clean("No pneumothorax.").text == "No pneumothorax."
