"""The baseline that needs no fitting beyond counting, on the published files: a changed split, reader or scorer moves it."""

import numpy as np
import pytest

from vesalius.data import base
from vesalius.domain.exchange import Split
from vesalius.evaluate import baselines
from vesalius.metrics.text import exact_match

pytestmark = pytest.mark.data


@pytest.mark.parametrize(
    ("name", "protocol", "n", "closed", "opened"),
    [("vqa-rad", "official", 1797, 48.9, 8.4), ("vqa-rad", "image_disjoint", 1453, 45.3, 4.3), ("slake", "official", 4918, 43.6, 16.0)],
)
def test_majority(data_root, name, protocol, n, closed, opened):
    dataset = base.dataset(name)
    train = [x for s in (Split.TRAIN, Split.DEVELOPMENT) for x in dataset.exchanges(data_root, s, protocol)]
    test = dataset.exchanges(data_root, Split.TEST, protocol)
    assert len(train) == n
    right = np.array([exact_match(a.text, x.gold) for a, x in zip(baselines.fit("majority", train).predict(test), test, strict=True)])
    is_closed = np.array([x.closed for x in test])
    assert 100 * right[is_closed].mean() == pytest.approx(closed, abs=0.05)
    assert 100 * right[~is_closed].mean() == pytest.approx(opened, abs=0.05)
