"""Properties of certified thresholds: a stricter risk or a higher confidence never certifies more coverage, and the order of cases is no matter."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vesalius.metrics.certify import certify, claim_cut, conformal_quantile, upper_bound

LEVEL = st.floats(0.02, 0.5)


@st.composite
def cases(draw, ties=True):
    n = draw(st.integers(1, 300))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    score = rng.random(n)
    if ties and draw(st.booleans()):
        score = score.round(1)
    return score, rng.random(n) < draw(st.floats(0, 0.5)) * score


@settings(max_examples=100, deadline=None)
@given(cases(), st.tuples(LEVEL, LEVEL), st.floats(0.6, 0.99), st.integers(1, 60), st.sampled_from(["walk", "grid"]))
def test_a_stricter_risk_from_the_same_start_never_certifies_more(drawn, risks, confidence, start, method):
    strict, loose = (certify(*drawn, risk=risk, confidence=confidence, start=start, method=method).coverage or 0.0 for risk in sorted(risks))
    assert strict <= loose


@settings(max_examples=100, deadline=None)
@given(cases(ties=False), st.tuples(LEVEL, LEVEL), st.floats(0.6, 0.99))
def test_a_stricter_risk_from_its_own_start_never_certifies_more_of_distinct_scores(drawn, risks, confidence):
    strict, loose = (certify(*drawn, risk=risk, confidence=confidence).coverage or 0.0 for risk in sorted(risks))
    assert strict <= loose


@settings(max_examples=100, deadline=None)
@given(cases(), LEVEL, st.tuples(st.floats(0.6, 0.99), st.floats(0.6, 0.99)), st.integers(1, 60))
def test_more_confidence_never_certifies_more(drawn, risk, confidences, start):
    less, more = (certify(*drawn, risk=risk, confidence=c, start=start).coverage or 0.0 for c in sorted(confidences))
    assert more <= less


@settings(max_examples=100, deadline=None)
@given(cases(), LEVEL, st.sampled_from(["walk", "grid"]), st.integers(0, 99))
def test_the_order_of_cases_is_no_matter(drawn, risk, method, seed):
    score, wrong = drawn
    order = np.random.default_rng(seed).permutation(len(score))
    assert certify(score, wrong, risk=risk, confidence=0.95, method=method) == certify(score[order], wrong[order], risk=risk, confidence=0.95, method=method)


@settings(max_examples=100, deadline=None)
@given(cases(), LEVEL)
def test_what_is_certified_has_a_bound_within_the_risk(drawn, risk):
    score, wrong = drawn
    found = certify(score, wrong, risk=risk, confidence=0.95)
    if found.threshold is not None:
        kept = score <= found.threshold
        assert (found.accepted, found.errors) == (kept.sum(), wrong[kept].sum())
        assert found.bound == pytest.approx(upper_bound(found.errors, found.accepted, 0.95))
        assert found.bound <= risk + 1e-9


@settings(max_examples=100, deadline=None)
@given(st.lists(st.floats(0, 1), max_size=50), st.tuples(st.floats(0.01, 0.99), st.floats(0.01, 0.99)))
def test_a_smaller_alpha_never_excludes_more(scores, alphas):
    small, large = sorted(alphas)
    assert conformal_quantile(scores, small) >= conformal_quantile(scores, large)


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(st.floats(0, 1), st.booleans()), max_size=12), st.floats(0.1, 1.0))
def test_above_its_cut_a_report_keeps_enough_right_claims(claims, share):
    score, right = np.asarray([c for c, _ in claims]), np.asarray([r for _, r in claims], dtype=float)
    cut = claim_cut(score, right, share)
    for at in (cut, *(s for s in score if s > cut)):
        kept = score > at
        assert not kept.any() or right[kept].mean() >= share
