"""Experts that turn a picture into words, one for a kind of picture: radiology, ECG strips, plots and tables; and the plain word that there is none.

In: a `Study` whose kind the router named. Out: `Said`: a text for a language model to read, and a confidence in [0, 1]; 0 means that nothing was read.
No confidence here is calibrated. What was not read is said, never guessed.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from vesalius.domain.exchange import Answer, Question
from vesalius.domain.study import Study
from vesalius.errors import UnreadableStudy
from vesalius.formats.pixels import render
from vesalius.models.base import Sampling
from vesalius.models.router import Kind
from vesalius.registry import Table

_HERE = "vesalius.models.experts"
EXPERTS = Table(
    "expert",
    {
        Kind.XRAY: f"{_HERE}:radiology",
        Kind.CT: f"{_HERE}:radiology",
        Kind.MR: f"{_HERE}:radiology",
        Kind.ECG: f"{_HERE}:strip",
        Kind.PLOT: f"{_HERE}:plot",
        Kind.ULTRASOUND: f"{_HERE}:ultrasound",
        Kind.HISTOPATHOLOGY: f"{_HERE}:histopathology",
        Kind.PHOTOGRAPH: f"{_HERE}:photograph",
        Kind.OTHER: f"{_HERE}:other",
    },
)
# what `pocket` is asked of every picture: the words are those that it was trained with
QUESTIONS = (
    ("Modality", "What imaging modality is this?"),
    ("Body part", "Which part of the body is shown?"),
    ("Organs", "Which organs can be seen in this image?"),
    ("Main finding", "What abnormality is seen in this image?"),
)
NO_SCALE, NO_TEXT = 0.2, 0.1  # confidence where a trace was found but not its scale; where only the kind is known
MEASURED = (
    0.7  # confidence of a rate when all intervals are alike; times the share of those within 15 % of the middle one, times the share of the strip with beats
)
SPEED = 25.0  # mm/s of paper: the usual one, and said with every rate that rests on it
_BOX = 5.0  # mm between the bold lines of ECG paper


@dataclasses.dataclass(frozen=True)
class Said:
    """What an expert says of a picture.

    Args:
        expert: its name. text: for the language model. confidence: 0 when nothing of the content was read.
    """

    expert: str
    text: str
    confidence: float


@dataclasses.dataclass(frozen=True, eq=False)
class Heard:
    """What came of showing a study to an expert.

    Args:
        seen: the study made ready for the expert's own answers; None for an expert that only describes.
    """

    said: Said
    seen: Any = None


class Expert(Protocol):
    """Describes studies; one that answers questions itself gives `seen` and has `ask`."""

    name: str

    def describe(self, study: Study) -> Heard:
        """Text and confidence."""
        ...


class Radiology:
    """`pocket`, asked a fixed list of questions; it also answers questions itself."""

    name = "radiology"

    def __init__(self, model: Any) -> None:  # noqa: ANN401 - any generative model
        self.model = model

    def describe(self, study: Study) -> Heard:
        """Its answers as one line; the mean of their probabilities."""
        seen = self.model.encode(study)
        answers = self.model.answer(seen, [Question(text) for _, text in QUESTIONS])
        text = " ".join(f"{name}: {answer.text or 'not named'}." for (name, _), answer in zip(QUESTIONS, answers, strict=True))
        return Heard(Said(self.name, text, float(np.mean([answer.confidence or 0.0 for answer in answers]))), seen)

    def ask(self, asks: Sequence[tuple[Any, Question, Sampling]]) -> list[Answer]:
        """Its own answers."""
        return list(self.model.ask(asks))


class Strip:
    """Measures a drawn ECG: the rate where the grid gives the time scale, nothing else."""

    name = "ECG"

    def describe(self, study: Study) -> Heard:
        """The rate, or why there is none."""
        return Heard(measure_strip(render(study.image)))


class Plain:
    """Says what is known of a kind of picture without looking further.

    Args:
        name: of the expert. text: what it says. confidence: 0 when it reads nothing.
    """

    def __init__(self, name: str, text: str, confidence: float) -> None:
        self.name, self._said = name, Said(name, text, confidence)

    def describe(self, study: Study) -> Heard:  # noqa: ARG002 - it does not look
        """The same for every study."""
        return Heard(self._said)


def radiology(device: str = "cpu") -> Radiology:
    """The expert for X-ray, CT and MR."""
    from vesalius.models import pocket

    return Radiology(pocket.load(device))


def strip(device: str = "cpu") -> Strip:  # noqa: ARG001 - nothing to compute there
    """The expert for drawn ECGs."""
    return Strip()


def plot(device: str = "cpu") -> Plain:  # noqa: ARG001
    """The expert for plots and tables; without a reader of text it knows no more than that it is one."""
    return Plain("plot", "The image is a plot or a table. Its axes, words and numbers were not read: there is no reader of text here.", NO_TEXT)


def none_for(kind: Kind) -> Plain:
    """The plain word that there is no expert for a kind of picture."""
    what = "this type of image" if kind is Kind.OTHER else f"this type of image ({kind})"
    return Plain("none", f"There is no expert for {what}: nothing is known of its content.", 0.0)


def ultrasound(device: str = "cpu") -> Plain:  # noqa: ARG001
    """No expert."""
    return none_for(Kind.ULTRASOUND)


def histopathology(device: str = "cpu") -> Plain:  # noqa: ARG001
    """No expert."""
    return none_for(Kind.HISTOPATHOLOGY)


def photograph(device: str = "cpu") -> Plain:  # noqa: ARG001
    """No expert."""
    return none_for(Kind.PHOTOGRAPH)


def other(device: str = "cpu") -> Plain:  # noqa: ARG001
    """No expert."""
    return none_for(Kind.OTHER)


@functools.lru_cache(maxsize=32)
def expert(kind: Kind, device: str = "cpu") -> Expert:
    """The expert for a kind of picture, made when it is first needed.

    Raises:
        WeightsError: its weights cannot be had.
    """
    made: Expert = EXPERTS.load(kind)(device)
    return made


@dataclasses.dataclass(frozen=True, eq=False)
class Recording:
    """A digital ECG.

    Args:
        millivolts: [leads, samples]. rate: samples a second. leads: their names.
    """

    millivolts: NDArray[np.float64]
    rate: float
    leads: tuple[str, ...]


def read_waveform(path: Path) -> Recording:
    """The first ECG of a DICOM waveform object.

    Raises:
        UnreadableStudy: not DICOM, or without a waveform.
    """
    import pydicom
    from pydicom.errors import InvalidDicomError

    try:
        dataset = pydicom.dcmread(path)
        values = dataset.waveform_array(0)
        group = dataset.WaveformSequence[0]
    except (OSError, InvalidDicomError, AttributeError, ValueError, IndexError) as error:
        raise UnreadableStudy(path, "holds no waveform that can be read", remedy="give a DICOM ECG waveform") from error
    volts = {"uV": 1e-3, "mV": 1.0, "V": 1e3}
    channels = group.ChannelDefinitionSequence
    units = [volts.get(c.ChannelSensitivityUnitsSequence[0].CodeValue, 1.0) if "ChannelSensitivityUnitsSequence" in c else 1.0 for c in channels]
    names = tuple(str(c.ChannelSourceSequence[0].get("CodeMeaning", "")).replace("Lead", "").partition("(")[0].strip() for c in channels)
    return Recording(values.T.astype(np.float64) * np.array(units)[:, None], float(group.SamplingFrequency), names)


def describe_recording(recording: Recording) -> Said:
    """What a digital ECG says without interpretation: leads, duration, sampling, rate."""
    seconds = recording.millivolts.shape[1] / recording.rate
    slopes = np.abs(np.gradient(recording.millivolts, axis=1)).sum(0)
    head = f"ECG with {len(recording.leads)} leads, {seconds:.1f} s at {recording.rate:g} samples a second."
    return _rate(slopes, 1 / recording.rate, head, "")


def measure_strip(shown: NDArray[np.uint8]) -> Said:
    """What a drawn ECG shows that can be measured.

    The trace is what is far darker than the paper. Columns where it runs steeply (in all leads that lie below one another) are heart beats. The time scale
    is that of the grid, when lines are found with four finer ones between them: these are 5 mm apart, and paper is taken to run at 25 mm/s.

    Args:
        shown: (rows, cols) or (rows, cols, 3) uint8.
    """
    rgb = (shown if shown.ndim == 3 else np.repeat(shown[:, :, None], 3, axis=2)).astype(np.float64)
    bright = rgb.max(2)
    ink = bright < 0.45 * np.percentile(bright, 90)
    if not 0.001 < ink.mean() < 0.4 or ink.any(0).mean() < 0.5:
        return Said(Strip.name, "The image looks like an ECG strip, but no trace was found in it.", 0.0)
    pitch = _pitch(rgb.min(2), ink)
    if pitch is None:
        text = "ECG strip. A trace was found, but no grid that gives the time scale: rate and intervals cannot be measured."
        return Said(Strip.name, text, NO_SCALE)
    seconds = _BOX / SPEED / pitch
    head = f"ECG strip with a grid of {pitch:.1f} pixels to 5 mm; {ink.shape[1] * seconds:.1f} s if the paper runs at {SPEED:g} mm/s."
    return _rate(ink.sum(0).astype(np.float64), seconds, head, f", if the paper runs at {SPEED:g} mm/s")


def _rate(steep: NDArray[np.float64], seconds: float, head: str, condition: str) -> Said:
    """Beats in a signal that is high where the trace is steep, one value every `seconds`."""
    from scipy import ndimage, signal

    smooth = ndimage.gaussian_filter1d(steep, max(0.5, 0.02 / seconds))
    above = smooth - np.median(smooth)
    at, _ = signal.find_peaks(above, height=0.4 * np.percentile(above, 99), distance=max(1, round(0.27 / seconds)))
    if len(at) < 3:
        return Said(Strip.name, f"{head} Fewer than three beats were found: no rate.", NO_SCALE)
    gaps = np.diff(at) * seconds
    middle = float(np.median(gaps))
    covered = min(1.0, (len(at) + 1) * middle / (len(steep) * seconds))  # beats that were missed at an end leave the gaps alike
    alike = covered * float(np.mean(np.abs(gaps - middle) < 0.15 * middle))
    rhythm = "regular" if alike >= 0.9 else "irregular, or beats were missed"
    text = f"{head} {len(at)} beats were found: about {60 / middle:.0f} a minute{condition}. Intervals are {rhythm}. Nothing else was measured."
    return Said(Strip.name, text, MEASURED * alike)


def _pitch(dark: NDArray[np.float64], ink: NDArray[np.bool_]) -> float | None:
    """Pixels between the bold lines of a grid across the picture; None without bold lines that have four finer ones between them.

    Args:
        dark: the lowest colour of each pixel: a coloured line is dark in it.
    """
    from scipy import ndimage

    clear = ~ndimage.binary_dilation(ink, iterations=2)
    lines = np.where(clear, 255 - dark, 0).sum(0) / np.maximum(1, clear.sum(0))
    lines = lines - ndimage.median_filter(lines, 61)
    padded = np.abs(np.fft.rfft(lines * np.hanning(len(lines)), 16 * len(lines)))
    step = 1 / (16 * len(lines))  # cycles a pixel of one bin
    reach = max(1, round(0.5 / len(lines) / step))

    def strength(frequency: float) -> float:
        at = round(frequency / step)
        return float(padded[max(0, at - reach) : at + reach + 1].max(initial=0.0))

    best, score = None, 0.0
    floor = float(np.median(padded)) + 1e-9
    for fine in np.arange(2.0, 12.0, 0.01):  # pixels to a millimetre
        comb = [strength(k / (5 * fine)) for k in (1, 2, 3, 4)]
        if min(comb) > 4 * floor and strength(1 / fine) > 1.25 * max(comb) and (total := sum(comb) + 4 * strength(1 / fine)) > score:
            best, score = 5 * float(fine), total
    return best
