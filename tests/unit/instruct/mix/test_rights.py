"""What may be trained on, what is missing and how to obtain it."""

import pytest

from tests.unit.data import published as small
from tests.unit.data.leaks.drawn import film, save
from tests.unit.data.public_vqa import path_vqa
from tests.unit.instruct.mix import roots
from tests.unit.instruct.mix.roots import file, job, made, row
from vesalius.domain.exchange import Split
from vesalius.errors import DataMissing, UnknownName
from vesalius.instruct.mix import recipe as recipes
from vesalius.instruct.mix.recipe import Part
from vesalius.instruct.mix.rights import Refused
from vesalius.instruct.mix.run import Mix, Short, mix


@pytest.fixture
def two(tmp_path):
    """A root, and two files of 40 and 10 rows."""
    root = tmp_path / "data"
    big = file(tmp_path / "big.jsonl", roots.rows(root, 40, prefix="big", per_picture=10))
    little = file(tmp_path / "little.jsonl", roots.rows(root, 10, prefix="little", first=200, per_picture=5))
    return root, Part("big", path=str(big)), Part("little", path=str(little))


ALPACA = {"radqa": 15_000, "pathqa": 10_000, "medmcqa": 8000, "pubmedqa": 7000, "roco": 14_000}


def test_visual_med_alpaca_on_miniatures_of_its_five_sets(tmp_path):
    mixture, root = recipes.read("visual-med-alpaca", overrides=["pictures=bytes"]), tmp_path / "data"
    with pytest.raises(Refused) as told:
        mix(Mix(mixture, tmp_path), tmp_path / "out")
    assert all(f"--i-have-the-right {name}" in str(told.value) for name in ("radqa", "path-vqa", "roco"))
    rights = ("radqa", "path-vqa", "roco")
    with pytest.raises(DataMissing) as told:
        mix(Mix(mixture, tmp_path, rights), tmp_path / "out")
    assert all(each in str(told.value) for each in ("physionet.org", "flaviagiammarino/path-vqa", "medmcqa", "ori_pqal.json", "roco-dataset"))
    path_vqa(small.roco(small.pubmedqa(small.medmcqa(small.radqa(root)))))
    learned_report = root / "radqa/train.json"  # in the miniature it is that of the test
    learned_report.write_text(learned_report.read_text().replace("drawn line", "drawn dash").replace("Nothing.", "No more."))
    for seed, picture in enumerate(sorted(root.rglob("*.jpg"))):
        save(film(seed).resize((40, 44)), picture)
    with pytest.raises(Short, match=r"radqa has 2 of 15,000"):
        mix(Mix(mixture, root, rights), tmp_path / "out")
    card = mix(Mix(mixture, root, rights, short=True), tmp_path / "short")
    assert {part["name"]: part["wanted"] for part in card["parts"]} == ALPACA
    assert all(part["taken"] == part["usable"] > 0 for part in card["parts"])
    rightful = {one["set"]: one["right"] for one in card["licences"]}
    assert {name for name, right in rightful.items() if right == "stated by the user"} == set(rights)
    assert "**not by its card; right stated by the user**" in (tmp_path / "short/card.md").read_text()
    assert not {each.split for each in made(tmp_path / "short")} - {Split.TRAIN}


def test_equal_questions_about_one_report_leak_from_its_test(tmp_path):
    root = small.radqa(tmp_path / "data")  # the miniature has one report in all parts
    own = Part("own", path=str(file(tmp_path / "o.jsonl", [row("o", "", "What is a pen?")])))
    card = mix(job(root, Part("r", set="radqa"), own, rights=["radqa"]), tmp_path / "out")
    assert card["parts"][0]["left_out"] == {"leak: a text of a test": 2}


def test_missing_sources_can_be_gone_without(two, tmp_path):
    root, big, _ = two
    parts = big, Part("roco", set="medmcqa")
    with pytest.raises(DataMissing, match=r"needs what is not there: medmcqa: medmcqa: .*--without-missing"):
        mix(job(root, *parts), tmp_path / "a")
    card = mix(job(root, *parts, missing=True), tmp_path / "b")
    assert (card["missing"], card["rows"]) == (["roco"], 40)
    with pytest.raises(DataMissing):
        mix(job(root, parts[1], missing=True), tmp_path / "c")


def test_rows_of_a_file_are_held_against_the_licence_of_the_set_that_they_name(tmp_path):
    path = file(tmp_path / "a.jsonl", [row("x", ""), row("y", "", "What?", source="roco")])
    with pytest.raises(Refused, match=r"'y' is from roco"):
        mix(job(tmp_path, Part("a", path=str(path))), tmp_path / "out")
    card = mix(job(tmp_path, Part("a", path=str(path)), rights=["roco"]), tmp_path / "b")
    assert {one["set"]: one["right"] for one in card["licences"]} == {"a": "by its card", "roco": "stated by the user"}
    with pytest.raises(Refused, match="ours alone"):
        mix(job(tmp_path, Part("a", path=str(path), may_train=False, licence="ours alone")), tmp_path / "c")
    with pytest.raises(UnknownName, match="did you mean"):
        mix(job(tmp_path, Part("a", path=str(path)), rights=["rocco"]), tmp_path / "d")
