import json

from tests.unit.data import layout
from tests.unit.instruct import build_roots as small
from vesalius.cli import instruct_build
from vesalius.cli.instruct import SUBCOMMANDS, instruct
from vesalius.errors import UserError
from vesalius.instruct import record
from vesalius.instruct.build.tasks import FAMILIES
from vesalius.instruct.phrasing import FAMILIES as PHRASING


def run(*words):
    try:
        instruct.main([*map(str, words)], standalone_mode=False)
    except UserError as error:
        return str(error)
    return ""


def test_the_lists_of_the_command_are_those_of_the_package():
    assert tuple(FAMILIES) == instruct_build.TASKS
    assert instruct_build.FAMILIES == PHRASING
    assert "build" in SUBCOMMANDS


def test_a_file_is_written_and_counted(tmp_path, capsys):
    root, out = small.nih(tmp_path), tmp_path / "x.jsonl"
    assert run("build", "--data", root, "--set", "nih-cxr", "--task", "finding", "--task", "section", "-o", out, "--llava", tmp_path / "x.json") == ""
    shown = capsys.readouterr().out
    rows = list(record.read(out))
    assert f"{len(rows):,} instructions in {out}" in shown
    assert "left out: nih-cxr, section:" in shown
    assert "no report" in shown
    assert f"yes {len(rows) // 2}" in shown
    assert len(json.loads((tmp_path / "x.json").read_text())) == len(rows)


def test_json_is_one_object(tmp_path, capsys):
    root = small.nih(tmp_path)
    run("build", "--data", root, "--set", "nih-cxr", "--task", "view", "-o", tmp_path / "x.jsonl", "--json")
    told = json.loads(capsys.readouterr().out)
    assert told["made"] == told["counts"][0]["made"] > 0


def test_a_refused_set_writes_nothing_and_says_why(tmp_path, capsys):
    root, out = layout.iu_reports(tmp_path), tmp_path / "x.jsonl"
    said = run("build", "--data", root, "--set", "iu-reports", "--licensed", "iu-reports", "-o", out)
    assert "forbids derived work" in said
    assert "--licensed mimic-cxr" in run("build", "--data", root, "--set", "mimic-cxr", "-o", out)
    assert not out.exists()


def test_a_set_that_gives_nothing_writes_an_empty_file_and_says_why(tmp_path, capsys):
    root, out = small.nih(tmp_path, patients=20), tmp_path / "x.jsonl"
    run("build", "--data", root, "--set", "nih-cxr", "--task", "section", "-o", out, "--llava", tmp_path / "x.json")
    assert out.read_text() == ""
    assert json.loads((tmp_path / "x.json").read_text()) == []
    assert "0 instructions" in capsys.readouterr().out
