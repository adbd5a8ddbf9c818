import pytest

from tests.evaluate_miniature import slake
from tests.unit.evaluate.answers import item
from vesalius.evaluate.chosen import asked_of, choose, exchange_json, exchange_of, fewest, steady
from vesalius.evaluate.study import Bench
from vesalius.metrics.statistics import Interval


def test_recorded_items_come_before_the_data_set(tmp_path):
    recorded = [item(1, "yes", "yes"), item(2, "no", "no", part="official/development")]
    assert [x.id for x in asked_of(Bench(tmp_path, items={"slake": recorded}), "slake")] == ["x1"]


def test_without_recorded_items_the_data_set_is_read(tmp_path):
    found = asked_of(Bench(slake(tmp_path, 6)), "slake")
    assert len(found) == 6
    assert asked_of(Bench(tmp_path), "vqa-rad") == []
    assert asked_of(Bench(), "slake") == []
    assert asked_of(Bench(tmp_path), "predictions") == []


def test_images_and_questions_are_chosen_by_a_fixed_hash_that_knows_no_gold_answer():
    golds = ("yes", "no")
    first, second = (
        [x.id for x in choose([item(n, gold, "yes", cluster=f"c{n // 3}").exchange for n in range(60)], images=7, salt="s", per_image=2)] for gold in golds
    )
    assert first == second
    assert len(first) == 14
    assert len(choose([item(n, "yes", "yes").exchange for n in range(60)], images=None, salt="s")) == 60


def test_only_fitting_questions_count():
    rows = [item(n, "yes", "yes", question="Is it?" if n % 2 else "Where?").exchange for n in range(10)]
    assert {x.question.text for x in choose(rows, images=None, salt="s", fits=lambda x: x.question.text == "Is it?")} == {"Is it?"}


def test_a_row_gives_its_question_back():
    exchange = item(3, "yes", "yes").exchange
    again = exchange_of(exchange_json(exchange, "slake"))
    assert (again.id, again.gold, again.question, again.cluster, again.closed) == (exchange.id, "yes", exchange.question, exchange.cluster, True)


def test_the_smallest_limit_counts():
    assert fewest(None, 5, 3) == 3
    assert fewest(None) is None


@pytest.mark.parametrize(("low", "high", "ends"), [(0.2, 0.2, None), (0.1, 0.3, 0.1), (None, None, None)])
def test_an_interval_of_no_width_is_none(low, high, ends):
    assert steady(Interval(0.2, low, high, 5, 5, "m")).low == ends
