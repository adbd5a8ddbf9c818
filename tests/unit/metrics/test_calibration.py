import json

import numpy as np
import pytest

from vesalius.errors import InvalidValue, UnknownName
from vesalius.metrics.calibration import (
    FIT,
    Isotonic,
    Platt,
    Temperature,
    brier,
    brier_parts,
    ece,
    ece_consistency_band,
    fit_isotonic,
    fit_platt,
    fit_temperature,
    from_json,
    reliability,
)


def _overconfident(n=4000, temperature=2.5, seed=0):
    rng = np.random.default_rng(seed)
    p = rng.uniform(0.02, 0.98, n)
    honest = 1 / (1 + np.exp(-np.log(p / (1 - p)) / temperature))
    return p, (rng.random(n) < honest).astype(float)


def test_ece_by_hand():
    # bins of width 1/2: (0, .5] holds .2 (right) and .5 (wrong); (.5, 1] holds .9 (right)
    assert ece([0.2, 0.5, 0.9], [1, 0, 1], bins=2) == pytest.approx(2 / 3 * abs(0.5 - 0.35) + 1 / 3 * 0.1)
    assert ece([0.0, 1.0], [0, 1]) == 0.0
    assert ece([], []) is None


def test_mass_bins_hold_equal_counts_and_never_part_equals():
    p = np.arange(1, 101) / 100
    assert reliability(p, np.ones(100), bins=4, scheme="mass").count.tolist() == [25, 25, 25, 25]
    tied = reliability([0.3] * 50 + [0.8] * 50, [1] * 100, bins=15, scheme="mass")
    assert tied.count.tolist() == [50, 50]
    assert tied.confidence.tolist() == pytest.approx([0.3, 0.8])


def test_consistency_band_holds_a_calibrated_model_and_excludes_an_overconfident_one():
    rng = np.random.default_rng(1)
    p = rng.random(500)
    mean, low, high = ece_consistency_band(p, replicates=300)
    assert 0 < low < mean < high
    assert low <= ece(p, rng.random(500) < p) <= high
    bad_p, bad_y = _overconfident(500)
    assert ece(bad_p, bad_y) > ece_consistency_band(bad_p, replicates=300)[2]
    assert ece_consistency_band([]) is None


@pytest.mark.parametrize("scheme", ["width", "mass"])
def test_brier_parts_add_up(scheme):
    p, y = _overconfident(777)
    parts = brier_parts(p, y, 10, scheme)
    assert parts.brier == pytest.approx(brier(p, y), abs=1e-12)
    assert parts.brier == pytest.approx(parts.reliability - parts.resolution + parts.uncertainty + parts.within, abs=1e-12)
    assert brier_parts([], []) is None
    assert brier([], []) is None


def test_temperature_is_recovered_and_mends():
    p, y = _overconfident()
    fitted = fit_temperature(p, y)
    assert fitted.temperature == pytest.approx(2.5, rel=0.1)
    held_p, held_y = _overconfident(seed=9)
    assert ece([fitted(v) for v in held_p], held_y) < 0.4 * ece(held_p, held_y)


@pytest.mark.parametrize("kind", sorted(FIT))
def test_every_map_mends_never_falls_and_survives_json(kind):
    p, y = _overconfident()
    fitted = FIT[kind](p, y)
    grid = np.linspace(0, 1, 201)
    mapped = [fitted(v) for v in grid]
    assert all(0 <= v <= 1 for v in mapped)
    assert np.all(np.diff(mapped) >= 0)
    held_p, held_y = _overconfident(seed=5)
    assert brier([fitted(v) for v in held_p], held_y) < brier(held_p, held_y)
    again = from_json(json.loads(json.dumps(fitted.to_json())))
    assert again == fitted
    assert [again(v) for v in grid] == mapped


def test_isotonic_pools_violators():
    fitted = fit_isotonic([0.1, 0.2, 0.3, 0.4], [0, 1, 0, 1])
    assert [fitted(v) for v in (0.0, 0.1, 0.2, 0.3, 0.4, 1.0)] == [0, 0, 0.5, 0.5, 1, 1]
    assert fitted(0.15) == pytest.approx(0.25)


def test_a_falling_confidence_is_not_trusted():
    flat = fit_platt([0.9, 0.8, 0.2, 0.1], [0, 0, 1, 1])
    assert flat.slope == 0
    assert flat(0.1) == flat(0.9) == pytest.approx(0.5)


def test_separable_answers_stay_finite():
    fitted = fit_platt([0.1, 0.2, 0.8, 0.9], [0, 0, 1, 1])
    assert 0.5 < fitted(0.9) < 1


@pytest.mark.parametrize(
    "call",
    [
        lambda: ece([0.5], [1, 0]),
        lambda: ece([1.5], [1]),
        lambda: ece([float("nan")], [1]),
        lambda: ece([0.5], [0.5]),
        lambda: ece([0.5], [1], bins=0),
        lambda: ece([0.5], [1], scheme="depth"),
        lambda: ece_consistency_band([0.5], level=1),
        lambda: fit_temperature([0.5, 0.6], [1, 1]),
        lambda: fit_platt([], []),
        lambda: fit_isotonic([0.5], [0]),
        lambda: Temperature(0),
        lambda: Temperature(float("inf")),
        lambda: Platt(-1, 0),
        lambda: Isotonic((), ()),
        lambda: Isotonic((0.1, 0.1), (0, 1)),
        lambda: Isotonic((0.1, 0.2), (1, 0)),
        lambda: Isotonic((0.1, 0.2), (0, 1.5)),
        lambda: Temperature(1.0)(1.2),
        lambda: Temperature(1.0)(float("nan")),
        lambda: from_json({"kind": "temperature"}),
        lambda: from_json({"kind": "temperature", "temperature": "hot"}),
        lambda: from_json({"kind": "platt", "slope": [1], "intercept": 0}),
        lambda: from_json({"kind": "isotonic", "x": ["a"], "y": [1]}),
        lambda: from_json({"kind": "isotonic", "x": 1.0, "y": 1.0}),
        lambda: from_json({"kind": "temperature", "temperature": 1, "slope": 2}),
    ],
)
def test_bad_input_is_refused(call):
    with pytest.raises(InvalidValue):
        call()


def test_unknown_kind_is_named():
    with pytest.raises(UnknownName, match="histogram"):
        from_json({"kind": "histogram"})
