import numpy as np
import pytest

from vesalius.errors import InvalidValue
from vesalius.metrics.agreement import errors, macro_f1, of_sums, scores

STATED = np.array([[1, 0, 0], [1, 1, 0], [0, 0, 0], [1, 0, 0]], bool)
SAID = np.array([[1, 1, 0], [0, 1, 0], [0, 0, 0], [1, 0, 0]], bool)
NONE = np.zeros_like(STATED)


def _errors(**changes):
    given = {"stated_doubted": NONE, "said_doubted": NONE, "stated_denied": NONE, "clusters": None, "replicates": 50, **changes}
    return errors(given.pop("stated", STATED), given.pop("said", SAID), **given)


def test_pooled_scores_by_hand():
    found = scores(STATED, SAID, None, replicates=50)
    assert (found.precision.value, found.recall.value, found.f1.value) == (3 / 4, 3 / 4, 3 / 4)
    assert (found.stated, found.said) == (4, 4)


def test_a_finding_that_is_neither_stated_nor_said_has_no_score_and_is_no_part_of_the_mean():
    assert scores(STATED[:, [2]], SAID[:, [2]], None).f1.value is None
    mean, over = macro_f1(STATED, SAID, None, replicates=50)
    assert over == 2
    assert mean.value == pytest.approx((4 / 5 + 2 / 3) / 2)


def test_made_up_contradicted_and_omitted():
    found = _errors()
    assert (found.hallucinated.value, found.omitted.value) == (1 / 4, 1 / 4)
    assert (found.hallucinated_reports.value, found.omitted_reports.value) == (1 / 4, 1 / 4)
    assert found.contradicted.value == 0
    denied = NONE.copy()
    denied[0, 1] = True
    assert _errors(stated_denied=denied).contradicted.value == 1 / 4


def test_what_is_doubted_is_neither_made_up_nor_omitted():
    doubted = NONE.copy()
    doubted[0, 1] = True
    assert _errors(stated_doubted=doubted).hallucinated.value == 0
    doubted = NONE.copy()
    doubted[1, 0] = True
    assert _errors(said_doubted=doubted).omitted.value == 0


def test_nothing_said_has_no_share_that_is_made_up():
    found = _errors(said=NONE)
    assert found.hallucinated.value is None
    assert found.omitted.value == 1


def test_tables_of_different_shapes_are_refused():
    with pytest.raises(InvalidValue, match="one shape"):
        scores(STATED, SAID[:, :2], None)
    with pytest.raises(InvalidValue, match="one entry per answer"):
        of_sums(lambda sums: float(sums[0]), np.ones((3, 1)), ["a"])
    with pytest.raises(InvalidValue, match="one shape"):
        _errors(stated_denied=NONE[:2], stated_doubted=NONE)


def test_no_reports_at_all():
    none = np.zeros((0, 3), bool)
    assert macro_f1(none, none, [])[0].value is None
    assert scores(none, none, []).f1.value is None


def test_the_interval_of_macro_f1_holds_the_truth_as_often_as_it_says():
    rng = np.random.default_rng(0)

    def drawn(patients):
        sick = rng.random((patients, 1, 2)) < [0.5, 0.3]
        stated = np.repeat(sick, 3, axis=1).reshape(-1, 2)
        sharp = np.repeat(rng.random((patients, 1, 2)) < 0.8, 3, axis=1).reshape(-1, 2)  # a patient is read well or badly, three times
        return stated, np.where(sharp, stated, rng.random(stated.shape) < 0.4), np.repeat(np.arange(patients), 3)

    stated, said, _ = drawn(20_000)
    truth = macro_f1(stated, said, None, replicates=1)[0].value
    held = 0
    for _ in range(120):
        interval = macro_f1(*drawn(80), replicates=120)[0]
        held += interval.low <= truth <= interval.high
    assert 0.88 <= held / 120 <= 0.99
