"""A gated reader is a model that keeps to itself what the gate refers."""

import numpy as np
import pytest

from tests.standin import StandIn
from vesalius.data.phantoms import phantom
from vesalius.domain.exchange import Outcome, Question
from vesalius.domain.study import single
from vesalius.errors import InvalidValue
from vesalius.metrics.text import read_outcome
from vesalius.models.base import GREEDY, GenerativeModel, Sampling
from vesalius.reader import WITHHELD, GatedModel, Reader

FINE, HELD = Question("Is the liver enlarged?"), Question("Is there a pneumothorax?")


@pytest.fixture
def gated():
    return GatedModel(Reader(StandIn()))


@pytest.fixture
def study():
    return single(phantom("CT", "ABDOMEN", 7))


def test_satisfies_the_protocol(gated):
    assert isinstance(gated, GenerativeModel)
    assert gated.card.name == "standin"


def test_what_is_referred_is_not_said(gated, study):
    fine, held = gated.answer(gated.encode(study), [FINE, HELD])
    assert fine.text == "yes"
    assert held.text == WITHHELD
    assert held.outcome is Outcome.UNDETERMINED
    assert read_outcome(WITHHELD) is Outcome.UNDETERMINED
    assert (held.confidence, held.p_yes, held.logprob) == (None, None, None)


def test_order_is_kept_across_samplings_and_equal_samplings_share_a_call(gated, study):
    case = gated.encode(study)
    warm = Sampling(0.7, 8, 1)
    model = gated.reader.model
    model.calls.clear()
    answers = gated.ask([(case, HELD, GREEDY), (case, FINE, warm), (case, FINE, GREEDY)])
    assert [a.text for a in answers] == [WITHHELD, "yes", "yes"]
    assert len(model.calls) == 2


def test_scores_are_withheld_with_the_answer(gated, study):
    case = gated.encode(study)
    assert np.isnan(gated.score(case, HELD, ["yes", "no"])).all()
    assert np.exp(gated.score(case, FINE, ["yes", "no"])).sum() == pytest.approx(1)


def test_stream_says_nothing_that_was_not_questioned(gated, study):
    case = gated.encode(study)
    assert list(gated.stream(case, HELD)) == [WITHHELD]
    assert list(gated.stream(case, FINE)) == ["yes"]


def test_samplings_must_match_questions(gated, study):
    with pytest.raises(InvalidValue, match="2 questions"):
        gated.answer(gated.encode(study), [FINE, HELD], [GREEDY])
