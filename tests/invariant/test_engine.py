"""Sharing changes nothing: the engine's answers equal those of plain `transformers`, whatever else is asked, in whatever order and batch."""

import dataclasses
import hashlib

import numpy as np
import pytest
import torch

from tests.invariant.tiny import composed, hosted, plain_answer, plain_logits
from vesalius.errors import InvalidValue
from vesalius.models.base import Sampling
from vesalius.models.engine import Ask, Engine

QUESTIONS = [
    "is there a mass in the left lung",
    "is there a mass in the right lung",
    "is there a mass",
    "what organ is shown",
    "heart",
    "is the heart big and is the liver clear and the left kidney seen in the image",
]
CLOSE = 1e-4


@dataclasses.dataclass
class Setup:
    lm: object
    model: object
    prompt: object
    engine: Engine
    features: torch.Tensor


class NoTokens(torch.nn.Module):
    """The image speaks through the readout alone."""

    def forward(self, memory):
        return memory.new_zeros(len(memory), 0, 32)


def build(*, readout=False, wrap=False, cells=5, budget=1024, kv_heads=2):
    plain = hosted(kv_heads=kv_heads)
    model, prompt = composed(hosted(kv_heads=kv_heads) if wrap else plain, readout=readout, wrap=wrap)
    features = torch.randn(3, cells, 12, generator=torch.Generator().manual_seed(5))
    return Setup(plain, model, prompt, Engine(model, prompt, budget=budget), features)


_KINDS = [(readout, wrap) for readout in (False, True, "listening") for wrap in (False, True)]


@pytest.fixture(params=_KINDS, ids=lambda p: f"readout={p[0]}-{'transformers' if p[1] else 'native'}")
def setup(request):
    return build(readout=request.param[0], wrap=request.param[1])


def random_of(question, sampling):
    words = np.frombuffer(hashlib.sha256(question.encode()).digest(), dtype=np.uint32)
    return np.random.default_rng(np.random.SeedSequence([sampling.seed, *words.tolist()]))


def same(record, ids, logprobs, stopped):
    assert list(record.ids) == ids
    assert record.stopped == stopped
    np.testing.assert_allclose(record.logprobs, logprobs, atol=CLOSE)


def test_greedy_equals_plain(setup):
    image = setup.engine.encode_memory(setup.features[:1])[0]
    way = Sampling(max_new_tokens=7)
    for question, record in zip(QUESTIONS, setup.engine.answer(image, QUESTIONS, way), strict=True):
        same(record, *plain_answer(setup.lm, setup.model, setup.prompt, setup.features[:1], question, way, None))


def test_greedy_equals_transformers_generate():
    setup = build()
    image = setup.engine.encode_memory(setup.features[:1])[0]
    records = setup.engine.answer(image, QUESTIONS, Sampling(max_new_tokens=7))
    for question, record in zip(QUESTIONS, records, strict=True):
        words = setup.lm.get_input_embeddings()
        prompt = setup.prompt
        with torch.no_grad():
            after = words(torch.tensor([[*prompt.between, *prompt.question(question)]]))
            embeds = torch.cat((words(torch.tensor([list(prompt.before)])), setup.model.projector(setup.features[:1]), after), 1)
            made = setup.lm.generate(
                inputs_embeds=embeds,
                attention_mask=torch.ones(embeds.shape[:2], dtype=torch.long),
                max_new_tokens=7,
                do_sample=False,
                return_dict_in_generate=True,
                output_logits=True,
            )
        ids = [int(i) for i in made.sequences[0]]
        assert [*record.ids, *([2] if record.stopped else [])] == ids
        truth = [float(torch.log_softmax(logits[0], -1)[i]) for logits, i in zip(made.logits, ids, strict=True)]
        np.testing.assert_allclose(record.logprobs, truth, atol=CLOSE)


def test_samples_equal_plain_draws(setup):
    image = setup.engine.encode_memory(setup.features[:1])[0]
    ways = [Sampling(temperature=1.3, max_new_tokens=6, seed=s) for s in range(8)]
    records = setup.engine.answer(image, [QUESTIONS[0]] * 8, ways)
    for way, record in zip(ways, records, strict=True):
        same(record, *plain_answer(setup.lm, setup.model, setup.prompt, setup.features[:1], QUESTIONS[0], way, random_of(QUESTIONS[0], way)))
    assert len({r.ids for r in records}) > 1  # the seeds do differ


def test_first_token_logits_equal_plain(setup):
    image = setup.engine.encode_memory(setup.features[:1])[0]
    for question, record in zip(QUESTIONS, setup.engine.answer(image, QUESTIONS), strict=True):
        logp = torch.log_softmax(plain_logits(setup.lm, setup.model, setup.prompt, setup.features[:1], setup.prompt.question(question))[-1], -1)
        yes, no = (float(logp[list(ids)].exp().sum()) for ids in (setup.prompt.yes, setup.prompt.no))
        assert record.p_yes == pytest.approx(yes / (yes + no), abs=CLOSE)
        assert record.yes_no == pytest.approx(yes + no, abs=CLOSE)


def test_scores_equal_plain(setup):
    image = setup.engine.encode_memory(setup.features[:1])[0]
    options = ["Yes", "No", "left lung", "left kidney", "left", "Yes"]
    found = setup.engine.score(image, QUESTIONS[3], options)
    for option, score in zip(options, found, strict=True):
        path = [setup.prompt.tokenizer.token_to_id(w) for w in option.split()] + list(setup.prompt.stop)
        asked = setup.prompt.question(QUESTIONS[3])
        logp = torch.log_softmax(plain_logits(setup.lm, setup.model, setup.prompt, setup.features[:1], [*asked, *path[:-1]]), -1)
        truth = sum(float(logp[len(asked) - 1 + i, token]) for i, token in enumerate(path))
        assert score == pytest.approx(truth, abs=CLOSE)
    assert found[0] == found[5]


def everything(images):
    asks = [Ask(image, q, Sampling(max_new_tokens=4 + i)) for image in images for i, q in enumerate(QUESTIONS)]
    return asks + [Ask(images[0], q, Sampling(1.0, 5, seed=s)) for q in QUESTIONS[:2] for s in range(4)]


@pytest.mark.parametrize("budget", [1, 7, 20, 1024])
@pytest.mark.parametrize("readout", [False, True, "listening"])
def test_batch_order_and_batch_size_change_nothing(budget, readout):
    setup = build(readout=readout, budget=budget)
    images = setup.engine.encode_memory(setup.features)
    asks = everything(images)
    alone = [build_alone(setup, ask) for ask in asks]
    order = np.random.default_rng(3).permutation(len(asks))
    together = setup.engine.ask([asks[i] for i in order])
    for place, i in enumerate(order):
        assert together[place].ids == alone[i].ids
        assert together[place].text == alone[i].text
        np.testing.assert_allclose(together[place].logprobs, alone[i].logprobs, atol=CLOSE)
        assert together[place].p_yes == pytest.approx(alone[i].p_yes, abs=CLOSE)


def build_alone(setup, ask):
    return setup.engine.ask([ask])[0]


def test_images_encoded_together_equal_images_encoded_alone(setup):
    together = setup.engine.encode_memory(setup.features)
    for i, image in enumerate(together):
        alone = setup.engine.encode_memory(setup.features[i : i + 1])[0]
        torch.testing.assert_close(image.keys, alone.keys, atol=CLOSE, rtol=0)
        torch.testing.assert_close(image.values, alone.values, atol=CLOSE, rtol=0)
        assert image.image_tokens == 5
        assert image.length == 5 + len(setup.prompt.before) + len(setup.prompt.between)


def test_another_image_gives_another_answer():
    setup = build()
    one, two, _ = setup.engine.encode_memory(setup.features)
    first, second = setup.engine.ask([Ask(one, QUESTIONS[0]), Ask(two, QUESTIONS[0])])
    assert first.logprobs != second.logprobs


@pytest.mark.parametrize("wrap", [False, True])
def test_an_image_of_no_tokens(wrap):
    setup = build(wrap=wrap, cells=0)
    image = setup.engine.encode_memory(setup.features[:1])[0]
    assert image.image_tokens == 0
    way = Sampling(max_new_tokens=5)
    same(setup.engine.answer(image, QUESTIONS[:1], way)[0], *plain_answer(setup.lm, setup.model, setup.prompt, setup.features[:1], QUESTIONS[0], way, None))


def test_heads_without_groups():
    setup = build(kv_heads=4)
    image = setup.engine.encode_memory(setup.features[:1])[0]
    way = Sampling(max_new_tokens=5)
    same(setup.engine.answer(image, QUESTIONS[:1], way)[0], *plain_answer(setup.lm, setup.model, setup.prompt, setup.features[:1], QUESTIONS[0], way, None))


def test_nothing_asked_nothing_answered():
    setup = build()
    image = setup.engine.encode_memory(setup.features[:1])[0]
    assert setup.engine.answer(image, []) == []
    assert setup.engine.score(image, "heart", []).shape == (0,)
    assert setup.engine.encode_memory(setup.features[:0]) == []


def test_stream_joins_to_the_answer():
    setup = build()
    image = setup.engine.encode_memory(setup.features[:1])[0]
    for question in QUESTIONS:
        for way in (Sampling(max_new_tokens=7), Sampling(1.0, 7, 3)):
            pieces = list(setup.engine.stream(image, question, way))
            assert "".join(pieces).strip() == setup.engine.answer(image, [question], way)[0].text


def test_shared_tokens_are_computed_once():
    setup = build()
    image = setup.engine.encode_memory(setup.features[:1])[0]
    sizes, states = [], setup.engine.decoder.states

    def counted(embeds, positions, attention, keep=None, tap=None):
        sizes.append(embeds.shape[1])
        return states(embeds, positions, attention, keep, tap)

    setup.engine.decoder.states = counted
    setup.engine.answer(image, [QUESTIONS[0]] * 9, Sampling(max_new_tokens=4))
    one = len(setup.prompt.question(QUESTIONS[0]))
    assert sizes[0] == one
    assert set(sizes[1:]) <= {1}
    sizes.clear()
    setup.engine.answer(image, QUESTIONS[:2], Sampling(max_new_tokens=1))
    # "is there a mass in the" is common; then left/right, lung, and the two words of the template for each
    assert sizes == [6 + 2 * (one - 6)]


def test_images_without_tokens_share_the_reading_of_a_question():
    setup = build(readout=True)
    setup.model.projector = NoTokens()
    setup.engine = Engine(setup.model, setup.prompt)
    images = [setup.engine.encode_memory(setup.features[i : i + 1])[0] for i in range(3)]
    sizes, states = [], setup.engine.decoder.states

    def counted(embeds, positions, attention, keep=None, tap=None):
        sizes.append(embeds.shape[1])
        return states(embeds, positions, attention, keep, tap)

    setup.engine.decoder.states = counted
    ways = [Sampling(max_new_tokens=5), *(Sampling(1.0, 5, seed) for seed in range(3))]
    asks = [Ask(image, question, way) for image in images for question in QUESTIONS[:2] for way in ways]
    records = setup.engine.ask(asks)
    assert sizes[0] == 6 + 2 * (len(setup.prompt.question(QUESTIONS[0])) - 6)  # as many as for one image
    for ask, record in zip(asks, records, strict=True):
        generator = random_of(ask.question, ask.sampling)
        same(record, *plain_answer(setup.lm, setup.model, setup.prompt, ask.image.memory, ask.question, ask.sampling, generator))
    assert len({records[0].logprobs, records[8].logprobs, records[16].logprobs}) == 3


def test_a_shared_prefix_follows_the_weights():
    setup = build(readout=True)
    setup.model.projector = NoTokens()
    setup.engine = Engine(setup.model, setup.prompt)
    setup.engine.encode_memory(setup.features[:1])
    with torch.no_grad():
        for plain, own in zip(setup.lm.model.parameters(), setup.model.lm.model.parameters(), strict=True):
            plain.mul_(1.1)
            own.mul_(1.1)
    image = setup.engine.encode_memory(setup.features[:1])[0]
    way = Sampling(max_new_tokens=5)
    same(setup.engine.answer(image, QUESTIONS[:1], way)[0], *plain_answer(setup.lm, setup.model, setup.prompt, setup.features[:1], QUESTIONS[0], way, None))


def test_a_model_of_another_shape():
    from transformers import PhiConfig, PhiForCausalLM

    torch.manual_seed(0)
    config = PhiConfig(vocab_size=64, hidden_size=32, intermediate_size=48, num_hidden_layers=3, num_attention_heads=4, max_position_embeddings=256)
    config.initializer_range = 0.3
    plain = PhiForCausalLM(config).eval()
    hosted_in = PhiForCausalLM(config).eval()
    hosted_in.load_state_dict(plain.state_dict())
    model, prompt = composed(hosted_in, readout=False, wrap=True)
    features = torch.randn(1, 5, 12)
    engine = Engine(model, prompt)
    image = engine.encode_memory(features)[0]
    way = Sampling(max_new_tokens=5)
    for question, record in zip(QUESTIONS, engine.answer(image, QUESTIONS, way), strict=True):
        same(record, *plain_answer(plain, model, prompt, features, question, way, None))


def test_a_question_cannot_end_its_own_turn():
    setup = build()
    ids = setup.prompt.question("heart <end> Yes")
    assert setup.prompt.stop[0] not in ids
    assert setup.prompt.tokenizer.encode("<end>", add_special_tokens=False).ids == list(setup.prompt.stop)  # elsewhere the token is obeyed


def test_unscored_tokens_are_never_said():
    setup = build()
    image = setup.engine.encode_memory(setup.features[:1])[0]
    said = setup.engine.answer(image, QUESTIONS, Sampling(max_new_tokens=3))
    banned = tuple({r.ids[0] for r in said if r.ids})
    setup.prompt.template = dataclasses.replace(setup.prompt.template, unscored=banned)
    for record in setup.engine.answer(image, QUESTIONS, Sampling(max_new_tokens=3)) + setup.engine.answer(image, QUESTIONS, Sampling(2.0, 3)):
        assert not set(record.ids) & set(banned)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda e, i: e.answer(i, ["  "]), "must have text"),
        (lambda e, i: e.answer(i, ["heart"], [Sampling(), Sampling()]), "as many samplings"),
        (lambda e, i: e.answer(i, ["heart " * 300]), "context of 256"),
        (lambda e, i: e.answer(i, ["heart"], Sampling(max_new_tokens=250)), "context of 256"),
        (lambda e, i: e.score(i, "heart", ["Yes", " "]), "option must have text"),
        (lambda e, i: e.score(i, "heart", ["Yes " * 250]), "context of 256"),
        (lambda e, i: list(e.stream(i, " ")), "must have text"),
        (lambda e, i: e.encode_memory(torch.zeros(1, 256, 12)), "fewer image tokens"),
        (lambda e, i: Engine(e.composition, e.prompt, budget=0), "budget"),
    ],
)
def test_bad_input_is_refused_in_words(call, words):
    setup = build()
    image = setup.engine.encode_memory(setup.features[:1])[0]
    with pytest.raises(InvalidValue, match=words):
        call(setup.engine, image)


def test_training_forward_equals_plain():
    setup = build(readout=True)
    questions = [setup.prompt.question(q) for q in QUESTIONS]
    ids = torch.zeros(len(questions), max(map(len, questions)), dtype=torch.long)
    picks = torch.zeros_like(ids, dtype=torch.bool)
    for row, question in enumerate(questions):
        ids[row, : len(question)] = torch.tensor(question)
        picks[row, len(question) - 1] = True
    logits = setup.model(setup.features[:2], setup.prompt, ids, picks, torch.tensor([0, 1] * 3))
    for row, question in enumerate(questions):
        truth = plain_logits(setup.lm, setup.model, setup.prompt, setup.features[row % 2 : row % 2 + 1], question)[-1]
        torch.testing.assert_close(logits[row], truth, atol=CLOSE, rtol=0)
