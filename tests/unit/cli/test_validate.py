import json

import pytest
from click.testing import CliRunner

from vesalius.cli.validate import validate
from vesalius.errors import UnknownName, UnreadableStudy


def _run(*words):
    return CliRunner().invoke(validate, [str(w) for w in words], catch_exceptions=False)


def test_a_sound_report_has_no_remark(tmp_path):
    (tmp_path / "a.txt").write_text("The lungs are clear.")
    result = _run(tmp_path / "a.txt")
    assert result.exit_code == 0
    assert result.output.startswith("1 cases, 1 without a remark; 0 errors")


def test_an_error_is_told_with_its_place_and_exits_3(tmp_path):
    (tmp_path / "a.txt").write_text("There is a 34 cm nodule.")
    result = _run(tmp_path / "a.txt")
    assert result.exit_code == 3
    assert "error   report.measurement" in result.output
    assert "[11:16]: 34 cm" in result.output


@pytest.mark.parametrize(("fail_on", "code"), [("never", 0), ("error", 0), ("warning", 3), ("note", 3)])
def test_the_severity_that_fails_is_chosen(tmp_path, fail_on, code):
    (tmp_path / "a.txt").write_text("The lungs are [side] clear.")
    assert _run(tmp_path / "a.txt", "--fail-on", fail_on).exit_code == code


def test_json_is_one_object(tmp_path):
    (tmp_path / "a.jsonl").write_text('{"id": "x", "report": "Unchanged.", "prior": false}\n{"id": "y", "report": "Clear."}\n')
    told = json.loads(_run(tmp_path, "--json").output)
    assert [c["case"] for c in told["cases"]] == ["x", "y"]
    assert told["summary"]["rules"] == {"report.prior": 1}
    assert told["cases"][1]["not_applied"]["report.prior"] == ["no_prior"]


def test_a_report_beside_its_images(tmp_path):
    (tmp_path / "r.txt").write_text("The lungs are clear.")
    assert _run("--report", tmp_path / "r.txt").exit_code == 0


def test_the_rules_are_listed():
    assert "report.side" in _run("--list").output


def test_what_cannot_be_used_is_an_error_of_the_user(tmp_path):
    assert _run().exit_code == 2
    for words, error in (((tmp_path / "gone",), UnreadableStudy), ((tmp_path, "--rule", "none"), UnknownName)):
        with pytest.raises(error):
            _run(*words)
