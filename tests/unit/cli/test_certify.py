import json

import pytest

from tests.unit.evaluate import certified_run as runs
from vesalius.cli import main
from vesalius.safety.policy import read_policy


@pytest.fixture(scope="module")
def good(tmp_path_factory):
    return runs.write(tmp_path_factory.mktemp("good") / "run", runs.items(400, slope=0.3) + runs.items(50, part="official/test", start=1000))


def test_a_policy_is_written_and_told(good, tmp_path, capsys):
    out = tmp_path / "policy.toml"
    assert main(["certify", str(good), "--out", str(out), "--group", "ward"]) == 0
    said = capsys.readouterr().out
    made = read_policy(out).certificate
    assert said.startswith("Certified: a risk of at most 10.0% with 95% confidence.")
    assert f"{made.errors} of {made.accepted} accepted cases are wrong" in said
    assert "flip rate absent (not recorded)" in said
    assert "ward" in said
    assert said.rstrip().endswith(str(out))


def test_nothing_to_certify_is_an_outcome_of_its_own(good, tmp_path, capsys):
    out = tmp_path / "policy.toml"
    assert main(["certify", str(good), "--risk", "0.001", "--out", str(out)]) == 4
    said = capsys.readouterr().out
    assert said.startswith("Nothing can be certified")
    assert "at least 2995 accepted cases without an error" in said
    assert "No policy was written." in said
    assert not out.exists()


def test_json_is_one_object(good, capsys):
    assert main(["certify", str(good), "--json", "--method", "grid", "--score", "uncertainty"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["request"]["method"] == "grid"
    assert report["certificate"]["bound"] <= 0.1


def test_what_cannot_be_used_is_told_in_one_sentence(good, tmp_path, capsys):
    there = tmp_path / "policy.toml"
    there.write_text("")
    for words in (["certify", str(tmp_path)], ["certify", str(good), "--out", str(there)], ["certify", str(good), "--risk", "1"], ["certify"]):
        assert main(words) == 2
        assert "Traceback" not in capsys.readouterr().err
