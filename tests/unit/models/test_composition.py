"""Prompt, projector and what may learn."""

import dataclasses

import pytest
import torch

from tests.invariant.tiny import TEMPLATE, composed, hosted, tokenizer
from vesalius.errors import InvalidValue, UnknownName
from vesalius.models.composition import MLPProjector, Prompt, Template


@pytest.fixture(scope="module")
def model():
    return composed(hosted(), readout=True, wrap=False)[0]


def test_chunks_are_tokenised_on_their_own_and_the_opening_comes_once():
    prompt, words = Prompt(tokenizer(), TEMPLATE), tokenizer().token_to_id
    assert prompt.before == (words("<s>"), words("image"), words(":"))
    assert prompt.between == (words("question"), words(":"))
    assert prompt.question("is there") == (words("is"), words("there"), words("answer"), words(":"))
    assert prompt.stop == (words("<end>"),)
    assert prompt.yes == tuple(sorted((words("Yes"), words("yes"))))
    assert prompt.no == tuple(sorted((words("No"), words("no"))))
    assert prompt.words([words("left"), words("lung"), words("<end>")]) == "left lung"


def test_an_empty_template_is_possible():
    prompt = Prompt(tokenizer(), Template())
    assert prompt.before == prompt.between == prompt.after == prompt.stop == ()


@pytest.mark.parametrize("part", [{"before": "is"}, {"between": "is"}, {"after": "is"}, {"stop": ()}, {"bos": None}, {"yes": ("left",)}])
def test_whatever_changes_around_a_question_changes_the_digest(part):
    usual = Prompt(tokenizer(), TEMPLATE)
    assert usual.digest() == Prompt(tokenizer(), TEMPLATE).digest()
    assert usual.digest() != Prompt(tokenizer(), dataclasses.replace(TEMPLATE, **part)).digest()


@pytest.mark.parametrize(
    ("template", "words"),
    [(Template(stop=("<nowhere>",)), "no token '<nowhere>'"), (Template(bos="<b>"), "no token '<b>'"), (Template(yes=("no way",)), "same token")],
)
def test_a_template_that_does_not_fit_is_refused(template, words):
    with pytest.raises(InvalidValue, match=words):
        Prompt(tokenizer(), template)


def test_the_projector_is_linear_gelu_linear():
    torch.manual_seed(0)
    projector, x = MLPProjector(6, 4, hidden=5), torch.randn(2, 9, 6)
    inner = x @ projector.linear_1.weight.T + projector.linear_1.bias
    exact = inner * 0.5 * (1 + torch.erf(inner / 2**0.5))
    torch.testing.assert_close(projector(x), exact @ projector.linear_2.weight.T + projector.linear_2.bias)


def test_pooling_averages_neighbouring_cells():
    projector = MLPProjector(3, 4, tokens=4)
    grid = torch.randn(1, 6, 6, 3)
    pooled = torch.stack([grid[:, y : y + 3, x : x + 3].mean((1, 2)) for y in (0, 3) for x in (0, 3)], 1)
    torch.testing.assert_close(projector(grid.view(1, 36, 3)), projector(pooled))


@pytest.mark.parametrize("tokens", [2, 48])
def test_image_tokens_form_a_square(tokens):
    with pytest.raises(InvalidValue, match="square"):
        MLPProjector(3, 4, tokens=tokens)


@pytest.mark.parametrize("cells", [35, 4])
def test_a_grid_that_cannot_be_pooled_is_refused(cells):
    with pytest.raises(InvalidValue, match=f"{cells} cells"):
        MLPProjector(3, 4, tokens=9)(torch.zeros(1, cells, 3))


@pytest.mark.parametrize("parts", [["projector"], ["readout", "lm.model.layers.1"], []])
def test_exactly_the_named_parts_learn(model, parts):
    names = model.trainable(parts)
    for name, parameter in model.named_parameters():
        assert parameter.requires_grad == (name in names) == any(name.startswith(part + ".") for part in parts)
    assert bool(names) == bool(parts)


def test_a_part_is_a_whole_name(model):
    with pytest.raises(UnknownName, match="did you mean 'projector'"):
        model.trainable(["project"])


def test_gradients_reach_projector_and_readout(model):
    model.trainable(["projector", "readout"])
    prompt = Prompt(tokenizer(), TEMPLATE)
    ids = torch.tensor([prompt.question("is there a mass"), prompt.question("what organ is shown")])
    picks = torch.zeros_like(ids, dtype=torch.bool)
    picks[:, -1] = True
    loss = model(torch.randn(2, 5, 12), prompt, ids, picks).logsumexp(-1).sum()
    loss.backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in model.projector.parameters())
    assert all(p.grad is None for p in model.lm.parameters())
