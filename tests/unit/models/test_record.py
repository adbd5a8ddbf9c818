"""Confidence of a record."""

import math

import pytest

from vesalius.models.record import Record


def record(*logprobs):
    return Record("x", (1,) * len(logprobs), logprobs, stopped=True, p_yes=0.5, yes_no=0.1)


def test_confidence_is_the_probability_of_the_whole_answer():
    made = record(math.log(0.5), math.log(0.8))
    assert made.confidence == pytest.approx(0.4)
    assert made.mean_confidence == pytest.approx(math.sqrt(0.4))
    assert made.logprob == pytest.approx(math.log(0.4))


def test_nothing_said_is_certain():
    assert record().confidence == record().mean_confidence == 1.0
