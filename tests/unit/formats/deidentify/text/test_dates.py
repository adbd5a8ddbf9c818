"""Dates: found in many ways of writing, moved in the same way of writing."""

from __future__ import annotations

import pytest

from tests.unit.formats.deidentify.made import KEY
from vesalius.formats.deidentify.text import TextCleaner, dates, without_marks
from vesalius.formats.deidentify.text.fold import plain


@pytest.mark.parametrize(
    ("text", "later"),
    [
        ("03/12/2015", "03/22/2015"),
        ("3/12/15", "3/22/15"),
        ("13/03/2015", "23/03/2015"),
        ("12.03.2015", "22.03.2015"),
        ("2015-03-25", "2015-04-04"),
        ("20151225", "20160104"),
        ("March 25, 2015", "April 4, 2015"),
        ("Mar. 25 2015", "Apr. 4 2015"),
        ("25 MARCH 2015", "4 APRIL 2015"),
        ("12-MAR-2015", "22-MAR-2015"),
        ("12Mar2015", "22Mar2015"),
        ("Tuesday, March 3, 2015", "Friday, March 13, 2015"),
        ("March 3rd", "March 13th"),
        ("the 21st of March", "the 31st of March"),
        ("3. März 2015", "13. Mar 2015"),
        ("March 2015", "March 2015"),
        ("Mar '15", "Mar '15"),
        ("03/2015", "03/2015"),
        ("March 3-5, 2015", "March 13-15, 2015"),
        ("March 20-25, 2015", "March 30, 2015 to April 4, 2015"),
        ("03/12-03/25/2015", "03/22-04/04/2015"),
        ("12/29/2015", "01/08/2016"),
        ("02/29/2024", "03/10/2024"),
    ],
)
def test_a_date_is_moved_as_it_is_written(text: str, later: str) -> None:
    folded = plain(text)
    spans = [(find.start, find.end) for find in dates.find(f"x: {folded}", cased=True)]
    assert (3, 3 + len(folded)) in spans
    assert dates.moved(folded, 10) == later


@pytest.mark.parametrize(
    "text", ["02/30/2015", "13/13/2015", "45/12/2015", "3.4 x 5.6 x 7.8", "T11/12", "5/5 strength", "C5/6/7", "may 2 views", "1000-1500", "2015 HU", "99999999"]
)
def test_what_is_no_date_is_none(text: str) -> None:
    assert not list(dates.find(f"with {text}", cased=True))


def test_both_dates_of_a_report_keep_their_interval() -> None:
    text = TextCleaner(KEY, shift_days=-700).clean("CT on 03/12/2015, again 2015-03-22.").text
    assert without_marks(text) == "CT on 04/11/2013, again 2013-04-21."


def test_without_a_shift_a_date_says_nothing_and_a_year_stays() -> None:
    assert TextCleaner(KEY).clean("CT on 03/12/2015, surgery in 2009.").text == "CT on [DATE], surgery in 2009."


def test_dates_that_are_moved_already_stay() -> None:
    assert TextCleaner(KEY, shift_days=0).clean("CT on 03/12/2015.").text == "CT on 03/12/2015."


@pytest.mark.parametrize("text", ["Christmas 2014", "01/02/0001"])
def test_what_cannot_be_moved_is_none(text: str) -> None:
    assert dates.moved(text, -800_000) is None
