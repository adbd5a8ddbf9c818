"""No question, image or answer of an evaluation depends on the gold answers: exchanging them changes only what is scored."""

import json

import pytest

from tests.evaluate_miniature import FakeModel, slake
from vesalius.evaluate import task
from vesalius.evaluate.record import read_items


def _turned(root):
    """Exchange the gold answers among the rows of each part."""
    for name in ("train", "validate"):
        path = root / "slake" / f"{name}.json"
        rows = json.loads(path.read_text())
        golds = [row["answer"] for row in rows]
        for row, gold in zip(rows, golds[1:] + golds[:1], strict=True):
            row["answer"] = gold
        path.write_text(json.dumps(rows))
    return root


@pytest.fixture(scope="module")
def two(tmp_path_factory):
    found = []
    for change in (lambda root: root, _turned):
        folder = tmp_path_factory.mktemp("gold")
        model = FakeModel(wrong=0.2)
        scores = task.run("slake", "fake", change(slake(folder / "root")), folder / "run", model_object=model, baselines=False, questioned=4, reworded=8)
        found.append((model.asked, read_items(folder / "run" / "items.jsonl"), (folder / "run" / "readings.jsonl").read_text(), scores))
    return found


def test_the_same_is_asked_in_the_same_order(two):
    assert two[0][0] == two[1][0]
    assert len(two[0][0]) > 100


def test_every_answer_and_every_chosen_image_is_the_same(two):
    def without_gold(item):
        row = item.to_json()
        row["partners"] = [{k: v for k, v in partner.items() if k != "gold"} for partner in row["partners"]]
        return {k: v for k, v in row.items() if k != "gold"}

    assert [without_gold(i) for i in two[0][1]] == [without_gold(i) for i in two[1][1]]
    assert [i.exchange.gold for i in two[0][1]] != [i.exchange.gold for i in two[1][1]]  # the golds did change


def test_readings_are_the_same_but_for_their_timing(two):
    def untimed(text):
        return [{k: v for k, v in json.loads(line).items() if k != "timing"} for line in text.splitlines()]

    assert untimed(two[0][2]) == untimed(two[1][2])
    assert len(untimed(two[0][2])) == 4


def test_the_score_does_depend_on_gold(two):
    first, second = (found[3]["parts"]["official/test"]["systems"]["model"]["overall"]["value"] for found in two)
    assert first > second
