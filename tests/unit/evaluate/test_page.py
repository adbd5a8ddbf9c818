import re
import xml.dom.minidom

import pytest

from tests.unit.evaluate.answers import item, said
from vesalius.evaluate import figures, page, vqa

MADE = {
    "command": "vesalius evaluate <script>",
    "created": "2026-01-01T00:00:00+00:00",
    "versions": {"vesalius": "0"},
    "hardware": {"processor": "p", "cores": "2"},
    "data_hash": "d" * 64,
    "wall_seconds": 3.0,
    "config": {
        "limit": None,
        "policy": {"name": "default", "version": "1", "sha256": "a" * 64},
        "model": {"called": "<b>m</b>", "revision": "1", "summary": "s", "identity": {"weights": "w"}},
    },
}


def _results(items):
    return {"suite": "slake", "notes": ["a note"], **vqa.score(items, replicates=50)}


@pytest.fixture(scope="module")
def html():
    items = [item(i, "yes" if i % 2 else "no", said("yes" if i % 3 else "no", confidence=0.7), tags={"content": "A" if i < 9 else "B"}) for i in range(20)]
    items += [item(100 + i, "yes", said("yes" if i % 3 else "no", confidence=0.7), part="official/development") for i in range(40)]
    return page.render(_results(items), MADE)


def test_the_page_needs_no_network_and_no_script(html):
    assert not re.search(r"https?://|<script|<link|@import|url\(", html)


def test_what_comes_from_outside_is_escaped(html):
    assert "<b>m</b>" not in html
    assert "&lt;b&gt;m&lt;/b&gt;" in html


def test_every_picture_is_well_formed(html):
    pictures = re.findall(r"<svg.*?</svg>", html, re.DOTALL)
    assert len(pictures) > 10
    for picture in pictures:
        xml.dom.minidom.parseString(picture)


def test_the_page_says_what_the_figures_do_not(html):
    assert "What these numbers do not say" in html
    assert "a note" in html


def test_a_single_item_without_confidence_still_gives_a_page():
    assert "not measured" in page.render(_results([item(1, "yes", "yes")]), MADE)


def test_a_bar_stands_at_its_value():
    full = {"value": 1.0, "low": None, "high": None, "n": 1, "clusters": 1, "method": ""}
    assert 'cx="146.0"' in figures.bar(full)
    assert 'cx="4.0"' in figures.bar({**full, "value": 0.0})
    assert "not measured" in figures.bar({**full, "value": None})


def test_the_risk_curve_grows_its_axis_to_hold_the_data():
    curve = {"curve": {"coverage": [0.5, 1.0], "risk": [0.0, 0.7]}}
    assert ">80<" in figures.risk_coverage([("model", curve)], 0.7, None)
    assert "Nothing ranks" in figures.risk_coverage([("model", None)], None, None)
