import pytest

from vesalius.formats.deidentify.burned.comments import blank


def items(*fragments: bytes) -> bytes:
    return b"".join(b"\xfe\xff\x00\xe0" + len(f).to_bytes(4, "little") + f for f in (b"", *fragments))


def segment(marker: bytes, text: bytes) -> bytes:
    return b"\xff" + marker + (len(text) + 2).to_bytes(2, "big") + text


START, SCAN = b"\xff\xd8", b"\xff\xda\x00\x02\xff\xfeDOE in the scan"


def test_comments_and_applications_go_and_lengths_stay():
    before = items(START + segment(b"\xfe", b"DOE") + segment(b"\xe1", b"JOHN") + segment(b"\xe8", b"JANE") + SCAN)
    assert blank(before) == items(START + segment(b"\xfe", bytes(3)) + segment(b"\xe1", bytes(4)) + segment(b"\xe8", bytes(4)) + SCAN)


@pytest.mark.parametrize(
    "kept",
    [
        segment(b"\xe0", b"JFIF\0" + bytes(9)),
        segment(b"\xee", b"Adobe12345"),
        segment(b"\xe8", b"mrfx"),
        segment(b"\xe8", b"SPIFF\0" + bytes(8)),
        segment(b"\xc0", b"frame"),
    ],
)
def test_what_decoding_needs_stays(kept):
    assert blank(items(START + kept + SCAN)) == items(START + kept + SCAN)


def test_the_small_picture_of_a_jfif_header_goes():
    head = b"JFIF\0" + b"\1" * 9
    assert blank(items(START + segment(b"\xe0", head + b"DOE") + SCAN)) == items(START + segment(b"\xe0", head + bytes(3)) + SCAN)


def test_a_comment_of_jpeg_2000_goes_up_to_the_first_tile():
    main, tile = b"\xff\x4f" + segment(b"\x51", b"size"), segment(b"\x90", b"tile") + b"\xff\x93\xff\x64DOE"
    assert blank(items(main + segment(b"\x64", b"\0\1DOE") + tile)) == items(main + segment(b"\x64", b"\0\1" + bytes(3)) + tile)


@pytest.mark.parametrize(
    "data",
    [b"", b"\0" * 9, b"\xfe\xff\x00\xe0", items(START), items(START + b"\xff\xfe\x00\x00x"), items(START + b"\xff\xff\xff"), items(b"\xff\x4f\xff\x51\0\0")],
)
def test_what_cannot_be_walked_stays(data):
    assert blank(data) == data


def test_a_comment_that_claims_more_than_there_is_goes_to_the_end():
    broken = items(START + b"\xff\xfe\xff\xffDOE")
    assert blank(broken) == items(START + b"\xff\xfe\xff\xff" + bytes(3))
