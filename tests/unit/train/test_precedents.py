"""Fitting precedents: equal to scikit-learn's kernel ridge, and weighed by what helps on held-out answers."""

import numpy as np
import pytest
import torch
from sklearn.kernel_ridge import KernelRidge
from sklearn.linear_model import LogisticRegression

from vesalius.errors import InvalidValue
from vesalius.models.pocket import remembered
from vesalius.models.precedents import image_kernel, question_kernel, standard
from vesalius.train.examples import Example
from vesalius.train.precedents import RIDGE, fit, same_spread


def _material(questions=6, images=8):
    generator = torch.Generator().manual_seed(3)
    words = {f"q{i}": torch.randn(12, generator=generator) for i in range(questions)}
    features = {f"{i}.png": torch.rand(2, 9, 10, generator=generator) for i in range(images)}
    examples = [
        Example(m, q, "yes" if (i + j) % 3 else "no", "s", closed=True) for i, q in enumerate(words) for j, m in enumerate(features) if (i * j) % 4 != 3
    ]
    return examples, words, features


def test_margins_equal_an_independent_kernel_ridge():
    examples, words, features = _material()
    made = fit(examples, torch.ones(12), words, features)
    names_q, names_i = sorted(words), sorted(features)
    rows = [names_q.index(e.question) for e in examples]
    cols = [names_i.index(e.image) for e in examples]
    kq, ki = question_kernel(made.asked, made.asked).numpy(), image_kernel(made.shown, made.shown).numpy()
    kernel = kq[np.ix_(rows, rows)] * ki[np.ix_(cols, cols)]
    model = KernelRidge(alpha=RIDGE, kernel="precomputed").fit(kernel, [1.0 if e.answer == "yes" else -1.0 for e in examples])
    expected = model.predict(kernel)
    ours = [float(made(words[e.question], features[e.image][0].mean(0))) for e in examples]
    np.testing.assert_allclose(ours, expected, atol=2e-4)


def _two_ways():
    """Questions about four findings, each asked and negated: the negation moves one direction of the words."""
    examples, words, features = _material()
    negated = {f"no {q}": w + 6 * torch.eye(12)[0] for q, w in words.items()}
    ways = dict.fromkeys(words, 1) | dict.fromkeys(negated, -1)
    return examples, words | negated, features, ways


def test_the_way_a_question_is_asked_equals_an_independent_logistic_regression():
    examples, words, features, ways = _two_ways()
    del ways["no q0"], ways["no q1"]  # both ways weigh the same all the same
    made = fit(examples, torch.ones(12), words, features, ways=ways)
    asked = standard(torch.stack([words[q] for q in ways]), made.asked_mean, made.asked_deviation, unit=True)
    other = LogisticRegression(C=1.0, class_weight="balanced", tol=1e-10, max_iter=10_000).fit(asked.numpy() * 12**0.5, list(ways.values()))
    np.testing.assert_allclose(made.turn.numpy(), other.coef_[0], atol=1e-3)
    np.testing.assert_allclose(made.way(asked).numpy(), 2 * other.predict_proba(asked.numpy() * 12**0.5)[:, 1] - 1, atol=1e-3)


def test_a_negated_question_turns_the_margin():
    examples, words, features, ways = _two_ways()
    plain, turned = fit(examples, torch.ones(12), words, features), fit(examples, torch.ones(12), words, features, ways=ways)
    shown = {name: f[0].mean(0) for name, f in features.items()}

    def opposed(made):
        pairs = [(float(made(words[q], s)), float(made(words[f"no {q}"], s))) for q in words if not q.startswith("no ") for s in shown.values()]
        return np.mean([a * b < 0 for a, b in pairs])

    assert opposed(plain) < 0.4 < 0.7 < opposed(turned)
    right = [(float(turned(words[e.question], shown[e.image])) > 0) == (e.answer == "yes") for e in examples]
    assert np.mean(right) > 0.9


def test_stored_precedents_come_back_turned_or_not():
    examples, words, features, ways = _two_ways()
    for given in (None, ways):
        made = fit(examples, torch.ones(12), words, features, ways=given)
        state = {f"readout.precedents.{name}": tensor for name, tensor in made.state_dict().items()}
        again = remembered(state)
        again.load_state_dict(made.state_dict())
        assert again.turned is (given is not None)
        assert torch.equal(again(words["no q2"], features["1.png"][0].mean(0)), made(words["no q2"], features["1.png"][0].mean(0)))
    assert remembered({}) is None


def test_the_direction_turns_one_margin_into_one_unit_of_yes_against_no():
    examples, words, features = _material()
    yes_no = torch.arange(1.0, 13.0)
    assert float(fit(examples, yes_no, words, features).direction @ yes_no) == pytest.approx(1.0)


def test_open_examples_alone_give_no_precedents():
    with pytest.raises(InvalidValue, match="yes/no"):
        fit([Example("a", "q", "lung", "s", closed=False)], torch.ones(2), {}, {})


def test_the_weight_makes_both_margins_vary_alike_in_each_group():
    fused = torch.tensor([-2.0, 2.0, -6.0, 6.0])
    margins = torch.tensor([-1.0, 1.0, -1.0, 1.0])
    assert same_spread(fused, margins, ["a", "a", "b", "b"]) == pytest.approx((2 + 6) / 2)
    assert same_spread(fused, torch.zeros(4), ["a", "a", "b", "b"]) == 0
    assert same_spread(fused[:1], margins[:1], ["a"]) == 0
