"""`vesalius instruct mix` as it is typed."""

import json

import click
import pytest

from tests.unit.instruct.mix import roots
from vesalius.cli.instruct import SUBCOMMANDS, instruct
from vesalius.errors import UserError
from vesalius.instruct.mix import recipe as recipes


def run(*words):
    try:
        instruct.main(["mix", *map(str, words)], standalone_mode=False)
    except UserError as error:
        return str(error)
    return ""


@pytest.fixture
def mine(tmp_path):
    """A recipe of two files, and its root."""
    root = tmp_path / "data"
    sizes = {"a": (8, 1), "b": (4, 50)}
    names = {n: roots.file(tmp_path / f"{n}.jsonl", roots.rows(root, many, prefix=n, first=first)) for n, (many, first) in sizes.items()}
    parts = "".join(f'[[sources]]\nname = "{name}"\npath = "{path}"\n' for name, path in names.items())
    path = tmp_path / "mine.toml"
    path.write_text(f'name = "mine"\ntotal = 9\n{parts}')
    return path, root


def test_it_is_a_command():
    assert "mix" in SUBCOMMANDS


def test_what_ships_is_listed(capsys):
    assert run("--list") == ""
    shown = capsys.readouterr().out
    assert all(name in shown for name in recipes.named())
    assert "54,000" in shown
    run("--list", "--json")
    assert set(json.loads(capsys.readouterr().out)) == set(recipes.named())


def test_a_mixture_is_made_and_told(mine, tmp_path, capsys):
    recipe, root = mine
    assert run(recipe, "--data", root, "-o", tmp_path / "out", "--set", "seed=3") == ""
    shown = capsys.readouterr().out
    assert f"9 rows in {tmp_path / 'out/instructions.jsonl'}" in shown
    assert "held against the tests of no set" in shown
    assert len(roots.made(tmp_path / "out")) == 9


def test_json_is_the_card(mine, tmp_path, capsys):
    recipe, root = mine
    run(recipe, "--data", root, "-o", tmp_path / "out", "--shards", "--json")
    card = json.loads(capsys.readouterr().out)
    assert card == json.loads((tmp_path / "out/card.json").read_text())
    assert card["output"]["file"] == "shards"


def test_a_plan_says_what_is_missing_and_makes_nothing(tmp_path, capsys):
    (tmp_path / "medmcqa").mkdir()
    assert run("visual-med-alpaca", "--data", tmp_path, "--plan", "--i-have-the-right", "radqa") == ""
    shown = capsys.readouterr().out
    assert [line.split()[-1] for line in shown.splitlines()[1:6]] == ["right", "no", "yes", "yes", "no"]
    assert "radqa: become a credentialed user" in shown
    assert "medmcqa: download" not in shown
    run("visual-med-alpaca", "--data", tmp_path, "--plan", "--json")
    assert [each["there"] for each in json.loads(capsys.readouterr().out)] == [False, False, True, False, False]
    assert [path.name for path in tmp_path.iterdir()] == ["medmcqa"]


def test_refusals_are_sentences(mine, tmp_path):
    recipe, root = mine
    assert "may not be trained on: llava-med" in run("llava-med-instruct-10k", "--data", root, "-o", tmp_path / "x")
    assert "download_data.sh" in run("llava-med-instruct-10k", "--data", root, "-o", tmp_path / "x", "--i-have-the-right", "llava-med")
    assert "add --short" in run(recipe, "--data", root, "-o", tmp_path / "y", "--set", "total=99")
    assert not (tmp_path / "x").exists()
    with pytest.raises(click.UsageError, match="nothing to do"):
        run(recipe, "--data", root)
