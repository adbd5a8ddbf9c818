import dataclasses
from collections import Counter

import pytest

from vesalius.data import splits
from vesalius.domain.exchange import Exchange, Question, Split
from vesalius.errors import InvalidValue

ONE = Exchange("1", "a.jpg", Question("q"), "yes", True, "p1", Split.TRAIN)


def test_unit_hash_is_fixed_for_ever():
    # SHA-256 of "salt/name": recorded, because a change of this number silently moves images between parts
    assert splits.unit_hash("name", salt="salt") == pytest.approx(0.8057541204112952, abs=1e-15)


def test_unit_hash_is_uniform_and_salted():
    values = [splits.unit_hash(str(i), salt="x") for i in range(4000)]
    assert all(0 <= v < 1 for v in values)
    assert abs(sum(values) / 4000 - 0.5) < 0.02
    assert splits.unit_hash("1", salt="x") != splits.unit_hash("1", salt="y")


def test_part_gives_the_shares_asked_for():
    count = Counter(splits.part(str(i), development=0.1, test=0.2) for i in range(4000))
    assert abs(count[Split.DEVELOPMENT] / 4000 - 0.1) < 0.02
    assert abs(count[Split.TEST] / 4000 - 0.2) < 0.02


def test_development_does_not_depend_on_the_test_share():
    names = [str(i) for i in range(500)]
    alone = {n for n in names if splits.part(n, development=0.1) is Split.DEVELOPMENT}
    beside = {n for n in names if splits.part(n, development=0.1, test=0.3) is Split.DEVELOPMENT}
    assert alone == beside


@pytest.mark.parametrize(("development", "test"), [(-0.1, 0), (0.6, 0.6), (0, 1.1)])
def test_part_refuses_impossible_shares(development, test):
    with pytest.raises(InvalidValue, match="shares"):
        splits.part("a", development=development, test=test)


def test_assert_disjoint_names_what_is_shared():
    two = dataclasses.replace(ONE, id="2", image="b.jpg")
    three = dataclasses.replace(ONE, id="3", image="c.jpg", cluster="p3")
    splits.assert_disjoint([ONE], [three])
    splits.assert_disjoint([ONE], [two], by="image")
    with pytest.raises(splits.SplitOverlap, match=r"parts 0 and 2 share 1 value\(s\) of 'cluster', the first 'p1'"):
        splits.assert_disjoint([ONE], [three], [two])


def test_assert_disjoint_refuses_other_fields():
    with pytest.raises(InvalidValue, match="'gold'"):
        splits.assert_disjoint([ONE], [ONE], by="gold")
