"""Recipes: those that ship, and what is refused before anything is read."""

import pytest

from vesalius.data import base
from vesalius.errors import ConfigError, UnknownName
from vesalius.instruct.mix import recipe as recipes
from vesalius.instruct.mix import sources
from vesalius.instruct.mix.recipe import Built, Keep, Mixture, Part, Unit

ONE = '[[sources]]\nname = "a"\nset = "vqa-rad"\n'


@pytest.mark.parametrize("name", recipes.named())
def test_every_recipe_that_ships_names_what_exists(name):
    mixture = recipes.read(name)
    assert mixture.name == name
    for part in mixture.sources:
        sources.check(part)


def test_visual_med_alpaca_is_54000_of_five_sets():
    parts = recipes.read("visual-med-alpaca").sources
    assert {part.set: part.count for part in parts} == {"radqa": 15000, "path-vqa": 10000, "medmcqa": 8000, "pubmedqa": 7000, "roco": 14000}
    assert sum(part.count for part in parts) == 54000


def test_which_counts_of_visual_med_alpaca_published_sets_cannot_meet():
    short = {}
    for part in recipes.read("visual-med-alpaca").sources:
        learned = base.dataset(part.set).card.protocol(part.protocol).counts["train"]
        short |= {part.set: learned} if learned < part.count else {}
    assert short == {"radqa": 4878, "pubmedqa": 450}


def test_llava_med_counts_conversations():
    found = {name: recipes.read(name).sources[0] for name in recipes.named() if name.startswith("llava-med")}
    assert {name: (part.count, part.unit) for name, part in found.items()} == {
        "llava-med-alignment": (600_000, Unit.GROUPS),
        "llava-med-instruct-60k": (60_000, Unit.GROUPS),
        "llava-med-instruct-10k": (10_000, Unit.GROUPS),
    }


def test_a_recipe_of_the_user_is_read_and_changed(tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text('name = "mine"\n' + ONE + "keep = { tasks = ['vqa'] }\n")
    found = recipes.read(path, overrides=["total=7", "temperature=2"])
    assert (found.total, found.temperature, found.sources[0].keep.tasks) == (7, 2.0, ("vqa",))


def test_a_misspelt_recipe_is_answered_with_the_nearest():
    with pytest.raises(UnknownName, match="did you mean 'at-hand'"):
        recipes.read("at-hnad")


def test_a_file_that_is_not_there_or_is_no_toml(tmp_path):
    with pytest.raises(ConfigError, match="cannot be read"):
        recipes.read(tmp_path / "none.toml")
    (tmp_path / "x.toml").write_bytes(b"\xff\x00")
    with pytest.raises(ConfigError, match="UTF-8"):
        recipes.read(tmp_path / "x.toml")


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"set": ""}, "needs a name, and a set or a path"),
        ({"path": "x"}, "needs a name, and a set or a path"),
        ({"count": 0}, "below 1"),
        ({"count": 5, "cap": 4}, "below count"),
        ({"weight": float("inf")}, "not above 0"),
        ({"build": Built(), "protocol": "official"}, "is built"),
        ({"set": "", "path": "x", "build": Built()}, "reads a file"),
    ],
)
def test_a_source_that_makes_no_sense(fields, said):
    with pytest.raises(ConfigError, match=said):
        Part("a", **{"set": "vqa-rad", **fields})


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"sources": ()}, "no source"),
        ({"sources": (Part("a", set="slake"), Part("a", set="slake"))}, "two sources"),
        ({"temperature": 0.0}, "temperature"),
        ({"development": 1.0}, "development"),
        ({"sources": (Part("a", set="slake", count=5),), "total": 6}, "does not fit"),
        ({"sources": (Part("a", set="slake", count=5), Part("b", set="slake")), "total": 4}, "does not fit"),
        ({"sources": (Part("a", set="slake", unit=Unit.GROUPS),), "total": 4}, "counts rows"),
    ],
)
def test_a_mixture_that_makes_no_sense(fields, said):
    with pytest.raises(ConfigError, match=said):
        Mixture(**{"name": "m", "sources": (Part("a", set="slake"),), **fields})


def test_what_is_kept_must_make_sense():
    with pytest.raises(ConfigError, match="any, with or without"):
        Keep(images="some")
    with pytest.raises(ConfigError, match="at least 1"):
        Keep(answer=0)
    with pytest.raises(UnknownName, match="did you mean 'length'"):
        Keep(filters=("lenght",))


@pytest.mark.parametrize("fields", [{"set": "vqa-rda"}, {"set": "vqa-rad", "protocol": "offcial"}])
def test_names_that_no_table_knows(fields):
    with pytest.raises(UnknownName, match="did you mean"):
        sources.check(Part("a", **fields))
    with pytest.raises(ConfigError, match="no task is called 'fnding'"):
        sources.check(Part("a", set="nih-cxr", build=Built(tasks=("fnding",))))
