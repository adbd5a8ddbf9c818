"""Semantic entropy, RadFlag support, VASE and L-VASE against four implementations, on our own arrays (hallucination.json names versions and commits)."""

import json
from pathlib import Path

import numpy as np
import pytest

from vesalius.metrics import hallucination as h

STORED = json.loads(Path(__file__).with_name("hallucination.json").read_text())
CASES = STORED["cases"]


def _parts(case):
    n, ids = case["n"], case["ids"]
    return ids[0], ids[1 : n + 1], ids[n + 1 :]


def _shares(case, *, greedy=True):
    _, clean, veiled = _parts(case)
    slots = max(case["ids"]) + 1
    p, q = h.shares(clean, case["clean"], slots=slots), h.shares(veiled, case["distorted"], slots=slots)
    if greedy:
        return p, q
    used = sorted(set(clean) | set(veiled))
    return p[used], q[used]


@pytest.mark.parametrize("case", CASES)
def test_farquhar(case):
    _, clean, _ = _parts(case)
    of = h.labels(clean)
    assert h.semantic_entropy(of, case["clean"]) == pytest.approx(case["farquhar"]["se"], abs=1e-9)
    assert h.discrete_semantic_entropy(of) == pytest.approx(case["farquhar"]["discrete"], abs=1e-9)
    assert h.predictive_entropy(case["clean"]) == pytest.approx(case["farquhar"]["predictive"], abs=1e-9)


@pytest.mark.parametrize("case", CASES)
def test_hedge_bench(case):
    first, clean, _ = _parts(case)
    assert h.semantic_entropy(clean, case["clean"]) == pytest.approx(case["hedge"]["se"], abs=1e-5)  # float32
    assert h.support(first, clean) == pytest.approx(case["hedge"]["support"])
    assert h.vase(*_shares(case), case["alpha"]) == pytest.approx(case["hedge"]["vase"], abs=1e-5)


@pytest.mark.parametrize("case", CASES)
def test_the_authors_of_vase(case):
    assert h.vase(*_shares(case), case["alpha"]) == pytest.approx(case["authors"]["vase"], abs=1e-9)


@pytest.mark.parametrize("case", CASES)
def test_l_vase_and_clipping(case):
    theirs, a, b = case["agree"], np.array(case["agree"]["logits"]), np.array(case["agree"]["logits_distorted"])
    assert h.l_vase(a, b, case["alpha"]) == pytest.approx(theirs["l_vase"], abs=1e-5)
    p, q = (np.exp(x - x.max()) / np.exp(x - x.max()).sum() for x in (a, b))
    assert h.vase_clipped(p, q, case["alpha"]) == pytest.approx(theirs["clipped"], abs=1e-5)


def test_a_meaning_that_only_the_greedy_answer_has_changes_vase():
    alone = [case for case in CASES if case["ids"][0] not in case["ids"][1:]]
    assert alone
    for case in alone:
        assert h.vase(*_shares(case)) > h.vase(*_shares(case, greedy=False))
