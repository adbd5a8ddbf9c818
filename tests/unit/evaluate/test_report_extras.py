"""Scores that need somebody else's model: the library is asked as it documents, and what goes wrong is told."""

import sys
import types

import pytest

from vesalius.errors import InvalidValue, MissingExtra, UnknownName, WeightsError
from vesalius.evaluate.report_extras import EXTRAS, extra


class Evaluator:
    """Answers as RadEval documents."""

    def __init__(self, metrics, per_sample, show_progress):
        assert per_sample
        assert not show_progress
        self.names = metrics

    def __call__(self, refs, hyps):
        if "broken" in hyps:
            raise OSError("no weights")
        return {f"{self.names[0]}_partial": [float(a == b) for a, b in zip(refs, hyps, strict=True)]}


@pytest.fixture
def radeval(monkeypatch):
    monkeypatch.setitem(sys.modules, "radeval", types.SimpleNamespace(RadEval=Evaluator))


@pytest.mark.parametrize(("name", "module"), [(name, "bert_score" if name == "bertscore" else "radeval") for name in EXTRAS])
def test_a_library_that_is_not_installed_is_named(monkeypatch, name, module):
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(MissingExtra, match="is not installed"):
        extra(name, ["a"], ["b"])


def test_scores_of_each_pair_come_by_key(radeval):
    assert extra("radgraph", ["a", "b"], ["a", "c"]) == {"radgraph_partial": [1.0, 0.0]}


def test_weights_that_cannot_be_had_are_told(radeval):
    with pytest.raises(WeightsError, match="no weights"):
        extra("green", ["broken"], ["b"])


def test_bertscore_gives_f1(monkeypatch):
    def score(hypotheses, references, **how):
        assert how["model_type"] == "distilbert-base-uncased"
        return None, None, types.SimpleNamespace(tolist=lambda: [0.5] * len(hypotheses))

    monkeypatch.setitem(sys.modules, "bert_score", types.SimpleNamespace(score=score))
    assert extra("bertscore", ["a"], ["b"]) == {"bertscore": [0.5]}


def test_another_number_of_scores_is_refused(monkeypatch):
    monkeypatch.setitem(sys.modules, "radeval", types.SimpleNamespace(RadEval=lambda **how: lambda refs, hyps: {"radgraph_partial": [1.0]}))
    with pytest.raises(WeightsError, match="another number"):
        extra("radgraph", ["a", "b"], ["a", "b"])


def test_bad_calls(radeval):
    with pytest.raises(UnknownName, match="bertscore"):
        extra("bertscor", ["a"], ["b"])
    with pytest.raises(InvalidValue, match="needs a reference"):
        extra("radgraph", ["a"], [])
    assert extra("radgraph", [], []) == {}
