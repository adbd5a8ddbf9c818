"""The router of image types: its weights, its threshold, and what is reported of it."""

import json

import numpy as np
import pytest
import torch

from vesalius.errors import WeightsError
from vesalius.models import efficientnet, router
from vesalius.models.router import KINDS, Kind
from vesalius.train import drawn
from vesalius.train import router as training


@pytest.fixture(scope="module")
def shipped():
    return router.load()


def parts(**biases):
    """Weights that look at nothing and name a kind by its bias."""
    bias = torch.zeros(len(KINDS))
    for name, value in biases.items():
        bias[KINDS.index(Kind[name])] = value
    zeros = torch.zeros(efficientnet.WIDTH)
    return {"mean": zeros, "scale": zeros + 1, "weight": torch.zeros(len(KINDS), efficientnet.WIDTH), "bias": bias}


GREY = np.full((40, 60), 90, np.uint8)


def test_the_most_probable_kind_is_named_only_when_it_outweighs_all_others(shipped):
    sure = router.Router(shipped.tower, parts(CT=9.0)).route(GREY)
    assert sure.kind is Kind.CT
    assert sure.probability == pytest.approx(sure.probabilities[Kind.CT])
    unsure = router.Router(shipped.tower, parts(CT=9.0, MR=9.0, ECG=9.0)).route(GREY)
    assert unsure.kind is Kind.OTHER
    assert unsure.probability == pytest.approx(1 / 3, abs=1e-3)
    assert sum(unsure.probabilities.values()) == pytest.approx(1)


def test_what_shipped_says_where_it_was_measured_and_is_small(shipped):
    held = shipped.about["held_out"]
    assert set(held["kinds"]) == set(map(str, KINDS))
    for kind, row in held["kinds"].items():
        assert row["low"] <= row["accuracy"] <= row["high"]
        assert sum(held["confusion"][kind].values()) == row["n"]
    assert all(row["accuracy"] > 0.8 for row in held["kinds"].values())
    assert (router.SHIPPED / router.WEIGHTS).stat().st_size < 200_000


def test_no_held_out_recording_photograph_or_kind_of_plot_was_trained_on(shipped):
    learned, held = set(shipped.about["trained_on"]), set(shipped.about["held_out"]["sources"])
    shared = learned & held
    assert all(any(word in name for word in ("nih-cxr", "slake", "vqa-rad", "drawn sectors", "drawn scenes", "drawn tissue", "blanks")) for name in shared)
    assert any("PTB" in name for name in held)
    assert not any("PTB" in name or "waveform_ecg" in name for name in learned)


def test_a_picture_goes_the_same_way_alone_and_among_others(shipped):
    random = np.random.default_rng(3)
    pictures = [drawn.tissue(random), drawn.sector(random), GREY]
    together = shipped.routes(pictures)
    alone = [shipped.route(picture) for picture in pictures]
    assert [r.kind for r in together] == [r.kind for r in alone]
    for first, second in zip(together, alone, strict=True):
        assert first.probability == pytest.approx(second.probability, abs=1e-4)
    assert shipped.routes([]) == []


def test_weights_that_do_not_fit_are_refused(shipped, tmp_path):
    wrong = {**parts(), "bias": torch.zeros(3)}
    with pytest.raises(WeightsError, match="bias"):
        router.Router(shipped.tower, wrong)
    with pytest.raises(WeightsError):
        router.load(tmp_path)


def test_fitting_separates_what_can_be_separated():
    generator = torch.Generator().manual_seed(0)
    kinds = torch.arange(len(KINDS)).repeat(20)
    centres = torch.randn(len(KINDS), efficientnet.WIDTH, generator=generator)
    features = centres[kinds] + 0.3 * torch.randn(len(kinds), efficientnet.WIDTH, generator=generator)
    fitted = training.fit(features, kinds)
    assert (router.probabilities(fitted, features).argmax(1) == kinds).all()
    again = training.fit(features, kinds)
    assert all(torch.equal(fitted[name], again[name]) for name in fitted)


def test_the_report_counts_by_kind_and_source():
    rows = [(Kind.CT, "a", True, Kind.CT), (Kind.CT, "b", False, Kind.MR), (Kind.MR, "a", True, Kind.MR)]
    found = training.report(rows)
    assert found["kinds"]["CT"] | {"low": 0, "high": 0} == {"n": 2, "right": 1, "accuracy": 0.5, "low": 0, "high": 0}
    assert found["sources"]["CT: b (drawn)"]["right"] == 0
    assert found["confusion"]["CT"] == {"CT": 1, "MR": 1}
    assert "CT: a (real)" in training.table(found)
    json.dumps(found)


def test_without_data_the_command_says_what_is_absent(tmp_path, capsys):
    assert training.main(["--data", str(tmp_path), "--out", str(tmp_path / "out")]) == 2
    assert "nih" in capsys.readouterr().err.lower()
    assert not (tmp_path / "out").exists()


@pytest.mark.data
def test_a_physionet_record_is_read_in_millivolts(data_root):
    record = training.read_wfdb(data_root / "ecg" / "s0010_re")
    assert record.millivolts.shape == (12, 38400)
    assert record.rate == 1000
    assert np.allclose(record.millivolts[0] + record.millivolts[2], record.millivolts[1], atol=0.01)  # Einthoven: I + III = II
