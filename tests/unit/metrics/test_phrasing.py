import pytest

from vesalius.domain.exchange import Outcome
from vesalius.errors import InvalidValue
from vesalius.metrics.phrasing import Flip, flips, grounded_score, harmful_helpful, quadrants, summarise, worst_case_accuracy

SAME, FLIPPED, UNPARSED = Flip.SAME, Flip.FLIPPED, Flip.UNPARSED


@pytest.mark.parametrize(
    ("original", "answer", "polarity", "state"),
    [
        ("yes", "Yes, clearly", 1, SAME),
        ("yes", "no", 1, FLIPPED),
        ("yes", "no", -1, SAME),
        ("yes", "yes", -1, FLIPPED),
        ("yes", "cannot be determined", 1, FLIPPED),
        ("yes", "cannot be determined", -1, FLIPPED),
        ("unclear", "cannot be determined", -1, SAME),
        ("unclear", "left", 1, FLIPPED),
        ("yes", "yes and no", 1, UNPARSED),
        ("", "yes", 1, UNPARSED),
        ("yes", "left lung", 1, UNPARSED),
        ("left lung", "yes", 1, UNPARSED),
        ("left lung", "The left lung.", 1, SAME),
        ("left lung", "right lung", 1, FLIPPED),
        ("left lung", "left lung", -1, UNPARSED),
        (Outcome.NO, Outcome.YES, -1, SAME),
        (Outcome.UNPARSED, Outcome.YES, 1, UNPARSED),
    ],
)
def test_states(original, answer, polarity, state):
    assert flips(original, [answer], [polarity]).tolist() == [state]


def test_comparison_of_texts_can_be_given():
    assert flips("a b", ["b a"], [1], same=lambda x, y: sorted(x) == sorted(y)).tolist() == [SAME]


def test_summary_counts_the_third_state_both_ways():
    total = summarise([[0, 1, 2, 0], [0, 0], [2], []])
    assert (total.questions, total.pairs, total.unparsed) == (3, 7, 2)
    assert total.rate == pytest.approx(3 / 7)
    assert total.rate_parsed == pytest.approx(1 / 5)
    assert total.any_flip == pytest.approx(2 / 3)
    assert total.any_flip_parsed == pytest.approx(1 / 2)
    assert total.m == (1, pytest.approx(7 / 3), 4)


def test_nothing_to_summarise():
    assert summarise([[], []]).rate is None
    assert summarise([[2]]).rate_parsed is None
    assert summarise([[2]]).any_flip_parsed is None


def test_correctness():
    change = harmful_helpful([1, 0], [[1, 0, 0], [1]])
    assert (change.harmful, change.helpful, change.pairs) == (0.5, 0.25, 4)
    assert harmful_helpful([1], [[]]).harmful is None
    assert worst_case_accuracy([1, 1, 0, 1], [[1, 1], [1, 0], [1], []]) == 0.5
    assert worst_case_accuracy([], []) is None


def test_quadrants():
    table = quadrants([1, 0, 1, 1, 0], [1, 1, 0, 0, 0])
    assert (table.ideal, table.fragile, table.dangerous, table.worst, table.n) == (1, 1, 2, 1, 5)
    assert table.shares()["dangerous"] == 0.4
    assert quadrants([], []).shares() == {}


def test_grounded_score_is_zero_for_a_blind_model_and_one_for_a_perfect_one():
    assert grounded_score([0, 0, 0], [1, 1]) == 0.0
    assert grounded_score([1, 1], [1]) == 1.0
    assert grounded_score([1, 0], [0, 1]) == 0.0  # answers at random
    assert grounded_score([], [1]) is None


@pytest.mark.parametrize(
    "call",
    [
        lambda: flips("yes", ["yes"], []),
        lambda: flips("yes", ["yes"], [0]),
        lambda: flips(Outcome.TEXT, ["left"], [1]),
        lambda: flips("left", [Outcome.TEXT], [1]),
        lambda: summarise([[3]]),
        lambda: harmful_helpful([1], []),
        lambda: worst_case_accuracy([1, 0], [[1]]),
        lambda: quadrants([1], [1, 0]),
    ],
)
def test_bad_input_is_refused(call):
    with pytest.raises(InvalidValue):
        call()
