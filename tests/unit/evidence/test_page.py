"""The evidence page is drawn for every kind of reading, and never depends on colour or on a font that is not there."""

import dataclasses

import numpy as np
import PIL.Image
import pytest

from tests.standin import StandIn
from vesalius.data.phantoms import phantom
from vesalius.domain.decision import Verdict
from vesalius.domain.study import Image, Intensity, Modality, Overlay, single
from vesalius.errors import InvalidValue, UserError
from vesalius.evidence import page
from vesalius.evidence.exhibit import Bounds, Exhibit, told_by
from vesalius.evidence.picture import fitted, proportions, with_heat
from vesalius.evidence.sheet import STRONG, TINT, Sheet, legible
from vesalius.reader import Reader


def exhibit_of(manner="seeing", question="Is there a lesion in the liver?", image=None, **how):
    study = single(image if image is not None else phantom("CT", "ABDOMEN", 7))
    reader = Reader(StandIn(manner), **how)
    return reader.exhibit(study, reader.ask(study, question, look=True))


def colour(text):
    return tuple(int(text[i : i + 2], 16) for i in (1, 3, 5))


@pytest.mark.parametrize(
    ("manner", "question"),
    [
        ("seeing", "Is there a lesion in the liver?"),
        ("blind", "Is there a pneumothorax?"),
        ("mute", "Is there a lesion in the liver?"),
        ("wordy", "Describe " + "every abnormality of the liver, " * 55),
        ("seeing", "Gibt es eine Läsion? 🙂 肺 " + "x" * 400),
        ("seeing", "Is a failure seen?"),
    ],
)
def test_every_reading_has_a_page(manner, question):
    exhibit = exhibit_of(manner, question)
    drawn = page.draw(exhibit)
    assert drawn.width == 1600
    assert 600 < drawn.height < 1600
    tint = colour(TINT[exhibit.reading.decision.verdict])
    assert drawn.getpixel((5, 5)) == pytest.approx(tint, abs=2)


def test_without_rewordings_samples_and_other_pictures():
    exhibit = exhibit_of(image=dataclasses.replace(phantom("CT", "ABDOMEN", 7), body_part=None), rewordings=0, samples=0)
    assert page.draw(exhibit).width == 1600


@pytest.mark.parametrize("shape", [(1, 40, 900), (1, 900, 40), (1, 8, 8)])
def test_odd_proportions(shape):
    pixels = np.random.default_rng(0).random(shape, dtype=np.float32)
    assert page.draw(exhibit_of(image=Image(pixels, Intensity.RELATIVE, Modality.MR))).height < 1700


def test_colour_images_and_graphics_of_the_file():
    pixels = np.zeros((1, 60, 80, 3), np.uint8)
    pixels[..., 0] = 200
    mask = np.zeros((60, 80), bool)
    mask[20:40, 30:50] = True
    image = Image(pixels, Intensity.COLOUR, Modality.US, overlays=(Overlay(mask),))
    assert page.draw(exhibit_of(image=image)).width == 1600


def test_written_as_png(tmp_path):
    path = page.write(exhibit_of(), tmp_path / "evidence.png")
    with PIL.Image.open(path) as picture:
        assert picture.format == "PNG"
        assert picture.width == 1600


def test_a_place_that_cannot_be_written(tmp_path):
    with pytest.raises(UserError, match="cannot be written"):
        page.write(exhibit_of(), tmp_path / "no" / "such" / "folder.png")


def test_heat_lies_where_the_map_is():
    image = Image(np.full((1, 100, 200), 50, np.float32), Intensity.RELATIVE, Modality.CT)
    heat = np.zeros((100, 200), np.float32)
    heat[40:60, 140:160] = 1
    drawn = np.asarray(with_heat(image, heat, (400, 200))).astype(int)
    assert len(set(drawn[100, 100])) == 1  # grey where there is none
    warm = drawn[100, 300]
    assert warm[0] > warm[1] > warm[2]


@pytest.mark.parametrize("heat", [np.zeros((5, 5), np.float32), np.full((5, 5), np.nan, np.float32)])
def test_an_empty_map_leaves_the_image(heat):
    image = phantom("CT", "HEAD", 1)
    plain, _ = fitted(image, (300, 300))
    assert np.array_equal(np.asarray(with_heat(image, heat, (300, 300))), np.asarray(plain))


def test_proportions_follow_the_patient_not_the_grid():
    image = Image(np.zeros((1, 100, 100), np.float32), Intensity.RELATIVE, Modality.MR, spacing=(2.0, 1.0))
    assert proportions(image) == 2.0
    picture, (left, top, right, bottom) = fitted(image, (400, 400))
    assert picture.size == (400, 400)
    assert (right - left, bottom - top) == (200, 400)
    assert top == 0


@pytest.mark.parametrize(
    ("text", "plain"),
    [("Läsion – ≥ 5 µm", "Lasion - >= 5 um"), ("肺 🙂", "? ?"), ("a\n b\t c", "a b c"), ("“so” …", "“so” …"), ("½", "1?2")],
)
def test_legible(text, plain):
    assert legible(text) == plain


def test_wrapping_keeps_within_the_width_and_shows_what_is_cut():
    sheet = Sheet(400, 100)
    lines = sheet.wrap("word " * 200, 16, 300, 3)
    assert len(lines) == 3
    assert lines[-1].endswith("…")
    assert all(sheet.length(line, 16) <= 300 for line in lines)
    assert all(sheet.length(line, 16) <= 100 for line in sheet.wrap("x" * 300, 16, 100, 4))
    assert sheet.wrap("short", 16, 300, 3) == ["short"]
    assert sheet.wrap("", 16, 300, 3) == []


def test_verdicts_differ_in_shape_when_colour_is_taken_away():
    drawn = []
    for verdict in Verdict:
        sheet = Sheet(80, 80)
        sheet.mark((40, 40), 30, verdict)
        drawn.append(np.asarray(sheet.finish(80).convert("L")) < 200)
    for i, first in enumerate(drawn):
        for second in drawn[i + 1 :]:
            assert (first != second).mean() > 0.05
    assert len(set(STRONG.values())) == 3


@pytest.mark.parametrize(
    ("bounds", "value", "verdict"),
    [
        (Bounds(0.1, 0.2), 0.1, Verdict.RELEASED),
        (Bounds(0.1, 0.2), 0.15, Verdict.CAVEATED),
        (Bounds(0.1, 0.2), 0.21, Verdict.REFERRED),
        (Bounds(0.15, 0.05, below=True), 0.15, Verdict.RELEASED),
        (Bounds(0.15, 0.05, below=True), 0.1, Verdict.CAVEATED),
        (Bounds(0.15, 0.05, below=True), 0.04, Verdict.REFERRED),
    ],
)
def test_bounds_judge_as_the_gate_does(bounds, value, verdict):
    assert bounds.verdict(value) is verdict


def test_an_exhibit_needs_a_mark_for_each_rewording():
    whole = exhibit_of()
    with pytest.raises(InvalidValue, match="as many marks"):
        Exhibit(whole.reading, whole.image, whole.controls, whole.limits, whole.flipped[1:], whole.moved)


READ = {"type": "CT", "type_probability": 0.9731, "expert": "radiology", "expert_text": "Modality: CT. Body part: head.", "expert_confidence": 0.6}


@pytest.mark.parametrize(
    ("read", "says"),
    [
        (None, None),
        ("words", None),
        (READ, "read as CT (0.97) by radiology: Modality: CT. Body part: head."),
        ({**READ, "expert": "none", "expert_text": "There is no expert."}, "read as CT (0.97): There is no expert."),
        ({**READ, "expert_text": " "}, "read as CT (0.97) by radiology: (nothing)"),
        ({"type": "CT"}, "read as CT: (nothing)"),
    ],
)
def test_what_a_model_was_told_in_one_line(read, says):
    assert told_by({} if read is None else {"read": read}) == says


def _inked(drawn, start):
    """Columns from `start` in which the page is not white, without the banner and the footer's line."""
    grey = np.asarray(drawn.convert("L"))[160:-80, start:]
    return np.flatnonzero((grey < 250).any(axis=0)) + start


@pytest.mark.parametrize("text", ["Modality: CT.", "finding " * 300, "x" * 900, "肺 🙂 é " * 80])
def test_what_a_model_was_told_stays_in_its_column(text):
    exhibit = exhibit_of()
    plain = page.draw(exhibit)
    reading = dataclasses.replace(exhibit.reading, model={**exhibit.reading.model, "read": {**READ, "expert_text": text}})
    drawn = page.draw(dataclasses.replace(exhibit, reading=reading))
    assert plain.height <= drawn.height < 1400
    assert _inked(drawn, 1004).min() >= 1040  # the gap between the columns
    assert _inked(drawn, 1004).max() <= 1562


@pytest.mark.parametrize("method", ["rollout through tower and language model of 24 x 24 image tokens", "gradient " * 40, "g" * 300])
def test_a_long_way_of_looking_and_a_long_refusal_stay_in_their_column(method):
    exhibit = exhibit_of()
    seen = dataclasses.replace(exhibit.reading, saliency=dataclasses.replace(exhibit.reading.saliency, method=method))
    lost = dataclasses.replace(exhibit.reading, saliency=None, model={**exhibit.reading.model, "saliency": method})
    for reading in (seen, lost):
        gap = np.asarray(page.draw(dataclasses.replace(exhibit, reading=reading)).convert("L"))[160:-80, 1004:1040]
        assert gap.min() >= 250
