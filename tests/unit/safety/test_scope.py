import dataclasses

import numpy as np
import pytest

from vesalius.errors import InvalidValue
from vesalius.safety.quality import image_quality
from vesalius.safety.scope import QualityLimits, Scope, ScopeFacts, reads_as_english, violations

CHEST = Scope(modalities=("CR", "CT"), body_parts=("CHEST", "ABDOMEN"))


def _good():
    y, x = np.mgrid[:256, :256]
    return image_quality((127 + 100 * np.sin(x / 40) * np.cos(y / 40)).astype(np.uint8))


def _found(question="Is there a mass?", modality="CR", body_part="CHEST", quality=None, scope=CHEST):
    return violations(ScopeFacts(question, modality, body_part, quality or _good()), scope)


def _worst(**facts):
    found = _found(**facts)
    return (found[0].value, found[0].reason) if found else (0.0, "")


def test_a_case_inside_has_no_violation():
    assert _found() == ()
    assert _found(modality="DX") == ()  # CR and DX are one
    assert _found(body_part="LIVER") == ()  # lies in the abdomen
    assert _found(body_part="CHEST_TO_PELVIS") == ()
    assert violations(ScopeFacts("Is it?", None, None, _good()), Scope()) == ()  # nothing declared, nothing checked


@pytest.mark.parametrize(
    ("facts", "value", "words"),
    [
        ({"modality": "MR"}, 1.0, "modality MR"),
        ({"modality": None}, 0.4, "modality is unknown"),
        ({"modality": "OT"}, 0.4, "modality is unknown"),
        ({"body_part": "KNEE"}, 1.0, "body part KNEE"),
        ({"body_part": None}, 0.3, "body part is unknown"),
        ({"body_part": " "}, 0.3, "body part is unknown"),
        ({"question": "Ist auf dem Bild ein Pneumothorax zu sehen?"}, 1.0, "English"),
        ({"question": "这张图片是什么?"}, 1.0, "English"),
        ({"question": "???"}, 1.0, "English"),
    ],
)
def test_outside_and_unknown(facts, value, words):
    worst, reason = _worst(**facts)
    assert worst == value
    assert words in reason


def test_mammography_implies_the_breast():
    scope = Scope(modalities=("MG",), body_parts=("BREAST",))
    assert _found(modality="MG", body_part=None, scope=scope) == ()


def test_other_languages_are_not_told_apart():
    scope = dataclasses.replace(CHEST, languages=("en", "de"))
    assert _worst(question="Ist das ein Pneumothorax?", scope=scope)[0] == 0.4
    assert _worst(scope=scope)[0] == 0.0
    assert _worst(question="Ist das ein Pneumothorax?", scope=dataclasses.replace(CHEST, languages=()))[0] == 0.0


@pytest.mark.parametrize("text", ["Is there a mass?", "Pneumothorax?", "What is in the image", "any effusion", "Where's the lesion located?"])
def test_english(text):
    assert reads_as_english(text)


@pytest.mark.parametrize(
    "text",
    ["¿Hay un derrame pleural?", "Y a-t-il une fracture?", "Есть ли перелом?", "Welche Lunge ist betroffen?", "C'è un versamento?", "Há uma fratura?", "12 34"],
)
def test_not_english(text):
    assert not reads_as_english(text)


def _picture(name):
    rng = np.random.default_rng(0)
    y, x = np.mgrid[:256, :256]
    smooth = 127 + 100 * np.sin(x / 40) * np.cos(y / 40)
    return {
        "tiny": smooth[:60, :60],
        "dark": smooth / 12,
        "flat": np.full((256, 256), 90),
        "white": np.where(x < 200, 255, smooth),
        "black": np.where(x < 255, 0, smooth),
        "noise": rng.integers(0, 256, (256, 256)),
        "mask": np.where(smooth > 127, 255, 0),
        "colourful": np.stack([smooth, 255 - smooth, x], axis=2),
    }[name].astype(np.uint8)


@pytest.mark.parametrize(
    ("name", "word"),
    [
        ("tiny", "small"),
        ("dark", "dark"),
        ("flat", "flat"),
        ("white", "white"),
        ("black", "black"),
        ("noise", "noise"),
        ("mask", "grey values"),
        ("colourful", "coloured"),
    ],
)
def test_bad_pictures_are_outside(name, word):
    found = _found(quality=image_quality(_picture(name)))
    assert any(v.value == 1.0 and word in v.reason for v in found)
    assert [v.value for v in found] == sorted((v.value for v in found), reverse=True)


def test_borderline_pictures_lie_in_between():
    y, x = np.mgrid[:96, :96]
    found = _found(quality=image_quality((127 + 100 * np.sin(x / 20) * np.cos(y / 20)).astype(np.uint8)))
    assert [v.value for v in found] == [0.5]  # 96 is half way from 128 to 64


def test_what_a_modality_shows_by_nature_is_no_violation():
    scope = Scope(modalities=("CR", "US", "ECG"))
    assert not any("coloured" in v.reason for v in _found(modality="US", quality=image_quality(_picture("colourful")), scope=scope))
    assert not any("white" in v.reason for v in _found(modality="ECG", quality=image_quality(_picture("white")), scope=scope))


def test_unmeasured_quality_is_unknown_not_good():
    found = violations(ScopeFacts("Is there a mass?", "CR", "CHEST", None), CHEST)
    assert [v.value for v in found] == [0.4]


@pytest.mark.parametrize("limits", [{"side": (64, 128)}, {"clipped_high": (0.5, 0.2)}, {"contrast": (20, 20)}])
def test_limits_in_the_wrong_order_are_refused(limits):
    with pytest.raises(InvalidValue, match=next(iter(limits))):
        QualityLimits(**limits)
