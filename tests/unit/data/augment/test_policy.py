"""A policy: read from TOML, drawn by item, epoch and seed, obeyed, refused where it would lie, and recorded."""

import concurrent.futures
import dataclasses
import hashlib
import math
import multiprocessing
import pickle

import numpy as np
import pytest

from vesalius import config
from vesalius.data.augment import OPERATIONS, Box, Flip, Lost, MedicalAugmentation, Point, Sample, Use, kind_of, read
from vesalius.data.phantoms import phantom
from vesalius.domain.finding import Region
from vesalius.domain.study import Image, Intensity, Modality, Window
from vesalius.errors import ConfigError, InvalidValue, UnknownName
from vesalius.formats.pixels import render

FILM = phantom("CR", "CHEST", 0)
HEAD = dataclasses.replace(phantom("CT", "HEAD", 0), spacing=(0.9, 0.9))
BRAIN = phantom("MR", "HEAD", 0)
ALL = MedicalAugmentation(tuple(Use(name, 1.0) for name in OPERATIONS), name="all")
IMAGES = {"film": FILM, "head": HEAD, "brain": BRAIN}


def one(name, value=None, **more):
    use = Use(name, 1.0, value, value, more.pop("unit", None))
    return MedicalAugmentation((use,), **({"lost": Lost.DROP, "seen": 0.0} | more))


def applied(policy, sample, item="a", epoch=0, seed=0):
    return policy.apply(sample if isinstance(sample, Sample) else Sample(sample), item=item, epoch=epoch, seed=seed)


def digest(job):
    which, item, epoch = job
    return hashlib.sha256(applied(ALL, IMAGES[which], item, epoch, 3).image.pixels.tobytes()).hexdigest()


def test_the_policy_that_ships_knows_every_operation_and_never_mirrors():
    policy = read()
    assert {u.name for u in policy.operation} == set(OPERATIONS)
    assert policy.flip is None
    assert policy.lost is Lost.AVOID


def test_the_same_item_epoch_and_seed_give_the_same_pixels_with_one_process_and_with_three():
    jobs = [(which, f"item {i}", epoch) for which in IMAGES for i in range(2) for epoch in (0, 1)]
    alone = dict(zip(jobs, map(digest, jobs), strict=True))
    with concurrent.futures.ProcessPoolExecutor(3, multiprocessing.get_context("spawn")) as pool:
        together = dict(zip(jobs[::-1], pool.map(digest, jobs[::-1]), strict=True))
    assert together == alone
    assert len(set(alone.values())) == len(jobs)


def test_another_item_epoch_or_seed_is_another_picture():
    first = applied(ALL, FILM)
    for more in ({"item": "b"}, {"epoch": 1}, {"seed": 1}):
        assert not np.array_equal(applied(ALL, FILM, **more).image.pixels, first.image.pixels)


def test_an_operation_that_is_added_changes_no_other_draw():
    fewer = dataclasses.replace(ALL, operation=tuple(u for u in ALL.operation if u.name != "rotation"))
    values = [{d.operation: d.value for d in applied(p, FILM).record.done} for p in (ALL, fewer)]
    del values[0]["rotation"]
    assert values[0] == values[1]


def test_the_order_of_the_policy_does_not_matter():
    reverse = dataclasses.replace(ALL, operation=ALL.operation[::-1])
    assert np.array_equal(applied(ALL, BRAIN).image.pixels, applied(reverse, BRAIN).image.pixels)


@pytest.mark.parametrize("image", IMAGES.values(), ids=IMAGES)
def test_no_strength_is_the_image_itself(image):
    made = applied(dataclasses.replace(ALL, strength=0.0), image)
    assert made.image is image
    assert made.record.done == ()


@pytest.mark.parametrize("image", IMAGES.values(), ids=IMAGES)
def test_shape_type_and_meaning_stay(image):
    made = applied(ALL, image).image
    assert (made.pixels.shape, made.pixels.dtype, made.intensity, made.modality) == (image.pixels.shape, image.pixels.dtype, image.intensity, image.modality)
    assert np.isfinite(made.pixels).all()
    assert made.uid is None


def test_every_value_is_within_its_admissible_range_and_recorded():
    for image in IMAGES.values():
        for seed in range(6):
            for done in applied(ALL, image, seed=seed).record.done:
                admitted = OPERATIONS[done.operation].admitted(image)
                assert done.unit == admitted.unit
                assert all(admitted.low - 1e-9 <= v <= admitted.high + 1e-9 for v in done.value)


def test_half_the_strength_is_half_the_way_on_each_scale():
    for name, image in (("rotation", FILM), ("quantum_noise", FILM), ("window_width", FILM), ("compression", FILM), ("ct_noise", HEAD)):
        to, neutral = OPERATIONS[name].scale.to, OPERATIONS[name].neutral
        full, half = (applied(one(name, strength=s), image, seed=4).record.done[0].value[0] for s in (1.0, 0.5))
        assert to(half) - to(neutral) == pytest.approx((to(full) - to(neutral)) / 2)


def test_ranges_of_the_policy_are_obeyed():
    policy = MedicalAugmentation((Use("rotation", 1.0, 2, 3),))
    values = [applied(policy, FILM, seed=s).record.done[0].value[0] for s in range(30)]
    assert 2 <= min(values) < max(values) <= 3


def test_a_range_wider_than_a_kind_admits_is_cut_for_it():
    policy = MedicalAugmentation((Use("rotation", 1.0, 9, 10),))
    assert applied(policy, HEAD).record.done[0].value[0] >= 9
    assert applied(policy, FILM).record.done[0].value == (7.0,)


def test_low_and_high_hold_for_their_unit_alone():
    policy = MedicalAugmentation((Use("blur", 1.0, 0.5, 0.5, "pixels"),))
    assert applied(policy, FILM).record.done[0].value == (0.5,)
    assert applied(policy, HEAD).record.done[0].unit == "mm"


def test_modalities_limit_an_operation():
    policy = MedicalAugmentation((Use("rotation", 1.0, 3, 3, modalities=(Modality.MR,)), Use("rotation", 1.0, 1, 1, modalities=(Modality.CR,))))
    assert [applied(policy, image).record.done for image in (HEAD,)] == [()]
    assert [applied(policy, image).record.done[0].value for image in (BRAIN, FILM)] == [(3.0,), (1.0,)]


def test_the_share_of_items_follows_the_probability():
    policy = MedicalAugmentation((Use("rotation", 0.3),))
    n = sum(bool(applied(policy, phantom_like, item=str(i)).record.done) for i in range(1000))
    assert 256 <= n <= 345  # 99.8 % of binomial draws


phantom_like = Image(np.zeros((1, 8, 8), np.float32), Intensity.RELATIVE, Modality.CR, voi=(Window(127.5, 255),))


def test_what_the_text_forbids_is_refused_with_its_reason():
    made = applied(ALL, Sample(FILM, "Is the image rotated?", "no"))
    assert "rotation" not in {d.operation for d in made.record.done}
    assert ("rotation", "the text is about rotation ('rotated')") in {(r.operation, r.reason) for r in made.record.refused}
    assert (made.question, made.answer) == ("Is the image rotated?", "no")


def test_hounsfield_units_are_never_turned_into_something_else():
    policy = MedicalAugmentation(tuple(Use(n, 1.0) for n in ("exposure", "compression", "window_level", "window_width")))
    made = applied(policy, HEAD)
    assert np.array_equal(made.image.pixels, HEAD.pixels)
    assert made.image.voi != HEAD.voi
    assert {r.operation for r in made.record.refused} == {"compression"}
    assert not np.array_equal(render(made.image), render(HEAD))


def test_a_window_level_is_in_hounsfield_units_of_the_header():
    made = applied(one("window_level", 8, unit="HU"), HEAD).image
    assert made.voi[0].center == pytest.approx(HEAD.voi[0].center + 8)


def test_monochrome_1_is_shown_as_dark_by_more_exposure_as_monochrome_2():
    inverted = dataclasses.replace(FILM, pixels=255 - FILM.pixels, inverted=True, voi=(Window(127.5, 255, "LINEAR_EXACT"),))
    plain = dataclasses.replace(FILM, voi=(Window(127.5, 255, "LINEAR_EXACT"),))
    one_ev = one("exposure", 1.0)
    shown = [render(applied(one_ev, image).image).astype(int) for image in (plain, inverted)]
    assert np.abs(shown[0] - shown[1]).max() <= 1
    assert shown[0].mean() < render(plain).mean() - 20


def test_nothing_is_mirrored_without_permission():
    for seed in range(8):
        assert "flip" not in {d.operation for d in applied(ALL, Sample(FILM, labels=("x",), lettered=False), seed=seed).record.done}


def test_a_permitted_mirror_is_done_and_takes_boxes_and_points_along():
    hand = dataclasses.replace(FILM, body_part="HAND")
    policy = MedicalAugmentation(flip=Flip(("fracture",), 1.0))
    sample = Sample(hand, labels=("fracture",), lettered=False, boxes=(Box("f", Region(10, 20, 30, 40)),), points=(Point("p", 5, 6),))
    made = applied(policy, sample)
    assert [d.operation for d in made.record.done] == ["flip"]
    assert made.boxes[0].region == Region(226, 20, 246, 40)
    assert made.points[0] == Point("p", 251, 6)
    assert made.image.pixels == pytest.approx(hand.pixels[:, :, ::-1], abs=1e-2)


@pytest.mark.parametrize("image", [FILM, BRAIN, dataclasses.replace(FILM, body_part=None), dataclasses.replace(FILM, modality=Modality.OP)])
def test_chest_head_fundus_and_the_unknown_are_not_mirrored(image):
    policy = MedicalAugmentation(flip=Flip(("fracture",), 1.0))
    made = applied(policy, Sample(image, labels=("fracture",), lettered=False))
    assert made.image is image
    assert [r.operation for r in made.record.refused] == ["flip"]


def test_movement_is_lessened_until_marks_stay():
    sample = Sample(FILM, boxes=(Box("edge", Region(0, 100, 10, 140)),))
    avoid = MedicalAugmentation((Use("shift", 1.0, -12, -12, "pixels"),), visible=0.75, lost=Lost.AVOID, seen=0)
    made = applied(avoid, sample)
    assert made.boxes
    assert made.record.done[0].value[0] == pytest.approx(-1.5)
    assert any("lessened to 0.125" in r.reason for r in made.record.refused)
    assert made.record.marks[0].kept
    assert made.record.marks[0].visible == pytest.approx(0.85)
    dropped = applied(dataclasses.replace(avoid, lost=Lost.DROP), sample)
    assert dropped.boxes == ()
    assert not dropped.record.marks[0].kept


def test_movement_that_no_halving_saves_is_left_out_and_told():
    sample = Sample(FILM, points=(Point("corner", 0, 0),))
    made = applied(MedicalAugmentation((Use("shift", 1.0, -12, -12, "pixels"),)), sample)
    assert made.points == sample.points
    assert made.image is FILM
    assert [(r.operation, r.reason) for r in made.record.refused] == [("shift", "too much would leave the picture")]


def test_enough_of_the_picture_stays():
    policy = MedicalAugmentation((Use("crop", 1.0, 0.2, 0.2),), seen=0.95)
    made = applied(policy, Sample(FILM, boxes=(Box("a", Region(100, 100, 120, 120)),)))
    assert made.record.done[0].value[0] == pytest.approx(0.025)


def test_a_crop_is_small_where_nothing_is_marked():
    policy = one("crop", 0.2)
    assert applied(policy, FILM).record.done[0].value == (0.05,)
    assert applied(policy, Sample(FILM, boxes=(Box("a", Region(100, 100, 120, 120)),))).record.done[0].value == (0.2,)


def test_a_shift_is_in_millimetres_and_never_more_than_a_twentieth():
    big = dataclasses.replace(HEAD, spacing=(2.0, 1.0))
    assert applied(one("shift", 10, unit="mm"), big).record.done[0].value == pytest.approx((10, 10))
    small = dataclasses.replace(HEAD, spacing=(0.5, 0.5))
    assert applied(one("shift", 10, unit="mm"), small).record.done[0].value == pytest.approx((6.4, 6.4))


def test_a_zoom_changes_the_spacing():
    assert applied(one("scale", 1.1), HEAD).image.spacing == pytest.approx((0.9 / 1.1,) * 2)


def test_a_record_is_plain_data():
    told = applied(ALL, FILM, "x/1.png", 2, 5).record.to_json()
    assert (told["item"], told["epoch"], told["seed"], told["policy"]) == ("x/1.png", 2, 5, "all")
    assert {"operation", "value", "unit"} == set(told["done"][0])


def test_a_policy_can_be_sent_to_another_process():
    assert pickle.loads(pickle.dumps(read())) == read()


@pytest.mark.parametrize("modality", [Modality.ECG, Modality.SEG])
def test_what_is_no_picture_of_a_body_is_left_alone(modality):
    image = dataclasses.replace(FILM, modality=modality)
    assert kind_of(image) is None
    assert applied(ALL, image).image is image


@pytest.mark.parametrize(
    ("image", "kind"),
    [
        (Image(np.zeros((1, 1, 1), np.float32), Intensity.RELATIVE, Modality.CR), "a single pixel"),
        (Image(np.full((1, 40, 40), 7, np.float32), Intensity.RELATIVE, Modality.MR), "one value"),
        (Image(np.full((1, 40, 40), -1000, np.float32), Intensity.HOUNSFIELD, Modality.CT, spacing=(1e-4, 50.0)), "absurd spacing"),
        (Image(np.zeros((2, 9, 400), np.float32), Intensity.QUANTITATIVE, Modality.NM), "long and empty"),
        (Image(np.full((1, 3, 30, 3), 255, np.uint8), Intensity.COLOUR, Modality.XC), "white"),
        (Image(np.full((1, 30, 30), 9e11, np.float32), Intensity.RELATIVE, Modality.DX), "huge values"),
        (Image(np.ones((1, 20, 20), np.float32), Intensity.BINARY, Modality.CR), "binary"),
    ],
)
def test_odd_images_come_through(image, kind):
    for seed in range(3):
        made = applied(ALL, image, seed=seed).image
        assert made.pixels.shape == image.pixels.shape, kind
        assert np.isfinite(made.pixels).all(), kind
        assert made.intensity is image.intensity


def test_bad_samples_are_refused():
    pixels = FILM.pixels.copy()
    pixels[0, 3, 3] = math.nan
    with pytest.raises(InvalidValue, match="no numbers"):
        Sample(dataclasses.replace(FILM, pixels=pixels))
    with pytest.raises(InvalidValue, match="1e\\+12"):
        Sample(Image(np.full((1, 3, 3), 3e38, np.float32), Intensity.RELATIVE, Modality.CR))
    huge = Image(np.broadcast_to(np.float32(0), (1, 10_000, 10_000)).copy(), Intensity.RELATIVE, Modality.CR)
    with pytest.raises(InvalidValue, match="67,108,864"):
        Sample(huge)
    with pytest.raises(InvalidValue, match=r"'far'.* lies outside 256 x 256"):
        Sample(FILM, boxes=(Box("far", Region(300, 300, 400, 400)),))
    with pytest.raises(InvalidValue, match="by half"):
        Sample(FILM, boxes=(Box("half", Region(200, 200, 400, 400)),))
    with pytest.raises(InvalidValue, match="point"):
        Sample(FILM, points=(Point("p", math.nan, 3),))
    with pytest.raises(InvalidValue, match="mask"):
        Sample(FILM, masks={"m": np.zeros((4, 4), bool)})
    with pytest.raises(InvalidValue, match="negative"):
        applied(ALL, FILM, epoch=-1)


def test_a_box_that_leaves_by_a_little_is_clipped_first():
    made = applied(one("scale", 0.95), Sample(FILM, boxes=(Box("a", Region(200, 200, 258, 250)),)))
    assert made.boxes[0].region.x1 == pytest.approx(128 + 128 * 0.95)
    assert made.record.marks == ()


@pytest.mark.parametrize(
    ("make", "error", "match"),
    [
        (lambda: Use("rotatoin"), UnknownName, "rotation"),
        (lambda: Use("rotation", 1.5), InvalidValue, "probability"),
        (lambda: Use("rotation", 1.0, -190, 10), InvalidValue, "admissible"),
        (lambda: Use("rotation", 1.0, -30, 10, modalities=(Modality.CR,)), InvalidValue, "-7 to 7"),
        (lambda: Use("rotation", 1.0, 3, 2), InvalidValue, "admissible"),
        (lambda: Use("rotation", 1.0, math.nan, 2), InvalidValue, "admissible"),
        (lambda: Use("blur", 1.0, 0, 0.1), InvalidValue, "need a unit"),
        (lambda: Use("blur", 1.0, 0, 0.1, "HU"), InvalidValue, "no unit"),
        (lambda: Use("ct_noise", 1.0, 0, 1, modalities=(Modality.MR,)), InvalidValue, "makes no sense"),
        (lambda: MedicalAugmentation((Use("crop"), Use("crop"))), InvalidValue, "twice"),
        (lambda: MedicalAugmentation(strength=2), InvalidValue, "strength"),
        (lambda: Flip(()), InvalidValue, "labels"),
    ],
)
def test_bad_policies_are_refused(make, error, match):
    with pytest.raises(error, match=match):
        make()


@pytest.mark.parametrize(
    ("text", "match"),
    [
        ("strenth = 1", "strength"),
        ("[[operation]]\nprobability = 1.0", "name"),
        ('lost = "perhaps"', "avoid"),
        ("[[operation]\n", "TOML"),
        ("[flip]\n", "labels"),
    ],
)
def test_bad_toml_is_refused_with_its_place(text, match):
    with pytest.raises(ConfigError, match=match):
        config.parse(text, MedicalAugmentation)


def test_an_absent_file_is_told(tmp_path):
    with pytest.raises(ConfigError, match="cannot be read"):
        read(tmp_path / "none.toml")


def test_an_empty_policy_changes_nothing(tmp_path):
    (tmp_path / "empty.toml").write_text("")
    assert applied(read(tmp_path / "empty.toml"), FILM).image is FILM
