"""Instructions become examples: groups and polarity carried over, development apart, pictures found below the root or beside the shards."""

import logging
import shutil

import pytest

from tests.unit.instruct.mix import roots
from tests.unit.instruct.mix.roots import file, row
from vesalius.domain.exchange import Split
from vesalius.errors import ConfigError, DataMissing
from vesalius.instruct.mix.recipe import Part
from vesalius.instruct.mix.run import mix
from vesalius.instruct.record import RecordError
from vesalius.train import curriculum
from vesalius.train.instructions import instructions
from vesalius.train.options import SourceOptions
from vesalius.train.recipe import Recipe, Source, Stage


def read(path, root, split=Split.TRAIN):
    return instructions(path, root, split, source="s")


def wording(number, text, answer, polarity=1, family="template", group="g"):
    facts = {"polarity": polarity, "group": group, "provenance": {"family": family}}
    return row(f"w:{number}", "own/0.png", text, answer, **facts)


@pytest.fixture
def root(tmp_path):
    roots.rows(tmp_path / "data", 4)  # own/0.png and own/1.png
    return tmp_path / "data"


def test_groups_and_polarity_are_carried_over(tmp_path, root):
    rows = [
        wording(0, "Is a line absent?", "no", -1, "negation"),
        wording(1, "Any line?", "yes", 1, "telegraphic"),
        wording(2, "Is there a line?", "yes"),
        row("alone", "own/1.png", "Is it grey?", "No"),
        row("open", "own/1.png", "What is  drawn?", "A Line", group="g"),
        row("choice", "own/1.png", "Which view?", "PA", choices=("PA", "AP")),
    ]
    found = read(file(tmp_path / "x.jsonl", rows), root)
    assert [(e.closed, e.group, e.polarity, e.reworded, e.answer) for e in found] == [
        (True, "g", -1, True, "no"),
        (True, "g", 1, True, "yes"),
        (True, "g", 1, False, "yes"),
        (True, "", 1, False, "no"),
        (False, "", 1, False, "a line"),
        (False, "", 1, False, "pa"),
    ]
    assert (found[4].question, found[5].question) == ("What is drawn?", "Which view?\nOptions: PA; AP")
    assert {(e.source, e.image) for e in found} == {("s", "own/0.png"), ("s", "own/1.png")}


def test_polarity_is_to_the_first_wording_of_the_group(tmp_path, root):
    found = read(file(tmp_path / "x.jsonl", [wording(0, "Is it absent?", "no", -1), wording(1, "Is it not there?", "no", -1)]), root)
    assert [(e.polarity, e.reworded) for e in found] == [(1, False), (1, True)]


def test_what_pocket_cannot_learn_from_is_left_out_and_counted(tmp_path, root, caplog):
    rows = [row("a", "own/0.png"), row("text", ""), row("two", images=("own/0.png", "own/1.png")), wording(0, "Is x?", "yes"), wording(1, "Is y?", "no")]
    with caplog.at_level(logging.WARNING):
        found = read(file(tmp_path / "x.jsonl", rows), root)
    assert len(found) == 1
    said = sorted(caplog.messages)
    assert [s.partition(" instructions")[0] for s in said] == ["1", "1", "2"]
    assert "contradicting" in said[2]


def test_development_rows_are_held_out_and_the_test_part_is_refused(tmp_path, root):
    rows = [row("a", "own/0.png"), row("b", "own/1.png", split=Split.DEVELOPMENT), row("c", "own/1.png", split=Split.TEST)]
    path = file(tmp_path / "x.jsonl", rows)
    assert [len(read(path, root, split)) for split in (Split.TRAIN, Split.DEVELOPMENT)] == [1, 1]
    with pytest.raises(ValueError, match="never training material"):
        read(path, root, Split.TEST)


def test_a_recipe_takes_a_mixture(tmp_path, root):
    rows = [row(f"r:{n}", f"own/{n % 2}.png", f"Is it number {n}?", split=Split.DEVELOPMENT if n % 2 else Split.TRAIN) for n in range(6)]
    path = file(tmp_path / "x.jsonl", rows)
    source = Source("instructions", limit=2, options={"path": str(path)})
    recipe = Recipe(name="r", model="pocket", seed=0, stages=(Stage("s", ("fusion",), 1e-3, steps=1),), sources={"mine": source}, output=tmp_path / "out")
    training, held = curriculum.gather(recipe, root)
    assert (len(training), len(held)) == (2, 3)
    assert {e.source for e in (*training, *held)} == {"mine"}
    assert curriculum.probe(recipe, root, held) == []


def test_shards_use_the_pictures_below_the_root_or_unpack_them_beside(tmp_path, root):
    own = Part("a", path=str(file(tmp_path / "a.jsonl", roots.rows(root, 4))))
    mix(roots.job(root, own, shards=True), tmp_path / "data/out")
    found = read(tmp_path / "data/out", root)
    assert {e.image for e in found} == {"own/0.png", "own/1.png"}
    shutil.rmtree(root / "own")
    for _ in range(2):  # the second time they are there
        again = read(tmp_path / "data/out/shards", root)
        assert sorted((e.question, e.answer) for e in again) == sorted((e.question, e.answer) for e in found)
        assert {e.image for e in again} == {f"out/shards.pictures/own=2f{n}=2epng.png" for n in (0, 1)}
        assert all((root / e.image).is_file() for e in again)
    shutil.rmtree(root / "out/shards.pictures")
    shutil.move(root / "out", tmp_path / "elsewhere")
    with pytest.raises(DataMissing, match="give --data the folder"):
        read(tmp_path / "elsewhere", root)


def test_paths_that_hold_nothing(tmp_path, root):
    with pytest.raises(ConfigError, match="has no path"):
        read(SourceOptions().path, root)
    with pytest.raises(ConfigError, match="holds no instructions"):
        read(tmp_path / "none", root)
    (tmp_path / "x.jsonl").write_text("")
    with pytest.raises(RecordError, match="empty"):
        read(tmp_path / "x.jsonl", root)


def test_a_picture_that_is_not_there_is_told_before_anything_is_computed(tmp_path, root):
    with pytest.raises(DataMissing, match=r"own/9\.png"):
        read(file(tmp_path / "x.jsonl", [row("a", "own/9.png")]), root)
    with pytest.raises(DataMissing, match="outside the data root"):
        read(file(tmp_path / "x.jsonl", [row("a", "../x.jsonl")]), root)
