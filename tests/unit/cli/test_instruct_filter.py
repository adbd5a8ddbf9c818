import json

from click.testing import CliRunner

from vesalius.cli.instruct import instruct

CAPTION = "An X-ray of the chest showing effusion and pneumonia. The view is PA."


def _run(*words):
    return CliRunner().invoke(instruct, [str(w) for w in words], catch_exceptions=False)


def _items(path):
    rows = [("a", "Pneumonia and an effusion."), ("b", "A nodule."), ("c", "Take 20 mg.")]
    made = [{"id": n, "image": f"{n}.png", "caption": CAPTION, "turns": [{"question": "What is seen in this film?", "answer": a}]} for n, a in rows]
    path.write_text("".join(json.dumps(row) + "\n" for row in made))
    return path


def test_the_filters_are_listed():
    told = _run("filter", "--list").output
    assert told.startswith("FILTER")
    assert "contradiction" in told


def test_a_file_is_filtered_and_the_counts_are_told(tmp_path):
    result = _run("filter", _items(tmp_path / "i.jsonl"), "--out", tmp_path / "k.jsonl")
    assert result.exit_code == 0
    assert "3 records, 1 kept, 2 dropped" in result.output
    assert len((tmp_path / "k.dropped.jsonl").read_text().splitlines()) == 2


def test_explain_shows_the_words(tmp_path):
    told = _run("filter", _items(tmp_path / "i.jsonl"), "--out", tmp_path / "k.jsonl", "--explain").output
    assert "b\n  unsupported.finding [turn 1, answer 0:8] states lung lesion" in told
    assert "gives a dose: '20 mg'" in told


def test_json_is_one_object(tmp_path):
    told = json.loads(_run("filter", _items(tmp_path / "i.jsonl"), "--out", tmp_path / "k.jsonl", "--json", "--explain", "--only", "unsafe").output)
    assert (told["kept"], told["first"]["unsafe"], told["filters"]) == (2, 1, ["unsafe"])


def test_nothing_to_do_is_said():
    result = CliRunner().invoke(instruct, ["filter"])
    assert result.exit_code == 2
    assert "name ITEMS and --out" in result.output
