import pytest

from vesalius.formats.deidentify.burned.allow import allowed


@pytest.mark.parametrize(
    "text",
    [
        "L",
        "r",
        "AP",
        "PA",
        "LAT",
        "PORTABLE",
        "Supine AP Portable",
        "ERECT",
        "SEMI-ERECT",
        "semi upright",
        "10 cm",
        "5cm",
        "L 10 mm",
        "120 kV 2.5 mAs",
        "RMLO",
        "(R)",
    ],
)
def test_sides_views_positions_and_measures_stay(text):
    assert allowed(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "  ",
        "L JOHN",
        "JK",
        "R JK",
        "12345",
        "10",
        "12.03.1970",
        "10:45",
        "PORTABLE 3",
        "SMITH",
        "1234 cm",
        "10 cmx",
        "SEMI",
        "SEMI SMITH",
        "ID 10 cm",
        "L " * 30,
        "ﬁ",
        "１２",
        "-",
        "()",
    ],
)
def test_whatever_else_goes(text):
    assert not allowed(text)
