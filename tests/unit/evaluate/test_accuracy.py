import pytest

from tests.unit.evaluate.answers import item, said
from vesalius.evaluate import accuracy
from vesalius.evaluate.accuracy import BLANK, MODEL, SWAP, Scorer

SCORER = Scorer(replicates=200, seed=0)


@pytest.mark.parametrize(
    ("answer", "gold", "right"),
    [
        ("Yes", "yes", True),
        ("yes, on the left", "Yes", True),
        ("yes and no", "yes", False),
        ("normal", "no", False),  # the published rule would find "no" in it
        ("the left lung", "Left lung", True),
        ("lung", "left lung", False),
        ("", "no", False),
        ("yes", "left", False),
    ],
)
def test_right_is_strict(answer, gold, right):
    assert accuracy.is_right(said(answer), item(1, gold, answer).exchange) is right


def test_parse_failures_are_judged_by_the_question_not_by_the_gold_answer():
    free = item(1, "left lung", "yes and no", question="Where is it?").exchange
    closed = item(2, "yes", "pleural", question="Is there an effusion?").exchange
    assert accuracy.parse_failed(said("yes and no"), free)
    assert not accuracy.parse_failed(said("left"), free)
    assert accuracy.parse_failed(said("pleural"), closed)
    assert not accuracy.parse_failed(said("cannot be determined"), closed)


def test_table_counts_by_hand():
    items = [item(1, "yes", "yes"), item(2, "yes", "no"), item(3, "no", "no"), item(4, "lung", "lung", closed=False, question="Which organ?", blank="heart")]
    rows = accuracy.table(items, accuracy.systems(items, {"majority": {"x1": said("yes"), "x2": said("yes")}}), SCORER)
    assert rows[MODEL]["closed"]["value"] == pytest.approx(2 / 3)
    assert rows[MODEL]["open"]["value"] == 1.0
    assert rows[MODEL]["overall"]["value"] == 0.75
    assert rows[BLANK]["overall"]["value"] == 0.25
    assert rows[BLANK]["ahead"]["overall"]["value"] == 0.5
    assert rows["majority"]["overall"]["n"] == 2  # compared only on what it answered
    assert rows["majority"]["ahead"]["overall"]["value"] == -0.5
    assert rows[SWAP]["closed"]["n"] == 3


def test_controls_nobody_gave_are_not_in_the_table():
    items = [item(1, "yes", "yes")]
    assert "no image" not in accuracy.systems(items, {})


def test_a_row_with_two_contents_counts_for_each():
    items = [item(1, "yes", "yes", tags={"content": "PRES, POS"}), item(2, "yes", "no", tags={"content": "POS"})]
    table = accuracy.by_tag(items, accuracy.systems(items, {}), "content", SCORER)
    assert table["PRES"][MODEL]["n"] == 1
    assert table["POS"][MODEL]["value"] == 0.5


def test_intervals_are_clustered_by_image():
    items = [item(i, "yes", "yes" if i < 20 else "no", cluster=f"c{i // 20}") for i in range(40)]
    row = accuracy.table(items, accuracy.systems(items, {}), SCORER)[MODEL]["overall"]
    assert (row["n"], row["clusters"]) == (40, 2)
    assert row["low"] == 0.0  # two clusters that differ: hardly anything is known, though there are 40 answers
    assert row["high"] == 1.0
