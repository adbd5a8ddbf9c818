"""The table of models and its cards, without torch."""

import subprocess
import sys

import pytest

from vesalius.errors import UnknownName, WeightsError
from vesalius.models import cards
from vesalius.models.cards import MODELS, card
from vesalius.models.known import CARDS


def test_every_model_of_ours_has_a_card_of_its_name():
    assert {*CARDS, cards.REMOTE} == {name for name in MODELS if MODELS.target(name).startswith("vesalius.")}
    for name, known in CARDS.items():
        assert card(name) is known
        assert known.name == name
        assert known.limits
        assert known.licence


def test_a_misspelt_name_is_answered_with_the_nearest():
    with pytest.raises(UnknownName, match="did you mean 'pocket'"):
        card("poket")


def test_cards_cost_no_torch():
    code = "import sys; import vesalius.models.cards; print({'torch', 'transformers', 'tokenizers'} & set(sys.modules))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60).stdout.strip() == "set()"


def test_a_name_may_say_where_the_weights_are(tmp_path):
    cards.check("pocket")
    cards.check(f"pocket:{tmp_path}")
    with pytest.raises(WeightsError, match="not a folder of weights"):
        cards.check(f"pocket:{tmp_path / 'absent'}")
    with pytest.raises(UnknownName):
        cards.check(f"pocked:{tmp_path}")
    with pytest.raises(WeightsError, match="cannot be read"):
        cards.load(f"pocket:{tmp_path}")
