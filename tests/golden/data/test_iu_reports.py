"""Facts that were counted on the published reports, and what the labeler reaches on the half on which no rule was made."""

from collections import Counter

import pytest

from vesalius.data.iu_reports import DATASET
from vesalius.domain.exchange import Split
from vesalius.evaluate.labeler import validate

pytestmark = pytest.mark.data


@pytest.fixture(scope="module")
def root(data_root):
    if not (data_root / "iu_reports").is_dir():
        pytest.skip("needs iu-reports below the data root")
    return data_root


def test_reports(root):
    reports = DATASET.reports(root)
    assert len(reports) == 3955
    assert Counter(r.split for r in reports) == {Split.TEST: 1991, Split.DEVELOPMENT: 1964}
    assert sum("normal" in r.index for r in reports) == 1391
    assert sum("No Indexing" in r.index for r in reports) == 95
    assert sum(bool(r.impression) for r in reports) == 3921
    assert sum(bool(r.findings) for r in reports) == 3425


def test_the_labeler_keeps_its_scores_on_the_test_half(root):
    found = validate(root, replicates=20)
    assert (found["n"], found["left_out"]) == (1930, 61)
    assert found["uncertain_negative"]["all"]["micro"]["f1"]["value"] == pytest.approx(0.947, abs=0.003)
    assert found["uncertain_positive"]["chexpert"]["micro"]["f1"]["value"] == pytest.approx(0.940, abs=0.003)
    assert found["uncertain_negative"]["chexpert"]["macro"]["value"] == pytest.approx(0.863, abs=0.01)
