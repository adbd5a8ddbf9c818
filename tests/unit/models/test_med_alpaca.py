"""Visual Med-Alpaca: the prompt, the rules by which an answer is made, the adapter, and a checkpoint in the official layout."""

import math

import numpy as np
import pytest
import torch

from tests.checkpoints import med_alpaca as builder
from vesalius.domain.exchange import Answer, Outcome, Question
from vesalius.domain.study import Image, Intensity, Modality, single
from vesalius.errors import InvalidValue, WeightsError
from vesalius.models import checkpoint, llama, med_alpaca
from vesalius.models.base import GREEDY, GenerativeModel, Sampling
from vesalius.models.decoder import Causal
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
def seven(folder, monkeypatch):
    builder.listed(monkeypatch)
    return med_alpaca.load_7b(weights=folder, dtype=torch.float32)


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


def test_the_adapter_is_added_as_peft_adds_it(folder, seven):
    peft = pytest.importorskip("peft")
    from transformers import LlamaConfig, LlamaForCausalLM

    shape = med_alpaca._language_config(folder)
    config = LlamaConfig(
        vocab_size=shape.vocabulary,
        hidden_size=shape.width,
        intermediate_size=shape.inner,
        num_hidden_layers=shape.layers,
        num_attention_heads=shape.heads,
        rms_norm_eps=shape.eps,
        attn_implementation="eager",
    )
    theirs = LlamaForCausalLM(config)
    theirs.load_state_dict(checkpoint.read(folder))
    theirs = peft.PeftModel.from_pretrained(theirs, str(folder / "adapter")).eval()
    ids = torch.tensor([[1, 20, 33, 47, 5, 60]])
    ours = seven.engine.composition
    with torch.inference_mode():
        wanted = theirs(ids).logits
        hidden = ours.decoder.states(ours.decoder.embed(ids), torch.arange(6)[None], Causal())
        assert torch.allclose(ours.decoder.logits(hidden), wanted, atol=1e-4)
        with theirs.disable_adapter():
            assert not torch.allclose(theirs(ids).logits, wanted, atol=1e-2)


def test_a_pickled_adapter_gives_the_same_weights(tmp_path, seven, monkeypatch):
    builder.listed(monkeypatch)
    other = med_alpaca.load_7b(weights=builder.official(tmp_path / "old", pickled=True), dtype=torch.float32)
    assert seven.identity["adapted"] == other.identity["adapted"] == 4
    assert seven.identity["experts"] == []
    for name, tensor in seven.engine.composition.lm.state_dict().items():
        assert torch.equal(tensor, other.engine.composition.lm.state_dict()[name])


def test_prompts_are_cut_in_one_piece_and_answers_begin_without_a_blank(seven):
    prompt = seven.engine.prompt
    text = med_alpaca.prompt_text("Is it?", "CT")
    assert prompt.question(text) == tuple(prompt.tokenizer.encode(text, add_special_tokens=False).ids)
    whole = tuple(prompt.tokenizer.encode("\nyes", add_special_tokens=False).ids)
    assert whole[-len(prompt.answer("yes")) :] == prompt.answer("yes")
    assert seven._root.length == 1  # the opening token


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"peft_type": "IA3"}, "not a plain LoRA"),
        ({"modules_to_save": ["lm_head"]}, "modules_to_save"),
        ({"tensors": {}}, "empty"),
        ({"r": 8}, "halves"),
        ({"target_modules": ["q_proj"]}, "belongs to no matrix"),
    ],
)
def test_an_adapter_that_cannot_be_merged_is_refused(folder, tmp_path, monkeypatch, changed, said):
    builder.listed(monkeypatch)
    lm = llama.Llama(med_alpaca._language_config(folder))
    made = builder.adapter(tmp_path, **changed)
    with pytest.raises(WeightsError, match=said):
        med_alpaca.merge(lm, *med_alpaca.read_adapter(made), where="here")


def test_half_an_adapter_is_refused(folder, tmp_path):
    tensors = {n: t for n, t in builder.adapter_tensors().items() if "layers.0.self_attn.q_proj.lora_B" not in n}
    config, held = med_alpaca.read_adapter(builder.adapter(tmp_path, tensors=tensors))
    with pytest.raises(WeightsError, match="halves"):
        med_alpaca.merge(llama.Llama(med_alpaca._language_config(folder)), config, held, where="here")


def test_what_is_absent_is_said(tmp_path, folder):
    with pytest.raises(WeightsError, match="do not come with") as caught:
        med_alpaca.load_7b()
    assert "--model visual-med-alpaca-7b:FOLDER" in caught.value.remedy
    with pytest.raises(WeightsError, match=r"config\.json"):
        med_alpaca.load_7b(weights=tmp_path)
    (tmp_path / "config.json").write_text((folder / "config.json").read_text())
    with pytest.raises(WeightsError, match="adapter_config"):
        med_alpaca.load_7b(weights=tmp_path)
    (tmp_path / "config.json").write_text('{"model_type": "opt"}')
    with pytest.raises(WeightsError, match="'opt'"):
        med_alpaca.load_7b(weights=tmp_path)


def test_experts_beside_the_language_model_are_found(tmp_path, study):
    find = med_alpaca._Found(tmp_path, "cpu")
    assert find(Kind.CT).describe(study).said.confidence == 0
    builder.med_git(tmp_path / "med-git")
    builder.deplot(tmp_path / "deplot")
    caption, plot = find(Kind.CT), find(Kind.PLOT)
    assert caption is find(Kind.XRAY)
    for expert in (caption, plot):
        said = expert.describe(study).said
        assert 0 <= said.confidence <= 1
        assert said == expert.describe(study).said
    assert find(Kind.ULTRASOUND).name == "none"


def test_a_broken_expert_is_refused_in_words(tmp_path):
    (tmp_path / "med-git").mkdir()
    with pytest.raises(WeightsError, match="not a checkpoint of GitForCausalLM"):
        med_alpaca._Found(tmp_path, "cpu")(Kind.MR)


def test_med_git_sees_what_the_published_processor_would_show(tmp_path, study):
    expert = med_alpaca.MedGit(builder.med_git(tmp_path))
    shown = []
    expert.model.register_forward_pre_hook(lambda _m, _a, kwargs: shown.append(kwargs.get("pixel_values")), with_kwargs=True)
    expert.describe(study)
    from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil

    wanted = CLIPImageProcessorPil(size={"shortest_edge": 32}, crop_size=32)(study.image.pixels[0], return_tensors="pt")["pixel_values"]
    assert shown[0].shape == wanted.shape
    assert (shown[0] - wanted).abs().max() < 0.05
