"""Visual Med-Alpaca: the prompt, the rules by which an answer is made, the adapter, and a checkpoint in the official layout."""

import math

import numpy as np
import pytest
import torch

from tests.checkpoints import med_alpaca as builder
from vesalius.domain.exchange import Answer, Outcome, Question
from vesalius.domain.study import Image, Intensity, Modality, single
from vesalius.errors import InvalidValue
from vesalius.models import med_alpaca, med_alpaca_7b
from vesalius.models.base import GREEDY, GenerativeModel, Sampling
from vesalius.models.experts import Heard, Plain, Said, none_for
from vesalius.models.router import Kind, Route

CLOSED, OPEN = Question("Is there a mass in the liver?"), Question("What is shown?")
SAMPLED = Sampling(temperature=1.0, max_new_tokens=4, seed=3)


class Ways:
    """A router that always names one kind."""

    def __init__(self, kind):
        self.kind = kind

    def route(self, picture):
        return Route(self.kind, 0.9, {self.kind: 0.9})


class Sure:
    """An expert that answers yes/no questions with one probability, others with a word."""

    name = "sure"

    def __init__(self, p_yes=0.9):
        self.p_yes, self.calls = p_yes, 0

    def describe(self, study):
        return Heard(Said(self.name, "Modality: CT. Main finding: mass.", 0.8), seen="seen")

    def ask(self, asks):
        self.calls += 1
        assert all(seen == "seen" for seen, _, _ in asks)
        return [
            Answer("yes", Outcome.YES, confidence=self.p_yes, p_yes=self.p_yes) if q is CLOSED else Answer("liver", Outcome.TEXT, confidence=0.5)
            for _, q, _ in asks
        ]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return builder.official(tmp_path_factory.mktemp("seven"))


@pytest.fixture
def seven(folder):
    return med_alpaca_7b.load(weights=folder, dtype=torch.float32)


@pytest.fixture
def study():
    shown = np.random.default_rng(0).integers(0, 256, (1, 40, 50, 3)).astype(np.uint8)
    return single(Image(shown, Intensity.COLOUR, Modality.OT))


def with_expert(model, expert, kind=Kind.CT, **how):
    made = med_alpaca.MedAlpaca(model.card, model.engine.composition.lm, model.engine.prompt, Ways(kind), lambda _: expert, **how)
    assert isinstance(made, GenerativeModel)
    return made


def test_the_prompt_is_the_published_one():
    assert med_alpaca.prompt_text("Q?", "seen") == (
        "Below is an instruction that describes a task, paired with an input that provides further context of an uploaded image. "
        "Write a response that appropriately completes the request.\n\n### Instruction:\nQ?\n\n### Input:\nseen\n\n### Response:\n"
    )
    assert med_alpaca.prompt_text("Q?") == (
        "Below is an instruction that describes a task. Write a response that appropriately completes the request.\n\n### Instruction:\nQ?\n\n### Response:\n"
    )


def test_a_yes_no_answer_is_the_experts_moved_by_what_its_text_tells_the_language_model(seven, study):
    expert = Sure(0.7)
    model = with_expert(seven, expert)
    seen = model.encode(study)
    [said] = model.answer(seen, [CLOSED])
    prompts = [med_alpaca.prompt_text(CLOSED.text, seen.heard.said.text), med_alpaca.prompt_text(CLOSED.text)]
    told, bare = (record.p_yes for record in model.engine.answer(model._root, prompts, Sampling(max_new_tokens=1)))
    odds = math.log(0.7 / 0.3) + med_alpaca.SHARE * (math.log(told / (1 - told)) - math.log(bare / (1 - bare)))
    assert said.p_yes == pytest.approx(1 / (1 + math.exp(-odds)), abs=1e-6)
    assert said.text in ("yes", "no")
    assert said.confidence == pytest.approx(max(said.p_yes, 1 - said.p_yes))


def test_without_an_own_answer_the_experts_confidence_bounds_the_answer(seven, study):
    model = with_expert(seven, Plain("plot", "The image is a plot.", 0.1), Kind.PLOT)
    [said] = model.answer(model.encode(study), [CLOSED])
    assert 0.45 <= said.p_yes <= 0.55


def test_with_no_expert_nothing_is_answered(seven, study):
    model = with_expert(seven, none_for(Kind.ULTRASOUND), Kind.ULTRASOUND)
    seen = model.encode(study)
    for said in model.answer(seen, [CLOSED, OPEN]):
        assert said == Answer("cannot be determined", Outcome.UNDETERMINED)
    assert "".join(model.stream(seen, OPEN)) == "cannot be determined"
    assert model.explain(seen) == {
        "type": "ultrasound",
        "type_probability": 0.9,
        "expert": "none",
        "expert_text": "There is no expert for this type of image (ultrasound): nothing is known of its content.",
        "expert_confidence": 0.0,
    }


def test_an_open_answer_is_no_surer_than_the_expert(seven, study):
    model = with_expert(seven, Sure())
    seen = model.encode(study)
    [said] = model.answer(seen, [OPEN], Sampling(max_new_tokens=3))
    told = med_alpaca.prompt_text(OPEN.text, f"{seen.heard.said.text} Asked this, the expert answers: liver.")
    [record] = model.engine.answer(model._root, [told], Sampling(max_new_tokens=3))
    assert said.text == record.text
    assert said.confidence == pytest.approx(0.5 * record.confidence)
    assert "".join(model.stream(seen, OPEN, Sampling(max_new_tokens=3))).strip() == said.text


def test_a_small_language_model_quotes_and_does_not_write(seven, study):
    said = "ECG strip of 9.0 s. 9 beats were found: about 61 a minute. Nothing else was measured."
    model = with_expert(seven, Plain("ECG", said, 0.7), Kind.ECG, quotes=True)
    seen = model.encode(study)
    [answer] = model.answer(seen, [OPEN])
    sentences = ["ECG strip of 9.0 s.", "9 beats were found: about 61 a minute.", "Nothing else was measured."]
    assert answer.text in sentences
    assert 0 < answer.confidence <= 0.7
    assert model.answer(seen, [OPEN]) == [answer]
    assert list(model.stream(seen, OPEN)) == [answer.text]
    drawn = {model.answer(seen, [OPEN], Sampling(temperature=1.0, seed=i))[0].text for i in range(20)}
    assert drawn <= set(sentences)
    assert len(drawn) > 1
    sure = with_expert(seven, Sure(), quotes=True)
    assert sure.answer(sure.encode(study), [OPEN]) == [Answer("liver", Outcome.TEXT, confidence=0.5)]


def test_questions_asked_together_are_answered_as_alone_and_the_expert_is_called_once(seven, study):
    expert = Sure()
    model = with_expert(seven, expert)
    other = with_expert(seven, none_for(Kind.OTHER), Kind.OTHER)
    seen, unknown = model.encode(study), other.encode(study)
    asks = [(seen, CLOSED, GREEDY), (unknown, CLOSED, GREEDY), (seen, OPEN, Sampling(max_new_tokens=3)), (seen, CLOSED, SAMPLED), (seen, OPEN, SAMPLED)]
    together = model.ask(asks)
    assert expert.calls == 1
    for one, ask in zip(together, asks, strict=True):
        [alone] = model.ask([ask])
        assert (one.text, one.outcome) == (alone.text, alone.outcome)
        assert one.confidence is alone.confidence is None or one.confidence == pytest.approx(alone.confidence, abs=1e-5)


def test_samples_of_a_yes_no_question_follow_its_probability(seven, study):
    model = with_expert(seven, Sure(0.7))
    seen = model.encode(study)
    [greedy] = model.answer(seen, [CLOSED])
    drawn = model.answer(seen, [CLOSED] * 200, [Sampling(temperature=1.0, seed=i) for i in range(200)])
    assert np.mean([a.outcome is Outcome.YES for a in drawn]) == pytest.approx(greedy.p_yes, abs=0.1)


def test_options_are_scored_by_the_language_model(seven, study):
    model = with_expert(seven, Sure())
    scores = model.score(model.encode(study), OPEN, ["liver", "brain"])
    assert scores.shape == (2,)
    assert (scores < 0).all()


def test_as_many_samplings_as_questions(seven, study):
    model = with_expert(seven, Sure())
    with pytest.raises(InvalidValue, match="samplings"):
        model.answer(model.encode(study), [CLOSED, OPEN], [GREEDY])


def test_an_expert_that_cannot_say_where_it_looks_is_not_asked_to(seven, study):
    with pytest.raises(InvalidValue, match="cannot say where"):
        with_expert(seven, Sure()).saliency(study, CLOSED, Answer("yes", Outcome.YES))


def test_prompts_are_cut_in_one_piece_and_answers_begin_without_a_blank(seven):
    prompt = seven.engine.prompt
    text = med_alpaca.prompt_text("Is it?", "CT")
    assert prompt.question(text) == tuple(prompt.tokenizer.encode(text, add_special_tokens=False).ids)
    whole = tuple(prompt.tokenizer.encode("\nyes", add_special_tokens=False).ids)
    assert whole[-len(prompt.answer("yes")) :] == prompt.answer("yes")
    assert seven._root.length == 1  # the opening token
