"""Variants of training pictures: the same for any number of threads, another for another epoch, seed or text, true to all that is asked, boxes along."""

import dataclasses

import numpy as np
import pytest
import torch
from PIL import Image as Picture

from tests.unit.instruct.mix.roots import row
from vesalius.data.augment import Box as Mark
from vesalius.data.augment import Flip, MedicalAugmentation, Use, named
from vesalius.domain.finding import Region
from vesalius.errors import InvalidValue
from vesalius.formats import read
from vesalius.formats.pixels import render
from vesalius.instruct.record import Box
from vesalius.models import efficientnet
from vesalius.train.examples import Example
from vesalius.train.instructions import _example
from vesalius.train.variants import of_examples, subjects

TURN = MedicalAugmentation((Use("rotation", 1.0), Use("shift", 1.0)), name="turn", flip=Flip(("mass",), 1.0))


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pictures")
    for number in range(3):
        grey = np.random.default_rng(number).integers(0, 256, (12, 16), dtype=np.uint8)
        Picture.fromarray(grey).resize((160, 120), Picture.Resampling.BICUBIC).save(folder / f"{number}.png")
    Picture.fromarray(np.zeros((9000, 9000), np.uint8)).save(folder / "huge.png")
    return folder


def asked(image, question="Is there a mass?", answer="yes", **facts):
    return Example(image, question, answer, "s", closed=True, **facts)


def made(root, *examples, policy=TURN, views=3, seed=0, held=()):
    return of_examples(policy, views, seed, root, examples, held)


def test_the_pixels_do_not_depend_on_the_number_of_workers_or_on_the_order(root):
    variants = made(root, *(asked(f"{n}.png") for n in range(3)))
    wanted = [(f"{n}.png", number) for n in range(3) for number in (1, 2, 3)]
    alone = variants.pixels(wanted, workers=1)
    together = variants.pixels(wanted[::-1], workers=4)[::-1]
    assert all(torch.equal(a, b) for a, b in zip(alone, together, strict=True))
    assert len({a.numpy().tobytes() for a in alone}) == 9


def test_epochs_take_the_views_in_turn_and_other_seeds_are_other_pictures(root):
    variants = made(root, asked("0.png"))
    assert [variants.number("0.png", epoch) for epoch in range(7)] == [1, 2, 3, 1, 2, 3, 1]
    [first] = variants.pixels([("0.png", 1)])
    [again] = made(root, asked("0.png")).pixels([("0.png", 1)])
    [other] = made(root, asked("0.png"), seed=1).pixels([("0.png", 1)])
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_held_out_and_blank_pictures_have_no_variant(root):
    variants = made(root, asked("0.png"), asked("1.png"), asked("blank:0.5"), held=[asked("1.png")])
    assert list(variants.subjects) == ["0.png"]
    assert [variants.number(name, 2) for name in ("1.png", "blank:0.5", "2.png")] == [0, 0, 0]
    assert variants.key("1.png", 0) == ()


def test_a_picture_obeys_everything_that_is_asked_of_it(root):
    free = made(root, asked("0.png")).sample("0.png", 1)
    bound = made(root, asked("0.png"), asked("0.png", "Is the film rotated?", "no")).sample("0.png", 1)
    assert {d.operation for d in free.record.done} == {"rotation", "shift"}
    assert {d.operation for d in bound.record.done} == {"shift"}
    assert "rotated" in next(r.reason for r in bound.record.refused if r.operation == "rotation")


def test_nothing_is_mirrored_even_by_a_policy_that_may(root):
    for number in (1, 2, 3):
        record = made(root, asked("0.png")).sample("0.png", number).record
        assert not [d for d in record.done if d.operation == "flip"]
        assert "no label" in next(r.reason for r in record.refused if r.operation == "flip")


def test_what_the_set_says_of_a_picture_decides_what_may_be_done(root):
    policy = named("everyday")
    film = made(root, asked("0.png", modality="CR", body_part="CHEST"), asked("0.png", "Is it big?"), policy=policy).sample("0.png", 1)
    assert (film.image.modality, film.image.body_part) == ("CR", "CHEST")
    plain = efficientnet.square(render(read(root / "0.png").image))
    assert torch.equal(efficientnet.square(render(read(root / "0.png", modality="CR", body_part="CHEST").image)), plain)  # known, and shown alike


def test_boxes_of_instructions_move_with_the_pixels(root):
    box = Box("line", Region(40, 30, 80, 60), (320, 240))  # marked at twice the size
    example = _example(row("a", "0.png", boxes=(box,)), "s", None)
    assert example.boxes == (("line", (0.125, 0.125, 0.25, 0.25)),)
    shift = MedicalAugmentation((Use("shift", 1.0),), name="shift")
    sample = made(root, example, policy=shift).sample("0.png", 2)
    across, down = sample.record.done[0].value
    [moved] = sample.boxes
    assert isinstance(moved, Mark)
    r = moved.region
    assert (r.x0, r.y0, r.x1, r.y1) == pytest.approx((20 + across, 15 + down, 40 + across, 30 + down))


def test_a_key_knows_policy_seed_number_and_texts(root):
    one = made(root, asked("0.png"))
    others = [
        made(root, asked("0.png"), seed=1),
        made(root, asked("0.png", "Is there a nodule?")),
        made(root, asked("0.png"), policy=dataclasses.replace(TURN, strength=0.9)),
    ]
    keys = [one.key("0.png", 1), one.key("0.png", 2), *(other.key("0.png", 1) for other in others)]
    assert len(set(keys)) == 5
    assert len({v.fingerprint for v in (one, *others, made(root, asked("0.png"), views=4))}) == 5
    assert one.fingerprint == made(root, asked("0.png")).fingerprint


def test_the_digest_knows_the_values_and_not_the_layout(tmp_path):
    (tmp_path / "a.toml").write_text('name = "x"\nstrength = 0.5\n[[operation]]\nname = "rotation"\n')
    (tmp_path / "b.toml").write_text('# the same\nstrength = 0.50\nname = "x"\n\n[[operation]]\nname = "rotation"\nprobability = 0.5\n')
    (tmp_path / "c.toml").write_text('name = "x"\nstrength = 0.5\n[[operation]]\nname = "rotation"\nhigh = 3\n')
    digests = [named(str(tmp_path / f"{n}.toml")).digest for n in "abc"]
    assert digests[0] == digests[1] != digests[2]


def test_a_picture_that_cannot_be_varied_is_named(root):
    with pytest.raises(InvalidValue, match=r"huge\.png cannot be augmented.*leave \[augment\] out"):
        made(root, asked("huge.png")).sample("huge.png", 1)


def test_what_is_asked_is_gathered_by_picture_whoever_asks():
    found = subjects([asked("b", "q2"), asked("a"), asked("b", "q1", "no", modality="CR"), asked("b", "q1", "no")])
    assert list(found) == ["a", "b"]
    assert (found["b"].questions, found["b"].answers, found["b"].modality) == ("q1\nq2", "no\nyes", "CR")
