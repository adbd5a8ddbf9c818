"""Images behind the question: answers equal those of the plain way, whatever else is asked; words end answers."""

import dataclasses

import numpy as np
import pytest
import torch
from tokenizers import AddedToken
from torch import nn

from tests.invariant import tiny
from vesalius.errors import InvalidValue
from vesalius.models.after import AfterComposition, AfterEngine, AfterPrompt
from vesalius.models.base import Sampling
from vesalius.models.composition import Template
from vesalius.models.decoder import Causal
from vesalius.models.draw import climb, generator, ladder
from vesalius.models.engine import Ask
from vesalius.models.llava import IMAGE

CELLS = 5
QUESTIONS = ("is there a mass in the lung", "is there a mass in the liver", "what organ is shown")
WAYS = (Sampling(max_new_tokens=6), Sampling(temperature=1.0, max_new_tokens=7, seed=1), Sampling(temperature=0.7, max_new_tokens=3, seed=2))
TEMPLATE = Template(before="image :", between=" :", after="answer :", stop=("<end>",), bos="<s>", unscored=(0,))


class Cells(nn.Module):
    """Pixels are features already."""

    def forward(self, pixels):
        return pixels


def prompt(until=("big",), **changes):
    tokenizer = tiny.tokenizer()
    tokenizer.add_special_tokens([AddedToken(t, normalized=False) for t in ("<cell>", "<open>", "<close>")])
    return AfterPrompt(tokenizer, dataclasses.replace(TEMPLATE, **changes), patch="<cell>", marks=("<open>", "<close>"), until=until)


def engine(budget=2048, until=("big",)):
    torch.manual_seed(3)
    projector = nn.Linear(6, 32)
    return AfterEngine(AfterComposition(Cells(), projector, tiny.native(tiny.hosted())), prompt(until), budget=budget)


def pictures(count=2):
    return torch.randn(count, CELLS, 6, generator=torch.Generator().manual_seed(4))


def embeds(made, memory, ids):
    image = made.composition.projector(memory)[0]
    parts = [image if i == IMAGE else made.decoder.embed(torch.tensor([i])) for i in ids]
    return torch.cat(parts)[None]


@torch.no_grad()
def speak(made, memory, ids):
    """Log-probabilities after whole ids: one plain pass over everything."""
    whole = embeds(made, memory, ids)
    hidden = made.decoder.states(whole, torch.arange(whole.shape[1])[None], Causal())
    logits = made.decoder.logits(hidden[:, -1]).float()
    logits[:, list(made.prompt.template.unscored)] = -torch.inf
    return torch.log_softmax(logits, -1)[0]


def plainly(made, memory, ask):
    """An answer token by token, everything read anew each time."""
    ids, logprobs, random = [], [], generator(ask)
    head = [*made.prompt.before, *made.prompt.question(ask.question)]
    while len(ids) < ask.sampling.max_new_tokens:
        row = speak(made, memory, [*head, *ids])
        heat = ask.sampling.temperature
        token = climb(ladder(row, heat), random) if heat else int(row.argmax())
        logprobs.append(float(row[token]))
        if token in made.prompt.stop:
            return ids, logprobs, True
        ids.append(token)
        if any(word in made.prompt.tokenizer.decode(ids) for word in made.prompt.until):
            return ids, logprobs, True
    return ids, logprobs, False


def everything(images):
    return [Ask(image, question, way) for image in images for question in QUESTIONS for way in WAYS]


@pytest.mark.parametrize("budget", [1, 40, 2048])
def test_answers_equal_those_of_the_plain_way_whatever_the_batch(budget):
    made, seen = engine(budget), pictures()
    images = made.encode(seen)
    asks = everything(images)
    records = made.ask(asks)
    for ask, record in zip(asks, records, strict=True):
        ids, logprobs, stopped = plainly(made, ask.image.memory, ask)
        assert list(record.ids) == ids
        assert record.stopped == stopped
        np.testing.assert_allclose(record.logprobs, logprobs, atol=2e-5)
        (alone,) = made.ask([ask])
        assert alone.ids == record.ids
    assert len({r.ids for r in records}) > 6
    backwards = made.ask(asks[::-1])[::-1]
    assert [r.ids for r in backwards] == [r.ids for r in records]


def test_the_image_counts():
    made = engine()
    first, second = made.encode(pictures())
    assert not np.allclose(made.score(first, QUESTIONS[0], ["yes"]), made.score(second, QUESTIONS[0], ["yes"]), atol=1e-3)


def test_scores_equal_plain():
    made = engine()
    (image,) = made.encode(pictures(1))
    options = ["yes", "no", "left lung", "left"]
    head = [*made.prompt.before, *made.prompt.question(QUESTIONS[0])]
    expected = []
    for option in options:
        total, ids = 0.0, list(head)
        for token in made.prompt.answer(option):
            total += float(speak(made, image.memory, ids)[token])
            ids.append(token)
        expected.append(total + float(speak(made, image.memory, ids)[list(made.prompt.ends)].logsumexp(0)))
    np.testing.assert_allclose(made.score(image, QUESTIONS[0], options), expected, atol=2e-5)
    assert set(made.prompt.ends) == {*made.prompt.stop, made.prompt.tokenizer.token_to_id("big")}
    assert made.score(image, QUESTIONS[0], []).shape == (0,)


def _word_said(made, image):
    """A way of answering, and a word in the middle of what is answered, to end answers with."""
    for seed in range(50):
        way = Sampling(temperature=1.5, max_new_tokens=8, seed=seed)
        words = made.answer(image, [QUESTIONS[2]], way)[0].text.split()
        for at in range(2, len(words)):
            if words[at].isalpha() and not any(words[at] in word for word in [*words[:at], *QUESTIONS[2].split()]):
                return way, words, words[at]
    raise AssertionError("no answer of several words")


def test_a_word_ends_an_answer_and_is_no_part_of_it():
    free = engine(until=())
    way, words, word = _word_said(free, free.encode(pictures(1))[0])
    made = engine(until=(word,))
    (image,) = made.encode(pictures(1))
    (record,) = made.answer(image, [QUESTIONS[2]], way)
    assert record.stopped
    assert record.text.split() == words[: words.index(word)]
    assert len(record.ids) == len(record.logprobs)
    assert made.prompt.tokenizer.decode([record.ids[-1]]) == word
    pieces = list(made.stream(image, QUESTIONS[2], way))
    assert "".join(pieces).strip() == record.text
    assert len(pieces) > 1


def test_stream_joins_to_the_answer_that_no_word_ends():
    made = engine(until=("nowhere",))
    (image,) = made.encode(pictures(1))
    for way in WAYS:
        assert "".join(made.stream(image, QUESTIONS[0], way)).strip() == made.answer(image, [QUESTIONS[0]], way)[0].text


@pytest.mark.parametrize(("text", "held"), [("a", "a"), ("a #", "a "), ("a ##", "a "), ("#b", "#b"), ("", "")])
def test_what_may_begin_an_end_waits(text, held):
    made = prompt(until=())
    made.until = ("###",)
    assert made.held(text) == held
    assert made.ended(text) is None
    assert made.ended(text + " ### b ### c") == text + " "


def test_words_before_the_question_and_image_are_paid_for_once(monkeypatch):
    made, passed = engine(), []
    states = made.decoder.states

    def counted(embeds, positions, *rest, **more):
        passed.append(embeds.shape[1])
        return states(embeds, positions, *rest, **more)

    monkeypatch.setattr(made.decoder, "states", counted)
    images = made.encode(pictures(3))
    assert passed == [len(made.prompt.before)]
    assert [i.image_tokens for i in images] == [CELLS] * 3
    passed.clear()
    made.answer(images[0], [QUESTIONS[0]] * 4, [Sampling(temperature=1.0, max_new_tokens=1, seed=s) for s in range(4)])
    assert passed == [len(made.prompt.question(QUESTIONS[0])) + CELLS - 1]  # four samples, one reading


def test_training_forward_equals_plain():
    made = engine()
    memory = pictures(2)
    rows = [[*made.prompt.question(q), *made.prompt.answer("left lung")] for q in QUESTIONS]
    longest = max(map(len, rows))
    ids = torch.tensor([row + [1] * (longest - len(row)) for row in rows])
    picks = torch.zeros_like(ids, dtype=torch.bool)
    for i, row in enumerate(rows):
        picks[i, len(row) - 3 : len(row)] = True
        picks[i, row.index(IMAGE)] = picks[i, 0] = True
    which = torch.tensor([0, 1, 1])
    found = made.composition(memory, made.prompt, ids, picks, which)
    expected = []
    for i, row in enumerate(rows):
        wanted = sorted({0, row.index(IMAGE), *range(len(row) - 3, len(row))})
        expected += [speak(made, memory[which[i]][None], [*made.prompt.before, *row[: stop + 1]]) for stop in wanted]
    found[:, list(made.prompt.template.unscored)] = -torch.inf
    torch.testing.assert_close(torch.log_softmax(found, -1), torch.stack(expected), atol=2e-5, rtol=0)
    with pytest.raises(InvalidValue, match="one place for its image"):
        made.composition(memory, made.prompt, torch.ones(2, 3, dtype=torch.long), torch.ones(2, 3, dtype=torch.bool))


def _long(made, image):
    return made.answer(image, ["is there " + "a mass " * 200])


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (_long, r"image \(5\), words and answer \(4\d\d\) exceed the context of 256 tokens"),
        (lambda m, i: m.answer(i, ["  "]), "a question must have text"),
        (lambda m, i: m.answer(i, ["<image>"]), "a question must have text"),
        (lambda m, i: m.answer(i, ["is it big"]), "cannot hold 'big'"),
        (lambda m, i: list(m.stream(i, "is it big")), "cannot hold 'big'"),
        (lambda m, i: m.score(i, "is it", [""]), "an option must have text"),
        (lambda m, i: m.score(i, "is it", ["mass " * 300]), "exceed the context"),
        (lambda m, i: m.answer(i, ["is it"], [WAYS[0]] * 2), "1 questions need as many samplings"),
        (lambda m, i: m.encode(torch.zeros(1, 300, 6)), "the image takes 300 tokens of a context of 256"),
    ],
)
def test_bad_input_is_refused_in_words(call, words):
    made = engine()
    with pytest.raises(InvalidValue, match=words):
        call(made, made.encode(pictures(1))[0])


def test_a_question_cannot_bring_an_image_or_end_its_turn():
    made = prompt()
    ids = made.question("is <cell> <open> <end> it")
    assert ids.count(IMAGE) == 1
    special = {made.tokenizer.token_to_id(t) for t in ("<cell>", "<open>", "<end>")}
    assert not special & set(ids[: ids.index(IMAGE) - 1])


def test_nothing_asked_nothing_answered():
    made = engine()
    assert made.ask([]) == []
    assert made.encode(pictures(2)[:0]) == []
