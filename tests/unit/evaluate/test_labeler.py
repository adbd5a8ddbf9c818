"""The validation of the labeler: which reports count, and what is printed."""

import json

from tests.unit.data import layout
from vesalius.data.iu_reports import DATASET
from vesalius.domain.exchange import Split
from vesalius.evaluate.labeler import main, validate


def test_only_indexed_reports_of_the_asked_half_count(tmp_path):
    layout.iu_reports(tmp_path)
    reports = DATASET.reports(tmp_path)
    halves = {part: validate(tmp_path, part, replicates=20) for part in (Split.TEST, Split.DEVELOPMENT)}
    assert sum(half["n"] for half in halves.values()) == 3
    assert sum(half["left_out"] for half in halves.values()) == 1
    for part, half in halves.items():
        assert half["n"] + half["left_out"] == sum(report.split is part for report in reports)
        if half["n"]:
            assert half["uncertain_positive"]["all"]["micro"]["f1"]["value"] == 1


def test_a_wrong_reading_costs(tmp_path):
    rows = tuple((number, "", "Small effusion.", "", ("normal",)) for number in range(1, 9))
    found = validate(layout.iu_reports(tmp_path, rows), Split.TEST, replicates=20)["uncertain_positive"]
    assert found["by_finding"]["pleural_effusion"]["precision"]["value"] == 0
    assert found["by_finding"]["no_finding"]["recall"]["value"] == 0


def test_the_table_and_the_json(tmp_path, capsys):
    layout.iu_reports(tmp_path)
    assert main(["--data", str(tmp_path), "--replicates", "20"]) == 0
    assert "| no finding |" in capsys.readouterr().out
    assert main(["--data", str(tmp_path), "--replicates", "20", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["part"] == "test"


def test_absent_reports_are_told(tmp_path, capsys):
    assert main(["--data", str(tmp_path)]) == 2
    assert "iu-reports" in capsys.readouterr().err
