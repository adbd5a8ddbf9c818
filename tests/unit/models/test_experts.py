"""Experts: what each says, and that what was not read is said and not guessed."""

from pathlib import Path

import numpy as np
import pytest
from pydicom.data import get_testdata_file

from vesalius.domain.exchange import Answer, Outcome
from vesalius.domain.study import Image, Intensity, Modality, single
from vesalius.errors import UnreadableStudy
from vesalius.models import experts
from vesalius.models.base import GREEDY
from vesalius.models.router import KINDS, Kind
from vesalius.train.drawn import draw_strip, simulated


def study(shown):
    rgb = shown if shown.ndim == 3 else np.repeat(shown[:, :, None], 3, axis=2)
    return single(Image(rgb[None].copy(), Intensity.COLOUR, Modality.OT))


@pytest.fixture(scope="module")
def recording():
    return experts.read_waveform(Path(get_testdata_file("waveform_ecg.dcm", download=False)))


class Speaker:
    """Answers everything with one word."""

    def encode(self, study):
        return "seen"

    def answer(self, encoded, questions, sampling=GREEDY):
        return [Answer(["X-ray", "chest", "lungs, heart", ""][i], Outcome.TEXT, confidence=0.2 * (i + 1)) for i, _ in enumerate(questions)]

    def ask(self, asks):
        return [Answer("yes", Outcome.YES, confidence=0.8, p_yes=0.8) for _ in asks]


def test_every_kind_has_an_entry_and_reading_the_table_loads_nothing():
    assert set(experts.EXPERTS) >= set(map(str, KINDS))
    assert experts.EXPERTS[Kind.CT] == "vesalius.models.experts:radiology"


def test_radiology_joins_the_answers_and_means_their_confidence():
    expert = experts.Radiology(Speaker())
    heard = expert.describe(study(np.zeros((8, 8), np.uint8)))
    assert heard.said.text == "Modality: X-ray. Body part: chest. Organs: lungs, heart. Main finding: not named."
    assert heard.said.confidence == pytest.approx(0.5)
    assert heard.seen == "seen"
    assert expert.ask([(heard.seen, None, GREEDY)])[0].p_yes == 0.8


@pytest.mark.parametrize("kind", [Kind.ULTRASOUND, Kind.HISTOPATHOLOGY, Kind.PHOTOGRAPH, Kind.OTHER])
def test_a_kind_without_an_expert_is_told_so_with_no_confidence(kind):
    said = experts.expert(kind).describe(study(np.zeros((8, 8), np.uint8))).said
    assert said.confidence == 0
    assert "no expert" in said.text


def test_a_plot_is_named_and_not_read():
    said = experts.expert(Kind.PLOT).describe(study(np.zeros((8, 8), np.uint8))).said
    assert "not read" in said.text
    assert 0 < said.confidence <= 0.1


@pytest.mark.parametrize(("rows", "columns"), [(12, 1), (6, 2), (3, 4), (1, 1)])
@pytest.mark.parametrize("small", [3.0, 4.3])
def test_the_rate_of_a_drawn_real_recording_is_that_of_its_samples(recording, rows, columns, small):
    assert "about 61 a minute" in experts.describe_recording(recording).text
    shown = draw_strip(recording, rows, columns, (max(200, int(rows * 20 * small)), 900), small, np.random.default_rng(rows), grid=True)
    said = experts.measure_strip(shown)
    assert "about 61 a minute, if the paper runs at 25 mm/s" in said.text
    assert f"{5 * small:.1f} pixels to 5 mm" in said.text or f"{5 * small - 0.1:.1f} pixels" in said.text
    assert said.confidence > 0.5


def test_without_a_grid_no_rate_is_given(recording):
    said = experts.measure_strip(draw_strip(recording, 6, 2, (480, 900), 4.0, np.random.default_rng(0), grid=False))
    assert "cannot be measured" in said.text
    assert said.confidence == experts.NO_SCALE


@pytest.mark.parametrize("level", [0, 127, 255])
def test_a_blank_is_no_trace(level):
    said = experts.measure_strip(np.full((200, 300), level, np.uint8))
    assert said.confidence == 0
    assert "no trace" in said.text


def test_noise_has_no_rate():
    said = experts.measure_strip(np.random.default_rng(0).integers(0, 256, (200, 300, 3)).astype(np.uint8))
    assert "a minute" not in said.text


def test_an_irregular_rhythm_is_less_sure():
    rate, at = 250.0, [0.5, 1.1, 2.6, 3.1, 4.9, 5.4, 7.2, 7.9, 9.0]
    t = np.arange(2500) / rate
    lead = sum(np.exp(-(((t - b) / 0.012) ** 2) / 2) for b in at)
    said = experts.describe_recording(experts.Recording(np.stack([lead, lead]), rate, ("I", "II")))
    assert "irregular" in said.text
    assert said.confidence < 0.4
    regular = experts.describe_recording(simulated(np.random.default_rng(0)))
    assert "12 leads, 10.0 s" in regular.text


def test_a_waveform_is_read_with_its_units_and_names(recording):
    assert recording.leads[:3] == ("I", "II", "III")
    assert recording.rate == 1000
    assert 0.1 < np.abs(recording.millivolts).max() < 10
    with pytest.raises(UnreadableStudy, match="no waveform"):
        experts.read_waveform(Path(get_testdata_file("CT_small.dcm", download=False)))
