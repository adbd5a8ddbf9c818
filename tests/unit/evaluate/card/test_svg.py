import re
import xml.dom.minidom

import pytest

from tests.trust_results import NOTHING, around
from vesalius.evaluate.card import svg


def _dots(picture):
    return [float(x) for x in re.findall(r'<circle cx="([\d.]+)"', picture)]


def test_a_dot_stands_at_its_value_and_a_band_reaches_as_far_as_chance():
    picture = svg.forest([svg.Dot("a", around(0.0)), svg.Dot("a", around(0.5), band=(0.0, 0.5)), svg.Dot("a", around(1.0))], label="l")
    left, middle, right = _dots(picture)
    assert middle == pytest.approx((left + right) / 2, abs=0.1)
    band = re.search(r'<rect x="([\d.]+)" y="[\d.]+" width="([\d.]+)"', picture)
    assert float(band[1]) == pytest.approx(left, abs=0.1)
    assert float(band[1]) + float(band[2]) == pytest.approx(middle, abs=0.1)


def test_values_beyond_the_axis_stay_on_it_and_what_is_missing_is_said():
    picture = svg.forest([svg.Dot("a", around(0.9)), svg.Dot("b", around(0.2)), svg.Dot("c", NOTHING)], high=0.2, label="l")
    assert _dots(picture)[0] == _dots(picture)[1]
    assert "not measured" in picture
    assert "Nothing to show" in svg.forest([], label="l")


@pytest.mark.parametrize(("low", "high"), [(0.0, 1.0), (0.0, 0.2), (0.0, 0.6), (-0.4, 0.2), (-1.0, 1.0), (0.0, 0.05)])
def test_an_axis_has_some_round_ticks_within_its_ends(low, high):
    ticks = svg.ticks(low, high)
    assert 3 <= len(ticks) <= 9
    assert low - 1e-9 <= ticks[0]
    assert ticks[-1] <= high + 1e-9
    assert 0.0 in ticks


def test_small_curves_leave_out_what_has_no_value():
    plots = [svg.Curve("noise <1>", [(1, around(0.5)), (3, NOTHING), (5, around(0.1))], 0.6), svg.Curve("empty", [(1, NOTHING)])]
    picture = svg.curves(plots, label="l", unit="severity")
    xml.dom.minidom.parseString(picture)
    assert len(_dots(picture)) == 2
    assert "noise &lt;1&gt;" in picture
    assert "empty" not in picture
    assert "Nothing to show" in svg.curves(plots[1:], label="l", unit="severity")


def test_the_risk_curve_shows_the_certified_risk_only_when_there_is_one():
    curve = {"coverage": [0.5, 1.0], "risk": [0.1, 0.7]}
    with_limit = svg.risk(curve, base=0.7, limit=0.1, points=[(0.5, 0.05)], label="l")
    assert "certified: at most 10%" in with_limit
    assert len(_dots(with_limit)) == 1
    assert "certified" not in svg.risk(curve, base=0.7, limit=None, points=[], label="l")
