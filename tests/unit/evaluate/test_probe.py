"""A prober asks once: answers are kept by what they depend on, and by nothing else."""

import dataclasses

import pytest

from tests.evaluate_miniature import FakeModel, slake
from vesalius.domain.exchange import Answer, Outcome, Question
from vesalius.errors import InvalidValue, UserError
from vesalius.evaluate import probe
from vesalius.evaluate.ask import blank
from vesalius.evaluate.probe import Answers, Probe, Prober, Shown, gather
from vesalius.models.base import Sampling

QUESTION = Question("Is there evidence of a pleural effusion?")
SHOWN = Shown("slake/imgs/xmlab0/source.jpg", (("modality", "CR"),))


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    return slake(tmp_path_factory.mktemp("root"))


def test_the_same_thing_is_asked_once_and_in_one_call_for_a_picture(root):
    model = FakeModel()
    prober = Prober(model, root)
    other = Question("Is the heart enlarged?")
    said = prober.ask([Probe(SHOWN, QUESTION), Probe(SHOWN, other), Probe(SHOWN, QUESTION)])
    assert [a.text for a in said] == ["Yes", "No", "Yes"] or said[0] == said[2]
    assert (prober.asked, model.encoded, len(model.asked)) == (2, 1, 2)
    assert prober.ask([Probe(SHOWN, other)]) == [said[1]]
    assert prober.asked == 2


@pytest.mark.parametrize(
    "other",
    [
        Probe(SHOWN, Question("Is there evidence of a pleural  effusion?")),
        Probe(SHOWN, Question(QUESTION.text, ("yes", "no"))),
        Probe(SHOWN, QUESTION, Sampling(0.7)),
        Probe(SHOWN, QUESTION, Sampling(0.0, seed=1)),
        Probe(dataclasses.replace(SHOWN, image="slake/imgs/xmlab1/source.jpg"), QUESTION),
        Probe(dataclasses.replace(SHOWN, facts=()), QUESTION),
        Probe(dataclasses.replace(SHOWN, change="blank"), QUESTION),
    ],
)
def test_whatever_an_answer_depends_on_is_in_its_key(root, other):
    prober = Prober(FakeModel(), root)
    assert prober.key(Probe(SHOWN, QUESTION)) != prober.key(other)
    assert prober.key(other) == Prober(FakeModel(), root).key(other)


def test_another_model_and_another_picture_under_the_same_name_are_asked_anew(root, tmp_path):
    first = Prober(FakeModel(), root)
    other = FakeModel()
    other.identity = {"name": "fake", "weights": "1"}
    assert first.key(Probe(SHOWN, QUESTION)) != Prober(other, root).key(Probe(SHOWN, QUESTION))
    changed = slake(tmp_path / "changed", images=3)
    (changed / SHOWN.image).write_bytes((changed / "slake/imgs/xmlab1/source.jpg").read_bytes())
    assert first.key(Probe(SHOWN, QUESTION)) != Prober(FakeModel(), changed).key(Probe(SHOWN, QUESTION))


def test_a_change_is_made_to_the_picture_that_is_asked_about(root):
    prober = Prober(FakeModel(), root)
    gone = dataclasses.replace(SHOWN, change="blank")
    plain, empty = prober.ask([Probe(SHOWN, QUESTION), Probe(gone, QUESTION)], {"blank": blank})
    assert plain.text != empty.text
    with pytest.raises(InvalidValue, match="changed by 'blank' is not said"):
        Prober(FakeModel(), root).ask([Probe(gone, QUESTION)])


def test_answers_outlive_a_run(root, tmp_path):
    path = tmp_path / "answers.sqlite"
    first = Prober(FakeModel(), root, Answers(path))
    said = first.ask([Probe(SHOWN, QUESTION)])
    first.answers.close()
    model = FakeModel()
    again = Prober(model, root, Answers(path))
    assert again.ask([Probe(SHOWN, QUESTION)]) == said
    assert (again.asked, model.encoded, len(again.answers)) == (0, 0, 1)


def test_what_is_asked_in_one_call_stays_within_its_bounds_and_keeps_a_pictures_questions_together(root):
    prober, calls = Prober(FakeModel(), root), []
    answer = prober.model.ask
    prober.model.ask = lambda asks: calls.append(len(asks)) or answer(asks)
    images = [dataclasses.replace(SHOWN, image=f"slake/imgs/xmlab{n}/source.jpg") for n in range(10)]
    few = [Probe(image, Question(f"Is the heart enlarged, {n}?")) for n in range(2) for image in images]
    many = [Probe(SHOWN, Question(f"Is it, {n}?")) for n in range(40)]
    assert prober.ask(few) == [prober.ask([probe])[0] for probe in few]
    assert calls == [16, 4]  # eight pictures of two questions, two of two: a picture's questions stand together whatever their order
    prober.ask([*many, few[0], Probe(images[1], Question("Is it?"))])
    assert calls[2:] == [40, 1]


def test_an_interrupted_call_loses_only_itself(root, tmp_path):
    path = tmp_path / "answers.sqlite"
    model = FakeModel()
    model.stop_after = 8
    images = [dataclasses.replace(SHOWN, image=f"slake/imgs/xmlab{n}/source.jpg") for n in range(12)]
    stopped = Prober(model, root, Answers(path))
    with pytest.raises(KeyboardInterrupt):
        stopped.ask([Probe(image, QUESTION) for image in images])
    stopped.answers.close()
    again = Prober(FakeModel(), root, Answers(path))
    again.ask([Probe(image, QUESTION) for image in images])
    assert again.asked == 4


def test_a_damaged_file_of_answers_is_told(tmp_path):
    path = tmp_path / "answers.sqlite"
    path.write_bytes(b"this is no database, and long enough to be looked at" * 40)
    with pytest.raises(UserError, match="cannot keep answers"):
        Answers(path)


def test_a_number_that_is_not_finite_is_not_kept():
    kept = Answers()
    with pytest.raises(InvalidValue, match="logprob nan"):
        kept.put({"a": Answer("yes", Outcome.YES, confidence=0.5), "b": Answer("no", Outcome.NO, logprob=float("nan"))})
    assert len(kept) == 0


def test_answers_beneath_are_found_and_never_written(root, tmp_path):
    old, own = tmp_path / "answers.sqlite", tmp_path / "own.sqlite"
    gather(old, [])
    first = Prober(FakeModel(), root, Answers(old))
    first.ask([Probe(SHOWN, QUESTION)])
    first.answers.close()
    before = old.read_bytes()
    prober = Prober(FakeModel(), root, Answers(own, beneath=old))
    prober.ask([Probe(SHOWN, QUESTION), Probe(SHOWN, Question("Is the heart enlarged?"))])
    assert (prober.asked, len(prober.answers)) == (1, 1)
    prober.answers.close()
    assert old.read_bytes() == before


def test_a_file_of_answers_over_others_belongs_to_one_process(tmp_path, monkeypatch):
    monkeypatch.setattr(probe, "_PATIENCE", 0.05)
    gather(tmp_path / "answers.sqlite", [])
    first = Answers(tmp_path / "own.sqlite", beneath=tmp_path / "answers.sqlite")
    with pytest.raises(UserError, match=r"another process works on .*own\.sqlite: wait until it has ended"):
        Answers(tmp_path / "own.sqlite", beneath=tmp_path / "answers.sqlite")
    first.close()
    Answers(tmp_path / "own.sqlite", beneath=tmp_path / "answers.sqlite").close()


def test_answers_are_gathered_and_what_was_there_stays(tmp_path):
    yes, no = Answer("yes", Outcome.YES), Answer("no", Outcome.NO)
    base, parts = tmp_path / "answers.sqlite", [tmp_path / "a.sqlite", tmp_path / "b.sqlite", tmp_path / "absent.sqlite"]
    gather(base, [])
    for path, found in zip(parts, ({"k": yes, "l": yes}, {"k": no, "m": no}), strict=False):
        kept = Answers(path, beneath=base)
        kept.put(found)
        kept.close()
    for _ in range(2):  # a second time, as after a kill in between, there is nothing to do
        gather(base, parts)
        kept = Answers(base)
        assert [kept.get(key) for key in ("k", "l", "m", "n")] == [yes, yes, no, None]
        kept.close()
    assert [path.name for path in tmp_path.iterdir()] == ["answers.sqlite"]
    (tmp_path / "a.sqlite").write_bytes(b"this is no database, and long enough to be looked at" * 40)
    with pytest.raises(UserError, match="cannot keep answers"):
        gather(base, parts)
    assert (tmp_path / "a.sqlite").exists()
