"""A word of everybody that was part of a removed name is no hit in the bytes of a file; a name is."""

import pydicom

from vesalius.formats.deidentify.verify import Kind, Place, Secrets, verify


def found(name: str, raw: bytes) -> bool:
    secrets = Secrets()
    secrets.add(Kind.NAME, [name], "report")
    return not verify(secrets, [Place("P1/0001.dcm", pydicom.Dataset(), raw)]).clean


def test_a_word_of_the_standard_in_a_makers_name_is_no_hit():
    assert not found("Medical", b"\x08\x00\x70\x00LO GE MEDICAL SYSTEMS")


def test_a_name_of_such_words_and_another_is_a_hit():
    assert found("Medical Rudinen", b"\x08\x00\x70\x00LO medical rudinen")
    assert found("Rudinen", b"\x08\x00\x70\x00LO RUDINEN")
