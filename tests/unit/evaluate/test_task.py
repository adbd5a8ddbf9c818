"""What a kill left half written of one evaluation is made whole by the next call."""

import json

import pytest

from tests.evaluate_miniature import FakeModel, slake
from vesalius.evaluate import fitted, task


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    return slake(tmp_path_factory.mktemp("root"), images=6)


def evaluate(root, out):
    return task.run("slake", "fake", root, out, baselines=["majority"], questioned=0, reworded=0, model_object=FakeModel())


@pytest.mark.parametrize("left", [0.0, 0.3, 0.99])
def test_a_baseline_that_was_not_recorded_to_its_end_stands_there_once(root, tmp_path, left):
    found = evaluate(root, tmp_path / "run")
    path = tmp_path / "run" / fitted.FILE
    whole = path.read_bytes()
    path.write_bytes(whole[: int(left * len(whole))])
    assert evaluate(root, tmp_path / "run") == found
    assert path.read_bytes() == whole


def test_a_baseline_that_was_recorded_is_left_alone(root, tmp_path):
    evaluate(root, tmp_path / "run")
    path = tmp_path / "run" / fitted.FILE
    rows = [json.loads(line) | {"baseline": "another"} for line in path.read_text().splitlines()]
    path.write_text(path.read_text() + "".join(json.dumps(row) + "\n" for row in rows))
    before = path.read_bytes()
    evaluate(root, tmp_path / "run")
    assert path.read_bytes() == before
