import json
import re
import xml.dom.minidom
from html.parser import HTMLParser

import pytest

from tests import trust_results as made
from vesalius.errors import UserError
from vesalius.evaluate.card import build, page
from vesalius.evaluate.card.runs import read, read_all

DAY = "2026-01-01"


class Outline(HTMLParser):
    """Tags that are open, headings in their order, ids, links, and pictures without a label."""

    def __init__(self):
        super().__init__()
        self.open, self.levels, self.ids, self.links, self.unlabelled, self.figures = [], [], [], [], [], []

    def handle_starttag(self, tag, attributes):
        about = dict(attributes)
        if tag in ("h1", "h2", "h3", "h4"):
            self.levels.append(int(tag[1]))
        if "id" in about:
            self.ids.append(about["id"])
        if tag == "a":
            self.links.append(about["href"])
        if tag == "svg" and not (about.get("role") == "img" and about.get("aria-label")):
            self.unlabelled.append(about)
        if tag not in ("meta", "br", "img"):
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        """A tag that closes itself."""

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def outline(html):
    found = Outline()
    found.feed(html)
    assert found.open == []
    return found


@pytest.fixture(scope="module")
def html(tmp_path_factory):
    run = made.folder(tmp_path_factory.mktemp("card") / "run", made.results(name="<b>invented</b>"), made.items(62, 31))
    made.write_certificate(run, name="<b>invented</b>")
    return page.render(build.build(read_all([run])), day=DAY)


def test_the_page_needs_no_network_and_no_script(html):
    assert not re.search(r"https?://|<script|<link|@import|url\(", html)


def test_what_comes_from_outside_is_escaped(html):
    assert "<b>invented" not in html
    assert "&lt;b&gt;invented" in html
    assert "turned &lt;by&gt; 90" in html


def test_every_picture_is_well_formed_and_labelled(html):
    pictures = re.findall(r"<svg.*?</svg>", html, re.DOTALL)
    assert len(pictures) > 20
    for picture in pictures:
        xml.dom.minidom.parseString(picture)
    assert outline(html).unlabelled == []


def test_the_page_is_whole_its_links_lead_somewhere_and_its_ids_are_unique(html):
    found = outline(html)
    assert len(set(found.ids)) == len(found.ids)
    assert {link.removeprefix("#") for link in found.links} <= set(found.ids)
    assert found.levels[0] == 1
    assert all(b - a <= 2 for a, b in zip(found.levels, found.levels[1:], strict=False))


def test_every_figure_has_a_table_beside_it(html):
    figures = re.findall(r"<figure>.*?</figure>\s*<div class=\"scroll\".*?<table>.*?</table>", html, re.DOTALL)
    assert len(figures) == html.count("<figure>") > 8


def test_every_property_is_there(html):
    for title in ("Right answers", "Flips in other words", "Needs the picture", "Gives way to pressure", "Gap between groups"):
        assert f"<h4>{title}</h4>" in html
    assert html.count('class="stat') == 12
    assert "not measured: " not in html


def test_the_verdict_comes_before_anything_else(html):
    assert html.index('class="verdict"') < html.index("Twelve properties</a>") < html.index('class="tiles"')


def test_the_certificate_stands_on_the_curve(html):
    assert "certified: at most 10%" in html
    assert "among accepted answers at most 10% are wrong" in html


def test_attacks_are_drawn_by_size_beside_their_controls(html):
    assert "Can it be misled on purpose?" in html
    assert '<th scope="row">PGD</th><td>4/255</td><td>80.0 (75.0 to 85.0)</td>' in html
    assert "NORMAL &lt;b&gt;” in the picture" in html


def test_a_model_that_cannot_be_attacked_says_why(tmp_path):
    results = made.results()
    results["studies"]["adversarial"]["gradient"] = {"skipped": "it gives no gradient"}
    html = page.render(build.build([read(made.folder(tmp_path / "run", results))]), day=DAY)
    assert "No attack by gradient: it gives no gradient." in html


def test_the_worst_answers_are_text_without_pictures(html):
    assert "The worst answers" in html
    assert "<img" not in html
    assert "the same on a blank image" in html


def test_the_page_has_light_dark_and_print_colours(html):
    assert "prefers-color-scheme:dark" in html
    assert "@media print" in html


def test_the_same_runs_give_the_same_bytes_but_for_the_date(tmp_path):
    def everything(day):
        run = read_all([made.folder(tmp_path / "run", made.results(), made.items(62, 31))])
        card = build.build(run)
        return page.render(card, day=day), json.dumps(build.figures_json(card))

    first, again = everything("2026-01-01"), everything("2031-12-31")
    assert first[0] != again[0]
    assert first[0].replace("2026-01-01", "DAY") == again[0].replace("2031-12-31", "DAY")
    assert first[1] == again[1]


@pytest.mark.parametrize("absent", [*made.results()["studies"], None])
def test_any_study_may_be_absent(tmp_path, absent):
    everything = tuple(made.results()["studies"])
    run = read(made.folder(tmp_path / "run", made.results(without=everything if absent is None else (absent,))))
    html = page.render(build.build([run]), day=DAY)
    outline(html)
    assert "not measured: it was left out on purpose" in html


def test_several_runs_stand_side_by_side_with_their_differences(tmp_path):
    folders = [made.folder(tmp_path / n, made.results(accuracy=a), made.items(r, 31)) for n, a, r in (("a", 0.8, 80), ("b", 0.6, 60))]
    card = build.build(read_all(folders))
    html = page.render(card, day=DAY)
    outline(html)
    assert "Held against invented (a)" in html
    assert "-20.0 points (" in html
    assert 'class="worse">worse' in html
    assert "paired, n 100" in html
    assert "unpaired, n 100" in html
    assert [run["run"] for run in build.figures_json(card)["runs"]] == ["invented (a)", "invented (b)"]


def test_an_earlier_run_in_the_folder_before_makes_the_alarm_the_first_line(tmp_path):
    run = made.folder(tmp_path / "run", made.results(flips=0.1, grounded=0.1))
    made.folder(run / "before", made.results(flips=0.4, grounded=0.6))
    card = build.build([read(run)])
    html = page.render(card, day=DAY)
    assert html.index("Steadier, but blinder") < html.index("62 of 100 answers right")
    assert build.figures_json(card)["runs"][0]["verdict"].startswith("Steadier, but blinder")
    assert "Later less earlier" in html


def test_a_folder_that_is_no_run_is_refused(tmp_path):
    with pytest.raises(UserError, match=r"holds no trust\.json"):
        read(tmp_path)
    (tmp_path / "trust.json").write_text('{"studies": [')
    with pytest.raises(UserError, match="is damaged"):
        read(tmp_path)
    (tmp_path / "trust.json").write_text('{"studies": [], "model": {}}')
    with pytest.raises(UserError, match="must be objects"):
        read(tmp_path)


def test_a_damaged_certificate_is_told(tmp_path):
    run = read(made.folder(tmp_path / "run", made.results()))
    (run.folder / "certificate.json").write_text("{}")
    with pytest.raises(UserError, match="no report of a certificate"):
        build.build([run])


def test_a_run_given_twice_is_refused(tmp_path):
    run = made.folder(tmp_path / "run", made.results())
    with pytest.raises(UserError, match="twice"):
        read_all([run, tmp_path / "." / "run"])
