"""Lists of names and words: which word is a name, which is none."""

from __future__ import annotations

import pytest

from vesalius.formats.deidentify.text import lexicon, rules


@pytest.mark.parametrize("word", ["Okafor", "TANAKA", "O'Connell", "Hernandez-Cruz"])
def test_a_surname_is_known_in_any_case(word: str) -> None:
    assert lexicon.surname(word)


@pytest.mark.parametrize("word", ["Long", "effusion", "Paget", "Heart", "the"])
def test_words_and_eponyms_are_not_among_the_names(word: str) -> None:
    assert not lexicon.surname(word)
    assert not lexicon.given(word)


def test_no_name_is_a_word_of_reports_or_an_eponym() -> None:
    names = lexicon._file("surnames.toml")["names"]
    assert len(names) > 20_000
    assert not names & lexicon.words("words")
    assert not names & lexicon.eponyms()


@pytest.mark.parametrize(
    ("text", "expected"),
    [("Paget disease", True), ("Paget performed the procedure", False), ("Paget. Fracture seen", False), ("Weber B fracture", True), ("Paget is a", False)],
)
def test_a_noun_makes_an_eponym_only_within_its_phrase(text: str, expected: bool) -> None:
    assert lexicon.eponym(text, 0, len(text.split(maxsplit=1)[0].rstrip(".")), alone=False) is expected


def test_every_part_of_a_rule_is_put_in() -> None:
    assert not [row.name for row in rules.rows() if "<<" in row.pattern or "\n" in row.pattern]
    assert len({row.name for row in rules.rows()}) == len(rules.rows())
