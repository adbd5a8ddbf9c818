"""A policy's calibration comes from development answers alone, and reads back as a policy."""

import tomllib

import pytest

from tests.unit.evaluate.answers import item, said
from vesalius.errors import InvalidValue
from vesalius.evaluate.calibrate import main, table
from vesalius.safety.policy import Calibrations


def _items(part="official/development", count=80):
    return [item(i, "yes" if i % 4 else "no", said("yes", confidence=0.55 + 0.4 * (i % 10) / 10), part=part) for i in range(count)]


def test_the_table_is_a_calibration_of_that_model():
    made = Calibrations(**tomllib.loads(table(_items(), "pocket", 'rows "of" ours'))["calibration"])
    assert made.model == "pocket"
    assert made.source == 'Platt maps on rows "of" ours: 80 closed, 0 open'
    assert made.open is None
    assert made.closed["kind"] == "platt"


def test_test_answers_do_not_calibrate():
    with pytest.raises(InvalidValue, match="test row"):
        table([*_items(), *_items("official/test", 1)], "pocket", "x")


def test_too_few_answers_do_not_calibrate():
    with pytest.raises(InvalidValue, match="nothing can be fitted"):
        table(_items(count=10), "pocket", "x")


def test_the_command_says_what_is_wrong_in_one_sentence(tmp_path, capsys):
    assert main(["--model", "pocked", "--data", str(tmp_path)]) == 2
    assert main(["--model", "pocket", "--data", str(tmp_path / "absent")]) == 2
    assert capsys.readouterr().err.count("\n") == 2
