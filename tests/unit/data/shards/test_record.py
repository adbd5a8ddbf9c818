"""Keys and facts that a tar and JSON can hold, and nothing else."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vesalius.data.shards import Record, key_of
from vesalius.data.shards.record import members, split_name
from vesalius.errors import InvalidValue


@given(st.text(min_size=1), st.text(min_size=1))
def test_every_name_has_a_key_of_its_own(one, other):
    Record(key_of(one), {})
    assert (key_of(one) == key_of(other)) == (one == other)


def test_keys_can_be_read():
    assert key_of("vqa-rad:12") == "vqa-rad=3a12"
    with pytest.raises(InvalidValue):
        key_of("")


@pytest.mark.parametrize("key", ["", "a.b", "a/b", "../a", "a b", "a\n", "é", "x" * 91, ",a"])
def test_other_keys_are_refused(key):
    with pytest.raises(InvalidValue):
        Record(key, {})


@pytest.mark.parametrize(
    "given_",
    [{"image": b"x"}, {"suffix": "png"}, {"image": b"x", "suffix": "pkl"}, {"image": b"", "suffix": "png"}, {"facts": []}, {"image": b"x", "suffix": "PNG"}],
)
def test_pictures_and_facts_that_are_refused(given_):
    with pytest.raises(InvalidValue):
        Record(**{"key": "a", "facts": {}, **given_})


@pytest.mark.parametrize("facts", [{"a": float("nan")}, {"a": {1, 2}}, {"a": b"x"}, {"a": object()}])
def test_facts_that_are_no_json(facts):
    with pytest.raises(InvalidValue, match="JSON"):
        Record("a", facts).text()


def test_members_are_named_as_webdataset_has_them():
    assert [name for name, _ in members(Record("a", {"b": 1, "a": 2}, b"x", "jpg"))] == ["a.jpg", "a.json"]
    assert Record("a", {"b": 1, "a": "é"}).text() == '{"a": "é", "b": 1}'.encode()
    assert split_name("a.jpg") == ("a", "jpg")
    assert split_name("a.b.jpg") is split_name("a") is split_name("a.pkl") is None
