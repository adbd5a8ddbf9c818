"""What may not be trained on is refused in a sentence: sets by their card, shards and mixtures by what they say, and any test part."""

import json

import pytest

from tests.unit.instruct.mix import roots
from tests.unit.instruct.mix.roots import file, row
from vesalius.data import shards
from vesalius.data.shards import Record
from vesalius.domain.exchange import Split
from vesalius.errors import InvalidValue
from vesalius.train import curriculum, permission
from vesalius.train.examples import questions
from vesalius.train.instructions import instructions
from vesalius.train.permission import NotForTraining
from vesalius.train.recipe import Recipe, Source, Stage


@pytest.fixture
def root(tmp_path):
    roots.rows(tmp_path / "data", 4)
    return tmp_path / "data"


def read(path, root, split=Split.TRAIN, **how):
    return instructions(path, root, split, source="s", **how)


def packed(folder, about, *rows, form=shards.Form.TAR):
    record = Record("own", {"instructions": [each.to_json() for each in rows]})
    shards.write([record], folder, about={"kind": "instructions", **about}, form=form)
    return folder


def sentence(error):
    text = str(error.value)
    assert text.endswith(".")
    assert "\n" not in text
    return text


def test_a_set_whose_card_forbids_training_is_refused_unless_a_right_is_stated():
    with pytest.raises(NotForTraining) as told:
        permission.check_sets(["slake", "mimic-cxr", "somebody's own"])
    assert "mimic-cxr (" in sentence(told)
    assert 'state rights = ["mimic-cxr"]' in str(told.value)
    assert isinstance(told.value, InvalidValue)
    permission.check_sets(["slake", "mimic-cxr"], ["mimic-cxr"])


def test_questions_of_a_closed_set_never_become_examples(tmp_path):
    for split in (Split.TRAIN, Split.DEVELOPMENT):
        with pytest.raises(NotForTraining, match="path-vqa"):
            questions("path-vqa", tmp_path, split, source="s")


@pytest.mark.parametrize("split", ["test", "development"])
def test_a_recipe_cannot_ask_for_another_part_than_training(split):
    with pytest.raises(InvalidValue, match=f"split = '{split}' is not trained on"):
        Source("slake", split=split)
    assert Source("slake", split="train").split == "train"


def test_a_recipe_of_a_closed_set_is_refused_before_anything_is_loaded(tmp_path, root):
    stages = (Stage("s", ("fusion",), 1e-3, steps=1),)
    recipe = Recipe(name="r", model="pocket", seed=0, stages=stages, sources={"x": Source("mimic-cxr")}, output=tmp_path / "out")
    with pytest.raises(NotForTraining, match="mimic-cxr"):
        curriculum.prepare(recipe, root, lambda _: None, "cpu")


def test_rows_of_a_closed_set_are_refused(tmp_path, root):
    path = file(tmp_path / "x.jsonl", [row("a"), row("b", source="mimic-cxr")])
    for split in (Split.TRAIN, Split.DEVELOPMENT):
        with pytest.raises(NotForTraining, match=r"x\.jsonl: may not be trained on: mimic-cxr"):
            read(path, root, split)
    assert len(read(path, root, rights=["mimic-cxr"])) == 2


@pytest.mark.parametrize(
    ("about", "says"),
    [
        ({"split": "test", "source": "slake", "train_allowed": True}, "holds a test part"),
        ({"source": "roco", "licence": "as stated", "train_allowed": False}, r"roco \("),
        ({"source": "roco", "train_allowed": True}, r"roco \("),  # the card counts, not what the index says
        ({"source": "ours", "licence": "for reading only", "train_allowed": False}, r"ours \(for reading only\)"),
        ({"train_allowed": "false"}, "by its index"),
        ({"source": "mix", "licences": {"slake": "CC", "mimic-cxr": "its own"}, "train_allowed": False}, "mimic-cxr"),
        ({"source": "mix", "licences": {"elsewhere": "closed"}, "train_allowed": False}, r"elsewhere \(closed\)"),
        ({"source": "mix", "licences": {}, "train_allowed": False}, r"mix \("),
    ],
)
def test_shards_that_may_not_be_trained_on(tmp_path, root, about, says):
    folder = packed(tmp_path / "shards", about, row())
    with pytest.raises(NotForTraining, match=says) as told:
        read(folder, root)
    assert str(folder) in sentence(told)


def test_shards_that_may_be(tmp_path, root):
    closed = {"source": "mix", "licences": {"mimic-cxr": "its own", "mine": "my own"}, "train_allowed": False}
    kept = {"open": {"source": "slake", "split": "train", "train_allowed": True}, "own": {"set": "own", "licence": "of the hospital"}, "closed": closed}
    for name, about in kept.items():
        assert len(read(packed(tmp_path / name, about, row()), root, rights=["mimic-cxr"] if name == "closed" else [])) == 1


def test_parquet_shards_are_held_to_the_same(tmp_path, root):
    form = shards.Form.PARQUET
    assert len(read(packed(tmp_path / "open", {"source": "slake"}, row(), form=form), root)) == 1
    with pytest.raises(NotForTraining, match="holds a test part"):
        read(packed(tmp_path / "test", {"source": "slake", "split": "test"}, row(), form=form), root)


def test_shards_of_a_test_set_are_refused_before_a_picture_is_unpacked(tmp_path, root):
    folder = root / "shards"
    record = Record("p", {"image": "elsewhere.png", "instructions": [row("a", "elsewhere.png").to_json()]}, b"picture", "png")
    shards.write([record], folder, about={"source": "slake", "split": "test", "train_allowed": True})
    with pytest.raises(NotForTraining, match="make shards of the training part"):
        read(folder, root)
    assert not (root / "shards.pictures").exists()


@pytest.mark.parametrize("how", ["lines", "shards"])
def test_the_card_of_a_mixture_counts(tmp_path, root, how):
    folder = tmp_path / "mixture"
    folder.mkdir()
    if how == "lines":
        file(folder / "instructions.jsonl", [row()])
    else:
        packed(folder / "shards", {}, row())
    licences = [{"set": "slake", "licence": "CC", "train_allowed": True}, {"set": "theirs", "licence": "closed", "train_allowed": False}]
    (folder / "card.json").write_text(json.dumps({"licences": licences}))
    with pytest.raises(NotForTraining, match=r"theirs \(closed\)"):
        read(folder, root)
    assert len(read(folder, root, rights=["theirs"])) == 1
    for broken in ("{", "[]", '{"licences": [{"set": "theirs"}]}', '{"licences": [3]}'):
        (folder / "card.json").write_text(broken)
        with pytest.raises(NotForTraining, match="does not say what may be trained on"):
            read(folder, root)
    (folder / "card.json").unlink()
    assert len(read(folder, root)) == 1


def test_instructions_that_hold_nothing_but_a_test_part(tmp_path, root):
    path = file(tmp_path / "x.jsonl", [row("a", split=Split.TEST), row("b", split=Split.TEST)])
    for split in (Split.TRAIN, Split.DEVELOPMENT):
        with pytest.raises(NotForTraining, match="nothing but a test part"):
            read(path, root, split)


def test_rows_of_a_test_part_among_others_are_left_out_and_counted(tmp_path, root, caplog):
    path = file(tmp_path / "x.jsonl", [row("a"), row("b", split=Split.TEST)])
    assert [e.question for e in read(path, root)] == ["Is there a drawn line?"]
    assert any("1 instructions" in said and "of the test part" in said for said in caplog.messages)
