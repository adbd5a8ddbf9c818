"""Training material: no test part, polarity kept, blanks that cannot be determined, development images held out."""

import pytest

from vesalius.domain.exchange import Split
from vesalius.train import examples as material
from vesalius.train.batches import items
from vesalius.train.examples import Example


def test_a_test_part_is_refused(tmp_path):
    with pytest.raises(ValueError, match="never training material"):
        material.questions("slake", tmp_path, Split.TEST, source="slake")


def test_rewordings_share_a_group_and_turn_the_answer_with_the_polarity():
    first = Example("a.png", "Is there a pneumothorax?", "no", "s", closed=True)
    made = material._reworded(first, "id", 8, 0)
    assert {e.group for e in made} == {"id"}
    assert any(e.polarity == -1 for e in made)
    assert all(e.answer == ("no" if e.polarity == 1 else "yes") for e in made)


def test_open_questions_are_not_reworded_for_training():
    first = Example("a.png", "What organ is shown?", "liver", "s", closed=False)
    assert material._reworded(first, "id", 8, 0) == [first]


def test_families_that_are_held_out_are_not_learnt_from():
    first = Example("a.png", "Is there a pneumothorax?", "no", "s", closed=True)
    every = {e.question for e in material._reworded(first, "id", 8, 0)}
    some = {e.question for e in material._reworded(first, "id", 8, 0, ("negation",))}
    assert {first.question} < some < every


def test_a_question_is_pushed_both_ways_and_its_answer_stays():
    first = Example("a.png", "Is there a pneumothorax?", "no", "s", closed=True, group="id")
    made = material._pressed(first, ("suggestion", "premise"))
    assert len(made) == 4
    assert {(e.answer, e.polarity, e.group, e.reworded) for e in made} == {("no", 1, "id", True)}
    assert [e.question.endswith(first.question) and e.question != first.question for e in made] == [True] * 4
    assert [" yes." in e.question for e in made] == [True, False, True, False]


@pytest.mark.data
def test_human_pairs_share_a_group_and_no_pair_joins_training_to_what_is_held_out(data_root):
    found = {s: material.questions("vqa-rad", data_root, s, source="vqa-rad", rewordings=1, pairs=True) for s in (Split.TRAIN, Split.DEVELOPMENT)}
    pairs = {s: {e.group for e in rows if e.group.startswith("pair:")} for s, rows in found.items()}
    assert len(pairs[Split.TRAIN]) > 200
    assert not pairs[Split.TRAIN] & pairs[Split.DEVELOPMENT]
    for rows in found.values():
        answers = {(e.group, e.answer) for e in rows if not e.reworded and e.group.startswith("pair:")}
        assert len(answers) == len({group for group, _ in answers})


def test_blanks_cannot_be_determined():
    made = material.blanks([Example("a.png", f"Is there finding {i}?", "yes", "s", closed=True) for i in range(9)], source="blanks")
    assert {e.answer for e in made} == {"cannot be determined"}
    assert all(e.image.startswith(material.BLANK) for e in made)
    assert len({e.image for e in made}) == 5


def test_always_no_does_not_pay():
    examples = [Example(f"{i}.png", "Is there x?", "yes" if i == 0 else "no", "s", closed=True) for i in range(4)]
    weights = {e.answer: w for item in items(examples, {"s": 1.0}) for e, w in zip(item.examples, item.weights, strict=True)}
    assert weights["yes"] == pytest.approx(3 * weights["no"])


def test_a_source_without_a_share_is_left_out():
    assert items([Example("a.png", "Is there x?", "yes", "s", closed=True)], {"other": 1.0}) == []


@pytest.mark.data
def test_development_images_are_never_trained_on(data_root):
    for dataset in ("vqa-rad", "slake"):
        trained = {e.image for e in material.questions(dataset, data_root, Split.TRAIN, source="s")}
        held = {e.image for e in material.questions(dataset, data_root, Split.DEVELOPMENT, source="s")}
        assert trained
        assert held
        assert not trained & held


@pytest.mark.data
def test_descriptions_come_from_training_images_only(data_root):
    from vesalius.data import base

    described = {e.image for e in material.descriptions(data_root, source="s")}
    for dataset in ("slake", "nih-cxr"):
        for split in (Split.DEVELOPMENT, Split.TEST):
            held = {e.image for e in base.dataset(dataset).exchanges(data_root, split)}
            assert not described & held, (dataset, split)
