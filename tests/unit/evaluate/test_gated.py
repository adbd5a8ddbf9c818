import pytest

from tests.unit.evaluate.answers import item
from vesalius.errors import InvalidValue
from vesalius.evaluate.accuracy import Scorer
from vesalius.evaluate.gated import gate

SCORER = Scorer(replicates=100, seed=0)


def _reading(number, answer, decision, uncertainty=0.5):
    return {
        "id": f"x{number}",
        "answer": answer,
        "outcome": answer,
        "decision": decision,
        "concerns": [] if decision == "released" else [{"name": "uncertainty"}],
        "signals": {"uncertainty": {"value": uncertainty, "reason": None}, "image_reliance": {"value": None, "reason": "none"}},
        "timing": {"total": 2.0},
    }


def test_shares_by_hand():
    items = [item(i, "yes", "yes", blank="no" if i < 2 else "yes") for i in range(4)]
    readings = [
        _reading(0, "yes", "released", 0.1),
        _reading(1, "no", "caveated", 0.4),
        _reading(2, "no", "referred", 0.9),
        _reading(3, "yes", "referred", 0.8),
    ]
    table = gate(items, readings, SCORER)
    assert table["n"] == 4
    assert table["coverage"]["value"] == 0.5
    assert table["base_risk"]["value"] == 0.5
    assert table["accepted_risk"]["value"] == 0.5
    assert table["accepted_risk_image_needed"]["n"] == 2
    assert table["error_capture"]["value"] == 0.5
    assert table["over_referral"]["value"] == 0.5
    assert table["verdicts"]["referred"]["count"] == 2
    assert table["concerns"] == {"uncertainty": 3}
    assert table["signals"]["uncertainty"]["tells_wrong"]["value"] == 0.75
    assert table["signals"]["image_reliance"]["measured"] == 0


def test_when_everything_is_referred_the_risk_of_what_is_released_is_undefined():
    table = gate([item(0, "yes", "yes")], [_reading(0, "yes", "referred")], SCORER)
    assert table["accepted_risk"]["value"] is None
    assert table["accepted_risk"]["n"] == 0


def test_no_readings_is_none():
    assert gate([item(0, "yes", "yes")], [], SCORER) is None
    assert gate([item(0, "yes", "yes")], [_reading(9, "yes", "released")], SCORER) is None


def test_an_unknown_verdict_is_refused():
    with pytest.raises(InvalidValue, match="no verdict"):
        gate([item(0, "yes", "yes")], [_reading(0, "yes", "perhaps")], SCORER)
