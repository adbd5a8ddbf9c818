"""A policy's calibration comes from development answers of one model, and reads back as a policy."""

import json
import tomllib

import pytest

from tests.unit.evaluate.answers import item, said
from vesalius.errors import InvalidValue
from vesalius.evaluate.calibrate import main, table
from vesalius.evaluate.record import append
from vesalius.safety.policy import Calibrations


def _run(folder, *, model="pocket", part="official/development", count=80):
    folder.mkdir()
    rows = [item(i, "yes" if i % 4 else "no", said("yes", confidence=0.55 + 0.4 * (i % 10) / 10), part=part) for i in range(count)]
    append(folder / "items.jsonl", [r.to_json() for r in rows])
    (folder / "provenance.json").write_text(json.dumps({"config": {"model": {"name": model, "weights": "abc"}, "protocols": ["official"]}}))
    return folder


def test_the_table_is_a_calibration_of_that_model(tmp_path):
    found = tomllib.loads(table([_run(tmp_path / "a"), _run(tmp_path / "b")]))["calibration"]
    made = Calibrations(**found)
    assert made.model == "pocket"
    assert "160 closed" in made.source
    assert made.open is None
    assert made.closed["kind"] == "platt"


def test_test_answers_do_not_calibrate(tmp_path):
    with pytest.raises(InvalidValue, match="nothing can be fitted"):
        table([_run(tmp_path / "a", part="official/test")])


def test_runs_of_two_models_are_refused(tmp_path):
    with pytest.raises(InvalidValue, match="of one model"):
        table([_run(tmp_path / "a"), _run(tmp_path / "b", model="other")])


def test_the_command_says_what_is_wrong_in_one_sentence(tmp_path, capsys):
    assert main([str(_run(tmp_path / "a", part="official/test"))]) == 2
    assert capsys.readouterr().err.count("\n") == 1
    assert main([]) == 2
    assert main([str(_run(tmp_path / "b"))]) == 0
    assert capsys.readouterr().out.startswith("[calibration]\n")
