import dataclasses

import numpy as np
import pytest

from vesalius.domain.exchange import Exchange, Outcome, Question, Split
from vesalius.errors import InvalidValue, UnknownName
from vesalius.evaluate import baselines


def _x(i, question, gold, image="a"):
    return Exchange(str(i), image, Question(question), gold, None, image, Split.TRAIN)


TRAIN = [
    _x(0, "Is there effusion?", "Yes"),
    _x(1, "Is there effusion?", "yes"),
    _x(2, "Is there a mass?", "no"),
    _x(3, "Is there a mass here?", "No"),
    _x(4, "Is there any mass?", "no"),
    _x(5, "Where is the lesion?", "Left lung"),
    _x(6, "Where is it?", "left lung."),
    _x(7, "Where is the liver?", "right"),
]
FEATURES = {"a": np.ones(4, np.float32), "b": np.zeros(4, np.float32)}


@pytest.mark.parametrize(
    ("text", "form"),
    [
        ("Is there a mass?", "yes/no"),
        ("Is it cystic or solid?", "choice"),
        ("How many ribs are seen?", "how many"),
        ("In what plane is it?", "what"),
        ("Describe the mass", "describe"),
        ("Location?", "other"),
    ],
)
def test_question_form(text, form):
    assert baselines.question_form(text) == form


def test_majority_by_form_not_by_gold():
    fitted = baselines.fit("majority", TRAIN)
    yes_no, where, unseen = fitted.predict([_x(9, "Are the lungs clear?", "yes"), _x(10, "Where is the heart?", "?"), _x(11, "Why?", "?")])
    assert (yes_no.text, yes_no.outcome, yes_no.confidence) == ("no", Outcome.NO, 0.6)
    assert where.text in ("Left lung", "left lung.")
    assert unseen.text == "no"  # the most frequent of all


@pytest.mark.parametrize("name", sorted(baselines.TABLE))
def test_gold_is_never_read_when_answering(name):
    fitted = baselines.fit(name, TRAIN, FEATURES)
    hidden = [dataclasses.replace(x, gold="hidden", closed=None) for x in TRAIN]
    assert fitted.predict(TRAIN, FEATURES) == fitted.predict(hidden, FEATURES)
    assert fitted.predict([], FEATURES) == []
    assert fitted.name == name


@pytest.mark.parametrize("name", sorted(baselines.TABLE))
def test_one_class_is_a_constant(name):
    fitted = baselines.fit(name, TRAIN[:2], FEATURES)
    assert [a.text for a in fitted.predict(TRAIN[5:7], FEATURES)] == ["Yes", "Yes"]


def test_question_only_learns_words_and_gives_probabilities():
    fitted = baselines.fit("question-only", TRAIN)
    effusion, mass, where = fitted.predict([TRAIN[0], TRAIN[2], TRAIN[5]])
    assert (effusion.outcome, mass.outcome, where.outcome) == (Outcome.YES, Outcome.NO, Outcome.TEXT)
    assert effusion.p_yes > 0.5 > mass.p_yes
    assert where.p_yes is None
    assert not fitted.sees_image


def test_kernel_sees_the_image_where_words_say_nothing():
    rng = np.random.default_rng(0)
    features = {f"{k}{i}": (rng.normal(size=8) * 0.1 + (k == "p") * 2).astype(np.float32) for k in "pn" for i in range(12)}
    rows = [_x(i, "Is there effusion?", "yes" if image[0] == "p" else "no", image) for i, image in enumerate(features)]
    train, held = rows[2:12] + rows[14:], rows[:2] + rows[12:14]
    fitted = baselines.fit("kernel-svm", train, features)
    assert [a.outcome for a in fitted.predict(held, features)] == [Outcome.YES, Outcome.YES, Outcome.NO, Outcome.NO]
    assert len({a.text for a in baselines.fit("question-only", train).predict(held)}) == 1


def test_refusals():
    with pytest.raises(UnknownName, match="did you mean 'majority'"):
        baselines.fit("majorty", TRAIN)
    with pytest.raises(InvalidValue, match="no exchanges"):
        baselines.fit("majority", [])
    with pytest.raises(InvalidValue, match="got no features"):
        baselines.fit("kernel-svm", TRAIN)
    with pytest.raises(InvalidValue, match="have no feature vector, the first 'a'"):
        baselines.fit("kernel-svm", TRAIN, {"b": FEATURES["b"]})
    with pytest.raises(InvalidValue, match="one shape"):
        baselines.fit("kernel-svm", TRAIN, {"a": np.ones((2, 2), np.float32)})
    with pytest.raises(InvalidValue, match="finite"):
        baselines.fit("kernel-svm", TRAIN, {"a": np.full(4, np.nan, np.float32)})
    with pytest.raises(InvalidValue, match="fitted on 4"):
        baselines.fit("kernel-svm", TRAIN, FEATURES).predict(TRAIN, {"a": np.ones(5, np.float32)})
