import numpy as np
import pytest

from vesalius.errors import InvalidValue
from vesalius.metrics.findings import Told, best_f1_threshold, counts, macro, ranking, rates

NAN = np.nan


def told(finding, gold, said, score=None, clusters=None):
    n = len(gold)
    return Told(list(finding), np.asarray(gold, bool), said, [NAN] * n if score is None else score, clusters or [str(i) for i in range(n)])


def values(found):
    return {name: interval.value for name, interval in found.items()}


def test_unread_answers_count_as_no_or_nowhere():
    rows = told("AAAAA", [1, 1, 0, 0, 1], [1, NAN, 1, NAN, 0])
    assert values(rates(counts(rows, unread="negative"), rows.clusters, replicates=50)) == pytest.approx({"precision": 0.5, "recall": 1 / 3, "f1": 0.4})
    assert values(rates(counts(rows, unread="out"), rows.clusters, replicates=50)) == pytest.approx({"precision": 0.5, "recall": 0.5, "f1": 0.5})


def test_what_was_never_said_has_no_precision():
    rows = told("AA", [1, 0], [0, 0])
    found = rates(counts(rows, unread="out"), rows.clusters, replicates=50)
    assert found["precision"].value is None
    assert (found["recall"].value, found["f1"].value) == (0.0, 0.0)
    none = told("AA", [0, 0], [0, 0])
    assert all(v is None for v in values(rates(counts(none, unread="out"), none.clusters)).values())


def test_macro_takes_findings_with_a_gold_positive():
    rows = told("AABBCC", [1, 0, 1, 0, 0, 0], [1, 0, 0, 0, 1, 0], clusters=["p", "q"] * 3)
    assert values(macro(rows, unread="negative", replicates=50)) == pytest.approx({"precision": 0.5, "recall": 0.5, "f1": 0.5})
    assert all(v is None for v in values(macro(told("A", [0], [1]), unread="out")).values())
    assert all(v is None for v in values(macro(told("", [], []), unread="out")).values())
    alone = macro(told("A", [1], [1]), unread="out")["f1"]
    assert (alone.value, alone.low) == (1.0, None)


def test_macro_resamples_patients_over_all_findings():
    rng = np.random.default_rng(0)
    gold = rng.random(400) < 0.4
    said = np.where(rng.random(400) < 0.8, gold, ~gold).astype(float)
    rows = told("AB" * 200, gold, said, clusters=[str(i // 8) for i in range(400)])
    found = macro(rows, unread="out", replicates=500)["f1"]
    assert found.low < found.value < found.high
    assert (found.n, found.clusters) == (400, 50)


def test_ranking_leaves_out_what_cannot_be_ranked():
    rows = told("AAABBC", [1, 0, 0, 1, 1, 0], [NAN] * 6, [0.9, 0.1, NAN, 0.5, 0.4, 0.3])
    found = ranking(rows, replicates=50)
    assert found["findings"]["A"]["auroc"].value == 1.0
    assert found["findings"]["A"]["auroc"].low is None
    assert "rarer answer has only 1" in found["findings"]["A"]["auroc"].method
    assert found["findings"]["B"]["auroc"].value is None
    assert found["findings"]["C"]["auprc"].value is None
    assert found["macro"]["auroc"].value == 1.0
    assert ranking(told("", [], []), replicates=50)["macro"]["auprc"].value is None


def test_ranking_has_intervals():
    rng = np.random.default_rng(1)
    gold = rng.random(300) < 0.3
    rows = told("ABC" * 100, gold, [NAN] * 300, np.clip(0.3 * gold + rng.random(300) * 0.7, 0, 1))
    found = ranking(rows, replicates=200)
    for interval in (found["macro"]["auroc"], found["macro"]["auprc"], found["findings"]["B"]["auroc"]):
        assert interval.low < interval.value < interval.high


def test_threshold():
    assert best_f1_threshold([0.9, 0.8, 0.2], [1, 1, 0]) == 0.8
    assert best_f1_threshold([0.5, 0.5, 0.1], [1, 0, 0]) == 0.5
    assert best_f1_threshold([0.9, 0.8], [0, 0]) is None
    assert best_f1_threshold([], []) is None
    assert best_f1_threshold([0.3, 0.3], [1, 1]) == 0.3


@pytest.mark.parametrize(
    "call",
    [
        lambda: told("AB", [1], [1]),
        lambda: told("A", [1], [2]),
        lambda: told("A", [1], [1], [np.inf]),
        lambda: counts(told("A", [1], [1]), unread="guess"),
        lambda: best_f1_threshold([0.1], [1, 0]),
        lambda: best_f1_threshold([NAN], [1]),
    ],
)
def test_bad_input_is_refused(call):
    with pytest.raises(InvalidValue):
        call()
