"""Rows from the stated facts of data sets."""

import pytest

from vesalius.errors import DataMissing, UnknownName
from vesalius.instruct.generate import facts
from vesalius.instruct.generate.sources import Item, count, read


def test_an_unknown_set_and_an_absent_root_are_told(tmp_path):
    with pytest.raises(UnknownName, match="did you mean 'slake'"):
        facts.write("slak", tmp_path, tmp_path / "in.jsonl")
    for name in facts.SETS:
        with pytest.raises(DataMissing):
            facts.write(name, tmp_path, tmp_path / "in.jsonl")


@pytest.mark.data
@pytest.mark.parametrize(("name", "number"), [("slake", 410), ("nih-cxr", 460)])
def test_every_training_image_gives_a_row_that_can_be_used(data_root, tmp_path, name, number):
    path = tmp_path / "in.jsonl"
    assert facts.write(name, data_root, path) == count(path) == number
    items = list(read(path))
    assert all(isinstance(item, Item) for item in items)
    assert any(item.regions for item in items)
    assert any(item.prior for item in items) == (name == "nih-cxr")
    assert all(item.prior_image != item.image for item in items)
    first = tmp_path / "first.jsonl"
    assert facts.write(name, data_root, first, limit=7) == 7
    assert path.read_text().startswith(first.read_text())
