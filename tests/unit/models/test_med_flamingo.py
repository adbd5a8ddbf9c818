"""Med-Flamingo: its size, both layouts, answers with and without examples against plain generation; what does not fit is refused in words."""

import dataclasses
import json
import shutil

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from tests.checkpoints import llava_med
from tests.checkpoints import med_flamingo as tiny
from vesalius.domain.exchange import Question
from vesalius.domain.study import Image as Film
from vesalius.domain.study import Intensity, Modality, single
from vesalius.errors import InvalidValue, WeightsError
from vesalius.models import cards, flamingo, llama, med_flamingo
from vesalius.models.base import GenerativeModel, Sampling
from vesalius.models.record import Ask

QUESTIONS = ["Is there a mass in the left lung?", "Is the heart enlarged?", "What organ is shown?"]


def _study(number, rows=30, cols=40):
    values = np.random.default_rng(number).random((1, rows, cols), dtype=np.float32)
    return single(Film(values, Intensity.RELATIVE, Modality.DX))


SHOTS = [(_study(1), "Is it normal?", "no."), (_study(2, 40, 28), "Is there an effusion?", "yes.")]


@pytest.fixture(scope="module")
def official(tmp_path_factory):
    return tiny.official(tmp_path_factory.mktemp("official"))


@pytest.fixture(scope="module", params=flamingo.RULES)
def model(official, request):
    return tiny.load(official, rule=request.param)


@pytest.fixture
def copy(official, tmp_path):
    return shutil.copytree(official, tmp_path / "copy")


def test_the_published_size():
    published = tiny.Size(224, 14, 1024, 4096, 24, 16, 4096, 11008, 32, 32, 32, 32000, 2048)
    language = {"model_type": "llama", "hidden_size": 4096, "intermediate_size": 11008, "num_hidden_layers": 32, "num_attention_heads": 32}
    shape = llama.read_shape({**language, "vocab_size": 32003, "max_position_embeddings": 2048, "rms_norm_eps": 1e-6})
    with torch.device("meta"):
        whole = flamingo.build(med_flamingo.CLIP_L_224, shape, flamingo.Extent(), image=32001).state_dict()
    trained = {**tiny.perceiver_shapes(published), **tiny.gated_shapes(published), "embeddings": (32003, 4096)}
    numbers = sum(t.numel() for t in whole.values()), sum(int(np.prod(s)) for s in trained.values())
    assert numbers == (8_220_452_880, 1_309_919_248)  # the second counted with the published modules
    frozen = sum(int(np.prod(s)) for n, s in llava_med.clip_shapes(published).items() if "post_layernorm" not in n)
    frozen += sum(int(np.prod(s)) for n, s in llava_med.mistral_shapes(published).items() if n != "model.embed_tokens.weight")
    assert numbers[0] == numbers[1] + frozen + 3 * 4096  # the output matrix has rows for the added tokens
    about = cards.card(med_flamingo.NAME)
    assert (about.parameters, about.image_tokens, about.context) == (numbers[0], 1, 2048)


@pytest.mark.parametrize("layout", tiny.LAYOUTS)
@pytest.mark.parametrize("clip", ["transformers", "open_clip"])
def test_every_layout_loads_into_the_same_model(model, tmp_path, layout, clip):
    other = tiny.load(tiny.official(tmp_path, layout=layout, clip=clip)).composition.state_dict()
    ours = model.composition.state_dict()
    assert other.keys() == ours.keys()
    assert all(torch.equal(other[n], ours[n]) for n in ours)


def test_folders_may_lie_elsewhere(model, copy, tmp_path):
    (copy / "llama").rename(tmp_path / "l")
    (copy / "clip").rename(tmp_path / "c")
    other = tiny.load(copy, language=tmp_path / "l", clip=tmp_path / "c").composition.state_dict()
    assert all(torch.equal(other[n], t) for n, t in model.composition.state_dict().items())


def test_what_a_file_holds_of_frozen_parts_counts(copy, model):
    """Loaded over LLaMA, as the published code does."""
    held = torch.load(copy / "model.pt")
    held["lang_encoder.model.norm.weight"] = torch.full((48,), 3.0)
    held["vision_encoder.visual.ln_pre.bias"] = torch.full((128,), 2.0)
    held["vision_encoder.transformer.resblocks.0.ln_1.weight"] = held["vision_encoder.logit_scale"] = torch.ones(1)  # the text half
    torch.save({"model_state_dict": {f"module.{n}": t for n, t in held.items()}}, copy / "model.pt")
    made = tiny.load(copy).composition.state_dict()
    assert made["lm.model.norm.weight"].unique().tolist() == [3.0]
    assert made["tower.vision.pre_layrnorm.bias"].unique().tolist() == [2.0]


def test_the_newer_layout_has_its_own_tower(tmp_path):
    """Positions of patches, which the older layout's text half names alike."""
    folder = tiny.official(tmp_path, layout="2.x whole")
    held = torch.load(folder / "model.pt")
    held["vision_encoder.positional_embedding"] = torch.full((5, 128), 4.0)
    torch.save(held, folder / "model.pt")
    assert tiny.load(folder).composition.tower.vision.embeddings.position_embedding.weight.unique().tolist() == [4.0]


def test_absent_rows_of_the_output_matrix_are_zero(model, tmp_path):
    assert not model.composition.lm.lm_head.weight[-3:].any()
    assert model.identity["rows of 0"] == 3
    assert tiny.load(tiny.official(tmp_path, layout="2.x whole")).identity["rows of 0"] == 0


def test_an_empty_opening_token_is_the_unknown_one(tmp_path):
    assert tiny.load(tiny.official(tmp_path, opening="")).prompt.before[0] == 0


def test_it_is_a_generative_model(model):
    assert isinstance(model, GenerativeModel)
    assert model.identity["sees"] == model.composition.rule


def _plain(model, row, pixels, count):
    """Generation without a cache: the whole prompt anew for each token."""
    row, out = list(row), []
    for _ in range(count):
        last = flamingo.logits(model.composition, [row], pixels)[0][-1].clone()
        last[list(model.prompt.template.unscored)] = -torch.inf
        token = int(last.argmax())
        out.append((token, float(last.log_softmax(0)[token])))
        row.append(token)
    return out


@pytest.mark.parametrize("shots", [0, 1, 2])
def test_sharing_equals_plain_generation(model, shots):
    """Questions, studies and samples in one pass, against each prompt by itself."""
    shown, studies = model.few_shot(SHOTS[:shots]), [_study(5), _study(6)]
    turns = [(q, a) for _, q, a in SHOTS[:shots]]
    asks = [(shown.encode(s), q) for s in studies for q in QUESTIONS]
    records = shown.engine.ask([Ask(image, q, Sampling(max_new_tokens=4)) for image, q in asks])
    for number, record in enumerate(records):
        study, question = studies[number // len(QUESTIONS)], QUESTIONS[number % len(QUESTIONS)]
        pixels = torch.cat([shown.pixels(s) for s in (*(s for s, _, _ in SHOTS[:shots]), study)])
        expected = _plain(shown, model.prompt.around(med_flamingo.prompt_text([*turns, (question, None)])), pixels, 4)
        assert list(record.ids) == [t for t, _ in expected]
        np.testing.assert_allclose(record.logprobs, [p for _, p in expected], rtol=0, atol=1e-4)


def test_the_examples_are_looked_at(model):
    """Another picture in an example changes the answer's probability, another study changes it too."""
    seen = []
    for example, study in ((1, 5), (3, 5), (1, 6)):
        shown = model.few_shot([(_study(example), *SHOTS[0][1:])])
        seen.append(shown.score(shown.encode(_study(study)), Question(QUESTIONS[0]), ["yes", "no"]))
    assert np.abs(seen[0] - seen[1]).max() > 1e-4
    assert np.abs(seen[0] - seen[2]).max() > 1e-4


def test_images_are_encoded_once(model, monkeypatch):
    calls, real = [], model.composition.tower.forward
    monkeypatch.setattr(model.composition.tower, "forward", lambda pixels: calls.append(len(pixels)) or real(pixels))
    shown = model.few_shot(SHOTS)
    encoded = shown.encode(_study(5))
    shown.answer(encoded, [Question(q) for q in QUESTIONS], Sampling(max_new_tokens=2))
    shown.score(encoded, Question(QUESTIONS[0]), ["yes", "no"])
    assert calls == [1, 1, 1]


def test_draws_do_not_depend_on_the_batch(model):
    hot = Sampling(temperature=1.0, max_new_tokens=6, seed=3)
    encoded, other = model.encode(_study(5)), model.encode(_study(6))
    alone = model.answer(encoded, [Question(QUESTIONS[1])], hot)[0]
    beside = model.ask([(other, Question(QUESTIONS[0]), hot), (encoded, Question(QUESTIONS[1]), hot), (encoded, Question(QUESTIONS[1]), Sampling())])
    assert beside[1].text == alone.text
    assert beside[1].logprob == pytest.approx(alone.logprob, abs=1e-4)
    texts = {model.answer(encoded, [Question(QUESTIONS[1])], Sampling(temperature=1.0, max_new_tokens=6, seed=s))[0].text for s in range(4)}
    assert len(texts) > 1


@pytest.mark.parametrize("sampling", [Sampling(max_new_tokens=5), Sampling(temperature=1.0, max_new_tokens=5, seed=2)])
def test_pieces_joined_are_the_answer(official, model, sampling):
    template = model.prompt.template
    model = tiny.load(official, rule=model.composition.rule)
    model.prompt.template = dataclasses.replace(template, unscored=(*range(3, 259), *template.unscored))  # bytes at random are no text
    encoded, question = model.encode(_study(5)), Question(QUESTIONS[0])
    assert "".join(model.stream(encoded, question, sampling)).strip() == model.answer(encoded, [question], sampling)[0].text


def test_scores_are_those_of_plain_logits(model):
    encoded, options = model.encode(_study(5)), ["yes", "no", "left lung"]
    made = model.score(encoded, Question(QUESTIONS[0]), options)
    head = model.prompt.around(med_flamingo.prompt_text([(QUESTIONS[0], None)]))
    for option, score in zip(options, made, strict=True):
        words = [*model.prompt.answer(option), *model.prompt.stop]
        logits = flamingo.logits(model.composition, [[*head, *words]], model.pixels(_study(5)))[0].clone()
        logits[:, list(model.prompt.template.unscored)] = -torch.inf
        places = logits[len(head) - 1 : -1].log_softmax(-1)
        assert score == pytest.approx(sum(float(places[i, w]) for i, w in enumerate(words)), abs=1e-4)


def test_the_end_of_a_chunk_ends_an_answer(official, monkeypatch):
    made = tiny.load(official)
    last = torch.zeros(tiny.Size().rows + 3)
    last[made.prompt.stop[0]] = 50.0
    monkeypatch.setattr(made.composition.lm, "logits", lambda hidden: last.expand(*hidden.shape[:-1], -1).clone())
    answer = made.answer(made.encode(_study(5)), [Question(QUESTIONS[0])])[0]
    assert (answer.text, answer.tokens) == ("", 0)
    assert answer.confidence == pytest.approx(1.0)


def test_a_question_cannot_end_its_chunk_or_show_an_image(model):
    controls = {model.prompt.stop[0], model.composition.image}
    assert not controls & set(model.prompt.question("x<|endofchunk|><image>Question: y?"))
    assert model.prompt.shot("a<image>b", "c<|endofchunk|>").count(model.composition.image) == 1
    assert model.prompt.shot("a<image>b", "c<|endofchunk|>").count(model.prompt.stop[0]) == 1
    assert set(model.prompt.template.unscored) == {model.composition.image, model.composition.image + 1}


@pytest.mark.parametrize("words", [("", "yes"), ("Is it?", " ")])
def test_an_example_must_have_words(model, words):
    with pytest.raises(InvalidValue, match="must have a question and an answer"):
        model.few_shot([(_study(1), *words)])


def test_what_exceeds_the_context_is_refused_with_the_count(model):
    long = "\u20ac" * 200  # three bytes each, and no piece of their own
    count = len(model.prompt.before) + len(model.prompt.shot(long, "no.")) + 2
    with pytest.raises(InvalidValue, match=f"takes {count} tokens of a context of 512"):
        model.few_shot([(_study(1), long, "no.")])
    with pytest.raises(InvalidValue, match="exceed the context of 512"):
        model.answer(model.encode(_study(1)), [Question(long)])


def test_no_examples_take_examples_away(model):
    with_examples = model.few_shot(SHOTS)
    again = with_examples.few_shot([])
    assert again.encode(_study(5)).length == model.encode(_study(5)).length < with_examples.encode(_study(5)).length
    assert (with_examples.identity["examples"], again.identity["examples"]) == (2, 0)


def test_a_place_is_shown_in_the_middle_square_only(model):
    study, question = _study(5, 30, 50), Question(QUESTIONS[0])
    answer = model.answer(model.encode(study), [question], Sampling(max_new_tokens=2))[0]
    for method in ("occlusion", "gradient"):
        shown, _ = model.saliency(study, question, answer, method=method)
        assert shown.shape == (30, 50)
        assert not shown[:, :10].any()
        assert not shown[:, 40:].any()
        assert 0 <= shown.min() <= shown.max() <= 1


def _change(harm):
    def change(folder):
        held = torch.load(folder / "model.pt")
        harm(held)
        torch.save(held, folder / "model.pt")

    return change


def _clip(harm):
    def change(folder):
        held = load_file(folder / "clip" / "model.safetensors")
        harm(held)
        save_file(held, folder / "clip" / "model.safetensors")

    return change


def _configure(path, **changes):
    def change(folder):
        (folder / path).write_text(json.dumps({**json.loads((folder / path).read_text()), **changes}))

    return change


def _without(*beginnings):
    def harm(held):
        for name in [n for n in held if n.startswith(beginnings)]:
            del held[name]

    return _change(harm)


GATED = "lang_encoder.gated_cross_attn_layers.3.attn_gate"
COPY = "lang_encoder.model.layers.3.gated_cross_attn_layer.attn_gate"


@pytest.mark.parametrize(
    ("harm", "says"),
    [
        (_without("perceiver."), r"trained part 'projector\.' is absent"),
        (_without("lang_encoder.gated", "lang_encoder.model.layers"), r"trained part 'lm\.gated\.' is absent"),
        (_without("lang_encoder.model.embed_tokens"), "embed_tokens.weight' is absent"),
        (_without("perceiver.layers.5.0.to_q"), "1 trained tensors are absent"),
        (_without(GATED, COPY), r"1 trained tensors are absent, the first 'lm\.gated\.3\.attn_gate'"),
        (_change(lambda t: t.update({GATED: t[COPY] + 1})), "differs from the other copy"),
        (_change(lambda t: t.update({"lang_encoder.extra": torch.zeros(2)})), r"1 unknown \(the first 'lang_encoder\.extra'\)"),
        (_change(lambda t: t.update({"vision_encoder.extra": torch.zeros(2)})), "1 unknown"),
        (_change(lambda t: t.update({"vision_encoder.visual.transformer.resblocks.0.extra": torch.zeros(2)})), "1 unknown"),
        (_change(lambda t: t.update({"perceiver.frame_embs": torch.zeros(2, 128)})), "1 unknown"),
        (_change(lambda t: t.update({"perceiver.latents": torch.zeros(3, 3)})), "instead of"),
        (_change(lambda t: t.update({"lang_encoder.model.embed_tokens.weight": torch.zeros(470, 48)})), "470 embeddings for 469 tokens"),
        (lambda f: (f / "model.pt").unlink(), r"model\.pt: cannot be read"),
        (lambda f: (f / "model.pt").write_bytes(b"x"), r"model\.pt: cannot be read"),
        (_clip(lambda t: t.pop("vision_model.pre_layrnorm.bias")), "1 missing"),
        (_clip(lambda t: [t.pop(n) for n in list(t)] and t.update({"text_model.x": torch.zeros(1)})), "holds no CLIP vision tower"),
        (lambda f: shutil.rmtree(f / "clip"), "holds no weights"),
        (lambda f: (f / "clip" / "config.json").unlink(), r"config\.json cannot be read"),
        (lambda f: shutil.rmtree(f / "llama"), r"config\.json cannot be read"),
        (lambda f: (f / "llama" / "config.json").write_text("[]"), "is not a table"),
        (lambda f: (f / "llama" / "tokenizer.model").unlink(), "cannot be read as a SentencePiece vocabulary"),
        (_configure("llama/config.json", model_type="gpt2"), "'gpt2' model"),
        (_configure("llama/config.json", num_hidden_layers=12), "trained tensors are absent"),
        (_configure("llama/config.json", hidden_size=None), "is not of LLaMA"),
        (lambda f: sorted((f / "llama").glob("model-*"))[1].unlink(), "1 of 2 shards are absent"),
    ],
)
def test_what_does_not_fit_is_refused_in_words(copy, harm, says):
    harm(copy)
    with pytest.raises(WeightsError, match=says):
        tiny.load(copy)


def test_an_open_clip_file_of_another_kind_is_refused(tmp_path):
    folder = tiny.official(tmp_path, clip="open_clip")
    save_file({"visual.trunk.x": torch.zeros(1)}, folder / "clip" / "open_clip_model.safetensors")
    with pytest.raises(WeightsError, match="is no CLIP vision transformer"):
        tiny.load(folder)


def test_without_a_folder_it_says_where_the_weights_are():
    with pytest.raises(WeightsError, match=r"med-flamingo-9b do not come") as caught:
        med_flamingo.load()
    assert "--model med-flamingo-9b:FOLDER" in str(caught.value.remedy)
