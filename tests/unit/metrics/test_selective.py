import itertools

import numpy as np
import pytest

from vesalius.errors import InvalidValue
from vesalius.metrics.selective import augrc, aurc, auroc, eaurc, referral, risk_coverage


def test_by_hand():
    coverage, risk = risk_coverage([0.9, 0.8, 0.7, 0.6], [0, 1, 0, 1])
    assert coverage.tolist() == [0.25, 0.5, 0.75, 1.0]
    assert risk.tolist() == pytest.approx([0, 1 / 2, 1 / 3, 1 / 2])
    assert aurc([0.9, 0.8, 0.7, 0.6], [0, 1, 0, 1]) == pytest.approx((0 + 1 / 2 + 1 / 3 + 1 / 2) / 4)
    assert augrc([0.9, 0.8, 0.7, 0.6], [0, 1, 0, 1]) == pytest.approx((0 + 1 + 1 + 2) / 16)


def test_ties_are_the_mean_over_their_orders():
    score, loss = np.array([0.9, 0.5, 0.5, 0.5, 0.1]), np.array([0, 1, 0, 1, 0.25])
    areas, grown = [], []
    for order in itertools.permutations(range(5)):
        if all(score[a] >= score[b] for a, b in itertools.pairwise(order)):
            sums = np.cumsum(loss[list(order)])
            areas.append((sums / np.arange(1, 6)).mean())
            grown.append(sums.sum() / 25)
    assert len(areas) == 6
    assert aurc(score, loss) == pytest.approx(np.mean(areas))
    assert augrc(score, loss) == pytest.approx(np.mean(grown))


def test_limits():
    loss = [0, 0, 1, 1]
    assert eaurc([4, 3, 2, 1], loss) == pytest.approx(0)
    assert eaurc([1, 2, 3, 4], loss) > 0.2
    assert aurc([1, 1, 1, 1], loss) == pytest.approx(0.5)  # a constant score earns the base risk
    assert aurc([], []) is None
    assert eaurc([], []) is None
    assert augrc([], []) is None
    assert risk_coverage([], [])[0].size == 0


def test_auroc():
    assert auroc([1, 2, 3], [0, 0, 1]) == 1.0
    assert auroc([1, 1], [0, 1]) == 0.5
    assert auroc([1, 2], [1, 1]) is None


def test_referral():
    quality = referral([1, 1, 0, 0, 0], [1, 0, 1, 0, 0], image_needed=[1, 1, 1, 0, 0])
    assert quality.coverage == 0.6
    assert quality.error_capture == 0.5
    assert quality.over_referral == pytest.approx(1 / 3)
    assert quality.base_risk == 0.4
    assert quality.accepted_risk == pytest.approx(1 / 3)
    assert quality.accepted_risk_image_needed == 1.0
    everything = referral([1, 1], [0, 0])
    assert everything.error_capture is None
    assert everything.accepted_risk is None
    assert referral([], []).coverage is None


@pytest.mark.parametrize(
    "call",
    [
        lambda: aurc([1], [1, 0]),
        lambda: aurc([float("nan")], [1]),
        lambda: aurc([1], [2]),
        lambda: aurc([1], [float("nan")]),
        lambda: auroc([1, 2], [0, 0.5]),
        lambda: referral([1], [1, 0]),
        lambda: referral([1], [1], [1, 0]),
    ],
)
def test_bad_input_is_refused(call):
    with pytest.raises(InvalidValue):
        call()
