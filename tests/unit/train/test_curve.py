import sys

import pytest
from PIL import Image

from vesalius.errors import DataMissing, MissingExtra
from vesalius.train.curve import Evaluation, Log, Step, draw, read, smoothed


def _step(number, stage="align", loss=2.0, rates=None):
    return Step(stage, number, 10, 0.1, loss, {"answer": loss}, 1.0, rates or {"projector": 0.1}, 500, 0.25)


def _look(number, stage="align", value=0.5, best=True):
    return Evaluation(stage, number, {"accuracy": value}, "accuracy", best, 0.1)


def test_what_is_written_is_read(tmp_path):
    records = [_step(1, loss=0.1 + 0.2), _step(2), _look(2), _step(1, "tune"), _look(1, "tune")]
    with Log(tmp_path / "deep" / "curve.jsonl") as log:
        for record in records:
            log.write(record)
    assert read(tmp_path / "deep" / "curve.jsonl") == records
    assert _look(2).value == 0.5


def test_a_step_that_was_done_again_counts_once_and_the_later_stands(tmp_path):
    path = tmp_path / "curve.jsonl"
    with Log(path) as log:
        for record in (_step(1), _step(2, loss=5.0), _look(2), _step(3)):
            log.write(record)
    with Log(path) as log:
        for record in (_step(2, loss=4.0), _look(2, value=0.7)):
            log.write(record)
    assert read(path) == [_step(1), _step(2, loss=4.0), _look(2, value=0.7), _step(3)]


def test_a_line_cut_short_costs_only_itself(tmp_path):
    path = tmp_path / "curve.jsonl"
    with Log(path) as log:
        log.write(_step(1))
        log.write(_step(2))
    path.write_bytes(path.read_bytes()[:-20])
    with Log(path) as log:
        log.write(_step(3))
    assert read(path) == [_step(1), _step(3)]


def test_lines_that_are_no_records_are_passed_over(tmp_path):
    path = tmp_path / "curve.jsonl"
    path.write_text('[1]\n7\n\n{"kind": "other"}\n{"kind": "step"}\n\x00\x00\n')
    assert read(path) == []


def test_smoothing_starts_at_the_first_value_and_follows():
    assert smoothed([]) == []
    assert smoothed([3.0, 3.0, 3.0]) == pytest.approx([3.0] * 3)
    assert smoothed([4.0, 0.0], memory=0.5) == pytest.approx([4.0, 4.0 / 3])  # by hand: (0.5 * 2) / 0.75
    assert smoothed([1.0, 2.0], memory=0.0) == [1.0, 2.0]


@pytest.mark.parametrize("ending", ["png", "svg"])
def test_a_curve_is_drawn(tmp_path, ending):
    records = [_step(i, loss=3 / i) for i in range(1, 11)] + [_look(5), _look(10, value=float("nan"), best=False)]
    records += [_step(i, "tune", 1 / i, {"projector": 0.1, "adapter": 0.01}) for i in range(1, 5)]
    path = draw(records, tmp_path / f"curve.{ending}")
    if ending == "png":
        with Image.open(path) as picture:
            assert picture.width >= 1000
            assert len(picture.convert("RGB").getcolors(1 << 20)) > 50
    else:
        assert path.read_text(encoding="utf-8").lstrip().startswith("<?xml")


def test_nothing_to_draw_is_said(tmp_path):
    (tmp_path / "curve.jsonl").write_text("")
    with pytest.raises(DataMissing, match="holds no training steps"):
        draw(tmp_path / "curve.jsonl", tmp_path / "curve.png")
    with pytest.raises(DataMissing, match="cannot be read"):
        draw(tmp_path / "absent.jsonl", tmp_path / "curve.png")


def test_drawing_without_matplotlib_names_the_extra(tmp_path, monkeypatch):
    for name in [m for m in sys.modules if m.partition(".")[0] == "matplotlib"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(MissingExtra, match=r"vesalius\[evaluate\]"):
        draw([_step(1)], tmp_path / "curve.png")
