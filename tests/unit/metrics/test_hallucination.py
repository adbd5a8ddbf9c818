import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vesalius.errors import InvalidValue
from vesalius.metrics import hallucination as h

LN2 = math.log(2)


def test_labels_count_meanings_and_never_join_what_could_not_be_read():
    assert h.labels(["a", "b", "a", None, None]) == (0, 1, 0, 2, 3)
    assert h.labels([]) == ()


def test_shares_weigh_by_likelihood_when_it_is_known():
    assert h.shares([0, 0, 1]).tolist() == pytest.approx([2 / 3, 1 / 3])
    assert h.shares([0, 1], [math.log(3), 0.0]).tolist() == pytest.approx([0.75, 0.25])
    assert h.shares([0, 0], slots=3).tolist() == [1, 0, 0]
    assert h.shares([], slots=2).tolist() == [0, 0]


@pytest.mark.parametrize("given_", [([-1], None), ([0, 1], [0.0]), ([0], [math.nan]), ([0], [-math.inf])])
def test_shares_refuse_what_is_no_sample(given_):
    with pytest.raises(InvalidValue):
        h.shares(*given_)


def test_shares_refuse_a_label_without_a_slot():
    with pytest.raises(InvalidValue):
        h.shares([0, 3], slots=2)


def test_entropies_of_a_split_vote():
    of = [0] * 5 + [1] * 5
    assert h.discrete_semantic_entropy(of) == pytest.approx(LN2)
    assert h.dse(of) == pytest.approx(math.log10(2))
    assert h.semantic_entropy(of, [0.0] * 10) == pytest.approx(LN2)
    assert h.semantic_entropy(of, [0.0] * 5 + [-50.0] * 5) == pytest.approx(0, abs=1e-9)


def test_the_published_limit_refuses_a_tie_of_fifteen_samples_but_not_one_dissenter():
    assert h.dse([0] * 8 + [1] * 7) > h.DSE_LIMIT
    assert h.dse([0] * 14 + [1]) < h.DSE_LIMIT


def test_one_sample_has_no_entropy():
    assert h.discrete_semantic_entropy([0]) is None
    assert h.dse([]) is None
    assert h.semantic_entropy([0], [0.0]) is None
    assert h.predictive_entropy([]) is None


@given(st.lists(st.integers(0, 5), min_size=2, max_size=20))
def test_entropies_lie_between_zero_and_the_logarithm_of_the_samples(of):
    of = h.labels(of)
    value = h.discrete_semantic_entropy(of)
    assert 0 <= value <= math.log(len(of)) + 1e-9
    assert (value == 0) == (len(set(of)) == 1)
    assert h.dse(of) == pytest.approx(value / math.log(10))
    assert h.semantic_entropy(of, [-1.3] * len(of)) == pytest.approx(value)


def test_support_is_the_share_that_means_the_same():
    assert h.support(0, [0, 0, 1, 2]) == 0.5
    assert h.support(0, []) is None


def test_claims_are_supported_and_denied_one_by_one():
    table = [[True, True, False, False], [True, True, True, True]]
    assert h.claim_support(table).tolist() == [0.5, 1.0]
    assert h.contradiction(table) == 1.0
    assert h.contradiction([[False, False]]) == 0.0
    assert h.claim_support([]).size == 0
    assert h.contradiction([]) is None


def test_the_case_of_the_module_that_tells_the_names_apart():
    a, b = [1.0, 0.0], [0.0, 1.0]
    assert h.vase(a, b) == pytest.approx(0.190865, abs=1e-6)
    assert h.vase_clipped(a, b) == 0
    assert h.vase([1.0], [1.0]) == pytest.approx(0, abs=1e-9)
    assert h.vase(a, a) == pytest.approx(0.582203, abs=1e-6)  # an empty slot adds, though every sample agrees


def test_vase_without_contrast_is_the_entropy_of_a_softmax():
    p = np.array([0.7, 0.3])
    q = np.exp(p) / np.exp(p).sum()
    assert h.vase(p, p, alpha=0) == pytest.approx(-(q * np.log(q)).sum(), abs=1e-6)
    assert h.vase(p, p, alpha=9) == pytest.approx(h.vase(p, p, alpha=0))


def test_clipping_without_contrast_is_semantic_entropy():
    p = [0.7, 0.2, 0.1]
    assert h.vase_clipped(p, p) == pytest.approx(h.entropy(p))


@given(st.integers(1, 6), st.integers(0, 10_000), st.floats(0, 3))
def test_vase_lies_between_zero_and_the_logarithm_of_the_slots(slots, seed, alpha):
    rng = np.random.default_rng(seed)
    p, q = rng.dirichlet(np.ones(slots)), rng.dirichlet(np.ones(slots))
    for value in (h.vase(p, q, alpha), h.vase_clipped(p, q, alpha)):
        assert -1e-9 <= value <= math.log(slots) + 1e-6


@pytest.mark.parametrize("pair", [([0.5, 0.5], [1.0]), ([0.5, 0.6], [0.5, 0.5]), ([], []), ([1.5, -0.5], [0.5, 0.5])])
def test_vase_refuses_what_are_no_two_distributions(pair):
    with pytest.raises(InvalidValue):
        h.vase(*pair)


def test_l_vase_falls_when_the_picture_speaks_for_the_answer():
    assert h.l_vase_yes_no(0.9, 0.5) < h.l_vase_yes_no(0.9, 0.9) < h.l_vase_yes_no(0.9, 0.99)
    assert h.l_vase_yes_no(0.5, 0.5) == pytest.approx(1)
    assert h.l_vase_yes_no(1.0, 0.0) == pytest.approx(0, abs=1e-9)
    assert h.l_vase_yes_no(0.3, 0.6) == pytest.approx(h.l_vase_yes_no(0.7, 0.4))
    with pytest.raises(InvalidValue):
        h.l_vase_yes_no(1.2, 0.5)
    with pytest.raises(InvalidValue):
        h.l_vase([1.0], [2.0])


def test_a_model_that_always_says_the_same_contradicts_itself_half_of_the_time():
    assert h.self_contradiction([True, False], [True, True]) == 0.5
    assert h.self_contradiction([True, False], [True, False]) == 0
    assert h.self_contradiction([True, False], [False, None]) == 1
    assert h.self_contradiction([True, False], [None, None]) is None
    with pytest.raises(InvalidValue):
        h.self_contradiction([True], [])


def test_chair_counts_invented_findings_by_mention_and_by_text():
    mentioned = [{"Mass", "Effusion"}, set(), {"Nodule"}]
    present = [{"Mass"}, {"Hernia"}, {"Nodule"}]
    assert h.chair(mentioned, present) == (pytest.approx(1 / 3), pytest.approx(1 / 3))
    false, named, found = h.chair_counts(mentioned, present)
    assert (false.tolist(), named.tolist(), found.tolist()) == ([1, 0, 0], [2, 0, 1], [1, 0, 1])
    assert h.chair([set()], [{"Mass"}]) == (None, 0.0)
    assert h.chair([], []) == (None, None)
    with pytest.raises(InvalidValue):
        h.chair([set()], [])


@given(st.lists(st.tuples(st.sets(st.integers(0, 5)), st.sets(st.integers(0, 5))), max_size=10))
def test_naming_only_what_is_there_invents_nothing(rows):
    present = [p for _, p in rows]
    i, s = h.chair([m & p for m, p in rows], present)
    assert i in (None, 0.0)
    assert s in (None, 0.0)
