import json

import pytest
from click.testing import CliRunner

from vesalius.cli.instruct import instruct
from vesalius.errors import UserError


def _run(*words):
    return CliRunner().invoke(instruct, ["review", *(str(w) for w in words)], catch_exceptions=False)


def _answers(path, folder, verdicts, reader):
    made = json.loads((folder / "queue.json").read_text())
    rows = [{"id": e["id"], "sha256": e["sha256"], "verdict": v, "comment": ""} for e, v in zip(made["entries"], verdicts, strict=False)]
    path.write_text(json.dumps({"queue": made["id"], "reader": reader, "answers": rows}))
    return path


@pytest.fixture
def items(tmp_path):
    rows = [{"id": f"r{i}", "image": f"{i}.png", "task": "report", "turns": [{"question": f"What is {i}?", "answer": f"It is {i}."}]} for i in range(60)]
    (tmp_path / "i.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return tmp_path / "i.jsonl"


def test_a_plan_says_how_many_to_read():
    told = _run("plan", "--size", 1000000, "--target", 0.05, "--most", 1).output
    assert [line.split()[:2] for line in told.splitlines()[1:]] == [["0", "59"], ["1", "93"]]


def test_export_import_settle_and_report(tmp_path, items):
    folder, third = tmp_path / "q", tmp_path / "third"
    told = _run("export", items, "--out", folder, "--n", 40).output
    assert "queue " in told
    assert {p.name for p in folder.iterdir()} == {"queue.json", "page.html", "sheet.csv"}
    told = _run(
        "import", folder, _answers(tmp_path / "a.json", folder, ["right"] * 40, "A"), _answers(tmp_path / "b.json", folder, ["wrong"] + ["right"] * 38, "B")
    )
    assert "A, 40 new verdicts\n" in told.output
    assert "B, 39 new verdicts; 1 not judged" in told.output
    told = _run("report", folder, "--target", 0.05)
    assert told.exit_code == 3
    assert "open 1: export --disagreements" in told.output
    assert _run("export", folder, "--out", third, "--disagreements").exit_code == 0
    _run("import", third, _answers(tmp_path / "c.json", third, ["right"], "C"))
    told = _run("report", folder, "--settled", third, "--target", 0.05)
    assert told.exit_code == 0
    assert "all: accepted; 0 of 40 wrong" in told.output
    found = json.loads(_run("report", folder, "--settled", third, "--json").output)
    assert found["whole"]["verdicts"]["right"] == 40


def test_a_queue_that_settles_another_one_is_refused(tmp_path, items):
    for name, seed in (("a", 0), ("b", 1)):
        _run("export", items, "--out", tmp_path / name, "--n", 5, "--seed", seed)
    _run("import", tmp_path / "a", _answers(tmp_path / "x.json", tmp_path / "a", ["right"], "A"))
    with pytest.raises(UserError, match="settles another queue"):
        _run("report", tmp_path / "a", "--settled", tmp_path / "b")


def test_a_workbook_is_written_on_request(tmp_path, items):
    pytest.importorskip("openpyxl")
    _run("export", items, "--out", tmp_path / "q", "--n", 3, "--xlsx")
    assert (tmp_path / "q" / "sheet.xlsx").stat().st_size > 1000
