"""Copies of a picture are found under every change that data sets make, and other patients are not taken for copies."""

import numpy as np
import pytest
from PIL import Image as Picture

from tests.unit.data.leaks.drawn import CHANGES, film, save
from vesalius.data.leaks import compare, nearest, prints
from vesalius.data.leaks.likeness import likeness
from vesalius.errors import InvalidValue, UnreadableStudy


@pytest.fixture(scope="module")
def films(tmp_path_factory):
    home = tmp_path_factory.mktemp("films")
    return {f"film {seed}": save(film(seed), home / f"{seed}.png") for seed in range(24)}


@pytest.mark.parametrize("change", sorted(CHANGES))
def test_a_copy_is_found_among_other_patients(films, tmp_path, change):
    copy = save(CHANGES[change](film(7)), tmp_path / "copy.png")
    found = compare({**films, "copy": copy})
    assert [(pair.first, pair.second) for pair in found.pairs] == [("copy", "film 7")]
    assert found.images == 25


def test_other_patients_are_not_copies(films):
    copies = [prints.grey(path) for path in films.values()]
    others = [likeness(a, b) for i, a in enumerate(copies) for b in copies[:i]]
    assert max(others) < 0.9
    assert compare(films).pairs == ()


def test_groups_join_what_pairs_chain(films, tmp_path):
    one, two = save(CHANGES["smaller"](film(3)), tmp_path / "a.png"), save(CHANGES["cropped"](film(3)), tmp_path / "b.png")
    groups = compare({**films, "a": one, "b": two}).groups()
    assert groups == {"a": "a", "b": "a", "film 3": "a"}


def test_pictures_without_detail_are_not_all_one(tmp_path):
    flat = {str(v): save(Picture.new("L", (64, 64), v), tmp_path / f"{v}.png") for v in (10, 90)}
    again = save(Picture.new("L", (64, 64), 90), tmp_path / "again.png")
    assert [(p.first, p.second) for p in compare({**flat, "again": again}).pairs] == [("90", "again")]


@pytest.mark.parametrize("content", [b"", b"no picture", b"\x89PNG\r\n\x1a\n" + b"0" * 50])
def test_what_cannot_be_read_is_named(films, tmp_path, content):
    (tmp_path / "bad.png").write_bytes(content)
    found = compare({**films, "bad": tmp_path / "bad.png"})
    assert list(found.unreadable) == ["bad"]
    assert found.images == 24
    with pytest.raises(UnreadableStudy):
        prints.grey(tmp_path / "bad.png")


def test_a_bomb_is_not_decoded(tmp_path, monkeypatch):
    monkeypatch.setattr(Picture, "MAX_IMAGE_PIXELS", 1000)
    with pytest.raises(UnreadableStudy, match="DecompressionBombError"):
        prints.grey(save(film(0), tmp_path / "a.png"))


def test_sixteen_bits_are_as_eight(tmp_path):
    eight = film(2)
    sixteen = Picture.fromarray(np.asarray(eight, np.uint16) * 16)
    copies = [prints.grey(save(picture, tmp_path / f"{i}.png")) for i, picture in enumerate((eight, sixteen))]
    assert likeness(*copies) > 0.99


def test_no_pictures():
    assert compare({}).pairs == ()


@pytest.mark.parametrize("radius", [0, 3, 4, 8, 11])
def test_nothing_within_the_radius_is_missed(radius):
    draw = np.random.default_rng(radius)
    hashes = draw.integers(0, 2**64, 600, dtype=np.uint64)
    for i in range(300):  # neighbours at 0 to 14 bits
        hashes[i] = hashes[300 + i] ^ np.uint64(sum(1 << int(b) for b in draw.choice(64, draw.integers(0, 15), replace=False)))
    near = np.bitwise_count(hashes[:, None] ^ hashes[None]) <= radius
    assert np.array_equal(nearest.within(hashes, radius), np.argwhere(np.triu(near, 1)))


def test_many_equal_pictures_are_a_chain_and_not_a_square(tmp_path):
    blank = save(Picture.new("L", (16, 16), 90), tmp_path / "blank.png")
    found = compare({f"{i:03d}": blank for i in range(300)})
    assert (found.images, len(found.pairs), found.proposed) == (300, 299, 0)
    assert set(found.groups().values()) == {"000"}


@pytest.mark.parametrize("radius", [-1, 12])
def test_a_radius_that_could_miss_is_refused(radius):
    with pytest.raises(InvalidValue):
        nearest.within(np.zeros(2, np.uint64), radius)
