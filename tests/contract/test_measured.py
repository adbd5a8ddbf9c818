"""What a card says was measured is what the records of the measurement say."""

import json
import re
from pathlib import Path

from vesalius.models import router
from vesalius.models.known import CARDS

ROOT = Path(__file__).parents[2]
FIGURE = re.compile(r"\d+\.\d+ \(\d+\.\d+–\d+\.\d+\), n [\d,]*\d")


def test_figures_of_pocket_stand_on_the_page_of_results():
    page = (ROOT / "docs" / "results.md").read_text(encoding="utf-8")
    said = [figure for line in CARDS["pocket"].measured for figure in FIGURE.findall(line)]
    assert len(said) >= 8
    assert not [figure for figure in said if figure not in page]


def test_figures_of_the_router_are_those_that_ship_with_it():
    kinds = json.loads((router.SHIPPED / router.ABOUT).read_text(encoding="utf-8"))["held_out"]["kinds"]
    lines = CARDS["visual-med-alpaca-pocket"].measured
    for kind, row in kinds.items():
        (line,) = [text for text in lines if kind in text]
        assert f"{row['right']} of {row['n']}" in line
        shown = "–".join(f"{100 * row[end]:.1f}" for end in ("low", "high"))
        assert f"{100 * row['accuracy']:.1f} ({shown})" in line, (kind, shown)


def test_nothing_is_said_to_be_measured_where_no_weights_were():
    assert {name for name, card in CARDS.items() if card.measured} == {"pocket", "visual-med-alpaca-pocket"}
