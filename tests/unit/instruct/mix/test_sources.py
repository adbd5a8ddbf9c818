"""What sources give: training parts alone, whole conversations, texts with their passage, files in three layouts; damage is told."""

import json

import pytest

from tests.unit.data import public_vqa
from tests.unit.data import published as small
from tests.unit.instruct.mix import roots
from vesalius.data import base
from vesalius.data.base import DataFormatError
from vesalius.domain.exchange import Split
from vesalius.errors import DataMissing
from vesalius.instruct.mix import sources
from vesalius.instruct.mix.recipe import Built, Layout, Part
from vesalius.instruct.record import RecordError


def read(part, root):
    return list(sources.read(part, root))


@pytest.mark.parametrize("name", ["roco", "roco-v2", "llava-med", "radqa", "medmcqa", "pubmedqa", "chexinstruct", "path-vqa", "pmc-vqa"])
def test_a_set_gives_its_training_part_and_nothing_else(tmp_path, name):
    builders = {**small.BUILDERS, "path-vqa": public_vqa.path_vqa, "pmc-vqa": public_vqa.pmc_vqa}
    root, chosen = builders[name](tmp_path), base.dataset(name)
    rows = [candidate.row for candidate in read(Part("a", set=name), root)]
    every = [*chosen.exchanges(root, Split.TRAIN), *(chosen.questions(root, Split.TRAIN) if hasattr(chosen, "questions") else ())]
    assert [row.id for row in rows] == [each.id for each in every]
    assert {row.split for row in rows} == {Split.TRAIN}
    assert all(row.provenance["licence"] for row in rows)
    others = {x.image for s in (Split.DEVELOPMENT, Split.TEST) for x in chosen.exchanges(root, s) if x.image}
    assert name == "chexinstruct" or not others & {image for row in rows for image in row.images}


def test_turns_of_a_conversation_are_one_group(tmp_path):
    rows = [c.row for c in read(Part("a", set="llava-med"), small.llava_med(tmp_path))]
    assert [row.group for row in rows] == ["llava-med:1001_F1"] * 2 + ["llava-med:1001_F2", "llava-med:1002_F1"]
    assert {row.cluster for row in rows} == {"llava-med:1001", "llava-med:1002"}


def test_all_films_of_a_sample_are_shown_and_its_wordings_are_a_group(tmp_path):
    rows = [c.row for c in read(Part("a", set="chexinstruct"), small.chexinstruct(tmp_path))]
    assert rows[0].images == ("chexinstruct/data/d/1.jpg", "chexinstruct/data/d/2.jpg")
    assert len({row.group for row in rows[:2]}) == 1
    assert rows[2].images == ()


def test_a_passage_stands_before_its_question_and_no_answer_is_said_so(tmp_path):
    first, second = read(Part("a", set="radqa"), small.radqa(tmp_path))
    assert first.row.question == "A drawn line is seen.\nNo drawn circle.\n\nIs there a circle?"
    assert (first.asked, first.row.answer, second.row.answer) == ("Is there a circle?", "No drawn circle", sources.UNANSWERED)


def test_choices_are_kept(tmp_path):
    first = read(Part("a", set="medmcqa"), small.medmcqa(tmp_path))[0].row
    assert (first.choices, first.answer in first.choices) == (("Lung", "Liver", "Spleen", "Heart"), True)


def test_each_figure_keeps_its_own_licence(tmp_path):
    rows = [c.row for c in read(Part("a", set="roco"), small.roco(tmp_path))]
    assert {row.provenance["licence"] for row in rows} == {"CC BY-NC"}


def test_a_set_is_built_under_the_protocol_that_its_pictures_need(tmp_path):
    part = Part("a", set="vqa-rad", build=Built())
    assert (sources.protocol(part), sources.protocol(Part("b", set="vqa-rad"))) == ("image_disjoint", "official")
    roots.rad(tmp_path)
    assert {c.row.source for c in read(part, tmp_path)} <= {"vqa-rad"}


def test_a_file_of_questions_and_answers_of_another_project(tmp_path):
    path = tmp_path / "x.json"
    rows = [{"instruction": "What is a line?", "input": "", "output": "A line."}, {"instruction": "Which?", "input": "A, B", "output": "A"}]
    path.write_text(json.dumps([*rows, {"instruction": "Why?", "input": "", "output": " "}]))
    found = read(Part("m", path=str(path), layout=Layout.ALPACA, licence="theirs"), tmp_path)
    assert [c.row and c.row.question for c in found] == ["What is a line?", "Which?\nA, B", None]
    assert "must have a answer" in found[2].reason
    assert found[0].row.provenance["licence"] == "theirs"


def test_generated_items(tmp_path):
    turns = [{"question": "What is drawn?", "answer": "A line."}, {"question": "Where?", "answer": "Left."}]
    line = {"id": "g1", "source": "pmc", "image": "a.png", "task": "conversation", "turns": turns, "meta": {"model": "m"}}
    found = read(Part("g", path=str(roots.lines(tmp_path / "g.jsonl", [line])), layout=Layout.GENERATED), tmp_path)
    assert [(c.row.id, c.row.group) for c in found] == [("g1:0", "g1"), ("g1:1", "g1")]


@pytest.mark.parametrize("content", [b"", b"{", b'{"a": 1}\n', b"\xff\xfe", b"[1]", b'{"instruction": 1}'])
def test_a_damaged_file_is_told_in_every_layout(tmp_path, content):
    path = tmp_path / "x.jsonl"
    path.write_bytes(content)
    for layout in Layout:
        with pytest.raises((DataFormatError, RecordError), match=r"x\.jsonl"):
            read(Part("x", path=str(path), layout=layout), tmp_path)


def test_a_file_that_is_not_there(tmp_path):
    part = Part("x", path=str(tmp_path / "none.jsonl"), how_to_obtain="ask somebody")
    assert not sources.there(part, tmp_path)
    with pytest.raises(DataMissing, match="ask somebody"):
        read(part, tmp_path)
